"""The last report of every source, and the blocks of rates that new batches make with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from monitor.batch import Batch, Block, Floats, Kind, Layout, Row, Source
from monitor.rates.known import Known, RateStats
from monitor.rates.plan import Plan
from monitor.rates.single import Single
from monitor.rates.table import Table, Undo
from monitor.rates.wave import Wave


def heartbeat(interval: float) -> float:
    """Return the seconds after which an interval between two reports is a gap."""
    return max(2.0 * interval, 120.0)


class Rates:
    """Knows the last report of every source."""

    def __init__(self, *, interval: float = 60.0, grace: float = 3600.0, keep: float = 7200.0) -> None:
        """Set the interval of sources that do not tell theirs, the longest that a gauge may be late, and how long
        (or 4 heartbeats of the source, if that is more) a silent source is remembered."""
        self.interval = interval
        self.grace = grace
        self.keep = keep
        self.max_plan_names = 2_000_000
        self.stats = RateStats()
        self.largest_heartbeat = heartbeat(interval)
        self._plans: dict[object, Plan] = {}
        self._plan_names = 0
        self._tables: dict[Layout, list[Table]] = {}
        self._sources: dict[Source, Known] = {}
        self._unvisited: list[Source] = []
        self._now = -math.inf

    def __len__(self) -> int:
        return len(self._sources)

    def __contains__(self, source: object) -> bool:
        return source in self._sources

    def plan(self, batch: Batch | Row) -> Plan:
        """Return what is the same for all batches with these names, kinds and limits."""
        kinds, limits = batch.kinds, batch.limits
        key = (batch.names, tuple(kinds), tuple(kinds.values()), tuple(limits.items()) if limits else None)
        plan = self._plans.get(key)
        if plan is None:
            names = key[0]
            plan = Plan(self.layout(Layout(names, tuple(kinds.get(name, Kind.GAUGE) for name in names))), limits)
            self._plan_names += len(names) + 16
            if self._plan_names > self.max_plan_names:
                self._plans.clear()
                self._plan_names = len(names) + 16
            self._plans[key] = plan
        return plan

    def layout(self, layout: Layout) -> Layout:
        """Return the one object that stands for this layout here."""
        tables = self._tables.get(layout)
        if tables is None:
            self._tables[layout] = [Table(layout)]
            return layout
        return tables[0].layout

    def apply(
        self, batches: Sequence[Batch | Row], undo: Undo | None = None, *, effort: float = math.inf
    ) -> tuple[list[Block], list[str | None]]:
        """Return the rated blocks, and for each batch None or why it, or a part of it, was refused.

        What changes is noted in `undo`, for `take_back`. With `effort`, in units of about 200 µs, it may stop early:
        there are as many reasons as batches were dealt with.
        """
        blocks: list[Block] = []
        reasons: list[str | None] = []
        waves: dict[tuple[Plan, Table], Wave] = {}
        try:
            self._apply(batches, undo, effort, blocks, reasons, waves)
        except BaseException:
            for wave in waves.values():
                wave.cancel()
            raise
        return blocks, reasons

    def _apply(
        self, batches: Sequence[Batch | Row], undo: Undo | None, effort: float,
        blocks: list[Block], reasons: list[str | None], waves: dict[tuple[Plan, Table], Wave],
    ) -> None:  # fmt: skip
        names: tuple[str, ...] | None = None
        for batch in batches:
            if not isinstance(batch, Row):
                plan, names = self.plan(batch), None
            elif batch.names is not names:
                plan, names = self.plan(batch), batch.names
            if plan.problem is not None:
                reasons.append(f"names: {plan.problem}")
                continue
            known = self._sources.get(batch.source)
            if known is None:
                known = self._add(batch.source, plan.layout, undo)
            known.seen = self._now
            interval, time = batch.interval, batch.time
            if not interval > 0:
                interval = known.learn_interval(time, -interval or self.interval)
            if interval > self.largest_heartbeat / 2:
                self.largest_heartbeat = heartbeat(interval)
            if known.table.layout is plan.layout and time > known.newest:
                wave = waves.get((plan, known.table))
                if wave is None:
                    wave = Wave(plan, known.table)
                    waves[wave.key] = wave
                if known.wave is not None and known.wave is not wave.key:
                    blocks.append(waves.pop(known.wave).finish(undo))
                wave.add(known, batch, interval)
                reasons.append(None)
            else:
                if known.wave is not None:
                    blocks.append(waves.pop(known.wave).finish(undo))
                made, reason = Single(self, known, plan, batch, interval).apply(undo)
                blocks += made
                reasons.append(reason)
                effort -= 1 + len(batch.values) / 400
                if effort <= 0:
                    break
        for wave in waves.values():
            blocks.append(wave.finish(undo))

    @staticmethod
    def take_back(undo: Undo) -> None:
        """Make it as if the calls of `apply` that wrote `undo` had never been; later calls must be taken back first."""
        while undo:
            undo.pop()()

    def _add(self, source: Source, layout: Layout, undo: Undo | None) -> Known:
        known = self._sources[source] = Known(source, *self.place(source, layout))
        if undo is not None:
            undo.append(lambda: self.forget(source))
        return known

    def place(self, source: Source, layout: Layout) -> tuple[Table, int]:
        """Return an empty row for a source."""
        tables = self._tables[layout]
        table = next((table for table in reversed(tables) if not table.full), None)
        if table is None:
            table = Table(layout)
            tables.append(table)
        self.stats.series += len(layout.names)
        return table, table.add(source)

    def drop(self, table: Table, slot: int) -> None:
        """Give a row back."""
        table.drop(slot)
        self.stats.series -= len(table.layout.names)

    def forget(self, source: Source) -> None:
        """Forget a source; its next report is its first."""
        known = self._sources.pop(source, None)
        if known is not None:
            for table, slot in known.rows:
                self.drop(table, slot)

    def expire(self, now: float, limit: int = 2000) -> bool:
        """Forget the silent ones among the next `limit` sources; return whether the round is complete."""
        self._now = now
        if not self._unvisited:
            self._unvisited = list(self._sources)
        for source in self._unvisited[-limit:]:
            known = self._sources.get(source)
            if known is not None:
                # by when it reported, not by what it stamped: it may be sending what is days old
                known.seen = now if known.seen == -math.inf else known.seen
                if now - known.seen > max(self.keep, 4 * heartbeat(known.last_interval)):
                    self.forget(source)
        del self._unvisited[-limit:]
        if self._unvisited:
            return False
        empty = [layout for layout, tables in self._tables.items() if not any(table.used for table in tables)]
        for layout in empty:
            del self._tables[layout]
        if empty:
            self._plans.clear()
            self._plan_names = 0
        return True

    def snapshot(self, limit: int = 2000) -> Iterator[tuple[Block, Floats, Floats]]:
        """Yield all that is known in parts of at most `limit` values or one row: a block, each row's ring and count.

        Reports may come between the parts.
        """
        for table in [table for tables in self._tables.values() for table in tables]:
            step = max(1, limit // (len(table.layout.names) or 1))
            for start in range(0, table.size, step):
                slots = [
                    slot
                    for slot in range(start, min(start + step, table.size))
                    if table.owners[slot] is not None and not math.isnan(table.time[slot])
                ]
                if slots:
                    block, ring, count = table.block(slots)
                    for row, source in enumerate(block.sources):
                        uptime = self._sources[source].uptime
                        if not math.isnan(uptime):
                            block.meta[row] = {"uptime": str(uptime)}
                    yield block, ring, count.astype(np.float64)

    def restore(self, block: Block, ring: Floats | None = None, count: Floats | None = None) -> None:
        """Learn the reports of a block that `snapshot` or the journal gave; what is known and newer stays."""
        layout = self.layout(block.layout)
        keep: dict[tuple[Table, int], int] = {}
        times, since, intervals = block.times.tolist(), block.since.tolist(), block.intervals.tolist()
        for i, source in enumerate(block.sources):
            known = self._sources.get(source)
            if known is None:
                known = self._add(source, layout, None)
            table, slot = known.row(layout) or known.widen(self, layout)
            before = times[keep[table, slot]] if (table, slot) in keep else table.time[slot]
            if before >= times[i]:
                continue
            keep[table, slot] = i
            if ring is None or count is None:
                table.remember(slot, times[i], since[i])
            else:
                table.ring[slot], table.count[slot] = ring[i], int(count[i])
            known.restored(table, slot, times[i], intervals[i], block.meta.get(i))
            self.largest_heartbeat = max(self.largest_heartbeat, heartbeat(intervals[i]))
        for table in {table for table, _ in keep}:
            slots = [slot for other, slot in keep if other is table]
            rows = [i for (other, _), i in keep.items() if other is table]
            table.time[slots], table.since[slots] = block.times[rows], block.since[rows]
            table.interval[slots], table.rates[slots] = block.intervals[rows], block.rates[rows]
            table.words[slots], table.tags[slots] = block.raw[rows], block.raw_tags[rows]
