"""The days of the tables of events: a partition for each, made ahead and on demand, dropped when they are over."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

import asyncpg

from monitor.store.events import others
from monitor.store.trees import DAY, start_of
from monitor.wire.clickhouse.tables import EVENTS, TABLES, Table

log = logging.getLogger("monitor.store.events")

KEEP = 30.0 * DAY
AHEAD = 1.0 * DAY
"""Events further in the future are kept apart; no true stamp lies there."""
LOCK_TIMEOUT = "2s"
LEAVES = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass($1) AND c.relname ~ '_[0-9]{8}$'
"""
APART = "SELECT DISTINCT {time} / 86400000 AS day FROM ONLY wcs.{table}_default WHERE {time} BETWEEN $1 AND $2"
MAKE = """
LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE;
CREATE TABLE {leaf} (LIKE {table} INCLUDING DEFAULTS, CONSTRAINT bounds CHECK ({time} >= {start} AND {time} < {end}));
WITH gone AS (DELETE FROM ONLY {table}_default WHERE {time} >= {start} AND {time} < {end} RETURNING *)
INSERT INTO {leaf} SELECT * FROM gone;
ALTER TABLE {table} ATTACH PARTITION {leaf} FOR VALUES FROM ({start}) TO ({end});
ALTER TABLE {leaf} DROP CONSTRAINT bounds
"""
CLEAN = "DELETE FROM ONLY wcs.{table}_default WHERE received < $1"
Place = tuple[str, int]
"""A table and the start of a day, in epoch seconds."""


class Days:
    """Knows which days of which tables there are; makes and drops them."""

    def __init__(self) -> None:
        self.keep: Mapping[str, float] = {}
        """How long events are kept: by table, and under '' all others."""
        self.there: set[Place] = set()
        self.stuck: set[Place] = set()
        """Those that could not be dropped or made yet, since somebody reads."""

    def kept(self, table: str) -> float:
        return self.keep.get(table, self.keep.get("", KEEP))

    def wanted(self, table: str, time: float, now: float) -> bool:
        """Tell whether events of a time belong into a day of their own."""
        return now - self.kept(table) <= time <= now + AHEAD

    async def load(self, connection: asyncpg.Connection) -> None:
        self.there = set()
        for table in EVENTS:
            rows = await connection.fetch(LEAVES, f"wcs.{table.name.lower()}")
            self.there.update((table.name, start_of(row["relname"])) for row in rows)

    async def make_ahead(self, connection: asyncpg.Connection, now: float) -> None:
        """Make the days that events will need next, and those whose events had to go elsewhere meanwhile."""
        today = int(now // DAY) * DAY
        for table in EVENTS:
            needed = {today - DAY, today, today + DAY, today + 2 * DAY}
            time = table.time.lower()
            bounds = int((now - self.kept(table.name)) * 1000), int((now + AHEAD) * 1000)
            apart = await connection.fetch(APART.format(time=time, table=table.name.lower()), *bounds)
            needed.update(row["day"] * DAY for row in apart)
            for day in sorted(needed):
                if day + DAY + self.kept(table.name) > now:
                    await self.make(connection, table, day)

    async def make(self, connection: asyncpg.Connection, table: Table, day: int) -> bool:
        """Make a day unless it is there, with what lies in the default partition of it; False when a reader is in the
        way."""
        place = table.name, day
        if place in self.there:
            return True
        time = table.time.lower()
        leaf, start, end = _leaf(place), day * 1000, (day + DAY) * 1000
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", leaf)
                if await connection.fetchval("SELECT to_regclass($1) IS NULL", leaf):
                    await connection.execute(
                        MAKE.format(table=f"wcs.{table.name.lower()}", leaf=leaf, time=time, start=start, end=end)
                    )
        except asyncpg.LockNotAvailableError:
            self._stick(place)
            return False
        self.there.add(place)
        self.stuck.discard(place)
        return True

    async def drop_old(self, connection: asyncpg.Connection, now: float) -> None:
        """Drop the days that are over, and of the rest what came before what is kept."""
        for name, day in sorted(self.there):
            if day + DAY + self.kept(name) <= now:
                await self._drop(connection, (name, day))
        for table in EVENTS:
            before = datetime.fromtimestamp(now - self.kept(table.name), UTC)
            await connection.execute(CLEAN.format(table=table.name.lower()), before)
        await others.clean(connection, datetime.fromtimestamp(now - self.kept(""), UTC))

    async def _drop(self, connection: asyncpg.Connection, place: Place) -> None:
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                await connection.execute(f"DROP TABLE IF EXISTS {_leaf(place)}")
        except asyncpg.LockNotAvailableError:
            self._stick(place)
            return
        self.there.discard(place)
        self.stuck.discard(place)
        log.info("events.day_dropped", extra={"fields": {"partition": _leaf(place)}})

    def _stick(self, place: Place) -> None:
        if place not in self.stuck:
            log.warning("events.day_in_use", extra={"fields": {"partition": _leaf(place)}})
        self.stuck.add(place)

    def newest(self) -> int:
        return max((day for _, day in self.there), default=0)


def _leaf(place: Place) -> str:
    name, day = place
    assert name in TABLES
    return f"wcs.{name.lower()}_{datetime.fromtimestamp(day, UTC):%Y%m%d}"
