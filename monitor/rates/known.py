"""What is known of one source beside its values: its rows, its newest time and its interval."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from monitor.batch import Layout, Source
from monitor.rates.plan import Plan
from monitor.rates.table import Table

USUAL = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Intervals that people set, in seconds: a detected one within 5 % of one of them is taken for it."""
BETWEEN = [(a + b) / 2 for a, b in pairwise(USUAL)]
"""From which interval on the next of the usual ones is the nearer."""

MAX_ROWS = 16
"""How many layouts of a source are remembered; one that changes its names with every report forgets the oldest."""


@dataclass(slots=True)
class RateStats:
    late: int = 0
    """Values that were refused because their series has a newer one."""
    repeat: int = 0
    """Batches whose source and time were known already."""
    conflict: int = 0
    """Values that differ from those first reported for the same time."""
    series: int = 0
    """Values that are remembered."""


class Places(Protocol):
    """Where the rows of all sources lie, and what holds for all of them."""

    grace: float
    stats: RateStats

    def place(self, source: Source, layout: Layout) -> tuple[Table, int]: ...

    def drop(self, table: Table, slot: int) -> None: ...


class Known:
    """One source. `table` and `slot` are the row of its newest report, which `rows` holds too."""

    __slots__ = (
        "deltas",
        "interval",
        "last_interval",
        "newest",
        "rows",
        "seen",
        "slot",
        "source",
        "table",
        "uptime",
        "wave",
    )

    def __init__(self, source: Source, table: Table, slot: int) -> None:
        self.source = source
        self.table = table
        self.slot = slot
        self.rows = [(table, slot)]
        self.newest = -math.inf
        self.seen = -math.inf
        self.interval = 0.0
        self.last_interval = 0.0
        self.deltas: tuple[float, ...] = ()
        self.uptime = math.nan
        self.wave: tuple[Plan, Table] | None = None

    def row(self, layout: Layout) -> tuple[Table, int] | None:
        """Return the source's row for a layout."""
        if self.table.layout is layout:
            return self.table, self.slot
        return next((row for row in self.rows if row[0].layout is layout), None)

    def widen(self, places: Places, layout: Layout) -> tuple[Table, int]:
        """Make a row for another layout; the one whose report is oldest makes room if need be."""
        if len(self.rows) >= MAX_ROWS:
            others = [row for row in self.rows if row != (self.table, self.slot)]
            oldest = min(others, key=lambda row: float(row[0].time[row[1]]))
            self.rows.remove(oldest)
            places.drop(*oldest)
        row = places.place(self.source, layout)
        self.rows.append(row)
        return row

    def learn_interval(self, time: float, default: float) -> float:
        """Return the interval that the source keeps: the default until three deltas show another."""
        delta, kept = time - self.newest, self.interval or default
        if 0 < delta < math.inf:
            self.deltas = (*self.deltas[-2:], delta)
            # Most reports come just when they should, and those show nothing new.
            if delta != kept and len(self.deltas) == 3:
                least, seen, greatest = sorted(self.deltas)
                if greatest <= 1.05 * least:
                    usual = USUAL[bisect(BETWEEN, seen)]
                    seen = float(usual) if abs(usual - seen) <= 0.05 * usual else float(max(1, round(seen)))
                    if abs(seen - kept) > 0.1 * kept:
                        self.interval = kept = seen
        return kept

    def restored(self, table: Table, slot: int, time: float, interval: float, meta: Mapping[str, str] | None) -> None:
        """Learn of a report in (table, slot) that the journal or a snapshot holds."""
        if time >= self.newest:
            if 0 < time - self.newest < math.inf:
                self.deltas = (*self.deltas[-2:], time - self.newest)
            self.newest, self.table, self.slot = time, table, slot
            self.interval = self.last_interval = interval
            self.uptime = uptime(meta, self.uptime)


def uptime(meta: Mapping[str, str] | None, before: float) -> float:
    """Return the uptime that a batch's meta tells as a number, otherwise the one before."""
    if meta and "uptime" in meta:
        try:
            return float(meta["uptime"])
        except ValueError:
            return before
    return before
