"""Brings the schema up to date: migrations/NNNN_name.sql in order, each in one transaction and stamped with it."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from monitor.handler import StoreUnusableError
from monitor.resources import resource

log = logging.getLogger("monitor.store.migrate")

NAME = re.compile(r"(\d{4})_(\w+)\.sql")
LOCK = 0x6D6F6E69
TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    ms integer NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(directory: Path | None = None) -> list[Migration]:
    """Return the migrations of a directory (ours by default) in order."""
    found = []
    for path in sorted((directory or resource("migrations")).glob("*.sql")):
        match = NAME.fullmatch(path.name)
        if match is None:
            raise StoreUnusableError(f"expected NNNN_name.sql, got {path.name!r}")
        found.append(Migration(int(match[1]), match[2], path.read_text()))
    versions = [migration.version for migration in found]
    if versions != list(range(1, len(found) + 1)):
        raise StoreUnusableError(f"expected migrations 0001, 0002, … without a gap, got {versions}")
    return found


async def migrate(connection: asyncpg.Connection, known: Sequence[Migration] | None = None) -> list[Migration]:
    """Apply what is missing and return it. StoreUnusableError when the database is newer or was altered."""
    known = migrations() if known is None else known
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    try:
        await connection.execute(TABLE)
        rows = await connection.fetch("SELECT version, name, sha256 FROM schema_migrations ORDER BY version")
        _check(rows, known)
        missing = list(known[len(rows) :])
        for migration in missing:
            await _apply(connection, migration)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)
    return missing


def _check(rows: Sequence[asyncpg.Record], known: Sequence[Migration]) -> None:
    if len(rows) > len(known):
        newest = rows[-1]
        raise StoreUnusableError(
            f"the database has migration {newest['version']:04d}_{newest['name']}, this program knows {len(known)}:"
            " it was used by a newer version; use that one, or another database"
        )
    for row, migration in zip(rows, known, strict=False):
        if (row["version"], row["sha256"]) != (migration.version, migration.sha256):
            raise StoreUnusableError(
                f"migration {migration.version:04d}_{migration.name} is not the one that the database was made with"
                f" ({row['version']:04d}_{row['name']}, sha256 {row['sha256'][:12]}…)"
            )


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    began = time.monotonic()
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO schema_migrations (version, name, sha256, ms) VALUES ($1, $2, $3, $4)",
            migration.version, migration.name, migration.sha256, round((time.monotonic() - began) * 1000),
        )  # fmt: skip
    log.info("store.migrated", extra={"fields": {"version": migration.version, "name": migration.name}})
