"""Rows as they are kept: canonical TabSeparated, whatever they came as.

Rows end with a newline, cells are apart by tabs; a String's bytes stand as they came except for the seven escapes
`\\\\ \\t \\n \\r \\b \\f \\0`; there is no NULL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from monitor.wire.clickhouse.cells import escaped, unescaped
from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.types import Column, Type


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of these columns; what else was sent stands in the last one, EXTRA, if any came."""

    columns: list[str]
    count: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of the rows. `extra` says that their last column is EXTRA."""

    count: int
    body: bytes
    extra: bool = False


Pieces = Iterator[Piece]
SLICE = 512
"""Rows that are read at once where each one is looked at; a reader then lets others work."""


def matched(row: re.Pattern[bytes], body: bytes, at: int, end: int, most: int) -> tuple[list[tuple[bytes, ...]], int]:
    """Return the groups of rows that match one after the other, at most so many, and where they end."""
    rows: list[tuple[bytes, ...]] = []
    match = row.match
    while at < end and len(rows) < most and (found := match(body, at)):
        rows.append(found.groups())
        at = found.end()
    return rows, at


def assembled(columns: Sequence[Iterable[bytes]]) -> bytes:
    """Return the rows of columns of canonical cells."""
    return b"\n".join([*map(b"\t".join, zip(*columns, strict=True)), b""])


def joined(rows: Iterable[Sequence[bytes]]) -> bytes:
    """Return the rows of canonical cells."""
    return b"\n".join([*map(b"\t".join, rows), b""])


def folded(values: dict[str, Any]) -> bytes:
    """Return the cell of what is known to no column; empty for nothing."""
    return escaped(orjson.dumps(values, default=_bytes)) if values else b""


def fold(piece: Piece, columns: Sequence[Column], *, unknown: bool) -> Piece:
    """Return the rows of the known columns; what stands in the others is kept in EXTRA if `unknown`."""
    rows = [line.split(b"\t") for line in piece.body[:-1].split(b"\n")]
    made = list(zip(*rows, strict=True))
    known = [made[index] for index, column in enumerate(columns) if column.known]
    if not unknown:
        return Piece(piece.count, assembled(known))
    others = [(column.name, loose(column.type), index) for index, column in enumerate(columns) if not column.known]
    extra = [folded({name: value(row[index]) for name, value, index in others}) for row in rows]
    return Piece(piece.count, assembled([*known, extra]), extra=True)


def loose(type: Type) -> Callable[[bytes], Any]:
    """Return what makes a value for JSON of a canonical cell."""
    match type.kind:
        case "integer":
            return int
        case "float":
            return float
        case "bool":
            return lambda cell: cell == b"true"
    return lambda cell: unescaped(cell).decode("utf-8", "replace")


def _bytes(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def located(
    error: ClickHouseError, cells: Sequence[Any], way: Callable[[Any], bytes], column: Column, before: int
) -> ClickHouseError:
    """Return the error with the row and the column that it is of."""
    for index, cell in enumerate(cells):
        try:
            way(cell)
        except ClickHouseError:
            return at_row(error, column.name, before + index + 1)
    return error


def at_row(error: ClickHouseError, column: str, row: int) -> ClickHouseError:
    return ClickHouseError(error.code, error.name, f"{error.text}: (at row {row}, column {column})")
