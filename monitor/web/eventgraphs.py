"""/graph/events/NAME.png: how many events there were, and the quality of a media session."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

import asyncpg
import numpy as np
from aiohttp import web

from monitor.batch import Floats
from monitor.graph.compose import SizeError
from monitor.graph.model import Graph, Line, Stack
from monitor.query import auto_step
from monitor.store.events.search import Search, word
from monitor.store.events.summary import Values, counts, held, measures
from monitor.web.draw import Drawer, Drawing
from monitor.web.events import Keeps, too_much
from monitor.web.eventsearch import RELS, Asked, asked, kind_of
from monitor.web.eventsearch import TAKEN as ASKED
from monitor.web.figures import figures
from monitor.web.pages import Pages
from monitor.web.png import FORMATS, HEIGHT, PAST, WIDTH, size_of
from monitor.web.problem import ProblemError, bad, patience, unknown
from monitor.web.reading import Span, read_sum
from monitor.web.shown import Shown
from monitor.wire.clickhouse.tables import TABLES

COUNTED = 5.0
"""Seconds for which events are counted; many of them without a stream or session take longer."""
AT_ONCE = 2
MOST_KINDS = 9
"""Types that have a colour of their own; the rest are drawn as one."""
WIDE, HIGH = 1180, 260
NARROW = (346, 203)
MINUTE = 60
TAKEN = ASKED | {"width", "height", "zoom", "only", "graph_only", "format", "full"}

COUNTED_AS = "events"
TOO_MANY = "Events: too many to count; give a stream, a session or a shorter time"
COUNTS = Graph("counts", "Events", unit="per minute")
QUALITY = (
    Graph("resolution", "Resolution", Line("videoWidth", "width"), Line("videoHeight", "height"), unit="pixels"),
    Graph("frames", "Frames", Line("videoFrameRate", "frame rate"), unit="per second"),
    Graph("bitrate", "Bitrate", Line("videoRate", "video"), Line("audioRate", "audio"), unit="bit/s"),
    Graph("nack", "NACK", Line("sendNACK", "sent"), Line("recvNACK", "received"), unit="NACK"),
    Graph(
        "lost", "Lost", Line("videoFramesLost", "video frames"), Line("audioPacketsLost", "audio packets"),
        unit="frames and packets",
    ),
)  # fmt: skip
GRAPHS = {graph.name: graph for graph in (COUNTS, *QUALITY)}


class Found(NamedTuple):
    """A graph and its values; when the first step begins, how long each is, and when the last ends, in seconds."""

    graph: Graph
    series: Mapping[str, Floats]
    start: int
    step: int
    end: int


class EventGraphs:
    def __init__(self, pages: Pages, drawer: Drawer) -> None:
        self.services = pages.services
        self.drawer = drawer
        self._places = asyncio.Semaphore(AT_ONCE)

    async def graph(self, request: web.Request) -> web.StreamResponse:
        """Draw a graph of what a search finds; those of quality are of one media session."""
        services = self.services
        graph = GRAPHS.get(request.match_info["name"])
        if graph is None:
            raise unknown("name", "graph of events", request.match_info["name"], GRAPHS)
        store = services.store
        if not isinstance(store, Keeps):
            raise ProblemError(404, "this store keeps no events")
        format = request.query.get("format") or FORMATS[0]
        if format not in FORMATS:
            raise bad("format", f"expected one of {', '.join(FORMATS)}, got {format[:40]!r}", FORMATS)
        size = size_of(request, WIDTH, HEIGHT, full=True)
        columns = math.ceil(size.width * size.zoom)
        try:
            async with patience(services.patience), self._places:
                one = await asked(request, services, store.search)
                if graph is COUNTS:
                    found = await self._counted(store.search, one, columns)
                else:
                    found = await _measured(store.search, one, graph, columns)
        except asyncpg.QueryCanceledError:
            raise too_much() from None
        about = one.given.get("media_session") or one.given.get("stream") or one.given.get("session") or ""
        drawing = Drawing(
            (request.path, *(f"{name}={text}" for name, text in one.given.items())), found.graph, found.series,
            found.start, found.end, found.step, size.width, size.height,
            "  ".join(filter(None, (found.graph.title, about))), size.whole, services.timezone,
            size.zoom, size.only, None, {}, int(services.clock()),
        )  # fmt: skip
        past = found.end < services.clock() - 2 * found.step
        headers = {"Cache-Control": f"private, max-age={PAST if past else max(5, min(60, found.step // 2))}"}
        if format == "json":
            return await figures(request, drawing, "events", headers)
        try:
            picture = await self.drawer.draw(drawing)
        except SizeError as error:
            raise bad(error.parameter, str(error)) from None
        headers["ETag"] = f'"{picture.etag}"'
        if any(tag.value in (picture.etag, "*") for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=picture.png, content_type="image/png", headers=headers)

    async def _counted(self, search: Search, one: Asked, columns: int) -> Found:
        """Return how many events there were a minute; of all of a server, or of all servers, as was counted on arrival.

        Where that was not, or about a stream or session, those that are stored are counted.
        """
        step = max(MINUTE, auto_step(one.start, one.end, columns))
        start, _, end = span_of(one, step)
        span = Span(start, end, step)
        if one.given.keys() <= {"ip", "table"}:
            infos = await self.services.store.sources(host=one.given.get("ip"), collector=RELS)
            if infos:
                graph = _tables(one)
                reading = await read_sum(self.services, infos, graph, span)
                return Found(graph, reading.series, reading.start, reading.step, reading.end)
        try:
            return await _searched(search, one, span)
        except asyncpg.QueryCanceledError:
            return Found(COUNTS.changed(title=TOO_MANY), {}, *span_of(one, step))


def span_of(one: Asked, step: int) -> tuple[int, int, int]:
    """Return when the first step of a search begins, how long each is, and when the last ends."""
    start = one.start // step * step
    return start, step, start + step * -(-(one.end - start) // step)


def _tables(one: Asked) -> Graph:
    """Return the graph of what was counted when it came."""
    names = [part.table.name for part in one.parts]
    return COUNTS.changed(items=tuple(Stack(f"{COUNTED_AS}.{name}", name) for name in names))


async def _searched(search: Search, one: Asked, span: Span) -> Found:
    """Count events a minute: by table, or by type where it is one table."""
    start, step = span.start, span.step
    only = one.parts[0].table if len(one.parts) == 1 else None
    kind = kind_of(only) if only else ""
    found = await counts(search, one.wanted(), start * 1000, step * 1000, kind=kind, timeout=COUNTED)
    named: dict[str, Values] = {}
    ordered = sorted(found.items(), key=lambda item: float(item[1].sum()), reverse=True)
    for place, ((table, number), values) in enumerate(ordered):
        name = (word(TABLES[table], kind, number) or f"type {number}") if kind and number >= 0 else table
        if place >= MOST_KINDS or number < 0:
            name = "others"
        named[name] = named.get(name, np.zeros(len(values))) + values * (MINUTE / step)
    return Found(COUNTS.changed(items=tuple(Stack(name) for name in named)), named, *span_of(one, step))


async def _measured(search: Search, one: Asked, graph: Graph, columns: int) -> Found:
    """Return what a graph of quality draws."""
    part = one.part("MediaSessionEvents")
    if "media_session" not in one.given or part is None:
        raise bad("media_session", "is required: the quality is that of one media session")
    step = auto_step(one.start, one.end, columns)
    start = one.start // step * step
    found = await measures(search, part.wanted, start * 1000, step * 1000, timeout=COUNTED)
    names = set(graph.names())
    return Found(graph, {name: held(values) for name, values in found.items() if name in names}, *span_of(one, step))


def shown(pages: Pages, graph: Graph, query: Mapping[str, str], *, wide: bool = False) -> Shown:
    """Return a graph as a page embeds it."""

    def called(**more: int) -> str:
        return f"/graph/events/{graph.name}.png?" + urlencode({**query, **more})

    width, height = (WIDE, HIGH) if wide else (WIDTH, HEIGHT)
    size = {"width": width, "height": height}
    narrow = {"width": NARROW[0], "height": NARROW[1]}
    high = pages.height(graph, width, height)
    return Shown(
        graph.title, called(**size), called(**size, zoom=2), called(width=1100, height=420), width, high, called(),
        (called(**narrow), called(**narrow, zoom=2), NARROW[0], pages.height(graph, *NARROW)),
    )  # fmt: skip
