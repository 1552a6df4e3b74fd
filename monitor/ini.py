"""Reads diamond.conf-style INI files: nested sections, every name with its place, all errors at once.

A value is text up to the end of its line. A `#` after a blank begins a comment, quotes protect, `""` within double
quotes is one quote (and so with single ones), and three quotes on either side hold several lines. A `#` right after
something else is an error that asks for quotes, so that a password is never cut short.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from configobj import ConfigObj, ConfigObjError
from configobj import Section as Parsed

HEADER = re.compile(r"""\s*((?:\[\s*)+)(".*?"|'.*?'|[^'"\s\[].*?)((?:\s*\])*)\s*(?:\#.*)?$""")
KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[^'"=\s][^=]*?)\s*=(.*)$""", re.DOTALL)


class Place(NamedTuple):
    """Where something was written: a file's line, or (line 0) a variable of the environment or of the command line."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the configuration, and where."""

    file: str
    line: int
    section: str
    key: str
    message: str

    def __str__(self) -> str:
        place = str(Place(self.file, self.line))
        where = " ".join(filter(None, (self.section, self.key)))
        return ": ".join(filter(None, (place, where, self.message)))


@dataclass(slots=True)
class Entry:
    """A value as it was written; a literal one holds neither quotes nor comments."""

    text: str
    place: Place
    literal: bool = False


@dataclass(slots=True)
class Section:
    """A section: its names from the top, its place, its entries and sub-sections in order."""

    path: tuple[str, ...]
    place: Place
    entries: dict[str, Entry] = field(default_factory=dict)
    sections: dict[str, Section] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path[-1] if self.path else ""

    @property
    def title(self) -> str:
        """Its headers as one would write them: `[collectors] [[default]]`."""
        return title(self.path)

    def problem(self, message: str, key: str = "") -> Problem:
        place = self.entries[key].place if key in self.entries else self.place
        return Problem(place.file, place.line, self.title, key, message)

    def section(self, name: str) -> Section:
        """Return the sub-section of this name; it is made when there is none."""
        if name not in self.sections:
            self.sections[name] = Section((*self.path, name), self.place)
        return self.sections[name]

    def merge(self, other: Section) -> None:
        """Lay another section over this one."""
        self.entries.update(other.entries)
        for name, section in other.sections.items():
            if name in self.sections:
                self.sections[name].merge(section)
            else:
                self.sections[name] = section


def title(path: tuple[str, ...]) -> str:
    return " ".join(f"{'[' * depth}{name}{']' * depth}" for depth, name in enumerate(path, 1))


def read(path: Path, top: tuple[str, ...] = ()) -> tuple[Section, list[Problem]]:
    """Read a file; what cannot be understood is a problem, the rest is still there. `top` is where its names belong."""
    root = Section(top, Place(str(path)))
    try:
        data = path.read_bytes()
    except OSError as error:
        return root, [Problem(str(path), 0, "", "", f"cannot be read: {error.strerror or error}")]
    return _File(str(path), data).read(root)


class _File:
    """One file on its way through configobj, which keeps no line numbers: each name takes its own along."""

    def __init__(self, file: str, data: bytes) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.values: dict[int, str] = {}
        self.lines = list(self._decoded(data))

    def _problem(self, line: int, message: str, section: Section | None = None, key: str = "") -> None:
        self.problems.append(Problem(self.file, line, section.title if section else "", key, message))

    def _broken(self, line: int) -> None:
        got = self.lines[line - 1].strip()
        self._problem(line, f"expected KEY = VALUE or [SECTION], got {got[:80]!r}")

    def _decoded(self, data: bytes) -> Iterator[str]:
        for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
            try:
                yield line.removesuffix(b"\r").decode()
            except UnicodeDecodeError as error:
                self._problem(number, f"not UTF-8 text: byte 0x{line[error.start]:02x} at column {error.start + 1}")
                yield ""

    def read(self, root: Section) -> tuple[Section, list[Problem]]:
        try:
            parsed = ConfigObj(list(self._marked()), interpolation=False, list_values=False)
        except ConfigObjError as error:
            parsed = error.config
            for each in error.errors:
                self._broken(each.line_number)
        self._take(parsed, root)
        return root, sorted(self.problems, key=lambda problem: problem.line)

    def _marked(self) -> Iterator[str]:
        """Yield the lines for configobj: names with their line number, without values; what is broken is mended."""
        depth, lost, at = 0, 0, 0
        while at < len(self.lines):
            line, number = self.lines[at], at + 1
            at += 1
            if not line.strip() or line.lstrip().startswith("#"):
                yield ""
            elif line.lstrip().startswith("["):
                header, found = self._header(line, number)
                if not found:
                    self._broken(number)
                    yield ""
                elif (lost and found > lost) or found > depth + 1:
                    if not lost:
                        self._problem(number, f"a section this deep needs one of {found - 1} brackets above it")
                    lost = lost or found
                    yield ""
                else:
                    depth, lost = found, 0
                    yield header
            elif lost:
                yield ""
            elif match := KEY.match(line):
                value, length = self._value(match[2], at, number)
                key = match[1]
                self.values[number] = value
                yield f"{key[:-1]}\0{number}{key[-1]} =" if key[0] in "'\"" else f"{key}\0{number} ="
                yield from [""] * length
                at += length
            else:
                yield line

    def _header(self, line: str, number: int) -> tuple[str, int]:
        match = HEADER.match(line)
        if match is None:
            return line, 0
        name = match[2][1:-1] if match[2][0] in "'\"" else match[2]
        depth, closed = match[1].count("["), match[3].count("]")
        if depth != closed:
            self._problem(number, f"{depth} brackets are opened and {closed} closed")
        quote = "'" if '"' in name else '"'
        return f"{'[' * depth}{quote}{name}\0{number}{quote}{']' * depth}", depth

    def _value(self, value: str, at: int, number: int) -> tuple[str, int]:
        """Return the value and how many more lines it takes."""
        quotes = value.lstrip()[:3]
        if quotes not in ('"""', "'''") or quotes in value.lstrip()[3:]:
            return value, 0
        for length, line in enumerate(self.lines[at:], 1):
            value += "\n" + line
            if quotes in line:
                return value, length
        self._problem(number, f"the {quotes} that opens here is never closed")
        return "", 0

    def _take(self, parsed: Parsed, section: Section) -> None:
        for marked in parsed.scalars:
            key, _, number = marked.rpartition("\0")
            place = Place(self.file, int(number))
            if (first := section.entries.get(key)) is not None:
                self._problem(place.line, f"given twice; first in line {first.place.line}", section, key)
            section.entries[key] = Entry(self.values[place.line], place)
        for marked in parsed.sections:
            name, _, number = marked.rpartition("\0")
            child = Section((*section.path, name), Place(self.file, int(number)))
            self._take(parsed[marked], child)
            if (earlier := section.sections.get(name)) is not None:
                self._problem(child.place.line, f"stands twice; first in line {earlier.place.line}", child)
                earlier.merge(child)
            else:
                section.sections[name] = child


def _quoted(text: str, at: int) -> tuple[str, int]:
    """Return what stands in the quotes that open at `at`, and where they end."""
    quote = text[at]
    if text.startswith(quote * 3, at):
        end = text.find(quote * 3, at + 3)
        if end < 0:
            raise ValueError(f"the quotes {quote * 3} are not closed")
        return text[at + 3 : end], end + 3
    parts: list[str] = []
    start = at + 1
    while (end := text.find(quote, start)) >= 0:
        if not text.startswith(quote, end + 1):
            return "".join((*parts, text[start:end])), end + 1
        parts.append(text[start : end + 1])
        start = end + 2
    raise ValueError(f"the quote {quote} is not closed")


def _bare(text: str) -> tuple[str, bool]:
    """Return an unquoted value without its comment, and whether it had one."""
    at = text.find("#")
    if at < 0:
        return text.strip(), False
    if at == 0 or not text[at - 1].isspace():
        raise ValueError("a value that holds # needs quotes around it; a comment needs a blank before its #")
    value = text[:at].strip()
    if any(value.count(mark) % 2 and mark in text[at:] for mark in "'\""):
        raise ValueError("a value that holds # within quotes needs quotes around all of it")
    return value, True


def scalar(text: str) -> str:
    """Return the value that a raw text stands for; ValueError says what is wrong with it."""
    value = text.lstrip()
    if value[:1] not in ("'", '"'):
        return _bare(text)[0]
    inner, end = _quoted(value, 0)
    rest = value[end:].strip()
    if rest and not rest.startswith("#"):
        raise ValueError("text after the closing quote; put quotes around the whole value")
    return inner


def items(text: str) -> list[str]:
    """Return the comma-separated items that a raw text stands for; quotes protect commas too."""
    found, at = [], 0
    while at < len(text):
        rest = text[at:]
        blank = len(rest) - len(rest.lstrip())
        start = at + blank
        if text[start : start + 1] in ("'", '"'):
            item, at = _quoted(text, start)
            found.append(item)
            after, comma, _ = text[at:].partition(",")
            if after.strip() and not after.lstrip().startswith("#"):
                raise ValueError("text after the closing quote; put a comma before it or quotes around all of it")
            if after.strip() or not comma:
                break
            at += len(after) + 1
        else:
            piece = rest.partition(",")[0]
            item, comment = _bare(piece)
            if item:
                found.append(item)
            if comment:
                break
            at += len(piece) + 1
    return found


def quote(text: str, *, item: bool = False) -> str:
    """Return a value as it is to be written, so that `scalar` (or with `item`, `items`) gives it back."""
    if "\n" in text:
        marks = [mark for mark in ('"""', "'''") if mark not in text and not text.endswith(mark[0])]
        if not marks:
            raise ValueError("a text of several lines cannot hold both kinds of three quotes")
        return marks[0] + text + marks[0]
    if text and text == text.strip() and not any(mark in text for mark in ("'\"#," if item else "'\"#")):
        return text
    mark = "'" if text.startswith('"') else '"'
    return mark + text.replace(mark, mark * 2) + mark
