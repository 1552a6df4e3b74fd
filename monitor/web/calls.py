"""The graph calls of scripts: /graph_global, /graph_vhost, and the pictures by name below /graph/."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from aiohttp import web

from monitor.graph.layout import APART
from monitor.graph.model import Graph
from monitor.handler import SourceInfo
from monitor.web import instances, targets
from monitor.web.answers import answer
from monitor.web.instances import Instance, Server
from monitor.web.params import required, times
from monitor.web.png import HEIGHT, WIDTH, Asked, Pictures, Size, size_of
from monitor.web.problem import bad, unknown
from monitor.web.reading import Span

STEPS = {"5m": 300, "30m": 1800, "1h": 3600, "6h": 21600, "1d": 86400}
FINEST = 300
"""A bucket of this step has no peak, one of a longer step has."""
DAY = 86400
UNITS = (("day", DAY), ("hour", 3600), ("minute", 60), ("second", 1))


class Kind(NamedTuple):
    """How large a picture by name is, and what it shows."""

    width: int
    height: int
    step: int
    seconds: int
    label: str


KINDS = {
    "dash": Kind(205, 175, 300, DAY // 2, "12 hours"),
    "day": Kind(WIDTH, HEIGHT, 300, 2 * DAY, "48 hours"),
    "week": Kind(WIDTH, HEIGHT, 1800, 14 * DAY, "14 days"),
    "month": Kind(WIDTH, HEIGHT, 7200, 49 * DAY, "7 weeks"),
    "year": Kind(WIDTH, HEIGHT, DAY, 548 * DAY, "18 months"),
}


class Shape(NamedTuple):
    """What a picture shows in which size, whatever its target."""

    span: Span
    label: str
    size: Size
    peaks: bool


class Calls:
    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.services = pictures.services

    async def graph_global(self, request: web.Request) -> web.StreamResponse:
        """Draw a target of a server, by default of the only one, or of the appliance's own host where there is none."""
        return await self._of_server(request, required(request, "target"), self._asked_shape(request))

    async def graph_vhost(self, request: web.Request) -> web.StreamResponse:
        """Draw a target of a virtual host or channel, by default of all virtual hosts together."""
        return await self._of_instance(request, required(request, "target"), self._asked_shape(request))

    async def server_picture(self, request: web.Request) -> web.StreamResponse:
        """Draw a target of a server under the picture's name: `cpu_day`."""
        target, kind = kind_of(request)
        return await self._of_server(request, target, self._shape_of(request, kind))

    async def instance_picture(self, request: web.Request) -> web.StreamResponse:
        """Draw a target of a virtual host or channel under the picture's name: `client_traffic_day`."""
        target, kind = kind_of(request)
        return await self._of_instance(request, target, self._shape_of(request, kind))

    async def targets(self, request: web.Request) -> web.Response:
        """List the targets of a collector."""
        found = {cls.path: cls for cls in self.services.config.registry.collectors.values()}
        known = {path: cls for path, cls in found.items() if cls.targets or cls.instance_targets}
        word = request.match_info["collector"]
        if word not in known:
            raise unknown("collector", "collector with graph targets", word, known)
        return answer({"targets": targets.listed(known[word])})

    async def _of_server(self, request: web.Request, name: str, shape: Shape) -> web.StreamResponse:
        offers = targets.global_offers(self.services.config.registry, name)
        text = request.query.get("host") or ""
        servers = await instances.chosen(self.services, text, [offer.cls for offer in offers], own=True)
        offer = next((one for one in offers if servers and one.cls is servers[0].cls), offers[0])
        infos = [info for server in servers for info in server.own()]
        key = (offer.cls.path, offer.target, *(server.host for server in servers))
        mean = offer.target in offer.cls.mean_targets
        return await self._answer(request, key, offer.drawn, infos, called(text, servers), shape, mean=mean)

    async def _of_instance(self, request: web.Request, name: str, shape: Shape) -> web.StreamResponse:
        offers = targets.instance_offers(self.services.config.registry, name)
        text = request.query.get("host") or ""
        servers = await instances.chosen(self.services, text, [offer.cls for offer in offers], own=False)
        offer = next((one for one in offers if servers and one.cls is servers[0].cls), offers[0])
        protocol, graph = targets.of_protocol(offer, request.query.get("protocol") or "")
        vhost = request.query.get("vhost") or ""
        if vhost:
            found = await asyncio.to_thread(instances.find, servers, vhost)
            check_part(found, offer)
            infos, where = found.infos, found.name
        else:
            known = await asyncio.to_thread(instances.instances, servers)
            infos = [info for one in known.values() if not one.channel for info in one.infos]
            where = called(text, servers)
        if protocol not in ("", targets.ALL) and protocol not in offer.target.split("_"):
            where = f"{where} {protocol}"
        key = (offer.cls.path, offer.target, protocol, vhost, *(server.host for server in servers))
        return await self._answer(request, key, graph, infos, where, shape)

    async def _answer(
        self, request: web.Request, key: tuple[str, ...], graph: Graph, infos: Sequence[SourceInfo], where: str,
        shape: Shape, *, mean: bool = False,
    ) -> web.StreamResponse:  # fmt: skip
        title = APART.join((key[1], where, shape.label))
        asked = Asked(key, graph, infos, shape.span, title, shape.size, shape.peaks, mean)
        return await self.pictures.answer(request, asked)

    def _asked_shape(self, request: web.Request) -> Shape:
        text = request.query.get("step") or "5m"
        if text not in STEPS:
            raise bad("step", f"expected one of {', '.join(STEPS)}, got {text[:40]!r}", STEPS)
        start, end = times(request, self.services)
        step = STEPS[text]
        # The specification keeps 90 days at 5m, which is more points than are read at once and than there are pixels.
        coarser = step * math.ceil((end - start) / step / (self.services.config.server.max_points - 2))
        size = size_of(request, WIDTH, HEIGHT, full=True)
        return Shape(Span(start, end, coarser), length(start, end, self.services.timezone), size, step > FINEST)

    def _shape_of(self, request: web.Request, kind: Kind) -> Shape:
        end = int(self.services.clock())
        size = size_of(request, kind.width, kind.height, full=True)
        return Shape(Span(end - kind.seconds, end, kind.step), kind.label, size, kind.step > FINEST)


def kind_of(request: web.Request) -> tuple[str, Kind]:
    """Return the target and the kind that a picture's name says."""
    name = request.match_info["name"]
    target, _, word = name.rpartition("_")
    if not target or word not in KINDS:
        raise unknown("name", "kind of picture", word or name, KINDS)
    return target, KINDS[word]


def check_part(found: Instance, offer: targets.Offer[Any]) -> None:
    """Refuse a target that channels do not have."""
    lacks = offer.cls.whole_targets if found.channel else frozenset()
    if offer.target in lacks:
        allowed = [name for name in offer.cls.instance_targets if name not in lacks]
        shown = ", ".join(allowed)
        raise bad("target", f"a channel has no {offer.target}, only its virtual host has; it has {shown}", allowed)


def called(text: str, servers: Sequence[Server]) -> str:
    """Return what a title calls the servers that `host=` means."""
    if len(servers) == 1:
        return servers[0].hostname
    return f"all {len(servers)} servers" if text == instances.EVERY else text


def length(start: int, end: int, tz: str) -> str:
    """Return a span in the largest unit that it is whole in by the calendar and clock of the time zone.

    One that is whole in none that is long is told in days and hours, hours and minutes, or minutes and seconds.
    """
    since, until = (datetime.fromtimestamp(at, ZoneInfo(tz)).replace(tzinfo=None) for at in (start, end))
    months = 12 * (until.year - since.year) + until.month - since.month
    if months and since.replace(year=2000, month=1) == until.replace(year=2000, month=1):
        return _counted(*((months // 12, "year") if months % 12 == 0 else (months, "month")))
    days = (until - since) / timedelta(days=1)
    if days >= 1 and days == int(days):
        return _counted(*((int(days) // 7, "week") if days % 7 == 0 else (int(days), "day")))
    seconds = end - start
    unit = next((i for i, (_, size) in enumerate(UNITS) if seconds >= size), len(UNITS) - 1)
    (word, size), (small, part) = UNITS[unit], UNITS[min(unit + 1, len(UNITS) - 1)]
    count, rest = divmod(round(seconds / part) * part, size)
    return " ".join([_counted(count, word), *([_counted(rest // part, small)] if rest else [])])


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
