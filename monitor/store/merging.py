"""Rows that are there already, with the same source, time and since: the first known value of each name wins."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from monitor.batch import Layout
from monitor.store import interning
from monitor.store.identities import Identities, News

AT_ONCE = 100
"""Rows that are merged in one go: the loop is never held long."""
STAGE = "CREATE TEMP TABLE IF NOT EXISTS stage (LIKE sample) ON COMMIT DELETE ROWS"
INSERT = "INSERT INTO {leaf} SELECT * FROM stage ON CONFLICT DO NOTHING"
# The offset keeps this a look-up by key for every staged row: without statistics the planner would hash the leaf.
DIFFERING = """
SELECT n.source_id, n.time, n.since, extract(epoch FROM n.time)::float8 AS seconds,
    o.layout_id AS old_layout, o.values AS old, n.layout_id AS new_layout, n.values AS new
FROM stage n CROSS JOIN LATERAL (
    SELECT layout_id, values FROM {leaf} o
    WHERE o.source_id = n.source_id AND o.time = n.time AND o.since = n.since OFFSET 0
) o
WHERE n.layout_id <> o.layout_id OR (n.values IS DISTINCT FROM o.values
    AND (array_position(o.values, 'NaN') IS NOT NULL OR array_position(o.values, NULL) IS NOT NULL))
ORDER BY n.ctid
"""
UPDATE = "UPDATE {leaf} SET layout_id = $4, values = $5 WHERE source_id = $1 AND time = $2 AND since = $3"

Values = Sequence[float | None]


class Merge:
    """Merges rows into one leaf within the caller's transaction; what it adds goes to `news`."""

    def __init__(self, connection: asyncpg.Connection, leaf: str, known: Identities, news: News) -> None:
        self._connection = connection
        self._leaf = leaf
        self._known = known
        self._news = news

    async def run(self, copy: Callable[[str], Awaitable[int]]) -> int:
        """Store rows, which `copy` copies into a table; return how many of them were there."""
        await self._connection.execute(STAGE)
        await self._connection.execute("TRUNCATE stage")
        staged = await copy("stage")
        inserted = int((await self._connection.execute(INSERT.format(leaf=self._leaf))).split()[-1])
        rows: dict[tuple[object, ...], tuple[float, Layout, Values]] = {}
        changed = set()
        async for row in self._connection.cursor(DIFFERING.format(leaf=self._leaf), prefetch=AT_ONCE):
            key = (row["source_id"], row["time"], row["since"])
            seconds, layout, values = rows.get(key) or (row["seconds"], self._layout(row["old_layout"]), row["old"])
            rows[key] = (seconds, *union(layout, values, self._layout(row["new_layout"]), row["new"]))
            if rows[key][1:] != (layout, values):
                changed.add(key)
            if len(rows) % AT_ONCE == 0:
                await asyncio.sleep(0)
        await self._update({key: rows[key] for key in rows if key in changed})
        return staged - inserted

    def _layout(self, number: int) -> Layout:
        return self._known.layouts[number]

    def _number(self, layout: Layout) -> int | None:
        return self._known.layout_ids.get(layout, self._news.layouts.get(layout))

    async def _update(self, rows: dict[tuple[object, ...], tuple[float, Layout, Values]]) -> None:
        new = {layout for _, layout, _ in rows.values() if self._number(layout) is None}
        await interning.add_layouts(self._connection, new, self._news)
        changes, links = [], {}
        for key, (seconds, layout, values) in rows.items():
            number = self._number(layout)
            changes.append((*key, number, values))
            links[key[0], number] = seconds
        await interning.add_links(self._connection, [(*pair, at) for pair, at in links.items()], self._news)  # type: ignore[misc]
        await self._connection.executemany(UPDATE.format(leaf=self._leaf), changes)


def union(layout: Layout, values: Values, other: Layout, more: Values) -> tuple[Layout, Values]:
    """Return a row with the names of both; of a name in both the first known value."""
    names, kinds, found = list(layout.names), list(layout.kinds), list(values)
    for name, kind, value in zip(other.names, other.kinds, more, strict=True):
        column = layout.column.get(name)
        if column is None:
            names.append(name)
            kinds.append(kind)
            found.append(value)
        elif _better(value, found[column]):
            found[column] = value
    same = len(names) == len(layout.names)
    return (layout if same else Layout(tuple(names), tuple(kinds))), (values if same and found == values else found)


def _better(value: float | None, than: float | None) -> bool:
    """Whether a value says more: a number than unknown, unknown than not reported."""
    if than is None:
        return value is not None
    return math.isnan(than) and value is not None and not math.isnan(value)
