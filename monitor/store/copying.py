"""Rows as PostgreSQL's binary COPY takes them, built by numpy: one structured array per width of row.

Format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"; float8[] as array_recv reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Floats

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
COLUMNS = ("time", "since", "source_id", "layout_id", "class", "values")
FLOAT8 = 701
PIECE = 64 * 1024
EPOCH = 946_684_800
"""PostgreSQL counts microseconds from 2000-01-01."""

Ints = NDArray[np.int64]


def microseconds(times: Floats) -> Ints:
    """Return epoch seconds as PostgreSQL's timestamps."""
    return np.rint((times - EPOCH) * 1e6).astype(np.int64)


def days(timestamps: Ints) -> Ints:
    """Return the days (UTC, since 1970) in which PostgreSQL's timestamps lie."""
    return np.asarray(timestamps // 86_400_000_000 + EPOCH // 86_400)


def seconds(timestamps: Ints) -> Floats:
    """Return PostgreSQL's timestamps as epoch seconds, each the float nearest to it."""
    return np.asarray((timestamps + EPOCH * 1_000_000) / 1e6)


@lru_cache(maxsize=4096)
def _row(width: int) -> np.dtype[np.void]:
    return np.dtype([
        ("fields", ">i2"),
        ("time_size", ">i4"), ("time", ">i8"),
        ("since_size", ">i4"), ("since", ">i8"),
        ("source_size", ">i4"), ("source", ">i4"),
        ("layout_size", ">i4"), ("layout", ">i4"),
        ("class_size", ">i4"), ("class", ">i2"),
        ("values_size", ">i4"), ("dimensions", ">i4"), ("nulls", ">i4"), ("type", ">i4"), ("length", ">i4"),
        ("lower", ">i4"),
        ("values", [("size", ">i4"), ("value", ">f8")], (width,)),
    ])  # fmt: skip


@lru_cache(maxsize=4096)
def _template(width: int) -> NDArray[np.void]:
    """Return a row of this width with all that is the same in every one."""
    row = np.zeros(1, dtype=_row(width))
    row["fields"] = len(COLUMNS)
    row["time_size"] = row["since_size"] = 8
    row["source_size"] = row["layout_size"] = 4
    row["class_size"] = 2
    row["values_size"] = 20 + 12 * width
    row["dimensions"] = 1
    row["type"] = FLOAT8
    row["length"] = width
    row["lower"] = 1
    row["values"]["size"] = 8
    return row


def rows(time: Ints, since: Ints, source: Ints, layout: Ints, kept: int, values: Floats) -> memoryview:
    """Return rows of one width; `values` has the shape (rows, names), `kept` is the retention class."""
    width = values.shape[1]
    out = np.empty(len(values), dtype=_row(width))
    out.view(np.uint8).reshape(len(values), -1)[:] = _template(width).view(np.uint8)
    out["time"] = time
    out["since"] = since
    out["source"] = source
    out["layout"] = layout
    out["class"] = kept
    out["values"]["value"] = values
    return out.view(np.uint8).data


def pieces(parts: Iterable[memoryview]) -> Iterator[memoryview | bytes]:
    """Yield what COPY reads, in pieces: the rows are not copied once more to put them together."""
    yield HEADER
    for part in parts:
        for first in range(0, len(part), PIECE):
            yield part[first : first + PIECE]
    yield TRAILER
