"""/servers: the same graphs of several hosts side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web

from monitor.graph.model import Graph
from monitor.handler import SourceInfo
from monitor.web import catalogue, hosts
from monitor.web.hosts import HostView
from monitor.web.instances import of_instance
from monitor.web.pages import Pages
from monitor.web.plugins import fresh, pictured
from monitor.web.png import CUSTOM, TERMS
from monitor.web.problem import bad, unknown
from monitor.web.ranges import Range, range_of
from monitor.web.shown import Shown

MOST_HOSTS = 500
MOST_PICTURES = 8_000
Known = dict[tuple[str, frozenset[str]], list[Graph]]
"""The graphs of a collector whose sources have these series."""


@dataclass(slots=True)
class Item:
    """A graph of a plugin, with the picture of each host that has it."""

    plugin: str
    title: str
    pictures: dict[str, Shown] = field(default_factory=dict)


class ComparePage:
    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.services = pages.services

    async def servers(self, request: web.Request) -> web.Response:
        """Show 1 to 500 hosts, each by an `address`; `plugin_identifier` leaves one plugin."""
        names = request.query.getall("address", [])
        if not 1 <= len(names) <= MOST_HOSTS:
            raise bad("address", f"expected 1 to {MOST_HOSTS} times, got {len(names)}")
        shown = range_of(request, self.services, compared=True)
        views = await hosts.several(self.services, names, "address")
        known = [view.spec.host for view in views]
        if len(set(known)) < len(known):
            twice = next(name for number, name in enumerate(known) if name in known[:number])
            raise bad("address", f"expected each host once, got {twice[:80]!r} again")
        plugins = dict.fromkeys(plugin for view in views for plugin in plugins_of(view, shown.since))
        only = request.query.get("plugin_identifier") or ""
        if only and only not in plugins:
            raise unknown("plugin_identifier", "plugin on these hosts:", only, plugins)
        items, left = await self._items(views, shown, only)
        rows = {name: [item for item in items if item.plugin == name] for name in plugins}
        return await self.pages.page(
            request, "servers.html", views=views, names=known, items=[one for one in rows.items() if one[1]],
            terms=TERMS, term=shown.term, range=shown, custom=CUSTOM, plugins=list(plugins), only=only, cut=left <= 0,
        )  # fmt: skip

    async def _items(self, views: Sequence[HostView], shown: Range, only: str) -> tuple[list[Item], int]:
        """Return the graphs in the order that the hosts have them, and how many more pictures fit on the page."""
        items: dict[tuple[str, str], Item] = {}
        known: Known = {}
        left = MOST_PICTURES
        for view in views:
            for info in view.sources:
                plugin = catalogue.identifier(info.source)
                if (only and plugin != only) or of_instance(info.meta):
                    continue
                for graph in self._graphs(info, shown, known):
                    if left <= 0:
                        return list(items.values()), left
                    left -= 1
                    item = items.setdefault((plugin, graph.name), Item(plugin, graph.title))
                    item.pictures[view.spec.host] = pictured(info, graph, shown, self.pages.height).pictures[0][1]
                    await asyncio.sleep(0)
                await asyncio.sleep(0)
        return list(items.values()), left

    def _graphs(self, info: SourceInfo, shown: Range, known: Known) -> list[Graph]:
        """Return the graphs of a source; hosts whose agents send the same have the same."""
        key = (info.source.collector, fresh(self.services, info, shown.since))
        if key not in known:
            known[key] = list(catalogue.graphs(self.services.config, info.source, key[1]))
        return known[key]


def plugins_of(view: HostView, since: float) -> list[str]:
    """Return the words of all that was seen of a host since a time, its agent's plugins first."""
    sources = (info for info in view.sources if info.last_seen >= since and not of_instance(info.meta))
    found = [catalogue.identifier(info.source) for info in sources]
    return [*(name for name in view.spec.pushed if name in found), *found]
