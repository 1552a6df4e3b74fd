"""Partitioned tables by retention class: the collected rows, and the chunks of each tier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

DAY = 86400
PACKED = 0
"""The step under which packed rows are known."""
CELLS = 256
"""About so many cells of a series make a chunk: fewer pack worse, more are rewritten for one late row."""
MOST_PARTS = 30


@dataclass(frozen=True, slots=True)
class Tree:
    """One partitioned table: of collected rows where `step` is None, else of chunks.

    A chunk covers `period` days and a partition `part` days, both counted from 1970.
    """

    kept: int
    step: int | None
    keep: float
    period: int = 1
    part: int = 1

    @property
    def name(self) -> str:
        return f"sample_{self.kept}" if self.step is None else f"chunk_{self.kept}_{self.step}"

    @property
    def column(self) -> str:
        """The column of time by which it is partitioned."""
        return "time" if self.step is None else "start"

    def begin(self, time: float) -> int:
        """Return when the chunk begins in which a time lies."""
        return int(time // (self.period * DAY)) * self.period * DAY

    def leaf(self, time: float) -> Leaf:
        """Return the partition in which a time lies."""
        return Leaf(self, int(time // (self.part * DAY)) * self.part * DAY)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A partition, which begins at `start` (epoch seconds)."""

    tree: Tree
    start: int

    @property
    def name(self) -> str:
        return f"{self.tree.name}_{datetime.fromtimestamp(self.start, UTC):%Y%m%d}"

    @property
    def end(self) -> int:
        return self.start + self.tree.part * DAY


def start_of(leaf: str) -> int:
    """Return when the partition of this name begins."""
    return int(datetime.strptime(leaf.rpartition("_")[2], "%Y%m%d").replace(tzinfo=UTC).timestamp())


def rows_of(kept: int, keep: float) -> Tree:
    """Return the tree of collected rows."""
    return Tree(kept, None, keep)


def chunks_of(kept: int, step: int, keep: float, finer: float) -> Tree:
    """Return the tree of a tier's chunks, made from what is kept for `finer` seconds."""
    days = 1 if step == PACKED else step * CELLS // DAY
    period = max(1, min(days, int((finer - 2 * 3600) // (2 * DAY))))
    part = period * max(1, math.ceil(keep / (MOST_PARTS * period * DAY)))
    return Tree(kept, step, keep, period, part)
