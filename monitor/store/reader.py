"""Reads rows back as numpy arrays: the server sends bytes, so that a row costs the event loop nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import asyncpg
import numpy as np

from monitor.batch import Series, Source
from monitor.handler import Points
from monitor.store import copying
from monitor.store.identities import Identities, Known, moment
from monitor.store.writer import CLASS

DAY = 86400.0
AT_ONCE = 50
"""Sources whose newest rows are unpacked in one go: the loop is never held long."""

ROWS = """
SELECT string_agg(row, ''::bytea) FROM (
    SELECT timestamptz_send(time) || timestamptz_send(since) || {values} AS row FROM sample
    WHERE class = $1 AND source_id = $2 AND layout_id = $3 AND time > $4 AND time <= $5 AND since < $6
    ORDER BY time, since
) rows
"""
LATEST = """
SELECT pair.source_id, pair.layout_id, extract(epoch FROM newest.time)::float8 AS time, newest.values
FROM unnest($2::int[], $3::int[]) AS pair (source_id, layout_id)
CROSS JOIN LATERAL (
    SELECT time, values FROM sample
    WHERE class = $1 AND source_id = pair.source_id AND layout_id = pair.layout_id AND time > $4
    ORDER BY time DESC, since DESC LIMIT 1
) newest
"""


async def read(
    connection: asyncpg.Connection, identities: Identities, known: Known, names: Sequence[str], start: float, end: float
) -> dict[str, Points]:
    """Return the rows of a source that touch start..end, by name, sorted by time."""
    found: dict[str, list[Points]] = {}
    # A row that ends more than two intervals after `end` spans a gap there, whose values are unknown anyway.
    last = end + max(2 * known.interval, 120.0) + 1
    for number in known.layouts:
        layout = identities.layouts[number]
        here = [name for name in names if name in layout.column]
        if not here:
            continue
        values = " || ".join(f"float8send(coalesce(values[{layout.column[name] + 1}], 'NaN'))" for name in here)
        data = await connection.fetchval(
            ROWS.format(values=values), CLASS, known.id, number, moment(start), moment(last), moment(end)
        )
        if data:
            for name, points in zip(here, _points(data, len(here)), strict=True):
                found.setdefault(name, []).append(points)
    return {name: _joined(parts) for name, parts in found.items()}


def _points(data: bytes, width: int) -> Iterable[Points]:
    rows = np.frombuffer(data, dtype=[("time", ">i8"), ("since", ">i8"), ("values", ">f8", (width,))])
    time, since = (copying.seconds(rows[name].astype(np.int64)) for name in ("time", "since"))
    values = rows["values"].astype(np.float64)
    return (Points(time, since, np.ascontiguousarray(values[:, column])) for column in range(width))


def _joined(parts: list[Points]) -> Points:
    if len(parts) == 1:
        return parts[0]
    time, since, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((since, time))
    return Points(time[order], since[order], value[order])


async def latest(
    connection: asyncpg.Connection, identities: Identities, sources: Sequence[Source], after: float
) -> dict[Series, tuple[float, float]]:
    """Return (time, value) of the newest row of every series."""
    pairs = [
        (known, layout)
        for source in sources
        if (known := identities.sources.get(source)) is not None
        for layout in known.layouts
    ]
    by_id = {known.id: known.source for known, _ in pairs}
    found: dict[Series, tuple[float, float]] = {}
    for first in range(0, len(pairs), AT_ONCE):
        some = pairs[first : first + AT_ONCE]
        rows = await connection.fetch(
            LATEST, CLASS, [known.id for known, _ in some], [layout for _, layout in some], moment(after)
        )
        for row in rows:
            source, time = by_id[row["source_id"]], row["time"]
            for name, value in zip(identities.layouts[row["layout_id"]].names, row["values"], strict=True):
                series = Series(source, name)
                if value is not None and (series not in found or found[series][0] < time):
                    found[series] = time, value
        await asyncio.sleep(0)
    return found
