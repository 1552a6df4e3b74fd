"""/vhosts and /api/v1/instances: all virtual hosts or channels of a host, with their newest numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Any

from aiohttp import web

from monitor.collector import Collector
from monitor.web import instances
from monitor.web.answers import listing
from monitor.web.instances import Instance, Server
from monitor.web.pages import Pages
from monitor.web.params import whole
from monitor.web.problem import bad, unknown
from monitor.web.services import Services
from monitor.web.shown import MOST_ROWS, NAME, Newest, ordered, page_of, rows

AT_ONCE = 500
MOST = 10_000


async def newest(services: Services, cls: type[Collector], found: Sequence[Instance]) -> Newest:
    """Return the newest values of the columns that a list shows; of what is gone there are none."""
    wanted = {metric.name for metric in cls.columns}
    values: dict[str, dict[str, float]] = {}
    if not wanted:
        return values
    names = {info.source: one.name for one in found if not one.gone for info in one.infos}
    sources = list(names)
    for first in range(0, len(sources), AT_ONCE):
        known = await services.store.latest(sources[first : first + AT_ONCE])
        for series, (_, value) in known.items():
            if series.name in wanted:  # of several servers together it is the sum
                values.setdefault(names[series.source], {}).setdefault(series.name, 0.0)
                values[names[series.source]][series.name] += value
        await asyncio.sleep(0)
    return values


class Lists:
    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.services = pages.services

    async def page(self, request: web.Request) -> web.Response:
        """Show them, sorted by `sort`: a column, the largest first, or `name`."""
        host, servers, found = await self._found(request)
        cls, vhost = servers[0].cls, request.query.get("vhost")
        values = await newest(self.services, cls, found)
        listed = await asyncio.to_thread(
            rows, host, cls, found, values, vhost=vhost, sort=self._sort(request, cls), most=MOST_ROWS
        )
        return await self.pages.page(
            request, "vhosts.html", list=listed, host=host, vhost=vhost, page_of=page_of,
            server=self.services.inventory.hosts.get(servers[0].host),
            hostname=servers[0].hostname if len(servers) == 1 else "all servers",
        )  # fmt: skip

    async def api(self, request: web.Request) -> web.StreamResponse:
        """Tell of them: names, facts, when last seen, newest values of the columns; sorted as the page."""
        _, servers, found = await self._found(request)
        cls, vhost = servers[0].cls, request.query.get("vhost")
        most = whole(request, "limit", MOST, 1, MOST)
        values = await newest(self.services, cls, found)
        wanted, _, _ = ordered(cls, found, values, vhost=vhost, sort=self._sort(request, cls))

        async def items() -> AsyncIterator[list[Any]]:
            listed = iter(wanted[:most])
            while some := list(islice(listed, AT_ONCE)):
                yield [
                    {
                        "hosts": [info.source.host for info in one.infos], "collector": cls.path, "name": one.name,
                        "vhost": one.vhost, "channel": one.channel, "last_seen": one.last_seen, "gone": one.gone,
                        "meta": one.meta, "values": values.get(one.name, {}),
                    }
                    for one in some
                ]  # fmt: skip

        return await listing(request, "instances", items(), count=len(wanted))

    async def _found(self, request: web.Request) -> tuple[str, list[Server], list[Instance]]:
        known = {cls.path: cls for cls in self.services.config.registry.collectors.values() if cls.instance_targets}
        collector = request.query.get("collector") or ""
        if collector and collector not in known:
            raise unknown("collector", "collector with instances", collector, known)
        host = request.query.get("host") or ""
        classes = [known[collector]] if collector else list(known.values())
        servers = await instances.chosen(self.services, host, classes, own=False)
        found = list((await asyncio.to_thread(instances.instances, servers)).values())
        vhost = request.query.get("vhost")
        if vhost is not None and not any(one.vhost == vhost for one in found):
            raise unknown("vhost", "instance", vhost, {one.vhost for one in found})
        return host or servers[0].host, servers, found

    def _sort(self, request: web.Request, cls: type[Collector]) -> str:
        sort, known = request.query.get("sort") or "", [NAME, *(metric.name for metric in cls.columns)]
        if sort and sort not in known:
            raise bad("sort", f"expected one of {', '.join(known)}, got {sort[:40]!r}", known)
        return sort
