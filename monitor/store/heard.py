"""What agents last said beside numbers: written and read back as it is."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from monitor.handler import Heard

KEEP = """
INSERT INTO heard (host, plugin, last, meta, warnings)
SELECT host, plugin, to_timestamp(last), meta::jsonb, warnings::jsonb
FROM unnest($1::text[], $2::text[], $3::float8[], $4::text[], $5::text[]) AS told (host, plugin, last, meta, warnings)
ON CONFLICT (host, plugin) DO UPDATE
SET last = excluded.last, meta = excluded.meta, warnings = excluded.warnings
"""
READ = """
SELECT host, plugin, extract(epoch FROM last)::float8 AS last, meta::text, warnings::text
FROM heard WHERE (host, plugin) > ($1, $2) ORDER BY host, plugin LIMIT $3
"""
FORGET = "DELETE FROM heard WHERE last < to_timestamp($1)"


async def keep(connection: asyncpg.Connection, rows: Sequence[Heard]) -> None:
    """Write the rows in one statement; no host and plugin stands in two of them."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    if columns:
        await connection.execute(KEEP, *columns)


async def read(connection: asyncpg.Connection, after: tuple[str, str], limit: int) -> list[Heard]:
    return [Heard(*row) for row in await connection.fetch(READ, *after, limit)]


async def forget(connection: asyncpg.Connection, before: float) -> None:
    await connection.execute(FORGET, before)
