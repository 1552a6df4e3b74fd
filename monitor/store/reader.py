"""Reads rows and cells back as numpy arrays: the server sends bytes, so that a row costs the event loop nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import asyncpg
import numpy as np

from monitor.batch import Floats, Source
from monitor.consolidate import CF, Cells, join
from monitor.handler import Points
from monitor.store import chunk, chunks, copying
from monitor.store.identities import Identities
from monitor.store.partitions import Partitions
from monitor.store.trees import DAY, PACKED

T = TypeVar("T")

ABSENT = 0x7FF8_0000_0000_DEAD
"""A NaN that stands for NULL, not reported, on the way to us."""
PLACES = {CF.AVERAGE: 1, CF.MIN: 2, CF.MAX: 3, CF.LAST: 4}
"""Which of the five columns of cells a function needs, beside the first; the others follow from that alone."""
NAMES_AT_ONCE = 400
"""Series of a source that are read by one statement, which may have at most 1,664 columns."""
IN_A_THREAD = 10
"""Packed columns from which on they are unpacked in a thread."""

ROWS = """
SELECT string_agg(timestamptz_send(time), ''), string_agg(timestamptz_send(since), ''), {columns}
FROM (
    SELECT time, since, {values} FROM sample_{kept}
    WHERE source_id = $1 AND layout_id = $2
        AND time > to_timestamp($3::float8) AND since < to_timestamp($4::float8)
    ORDER BY time, since
) rows
"""
COLUMN = "string_agg(coalesce(float8send(v{number}), '\\x{absent:016x}'), '')"


async def read(
    connection: asyncpg.Connection,
    known: Identities,
    partitions: Partitions,
    source: Source,
    names: Sequence[str],
    start: float,
    end: float,
) -> dict[str, Points]:
    """Return the rows of a source that touch start..end, by name, sorted by time."""
    slot = known.slots.get(source)
    found: dict[str, Points] = {}
    if slot is not None:
        for some in _in_parts(names):
            found |= await _read(connection, known, partitions, slot, some, start, end)
    return found


def _in_parts(names: Sequence[str]) -> list[list[str]]:
    once = list(dict.fromkeys(names))
    return [once[first : first + NAMES_AT_ONCE] for first in range(0, len(once), NAMES_AT_ONCE)]


async def _read(
    connection: asyncpg.Connection, known: Identities, partitions: Partitions, slot: int, names: Sequence[str],
    start: float, end: float,
) -> dict[str, Points]:  # fmt: skip
    found: dict[str, list[Points]] = {}
    number, reach = int(known.ids[slot]), end + 2 * float(known.interval[slot])
    for layout_id in known.held[slot]:
        layout = known.layouts[layout_id]
        here = [name for name in names if name in layout.column]
        if not here:
            continue
        for kept in known.classes_of(slot):
            # Rows are packed before they go: in this order none is missed, and one read twice counts once.
            if partitions.touched(kept, None, start, reach):
                values = ", ".join(f"values[{layout.column[name] + 1}] AS v{i}" for i, name in enumerate(here))
                columns = ", ".join(COLUMN.format(number=i, absent=ABSENT) for i in range(len(here)))
                query = ROWS.format(columns=columns, values=values, kept=kept)
                row = await connection.fetchrow(query, number, layout_id, start, end)
                for name, points in zip(here, _points(row), strict=False):
                    found.setdefault(name, []).append(points)
            if partitions.touched(kept, PACKED, start, reach):
                tree = partitions.trees[kept, PACKED]
                ranges = list(chunks.value_ranges(layout, here, 1))
                packed = await chunks.columns(connection, tree, number, layout_id, ranges, start - DAY, reach)
                others = await _referred(connection, known, partitions, (number, layout_id), kept, packed, start, reach)
                for day, other in zip(packed, others, strict=True):
                    parts = await _computed(len(here), partial(_unpacked, day, other, start, end))
                    for name, points in zip(here, parts, strict=True):
                        found.setdefault(name, []).append(points)
    joined = {name: _joined([one for one in parts if len(one.time)]) for name, parts in found.items()}
    return {name: points for name, points in joined.items() if points is not None}


async def _referred(
    connection: asyncpg.Connection, known: Identities, partitions: Partitions, place: tuple[int, int], kept: int,
    packed: Sequence[list[list[bytes]]], start: float, end: float,
) -> list[dict[int, bytes]]:  # fmt: skip
    """Return, for each chunk, the columns that others are said to be equal to, by number."""
    numbers = sorted(
        {number for day in packed for (column,) in day[1:] if (number := chunk.equal_to(column)) is not None}
    )
    if not numbers:
        return [{} for _ in packed]
    ranges = [(chunk.AXIS + number, 1) for number in numbers]
    more = await chunks.columns(connection, partitions.trees[kept, PACKED], *place, ranges, start - DAY, end)
    return [{number: column for number, (column,) in zip(numbers, day, strict=True)} for day in more]


def _unpacked(day: list[list[bytes]], other: dict[int, bytes], start: float, end: float) -> list[Points]:
    """Return the points of every column of one chunk."""
    _, _, times, sinces, seconds = chunk.row_axis(*day[0])
    wanted = (times > start) & (sinces < end)
    at = slice(None) if wanted.all() else wanted
    return [
        _there(times[at], sinces[at], chunk.row_values(column, seconds, other.__getitem__)[at]) for (column,) in day[1:]
    ]


def _points(row: Sequence[bytes | None]) -> list[Points]:
    """Return the points of every column after the two of times; none of what was not reported."""
    if row[0] is None:
        return []
    time, since = (copying.seconds(np.frombuffer(one or b"", ">i8").astype(np.int64)) for one in row[:2])
    return [_there(time, since, np.frombuffer(one or b"", ">f8").astype(np.float64)) for one in row[2:]]


def _there(time: Floats, since: Floats, value: Floats) -> Points:
    there = value.view(np.uint64) != ABSENT
    return Points(time, since, value) if there.all() else Points(time[there], since[there], value[there])


def _joined(parts: list[Points]) -> Points | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    time, since, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((since, time))
    return Points(time[order], since[order], value[order])


async def read_cells(
    connection: asyncpg.Connection,
    known: Identities,
    partitions: Partitions,
    source: Source,
    names: Sequence[str],
    step: int,
    start: float,
    end: float,
    cf: CF,
) -> dict[str, Cells]:
    """Return the cells of a tier of a source that have a part in start..end, by name, good for one function."""
    slot = known.slots.get(source)
    found: dict[str, Cells] = {}
    if slot is not None:
        for some in _in_parts(names):
            found |= await _read_cells(connection, known, partitions, slot, some, step, start, end, cf)
    return found


async def _read_cells(
    connection: asyncpg.Connection, known: Identities, partitions: Partitions, slot: int, names: Sequence[str],
    step: int, start: float, end: float, cf: CF,
) -> dict[str, Cells]:  # fmt: skip
    found: dict[str, list[Cells]] = {}
    for kept in known.classes_of(slot):
        if not partitions.touched(kept, step, start, end):
            continue
        tree = partitions.trees[kept, step]
        for layout_id in known.held[slot]:
            layout = known.layouts[layout_id]
            here = [name for name in names if name in layout.column]
            if not here:
                continue
            ranges = list(chunks.value_ranges(layout, here, chunk.PARTS))
            before = start - tree.period * DAY
            rows = await chunks.columns(connection, tree, int(known.ids[slot]), layout_id, ranges, before, end)
            parts = await _computed(2 * len(here) * len(rows), partial(_all_cells, rows, cf))
            for row in parts:
                for name, cells in zip(here, row, strict=True):
                    found.setdefault(name, []).append(cells)
    return {
        name: _in_order(parts).between(int(start), int(end)) for name, parts in found.items() if any(map(len, parts))
    }


def _all_cells(rows: list[list[list[bytes]]], cf: CF) -> list[list[Cells]]:
    return [_cells(row, cf) for row in rows]


def _cells(row: list[list[bytes]], cf: CF) -> list[Cells]:
    begins, ends = chunk.cell_axis(*row[0])
    made = []
    for columns in row[1:]:
        known, wanted = chunk.cell_values(columns, (0, PLACES[cf]))
        made.append(Cells(begins, ends, known, wanted, wanted, wanted, wanted))
    return made


def _in_order(parts: list[Cells]) -> Cells:
    """Return cells as one; where those of a former class are there too, the cells that know more."""
    parts = [part for part in parts if len(part)]
    cells = join(sorted(parts, key=lambda part: int(part.ends[0])))
    if (cells.ends[1:] > cells.ends[:-1]).all():
        return cells
    order = np.lexsort((-cells.known, cells.ends))
    ends = cells.ends[order]
    return cells.take(order[np.concatenate(([True], ends[1:] != ends[:-1]))])


async def _computed(columns: int, work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work) if columns > IN_A_THREAD else work()
