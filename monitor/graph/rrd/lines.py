"""The text of a definition, divided into instructions and options, and these into their parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

LONGEST = 64 * 1024
MOST_LINES = 1000
KEYWORDS = (
    "DEF", "CDEF", "VDEF", "LINE", "AREA", "STACK", "TICK", "HRULE", "VRULE", "GPRINT", "PRINT", "COMMENT", "SHIFT",
    "TEXTALIGN", "XPORT",
)  # fmt: skip
INSTRUCTION = re.compile(rf"(?:{'|'.join(KEYWORDS)})[0-9.]*:")
# A word that looks like an instruction but is none; a label may hold a colon too.
MISSPELT = re.compile(r"[A-Za-z]+[0-9.]*:\S*[=#]")
OPTION = re.compile(r"-[A-Za-z]|--[a-z]")
PART = re.compile(r"\\:|<%.*?%>|:|[^\\:<]+|.", re.DOTALL)
ESCAPED = {'"': '"\\$`', "": "\"' #()|;&<>*?"}
"""What a backslash before it becomes, within double quotes and without."""


class Word(NamedTuple):
    """A piece of a line; `quoted` if quotes were around all of it."""

    line: int
    text: str
    quoted: bool = False

    @property
    def is_option(self) -> bool:
        return not self.quoted and bool(OPTION.match(self.text))

    @property
    def is_instruction(self) -> bool:
        return bool(INSTRUCTION.match(self.text))


def lines(text: str) -> Iterator[list[Word]]:
    """Yield the words of every line that has any.

    An instruction is one word, blanks included; words of options, and those of a pasted `rrdtool graph FILE`, end at
    blanks. Backslashes at the ends of lines are left out; blanks there belong to a text.
    """
    if len(text) > LONGEST:
        raise ValueError(f"expected at most {LONGEST} characters, got {len(text)}")
    found = re.split(r"\r\n|\r|\n", text)
    if len(found) > MOST_LINES:
        raise ValueError(f"expected at most {MOST_LINES} lines, got {len(found)}")
    for number, line in enumerate(found, 1):
        line = line.lstrip()
        body = line.rstrip()
        if (len(body) - len(body.rstrip("\\"))) % 2:
            line = body[:-1].rstrip()
        if not line or line.startswith(("#", "//")):
            continue
        command = re.match(r"(?:\$ )?rrdtool\s+graphv?\s+\S+", line)
        if command:
            line = line[command.end() :].strip()
        plain = bool(command or OPTION.match(line))
        words = [Word(number, *word) for word in _words(line, plain)]
        if words:
            yield words


def _words(line: str, plain: bool) -> Iterator[tuple[str, bool]]:
    """Yield what a shell would make of a line; if not `plain`, blanks only end what an instruction follows."""
    at, made, began, quoted = 0, "", True, False
    while at < len(line):
        sign = line[at]
        if line.startswith("<%", at) and (end := line.find("%>", at)) > 0:
            made, at, began = made + line[at : end + 2], end + 2, False
        elif sign in "\"'" and (began or line[at - 1] in ":=") and (end := _closing(line, at)):
            quoted = began
            made, at, began = made + _unquoted(line[at + 1 : end], sign), end + 1, False
            quoted = quoted and (at == len(line) or line[at].isspace())
        elif sign == "\\" and at + 1 < len(line) and line[at + 1] in ESCAPED[""]:
            made, at, began = made + line[at + 1], at + 2, False
        elif sign.isspace() and (plain or quoted or INSTRUCTION.match(line[at:].lstrip().lstrip("\"'"))):
            if made or quoted:
                yield made, quoted
            rest = line[at:].lstrip()
            made, at, began, quoted = "", len(line) - len(rest), True, False
        else:
            made, at, began = made + sign, at + 1, False
    if made.strip() or quoted:
        yield made, quoted


def _closing(line: str, at: int) -> int:
    """Return where the quote that opens at a place is closed at the end of a word or part; 0 where it is not."""
    place = at + 1
    while place < len(line):
        if line[place] == "\\" and line[at] == '"':
            place += 1
        elif line[place] == line[at] and (place + 1 == len(line) or line[place + 1] in ": \t"):
            return place
        place += 1
    return 0


def _unquoted(text: str, quote: str) -> str:
    if quote == "'":
        return text
    return re.sub(r"\\(.)", lambda found: found[1] if found[1] in ESCAPED['"'] else found[0], text, flags=re.DOTALL)


def parts(text: str) -> list[str]:
    r"""Divide an instruction at its colons, other than `\:` and those in templates; `\:` becomes a colon."""
    found = [""]
    for match in PART.finditer(text):
        if match[0] == ":":
            found.append("")
        else:
            found[-1] += ":" if match[0] == "\\:" else match[0]
    return found
