"""How much disk space each tier takes."""

from __future__ import annotations

from typing import NamedTuple

import asyncpg

from monitor.store.partitions import Partitions
from monitor.store.trees import PACKED, Tree

MEASURE = """
SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint AS bytes, count(*) AS parts
FROM pg_partition_tree(to_regclass($1)) WHERE isleaf
"""
NAMES = "SELECT id, name FROM retention_class"


class Size(NamedTuple):
    bytes: int
    parts: int


async def measured(connection: asyncpg.Connection, partitions: Partitions) -> dict[tuple[str, str], Size]:
    """Return the size of each tree, indexes included, by its class and by `rows`, `packed` or the tier's step."""
    names = {row["id"]: row["name"] for row in await connection.fetch(NAMES)}
    found = {}
    for tree in list(partitions.trees.values()):
        row = await connection.fetchrow(MEASURE, tree.name)
        found[names.get(tree.kept, str(tree.kept)), label(tree)] = Size(row["bytes"], row["parts"])
    return found


def label(tree: Tree) -> str:
    if tree.step is None:
        return "rows"
    return "packed" if tree.step == PACKED else f"{tree.step}s"
