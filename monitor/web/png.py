"""Graphs as PNG pictures or as numbers, and /graph, which draws those of a host's page."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from aiohttp import web

from monitor.batch import Source
from monitor.graph.compose import MOST_HEIGHT, MOST_WIDTH, SizeError
from monitor.graph.model import Graph
from monitor.handler import SourceInfo
from monitor.query import auto_step
from monitor.web import catalogue, hosts
from monitor.web.draw import Drawer, Drawing
from monitor.web.figures import figures
from monitor.web.params import required, times, whole
from monitor.web.peaks import with_peaks
from monitor.web.problem import bad, patience, unknown
from monitor.web.reading import Span, read_graph, read_sum
from monitor.web.services import Services

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
FORMATS = ("png", "json")


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


class Asked(NamedTuple):
    """A graph to draw of sources, whose series are added up (or averaged) where they are several; `key` names it."""

    key: tuple[str, ...]
    graph: Graph
    infos: Sequence[SourceInfo]
    span: Span
    title: str
    size: Size
    peaks: bool
    mean: bool = False


class Pictures:
    def __init__(self, services: Services, drawer: Drawer) -> None:
        self.services = services
        self.drawer = drawer
        self._config = services.config

    async def graph(self, request: web.Request) -> web.StreamResponse:
        """Draw one of the graphs of a host's page."""
        services = self.services
        view = await hosts.view(services, required(request, "address"), "address")
        word, name = required(request, "plugin_identifier"), required(request, "graph")
        config = services.config
        known = {catalogue.identifier(info.source): info.source for info in view.sources}
        names = {info.source: info.kinds for info in view.sources}
        known |= {part.name: Source(view.spec.host, part.collector, part.section) for part in view.parts}
        if word not in known:
            raise unknown("plugin_identifier", f"collector on {view.spec.host}:", word, known)
        source = known[word]
        graph = catalogue.find(config, source, names.get(source, ()), name)
        if graph is None:
            there = catalogue.names(config, source, names.get(source, ()))
            raise unknown("graph", f"graph of {word}:", name, there)
        full = request.query.get("full") == "1"
        size = size_of(request, *((WIDTH, HEIGHT) if full else (PLOT_WIDTH, PLOT_HEIGHT)), full=full)
        span, label = self._span(request, math.ceil(size.width * size.zoom))
        title = f"{graph.title}, {view.spec.hostname}, {label}"
        infos = [info for info in view.sources if info.source == source] or [SourceInfo(source, 60.0, 0.0, 0.0, {}, {})]
        peaks = span.end - span.start >= LONG
        return await self.answer(request, Asked((*source, graph.name), graph, infos, span, title, size, peaks))

    def _span(self, request: web.Request, columns: int) -> tuple[Span, str]:
        term = term_of(request.query.get("term") or "day")
        if term == CUSTOM:
            start, end = times(request, self.services, "from", "to", "end-32h")
            return Span(start, end, auto_step(start, end, columns)), CUSTOM
        end = int(self.services.clock())
        start = end - TERMS[term].seconds
        return Span(start, end, auto_step(start, end, columns)), TERMS[term].label

    async def answer(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        """Answer with the picture, or with its data by `format=json`."""
        services = self.services
        wanted = request.query.get("format") or FORMATS[0]
        if wanted not in FORMATS:
            raise bad("format", f"expected one of {', '.join(FORMATS)}, got {wanted[:40]!r}", FORMATS)
        graph, size = asked.graph, asked.size
        async with patience(services.patience):
            if len(asked.infos) == 1:
                source, kinds = asked.infos[0].source, asked.infos[0].kinds
                found = await read_graph(services, source, kinds, graph, asked.span)
            else:
                found = await read_sum(services, asked.infos, graph, asked.span, mean=asked.mean)
            if asked.peaks and all(found.step > info.interval for info in asked.infos):
                graph, found = await with_peaks(services.parts.query, asked.infos, graph, found, mean=asked.mean)
        if self._config is not services.config:
            self._config = services.config
            self.drawer.forget()
        drawing = Drawing(
            (request.path, *asked.key), graph, found.series, found.start, found.end, found.step, size.width,
            size.height, asked.title, size.whole, services.timezone, size.zoom, size.only, found.peaks, found.tracks,
            int(services.clock()),
        )  # fmt: skip
        age = PAST if found.end < services.clock() - 2 * found.step else max(5, min(60, found.step // 2))
        headers = {"Cache-Control": f"private, max-age={age}"}
        if wanted == "json":
            return await figures(request, drawing, found.tier, headers)
        try:
            picture = await self.drawer.draw(drawing)
        except SizeError as error:
            raise bad(error.parameter, str(error)) from None
        except ValueError as error:
            raise bad("graph", f"{graph.name[:100]!r} cannot be drawn: {error}") from None
        headers["ETag"] = f'"{picture.etag}"'
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
