"""What one chunk holds, as packed columns: the rows of a source and layout over a day, or cells over a longer period.

The first two columns are the axis: of rows their times and how long after the time of the row before they begin
(microseconds, mostly 0), of cells their ends and their lengths in seconds. The values follow: of rows one column per
name, of cells five per name (known, mean, min, max, last).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Floats
from monitor.consolidate import Cells
from monitor.store import copying
from monitor.store.packing import Packed, pack, pack_times, refers, unpack, unpack_times

AXIS = 2
PARTS = 5
MOST_ROWS = 100_000

Ints = NDArray[np.int64]


class Rows(NamedTuple):
    """Rows of one layout: times in the database's microseconds; `values` has a column per name."""

    time: Ints
    since: Ints
    values: Floats


def parts(rows: Rows) -> Iterator[Rows]:
    """Yield rows in parts of as many as a chunk may hold."""
    for first in range(0, len(rows.time), MOST_ROWS):
        at = slice(first, first + MOST_ROWS)
        yield Rows(rows.time[at], rows.since[at], rows.values[at])


def of_rows(rows: Rows) -> Packed:
    """Pack rows, sorted by time and since."""
    axis = [pack_times(rows.time), pack_times(rows.since - _before(rows.time))]
    return _behind(axis, [pack(rows.values, seconds=copying.seconds(rows.time) - copying.seconds(rows.since))])


def of_cells(cells: Cells, names: int) -> Packed:
    """Pack the cells of so many series."""
    axis = [pack_times(cells.ends), pack_times(cells.ends - cells.begins)]
    return _behind(axis, [pack([part[:, i] for part in cells.parts]) for i in range(names)])


def _behind(axis: Sequence[bytes], packed: Sequence[Packed]) -> Packed:
    offsets = [0]
    for part in axis:
        offsets.append(offsets[-1] + len(part))
    for one in packed:
        first = offsets[-1]
        offsets += [first + offset for offset in one.offsets[1:]]
    return Packed(b"".join([*axis, *(one.data for one in packed)]), offsets)


def cut(data: bytes, offsets: Sequence[int], first: int, count: int) -> list[bytes]:
    """Return `count` columns from `first` on; `data` begins with the first of `offsets`."""
    origin = offsets[0]
    return [data[offsets[i] - origin : offsets[i + 1] - origin] for i in range(first, first + count)]


def _before(time: Ints) -> Ints:
    """Return the time of the row before each; of the first its own."""
    return np.concatenate((time[:1], time[:-1]))


class Axis(NamedTuple):
    """When rows were, in the database's microseconds and in epoch seconds, of which `elapsed` is the difference."""

    time: Ints
    since: Ints
    times: Floats
    sinces: Floats
    elapsed: Floats


@lru_cache(maxsize=64)
def row_axis(time: bytes, gap: bytes) -> Axis:
    """Return the axis of rows from its two columns; many series of a source are read one after the other."""
    at = unpack_times(time)
    since = _before(at) + unpack_times(gap)
    times, sinces = copying.seconds(at), copying.seconds(since)
    axis = Axis(at, since, times, sinces, times - sinces)
    for array in axis:
        array.flags.writeable = False
    return axis


def row_values(column: bytes, seconds: Floats, other: Callable[[int], bytes]) -> Floats:
    """Return one column of rows; `other` gives the value column of a number, where this one is equal to it."""
    number = refers(column)
    return unpack(column if number is None else other(number), seconds=seconds)


def equal_to(column: bytes) -> int | None:
    """Return the number of the value column that this one is equal to; None when it stands for itself."""
    return refers(column)


def read_rows(data: bytes, offsets: Sequence[int]) -> Rows:
    """Return all rows of a chunk."""
    columns = cut(data, offsets, 0, len(offsets) - 1)
    axis = row_axis(*columns[:AXIS])
    rows = Rows(axis.time, axis.since, np.empty((len(axis.time), len(columns) - AXIS)))
    for i, column in enumerate(columns[AXIS:]):
        rows.values[:, i] = row_values(column, axis.elapsed, lambda number: columns[AXIS + number])
    return rows


@lru_cache(maxsize=256)
def cell_axis(ends: bytes, length: bytes) -> tuple[Ints, Ints]:
    """Return the begins and ends of cells from the two columns of the axis."""
    at = unpack_times(ends)
    begins = at - unpack_times(length)
    for array in (at, begins):
        array.flags.writeable = False
    return begins, at


def cell_values(columns: Sequence[bytes], wanted: Iterable[int] = range(PARTS)) -> list[Floats]:
    """Return known, mean, min, max and last of one name from its five columns, or only those wanted."""
    parts: dict[int, Floats] = {}
    found = []
    for place in wanted:
        number = refers(columns[place])
        if number is not None and not number < place:
            raise ValueError(f"expected the number of an earlier column, got {number}")
        origin = place if number is None else number
        if origin not in parts:
            parts[origin] = unpack(columns[origin])
        found.append(parts[origin])
    return found


def read_cells(data: bytes, offsets: Sequence[int]) -> Cells:
    """Return all cells of a chunk, a column per name."""
    columns = cut(data, offsets, 0, len(offsets) - 1)
    begins, ends = cell_axis(*columns[:AXIS])
    names = (len(columns) - AXIS) // PARTS
    parts = [np.empty((len(ends), names)) for _ in range(PARTS)]
    for i in range(names):
        first = AXIS + i * PARTS
        for part, values in zip(parts, cell_values(columns[first : first + PARTS]), strict=True):
            part[:, i] = values
    return Cells(begins, ends, *parts)
