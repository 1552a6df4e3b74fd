"""Packs the rows of one source and one layout, or its cells of a tier, so that one column can be read by its bytes.

Lossless for every float64 bit pattern. No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Floats
from monitor.store.column import pack_floats, pack_integers, referred, same, unpack_floats, unpack_integers


@dataclass(frozen=True, slots=True)
class Packed:
    """Column i is data[offsets[i] : offsets[i + 1]]."""

    data: bytes
    offsets: list[int]


def pack(columns: Sequence[Floats] | Floats, *, seconds: Floats | None = None) -> Packed:
    """Pack columns of equal length: a sequence of them, or an array of the shape (rows, columns).

    `seconds` are the rows' time - since. They must be bit for bit those that `unpack` gets, and pay only if they are
    bit for bit those by which the rates were divided: the difference of the two float64 stamps, as monitor.rates makes
    it, of stamps that are whole microseconds in the store.
    """
    if isinstance(columns, np.ndarray):
        columns = list(np.ascontiguousarray(columns.T))
    rows = {len(column) for column in columns} | ({len(seconds)} if seconds is not None else set())
    if len(rows) > 1:
        raise ValueError(f"expected columns and seconds of one length, got {sorted(rows)}")
    parts: list[bytes] = []
    seen: dict[bytes, int] = {}
    for place, column in enumerate(columns):
        values = np.ascontiguousarray(column, dtype=np.float64)
        before = seen.setdefault(values.tobytes(), place)
        packed = pack_floats(values, seconds) if before == place or len(parts[before]) <= 4 else same(before)
        parts.append(packed)
    offsets = [0, *np.cumsum([len(part) for part in parts]).tolist()]
    return Packed(b"".join(parts), offsets)


def refers(column: bytes) -> int | None:
    """Return the number of the earlier column that this one is equal to, and whose bytes `unpack` needs instead."""
    return referred(column)


def unpack(column: bytes, *, seconds: Floats | None = None) -> Floats:
    """Return the values of one column, which refers to no other; ValueError when the bytes are none."""
    return unpack_floats(column, seconds)


def pack_times(times: NDArray[np.int64]) -> bytes:
    """Pack integers, such as times in microseconds: short if each is near to the one before and a step.

    Of a row's `since` give the difference to the time of the row before, which is mostly 0.
    """
    return pack_integers(np.ascontiguousarray(times, dtype=np.int64))


def unpack_times(column: bytes) -> NDArray[np.int64]:
    """Return what `pack_times` was given; ValueError when the bytes are none."""
    return unpack_integers(column)
