"""/events: a search of what WCS servers told, as a line of time with graphs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlencode

import asyncpg
from aiohttp import web

from monitor.store.events.search import SERVER, Search, word
from monitor.store.events.timeline import MEASUREMENTS, Entry, Part, Place, measured, timeline
from monitor.web import eventsearch
from monitor.web.eventgraphs import COUNTS, QUALITY, shown
from monitor.web.events import Keeps, too_much
from monitor.web.eventsearch import FILTERS, Asked, asked, fields, given, kind_of
from monitor.web.pages import Pages, clock
from monitor.web.params import whole
from monitor.web.payload import Payload, payload
from monitor.web.problem import ProblemError, bad, patience
from monitor.web.shown import Shown
from monitor.wire.clickhouse.tables import EVENTS, Table

PAGE, MOST = 100, 500
SLICE = 20
MOST_SESSIONS = 12
"""Media sessions that are offered."""
AROUND = 60
"""Seconds that graphs of a media session show before and after it."""
SPANS = {"end-1h": "1 hour", "end-4h": "4 hours", "end-1d": "1 day", "end-7d": "1 week"}
SEVERITIES = {"WARNING": "warning", "ERROR": "critical"}
WHERE = {
    "stream": ("streamName", "mixerStreamName", "streamId"),
    "session": ("sessionId",),
    "media_session": ("mediaSessionId", "mixerMediaSessionId"),
}


class Row(NamedTuple):
    """An event as the page shows it."""

    day: str
    time: str
    table: str
    type: str
    severity: str
    state: str
    ids: list[tuple[str, str]]
    """What it is of: the parameter that searches for it, and its value."""
    server: str
    payload: Payload
    rest: list[Row]
    """Measurements that came just before this one."""

    @property
    def names(self) -> list[tuple[str, str]]:
        return [one for one in self.ids if one[0] == "stream"]

    @property
    def sessions(self) -> list[tuple[str, str]]:
        return [one for one in self.ids if one[0] != "stream"]


class Quality(NamedTuple):
    """The graphs of a media session, and the others that there are with the addresses of theirs."""

    media_session: str
    others: list[tuple[str, str]]
    graphs: list[Shown]


class TimelinePage:
    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.services = pages.services

    async def events(self, request: web.Request) -> web.Response:
        """Show the form, and what is found; what cannot be searched for is said above the form, which keeps it."""
        services = self.services
        store = services.store
        search = store.search if isinstance(store, Keeps) else None
        problem: ProblemError | None = None
        values: dict[str, Any] = {"rows": [], "older": "", "counts": None, "quality": None, "exports": [], "some": True}
        filters: Mapping[str, str] = {}
        texts = (eventsearch.BEGIN, "now")
        try:
            texts = fields(request, services)
            filters = given(request)
            if search is None:
                values["some"] = False
            else:
                values |= await self._found(request, search)
        except asyncpg.QueryCanceledError:
            problem = too_much()
        except ProblemError as error:
            if error.status not in (400, 404):
                raise
            problem = error
        response = await self.pages.page(
            request, "events.html", fields=texts, given={**dict.fromkeys(FILTERS, ""), **filters},
            problem=problem.members("") if problem else None,
            spans=SPANS, here=_address(request), only=_only(request), tables=EVENTS, kinds=KINDS, types=TYPES,
            paged="after" in request.query, listening=bool(services.config.rels.listen), **values,
        )  # fmt: skip
        if problem is not None:
            response.set_status(problem.status)
        return response

    async def _found(self, request: web.Request, search: Search) -> dict[str, Any]:
        limit = whole(request, "limit", PAGE, 1, MOST)
        before = _before(request)
        async with patience(self.services.patience):
            one = await asked(request, self.services, search)
            part = await timeline(search, one.wanted(), limit, before)
            quality = await self._quality(request, search, one)
            some = bool(part.entries) or bool(one.given) or await _any(search)
        rows = await self._rows(part, fold=len(one.parts) > 1)
        exports = [
            (part.table.name, [(format, one.export(part, format)) for format in ("csv", "ndjson")])
            for part in one.parts
        ]
        older = _address(request)(after=str(part.next)) if part.next else ""
        graph = shown(self.pages, COUNTS, {**one.given, "start": str(one.start), "end": str(one.end)}, wide=True)
        return {
            "rows": rows, "older": older, "counts": graph if part.entries else None, "quality": quality,
            "exports": exports, "some": some,
        }  # fmt: skip

    async def _rows(self, part: Part, *, fold: bool) -> list[Row]:
        """Return the rows; of measurements one after the other the newest has the others behind it, if they fold."""
        rows: list[Row] = []
        for number, entry in enumerate(part.entries):
            row = _row(entry, self.services.timezone)
            last = rows[-1] if rows else None
            if fold and last and (row.day, row.table, last.table) == (last.day, MEASUREMENTS, MEASUREMENTS):
                last.rest.append(row)
            else:
                rows.append(row)
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        return rows

    async def _quality(self, request: web.Request, search: Search, one: Asked) -> Quality | None:
        """Return the quality of the media session whose values are the newest, or that is asked for."""
        part = one.part(MEASUREMENTS)
        if part is None or not one.narrow:
            return None
        found = await measured(search, part.wanted, MOST_SESSIONS)
        if not found:
            return None
        newest = found[0]
        here = _address(request)
        others = [(other.media_session, here(media_session=other.media_session, after=None)) for other in found]
        query = {
            "media_session": newest.media_session,
            "start": str(max(one.start, newest.first // 1000 - AROUND)),
            "end": str(min(one.end, newest.last // 1000 + AROUND)),
        }
        return Quality(newest.media_session, others, [shown(self.pages, graph, query) for graph in QUALITY])


def _address(request: web.Request) -> Callable[..., str]:
    """Return what makes the address of this page with something else; None leaves a parameter out."""

    kept = {name: text for name, text in request.query.items() if text and name != "after"}

    @cache
    def here(**more: str | None) -> str:
        return "/events?" + urlencode({name: text for name, text in {**kept, **more}.items() if text})

    return here


def _only(request: web.Request) -> Callable[[str, str], str]:
    """Return what makes the address of the same time with one thing searched for."""
    kept = [(name, text) for name in ("start", "end") if (text := request.query.get(name))]
    begin = "/events?" + "".join(f"{part}&" for part in [urlencode(kept)] if part)

    @cache
    def only(name: str, text: str) -> str:
        return f"{begin}{name}={quote_plus(text)}"

    return only


def _before(request: web.Request) -> Place | None:
    text = request.query.get("after")
    if not text:
        return None
    try:
        return Place.parse(text)
    except ValueError as error:
        raise bad("after", str(error)) from None


async def _any(search: Search) -> bool:
    """Tell whether any event is stored at all."""
    exist = " OR ".join(f"EXISTS (SELECT FROM wcs.{table.name.lower()})" for table in EVENTS)
    async with search.connection() as connection:
        return bool(await connection.fetchval(f"SELECT {exist}"))


def _row(entry: Entry, tz: str) -> Row:
    table, event = entry.table, entry.event
    day, _, time = clock(entry.time // 1000, tz).partition(" ")
    ids = [(name, str(event[column])) for name, columns in WHERE.items() for column in columns if event.get(column)]
    severity = word(table, "severity", event["severity"]) if "severity" in table.kinds else ""
    return Row(
        day, f"{time}.{entry.time % 1000:03}", table.name, _type(table, event), severity, SEVERITIES.get(severity, ""),
        list(dict.fromkeys(ids)), str(event.get(table.server or SERVER) or ""), payload(table, event), [],
    )  # fmt: skip


def _type(table: Table, event: Mapping[str, Any]) -> str:
    kind = kind_of(table)
    return (event.get(f"{kind}Name") or str(event[kind])) if kind else ""


KINDS = [
    (table.name, [word(table, kind, number) for number in range(256) if word(table, kind, number)])
    for table in EVENTS
    if (kind := kind_of(table))
]
"""The names of the types of events, by table."""
TYPES = frozenset(name for _, names in KINDS for name in names)
