"""Writes blocks: binary COPY straight into the partitions, and a merge only where a row is there already.

What is new, sources, layouts and partitions, gets its place first, in transactions of its own; a crash in between
leaves names without rows, which is harmless. Then one transaction writes the rows and the cursor.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import asyncpg
import numpy as np

from monitor.batch import Block, Cursor, Entry, Floats, Records, Source
from monitor.handler import Refused
from monitor.store import copying, interning, merging
from monitor.store.classes import Classes
from monitor.store.events.intake import Intake
from monitor.store.identities import UNKNOWN, Identities, News, Slots
from monitor.store.partitions import Partitions
from monitor.store.table import Rows, rows_of
from monitor.store.trees import DAY, Leaf

T = TypeVar("T")

AHEAD = float(DAY)
"""Rows further in the future are refused: the partitions end there, and no true stamp lies there."""
FARTHEST_SINCE = 1e10
SAME = 2e-6
"""Seconds within which two times may become the same, for the database counts microseconds."""
IN_A_THREAD = 20_000
"""Values from which on the work with numpy is a thread's."""
FAR = 1 << 20
"""More days than there are."""
CURSOR = """
INSERT INTO journal_cursor VALUES (true, $1, $2) ON CONFLICT (one) DO UPDATE SET segment = $1, "row" = $2
"""
WHERE = 'SELECT segment, "row" FROM journal_cursor'
STALE = """
INSERT INTO stale SELECT s, to_timestamp(d) FROM unnest($1::int[], $2::float8[]) AS new (s, d)
ON CONFLICT (source_id, day) DO UPDATE SET marked = clock_timestamp()
"""

SET_FIRST = """
UPDATE source SET first_seen = to_timestamp(n.first) FROM unnest($1::int[], $2::float8[]) AS n (id, first)
WHERE source.id = n.id
"""


@dataclass(slots=True)
class Stats:
    rows: int = 0
    values: int = 0
    merged: int = 0
    """Rows that were there already, wholly or with other names."""
    refused: int = 0


@dataclass(slots=True)
class _Plan:
    """Rows whose sources and layouts have numbers, and what COPY takes of them, by leaf."""

    rows: list[tuple[Rows, Slots]]
    fresh: dict[Leaf, list[memoryview]]
    doubtful: dict[Leaf, list[memoryview]]
    """Rows that may be there already."""
    stale: set[tuple[int, int]] = field(default_factory=set)
    """The (source id, day) that were packed or consolidated before all of their rows were there."""
    first: dict[int, float] = field(default_factory=dict)
    """The slots that have rows now from before they were first seen, and when the first of these was."""


class Writer:
    """Writes to one database. The cursor goes with the rows, so that each is stored exactly once."""

    def __init__(
        self,
        identities: Identities,
        partitions: Partitions,
        classes: Classes,
        events: Intake,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.stats = Stats()
        self.identities = identities
        self.closed: dict[int, float] = {}
        """By class: rows older than this are packed or consolidated already, or are just being so."""
        self._partitions = partitions
        self._classes = classes
        self._events = events
        self._clock = clock
        self._doubt: tuple[Cursor | None, Cursor] | None = None
        """The cursors before and behind records of which nobody knows whether they were committed."""

    async def write(self, connection: asyncpg.Connection, entries: Sequence[Entry], cursor: Cursor) -> list[Refused]:
        """Store the rows and the cursor in one transaction; rows that can never be stored are refused."""
        blocks = [entry for entry in entries if isinstance(entry, Block)]
        records = [entry for entry in entries if isinstance(entry, Records)]
        if records and await self._committed(connection, cursor):
            return []
        refused = await self._write(connection, blocks, records, cursor)
        self._doubt = None
        return refused

    async def _committed(self, connection: asyncpg.Connection, cursor: Cursor) -> bool:
        """Tell whether the last try, of which only the answer was lost, has stored all this: rows of records may repeat
        legally, so nothing else tells."""
        row = await connection.fetchrow(WHERE)
        now = Cursor(*row) if row else None
        doubt, self._doubt = self._doubt, (now, cursor)
        return doubt is not None and doubt[1] == cursor == now != doubt[0]

    async def _write(
        self, connection: asyncpg.Connection, blocks: Sequence[Block], records: Sequence[Records], cursor: Cursor
    ) -> list[Refused]:
        size = sum(block.size for block in blocks)
        refused: list[Refused] = []
        tables = await _computed(size, lambda: [self._storable(rows, refused) for rows in rows_of(blocks)])
        tables = await self._intern(connection, tables, refused)
        plan = await _computed(size, lambda: self._plan(tables))
        for leaf in {**plan.fresh, **plan.doubtful}:
            await self._partitions.make(connection, leaf)
        await self._events.prepare(connection, records)
        merged, news = 0, News()
        async with connection.transaction():
            if plan.stale:
                await connection.execute(STALE, *map(list, zip(*sorted(plan.stale), strict=True)))
            if plan.first:
                numbers = [int(self.identities.ids[slot]) for slot in plan.first]
                await connection.execute(SET_FIRST, numbers, list(plan.first.values()))
            for leaf, parts in plan.fresh.items():
                merged += await self._store(connection, leaf, parts, news)
            for leaf, parts in plan.doubtful.items():
                merged += await self._merge(connection, leaf, parts, news)
            refused += await self._events.store(connection, records)
            await connection.execute(CURSOR, cursor.segment, cursor.row)
        self.identities.apply(news)
        for slot, first in plan.first.items():
            self.identities.first[slot] = first
        for rows, slots in plan.rows:
            self.identities.seen(slots, rows.layout_ids(self.identities.layout_ids), rows.times, rows.intervals)
            self.stats.rows += len(rows.sources)
            self.stats.values += rows.values.size
        self.stats.merged += merged
        self.stats.refused += len(refused)
        return refused

    def _storable(self, rows: Rows, refused: list[Refused]) -> Rows:
        """Return the rows without those that lie outside of what is kept."""
        now = self._clock()
        kept = (rows.times >= now - self._collected(rows)) & (rows.times <= now + AHEAD)
        kept &= np.abs(rows.since) < FARTHEST_SINCE
        for row in np.flatnonzero(~kept).tolist():
            item = f"{':'.join(rows.sources[row])} at {rows.times[row]:.0f}"
            refused.append(Refused(item, "outside of what is kept: older than the retention, or in the future"))
        return rows if kept.all() else rows.take(np.flatnonzero(kept))

    def _collected(self, rows: Rows) -> Floats | float:
        """Return how long each row is kept."""
        retention = self._classes.retention
        if len(retention.classes) == 1:
            return retention.classes[0].collected
        return np.array([retention.of(source).collected for source in rows.sources])

    async def _intern(self, connection: asyncpg.Connection, tables: list[Rows], refused: list[Refused]) -> list[Rows]:
        """Give numbers to all that is new; return the rows without those whose names cannot be stored."""
        known = self.identities
        layouts = {layout for rows in tables for layout in rows.layouts if layout not in known.layout_ids}
        sources: dict[Source, tuple[float, float, int]] = {}
        for rows in tables:
            for row in np.flatnonzero(known.resolve(rows.sources) == UNKNOWN).tolist():
                source = rows.sources[row]
                new = float(rows.intervals[row]), float(rows.times[row]), self._classes.of(source)
                sources.setdefault(source, new)
        if layouts or sources:
            bad: dict[object, str] = {one: why for one in layouts if (why := interning.layout_problem(one))}
            bad.update({one: why for one in sources if (why := interning.source_problem(one))})
            if bad:
                tables = [_without(rows, bad, refused) for rows in tables]
            news = News()
            async with connection.transaction():
                await interning.add_layouts(connection, [one for one in layouts if one not in bad], news)
                good = {source: what for source, what in sources.items() if source not in bad}
                await interning.add_sources(connection, good, news)
            known.apply(news)
        await self._link(connection, tables)
        return tables

    async def _link(self, connection: asyncpg.Connection, tables: list[Rows]) -> None:
        """Note new layouts of sources, and what their meta say now."""
        known = self.identities
        links: dict[tuple[int, int], float] = {}
        meta: dict[int, dict[str, str]] = {}
        for rows in tables:
            slots, layouts = known.resolve(rows.sources), rows.layout_ids(known.layout_ids)
            for row in known.unlinked(slots, layouts):
                links.setdefault((int(known.ids[slots[row]]), int(layouts[row])), float(rows.times[row]))
            for row, more in rows.meta.items():
                slot = int(slots[row])
                wanted = {key: value for key, value in more.items() if interning.storable(key + value)}
                changed = known.merged_meta(slot, {**meta.get(slot, {}), **wanted})
                if changed is not None:
                    meta[slot] = changed
        if links or meta:
            news = News()
            async with connection.transaction():
                await interning.add_links(connection, [(*pair, at) for pair, at in links.items()], news)
                await interning.set_meta(connection, known, meta, news)
            known.apply(news)

    def _plan(self, tables: Sequence[Rows]) -> _Plan:
        """Build what COPY takes, for every leaf."""
        known, plan = self.identities, _Plan([], {}, {})
        for rows in tables:
            slots, layouts = known.resolve(rows.sources), rows.layout_ids(known.layout_ids)
            plan.rows.append((rows, slots))
            for row in np.flatnonzero(rows.times < known.first[slots]).tolist():
                slot = int(slots[row])
                plan.first[slot] = min(float(rows.times[row]), plan.first.get(slot, np.inf))
            times, since = copying.microseconds(rows.times), copying.microseconds(rows.since)
            classes, days = known.kept[slots], copying.days(times)
            # Only what is not newer than all that is known of its source can be there already.
            fresh = rows.times > known.last[slots] + SAME
            kinds = (classes * FAR + days) * 2 + fresh
            for kind in np.unique(kinds).tolist():
                here, (place, new) = kinds == kind, divmod(kind, 2)
                kept, day = divmod(place, FAR)
                at = slice(None) if here.all() else here
                part = copying.rows(times[at], since[at], known.ids[slots[at]], layouts[at], kept, rows.values[at])
                leaf = self._partitions.rows(kept).leaf(day * DAY)
                (plan.fresh if new else plan.doubtful).setdefault(leaf, []).append(part)
                if (closed := self.closed.get(kept, 0.0)) > day * DAY - DAY:
                    for row in np.flatnonzero(here & (rows.since < closed)).tolist():
                        number = int(known.ids[slots[row]])
                        touched = {day * DAY, int(rows.since[row] // DAY) * DAY}
                        plan.stale.update((number, each) for each in touched if each < closed)
        return plan

    async def _store(self, connection: asyncpg.Connection, leaf: Leaf, parts: list[memoryview], news: News) -> int:
        """Write a leaf's rows; return how many were there."""
        try:
            async with connection.transaction():
                await _copy(connection, leaf.name, parts)
        except asyncpg.UniqueViolationError:
            return await self._merge(connection, leaf, parts, news)
        return 0

    async def _merge(self, connection: asyncpg.Connection, leaf: Leaf, parts: list[memoryview], news: News) -> int:
        merge = merging.Merge(connection, leaf.name, self.identities, news)
        return await merge.run(lambda table: _copy(connection, table, parts))


def _without(rows: Rows, bad: dict[object, str], refused: list[Refused]) -> Rows:
    """Return the rows whose source and layout are not bad."""
    kept = []
    for row, source in enumerate(rows.sources):
        why = bad.get(source) or bad.get(rows.layouts[rows.layout[row]])
        if why is None:
            kept.append(row)
        else:
            refused.append(Refused(":".join(source)[:200], why))
    return rows.take(np.array(kept, dtype=np.intp))


async def _computed(size: int, work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work) if size > IN_A_THREAD else work()


async def _copy(connection: asyncpg.Connection, table: str, parts: Sequence[memoryview]) -> int:
    """Copy rows into a table; return how many."""

    async def source() -> AsyncIterator[memoryview | bytes]:
        for piece in copying.pieces(parts):
            yield piece

    done = await connection.copy_to_table(table, source=source(), columns=copying.COLUMNS, format="binary")
    return int(done.split()[-1])
