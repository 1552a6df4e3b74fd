"""/events/servers and /api/v1/events-servers: the WCS servers that write events, and since when one is silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

from aiohttp import web

from monitor.receivers.rels_series import COLLECTOR, VERSION, Server
from monitor.web.answers import listing
from monitor.web.pages import Pages
from monitor.web.problem import bad

SILENT = 300.0
"""Seconds after which a server is called silent. That it fails cannot be known: its RELS may have been switched off."""
SORTS = ("name", "seen", "rows")
MOST_ROWS = 1000
AT_ONCE = 200
TAKEN = frozenset({"sort"})


@dataclass(slots=True)
class Row:
    """A server. Times are epoch seconds."""

    address: str
    host: str
    hostname: str
    last: float
    version: str = ""
    heard: Server | None = None
    """As it was heard since our own start."""
    tables: Sequence[str] = field(default_factory=tuple)
    """That it wrote into within the hour, the latest one first."""
    state: Literal["sending", "silent"] = "silent"

    @property
    def url(self) -> str:
        """Return the page of the host."""
        return "/server?" + urlencode({"address": self.host, "plugin_identifier": COLLECTOR})

    @property
    def search(self) -> str:
        """Return the page of its events."""
        return "/events?" + urlencode({"ip": self.address})

    @property
    def rows(self) -> int | None:
        """Return how many came in the last whole minute; None where it is not known."""
        return self.heard.rows if self.heard else None

    def as_json(self) -> dict[str, Any]:
        return {
            "server": self.address, "host": self.host, "hostname": self.hostname, "state": self.state,
            "last_seen": self.last or None, "rows": self.rows, "version": self.version or None,
            "tables": {table: self.heard.tables[table] for table in self.tables} if self.heard else {},
        }  # fmt: skip


class WcsServers:
    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.services = pages.services

    async def page(self, request: web.Request) -> web.Response:
        """Show them, sorted by `sort`: name, seen (the last that was heard first) or rows."""
        rows = await self._rows(request)
        sending = sum(row.state == "sending" for row in rows)
        return await self.pages.page(
            request, "wcs.html", rows=rows[:MOST_ROWS], count=len(rows), sending=sending, silent=len(rows) - sending,
            minute=sum(row.rows or 0 for row in rows), sort=request.query.get("sort") or SORTS[0],
            listen=self.services.config.rels.listen,
        )  # fmt: skip

    async def api(self, request: web.Request) -> web.StreamResponse:
        """Tell of all of them."""
        rows = await self._rows(request)

        async def slices() -> AsyncIterator[list[Any]]:
            for first in range(0, len(rows), AT_ONCE):
                yield [row.as_json() for row in rows[first : first + AT_ONCE]]

        return await listing(request, "servers", slices(), silent_after=SILENT)

    async def _rows(self, request: web.Request) -> list[Row]:
        sort = request.query.get("sort") or SORTS[0]
        if sort not in SORTS:
            raise bad("sort", f"expected one of {', '.join(SORTS)}, got {sort[:40]!r}", SORTS)
        now = self.services.clock()
        found: dict[str, Row] = {}
        series = self.services.parts.rels.series
        for address, server in list(series.servers.items()) if series else ():
            row = self._row(address, server.last)
            row.heard, row.version = server, server.version
            row.tables = sorted(server.tables, key=lambda table: (-server.tables[table], table))
            found[row.host] = row
        for number, info in enumerate(await self.services.store.sources(collector=COLLECTOR)):
            host = info.source.host
            row = found.get(host) or self._row(host, 0.0)
            row.last = row.last or info.last_seen
            row.version = row.version or info.meta.get(VERSION, "")
            found[host] = row
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        rows = sorted(found.values(), key=lambda row: (row.hostname.casefold(), row.host))
        for row in rows:
            row.state = "sending" if now - row.last < SILENT else "silent"
        if sort == "seen":
            rows.sort(key=lambda row: -row.last)
        elif sort == "rows":
            rows.sort(key=lambda row: -(row.rows or 0))
        return rows

    def _row(self, name: str, last: float) -> Row:
        """Return a server by its address, or by its host's identity."""
        spec = self.services.inventory.find(name)
        if spec is None:
            return Row(name, name, name, last)
        return Row(spec.address or name, spec.host, spec.hostname, last)
