"""The events of WCS servers: searched in pages, and given away as CSV or as lines of JSON."""

from __future__ import annotations

import asyncio
import csv
import io
import ipaddress
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import asyncpg
import orjson
from aiohttp import web
from multidict import MultiMapping

from monitor.store.events import other_search
from monitor.store.events.search import SERVER, Condition, Key, Search, Wanted, names, numbers
from monitor.web.answers import STARTED, listing
from monitor.web.params import times, whole
from monitor.web.problem import ProblemError, bad, patience, unknown
from monitor.web.services import Services
from monitor.wire.clickhouse.tables import TABLES, Table, known

TAKEN = frozenset(
    {"start", "end", "ip", "session", "media_session", "stream", "type", "severity", "limit", "after", "format"}
)
PAGE, MOST = 100, 10_000
EXPORTED = 1000
"""Events that are read and written at once; many at a time would keep others from their turn."""
MOST_EXPORTED = 10_000_000
SLICE = 200
MOST_VALUES = 50
LONGEST = 1000
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "session": ("sessionId",),
    "media_session": ("mediaSessionId", "mixerMediaSessionId"),
    "stream": ("streamName", "mixerStreamName", "streamId"),
    "type": ("eventType", "messageType"),
    "severity": ("severity",),
}
"""The columns that a parameter is about; of these those that the table has."""
FORMATS = {"csv": "text/csv", "ndjson": "application/x-ndjson"}


@runtime_checkable
class Keeps(Protocol):
    """A store that keeps events."""

    search: Search


class Events:
    def __init__(self, services: Services) -> None:
        self.services = services

    async def events(self, request: web.Request) -> web.StreamResponse:
        store = self.services.store
        if not isinstance(store, Keeps):
            raise ProblemError(404, "this store keeps no events")
        table = known(request.match_info["table"])
        if table is None:
            return await self._others(request, store.search, request.match_info["table"])
        start, end = times(request, self.services)
        wanted = Wanted(table, start * 1000, end * 1000 - 1, conditions(request.query, table), _after(request))
        format = (request.query.get("format") or "json").lower()
        if format in FORMATS:
            most = whole(request, "limit", 0, 1, 999_999) or MOST_EXPORTED
            return await self._export(request, store.search, wanted, format, most)
        if format != "json":
            raise bad("format", f"expected json, csv or ndjson, got {format[:40]!r}", ("json", *FORMATS))
        limit = whole(request, "limit", PAGE, 1, MOST)
        try:
            async with patience(self.services.patience):
                page = await store.search.page(wanted, limit)
        except asyncpg.QueryCanceledError:
            raise too_much() from None
        after = str(page.next) if page.next else None
        return await listing(
            request, "events", _slices(page.events), table=table.name, start=start, end=end, next=after
        )

    async def _others(self, request: web.Request, search: Search, table: str) -> web.StreamResponse:
        """Answer rows of a table that is none of WCS's, by when they came."""
        for name in TAKEN:
            if name not in ("start", "end", "limit", "after") and request.query.get(name, ""):
                raise bad(name, f"{table[:80]} is none of WCS's tables: expected start, end, limit and after only")
        start, end = times(request, self.services)
        limit = whole(request, "limit", PAGE, 1, MOST)
        try:
            async with patience(self.services.patience):
                page = await other_search.page(search, table, start, end, _after(request), limit)
        except asyncpg.QueryCanceledError:
            raise too_much() from None
        if page is None:
            raise unknown("table", "table of events", table, TABLES)
        after = str(page.next) if page.next else None
        return await listing(request, "events", _slices(page.events), table=table, start=start, end=end, next=after)

    async def _export(
        self, request: web.Request, search: Search, wanted: Wanted, format: str, most: int
    ) -> web.StreamResponse:
        """Answer all events while they are read; a receiver that is slow is waited for."""
        table = wanted.table
        lines: Callable[[Sequence[Mapping[str, Any]]], bytes] = _as_lines if format == "ndjson" else _as_csv(table)
        response = web.StreamResponse(
            headers={
                "Content-Type": f"{FORMATS[format]}; charset=utf-8",
                "Content-Disposition": f'attachment; filename="{table.name}.{format}"',
            }
        )
        begun = False
        pages = search.pages(wanted, EXPORTED, most)
        try:
            while True:
                async with patience(self.services.patience):
                    page = await anext(pages, None)
                if not begun:
                    # Only now, for what goes wrong before can still be told.
                    begun = True
                    request[STARTED] = response
                    await response.prepare(request)
                    if format == "csv":
                        await response.write(_row(names(table)))
                if page is None:
                    break
                for first in range(0, len(page), SLICE):
                    await response.write(lines(page[first : first + SLICE]))
                    await asyncio.sleep(0)
        except asyncpg.QueryCanceledError:
            raise too_much() from None
        await response.write_eof()
        return response


async def _slices(events: Sequence[Any]) -> AsyncIterator[Sequence[Any]]:
    for first in range(0, len(events), SLICE):
        yield events[first : first + SLICE]


def too_much() -> ProblemError:
    return ProblemError(503, "the search takes too long: give a shorter time, a stream or a session")


def _after(request: web.Request) -> Key | None:
    text = request.query.get("after")
    if not text:
        return None
    try:
        return Key.parse(text)
    except ValueError as error:
        raise bad("after", str(error)) from None


def conditions(query: MultiMapping[str], table: Table) -> list[Condition]:
    """Return what the parameters of a search say of a table; ProblemError where it has no such column."""
    found = []
    if texts := _texts(query, "ip"):
        found.append(Condition((table.server or SERVER,), [_address(text) for text in texts]))
    for name, columns in COLUMNS.items():
        texts = _texts(query, name)
        there = tuple(column for column in columns if column in table.names)
        if texts and not there:
            raise bad(name, f"{table.name} has no {' or '.join(columns)}")
        if texts and name in ("type", "severity"):
            found.append(Condition(there, [_number(name, text, table, there[0]) for text in texts]))
        elif texts:
            found.append(Condition(there, texts))
    return found


def _texts(query: MultiMapping[str], name: str) -> list[str]:
    """Return the values of a parameter, which may be given several times."""
    texts = [text for text in query.getall(name, []) if text]
    if len(texts) > MOST_VALUES:
        raise bad(name, f"expected at most {MOST_VALUES} values, got {len(texts)}")
    if any(len(text) > LONGEST or "\0" in text for text in texts):
        raise bad(name, f"expected at most {LONGEST} characters, and no zero among them")
    return texts


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text.strip()))
    except ValueError:
        raise bad("ip", f"expected an IPv4 address, got {text[:40]!r}") from None


def _number(name: str, text: str, table: Table, column: str) -> int:
    """Return the number of a type that is given by its name, or as a number."""
    words = numbers(table, column)
    if text.lower() in words:
        return words[text.lower()]
    if text.isascii() and text.isdigit() and len(text) <= 20:
        return int(text)
    raise bad(name, f"expected a number or one of the names of {table.name}, got {text[:40]!r}", words_of(words))


def words_of(words: Iterable[str]) -> list[str]:
    return [word.upper() for word in words]


def _as_lines(events: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE) for event in events)


def _as_csv(table: Table) -> Callable[[Sequence[Mapping[str, Any]]], bytes]:
    columns = names(table)
    return lambda events: b"".join(_row([_cell(event[name]) for name in columns]) for event in events)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else orjson.dumps(value).decode() if isinstance(value, dict) else value


def _row(cells: Sequence[Any]) -> bytes:
    made = io.StringIO()
    csv.writer(made, lineterminator="\r\n").writerow(cells)
    return made.getvalue().encode("utf-8", "replace")
