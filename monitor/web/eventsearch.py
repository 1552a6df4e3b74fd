"""What is asked of the events: read from a request's parameters, and put to each table as far as it can answer.

A table that does not have what is asked for is asked for what belongs to it: ConnectionEvent for the sessions of a
stream or media session, MediaSessionEvents and MixerEvent for the media sessions of a session.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiDict

from monitor.store.events.search import Search, Wanted, numbers
from monitor.store.events.timeline import related
from monitor.web.events import COLUMNS, conditions, words_of
from monitor.web.hosts import HostView
from monitor.web.params import read_times
from monitor.web.problem import bad, unknown
from monitor.web.ranges import field
from monitor.web.services import Services
from monitor.wire.clickhouse.tables import EVENTS, TABLES, Table, known

BEGIN = "end-1d"
RELS = "rels"
"""What is told of a server's events stands under this word."""
FILTERS = ("ip", "stream", "session", "media_session", "table", "type")
IDS = ("stream", "session", "media_session")
TAKEN = frozenset({"start", "end", *FILTERS})


class Part(NamedTuple):
    """What is asked of one table; `query` is the same for the API."""

    wanted: Wanted
    query: MultiDict[str]

    @property
    def table(self) -> Table:
        return self.wanted.table


@dataclass(frozen=True, slots=True)
class Asked:
    """A search: both ends in epoch seconds and as they were written, what was given, and what each table is asked."""

    start: int
    end: int
    fields: tuple[str, str]
    given: Mapping[str, str]
    parts: Sequence[Part]

    @property
    def narrow(self) -> bool:
        """Whether it is about a stream or a session, which an index finds."""
        return any(name in self.given for name in IDS)

    def part(self, table: str) -> Part | None:
        return next((part for part in self.parts if part.table.name == table), None)

    def wanted(self) -> list[Wanted]:
        return [part.wanted for part in self.parts]

    def export(self, part: Part, format: str) -> str:
        """Return the address that gives all of a table's events that are found."""
        query = [("start", str(self.start)), ("end", str(self.end)), *part.query.items(), ("format", format)]
        return f"/api/v1/events/{part.table.name}?{urlencode(query)}"


def given(request: web.Request) -> dict[str, str]:
    """Return the filters that were given, without those left empty."""
    found = {}
    for name in (*FILTERS, "start", "end"):
        texts = [text.strip() for text in request.query.getall(name, [])]
        if len(texts) > 1:
            raise bad(name, f"expected once, got {len(texts)} times")
        if texts and texts[0] and name in FILTERS:
            found[name] = texts[0]
    return found


def fields(request: web.Request, services: Services) -> tuple[str, str]:
    """Return both ends as the form shows them."""
    texts = (request.query.get("start") or BEGIN, request.query.get("end") or "now")
    return field(texts[0][:200], services.timezone), field(texts[1][:200], services.timezone)


async def asked(request: web.Request, services: Services, search: Search) -> Asked:
    """Read a search; ProblemError names what cannot be read."""
    filters = given(request)
    start, end, _ = read_times(request, services, "start", "end", BEGIN)
    begin, last = start * 1000, end * 1000 - 1
    tables: Sequence[Table] = EVENTS
    if "table" in filters:
        one = known(filters["table"])
        if one is None:
            raise unknown("table", "table of events", filters["table"], TABLES)
        filters["table"] = one.name
        tables = [one]
    if "type" in filters:
        tables = _with_type(tables, filters["type"])
    ids = {name: filters[name] for name in IDS if name in filters}
    shared = MultiDict((name, filters[name]) for name in ("ip", "type") if name in filters)
    found: tuple[list[str], list[str]] | None = None
    parts = []
    for table in tables:
        has = {name: text for name, text in ids.items() if _has(table, name)}
        query = MultiDict([*shared.items(), *has.items()])
        if len(has) < len(ids):
            if found is None:
                about = conditions(MultiDict(ids), TABLES["StreamEvent"])
                found = await related(search, begin, last, about)
            for name, values in (("session", found[0]), ("media_session", found[1])):
                if values and name not in has and _has(table, name):
                    query.extend((name, value) for value in values)
                    break
            else:
                continue
        parts.append(Part(Wanted(table, begin, last, conditions(query, table)), query))
    return Asked(start, end, fields(request, services), filters, parts)


def address_of(services: Services, view: HostView) -> str:
    """Return the address of the page with the events of a host; empty where it is not known to have sent any."""
    heard = services.parts.rels.stats.heard
    told = {info.source.host for info in view.sources if info.source.collector == RELS}
    names = dict.fromkeys((view.spec.host, view.spec.address, *told))
    if not told and heard.keys().isdisjoint(names):
        return ""
    return next((f"/events?ip={name}" for name in names if is_ipv4(name)), "")


def is_ipv4(text: str) -> bool:
    with suppress(ValueError):
        return bool(ipaddress.IPv4Address(text))
    return False


def _has(table: Table, name: str) -> bool:
    return any(column in table.names for column in COLUMNS[name])


def _with_type(tables: Sequence[Table], text: str) -> list[Table]:
    """Return the tables that have events of a type, given by its name or number."""
    kinds = {table.name: words for table in tables if (words := _words(table))}
    number = text.isascii() and text.isdigit() and len(text) <= 20
    found = [table for table in tables if table.name in kinds and (number or text.lower() in kinds[table.name])]
    if not found:
        allowed = words_of(word for words in kinds.values() for word in words)
        where = "the table" if len(tables) == 1 else "any table"
        raise bad("type", f"expected a number or the name of a type that {where} has, got {text[:40]!r}", allowed)
    return found


def kind_of(table: Table) -> str:
    """Return the column with the type of a table's events; empty where they are of one type."""
    return next((column for column in COLUMNS["type"] if column in table.kinds), "")


def _words(table: Table) -> Mapping[str, int]:
    kind = kind_of(table)
    return numbers(table, kind) if kind else {}
