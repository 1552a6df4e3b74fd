"""The pages: all hosts with their state, and one host with all its graphs. They need no JavaScript."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import jinja2
from aiohttp import web

from monitor import __version__
from monitor.graph.model import Graph
from monitor.handler import SourceInfo
from monitor.inventory import HostSpec
from monitor.liveness import Warning
from monitor.resources import resource
from monitor.web import catalogue, hosts
from monitor.web.draw import height_of
from monitor.web.health import Health
from monitor.web.hosts import HostView, Part
from monitor.web.instances import Server, instances, of_instance
from monitor.web.params import read_times, required
from monitor.web.png import CUSTOM, HEIGHT, TERMS, WIDTH, term_of
from monitor.web.problem import unknown
from monitor.web.said import tell
from monitor.web.services import Services
from monitor.web.shown import LARGE, MOST_ROWS, Row, Shown, rows

TYPES = {".css": "text/css", ".svg": "image/svg+xml"}
ORDER = ("critical", "warning", "unknown", "ok")
SLICE = 400
"""Pieces of a page that are made before others get their turn."""
MOST_GRAPHS = 400
MOST_HEIGHTS = 10_000


class Static(NamedTuple):
    body: bytes
    type: str
    version: str


@dataclass(slots=True)
class Group:
    """A collector on a host's page, with the graphs of each of its instances."""

    part: Part
    sources: list[SourceInfo] = field(default_factory=list)
    graphs: list[tuple[str, list[Shown]]] = field(default_factory=list)
    vhosts: list[Row] = field(default_factory=list)
    said: Mapping[str, str] = field(default_factory=dict)
    warnings: list[Warning] = field(default_factory=list)

    @property
    def meta(self) -> list[tuple[str, str]]:
        """The newest text facts: the last collection's, else those that the store has."""
        job = self.part.job
        facts: Mapping[str, str] = {}
        told = [*(info.meta for info in self.sources), *(job.meta.values() if job else ()), self.said]
        for one in told:
            if not self.vhosts or not of_instance(one):
                facts = {**facts, **one}
        return sorted(facts.items())[:50]


class Pages:
    def __init__(self, services: Services, health: Health) -> None:
        self.services = services
        self.health = health
        self._heights: dict[tuple[object, ...], int] = {}
        self.statics = {path.name: _static(path) for path in sorted(resource("static").iterdir()) if path.is_file()}
        env = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True,
            lstrip_blocks=True, undefined=jinja2.StrictUndefined,
        )  # fmt: skip
        env.globals.update(version=__version__, link=self._link)
        env.filters.update(ago=self._ago, clock=self._clock, stamp=stamp, span=span)
        self._env = env

    async def index(self, request: web.Request) -> web.Response:
        """Show the hosts, by service and label; `service` and `state` leave some out."""
        views = await hosts.views(self.services)
        services = Counter(view.spec.service for view in views)
        states = Counter[str](view.state for view in views)
        wanted, state = request.query.get("service"), request.query.get("state")
        if wanted is not None and wanted not in services:
            raise unknown("service", "service", wanted, services)
        if state is not None and state not in ORDER:
            raise unknown("state", "state", state, ORDER)
        shown = [
            view
            for view in views
            if (wanted is None or view.spec.service == wanted) and (state is None or view.state == state)
        ]
        return await self.page(
            "index.html", services=sorted(services.items(), key=lambda one: one[0].casefold()), total=len(views),
            states=[(name, states[name]) for name in ORDER if states[name]], wanted=wanted, state=state,
            sections=sections(shown),
        )  # fmt: skip

    async def server(self, request: web.Request) -> web.Response:
        """Show one host: `address` is its identity, hostname or address, `plugin_identifier` leaves one collector."""
        view = await hosts.view(self.services, required(request, "address"), "address")
        term = term_of(request.query.get("term") or "day")
        groups = grouped(view)
        warnings = tell(self.services.parts.liveness, view.spec, groups)
        only = request.query.get("plugin_identifier")
        if only is not None:
            names = [group.part.name for group in groups]
            if only not in names:
                raise unknown("plugin_identifier", f"collector on {view.spec.host}:", only, names)
            groups = [group for group in groups if group.part.name == only]
        more = {"term": term}
        if term == CUSTOM:
            texts = read_times(request, self.services, "from", "to", "end-32h").texts
            more |= dict(zip(("from", "to"), texts, strict=True))
        left = MOST_GRAPHS
        for group in groups:
            own = await asyncio.to_thread(self._without_vhosts, view.spec, group)
            for info in own:
                found: list[Shown] = []
                for shown in islice(self._shown(info, more), left):
                    found.append(shown)
                    await asyncio.sleep(0)
                left -= len(found)
                if found:
                    group.graphs.append((info.source.instance, found))
                await asyncio.sleep(0)
        return await self.page(
            "server.html", view=view, host=view.spec, groups=groups, terms=TERMS, term=term, only=only,
            cut=left <= 0, more=more, files=self.services.config.graph_files, most=MOST_ROWS,
            origin=str(request.url.origin()), warnings=[] if only else warnings,
        )  # fmt: skip

    async def static(self, request: web.Request) -> web.Response:
        found = self.statics.get(request.match_info["name"])
        if found is None:
            raise unknown("name", "file", request.match_info["name"], self.statics)
        fresh = request.query.get("v") == found.version
        age = "max-age=31536000, immutable" if fresh else "max-age=300"
        headers = {"Cache-Control": f"private, {age}", "ETag": f'"{found.version}"'}
        return web.Response(body=found.body, content_type=found.type, headers=headers)

    def problem(self, members: Mapping[str, Any]) -> str:
        """Return the page that shows a problem."""
        return self._env.get_template("problem.html").render(problem=members, zone="", trouble=None)

    def _shown(self, info: SourceInfo, more: Mapping[str, str]) -> Iterator[Shown]:
        for graph in catalogue.graphs(self.services.config, info.source, info.kinds):
            url = catalogue.url(info.source, graph, **more, full=1, width=WIDTH, height=HEIGHT)
            large = catalogue.url(info.source, graph, **more, full=1, width=LARGE[0], height=LARGE[1])
            yield Shown(graph.title, url, f"{url}&zoom=2", large, WIDTH, self.height(graph), url)

    def _without_vhosts(self, spec: HostSpec, group: Group) -> list[SourceInfo]:
        """Return the sources whose graphs the page shows: virtual hosts, if there are targets for them, are listed."""
        cls = self.services.config.registry.by_path(group.part.collector)
        if cls is None or not cls.instance_targets:
            return group.sources
        known = instances([Server(spec.host, spec.hostname, cls, group.sources)])
        group.vhosts = rows(spec.host, cls, known.values())
        return [info for info in group.sources if not of_instance(info.meta)]

    def height(self, graph: Graph) -> int:
        """Return how high the picture of a graph becomes."""
        key: tuple[object, ...] = (len(graph.items), graph.legend)
        if graph.written:
            key = tuple((type(one), one.ending, *map(vars(one).get, ("legend", "text", "form"))) for one in graph.items)
        if key not in self._heights:
            if len(self._heights) >= MOST_HEIGHTS:
                self._heights.clear()
            self._heights[key] = height_of(graph, WIDTH, HEIGHT)
        return self._heights[key]

    async def page(self, name: str, **values: Any) -> web.Response:
        """Answer with a page made from the template of this name."""
        template = self._env.get_template(name)
        parts: list[str] = []
        values |= {"trouble": await self.health.database(), "paused": self.services.parts.pause.left()}
        for number, part in enumerate(template.generate(zone=self.services.timezone, **values)):
            parts.append(part)
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        return web.Response(
            text="".join(parts), content_type="text/html", charset="utf-8", headers={"Cache-Control": "no-store"}
        )

    def _link(self, name: str) -> str:
        return f"/static/{name}?v={self.statics[name].version}"

    def _ago(self, at: float) -> str:
        """Return how long ago (or ahead) a time is."""
        if not at:
            return "never"
        seconds = self.services.clock() - at
        if -1 < seconds < 1:
            return "now"
        return f"in {span(-seconds)}" if seconds < 0 else f"{span(seconds)} ago"

    def _clock(self, at: float) -> str:
        return datetime.fromtimestamp(at, ZoneInfo(self.services.timezone)).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def sections(views: Sequence[HostView]) -> list[tuple[str, list[tuple[str, list[HostView]]]]]:
    """Return hosts by service (in order of name), then by label (none first, then in the configuration's order)."""
    found: dict[str, dict[str, list[HostView]]] = {}
    for view in views:
        found.setdefault(view.spec.service, {}).setdefault(view.spec.label, []).append(view)
    services = sorted(found.items(), key=lambda one: one[0].casefold())
    return [(service, sorted(labels.items(), key=lambda one: one[0] != "")) for service, labels in services]


def grouped(view: HostView) -> list[Group]:
    """Return the collectors of a host, each with its sources; sources that nothing serves any more come last."""
    groups = [Group(part) for part in view.parts]
    for info in view.sources:
        words = (info.source.instance, info.source.instance.partition("/")[0])
        mine = [group for group in groups if group.part.collector == info.source.collector]
        exact = [group for word in words for group in mine if group.part.section == word]
        found = next(iter(exact or [group for group in mine if not group.part.section]), None)
        if found is None:
            found = Group(Part(info.source.collector, "", None, "", info.interval, info.last_seen))
            groups.append(found)
        found.sources.append(info)
    return groups


def span(seconds: float) -> str:
    """Return a length of time in one unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 or seconds == 0 else f"{math.ceil(seconds * 1000)} ms"


def stamp(at: float) -> str:
    """Return a time for machines."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds") if at else ""


def _static(path: Path) -> Static:
    body = path.read_bytes()
    kind = TYPES.get(path.suffix, "application/octet-stream")
    return Static(body, kind, hashlib.blake2b(body, digest_size=8).hexdigest())
