"""The events of several tables as one line of time, the newest first, in pages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from heapq import merge
from typing import Any, NamedTuple

import asyncpg

from monitor.store.events.search import Condition, Key, Page, Search, Wanted, where
from monitor.wire.clickhouse.tables import DATABASE, TABLES, Table

PLACE = re.compile(r"(\d{1,2})-(-?\d{1,19}-\d{1,10}-\d{1,5})", re.ASCII)
ORDER = list(TABLES)
"""Of events of the same time those of the last table stand first."""
FIRST, LAST = (0, 0), (2**32 - 1, 2**16 - 1)
"""Where no row is, before all others and behind them."""
MEASUREMENTS = "MediaSessionEvents"
MOST_MEASUREMENTS = 300
LOOKED = 500
"""The newest events of a stream or session, in which others are looked for that belong to it."""
MOST_RELATED = 50
RELATED = """
SELECT DISTINCT sessionid, mediasessionid FROM (
    SELECT sessionid, mediasessionid FROM {database}.streamevent WHERE {conditions}
    ORDER BY timestamp DESC LIMIT {looked}
) AS newest LIMIT {most}
"""
MEASURED = """
SELECT mediasessionid, min(timestamp), max(timestamp) FROM (
    SELECT mediasessionid, timestamp FROM {database}.mediasessionevents WHERE {conditions}
    ORDER BY timestamp DESC LIMIT {looked}
) AS newest GROUP BY mediasessionid ORDER BY 3 DESC, 1 LIMIT {most}
"""
LONGEST_MEASURED = 5000


class Place(NamedTuple):
    """Where an event is: its table's number, and its key there."""

    table: int
    key: Key

    @classmethod
    def parse(cls, text: str) -> Place:
        found = PLACE.fullmatch(text)
        if found is None or int(found[1]) >= len(ORDER):
            raise ValueError(f"expected the next of the page before, got {text[:40]!r}")
        return cls(int(found[1]), Key.parse(found[2]))

    def __str__(self) -> str:
        return f"{self.table}-{self.key}"

    def order(self) -> tuple[int, int, int, int]:
        return self.key.time, self.table, self.key.block, self.key.row

    def within(self, table: Table) -> Key:
        """Return the key before which the rest of a table lies."""
        number = ORDER.index(table.name)
        if number == self.table:
            return self.key
        return Key(self.key.time, *(LAST if number < self.table else FIRST))


class Entry(NamedTuple):
    """An event of a line of time."""

    time: int
    place: Place
    table: Table
    event: Mapping[str, Any]


class Part(NamedTuple):
    """Some of a line of time; `next` is where it goes on, None at its end."""

    entries: list[Entry]
    next: Place | None


class Measured(NamedTuple):
    """A media session whose quality was measured, and when first and last, in milliseconds, of its newest values."""

    media_session: str
    first: int
    last: int


async def timeline(search: Search, wanted: Sequence[Wanted], limit: int, before: Place | None = None) -> Part:
    """Return at most so many events of all of these, the newest first.

    Measurements between events of other tables do not count, up to a limit of their own.
    """
    if before is not None:
        wanted = [replace(one, before=before.within(one.table)) for one in wanted]
    line, cut = Line(limit), False
    async with search.connection() as connection:
        # Measurements come last: of them only those are read that stand between the others.
        for one in sorted(wanted, key=lambda one: one.table.name == MEASUREMENTS):
            most = limit
            if one.table.name == MEASUREMENTS and len(wanted) > 1:
                cut = line.oldest() > one.start
                one, most = replace(one, start=max(one.start, line.oldest())), MOST_MEASUREMENTS
            line.add(one.table, await search.page_of(connection, one, most))
    entries, known = line.entries()
    counted = 0
    for place, entry in enumerate(entries):
        counted += entry.table.name != MEASUREMENTS or len(wanted) == 1
        if counted == limit and place + 1 < len(entries):
            return Part(entries[: place + 1], entry.place)
    if cut and known is None:
        known = entries[-1].place
    return Part(entries, known)


class Line:
    """Pages of several tables, put into one line."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.known: Place | None = None
        """Behind this there may be more of a table."""
        self._pages: list[list[Entry]] = []

    def add(self, table: Table, page: Page) -> None:
        number = ORDER.index(table.name)
        places = [Place(number, key) for key in page.keys]
        found = zip(places, page.events, strict=True)
        self._pages.append([Entry(place.key.time, place, table, event) for place, event in found])
        if page.next is not None:
            last = Place(number, page.next)
            self.known = max(last, self.known or last, key=Place.order)

    def entries(self) -> tuple[list[Entry], Place | None]:
        """Return what is known without a gap, the newest first, and the place from where on there may be one."""
        merged = merge(*self._pages, key=_order, reverse=True)
        return [one for one in merged if self.known is None or _order(one) >= self.known.order()], self.known

    def oldest(self) -> int:
        """Return the time of the last that there is place for; 0 where there is place for all."""
        entries, known = self.entries()
        if len(entries) >= self.limit:
            return entries[self.limit - 1].time
        return known.key.time if known else 0


def _order(entry: Entry) -> tuple[int, int, int, int]:
    return entry.place.order()


async def related(search: Search, start: int, end: int, conditions: Sequence[Condition]) -> tuple[list[str], list[str]]:
    """Return the sessions and media sessions of the newest events of a stream or session."""
    some, values = where(Wanted(TABLES["StreamEvent"], start, end, conditions))
    sql = RELATED.format(database=DATABASE, conditions=some, looked=LOOKED, most=MOST_RELATED)
    async with search.connection() as connection:
        rows = await connection.fetch(sql, *values)
    return _distinct(rows, "sessionid"), _distinct(rows, "mediasessionid")


async def measured(search: Search, wanted: Wanted, most: int) -> list[Measured]:
    """Return the media sessions in some of MediaSessionEvents, the one with the newest values first."""
    some, values = where(wanted)
    sql = MEASURED.format(database=DATABASE, conditions=some, looked=LONGEST_MEASURED, most=most)
    async with search.connection() as connection:
        return [Measured(*row) for row in await connection.fetch(sql, *values) if row[0]]


def _distinct(rows: Sequence[asyncpg.Record], name: str) -> list[str]:
    return list(dict.fromkeys(row[name] for row in rows if row[name]))
