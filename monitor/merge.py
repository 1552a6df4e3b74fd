"""Many small blocks made few large ones, and what is delivered together cut in two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.batch import Block, Entry, Layout, Records


def together(entries: Sequence[Entry]) -> list[Entry]:
    """Return the blocks merged, then the records as they are."""
    blocks = [entry for entry in entries if isinstance(entry, Block)]
    return [*merge(blocks), *(entry for entry in entries if isinstance(entry, Records))]


def merge(blocks: Sequence[Block]) -> list[Block]:
    """Return one block per layout with the rows of all, in their order; layouts in the order in which they appear."""
    by_layout: dict[Layout, list[Block]] = {}
    for block in blocks:
        by_layout.setdefault(block.layout, []).append(block)
    return [same[0] if len(same) == 1 else _join(layout, same) for layout, same in by_layout.items()]


def _join(layout: Layout, blocks: list[Block]) -> Block:
    meta: dict[int, dict[str, str]] = {}
    offset = 0
    for block in blocks:
        meta.update((offset + row, facts) for row, facts in block.meta.items())
        offset += len(block)
    return Block(
        layout,
        [source for block in blocks for source in block.sources],
        np.concatenate([block.times for block in blocks]),
        np.concatenate([block.since for block in blocks]),
        np.concatenate([block.intervals for block in blocks]),
        np.concatenate([block.rates for block in blocks]),
        np.concatenate([block.raw for block in blocks]),
        np.concatenate([block.raw_tags for block in blocks]),
        meta,
    )


def halves(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Cut into two parts of about as many rows, between entries where there are several; [] when that cannot be."""
    if len(entries) > 1:
        middle = len(entries) // 2
        return [list(entries[:middle]), list(entries[middle:])]
    only = entries[0] if entries else None
    if not isinstance(only, Block) or len(only) < 2:
        return []
    rows = len(only)
    return [[only.take(range(rows // 2))], [only.take(range(rows // 2, rows))]]
