"""Rows of tables that are none of WCS's: objects, all in one table of ours, read as the columns that they have."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg

from monitor.store.events import cells
from monitor.wire.clickhouse.tables import DATABASE, EXTRA, Table
from monitor.wire.clickhouse.types import Type

Given = Sequence[tuple[str, str]]
"""Names and types of columns."""
NO_OTHERS: Mapping[str, Given] = {}
NAME = re.compile(r"[A-Za-z_]\w{0,59}", re.ASCII)
OBJECTS = Table("other", (), (), server="server")
CLEAN = "DELETE FROM wcs.other WHERE received < $1"
READ = {
    "integer": ("numeric", "0"), "float": ("double precision", "0"), "bool": ("boolean", "false"),
    "ipv4": ("inet", "'0.0.0.0'"),
}  # fmt: skip
"""What the text of a value is read as, and what stands for one that is missing."""


async def store(connection: asyncpg.Connection, name: str, server: str, body: bytes) -> bool:
    """Store objects, one to a line; tell whether they had to be made fit. DataError where that did not help."""
    try:
        await _copy(connection, name, server, body)
        return False
    except asyncpg.DataError:
        pass
    await _copy(connection, name, server, await asyncio.to_thread(cells.repaired, body, (EXTRA,), OBJECTS))
    return True


async def _copy(connection: asyncpg.Connection, name: str, server: str, body: bytes) -> None:
    rows = body.replace(b"\n", f"\t{name}\t{server}\n".encode())
    async with connection.transaction():
        await connection.copy_to_table(
            "other", schema_name=DATABASE, source=io.BytesIO(rows), columns=(EXTRA, "name", "server"), format="text"
        )


async def clean(connection: asyncpg.Connection, before: datetime) -> None:
    """Delete what has been here for longer than since then."""
    await connection.execute(CLEAN, before)


def source(name: str, columns: Given) -> str:
    """Return the query that stands for a table of these columns, the last of which holds the whole object."""
    if not all(NAME.fullmatch(one) for one in (name, *(column for column, _ in columns))):
        raise ValueError(f"expected names, got {name[:80]!r}")
    listed = ", ".join(f'{_read(column, type)} AS "{column}"' for column, type in columns)
    return f"(SELECT {listed} FROM {DATABASE}.other WHERE name = '{name}')"  # noqa: S608 - only names, checked above


def _read(column: str, type: str) -> str:
    if column == EXTRA:
        return f"{EXTRA}::text"
    kind, missing = READ.get(Type.parse(type).kind, ("", "''"))
    value = f"({EXTRA}->>'{column}')"
    return f"coalesce({value}::{kind}, {missing})" if kind else f"coalesce({value}, {missing})"
