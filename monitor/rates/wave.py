"""Batches of one layout that each follow the last report of their source: their rates are made all at once."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Batch, Block, Floats, Row, Source
from monitor.rates.arithmetic import Flags, Tags, Words, as_floats, rate
from monitor.rates.known import Known, uptime
from monitor.rates.plan import Plan
from monitor.rates.table import REMEMBERED, Table, Undo


class Wave:
    """Collects batches; a source may come again, if later."""

    def __init__(self, plan: Plan, table: Table) -> None:
        self.plan = plan
        self.table = table
        self.key = (plan, table)
        self._known: list[Known] = []
        self._before: list[tuple[float, float]] = []
        self._slots: list[int] = []
        self._sources: list[Source] = []
        self._times: list[float] = []
        self._intervals: list[float] = []
        self._values: list[Collection[float]] = []
        self._meta: dict[int, dict[str, str]] = {}
        self._rebooted: list[int] = []

    def add(self, known: Known, batch: Batch | Row, interval: float) -> None:
        row = len(self._slots)
        self._known.append(known)
        self._before.append((known.newest, known.uptime))
        self._slots.append(known.slot)
        self._sources.append(known.source)
        self._times.append(batch.time)
        self._intervals.append(interval)
        self._values.append(batch.numbers)
        known.newest = batch.time
        known.last_interval = interval
        known.wave = self.key
        if batch.meta:
            self._meta[row] = batch.meta
            now = uptime(batch.meta, known.uptime)
            if now < known.uptime:
                self._rebooted.append(row)
            known.uptime = now

    def cancel(self) -> None:
        """Make it as if nothing had been added."""
        for known, (newest, uptime_before) in zip(reversed(self._known), reversed(self._before), strict=True):
            known.newest, known.uptime, known.wave = newest, uptime_before, None

    def finish(self, undo: Undo | None) -> Block:
        """Make the rates, remember the reports and return the block."""
        plan, table = self.plan, self.table
        values, words, tags = plan.read(self._values)
        slots = np.array(self._slots, dtype=np.intp)
        times = np.array(self._times, dtype=np.float64)
        intervals = np.array(self._intervals, dtype=np.float64)
        order = None
        follows = None
        if len(set(self._slots)) < len(self._slots):
            order = np.argsort(slots, kind="stable")
            slots, times, intervals, values = slots[order], times[order], intervals[order], values[order]
            words, tags = words[order], tags[order]
            follows = np.concatenate(([False], slots[1:] == slots[:-1]))
        before_time = table.time[slots]
        before_words, before_tags = table.words[slots], table.tags[slots]
        if follows is not None:
            at = np.flatnonzero(follows)
            before_time[at], before_words[at], before_tags[at] = times[at - 1], words[at - 1], tags[at - 1]
        new = np.isnan(before_time)
        any_new = bool(new.any())
        if undo is not None:
            undo.append(self._undo(slots if follows is None else slots[~follows]))
        since = np.where(new, times - intervals, before_time) if any_new else before_time
        rebooted = self._restarts(slots, values, words, tags, before_words, before_tags, order, follows)
        rates = rate(plan, values, words, tags, before_words, before_tags, (times - since)[:, None], rebooted)
        last = slice(None) if follows is None else np.flatnonzero(~np.append(follows[1:], False))
        self._remember(slots, times, since, new if any_new else None, follows)
        kept = slots[last]
        table.time[kept], table.since[kept], table.interval[kept] = times[last], since[last], intervals[last]
        table.rates[kept], table.words[kept], table.tags[kept] = rates[last], words[last], tags[last]
        for known in self._known:
            known.wave = None
        sources, meta = self._sources, self._meta
        if order is not None:
            places = order.tolist()
            sources = [sources[i] for i in places]
            meta = {new: meta[old] for new, old in enumerate(places) if old in meta}
        return Block(plan.layout, sources, times, since, intervals, rates, words, tags, meta)

    def _restarts(
        self, slots: NDArray[np.intp], values: Floats, words: Words, tags: Tags, before_words: Words, before_tags: Tags,
        order: NDArray[np.intp] | None, follows: Flags | None,
    ) -> Flags | None:  # fmt: skip
        """Return which rows come with a fallen uptime; None when no row can."""
        column, plan = self.plan.uptime, self.plan
        found: Flags | None = None
        if self._rebooted and plan.wrapping.size:
            found = np.zeros(len(slots), dtype=np.bool_)
            found[self._rebooted] = True
            if order is not None:
                found = found[order]
        if column < 0:
            return found
        place = int(np.searchsorted(plan.counted, column))
        if place < plan.counted.size and plan.counted[place] == column:
            now = as_floats(words[:, [place]], tags[:, [place]])[:, 0]
            before = as_floats(before_words[:, [place]], before_tags[:, [place]])[:, 0]
        else:
            now, before = values[:, column], self.table.rates[slots, column]
            if follows is not None:
                at = np.flatnonzero(follows)
                before[at] = now[at - 1]
        fell: Flags = now < before
        return fell if found is None else fell | found

    def _remember(
        self, slots: NDArray[np.intp], times: Floats, since: Floats, new: Flags | None, follows: Flags | None
    ) -> None:
        """Note the times in the rings."""
        table = self.table
        if new is not None:
            begun = slots[new]
            table.ring[begun, 0], table.ring[begun, 1], table.count[begun] = np.nan, since[new], 2
        if follows is None:
            table.ring[slots, table.count[slots] % REMEMBERED] = times
            table.count[slots] += 1
            return
        runs = np.flatnonzero(~follows)
        lengths = np.diff(np.append(runs, len(slots)))
        rank = np.arange(len(slots)) - np.repeat(runs, lengths)
        table.ring[slots, (table.count[slots] + rank) % REMEMBERED] = times
        table.count[slots[runs]] += lengths

    def _undo(self, slots: NDArray[np.intp]) -> Callable[[], None]:
        table, known, before = self.table, self._known, self._before
        names = ("time", "since", "interval", "rates", "words", "tags", "ring", "count")
        images = [getattr(table, name)[slots] for name in names]

        def undo() -> None:
            for name, image in zip(names, images, strict=True):
                getattr(table, name)[slots] = image
            for one, (newest, uptime_before) in zip(reversed(known), reversed(before), strict=True):
                one.newest, one.uptime = newest, uptime_before

        return undo
