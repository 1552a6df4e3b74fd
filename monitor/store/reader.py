"""Reads rows back as numpy arrays: the server sends bytes, so that a row costs the event loop nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
import numpy as np

from monitor.batch import Series, Source
from monitor.handler import Points
from monitor.store import copying
from monitor.store.identities import Identities
from monitor.store.writer import CLASS

AT_ONCE = 50
"""Sources whose newest rows are unpacked in one go: the loop is never held long."""
ABSENT = 0x7FF8_0000_0000_DEAD
"""A NaN that stands for NULL, not reported, on the way to us."""

ROWS = """
SELECT string_agg(timestamptz_send(time), ''), string_agg(timestamptz_send(since), ''), {columns}
FROM (
    SELECT time, since, {values} FROM sample
    WHERE class = $1 AND source_id = $2 AND layout_id = $3
        AND time > to_timestamp($4::float8) AND since < to_timestamp($5::float8)
    ORDER BY time, since
) rows
"""
COLUMN = "string_agg(coalesce(float8send(v{number}), '\\x{absent:016x}'), '')"
LATEST = """
SELECT pair.source_id, pair.layout_id, extract(epoch FROM newest.time)::float8 AS time, newest.values
FROM unnest($2::int[], $3::int[]) AS pair (source_id, layout_id)
CROSS JOIN LATERAL (
    SELECT time, values FROM sample
    WHERE class = $1 AND source_id = pair.source_id AND layout_id = pair.layout_id AND time > to_timestamp($4::float8)
    ORDER BY time DESC, since DESC LIMIT 1
) newest
"""


async def read(
    connection: asyncpg.Connection, known: Identities, source: Source, names: Sequence[str], start: float, end: float
) -> dict[str, Points]:
    """Return the rows of a source that touch start..end, by name, sorted by time."""
    slot = known.slots.get(source)
    if slot is None:
        return {}
    found: dict[str, list[Points]] = {}
    for number in known.held[slot]:
        layout = known.layouts[number]
        here = [name for name in dict.fromkeys(names) if name in layout.column]
        if not here:
            continue
        values = ", ".join(f"values[{layout.column[name] + 1}] AS v{i}" for i, name in enumerate(here))
        columns = ", ".join(COLUMN.format(number=i, absent=ABSENT) for i in range(len(here)))
        row = await connection.fetchrow(
            ROWS.format(columns=columns, values=values), CLASS, int(known.ids[slot]), number, start, end
        )
        for name, points in zip(here, _points(row), strict=False):
            found.setdefault(name, []).append(points)
    return {name: _joined(parts) for name, parts in found.items()}


def _points(row: Sequence[bytes | None]) -> list[Points]:
    """Return the points of every column after the two of times; none of what was not reported."""
    if row[0] is None:
        return []
    time, since = (copying.seconds(np.frombuffer(one or b"", ">i8").astype(np.int64)) for one in row[:2])
    points = []
    for one in row[2:]:
        value = np.frombuffer(one or b"", ">f8").astype(np.float64)
        there = value.view(np.uint64) != ABSENT
        points.append(Points(time, since, value) if there.all() else Points(time[there], since[there], value[there]))
    return points


def _joined(parts: list[Points]) -> Points:
    if len(parts) == 1:
        return parts[0]
    time, since, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((since, time))
    return Points(time[order], since[order], value[order])


async def latest(
    connection: asyncpg.Connection, known: Identities, sources: Sequence[Source], after: float
) -> dict[Series, tuple[float, float]]:
    """Return (time, value) of the newest row of every series."""
    found: dict[Series, tuple[float, float]] = {}
    for first in range(0, len(sources), AT_ONCE):
        by_id: dict[int, Source] = {}
        pairs: list[tuple[int, int]] = []
        for source in sources[first : first + AT_ONCE]:
            slot = known.slots.get(source)
            if slot is not None:
                by_id[int(known.ids[slot])] = source
                pairs += ((int(known.ids[slot]), number) for number in known.held[slot])
        for some in (pairs[at : at + AT_ONCE] for at in range(0, len(pairs), AT_ONCE)):
            rows = await connection.fetch(LATEST, CLASS, [one[0] for one in some], [one[1] for one in some], after)
            for row in rows:
                layout, source, time = known.layouts.get(row["layout_id"]), by_id[row["source_id"]], row["time"]
                for name, value in zip(layout.names if layout else (), row["values"], strict=False):
                    series = Series(source, name)
                    if value is not None and (series not in found or found[series][0] < time):
                        found[series] = time, value
        await asyncio.sleep(0)
    return found
