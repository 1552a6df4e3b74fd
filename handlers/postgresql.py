"""PostgreSQL, the store: every batch is a row, written once and read back for queries and graphs.

Without a configuration the server is embedded: it comes with the program, keeps its data below data_dir and lives as
long as the appliance. An external one (14 or newer) is given as a URL.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg

from monitor.handler import (
    Block,
    Cursor,
    Points,
    Refused,
    Seconds,
    Series,
    Source,
    SourceInfo,
    Store,
    StoreDownError,
    StoreUnusableError,
    option,
)
from monitor.store import reader
from monitor.store.embedded import Embedded
from monitor.store.identities import Identities
from monitor.store.migrate import migrate
from monitor.store.partitions import Partitions
from monitor.store.writer import CLASS, Writer

log = logging.getLogger("monitor.store")

OLDEST_SERVER = 14
MAINTENANCE = 300.0
CONNECTIONS = 6
AWAY = (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError)
WRONG = (
    asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)  # fmt: skip


class PostgreSQLHandler(Store):
    database: str = option("embedded", "embedded, or postgresql://user:password@host/db", secret=True)
    data_dir: Path | None = option(None, "where the embedded server keeps its data")
    postgres_bin: Path | None = option(None, "directory of the embedded server's programs")
    postgres_user: str = option("", "user that the embedded server runs as when started as root")
    start_wait: Seconds = option(Seconds(30), "wait this long for the database at the start", min=1, max=3600)
    retention: Seconds = option(Seconds(2 * 86400), "keep collected rows for this long", min=3600)
    batch: int = option(200_000, "store at most about this many values at once", min=1, max=1_000_000)
    timeout: Seconds = option(Seconds(60), "give up a write after this long, and try again", min=0.1, max=600)
    close_timeout = 9.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.identities = Identities()
        self.partitions = Partitions({CLASS: float(self.retention)})
        self.writer = Writer(self.identities, self.partitions)
        self.server: Embedded | None = None
        self._pool: asyncpg.Pool | None = None
        self._maintenance: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start or reach the server and bring its schema up to date; StoreError says why that is not possible."""
        await self._connect()
        async with self.pool.acquire() as connection:
            await migrate(connection)
            await self.identities.load(connection)
            await self.partitions.load(connection)
            await self.partitions.make_ahead(connection, time.time())
        self._maintenance = asyncio.create_task(self._maintain(), name="store maintenance")

    async def close(self) -> None:
        if self._maintenance is not None:
            self._maintenance.cancel()
            await asyncio.wait({self._maintenance})
        if self._pool is not None:
            try:
                async with asyncio.timeout(3):
                    async with self._pool.acquire() as connection:
                        await self.identities.keep(connection)
                    await self._pool.close()
            except (TimeoutError, asyncpg.PostgresError, *AWAY):
                # The server is away; the journal has all that it lacks.
                self._pool.terminate()
            self._pool = None
        if self.server is not None:
            await self.server.stop()

    @property
    def pool(self) -> asyncpg.Pool:
        if self._pool is None:
            raise StoreDownError("the store is not open")
        return self._pool

    async def _connect(self) -> None:
        end = time.monotonic() + float(self.start_wait)
        where: dict[str, Any] = {"dsn": self.database}
        if self.database == "embedded":
            if self.data_dir is None:
                raise StoreUnusableError("the embedded database needs data_dir")
            self.server = Embedded(
                Path(self.data_dir), postgres_bin=self.postgres_bin, postgres_user=self.postgres_user
            )
            await self.server.start(float(self.start_wait))
            where = dict(self.server.connection)
        while True:
            try:
                self._pool = await asyncpg.create_pool(
                    **where, min_size=1, max_size=CONNECTIONS, timeout=5, command_timeout=float(self.timeout),
                    server_settings={"application_name": "monitor", "jit": "off", "timezone": "UTC"},
                )  # fmt: skip
                break
            except WRONG as error:
                raise StoreUnusableError(f"the database refuses us: {error}") from None
            except (TimeoutError, *AWAY) as error:
                if time.monotonic() > end:
                    reason = f"{type(error).__name__}: {str(error)[:200]}"
                    text = f"the database did not answer within {float(self.start_wait):g} s ({reason})"
                    raise StoreDownError(text) from None
                await asyncio.sleep(0.5)
            except ValueError as error:
                raise StoreUnusableError(f"database: {str(error)[:200]}") from None
        async with self.pool.acquire() as connection:
            major = connection.get_server_version().major
        if major < OLDEST_SERVER:
            raise StoreUnusableError(f"PostgreSQL {major} is too old; {OLDEST_SERVER} or newer is needed")

    async def check_schema(self) -> str:
        """Migrate to the newest schema; return what was done in one line."""
        await self._connect()
        async with self.pool.acquire() as connection:
            done = await migrate(connection)
        names = ", ".join(f"{one.version:04d}_{one.name}" for one in done)
        return f"applied {names}" if done else "the schema is up to date"

    async def cursor(self) -> Cursor | None:
        row = await self.pool.fetchrow('SELECT segment, "row" FROM journal_cursor')
        return Cursor(row["segment"], row["row"]) if row else None

    async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
        async with self.pool.acquire() as connection:
            try:
                return await self.writer.write(connection, blocks, cursor)
            except BaseException:
                # What the transaction took back must not be remembered as known.
                with contextlib.suppress(*AWAY, asyncpg.PostgresError):
                    await self.identities.load(connection)
                raise

    async def sources(
        self, *, host: str | None = None, collector: str | None = None, instance: str | None = None
    ) -> list[SourceInfo]:
        return [
            SourceInfo(
                known.source, known.interval, known.first_seen, known.last_seen, self._kinds(known.layouts), known.meta
            )
            for source, known in sorted(self.identities.sources.items())
            if (host is None or source.host == host)
            and (collector is None or source.collector == collector)
            and (instance is None or source.instance == instance)
        ]

    def _kinds(self, layouts: Any) -> dict[str, Any]:
        known = [self.identities.layouts[number] for number in layouts]
        return {name: kind for layout in known for name, kind in zip(layout.names, layout.kinds, strict=True)}

    async def read(self, source: Source, names: Sequence[str], start: float, end: float) -> dict[str, Points]:
        known = self.identities.sources.get(source)
        if known is None:
            return {}
        async with self.pool.acquire() as connection:
            return await reader.read(connection, self.identities, known, names, start, end)

    async def latest(self, sources: Sequence[Source]) -> dict[Series, tuple[float, float]]:
        async with self.pool.acquire() as connection:
            return await reader.latest(connection, self.identities, sources, time.time() - float(self.retention))

    async def healthy(self) -> str | None:
        try:
            async with asyncio.timeout(2):
                await self.pool.fetchval("SELECT 1")
        except (TimeoutError, StoreDownError, asyncpg.PostgresError, *AWAY) as error:
            return f"the database does not answer: {type(error).__name__}: {str(error)[:200]}"
        return None

    async def _maintain(self) -> None:
        """Make partitions ahead, drop old ones, and write down who was seen when, every few minutes."""
        failing = False
        while True:
            try:
                async with self.pool.acquire() as connection:
                    now = time.time()
                    await self.partitions.make_ahead(connection, now)
                    await self.partitions.drop_old(connection, now)
                    await self.identities.keep(connection)
                    await self.identities.forget(connection, now - float(self.retention))
                if failing:
                    log.info("store.maintenance_recovered")
                failing = False
            except (TimeoutError, StoreDownError, asyncpg.PostgresError, *AWAY) as error:
                if not failing:
                    log.warning("store.maintenance_failed", extra={"fields": {"reason": f"{error!r}"[:300]}})
                failing = True
            await asyncio.sleep(10 if failing or self.partitions.stuck else MAINTENANCE)
