"""/graph_global and /graph: PNG pictures of the graphs that collectors declare."""

from __future__ import annotations

from typing import NamedTuple

from aiohttp import web

from monitor.batch import Series, Source
from monitor.collector import Collector
from monitor.graph.model import Graph
from monitor.query import auto_step
from monitor.web import catalogue, hosts
from monitor.web.draw import Drawer, Drawing
from monitor.web.params import required, times, whole
from monitor.web.problem import bad, patience, unknown
from monitor.web.services import Services

STEPS = {"5m": 300, "30m": 1800, "1h": 3600, "6h": 21600, "1d": 86400}
WIDTH, HEIGHT = 580, 203
PLOT_WIDTH, PLOT_HEIGHT = 460, 100
LEAST_WIDTH, LEAST_HEIGHT, MOST_WIDTH, MOST_HEIGHT = 80, 40, 4000, 2000
PAST = 300
"""Seconds that a picture of the past may be kept; one that ends now is kept for half its step, a minute at most."""


class Term(NamedTuple):
    seconds: int
    label: str


TERMS = {
    "hour": Term(70 * 60, "1 hour"),
    "4hours": Term(4 * 3600, "4 hours"),
    "8hours": Term(8 * 3600, "8 hours"),
    "day": Term(33 * 3600, "1 day"),
    "3days": Term(3 * 86400, "3 days"),
    "week": Term(8 * 86400, "1 week"),
    "month": Term(35 * 86400, "1 month"),
    "year": Term(400 * 86400, "1 year"),
}
ALIASES = {"1hour": "hour", "1day": "day", "1week": "week", "1month": "month", "1year": "year"}
CUSTOM = "custom"


def term_of(text: str) -> str:
    """Return the term of this name."""
    term = ALIASES.get(text, text)
    if term not in TERMS and term != CUSTOM:
        raise bad("term", f"expected one of {', '.join([*TERMS, CUSTOM])}, got {text[:40]!r}", [*TERMS, CUSTOM])
    return term


class Span(NamedTuple):
    start: int
    end: int
    step: int
    label: str


class Size(NamedTuple):
    width: int
    height: int
    whole: bool
    zoom: int = 1


class Pictures:
    def __init__(self, services: Services, drawer: Drawer) -> None:
        self.services = services
        self.drawer = drawer
        self._config = services.config

    async def graph_global(self, request: web.Request) -> web.Response:
        """Draw a target of a host, by default of the appliance's own."""
        services = self.services
        found = catalogue.targets(services.config.registry)
        target = required(request, "target")
        if target not in found:
            raise unknown("target", "graph target", target, found)
        text = request.query.get("step") or "5m"
        if text not in STEPS:
            raise bad("step", f"expected one of {', '.join(STEPS)}, got {text[:40]!r}", STEPS)
        start, end = times(request, services)
        size = Size(
            whole(request, "width", WIDTH, LEAST_WIDTH, MOST_WIDTH),
            whole(request, "height", HEIGHT, LEAST_HEIGHT, MOST_HEIGHT),
            True,
        )
        view = await hosts.view(services, request.query.get("host") or services.inventory.own.host, "host")
        cls, graph = _served(view, found[target])
        source = Source(view.spec.host, cls.path)
        title = f"{graph.title} {view.spec.hostname}"
        return await self._answer(request, source, graph, Span(start, end, STEPS[text], title), size)

    async def graph(self, request: web.Request) -> web.Response:
        """Draw one of the graphs of a host's page."""
        services = self.services
        view = await hosts.view(services, required(request, "address"), "address")
        word, name = required(request, "plugin_identifier"), required(request, "graph")
        registry = services.config.registry
        known = {catalogue.identifier(info.source): info.source for info in view.sources}
        names = {info.source: info.kinds for info in view.sources}
        known |= {part.name: Source(view.spec.host, part.collector, part.section) for part in view.parts}
        if word not in known:
            raise unknown("plugin_identifier", f"collector on {view.spec.host}:", word, known)
        source = known[word]
        graph = catalogue.find(registry, source, names.get(source, ()), name)
        if graph is None:
            there = catalogue.names(registry, source, names.get(source, ()))
            raise unknown("graph", f"graph of {word}:", name, there)
        full = request.query.get("full") == "1"
        size = Size(
            whole(request, "width", WIDTH if full else PLOT_WIDTH, LEAST_WIDTH, MOST_WIDTH),
            whole(request, "height", HEIGHT if full else PLOT_HEIGHT, LEAST_HEIGHT, MOST_HEIGHT),
            full,
            whole(request, "zoom", 1, 1, 2),
        )
        span = self._span(request, size.width * size.zoom)
        title = f"{graph.title}, {view.spec.hostname}, {span.label}"
        return await self._answer(request, source, graph, span._replace(label=title), size)

    def _span(self, request: web.Request, columns: int) -> Span:
        term = term_of(request.query.get("term") or "day")
        if term == CUSTOM:
            start, end = times(request, self.services, "from", "to", "end-32h")
            return Span(start, end, auto_step(start, end, columns), CUSTOM)
        end = int(self.services.clock())
        start = end - TERMS[term].seconds
        return Span(start, end, auto_step(start, end, columns), TERMS[term].label)

    async def _answer(self, request: web.Request, source: Source, graph: Graph, span: Span, size: Size) -> web.Response:
        services = self.services
        wanted = [Series(source, name) for name in graph.names()]
        async with patience(services.patience):
            found = await services.parts.query.fetch_graph(wanted, span.start, span.end, step=span.step, cf="AVERAGE")
        if self._config is not services.config:
            self._config = services.config
            self.drawer.forget()
        drawing = Drawing(
            (request.path, *source, graph.name), graph, {one.series.name: one.values for one in found.series},
            found.start, found.end, found.step, size.width, size.height, span.label, size.whole, services.timezone,
            size.zoom,
        )  # fmt: skip
        picture = await self.drawer.draw(drawing)
        age = PAST if found.end < services.clock() - 2 * found.step else max(5, min(60, found.step // 2))
        headers = {"ETag": f'"{picture.etag}"', "Cache-Control": f"private, max-age={age}"}
        if any(tag.value in (picture.etag, "*") for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=picture.png, content_type="image/png", headers=headers)


def _served(view: hosts.HostView, declared: list[tuple[type[Collector], Graph]]) -> tuple[type[Collector], Graph]:
    """Return, of the collectors that declare a target, the first that this host has."""
    there = {part.collector for part in view.parts} | {info.source.collector for info in view.sources}
    return next((found for found in declared if found[0].path in there), declared[0])
