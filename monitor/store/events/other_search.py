"""Finds rows of tables that are none of WCS's page by page, those that came last first."""

from __future__ import annotations

import orjson

from monitor.store.events.others import NAME
from monitor.store.events.search import Key, Page, Search

PAGE = """
SELECT extra, host(server) AS server, (extract(epoch FROM received) * 1000000)::bigint AS came, ctid::text AS key
FROM wcs.other
WHERE name = $1 AND received BETWEEN to_timestamp($2) AND to_timestamp($3)
AND ($4::bigint IS NULL OR (received, ctid) < (to_timestamp(0) + $4 * interval '1 microsecond', $5::tid))
ORDER BY received DESC, ctid DESC LIMIT $6
"""
THERE = "SELECT EXISTS (SELECT FROM wcs.other WHERE name = $1)"


async def page(search: Search, name: str, start: int, end: int, before: Key | None, limit: int) -> Page | None:
    """Return rows that came between two times, in seconds, the newest first; None where there never were any."""
    async with search.connection() as connection:
        if NAME.fullmatch(name) is None or not await connection.fetchval(THERE, name):
            return None
        after = (None, None) if before is None else (before.time, (before.block, before.row))
        found = await connection.fetch(PAGE, name, start, end, *after, limit + 1)
    rows = [
        {"received": row["came"] / 1e6, "server": row["server"], "row": orjson.loads(row["extra"])}
        for row in found[:limit]
    ]
    keys = [Key(row["came"], *map(int, row["key"].strip("()").split(","))) for row in found[:limit]]
    return Page(rows, keys[-1] if len(found) > limit else None, keys)
