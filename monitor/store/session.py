"""Connections to the database: a pool to read with, and the one connection that writes.

The writing connection holds an advisory lock, so that a second appliance is told that the database is taken instead of
mixing its cursor with ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from monitor.handler import DeliveryError, StoreDownError, StoreUnusableError

OLDEST_SERVER = 14
READERS = 5
WRITER_LOCK = 0x6D6F6E, 1
AWAY = (
    OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError, asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)  # fmt: skip
"""What says that the server is away, and may be back."""
WRONG = (
    asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)  # fmt: skip
SETTINGS = {"application_name": "monitor", "jit": "off", "timezone": "UTC"}
LOCK = "SELECT pg_try_advisory_lock($1, $2)"
END_OLD = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND classid = $1 AND objid = $2 AND pid = $3
"""


def place(database: str) -> str:
    """Return HOST:PORT/NAME of a database's URL, which holds no secret."""
    try:
        url = urlsplit(database)
        return f"{url.hostname or 'localhost'}:{url.port or 5432}{url.path}"
    except ValueError:
        raise StoreUnusableError(
            "[server] database is no URL postgresql://user:password@host:port/name"
            " (are characters such as @ : / % in the password percent-encoded?)"
        ) from None


def reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")


def check_version(name: str, major: int) -> None:
    """Raise StoreUnusableError for a server that is too old."""
    if major < OLDEST_SERVER:
        raise StoreUnusableError(f"the database {name} is PostgreSQL {major}; {OLDEST_SERVER} or newer is needed")


async def _nothing(connection: asyncpg.Connection) -> None:
    """Readers leave nothing behind that the next would have to be kept from: a round trip less per read."""


class Session:
    """What connects to one database; `where` is what `asyncpg.connect` needs, `name` is how people are told of it."""

    def __init__(self, where: dict[str, Any], name: str, *, timeout: float) -> None:
        self.name = name
        self._where: dict[str, Any] = {**where, "server_settings": SETTINGS, "timeout": 5}
        self._timeout = timeout
        self._pool: asyncpg.Pool | None = None
        self._writer: asyncpg.Connection | None = None
        self._writer_pid = 0

    @property
    def pool(self) -> asyncpg.Pool:
        if self._pool is None:
            raise DeliveryError("the store is not open")
        return self._pool

    @contextlib.asynccontextmanager
    async def reader(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection to read with; StoreDownError while the server is away."""
        try:
            async with self.pool.acquire() as connection:
                yield connection
        except (DeliveryError, *AWAY) as error:
            raise StoreDownError(f"the database {self.name} does not answer: {reason(error)}") from error

    async def open(self, wait: float) -> asyncpg.Connection:
        """Connect, trying again for `wait` seconds; return the connection that writes."""
        end = time.monotonic() + wait
        while True:
            try:
                writer = await self.writer()
                # With none to keep open the pool does not try, and log, by itself while the server is away.
                self._pool = await asyncpg.create_pool(
                    **self._where, min_size=0, max_size=READERS, command_timeout=self._timeout, reset=_nothing
                )
                return writer
            except WRONG as error:
                raise StoreUnusableError(f"the database {self.name} refuses us: {str(error)[:200]}") from None
            except (DeliveryError, *AWAY) as error:
                why = str(error) if isinstance(error, DeliveryError) else reason(error)
                if time.monotonic() > end:
                    raise StoreDownError(f"the database {self.name} is not there after {wait:g} s: {why}") from None
                await asyncio.sleep(0.2)
            except ValueError:
                # asyncpg quotes parts of the URL.
                raise StoreUnusableError(f"the database {self.name}: asyncpg cannot read its URL") from None

    async def writer(self) -> asyncpg.Connection:
        """Return the connection that writes, a new one where the last is gone."""
        if self._writer is None or self._writer.is_closed():
            connection = await asyncpg.connect(**self._where)
            try:
                await self._take(connection)
            except BaseException:
                connection.terminate()
                raise
            self._writer, self._writer_pid = connection, connection.get_server_pid()
        return self._writer

    async def _take(self, connection: asyncpg.Connection) -> None:
        check_version(self.name, connection.get_server_version().major)
        if await connection.fetchval(LOCK, *WRITER_LOCK):
            return
        if self._writer_pid:
            # Our own last connection, which the server has not noticed to be gone.
            await connection.fetch(END_OLD, *WRITER_LOCK, self._writer_pid)
            await asyncio.sleep(0.1)
            if await connection.fetchval(LOCK, *WRITER_LOCK):
                return
        raise DeliveryError("another appliance stores into it")

    def drop_writer(self) -> None:
        """Let go of the connection that writes: nobody knows in what state it is."""
        if self._writer is not None:
            self._writer.terminate()
            self._writer = None

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        writer, self._writer = self._writer, None
        try:
            async with asyncio.timeout(2):
                if writer is not None:
                    await writer.close()
                if pool is not None:
                    await pool.close()
        except (asyncpg.PostgresError, *AWAY):
            # The server is away, and the journal has all that it lacks.
            if writer is not None:
                writer.terminate()
            if pool is not None:
                pool.terminate()
