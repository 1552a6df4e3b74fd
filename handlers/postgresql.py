"""PostgreSQL, the store: every batch is a row, written once and read back for queries and graphs.

Without a configuration the server is embedded: it comes with the program, keeps its data below data_dir and lives as
long as the appliance. An external one (14 or newer) is given as a URL.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from monitor.handler import (
    CF,
    Cells,
    Cursor,
    DeliveryError,
    Entry,
    Heard,
    Points,
    Refused,
    Retention,
    Seconds,
    Series,
    Source,
    SourceInfo,
    Store,
    StoreDownError,
    StoreError,
    StoreUnusableError,
    option,
)
from monitor.store import heard, interning, newest, reader, sizes
from monitor.store.builder import Builder
from monitor.store.classes import Classes
from monitor.store.embedded import Embedded
from monitor.store.events.days import Days
from monitor.store.events.intake import Intake
from monitor.store.events.reading import Reading
from monitor.store.events.search import Search
from monitor.store.identities import Identities
from monitor.store.migrate import migrate
from monitor.store.partitions import Partitions
from monitor.store.session import AWAY, WRONG, Session, place, reason
from monitor.store.writer import Stats, Writer

log = logging.getLogger("monitor.store")

MAINTENANCE = 300.0
BUILDING = 60.0
SOON = 10.0
WATCHED = 1.0
RECOVERY = 600.0
"""Seconds that an embedded server may take to recover from a crash."""
LISTED_AT_ONCE = 500


class PostgreSQLHandler(Store):
    database: str = option("embedded", "embedded, or postgresql://user:password@host/db", secret=True)
    data_dir: Path | None = option(None, "where the embedded server keeps its data")
    postgres_bin: Path | None = option(None, "directory of the embedded server's programs")
    postgres_user: str = option("", "user that the embedded server runs as when started as root")
    start_wait: Seconds = option(Seconds(30), "wait this long for the database at the start", min=1, max=3600)
    batch: int = option(200_000, "store at most about this many values at once", min=1, max=1_000_000)
    timeout: Seconds = option(Seconds(60), "give up a write after this long, and try again", min=0.1, max=600)
    close_timeout = 12.0
    records = ("wcs.",)

    def __init__(self, *arguments: Any, clock: Callable[[], float] = time.time, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.partitions = Partitions()
        self.classes = Classes()
        self.server: Embedded | None = None
        self.sizes = {}
        self._clock = clock
        self.days = Days()
        self.intake = Intake(self.days, clock=clock)
        self.reading = Reading(lambda: self._opened().reader())
        self.search = Search(lambda: self._opened().reader())
        self._writer = Writer(Identities(), self.partitions, self.classes, self.intake, clock=clock)
        self.builder = Builder(
            self._writer, self.partitions, self.classes, reading=lambda: self._opened().reader(), writing=self._writing
        )
        self.history = self.builder.stats
        self._session: Session | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ended = False
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def stats(self) -> Stats:
        return self._writer.stats

    @property
    def known(self) -> Identities:
        return self._writer.identities

    async def open(self) -> None:
        """Start or reach the server and bring its schema up to date; StoreError says why that is not possible."""
        await self.check_schema()
        async with self._writing() as connection:
            self._writer.identities = await Identities.load(connection)
            await self._apply(connection)
            await self.partitions.make_ahead(connection, self._clock())
            await self.days.load(connection)
            await self.days.make_ahead(connection, self._clock())
            self._writer.closed = {
                kept: max(at for (one, _), at in self.classes.built.items() if one == kept)
                for kept in {kept for kept, _ in self.classes.built}
            }
        self._tasks = [
            asyncio.create_task(self._repeat("maintenance", self._care, MAINTENANCE), name="store maintenance"),
            asyncio.create_task(self._repeat("building", self.build, BUILDING), name="store building"),
        ]

    def keep(self, retention: Retention) -> None:
        super().keep(retention)
        self._changed.set()

    def keep_events(self, keep: Mapping[str, float], window: float) -> None:
        self.days.keep = keep
        self.intake.window = window

    async def _apply(self, connection: asyncpg.Connection) -> None:
        """Keep what is to be kept from now on."""
        self._changed.clear()
        trees = await self.classes.sync(connection, self.retention)
        await self.partitions.load(connection, trees)
        await interning.set_classes(connection, self.known, self.classes)

    async def close(self) -> None:
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
            self._tasks = []
            with contextlib.suppress(DeliveryError, asyncpg.PostgresError, *AWAY):
                # Failing that, the rows themselves tell at the next start who was seen.
                async with asyncio.timeout(3), self._writing() as connection:
                    await interning.keep_seen(connection, self.known)
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self.server is not None:
            await self.server.stop()
            self.server = None

    async def check_schema(self) -> str:
        """Migrate to the newest schema; return what was done in one line."""
        if self._session is None:
            self._session = await self._start()
            await self._session.open(float(self.start_wait))
        try:
            async with self._writing() as connection:
                done = await migrate(connection)
        except WRONG as error:
            raise StoreUnusableError(f"the database refuses us: {str(error)[:200]}") from None
        names = ", ".join(f"{one.version:04d}_{one.name}" for one in done)
        return f"applied {names}" if done else "the schema is up to date"

    async def _start(self) -> Session:
        if self.database != "embedded":
            return Session({"dsn": self.database}, place(self.database), timeout=float(self.timeout))
        if self.data_dir is None:
            raise StoreUnusableError("the embedded database needs data_dir")
        self.server = Embedded(Path(self.data_dir), postgres_bin=self.postgres_bin, postgres_user=self.postgres_user)
        await self.server.start(float(self.start_wait))
        return Session(self.server.connection, "embedded", timeout=float(self.timeout))

    def _opened(self) -> Session:
        if self._session is None:
            raise StoreDownError("the store is not open")
        return self._session

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[asyncpg.Connection]:
        """The connection that writes, for one at a time; it is let go of when anything went wrong."""
        async with self._turn:
            session = self._opened()
            try:
                yield await session.writer()
            except BaseException:
                session.drop_writer()
                raise

    async def cursor(self) -> Cursor | None:
        async with self._opened().reader() as connection:
            row = await connection.fetchrow('SELECT segment, "row" FROM journal_cursor')
        return Cursor(row["segment"], row["row"]) if row else None

    async def write(self, blocks: Sequence[Entry], cursor: Cursor) -> Sequence[Refused]:
        try:
            async with self._writing() as connection:
                return await self._writer.write(connection, blocks, cursor)
        except asyncpg.UndefinedTableError as error:
            # A partition that somebody else dropped: made again at the next try.
            async with self._writing() as connection:
                await self._apply(connection)
            raise DeliveryError(reason(error)) from error
        except AWAY as error:
            raise DeliveryError(f"the database does not answer: {reason(error)}") from error

    async def sources(
        self, *, host: str | None = None, collector: str | None = None, instance: str | None = None
    ) -> list[SourceInfo]:
        found = []
        for looked_at, slot in enumerate(self.known.find(host, collector, instance), 1):
            if slot is not None:
                found.append(self.known.info(slot))
            if looked_at % LISTED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return found

    def seen(self, source: Source) -> Mapping[str, float]:
        return self.known.seen_names(source)

    async def read(self, source: Source, names: Sequence[str], start: float, end: float) -> dict[str, Points]:
        async with self._opened().reader() as connection:
            return await reader.read(connection, self.known, self.partitions, source, names, start, end)

    def built(self, source: Source, step: int) -> float:
        return self.classes.built.get((self.classes.of(source), step), 0.0)

    def begun(self, source: Source, step: int) -> float:
        slot = self.known.slots.get(source)
        classes = self.known.classes_of(slot) if slot is not None else (self.classes.of(source),)
        return min(self.partitions.begin(kept, step) for kept in classes)

    async def read_cells(
        self, source: Source, names: Sequence[str], step: int, start: float, end: float, cf: CF
    ) -> dict[str, Cells]:
        async with self._opened().reader() as connection:
            return await reader.read_cells(
                connection, self.known, self.partitions, source, names, step, start, end, cf
            )  # fmt: skip

    async def latest(self, sources: Sequence[Source]) -> dict[Series, tuple[float, float]]:
        """As the store says; who wants a hundred thousand series asks in parts, for a dict that big grows in leaps."""
        now = self._clock()
        after = {tree.kept: now - tree.keep for tree in self.partitions.trees.values() if tree.step is None}
        async with self._opened().reader() as connection:
            return await newest.latest(connection, self.known, self.partitions, sources, after)

    async def keep_heard(self, rows: Sequence[Heard]) -> None:
        async with self._beside() as connection:
            await heard.keep(connection, rows)

    async def heard(self, after: tuple[str, str], limit: int) -> list[Heard]:
        async with self._beside() as connection:
            return await heard.read(connection, after, limit)

    async def forget_heard(self, before: float) -> None:
        async with self._beside() as connection:
            await heard.forget(connection, before)

    @contextlib.asynccontextmanager
    async def _beside(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for what needs no turn among the rows; DeliveryError when the server refuses it now."""
        try:
            async with self._opened().reader() as connection:
                yield connection
        except asyncpg.PostgresError as error:
            raise DeliveryError(reason(error)) from error

    async def healthy(self) -> str | None:
        try:
            async with asyncio.timeout(2):
                await self._opened().pool.fetchval("SELECT 1")
        except (DeliveryError, StoreDownError, asyncpg.PostgresError, *AWAY) as error:
            return f"the database does not answer: {reason(error)}"
        return None

    async def maintain(self) -> None:
        """Make partitions ahead, drop old ones, write down who was seen when, and let go of who was not."""
        now = self._clock()
        async with self._opened().reader() as connection:
            await self.partitions.make_ahead(connection, now)
            await self.partitions.drop_old(connection, now, self.classes.needed)
            self.sizes = await sizes.measured(connection, self.partitions)
        async with self._writing() as connection:
            await interning.keep_seen(connection, self.known)
            await self.days.make_ahead(connection, now)
            await self.days.drop_old(connection, now)
            await self.intake.forget(connection, now)
        more = 1
        while more:
            async with self._writing() as connection:
                more = await interning.forget_unseen(connection, self.known, now, self.classes.longest())

    async def build(self) -> None:
        """Pack and consolidate what is over."""
        if self._changed.is_set():
            async with self._writing() as connection:
                await self._apply(connection)
        await self.builder.run(self._clock())

    async def _care(self) -> None:
        await self._revive()
        await self.maintain()

    async def _repeat(self, name: str, work: Callable[[], Awaitable[None]], pause: float) -> None:
        """Do something for ever; a failure is logged when it begins and ends."""
        failing = False
        while True:
            try:
                if not self.paused():
                    await work()
                if failing:
                    log.info(f"store.{name}_recovered")
                failing = False
            except Exception as error:
                # The one place where an error of maintenance ends: it is tried again, so it must not end the task.
                expected = isinstance(error, (DeliveryError, StoreError, asyncpg.PostgresError, *AWAY))
                if not failing:
                    fields = {"reason": reason(error)}
                    log.warning(f"store.{name}_failed", extra={"fields": fields}, exc_info=not expected)
                failing = True
            await self._rest(SOON if failing or self.partitions.stuck else pause)

    async def _rest(self, seconds: float) -> None:
        """Wait for the next round, or until the embedded server ended, or something else is to be kept."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(WATCHED, left))
            if self._changed.is_set() or (self.server is not None and self.server.ended):
                return

    async def _revive(self) -> None:
        """Start the embedded server again when it ended."""
        if self.server is None or not self.server.ended:
            return
        if not self._ended:
            log.error("store.server_ended", extra={"fields": {"reason": self.server.last_words()}})
        self._ended = True
        await self.server.start(max(RECOVERY, float(self.start_wait)))
        self._ended = False
        log.info("store.server_started", extra={"fields": {"pid": self.server.pid}})
