"""Rows as they are kept: canonical TabSeparated, whatever they came as.

Rows end with a newline, cells are apart by tabs; a String's bytes stand as they came except for the seven escapes
`\\\\ \\t \\n \\r \\b \\f \\0`; there is no NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from monitor.wire.clickhouse.cells import escaped


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


def assembled(columns: Sequence[Iterable[bytes]]) -> bytes:
    """Return the rows of columns of canonical cells."""
    return b"\n".join([*map(b"\t".join, zip(*columns, strict=True)), b""])


def joined(rows: Iterable[Sequence[bytes]]) -> bytes:
    """Return the rows of canonical cells."""
    return b"\n".join([*map(b"\t".join, rows), b""])


def folded(values: dict[str, Any]) -> bytes:
    """Return the cell of what is known to no column; empty for nothing."""
    return escaped(orjson.dumps(values, default=_bytes)) if values else b""


def _bytes(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
