"""The last reports of the sources that share a layout: one row each, in arrays, so that many are read at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.batch import UNKNOWN, Block, Floats, Layout, Source

REMEMBERED = 64
"""How many times of reports a row remembers, to tell a repeat from a late report."""


Undo = list[Callable[[], None]]
"""What takes changes back, to be called from the last to the first."""


class Table:
    """Rows of the last reports. A row's time is NaN as long as there was none.

    `ring` holds the times of the last reports; the `since` of one is the entry before it, and where that is not the
    time of the report before, NaN and that `since` stand between them.
    """

    def __init__(self, layout: Layout, max_bytes: int = 1 << 20) -> None:
        self.layout = layout
        names, counted = len(layout.names), layout.counted.size
        row_bytes = 8 * (names + REMEMBERED + 4) + 9 * counted
        self.most = max(8, min(4096, max_bytes // row_bytes))
        self.size = 0
        self.free: list[int] = []
        self.time: Floats = np.empty(0)
        self.since: Floats = np.empty(0)
        self.interval: Floats = np.empty(0)
        self.rates: Floats = np.empty((0, names))
        self.words: NDArray[np.uint64] = np.empty((0, counted), dtype=np.uint64)
        self.tags: NDArray[np.uint8] = np.empty((0, counted), dtype=np.uint8)
        self.ring: Floats = np.empty((0, REMEMBERED))
        self.count: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.owners: list[Source | None] = []

    @property
    def full(self) -> bool:
        return self.size == self.most and not self.free

    @property
    def used(self) -> int:
        return self.size - len(self.free)

    def add(self, owner: Source) -> int:
        """Return the place of a new empty row."""
        if not self.free:
            grown = min(self.most, max(4, 4 * self.size))
            self.free = list(range(grown - 1, self.size - 1, -1))
            for name in ("time", "since", "interval", "rates", "words", "tags", "ring", "count"):
                old = getattr(self, name)
                new = np.empty((grown, *old.shape[1:]), dtype=old.dtype)
                new[: self.size] = old
                setattr(self, name, new)
            self.owners += [None] * (grown - self.size)
            self.size = grown
        slot = self.free.pop()
        self.owners[slot] = owner
        self.time[slot] = self.since[slot] = np.nan
        self.tags[slot] = UNKNOWN
        self.words[slot] = 0
        self.rates[slot] = np.nan
        self.ring[slot] = np.nan
        self.count[slot] = 0
        return slot

    def drop(self, slot: int) -> None:
        self.owners[slot] = None
        self.time[slot] = np.nan
        self.free.append(slot)

    def remember(self, slot: int, time: float, since: float) -> None:
        """Note the time of a row's report."""
        count = int(self.count[slot])
        ring = self.ring[slot]
        entries = (time,) if count and ring[(count - 1) % REMEMBERED] == since else (np.nan, since, time)
        for entry in entries:
            ring[count % REMEMBERED] = entry
            count += 1
        self.count[slot] = count

    def history(self, slot: int) -> Floats:
        """Return the ring of a row in the order of writing."""
        count = int(self.count[slot])
        if count <= REMEMBERED:
            return self.ring[slot, :count]
        turn = count % REMEMBERED
        return np.concatenate((self.ring[slot, turn:], self.ring[slot, :turn]))

    def reported(self, slot: int) -> Floats:
        """Return the remembered times of reports."""
        ring = self.history(slot)
        if not ring.size:
            return ring
        real = ~np.isnan(ring)
        real[1:] &= ~np.isnan(ring[:-1])
        real[0] = False  # whether the oldest is a report or a `since` has been forgotten
        return ring[real]

    def block(self, slots: Sequence[int]) -> tuple[Block, Floats, NDArray[np.int64]]:
        """Return the rows as a block, with their rings and how much was written into each."""
        at = np.asarray(slots, dtype=np.intp)
        sources = [owner for slot in slots if (owner := self.owners[slot]) is not None]
        block = Block(
            self.layout, sources, self.time[at], self.since[at], self.interval[at],
            self.rates[at], self.words[at], self.tags[at],
        )  # fmt: skip
        return block, self.ring[at], self.count[at]
