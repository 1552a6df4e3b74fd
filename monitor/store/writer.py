"""Writes blocks: binary COPY straight into the partitions, and a merge only where a row is there already."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import asyncpg
import numpy as np

from monitor.batch import Block, Cursor
from monitor.handler import Refused
from monitor.store import copying, merging
from monitor.store.identities import Identities
from monitor.store.partitions import DAY, Leaf, Partitions

CLASS = 1
AHEAD = float(DAY)
"""Rows further in the future are refused: the partitions end there, and no true stamp lies there."""
IN_A_THREAD = 100_000
"""Values from which on building the buffer is a thread's work."""


@dataclass(slots=True)
class Stats:
    rows: int = 0
    values: int = 0
    merged: int = 0
    """Rows that were there already, wholly or with other names."""
    refused: int = 0


@dataclass(slots=True)
class _Part:
    """The rows of one block that go to one leaf."""

    block: Block
    layout: int
    sources: list[int] = field(default_factory=list)


class Writer:
    """Writes to one database. The cursor goes with the rows, so that each is stored exactly once."""

    def __init__(
        self, identities: Identities, partitions: Partitions, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.stats = Stats()
        self._identities = identities
        self._partitions = partitions
        self._clock = clock

    async def write(self, connection: asyncpg.Connection, blocks: Sequence[Block], cursor: Cursor) -> list[Refused]:
        """Store the rows and the cursor in one transaction; rows outside of the retention are refused."""
        refused: list[Refused] = []
        leaves: dict[Leaf, list[Block]] = {}
        for block in blocks:
            for leaf, part in self._by_leaf(block, refused):
                leaves.setdefault(leaf, []).append(part)
        for leaf in leaves:
            await self._partitions.make(connection, leaf)
        stored: list[_Part] = []
        async with connection.transaction():
            for leaf, parts in leaves.items():
                known = [await self._identify(connection, block) for block in parts]
                await self._store(connection, leaf, known)
                stored += known
            await connection.execute(
                'INSERT INTO journal_cursor VALUES (true, $1, $2)'
                ' ON CONFLICT (one) DO UPDATE SET segment = $1, "row" = $2',
                cursor.segment, cursor.row,
            )  # fmt: skip
        for one in stored:
            self._seen(one)
        self.stats.refused += len(refused)
        return refused

    def _by_leaf(self, block: Block, refused: list[Refused]) -> list[tuple[Leaf, Block]]:
        now = self._clock()
        oldest, newest = now - self._partitions.retention[CLASS], now + AHEAD
        days = (block.times // DAY).astype(np.int64)
        good = (block.times >= oldest) & (block.times <= newest)
        if not good.all():
            for row in np.flatnonzero(~good).tolist():
                item = f"{':'.join(block.sources[row])} at {block.times[row]:.0f}"
                refused.append(Refused(item, "outside of what is kept: older than the retention, or in the future"))
        if good.all() and (days == days[0]).all():
            return [(Leaf(CLASS, int(days[0]) * DAY), block)]
        return [
            (Leaf(CLASS, day * DAY), block.take(np.flatnonzero(good & (days == day)).tolist()))
            for day in np.unique(days[good]).tolist()
        ]

    async def _identify(self, connection: asyncpg.Connection, block: Block) -> _Part:
        known = self._identities.sources
        new = {
            source: (interval, at)
            for source, interval, at in zip(block.sources, block.intervals.tolist(), block.times.tolist(), strict=True)
            if source not in known
        }
        await self._identities.add(connection, new)
        layout = await self._identities.layout(connection, block.layout)
        unlinked = {
            source: at
            for source, at in zip(block.sources, block.times.tolist(), strict=True)
            if layout not in known[source].layouts
        }
        await self._identities.link(connection, [(known[source], layout, at) for source, at in unlinked.items()])
        return _Part(block, layout, [known[source].id for source in block.sources])

    async def _store(self, connection: asyncpg.Connection, leaf: Leaf, parts: Sequence[_Part]) -> None:
        size = sum(part.block.size for part in parts)
        data = await asyncio.to_thread(_buffer, leaf, parts) if size > IN_A_THREAD else _buffer(leaf, parts)
        try:
            async with connection.transaction():
                await _copy(connection, leaf.name, data)
        except asyncpg.UniqueViolationError:
            self.stats.merged += await merging.merge(
                connection, leaf.name, lambda table: _copy(connection, table, data), self._identities
            )
        self.stats.rows += sum(len(part.block) for part in parts)
        self.stats.values += size

    def _seen(self, part: _Part) -> None:
        sources, block = self._identities.sources, part.block
        rows = zip(block.sources, block.times.tolist(), block.intervals.tolist(), strict=True)
        for row, (source, at, interval) in enumerate(rows):
            self._identities.seen(sources[source], part.layout, at, interval, block.meta.get(row))


def _buffer(leaf: Leaf, parts: Sequence[_Part]) -> bytes:
    return copying.buffer(
        copying.rows(
            copying.microseconds(part.block.times), copying.microseconds(part.block.since),
            part.sources, part.layout, leaf.kept, part.block.rates,
        )
        for part in parts
    )  # fmt: skip


async def _copy(connection: asyncpg.Connection, table: str, data: bytes) -> None:
    async def once() -> AsyncIterator[bytes]:
        yield data

    await connection.copy_to_table(table, source=once(), columns=copying.COLUMNS, format="binary")
