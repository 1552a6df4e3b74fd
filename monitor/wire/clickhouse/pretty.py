"""Tables for people to read, as clickhouse-client shows them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from monitor.wire.clickhouse import texts
from monitor.wire.clickhouse.types import Column

Rows = Sequence[Sequence[Any]]

MOST = 10_000
"""Rows that are shown."""
BLOCK = 512
NULL = "ᴺᵁᴸᴸ".encode()
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
RIGHT = ("integer", "float", "decimal", "date", "time", "time64")
"""Kinds that stand to the right of their column."""


def width(text: str) -> int:
    """Return how many places a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def _shown(columns: Sequence[Column], rows: Rows) -> list[list[str]]:
    writes = [texts.text(column.type, NULL) for column in columns]
    return [
        [CONTROL.sub(" ", write(value).decode("utf-8", "replace")) for write, value in zip(writes, row, strict=True)]
        for row in rows
    ]


def _padded(text: str, size: int, right: bool, fill: str = " ") -> str:
    space = fill * (size - width(text))
    return space + text if right else text + space


class _Table:
    def __init__(self, columns: Sequence[Column], rows: Rows, first: int, last: int) -> None:
        self.names = [CONTROL.sub(" ", column.name) for column in columns]
        self.right = [column.type.kind in RIGHT for column in columns]
        self.cells = _shown(columns, rows)
        self.sizes = [max(map(width, column)) for column in zip(self.names, *self.cells, strict=True)]
        self.number = len(str(last))
        self.margin = " " * (self.number + 2)
        self.first = first

    def lines(self, between: str, begin: str, end: str) -> Iterator[str]:
        for index, row in enumerate(self.cells):
            cells = between.join(map(_padded, row, self.sizes, self.right))
            yield f"{self.first + index:>{self.number}}. {begin}{cells}{end}"

    def rule(self, line: str, begin: str, between: str, end: str) -> str:
        return self.margin + begin + between.join([line * (size + 2) for size in self.sizes]) + end


def _tables(columns: Sequence[Column], rows: Rows) -> Iterator[_Table]:
    shown = rows[:MOST]
    for at in range(0, len(shown), BLOCK):
        part = shown[at : at + BLOCK]
        yield _Table(columns, part, at + 1, at + len(part))


def _more(rows: Rows) -> Iterator[bytes]:
    if len(rows) > MOST:
        yield f"  Showed {MOST} out of {len(rows)} rows.\n".encode()


def _joined(lines: Sequence[str]) -> bytes:
    return "\n".join([*lines, ""]).encode()


def boxed(columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
    for table in _tables(columns, rows):
        names = " ┃ ".join(map(_padded, table.names, table.sizes, table.right))
        lines = [
            table.rule("━", "┏", "┳", "┓"),
            f"{table.margin}┃ {names} ┃",
            table.rule("━", "┡", "╇", "┩"),
        ]
        rule = table.rule("─", "├", "┼", "┤")
        for index, line in enumerate(table.lines(" │ ", "│ ", " │")):
            lines += [rule, line] if index else [line]
        yield _joined([*lines, table.rule("─", "└", "┴", "┘")])
    yield from _more(rows)


def compact(columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
    for table in _tables(columns, rows):
        names = "─┬─".join(
            _padded(name, size, right, "─")
            for name, size, right in zip(table.names, table.sizes, table.right, strict=True)
        )
        lines = [f"{table.margin}┌─{names}─┐", *table.lines(" │ ", "│ ", " │"), table.rule("─", "└", "┴", "┘")]
        yield _joined(lines)
    yield from _more(rows)


def spaced(columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
    for table in _tables(columns, rows):
        names = "   ".join(map(_padded, table.names, table.sizes, table.right))
        yield _joined([f"{table.margin} {names}", "", *table.lines("   ", " ", " ")])
    yield from _more(rows)


def vertical(columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
    writes = [texts.text(column.type, NULL) for column in columns]
    size = max((width(column.name) for column in columns), default=0) + 2
    names = [_padded(f"{column.name}:", size, False).encode() for column in columns]
    for index, row in enumerate(rows[:MOST]):
        lines = [name + write(value) for name, write, value in zip(names, writes, row, strict=True)]
        title = f"Row {index + 1}:\n{'─' * (5 + len(str(index + 2)))}"
        yield b"\n" * bool(index) + b"\n".join([title.encode(), *lines, b""])
    yield from _more(rows)
