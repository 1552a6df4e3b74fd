"""Chunks in the database: written whole, read whole or by the columns that are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import asyncpg

from monitor.batch import Layout
from monitor.store import chunk
from monitor.store.packing import Packed
from monitor.store.trees import Leaf, Tree

REMOVE = """
DELETE FROM {leaf}
WHERE source_id = $1 AND start >= to_timestamp($2::float8) AND start < to_timestamp($3::float8)
"""
INSERT = """
INSERT INTO {leaf} (class, step, source_id, layout_id, start, offsets, data)
VALUES ($1, $2, $3, $4, to_timestamp($5::float8), $6, $7)
"""
WHOLE = """
SELECT layout_id, extract(epoch FROM start)::bigint AS start, offsets, data FROM {tree}
WHERE source_id = $1 AND start >= to_timestamp($2::float8) AND start < to_timestamp($3::float8) ORDER BY start
"""
COLUMNS = """
SELECT {columns} FROM {tree}
WHERE source_id = $1 AND layout_id = $2 AND start >= to_timestamp($3::float8) AND start < to_timestamp($4::float8)
ORDER BY start
"""
COLUMN = "offsets[{first}:{over}], substring(data, offsets[{first}] + 1, offsets[{over}] - offsets[{first}])"
NEWEST = """
SELECT offsets, data FROM {tree} WHERE source_id = $1 AND layout_id = $2 ORDER BY start DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The packed columns of a source in one layout, over the period that begins at `start`."""

    layout_id: int
    start: int
    packed: Packed


async def replace(
    connection: asyncpg.Connection, leaf: Leaf, source_id: int, period: tuple[int, int], chunks: Sequence[Chunk]
) -> None:
    """Put these chunks of a source in the place of those that begin in the same period."""
    tree = leaf.tree
    async with connection.transaction():
        await connection.execute(REMOVE.format(leaf=leaf.name), source_id, *period)
        for one in chunks:
            await connection.execute(
                INSERT.format(leaf=leaf.name), tree.kept, tree.step, source_id, one.layout_id, one.start,
                one.packed.offsets, one.packed.data,
            )  # fmt: skip


async def whole(connection: asyncpg.Connection, tree: Tree, source_id: int, start: float, end: float) -> list[Chunk]:
    """Return the chunks of a source that begin at `start` or later, and before `end`."""
    rows = await connection.fetch(WHOLE.format(tree=tree.name), source_id, start, end)
    return [Chunk(row["layout_id"], row["start"], Packed(row["data"], list(row["offsets"]))) for row in rows]


async def newest(connection: asyncpg.Connection, tree: Tree, source_id: int, layout_id: int) -> Packed | None:
    row = await connection.fetchrow(NEWEST.format(tree=tree.name), source_id, layout_id)
    return Packed(row["data"], list(row["offsets"])) if row else None


async def columns(
    connection: asyncpg.Connection, tree: Tree, source_id: int, layout_id: int, ranges: Sequence[tuple[int, int]],
    start: float, end: float,
) -> list[list[list[bytes]]]:  # fmt: skip
    """Return, for each chunk in order of time, each of the asked ranges (first column, how many) as columns."""
    wanted = ", ".join(COLUMN.format(first=first + 1, over=first + count + 1) for first, count in ranges)
    query = COLUMNS.format(columns=wanted, tree=tree.name)
    rows = await connection.fetch(query, source_id, layout_id, start, end)
    return [[chunk.cut(row[2 * i + 1], row[2 * i], 0, count) for i, (_, count) in enumerate(ranges)] for row in rows]


def value_ranges(layout: Layout, names: Sequence[str], width: int) -> Iterator[tuple[int, int]]:
    """Yield the columns of the axis and then those of the names, `width` columns each."""
    yield 0, chunk.AXIS
    for name in names:
        yield chunk.AXIS + layout.column[name] * width, width
