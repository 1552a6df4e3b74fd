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
TEMPLATE = r"<%(?:[^<%]|%(?!>)|<(?!%))*%>"
PART = re.compile(rf"\\:|{TEMPLATE}|:|[^\\:<]+|.", re.DOTALL)
PIECE = re.compile(rf"{TEMPLATE}|[^\s\"'\\<]+")
BLANKS = re.compile(r"\s+")
QUOTES = frozenset("\"'")
SHELL = "\"' #()|;&<>*?"  # what a backslash makes plain outside of quotes
QUOTED = '"\\$`'  # and within double quotes


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
        command = re.match(r"(?:\$ )?(?:\S*/)?rrdtool\s+graphv?\s+\S+", line)
        if command:
            line = line[command.end() :].strip()
        plain = bool(command or OPTION.match(line))
        words = [Word(number, *word) for word in _words(line, plain)]
        if words:
            yield words


def _words(line: str, plain: bool) -> Iterator[tuple[str, bool]]:
    """Yield what a shell would make of a line.

    If not `plain`, blanks only end what is quoted, options, and what an instruction follows.
    """
    at, made, began, quoted, option = 0, list[str](), True, False, False
    unclosed: set[str] = set()
    while at < len(line):
        sign, end = line[at], 0
        if sign in QUOTES and sign not in unclosed and (began or line[at - 1] in ":="):
            end = _closing(line, at)
            unclosed.update(() if end else sign)  # nor will one behind it be closed
        if end:
            made.append(_unquoted(line[at + 1 : end], sign))
            at, quoted, began = end + 1, began and (end + 1 == len(line) or line[end + 1].isspace()), False
        elif sign == "\\" and line[at + 1 : at + 2] in SHELL and at + 1 < len(line):
            made.append(line[at + 1])
            at, began = at + 2, False
        elif sign.isspace():
            blanks = BLANKS.match(line, at)
            end = blanks.end() if blanks else at + 1
            instruction = bool(INSTRUCTION.match(line, end + (line[end : end + 1] in QUOTES)))
            if plain or quoted or option or instruction:
                if made or quoted:
                    yield "".join(made), quoted
                made, began, quoted = [], True, False
                option = not instruction and (option or bool(OPTION.match(line, end)))
            else:
                made.append(line[at:end])
            at = end
        else:
            piece = PIECE.match(line, at)
            made.append(piece[0] if piece else sign)
            at, began = at + len(made[-1]), False
    if quoted or "".join(made).strip():
        yield "".join(made), quoted


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
    return re.sub(r"\\(.)", lambda found: found[1] if found[1] in QUOTED else found[0], text, flags=re.DOTALL)


def parts(text: str) -> list[str]:
    r"""Divide an instruction at its colons, other than `\:` and those in templates; `\:` becomes a colon."""
    found = [""]
    for match in PART.finditer(text):
        if match[0] == ":":
            found.append("")
        else:
            found[-1] += ":" if match[0] == "\\:" else match[0]
    return found
