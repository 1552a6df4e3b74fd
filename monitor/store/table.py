"""Rows of one width, whatever their layouts: what numpy can handle at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Block, Floats, Layout, Source

Ints = NDArray[np.int64]


@dataclass(slots=True)
class Rows:
    """Rows of as many values each; row i has the layout `layouts[layout[i]]`."""

    sources: list[Source]
    times: Floats
    since: Floats
    intervals: Floats
    values: Floats
    layouts: list[Layout]
    layout: Ints
    meta: dict[int, dict[str, str]]

    def take(self, rows: NDArray[np.intp]) -> Rows:
        meta = {new: self.meta[old] for new, old in enumerate(rows.tolist()) if old in self.meta} if self.meta else {}
        return Rows(
            [self.sources[row] for row in rows.tolist()], self.times[rows], self.since[rows], self.intervals[rows],
            self.values[rows], self.layouts, self.layout[rows], meta,
        )  # fmt: skip

    def layout_ids(self, known: Mapping[Layout, int]) -> Ints:
        """Return the number of each row's layout, -1 where it has none."""
        return np.array([known.get(layout, -1) for layout in self.layouts], dtype=np.int64)[self.layout]


def rows_of(blocks: Sequence[Block]) -> list[Rows]:
    """Return the rows of blocks, together where they are as wide, in their order."""
    by_width: dict[int, list[Block]] = {}
    for block in blocks:
        if len(block):
            by_width.setdefault(len(block.layout.names), []).append(block)
    return [_together(same) for same in by_width.values()]


def _together(blocks: Sequence[Block]) -> Rows:
    sizes = [len(block) for block in blocks]
    numbers: dict[Layout, int] = {}
    numbered = [numbers.setdefault(block.layout, len(numbers)) for block in blocks]
    layout = np.repeat(np.array(numbered, dtype=np.int64), sizes)
    meta: dict[int, dict[str, str]] = {}
    first = 0
    for block, size in zip(blocks, sizes, strict=True):
        meta.update((first + row, facts) for row, facts in block.meta.items())
        first += size
    if len(blocks) == 1:
        (one,) = blocks
        return Rows(list(one.sources), one.times, one.since, one.intervals, one.rates, list(numbers), layout, meta)
    return Rows(
        [source for block in blocks for source in block.sources],
        np.concatenate([block.times for block in blocks]),
        np.concatenate([block.since for block in blocks]),
        np.concatenate([block.intervals for block in blocks]),
        np.concatenate([block.rates for block in blocks]),
        list(numbers), layout, meta,
    )  # fmt: skip
