"""Builds history: packs the rows of days that are over, and makes the cells of tiers, each period once it is over.

Everything is made from what is stored and put in the place of what was made before, so that it may be interrupted
anywhere and done again. What is newer than a tier's newest period is read from finer tiers or from the rows; so every
cell is written once. Rows that come later mark their days as stale, and these are made again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import numpy as np

from monitor.batch import Layout
from monitor.consolidate import CF
from monitor.handler import History
from monitor.rates import heartbeat
from monitor.retention import RetentionClass, Tier
from monitor.store import chunk, chunks, copying, interning, rows, wide
from monitor.store.chunks import Chunk
from monitor.store.classes import Classes
from monitor.store.identities import Identities, News
from monitor.store.partitions import Partitions
from monitor.store.repack import merged
from monitor.store.trees import DAY, PACKED, Leaf, Tree
from monitor.store.wide import Wide
from monitor.store.writer import Writer

GRACE = 4200.0
"""Seconds after its end that a period waits for late rows: an hour, and ten minutes for what is on its way."""
REST = 3.0
"""Times the work that is rested after it: history is never more than a quarter of a core."""
STALE_AT_ONCE = 200
STALE = "SELECT source_id, extract(epoch FROM day)::bigint AS day, marked FROM stale ORDER BY day, source_id LIMIT $1"
DONE = "DELETE FROM stale WHERE source_id = $1 AND day = to_timestamp($2::float8) AND marked = $3"

SOURCES = "SELECT DISTINCT source_id FROM {leaf} ORDER BY 1"
CAME_LATE = """
SELECT DISTINCT s.source_id FROM stale s
WHERE day = to_timestamp($1::float8) AND EXISTS (SELECT FROM {leaf} l WHERE l.source_id = s.source_id)
"""
REMOVE = "DELETE FROM {leaf} WHERE source_id = $1"
HAS_ROWS = "SELECT EXISTS (SELECT FROM {leaf})"

COMMENT = """
COMMENT ON VIEW metric IS 'Every collected value as a row of its own. What is older than {since:%Y-%m-%d} (UTC) is
packed and not shown; with pack = False in [retention] it stays.'
"""

Connection = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]


class Builder:
    """Builds all that is due; `reading` and `writing` give connections, the latter keeps all other writers away."""

    def __init__(
        self,
        writer: Writer,
        partitions: Partitions,
        classes: Classes,
        *,
        reading: Connection,
        writing: Connection,
        rest: float = REST,
    ) -> None:
        self.stats = History()
        self._undropped: set[Leaf] = set()
        """Rows that are packed, but that somebody reads."""
        self.rest = rest
        self._now = 0.0
        self._writer = writer
        self._partitions = partitions
        self._classes = classes
        self._reading = reading
        self._writing = writing
        self._turn = asyncio.Lock()

    @property
    def _known(self) -> Identities:
        return self._writer.identities

    async def run(self, now: float) -> None:
        """Build everything that is over at a time."""
        async with self._turn:
            await self._run(now)

    async def _run(self, now: float) -> None:
        self._now = now
        await self._turn_back(now)
        for kept, one in self._classes.numbered().items():
            if one.pack:
                await self._pack(kept, now)
            finer: Tier | None = None
            for tier in one.stored:
                await self._build(kept, one, tier, finer, now)
                finer = tier
        await self._mend()

    async def _turn_back(self, now: float) -> None:
        """Take back what a clock that was ahead made to be thought of as over."""
        ahead = {key for key, at in self._classes.built.items() if at > now and key in self._partitions.trees}
        for kept, step in ahead:
            begin = self._partitions.trees[kept, step].begin(max(0.0, now - GRACE))
            async with self._writing() as connection:
                await self._classes.set_built(connection, kept, step, begin)
        for kept in {kept for kept, _ in ahead}:
            self._writer.closed[kept] = max(at for (each, _), at in self._classes.built.items() if each == kept)

    async def _close(self, kept: int, until: float) -> None:
        """Have rows older than this marked as late from now on; a write under way is waited for."""
        async with self._writing():
            self._writer.closed[kept] = max(until, self._writer.closed.get(kept, 0.0))

    @asynccontextmanager
    async def _paced(self) -> AsyncIterator[None]:
        began = time.perf_counter()
        yield
        spent = time.perf_counter() - began
        self.stats.seconds += spent
        await asyncio.sleep(spent * self.rest)

    # --- packing

    async def _pack(self, kept: int, now: float) -> None:
        """Pack the days that are over."""
        tree = self._partitions.trees[kept, PACKED]
        due = [leaf for leaf in self._partitions.leaves if leaf.tree.kept == kept and leaf.tree.step is None]
        for leaf in sorted(due, key=lambda leaf: leaf.start):
            if leaf.end + GRACE > now:
                break
            if leaf in self._undropped and await self._drop(leaf):
                continue
            await self._close(kept, leaf.end)
            async with self._reading() as connection:
                found = await connection.fetch(SOURCES.format(leaf=leaf.name))
            for row in found:
                async with self._paced(), self._reading() as connection:
                    await self._pack_source(connection, tree, leaf, row["source_id"])
            await self._drop(leaf)
        until = (now - GRACE) // DAY * DAY
        if until > self._classes.built.get((kept, PACKED), 0.0):
            async with self._writing() as connection:
                await self._classes.set_built(connection, kept, PACKED, until)
                await connection.execute(COMMENT.format(since=datetime.fromtimestamp(until, UTC)))

    async def _pack_source(self, connection: asyncpg.Connection, tree: Tree, leaf: Leaf, source_id: int) -> None:
        """Pack the rows of one source and day together with what is packed of it already."""
        tables = []
        for one in await chunks.whole(connection, tree, source_id, leaf.start, leaf.end):
            if one.layout_id in self._known.layouts:
                before = await asyncio.to_thread(chunk.read_rows, one.packed.data, one.packed.offsets)
                tables.append((self._known.layouts[one.layout_id], before))
        tables += await rows.of_leaf(connection, self._known, leaf, source_id)
        made = []
        for layout, several in await asyncio.to_thread(merged, tables):
            for part in chunk.parts(several):
                begin = max(leaf.start, int(copying.seconds(part.time[:1])[0]))
                packed = await asyncio.to_thread(chunk.of_rows, part)
                made.append(Chunk(self._known.layout_ids[layout], begin, packed))
        target = tree.leaf(leaf.start)
        await self._partitions.make(connection, target)
        await chunks.replace(connection, target, source_id, (leaf.start, leaf.end), made)
        self.stats.packed_chunks += len(made)
        self.stats.packed_bytes += sum(len(one.packed.data) for one in made)

    async def _drop(self, leaf: Leaf) -> bool:
        """Drop rows that are packed, with those that came meanwhile packed too."""
        tree = self._partitions.trees[leaf.tree.kept, PACKED]
        async with self._writing() as connection:
            found = await connection.fetch(CAME_LATE.format(leaf=leaf.name), leaf.start)
            for row in found:
                await self._pack_source(connection, tree, leaf, row["source_id"])
            dropped = await self._partitions.drop(connection, leaf)
        (self._undropped.discard if dropped else self._undropped.add)(leaf)
        return dropped

    # --- tiers

    async def _build(self, kept: int, one: RetentionClass, tier: Tier, finer: Tier | None, now: float) -> None:
        """Make the cells of every period of a tier that is over, as far as the finer tier is built."""
        tree = self._partitions.trees[kept, tier.step]
        length = tree.period * DAY
        limit = now - GRACE
        if finer is not None:
            limit = min(limit, self._classes.built.get((kept, finer.step), 0.0))
        start = int(self._classes.built.get((kept, tier.step)) or self._begin(kept, tree, now))
        while start + length <= limit:
            await self._close(kept, start + length)
            for slot in self._active(kept, start, start + length):
                async with self._paced(), self._reading() as connection:
                    await self._build_source(connection, slot, one, tree, tier, finer, start)
            start += length
            async with self._writing() as connection:
                await self._classes.set_built(connection, kept, tier.step, start)

    def _begin(self, kept: int, tree: Tree, now: float) -> int:
        """Return when the first period of a tier begins for which there may be anything."""
        known = self._known
        used = np.fromiter(known.slots.values(), np.int64, len(known.slots))
        mine = used[known.kept[used] == kept]
        oldest = float((known.first[mine] - known.interval[mine]).min()) if len(mine) else now
        return tree.begin(max(oldest, now - tree.keep, 0.0))

    def _active(self, kept: int, start: int, end: int) -> list[int]:
        """Return the slots of a class' sources that may have reported in a period."""
        known = self._known
        used = np.fromiter(known.slots.values(), np.int64, len(known.slots))
        reach = 2 * known.interval[used]
        there = (known.kept[used] == kept) & (known.first[used] - reach < end) & (known.last[used] + reach > start)
        return sorted(used[there].tolist())

    async def _build_source(
        self, connection: asyncpg.Connection, slot: int, one: RetentionClass, tree: Tree, tier: Tier,
        finer: Tier | None, start: int,
    ) -> None:  # fmt: skip
        """Make the chunk of one source that begins at `start`."""
        end = start + tree.period * DAY
        known, source_id = self._known, int(self._known.ids[slot])
        pdp_step = max(1, round(float(known.interval[slot])))
        step = tier.cell(pdp_step)
        if finer is None:
            silent = heartbeat(float(known.interval[slot]))
            tables = await rows.read(
                connection, known, self._partitions, slot, start - step - pdp_step - silent, end + pdp_step
            )
            until = float(known.last[slot])
            cells = await asyncio.to_thread(
                lambda: (
                    wide.of_rows(
                        tables, pdp_step=pdp_step, heartbeat=silent, step=step, start=start, end=end, until=until
                    )
                    if tables
                    else []
                )
            )
        else:
            wides = await self._finer(connection, slot, finer, start - step, end)
            cells = await asyncio.to_thread(wide.of_cells, wides, step=step, start=start, end=end)
        others = await self._others(connection, slot, one, tier, finer, start - step, end)
        if others:
            cells = await asyncio.to_thread(
                lambda: wide.side_by_side(
                    [
                        *cells,
                        *(made for some in others for made in wide.of_cells(some, step=step, start=start, end=end)),
                    ]
                )
            )
        wanted = {cf for each in one.stored if each.step >= tier.step for cf in each.functions}
        made = []
        for each in cells:
            few = each if pdp_step >= tier.step else wide.thinned(
                each, least=CF.MIN in wanted, most=CF.MAX in wanted, last=CF.LAST in wanted
            )  # fmt: skip
            packed = await asyncio.to_thread(chunk.of_cells, few.cells, len(few.layout.names))
            # A cell may end after the source did, which was not seen then.
            seen = min(float(few.cells.ends[-1]), float(known.last[slot]) - 1)
            made.append(Chunk(await self._interned(slot, few.layout, seen), start, packed))
        leaf = tree.leaf(start)
        await self._partitions.make(connection, leaf)
        await chunks.replace(connection, leaf, source_id, (start, end), made)
        if made:
            self._partitions.begins(tree, start)
        self.stats.cells_chunks += len(made)
        self.stats.cells_bytes += sum(len(each.packed.data) for each in made)

    async def _finer(
        self, connection: asyncpg.Connection, slot: int, finer: Tier, start: float, end: float
    ) -> list[Wide]:
        """Return the cells of a tier from `start` to `end`, in order of time."""
        found = []
        for kept in self._known.classes_of(slot):
            if self._partitions.touched(kept, finer.step, start, end):
                found += await self._whole(connection, slot, self._partitions.trees[kept, finer.step], start, end)
        return [one for _, one in sorted(found, key=lambda each: each[0])]

    async def _whole(
        self, connection: asyncpg.Connection, slot: int, tree: Tree, start: float, end: float
    ) -> list[tuple[int, Wide]]:
        """Return the chunks of a tree that have a part in start..end, each with when it begins."""
        known, found = self._known, []
        for one in await chunks.whole(connection, tree, int(known.ids[slot]), tree.begin(start), end):
            layout = known.layouts.get(one.layout_id)
            if layout is not None:
                cells = await asyncio.to_thread(chunk.read_cells, one.packed.data, one.packed.offsets)
                found.append((one.start, Wide(layout, cells)))
        return found

    async def _others(
        self, connection: asyncpg.Connection, slot: int, one: RetentionClass, tier: Tier, finer: Tier | None,
        start: int, end: int,
    ) -> list[list[Wide]]:  # fmt: skip
        """Return what else there is of a period: of tiers that were taken away, and of the source's former classes.

        Where what the tier is made of does not reach back so far any more, its own cells are among it.
        """
        found = []
        now, *former = self._known.classes_of(slot)
        own = {each.step for each in one.stored}
        reach = one.collected if finer is None else finer.keep
        if start < self._now - reach:
            own.discard(tier.step)
        for (kept, step), tree in self._partitions.trees.items():
            if step is None or step == PACKED or step > tier.step or tier.step % step:
                continue
            mine = kept == now and step not in own
            was = kept in former and (finer is None or step != finer.step)
            if (mine or was) and self._partitions.touched(kept, step, start, end):
                some = await self._whole(connection, slot, tree, start, end)
                found.append([each for _, each in some])
        return [some for some in found if some]

    async def _interned(self, slot: int, layout: Layout, seen: float) -> int:
        """Return the number of a layout that the source has cells in."""
        known = self._known
        number = known.layout_ids.get(layout)
        if number is not None and number in known.held[slot]:
            return number
        async with self._writing() as connection:
            news = News()
            async with connection.transaction():
                if number is None:
                    await interning.add_layouts(connection, [layout], news)
                    number = news.layouts[layout]
                await interning.add_links(connection, [(int(known.ids[slot]), number, seen)], news)
            known.apply(news)
        return number

    # --- what came late

    async def _mend(self) -> None:
        """Make the days again for which rows came after they had been made."""
        while True:
            async with self._reading() as connection:
                marks = await connection.fetch(STALE, STALE_AT_ONCE)
            for mark in marks:
                async with self._paced():
                    await self._mend_day(mark["source_id"], mark["day"])
                async with self._reading() as connection:
                    await connection.execute(DONE, mark["source_id"], mark["day"], mark["marked"])
            if len(marks) < STALE_AT_ONCE:
                return

    async def _mend_day(self, source_id: int, day: int) -> None:
        slot = self._known.slot_of(source_id)
        if slot is None:
            return
        kept = int(self._known.kept[slot])
        one = self._classes.numbered().get(kept)
        if one is None:
            return
        leaf = self._partitions.rows(kept).leaf(day)
        if one.pack and day + DAY <= self._classes.built.get((kept, PACKED), 0.0) and leaf in self._partitions.leaves:
            async with self._writing() as connection:
                await self._pack_source(connection, self._partitions.trees[kept, PACKED], leaf, source_id)
                await connection.execute(REMOVE.format(leaf=leaf.name), source_id)
                if not await connection.fetchval(HAS_ROWS.format(leaf=leaf.name)):
                    await self._partitions.drop(connection, leaf)
        finer: Tier | None = None
        for tier in one.stored:
            tree = self._partitions.trees[kept, tier.step]
            # A cell that begins on this day may end in the next period.
            for start in sorted({tree.begin(day), tree.begin(-(-(day + DAY) // tier.step) * tier.step - 1)}):
                if start + tree.period * DAY <= self._classes.built.get((kept, tier.step), 0.0):
                    async with self._reading() as connection:
                        await self._build_source(connection, slot, one, tree, tier, finer, start)
            finer = tier
        self.stats.rebuilt += 1
