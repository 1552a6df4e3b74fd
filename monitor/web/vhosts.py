"""/vhost: the page of a virtual host or channel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from aiohttp import web

from monitor.collector import Collector
from monitor.graph.model import Graph
from monitor.web import instances
from monitor.web.instances import Instance
from monitor.web.lists import newest
from monitor.web.pages import Pages
from monitor.web.params import required
from monitor.web.png import WIDTH
from monitor.web.problem import bad, unknown
from monitor.web.shown import LARGE, Rows, Shown, called, page_of, rows
from monitor.web.targets import ALL, protocols


class Term(NamedTuple):
    step: str
    start: str
    label: str


TERMS = {
    "dash": Term("5m", "-12h", "12 hours"),
    "day": Term("5m", "-2d", "2 days"),
    "week": Term("30m", "-14d", "14 days"),
    "month": Term("1h", "-7w", "7 weeks"),
    "year": Term("1d", "-18mon", "18 months"),
}


class VhostPages:
    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.services = pages.services

    async def vhost(self, request: web.Request) -> web.Response:
        """Show the graphs of one protocol and the channels; `host` as in /graph_vhost."""
        registry = self.services.config.registry
        classes = [cls for cls in registry.collectors.values() if cls.instance_targets]
        host = request.query.get("host") or ""
        servers = await instances.chosen(self.services, host, classes, own=False)
        found = await asyncio.to_thread(instances.find, servers, required(request, "vhost"))
        host, cls = host or servers[0].host, servers[0].cls
        term, protocol = request.query.get("term") or "day", request.query.get("protocol") or ALL
        if term not in TERMS:
            raise bad("term", f"expected one of {', '.join(TERMS)}, got {term[:40]!r}", TERMS)
        known = dict.fromkeys(one for name in cls.instance_targets for one in protocols(cls, name))
        if protocol not in known:
            raise unknown("protocol", "protocol", protocol, known)
        shown = []
        for name, graph in drawn_of(cls, found, protocol):
            shown.append(self._shown(name, graph, {"host": host, "vhost": found.name}, protocol, TERMS[term]))
            await asyncio.sleep(0)
        every = await asyncio.to_thread(instances.instances, servers)
        channels = None if found.channel else await self._parts(host, cls, list(every.values()), found.vhost)
        return await self.pages.page(
            request, "vhost.html", found=found, host=host, server=self.services.inventory.hosts.get(servers[0].host),
            hostname=servers[0].hostname if len(servers) == 1 else "all servers", graphs=shown, terms=TERMS, term=term,
            protocols=list(known), protocol=protocol, channels=channels, page_of=page_of, called=cls.called,
            origin=str(request.url.origin()),
        )  # fmt: skip

    async def _parts(self, host: str, cls: type[Collector], every: Sequence[Instance], vhost: str) -> Rows:
        parts = [one for one in every if one.channel and one.vhost == vhost]
        values = await newest(self.services, cls, parts)
        return await asyncio.to_thread(rows, host, cls, parts, values, vhost=vhost)

    def _shown(self, name: str, graph: Graph, query: Mapping[str, str], protocol: str, term: Term) -> Shown:
        call: dict[str, str | int] = {"target": name, "step": term.step, "start": term.start, **query}
        if protocol != ALL:
            call["protocol"] = protocol
        large = called({**call, "width": LARGE[0], "height": LARGE[1]})
        sharp = called({**call, "zoom": 2})
        return Shown(graph.title, called(call), sharp, large, WIDTH, self.pages.height(graph), called(call))


def drawn_of(cls: type[Collector], found: Instance, protocol: str) -> Iterator[tuple[str, Graph]]:
    """Yield the targets of a protocol that the instance has series for; `all` has those of a single one too."""
    kinds = {name for info in found.infos for name in info.kinds}
    for name, drawn in cls.instance_targets.items():
        graph = drawn.get(protocol)
        if graph is None and protocol in protocols(cls, name):
            graph = next(iter(drawn.values()))
        lacks = found.channel and name in cls.whole_targets
        if graph is not None and not lacks and not kinds.isdisjoint(graph.names()):
            yield name, graph
