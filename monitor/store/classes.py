"""The retention classes and their tiers as the database knows them, brought in line with the configuration."""

from __future__ import annotations

from datetime import timedelta

import asyncpg

from monitor.batch import Source
from monitor.retention import Retention, RetentionClass
from monitor.store.trees import PACKED, Leaf, Tree, chunks_of, rows_of

DEFAULT = 1
CLASSES = "SELECT id, name, extract(epoch FROM collected)::float8 AS collected FROM retention_class"
ADD_CLASS = "INSERT INTO retention_class (id, name, collected) VALUES ($1, $2, $3)"
SET_CLASS = "UPDATE retention_class SET collected = $2 WHERE id = $1"
TIERS = """
SELECT class, step, extract(epoch FROM keep)::float8 AS keep, period, part,
    extract(epoch FROM built)::float8 AS built FROM tier
"""
SET_TIER = """
INSERT INTO tier (class, step, keep, period, part) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (class, step) DO UPDATE SET keep = excluded.keep
"""
SET_BUILT = "UPDATE tier SET built = to_timestamp($3::float8) WHERE class = $1 AND step = $2"


class Classes:
    """Knows the number of each class, what it keeps, and how far its tiers are built."""

    def __init__(self, retention: Retention | None = None) -> None:
        self.retention = Retention() if retention is None else retention
        self.numbers: dict[str, int] = {"default": DEFAULT}
        self.built: dict[tuple[int, int], float] = {}
        """By class and step: everything before this time is there."""

    def of(self, source: Source) -> int:
        """Return the number of a source's class."""
        return self.numbers[self.retention.of(source).name]

    def numbered(self) -> dict[int, RetentionClass]:
        """Return the configured classes by their numbers."""
        return {self.numbers[one.name]: one for one in self.retention.classes}

    def longest(self) -> dict[int, float]:
        """Return how long a source that is not seen any more is known, by class."""
        return {number: one.longest for number, one in self.numbered().items()}

    def needed(self, leaf: Leaf) -> bool:
        """Tell whether cells are still to be made from a partition: the appliance may have been away for days."""
        one = self.numbered().get(leaf.tree.kept)
        step = leaf.tree.step or 0
        coarser = next((tier for tier in one.stored if tier.step > step), None) if one else None
        return coarser is not None and self.built.get((leaf.tree.kept, coarser.step), 0.0) < leaf.end

    async def sync(self, connection: asyncpg.Connection, retention: Retention) -> list[Tree]:
        """Take over a configuration; return all trees, those of what is configured no more too until they are empty."""
        async with connection.transaction():
            numbers = {row["name"]: row["id"] for row in await connection.fetch(CLASSES)}
            for one in retention.classes:
                collected = timedelta(seconds=one.collected)
                if one.name not in numbers:
                    numbers[one.name] = max(numbers.values(), default=0) + 1
                    await connection.execute(ADD_CLASS, numbers[one.name], one.name, collected)
                await connection.execute(SET_CLASS, numbers[one.name], collected)
                await connection.executemany(
                    SET_TIER,
                    [
                        (tree.kept, tree.step, timedelta(seconds=tree.keep), tree.period, tree.part)
                        for tree in wanted(numbers[one.name], one)
                    ],
                )
            trees = [rows_of(row["id"], row["collected"]) for row in await connection.fetch(CLASSES)]
            built = {}
            for row in await connection.fetch(TIERS):
                trees.append(Tree(row["class"], row["step"], row["keep"], row["period"], row["part"]))
                built[row["class"], row["step"]] = row["built"] or 0.0
        self.retention, self.numbers, self.built = retention, numbers, built
        return trees

    async def set_built(self, connection: asyncpg.Connection, kept: int, step: int, until: float) -> None:
        await connection.execute(SET_BUILT, kept, step, until)
        self.built[kept, step] = until


def wanted(kept: int, one: RetentionClass) -> list[Tree]:
    """Return the trees of a class' chunks, from fine to coarse."""
    trees, finer = [], one.collected
    if one.pack:
        trees.append(chunks_of(kept, PACKED, one.collected, finer))
    for tier in one.stored:
        trees.append(chunks_of(kept, tier.step, tier.keep, finer))
        finer = tier.keep
    return trees
