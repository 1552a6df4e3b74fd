"""How much disk space each tier takes."""

from __future__ import annotations

import asyncpg

from monitor.retention import label
from monitor.store.partitions import Partitions
from monitor.store.trees import PACKED

MEASURE = """
SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint
FROM pg_partition_tree(to_regclass($1)) WHERE isleaf
"""
NAMES = "SELECT id, name FROM retention_class"


async def measured(connection: asyncpg.Connection, partitions: Partitions) -> dict[tuple[str, str], int]:
    """Return the bytes of each tree, indexes included, by its class and by `rows`, `packed` or the tier's step."""
    names = {row["id"]: row["name"] for row in await connection.fetch(NAMES)}
    found = {}
    for tree in list(partitions.trees.values()):
        word = "rows" if tree.step is None else "packed" if tree.step == PACKED else label(tree.step)
        found[names.get(tree.kept, str(tree.kept)), word] = await connection.fetchval(MEASURE, tree.name)
    return found
