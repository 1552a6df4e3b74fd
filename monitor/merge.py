"""Many small blocks made few large ones, and a list of blocks cut in two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.batch import Block, Layout


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


def halves(blocks: Sequence[Block]) -> list[list[Block]]:
    """Cut into two parts of about as many rows, between blocks where there are several; [] when one row is left."""
    if len(blocks) > 1:
        middle = len(blocks) // 2
        return [list(blocks[:middle]), list(blocks[middle:])]
    rows = len(blocks[0]) if blocks else 0
    if rows < 2:
        return []
    return [[blocks[0].take(range(rows // 2))], [blocks[0].take(range(rows // 2, rows))]]
