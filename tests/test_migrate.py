# ruff: noqa: F811 - fixtures are asked for by the names that they are imported under
"""Migrations against a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
from servers_postgres import PostgresServer, postgres  # noqa: F401

from monitor.handler import StoreUnusableError
from monitor.resources import resource
from monitor.store.migrate import Migration, migrate, migrations


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    name = f"m{time.monotonic_ns()}"
    connection = await asyncpg.connect(postgres.url())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return postgres.url(name)


@pytest.fixture
async def connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    one = await asyncpg.connect(url)
    yield one
    await one.close()


ONE = Migration(1, "one", "CREATE TABLE one (a int); INSERT INTO one VALUES (1);")
TWO = Migration(2, "two", "CREATE TABLE two (a int)")


async def test_each_migration_is_applied_once_and_stamped(connection: asyncpg.Connection) -> None:
    assert await migrate(connection, [ONE]) == [ONE]
    assert await migrate(connection, [ONE, TWO]) == [TWO]
    assert await migrate(connection, [ONE, TWO]) == []
    assert await connection.fetchval("SELECT count(*) FROM one") == 1
    rows = await connection.fetch("SELECT version, name, sha256 FROM schema_migrations ORDER BY version")
    assert [tuple(row) for row in rows] == [(1, "one", ONE.sha256), (2, "two", TWO.sha256)]


async def test_a_migration_that_fails_stamps_nothing_and_leaves_nothing(connection: asyncpg.Connection) -> None:
    broken = Migration(2, "broken", "CREATE TABLE left_over (a int); SELECT 1/0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(connection, [ONE, broken])
    assert await connection.fetchval("SELECT max(version) FROM schema_migrations") == 1
    assert await connection.fetchval("SELECT to_regclass('left_over')") is None
    assert await migrate(connection, [ONE, TWO]) == [TWO]


async def test_a_changed_migration_is_refused(connection: asyncpg.Connection) -> None:
    await migrate(connection, [ONE])
    with pytest.raises(StoreUnusableError, match="0001_one is not the one"):
        await migrate(connection, [replace(ONE, sql=ONE.sql + " "), TWO])
    assert await connection.fetchval("SELECT to_regclass('two')") is None


async def test_a_database_of_a_newer_program_is_refused(connection: asyncpg.Connection) -> None:
    await migrate(connection, [ONE, TWO])
    with pytest.raises(StoreUnusableError, match="newer version"):
        await migrate(connection, [ONE])


async def test_two_programs_that_migrate_at_once_take_turns(url: str, connection: asyncpg.Connection) -> None:
    other = await asyncpg.connect(url)
    slow = replace(ONE, sql=ONE.sql + "SELECT pg_sleep(0.2);")
    done = await asyncio.gather(migrate(connection, [slow]), migrate(other, [slow]))
    await other.close()
    assert sorted(map(len, done)) == [0, 1]


def test_our_own_migrations_are_numbered_without_a_gap() -> None:
    found = migrations()
    assert [one.version for one in found] == list(range(1, len(found) + 1))
    assert resource("migrations").is_dir()
