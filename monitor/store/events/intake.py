"""Stores the records of events by COPY, as they came; only what PostgreSQL does not take is looked at and made fit."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass

import asyncpg

from monitor.batch import Records
from monitor.handler import Refused
from monitor.store.events import cells, grouping, others
from monitor.store.events.days import Days
from monitor.store.trees import DAY
from monitor.wire.clickhouse.tables import DATABASE, EXTRA, TABLES, Table

PREFIX = f"{DATABASE}."
PIECE = 256 * 1024
PART = 2 << 20
"""Bytes that are worked on at once: no call of ours holds up the others for longer than about 2 ms."""
IN_A_THREAD = 32 * 1024
"""Bytes from which on making fit is a thread's work."""
WINDOW = 900.0
"""Seconds within which what is sent again under the same id is known to be the same."""
FRESH = """
INSERT INTO wcs.batch SELECT id, to_timestamp(came) FROM unnest($1::text[], $2::float8[]) AS new (id, came)
ON CONFLICT (id) DO UPDATE SET came = excluded.came
WHERE wcs.batch.came < excluded.came - make_interval(secs => $3)
RETURNING id
"""
FORGET = "DELETE FROM wcs.batch WHERE came < to_timestamp($1)"


@dataclass(slots=True)
class Stats:
    rows: int = 0
    batches: int = 0
    repeated: int = 0
    """Batches that were sent again, and stored once."""
    repaired: int = 0
    """Batches with something that PostgreSQL does not hold as it came."""


class Intake:
    def __init__(self, days: Days, *, clock: Callable[[], float] = time.time) -> None:
        self.stats = Stats()
        self.days = days
        self.window = WINDOW
        self._clock = clock

    async def prepare(self, connection: asyncpg.Connection, records: Sequence[Records]) -> None:
        """Make the days that records begin and end in; what lies between goes elsewhere, and is brought there later."""
        now = self._clock()
        for one in records:
            table = _table(one)
            if table is None or (place := _place(one, table)) is None:
                continue
            for milliseconds in _ends(one.body, place):
                day = milliseconds // 1000 // DAY * DAY
                known = (table.name, day) in self.days.there
                if not known and self.days.wanted(table.name, milliseconds / 1000, now):
                    await self.days.make(connection, table, day)

    async def store(self, connection: asyncpg.Connection, records: Sequence[Records]) -> list[Refused]:
        """Store records of tables of events, inside of the caller's transaction; return what can never be stored."""
        refused: list[Refused] = []
        together: dict[tuple[str, tuple[str, ...]], list[Records]] = {}
        for one in await self._fresh(connection, records):
            columns = tuple(one.head.get("columns", ()))
            table = _table(one)
            if table is None and columns == (EXTRA,) and others.NAME.fullmatch(one.table.removeprefix(PREFIX)):
                await self._store_other(connection, one, refused)
            elif table is None:
                refused.append(_refused(one, "there is no such table"))
            elif unknown := [name for name in columns if name != EXTRA and name not in table.names]:
                refused.append(_refused(one, f"there is no column {unknown[0][:80]!r}"))
            elif one.body:
                together.setdefault((table.name, columns), []).append(one)
        for (name, columns), same in together.items():
            table = TABLES[name]
            if not any(cells.suspicious(one.body) for one in same):
                try:
                    await self._copy(connection, table, columns, same)
                    continue
                except asyncpg.DataError:
                    pass
            for one in same:
                await self._store_fit(connection, table, columns, one, refused)
        return refused

    async def forget(self, connection: asyncpg.Connection, now: float) -> None:
        """Forget the ids of batches that are not sent again any more."""
        await connection.execute(FORGET, now - self.window)

    async def _fresh(self, connection: asyncpg.Connection, records: Sequence[Records]) -> list[Records]:
        """Return the records without those that were stored under the same id before."""
        named: dict[str, int] = {}
        for place, one in enumerate(records):
            if one.id:
                named.setdefault(_key(one), place)
        if not named:
            return list(records)
        came = [records[place].time for place in named.values()]
        rows = await connection.fetch(FRESH, list(named), came, self.window)
        fresh = {named[row["id"]] for row in rows}
        kept = [one for place, one in enumerate(records) if not one.id or place in fresh]
        self.stats.repeated += len(records) - len(kept)
        return kept

    async def _store_other(self, connection: asyncpg.Connection, one: Records, refused: list[Refused]) -> None:
        """Store objects of a table that is none of WCS's."""
        try:
            repaired = await others.store(
                connection, one.table.removeprefix(PREFIX), _address(one.source.host), one.body
            )
        except (asyncpg.DataError, ValueError) as error:
            refused.append(_refused(one, str(error)[:200]))
            return
        self.stats.rows += one.count
        self.stats.batches += 1
        self.stats.repaired += repaired

    async def _store_fit(
        self,
        connection: asyncpg.Connection,
        table: Table,
        columns: tuple[str, ...],
        one: Records,
        refused: list[Refused],
    ) -> None:
        """Store records of which some, or their neighbours, were not taken as they came."""
        try:
            if not cells.suspicious(one.body):
                await self._copy(connection, table, columns, [one])
                return
        except asyncpg.DataError:
            pass
        try:
            if len(one.body) > IN_A_THREAD:
                body = await asyncio.to_thread(cells.repaired, one.body, columns, table)
            else:
                body = cells.repaired(one.body, columns, table)
            fit = Records(one.table, one.source, one.time, one.count, body, one.head)
            await self._copy(connection, table, columns, [fit])
            self.stats.repaired += 1
        except (asyncpg.DataError, ValueError) as error:
            refused.append(_refused(one, str(error)[:200]))

    async def _copy(
        self, connection: asyncpg.Connection, table: Table, columns: tuple[str, ...], same: Sequence[Records]
    ) -> None:
        names = [name.lower() for name in columns]
        if not table.server:
            names.append("server")
        key = grouping.place(columns)

        async def source() -> AsyncIterator[memoryview]:
            for bodies in _parts([_completed(one, table, columns) for one in same]):
                body = b"".join(bodies)
                if key is not None and len(body) > IN_A_THREAD:
                    body = await asyncio.to_thread(grouping.grouped, body, len(names), key)
                view = memoryview(body)
                for first in range(0, len(view), PIECE):
                    yield view[first : first + PIECE]

        async with connection.transaction():
            done = await connection.copy_to_table(
                table.name.lower(), schema_name=DATABASE, source=source(), columns=names, format="text"
            )
        self.stats.rows += int(done.split()[-1])
        self.stats.batches += len(same)


def _table(one: Records) -> Table | None:
    return TABLES.get(one.table.removeprefix(PREFIX))


def _key(one: Records) -> str:
    return "|".join((one.table, one.source.host, one.id)).replace("\0", "\\0")[:500]


def _refused(one: Records, why: str) -> Refused:
    return Refused(f"{one.count} rows of {one.table[:80]} from {one.source.host}", why)


def _place(one: Records, table: Table) -> int | None:
    """Return the place of the time among the cells."""
    columns = one.head.get("columns", ())
    return columns.index(table.time) if table.time in columns else None


def _ends(body: bytes, place: int) -> list[int]:
    """Return the times of the first and the last row."""
    if not body:
        return []
    first = body[: body.find(b"\n")]
    last = body[body.rfind(b"\n", 0, len(body) - 1) + 1 : -1]
    found = (row.split(b"\t", place + 1)[place : place + 1] for row in {first, last})
    return [int(cell[0]) for cell in found if cell and cell[0].isdigit()]


def _completed(one: Records, table: Table, columns: tuple[str, ...]) -> bytes:
    """Return the body with NULL for what is no extra, and with the sender where the events do not name their server."""
    body = one.body
    if columns[-1:] == (EXTRA,):
        body = body.replace(b"\t\n", b"\t\\N\n")
    if not table.server:
        body = body.replace(b"\n", f"\t{_address(one.source.host)}\n".encode())
    return body


def _parts(bodies: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Yield bodies together that are about as large as is worked on at once."""
    part: list[bytes] = []
    size = 0
    for body in bodies:
        part.append(body)
        size += len(body)
        if size >= PART:
            yield part
            part, size = [], 0
    if part:
        yield part


def _address(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return "0.0.0.0"  # noqa: S104 - an unknown server, not an address to listen on
