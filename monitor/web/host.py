"""/server: the page of one host, with all its graphs."""

from __future__ import annotations

import asyncio
from itertools import islice
from urllib.parse import urlencode

from aiohttp import web

from monitor.handler import SourceInfo
from monitor.inventory import HostSpec
from monitor.web import catalogue, hosts
from monitor.web.eventsearch import address_of
from monitor.web.instances import Server, instances, of_instance
from monitor.web.lists import newest
from monitor.web.pages import Pages
from monitor.web.params import required
from monitor.web.plugins import Group, fresh, grouped, narrowed, pictured
from monitor.web.png import CUSTOM, TERMS, flag
from monitor.web.problem import unknown
from monitor.web.ranges import Range, range_of
from monitor.web.said import tell
from monitor.web.shown import rows

MOST_GRAPHS = 400
SMALL = "small"
"""The cookie that says whether the head of the page is minimised."""


class HostPage:
    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.services = pages.services

    async def server(self, request: web.Request) -> web.Response:
        """Show one host: `address` is its identity, hostname or address, `plugin_identifier` leaves one collector.

        What was not seen in the time shown is left out unless `all=1`.
        """
        view = await hosts.view(self.services, required(request, "address"), "address")
        shown, every = range_of(request, self.services), flag(request, "all")
        groups = grouped(view, self.services.clock())
        warnings = tell(self.services.parts.liveness, view.spec, groups)
        plugins = [
            (group.part.name, group.part.up is False or bool(group.warnings))
            for group in groups
            if every or group.seen(shown.since)
        ]
        only = request.query.get("plugin_identifier")
        if only:
            names = [group.part.name for group in groups]
            names += [catalogue.identifier(info.source) for group in groups for info in group.sources]
            if only not in names:
                raise unknown("plugin_identifier", f"collector on {view.spec.host}:", only, dict.fromkeys(names))
            groups = narrowed(groups, only)
        left, gone = await self._draw(view.spec, groups, shown, every=every)
        groups = [group for group in groups if only or every or group.seen(shown.since)]

        def here(*, term: str = shown.term, **more: str | int | None) -> str:
            """Return the address of this page with something else."""
            ends = shown.ends if term == shown.term else {}
            given = {name: value for name, value in more.items() if value}
            return "/server?" + urlencode({"address": view.spec.host, "term": term, **ends, **given})

        return await self.pages.page(
            request, "server.html", view=view, host=view.spec, groups=groups, terms=TERMS, term=shown.term, only=only,
            cut=left <= 0, gone=gone, every=every, here=here, range=shown, custom=CUSTOM, plugins=plugins,
            files=self.services.config.graph_files, origin=str(request.url.origin()),
            told=address_of(self.services, view), warnings=[] if only else warnings,
            small=request.cookies.get(SMALL) == "1",
        )  # fmt: skip

    async def _draw(self, spec: HostSpec, groups: list[Group], shown: Range, *, every: bool) -> tuple[int, bool]:
        """Give the groups their graphs; return how many more fit on the page, and whether something was left out."""
        left, gone = MOST_GRAPHS, False
        for group in groups:
            for info in await self._without_vhosts(spec, group):
                names = frozenset(info.kinds) if every else fresh(self.services, info, shown.since)
                gone = gone or len(names) < len(info.kinds)
                graphs = []
                for graph in islice(catalogue.graphs(self.services.config, info.source, names), left):
                    graphs.append(pictured(info, graph, shown, self.pages.height))
                    await asyncio.sleep(0)
                left -= len(graphs)
                if graphs:
                    group.graphs.append((info.source.instance, graphs))
                await asyncio.sleep(0)
        return left, gone

    async def _without_vhosts(self, spec: HostSpec, group: Group) -> list[SourceInfo]:
        """Return the sources whose graphs the page shows: virtual hosts, if there are targets for them, are listed."""
        cls = self.services.config.registry.by_path(group.part.collector)
        if cls is None or not cls.instance_targets:
            return group.sources
        known = list(
            (await asyncio.to_thread(instances, [Server(spec.host, spec.hostname, cls, group.sources)])).values()
        )
        values = await newest(self.services, cls, [one for one in known if not one.channel])
        group.vhosts = await asyncio.to_thread(rows, spec.host, cls, known, values, most=cls.most_listed)
        return [info for info in group.sources if not of_instance(info.meta)]
