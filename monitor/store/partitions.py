"""Partitions of the collected rows: one a day and retention class, made ahead, dropped when their retention is over."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

log = logging.getLogger("monitor.store.partitions")

DAY = 86400
AHEAD = 2
LOCK_TIMEOUT = "2s"
LEAVES = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = $1::regclass
"""


@dataclass(frozen=True, slots=True)
class Leaf:
    """The partition of a class for one day (UTC), which begins at `start` (epoch seconds)."""

    kept: int
    start: int

    @property
    def name(self) -> str:
        return f"sample_{self.kept}_{datetime.fromtimestamp(self.start, UTC):%Y%m%d}"

    @classmethod
    def of(cls, kept: int, time: float) -> Leaf:
        return cls(kept, int(time // DAY) * DAY)

    @classmethod
    def named(cls, name: str) -> Leaf:
        _, kept, day = name.split("_")
        return cls(int(kept), int(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp()))


class Partitions:
    """Knows which leaves there are; makes and drops them."""

    def __init__(self, retention: dict[int, float]) -> None:
        self.retention = retention
        """Seconds that rows of each class are kept."""
        self.leaves: set[Leaf] = set()
        self.stuck: set[Leaf] = set()
        """Those that could not be dropped yet, since somebody reads."""

    async def load(self, connection: asyncpg.Connection) -> None:
        self.leaves = set()
        for kept in self.retention:
            names = await connection.fetch(LEAVES, f"sample_{kept}")
            self.leaves |= {Leaf.named(row["relname"]) for row in names}

    async def make_ahead(self, connection: asyncpg.Connection, now: float) -> None:
        for kept in self.retention:
            for days in range(AHEAD + 1):
                await self.make(connection, Leaf.of(kept, now + days * DAY))

    async def make(self, connection: asyncpg.Connection, leaf: Leaf) -> None:
        """Make a leaf unless it is there. It is attached whole, which waits for no reader."""
        if leaf in self.leaves:
            return
        start, end = (datetime.fromtimestamp(at, UTC).isoformat() for at in (leaf.start, leaf.start + DAY))
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", leaf.name)
            if await connection.fetchval("SELECT to_regclass($1) IS NULL", leaf.name):
                await connection.execute(
                    f"CREATE TABLE {leaf.name} (LIKE sample, PRIMARY KEY (source_id, time, since),"
                    f" CONSTRAINT bounds CHECK (class = {leaf.kept} AND time >= '{start}' AND time < '{end}'));"
                    f" ALTER TABLE {leaf.name} ALTER COLUMN values SET STORAGE MAIN;"
                    f" ALTER TABLE sample_{leaf.kept} ATTACH PARTITION {leaf.name}"
                    f" FOR VALUES FROM ('{start}') TO ('{end}');"
                    f" ALTER TABLE {leaf.name} DROP CONSTRAINT bounds"
                )
        self.leaves.add(leaf)

    async def drop_old(self, connection: asyncpg.Connection, now: float) -> None:
        """Drop what is over; where a reader holds it, leave it for the next time instead of waiting behind him."""
        for leaf in sorted(self.leaves, key=lambda leaf: leaf.start):
            if leaf.start + DAY + self.retention[leaf.kept] > now:
                continue
            try:
                async with connection.transaction():
                    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                    await connection.execute(f"DROP TABLE IF EXISTS {leaf.name}")
            except asyncpg.LockNotAvailableError:
                if leaf not in self.stuck:
                    log.warning("store.partition_in_use", extra={"fields": {"partition": leaf.name}})
                self.stuck.add(leaf)
            else:
                self.leaves.discard(leaf)
                self.stuck.discard(leaf)
                log.info("store.partition_dropped", extra={"fields": {"partition": leaf.name}})
