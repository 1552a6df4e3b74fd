"""/graph_global and /graph: PNG pictures of the graphs that collectors declare."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from aiohttp import web

from monitor.batch import Source
from monitor.collector import Collector
from monitor.graph.compose import MOST_HEIGHT, MOST_WIDTH, SizeError
from monitor.graph.model import Graph
from monitor.query import auto_step
from monitor.web import catalogue, hosts
from monitor.web.draw import Drawer, Drawing
from monitor.web.params import required, times, whole
from monitor.web.problem import bad, patience, unknown
from monitor.web.reading import Span, read_graph
from monitor.web.services import Services

STEPS = {"5m": 300, "30m": 1800, "1h": 3600, "6h": 21600, "1d": 86400}
WIDTH, HEIGHT = 580, 203
PLOT_WIDTH, PLOT_HEIGHT = 460, 100
LEAST_WIDTH, LEAST_HEIGHT = 80, 40
LEAST_THUMBNAIL = 40, 20
LEAST_ZOOM, MOST_ZOOM = 1, 4
LONG = 7 * 86400
"""Seconds of a graph that shows peaks, if its buckets are coarser than what was collected."""
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


class Size(NamedTuple):
    """Width and height before the zoom: of the whole picture, or of the plot; with `only` the plot is the picture."""

    width: int
    height: int
    whole: bool
    zoom: float
    only: bool


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
        size = size_of(request, WIDTH, HEIGHT, full=True)
        view = await hosts.view(services, request.query.get("host") or services.inventory.own.host, "host")
        cls, graph = _served(view, found[target])
        source = Source(view.spec.host, cls.path)
        title = f"{graph.title} {view.spec.hostname}"
        return await self._answer(request, view, source, graph, Span(start, end, STEPS[text]), title, size)

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
        size = size_of(request, *((WIDTH, HEIGHT) if full else (PLOT_WIDTH, PLOT_HEIGHT)), full=full)
        span, label = self._span(request, math.ceil(size.width * size.zoom))
        title = f"{graph.title}, {view.spec.hostname}, {label}"
        return await self._answer(request, view, source, graph, span, title, size)

    def _span(self, request: web.Request, columns: int) -> tuple[Span, str]:
        term = term_of(request.query.get("term") or "day")
        if term == CUSTOM:
            start, end = times(request, self.services, "from", "to", "end-32h")
            return Span(start, end, auto_step(start, end, columns)), CUSTOM
        end = int(self.services.clock())
        start = end - TERMS[term].seconds
        return Span(start, end, auto_step(start, end, columns)), TERMS[term].label

    async def _answer(
        self, request: web.Request, view: hosts.HostView, source: Source, graph: Graph, span: Span, title: str,
        size: Size,
    ) -> web.Response:  # fmt: skip
        services = self.services
        info = next((info for info in view.sources if info.source == source), None)
        peaks = info is not None and span.end - span.start >= LONG and span.step > info.interval
        async with patience(services.patience):
            found = await read_graph(services, source, info.kinds if info else (), graph, span, peaks=peaks)
        if self._config is not services.config:
            self._config = services.config
            self.drawer.forget()
        drawing = Drawing(
            (request.path, *source, graph.name), graph, found.series, found.start, found.end, found.step, size.width,
            size.height, title, size.whole, services.timezone, size.zoom, size.only, found.peaks, found.tracks,
            int(services.clock()),
        )  # fmt: skip
        try:
            picture = await self.drawer.draw(drawing)
        except SizeError as error:
            raise bad(error.parameter, str(error)) from None
        age = PAST if found.end < services.clock() - 2 * found.step else max(5, min(60, found.step // 2))
        headers = {"ETag": f'"{picture.etag}"', "Cache-Control": f"private, max-age={age}"}
        if any(tag.value in (picture.etag, "*") for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=picture.png, content_type="image/png", headers=headers)


def size_of(request: web.Request, width: int, height: int, *, full: bool) -> Size:
    """Return the size asked for: the whole picture has at most 4,000 x 2,000 pixels when it is enlarged."""
    zoom = zoom_of(request)
    only = flag(request, "only") or flag(request, "graph_only")
    least = LEAST_THUMBNAIL if only else (LEAST_WIDTH, LEAST_HEIGHT)
    return Size(
        whole(request, "width", width, least[0], math.floor(MOST_WIDTH / zoom)),
        whole(request, "height", height, least[1], math.floor(MOST_HEIGHT / zoom)),
        full,
        zoom,
        only,
    )


def zoom_of(request: web.Request) -> float:
    text = request.query.get("zoom") or "1"
    if not re.fullmatch(r"\d(\.\d{1,3})?", text, re.ASCII) or not LEAST_ZOOM <= float(text) <= MOST_ZOOM:
        raise bad("zoom", f"expected a number from {LEAST_ZOOM} to {MOST_ZOOM} such as 2 or 1.5, got {text[:40]!r}")
    return float(text)


def flag(request: web.Request, name: str) -> bool:
    text = request.query.get(name) or "0"
    if text not in ("0", "1"):
        raise bad(name, f"expected 0 or 1, got {text[:40]!r}", ("0", "1"))
    return text == "1"


def _served(view: hosts.HostView, declared: list[tuple[type[Collector], Graph]]) -> tuple[type[Collector], Graph]:
    """Return, of the collectors that declare a target, the first that this host has."""
    there = {part.collector for part in view.parts} | {info.source.collector for info in view.sources}
    return next((found for found in declared if found[0].path in there), declared[0])
