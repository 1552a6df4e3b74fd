"""Rows that are there already, with the same source, time and since: the first known value of each name wins."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from monitor.batch import Layout
from monitor.store.identities import Identities

STAGE = "CREATE TEMP TABLE IF NOT EXISTS stage (LIKE sample) ON COMMIT DELETE ROWS"
INSERT = "INSERT INTO {leaf} SELECT * FROM stage ON CONFLICT DO NOTHING"
DIFFERING = """
SELECT n.source_id, n.time, n.since, o.layout_id AS old_layout, o.values AS old, n.layout_id AS new_layout,
    n.values AS new
FROM stage n JOIN {leaf} o USING (source_id, time, since)
WHERE n.layout_id <> o.layout_id OR n.values IS DISTINCT FROM o.values
"""
UPDATE = "UPDATE {leaf} SET layout_id = $4, values = $5 WHERE source_id = $1 AND time = $2 AND since = $3"

Values = Sequence[float | None]


async def merge(
    connection: asyncpg.Connection, leaf: str, copy: Callable[[str], Awaitable[None]], identities: Identities
) -> int:
    """Store rows of which some are there; `copy` copies them into a table. Return how many were there."""
    await connection.execute(STAGE)
    await connection.execute("TRUNCATE stage")
    await copy("stage")
    staged = await connection.fetchval("SELECT count(*) FROM stage")
    inserted = int((await connection.execute(INSERT.format(leaf=leaf))).split()[-1])
    merged: dict[tuple[object, ...], tuple[Layout, list[float | None]]] = {}
    for row in await connection.fetch(DIFFERING.format(leaf=leaf)):
        key = (row["source_id"], row["time"], row["since"])
        layout, values = merged.get(key) or (identities.layouts[row["old_layout"]], row["old"])
        merged[key] = union(layout, values, identities.layouts[row["new_layout"]], row["new"])
    for (source, time, since), (layout, values) in merged.items():
        number = await identities.layout(connection, layout)
        known = next((one for one in identities.sources.values() if one.id == source), None)
        if known is not None and number not in known.layouts:
            await identities.link(connection, [(known, number, known.last_seen)])
        await connection.execute(UPDATE.format(leaf=leaf), source, time, since, number, values)
    return int(staged) - inserted


def union(layout: Layout, values: Values, other: Layout, more: Values) -> tuple[Layout, list[float | None]]:
    """Return a row with the names of both; of a name in both the first known value."""
    names, kinds, found = list(layout.names), list(layout.kinds), list(values)
    for name, kind, value in zip(other.names, other.kinds, more, strict=True):
        column = layout.column.get(name)
        if column is None:
            names.append(name)
            kinds.append(kind)
            found.append(value)
        elif found[column] is None or math.isnan(found[column] or 0.0):
            found[column] = value
    return (layout if len(names) == len(layout.names) else Layout(tuple(names), tuple(kinds))), found
