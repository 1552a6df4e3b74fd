"""A batch that does not simply follow its source's last report: other names than then, a repeat, or late."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from monitor.batch import UNKNOWN, Batch, Block, Floats, Layout, Row
from monitor.rates.arithmetic import Flags, rate
from monitor.rates.known import Known, Places, uptime
from monitor.rates.plan import Plan
from monitor.rates.table import Table, Undo

Indices = NDArray[np.intp]


class Single:
    """One such batch; every value is judged by the last report of its own series."""

    def __init__(self, places: Places, known: Known, plan: Plan, batch: Batch | Row, interval: float) -> None:
        self.places = places
        self.known = known
        self.plan = plan
        self.batch = batch
        self.interval = interval
        width = len(plan.layout.names)
        self.last: Floats = np.full(width, np.nan)
        self.last_since: Floats = np.full(width, np.nan)
        self.before: Floats = np.full(width, np.nan)
        self.before_words = np.zeros(width, dtype=np.uint64)
        self.before_tags = np.full(width, UNKNOWN, dtype=np.uint8)
        self._gather()

    def _gather(self) -> None:
        """Find the last report of every series, which may stand in the row of another layout."""
        rows = [row for row in self.known.rows if not np.isnan(row[0].time[row[1]])]
        for table, slot in sorted(rows, key=lambda row: float(row[0].time[row[1]])):
            here, there = common(self.plan.layout, table.layout)
            words = np.zeros(len(table.layout.names), dtype=np.uint64)
            tags = np.full(len(table.layout.names), UNKNOWN, dtype=np.uint8)
            words[table.layout.counted], tags[table.layout.counted] = table.words[slot], table.tags[slot]
            self.last[here], self.last_since[here] = table.time[slot], table.since[slot]
            self.before[here] = table.rates[slot, there]
            self.before_words[here], self.before_tags[here] = words[there], tags[there]

    def apply(self, undo: Undo | None) -> tuple[list[Block], str | None]:
        plan, counted, time = self.plan, self.plan.counted, self.batch.time
        values, words, tags = plan.read([self.batch.numbers])
        is_counted = np.zeros(len(self.last), dtype=np.bool_)
        is_counted[counted] = True
        first = np.isnan(self.last)
        fresh: Flags = first | (self.last < time)
        repeat: Flags = self.last == time
        late: Flags = self.last > time
        older, refused, before = self._judge(late, is_counted)

        since = np.where(fresh, self.last, np.where(repeat, self.last_since, time - self.interval))
        if before is not None:
            since[late] = np.maximum(since[late], before[late])
        since[first] = time - self.interval
        known_since = since[fresh & ~first]
        if known_since.size:
            since[first & is_counted] = known_since.max()
        made = rate(
            plan, values, words, tags, self.before_words[None, counted],
            np.where((fresh & ~first)[counted], self.before_tags[counted], UNKNOWN)[None],
            (time - since)[None], self._rebooted(values),
        )  # fmt: skip
        learned, conflicts = self._compare(repeat, made[0], words[0], tags[0])

        stats = self.places.stats
        stats.late += int(refused.sum())
        stats.conflict += conflicts
        stats.repeat += bool(repeat.any() or older)
        taken = fresh | learned | (late & ~refused & ~is_counted & (not older))
        blocks = self._rows(taken, since, made, words, tags)
        if fresh.any() or learned.any():
            self._store(fresh, learned, since, made[0], words[0], tags[0], undo)
        if refused.any():
            whole = "" if refused.all() else f": {int(refused.sum())} of {len(refused)} values"
            return blocks, f"late{whole}: the series has one of {self.known.newest:.0f}, this one is of {time:.0f}"
        if conflicts:
            return blocks, f"conflict: {conflicts} values differ from those known for {time:.0f}"
        return blocks, None

    def _judge(self, late: Flags, is_counted: Flags) -> tuple[bool, Flags, Floats | None]:
        """Return whether the late values repeat a known report, which are refused, and the known time before each."""
        if not late.any():
            return False, late, None
        time = self.batch.time
        before: Floats = np.full(len(late), -np.inf)
        for table, slot in self.known.rows:
            here, _ = common(self.plan.layout, table.layout)
            if not here.size:
                continue
            times = table.reported(slot)
            if (times == time).any() and late[here].all():
                return True, np.zeros_like(late), None
            earlier = times[times < time]
            if earlier.size:
                before[here] = np.maximum(before[here], earlier.max())
        if self.known.newest - time > self.places.grace:
            return False, late, before
        return False, late & is_counted, before

    def _rebooted(self, values: Floats) -> Flags | None:
        if not self.plan.wrapping.size:
            return None
        now = uptime(self.batch.meta, self.known.uptime)
        column = self.plan.uptime
        fell = now < self.known.uptime or (column >= 0 and bool(values[0, column] < self.before[column]))
        return np.array([fell])

    def _compare(
        self, repeat: Flags, made: Floats, words: NDArray[np.uint64], tags: NDArray[np.uint8]
    ) -> tuple[Flags, int]:
        """Return which repeated values become known by this report, and how many differ from what was known."""
        learned = np.zeros_like(repeat)
        if not repeat.any():
            return learned, 0
        at = self.plan.counted
        known = ~np.isnan(self.before)
        told = ~np.isnan(made)
        differs = made != self.before
        known[at], told[at] = self.before_tags[at] != UNKNOWN, tags != UNKNOWN
        differs[at] = (self.before_words[at] != words) | (self.before_tags[at] != tags)
        learned = repeat & told & ~known
        return learned, int((repeat & told & known & differs).sum())

    def _rows(
        self, columns: Flags, since: Floats, made: Floats, words: NDArray[np.uint64], tags: NDArray[np.uint8]
    ) -> list[Block]:
        """Return a block of one row for every `since` among the columns."""
        blocks = []
        batch, meta = self.batch, self.batch.meta
        for begin in np.unique(since[columns])[::-1]:
            at = np.flatnonzero(columns & (since == begin))
            layout = self.plan.layout
            places: Indices | slice = slice(None)
            if at.size < len(layout.names):
                places = np.flatnonzero(np.isin(layout.counted, at))
                layout = Layout(tuple(layout.names[i] for i in at), tuple(layout.kinds[i] for i in at))
            blocks.append(
                Block(
                    layout,
                    [batch.source],
                    np.array([batch.time]),
                    np.array([begin]),
                    np.array([self.interval]),
                    made[:, at],
                    words[None, places] if words.ndim == 1 else words[:, places],
                    tags[None, places] if tags.ndim == 1 else tags[:, places],
                    {0: meta} if meta else {},
                )
            )
            meta = {}
        return blocks

    def _store(
        self, fresh: Flags, learned: Flags, since: Floats, made: Floats, words: NDArray[np.uint64],
        tags: NDArray[np.uint8], undo: Undo | None,
    ) -> None:  # fmt: skip
        """Remember the report in the source's row of this layout."""
        known, layout, time, counted = self.known, self.plan.layout, self.batch.time, self.plan.counted
        row = known.row(layout)
        if undo is not None:
            undo.append(restoring(known, row, self.places))
        table, slot = row or known.widen(self.places, layout)
        if fresh.any():
            begin = float(since[fresh].max())
            if not table.time[slot] >= time:
                table.remember(slot, time, begin)
            table.time[slot], table.since[slot], table.interval[slot] = time, begin, self.interval
        elif table.time[slot] != time:
            return
        taken = fresh | learned
        table.rates[slot] = np.where(taken, made, self.before)
        table.words[slot] = np.where(taken[counted], words, self.before_words[counted])
        table.tags[slot] = np.where(taken[counted], tags, self.before_tags[counted])
        if time >= known.newest:
            known.newest, known.table, known.slot, known.last_interval = time, table, slot, self.interval
            known.uptime = uptime(self.batch.meta, known.uptime)


def common(layout: Layout, other: Layout) -> tuple[Indices, Indices]:
    """Return the columns of `layout` whose names `other` has too, and their columns there."""
    if layout is other:
        every = np.arange(len(layout.names), dtype=np.intp)
        return every, every
    column = other.column
    pairs = [(i, column[name]) for i, name in enumerate(layout.names) if name in column]
    both = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def restoring(known: Known, row: tuple[Table, int] | None, places: Places) -> Callable[[], None]:
    """Return what brings a source back to what it is now, after a report that goes to `row` or to a new one."""
    newest, table, slot, uptime_now = known.newest, known.table, known.slot, known.uptime
    rows = list(known.rows)
    names = ("time", "since", "interval", "rates", "words", "tags", "ring", "count")
    images = [getattr(row[0], name)[[row[1]]] for name in names] if row else []

    def undo() -> None:
        for added in [added for added in known.rows if added not in rows]:
            known.rows.remove(added)
            places.drop(*added)
        if row:
            for name, image in zip(names, images, strict=True):
                getattr(row[0], name)[[row[1]]] = image
        known.newest, known.table, known.slot, known.uptime = newest, table, slot, uptime_now

    return undo
