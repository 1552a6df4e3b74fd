"""The partitions of all trees: made ahead and on demand, dropped when their retention is over."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import asyncpg

from monitor.store.trees import DAY, PACKED, Leaf, Tree, start_of

log = logging.getLogger("monitor.store.partitions")

AHEAD = 2
LOCK_TIMEOUT = "2s"
LEAVES = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass($1)
"""
OLDEST = "SELECT extract(epoch FROM min(start))::bigint FROM {leaf}"
KEYS = {"sample": "source_id, time, since", "chunk": "source_id, start, layout_id"}
WIDE = {"sample": ("values", "MAIN"), "chunk": ("data", "EXTERNAL")}
"""The wide column of each table and how it is stored: rows stay whole, of packed columns a part can be read."""


class Partitions:
    """Knows which leaves there are; makes and drops them."""

    def __init__(self) -> None:
        self.trees: dict[tuple[int, int | None], Tree] = {}
        """By class and step; the step of collected rows is None."""
        self.leaves: set[Leaf] = set()
        self.begun: dict[tuple[int, int | None], int] = {}
        """When the oldest chunk of each tree begins."""
        self.stuck: set[Leaf] = set()
        """Those that could not be dropped yet, since somebody reads."""

    def rows(self, kept: int) -> Tree:
        """Return the tree of a class' collected rows."""
        return self.trees[kept, None]

    def touched(self, kept: int, step: int | None, start: float, end: float) -> bool:
        """Tell whether there may be something of a tree between two times."""
        return any(
            leaf.tree.kept == kept and leaf.tree.step == step and leaf.start < end and leaf.end > start
            for leaf in self.leaves
        )

    def begins(self, tree: Tree, start: int) -> None:
        """Note that a tree has a chunk that begins then."""
        key = tree.kept, tree.step
        self.begun[key] = min(start, self.begun.get(key, start))

    def begin(self, kept: int, step: int) -> float:
        """Return since when there is anything of a step, 0 for the rows, packed or not; infinity without any."""
        if step != PACKED:
            return self.begun.get((kept, step), math.inf)
        mine = (leaf.start for leaf in self.leaves if leaf.tree.kept == kept and leaf.tree.step in (None, PACKED))
        return min(mine, default=math.inf)

    async def load(self, connection: asyncpg.Connection, trees: Iterable[Tree]) -> None:
        """Know these trees, made where they are not there yet, and their leaves."""
        known = {(tree.kept, tree.step): tree for tree in trees}
        leaves = set()
        for tree in known.values():
            await self._plant(connection, tree)
            names = await connection.fetch(LEAVES, tree.name)
            leaves |= {Leaf(tree, start_of(row["relname"])) for row in names}
        self.trees, self.leaves, self.begun = known, leaves, {}
        for leaf in sorted(leaves, key=lambda leaf: leaf.start):
            if leaf.tree.step and (leaf.tree.kept, leaf.tree.step) not in self.begun:
                begin = await connection.fetchval(OLDEST.format(leaf=leaf.name))
                if begin is not None:
                    self.begins(leaf.tree, begin)
        self.stuck = {leaf for leaf in self.stuck if leaf in leaves}

    async def make_ahead(self, connection: asyncpg.Connection, now: float) -> None:
        """Make the leaves that rows will need in the next days."""
        for tree in self.trees.values():
            if tree.step is None:
                for days in range(AHEAD + 1):
                    await self.make(connection, tree.leaf(now + days * DAY))

    async def make(self, connection: asyncpg.Connection, leaf: Leaf) -> None:
        """Make a leaf unless it is there. It is attached whole, which waits for no reader."""
        if leaf in self.leaves:
            return
        tree = leaf.tree
        table = tree.name.partition("_")[0]
        start, end = (datetime.fromtimestamp(at, UTC).isoformat() for at in (leaf.start, leaf.end))
        wide, storage = WIDE[table]
        same = f"class = {tree.kept}" + ("" if tree.step is None else f" AND step = {tree.step}")
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", leaf.name)
            if await connection.fetchval("SELECT to_regclass($1) IS NULL", leaf.name):
                await connection.execute(
                    f"CREATE TABLE {leaf.name} (LIKE {table}, PRIMARY KEY ({KEYS[table]}),"
                    f" CONSTRAINT bounds CHECK ({same} AND {tree.column} >= '{start}' AND {tree.column} < '{end}'));"
                    f" ALTER TABLE {leaf.name} ALTER COLUMN {wide} SET STORAGE {storage};"
                    f" ALTER TABLE {tree.name} ATTACH PARTITION {leaf.name} FOR VALUES FROM ('{start}') TO ('{end}');"
                    f" ALTER TABLE {leaf.name} DROP CONSTRAINT bounds"
                )
        self.leaves.add(leaf)

    async def drop_old(self, connection: asyncpg.Connection, now: float, needed: Callable[[Leaf], bool]) -> None:
        """Drop what is over and not needed any more.

        Where a reader holds it, it is left for the next time instead of waiting behind him.
        """
        for leaf in sorted(self.leaves, key=lambda leaf: (leaf.start, leaf.name)):
            if leaf.end + leaf.tree.keep <= now and not needed(leaf):
                await self.drop(connection, leaf)

    async def drop(self, connection: asyncpg.Connection, leaf: Leaf) -> bool:
        """Drop a leaf; False when a reader holds it."""
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                await connection.execute(f"DROP TABLE IF EXISTS {leaf.name}")
        except asyncpg.LockNotAvailableError:
            if leaf not in self.stuck:
                log.warning("store.partition_in_use", extra={"fields": {"partition": leaf.name}})
            self.stuck.add(leaf)
            return False
        self.leaves.discard(leaf)
        self.stuck.discard(leaf)
        log.info("store.partition_dropped", extra={"fields": {"partition": leaf.name}})
        return True

    @staticmethod
    async def _plant(connection: asyncpg.Connection, tree: Tree) -> None:
        """Make a tree's tables above the leaves."""
        if tree.step is None:
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS {tree.name} PARTITION OF sample FOR VALUES IN ({tree.kept})"
                " PARTITION BY RANGE (time)"
            )
            return
        await connection.execute(
            f"CREATE TABLE IF NOT EXISTS chunk_{tree.kept} PARTITION OF chunk FOR VALUES IN ({tree.kept})"
            " PARTITION BY LIST (step)"
        )
        await connection.execute(
            f"CREATE TABLE IF NOT EXISTS {tree.name} PARTITION OF chunk_{tree.kept} FOR VALUES IN ({tree.step})"
            " PARTITION BY RANGE (start)"
        )
