"""Finds events page by page, the newest first: the key of a page's last event is where the next one begins."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, NamedTuple

import asyncpg
import orjson

from monitor.store.events.cells import WRAP, restored
from monitor.store.events.reading import Readers
from monitor.wire.clickhouse.tables import DATABASE, DICTIONARIES, EXTRA, Table

KEY = re.compile(r"(-?\d{1,19})-(\d{1,10})-(\d{1,5})", re.ASCII)
NARROW = 2_000
"""Milliseconds that are looked at first where no index finds what is wanted."""
WIDER = 8
SLICE = 500
WIDE = 60_000
"""Milliseconds from which on it is found out first where in them there is anything."""
TYPES = {"IPv4": "inet", "String": "text"}
INDEXED = frozenset({"streamName", "mediaSessionId", "sessionId", "streamId"})
SERVER = "server"
PAGE = """
SELECT {columns}, ctid::text AS key FROM {table} WHERE {conditions} ORDER BY {time} DESC, ctid DESC LIMIT {limit}
"""


SETTINGS = (
    "SET LOCAL statement_timeout = {milliseconds}; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL jit = off"
)
"""A plan that is made without the times knows nothing of how much lies between them."""
SOME = "SELECT EXISTS (SELECT FROM {table} WHERE {time} BETWEEN $1 AND $2)"


class Key(NamedTuple):
    """Where an event is: its time and its place among those of the same time."""

    time: int
    block: int
    row: int

    @classmethod
    def parse(cls, text: str) -> Key:
        found = KEY.fullmatch(text)
        if found is None:
            raise ValueError(f"expected the next of the page before, got {text[:40]!r}")
        return cls(int(found[1]), int(found[2]), int(found[3]))

    def __str__(self) -> str:
        return f"{self.time}-{self.block}-{self.row}"


class Condition(NamedTuple):
    """One of these columns must have one of these values."""

    columns: tuple[str, ...]
    values: Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for, between two times in milliseconds, both included."""

    table: Table
    start: int
    end: int
    conditions: Sequence[Condition] = ()
    before: Key | None = None


class Page(NamedTuple):
    events: list[dict[str, Any]]
    next: Key | None
    """Where the next page begins; None where there is none."""
    keys: Sequence[Key] = ()
    """Where each of the events is."""


class Search:
    def __init__(self, readers: Readers, *, timeout: float = 20.0) -> None:
        self.timeout = timeout
        self._readers = readers

    async def page(self, wanted: Wanted, limit: int) -> Page:
        """Return at most so many events, the newest first."""
        async with self.connection() as connection:
            return await self.page_of(connection, wanted, limit)

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[asyncpg.Connection]:
        """A connection to read with, whose statements take so long and no longer."""
        seconds = self.timeout if timeout is None else timeout
        async with self._readers() as connection, connection.transaction(readonly=True, isolation="repeatable_read"):
            await connection.execute(SETTINGS.format(milliseconds=int(seconds * 1000)))
            yield connection

    async def page_of(self, connection: asyncpg.Connection, wanted: Wanted, limit: int) -> Page:
        """Return a page as this connection sees the events."""
        if any(INDEXED.intersection(one.columns) for one in wanted.conditions):
            found = await self._fetch(connection, wanted, limit + 1)
        else:
            found = await self._fetch_unindexed(connection, wanted, limit + 1)
        more = len(found) > limit
        events: list[dict[str, Any]] = []
        keys: list[Key] = []
        for first in range(0, min(limit, len(found)), SLICE):
            some = found[first : min(limit, first + SLICE)]
            events += [_event(wanted.table, one) for one in some]
            keys += [_key(one, wanted.table) for one in some]
            await asyncio.sleep(0)
        return Page(events, keys[-1] if more else None, keys)

    async def pages(self, wanted: Wanted, size: int, most: int) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield all events in pages of this size, at most so many events."""
        left = most
        while left > 0:
            page = await self.page(wanted, min(size, left))
            if page.events:
                yield page.events
            if page.next is None:
                return
            left -= len(page.events)
            wanted = replace(wanted, before=page.next)

    async def _fetch_unindexed(
        self, connection: asyncpg.Connection, wanted: Wanted, limit: int
    ) -> list[asyncpg.Record]:
        """Look at little first and then at ever more, for what no index finds is sorted as a whole."""
        found: list[asyncpg.Record] = []
        end, width = _end(wanted), NARROW
        while end >= wanted.start and len(found) < limit:
            start = max(wanted.start, end - width)
            if width > WIDE:
                newest = await self._newest(connection, wanted.table, start, end)
                if newest is None:
                    end, width = start - 1, width * WIDER
                    continue
                if end - newest > WIDE:
                    end, width = newest, NARROW
                    start = max(wanted.start, end - width)
            part = replace(wanted, start=start, end=end)
            found += await self._fetch(connection, part, limit - len(found))
            end, width = start - 1, width * WIDER
        return found

    @staticmethod
    async def _newest(connection: asyncpg.Connection, table: Table, start: int, end: int) -> int | None:
        """Return about when the newest event between two times is, not before it; None where there is none."""
        sql = SOME.format(table=f"{DATABASE}.{table.name.lower()}", time=table.time.lower())
        if not await connection.fetchval(sql, start, end):
            return None
        while end - start > NARROW:
            middle = (start + end) // 2
            if await connection.fetchval(sql, middle + 1, end):
                start = middle + 1
            else:
                end = middle
        return end

    @staticmethod
    async def _fetch(connection: asyncpg.Connection, wanted: Wanted, limit: int) -> list[asyncpg.Record]:
        table = wanted.table
        conditions, values = where(wanted)
        sql = PAGE.format(
            columns=", ".join(name.lower() for name in _names(table)),
            table=f"{DATABASE}.{table.name.lower()}",
            conditions=conditions,
            time=table.time.lower(),
            limit=limit,
        )
        rows: list[asyncpg.Record] = await connection.fetch(sql, *values)
        return rows


def where(wanted: Wanted) -> tuple[str, list[Any]]:
    """Return what the rows that are wanted fulfil, as SQL, and the values of its parameters."""
    time = wanted.table.time.lower()
    values: list[Any] = [wanted.start, _end(wanted)]
    conditions = [f"{time} BETWEEN $1 AND $2"]
    if wanted.before is not None:
        conditions.append(f"({time}, ctid) < ($2, '({wanted.before.block},{wanted.before.row})'::tid)")
        if wanted.before.time > wanted.end:
            conditions.pop()
    types = dict(wanted.table.columns)
    for columns, wished in wanted.conditions:
        # Of a single value an index gives the rows in order of their time; of several they are sorted.
        values.append(wished[0] if len(wished) == 1 else list(wished))
        form = "{} = ${}::{}" if len(wished) == 1 else "{} = ANY(${}::{}[])"
        either = [
            form.format(name.lower(), len(values), TYPES.get(types.get(name, "IPv4"), "numeric")) for name in columns
        ]
        conditions.append(f"({' OR '.join(either)})")
    return " AND ".join(conditions), values


def _end(wanted: Wanted) -> int:
    return min(wanted.end, wanted.before.time) if wanted.before else wanted.end


def _names(table: Table) -> list[str]:
    return [*table.names, *([] if table.server else [SERVER]), EXTRA]


def names(table: Table) -> list[str]:
    """Return the names of an event's members, in order."""
    found = []
    for name in _names(table):
        found.append(name)
        if name in table.kinds:
            found.append(f"{name}Name")
    return found


def _event(table: Table, row: asyncpg.Record) -> dict[str, Any]:
    """Return an event with the names of WCS, and with what its numbers mean."""
    event: dict[str, Any] = {}
    for name, value in zip(_names(table), row, strict=False):
        if name == EXTRA:
            event[name] = orjson.loads(value) if value else None
            continue
        event[name] = _plain(value) if name not in (table.time, "responseTime") else value % WRAP
        if name in table.kinds:
            event[f"{name}Name"] = word(table, name, event[name])
    return event


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        text = restored(value)
        return text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
    if isinstance(value, Decimal):
        return int(value)
    return str(value.ip if isinstance(value, IPv4Interface) else value) if isinstance(value, IPv4Address) else value


def _key(row: asyncpg.Record, table: Table) -> Key:
    block, number = row["key"].strip("()").split(",")
    return Key(row[table.time.lower()], int(block), int(number))


def word(table: Table, column: str, number: int) -> str:
    """Return what a number means; '' where that is not known."""
    return DICTIONARIES[table.kinds[column]].words.get(number, "")


def numbers(table: Table, column: str) -> Mapping[str, int]:
    """Return the numbers of a column by what they mean, in lower case."""
    return {text.lower(): number for number, text in DICTIONARIES[table.kinds[column]].words.items()}
