"""The API: hosts, series, their newest values, their values over time, and the graphs that there are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, TypeVar

from aiohttp import web

from monitor.batch import Series
from monitor.handler import SourceInfo
from monitor.query import Answer
from monitor.web import catalogue, hosts
from monitor.web.answers import answer, listing
from monitor.web.params import duration, required, times
from monitor.web.problem import bad, patience
from monitor.web.services import Services

T = TypeVar("T")

SLICE = 100
"""So many hosts, and four times as many series, are dealt with before others get their turn."""
LATEST_SLICE = 50
"""So many sources are asked for at once."""
GRAPHS_SLICE = 20
MAX_KEY = 2000
CFS = ("AVERAGE", "MIN", "MAX", "LAST")


def slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def by_weight(infos: Sequence[SourceInfo], most: int) -> Iterator[list[SourceInfo]]:
    """Yield sources together that have about so many series."""
    part: list[SourceInfo] = []
    weight = 0
    for info in infos:
        part.append(info)
        weight += 1 + len(info.kinds)
        if weight >= most:
            yield part
            part, weight = [], 0
    yield part


class Api:
    def __init__(self, services: Services) -> None:
        self.services = services

    async def hosts(self, request: web.Request) -> web.StreamResponse:
        found = await hosts.views(self.services)

        async def items() -> AsyncIterator[list[Any]]:
            for part in slices(found, SLICE):
                yield [view.as_json() for view in part]

        return await listing(request, "hosts", items())

    async def host(self, request: web.Request) -> web.StreamResponse:
        view = await hosts.view(self.services, request.match_info["host"], "host")
        sources = [
            {
                "collector": info.source.collector,
                "instance": info.source.instance,
                "interval": info.interval,
                "first_seen": info.first_seen,
                "last_seen": info.last_seen,
                "series": len(info.kinds),
                "meta": info.meta,
            }
            for info in view.sources
        ]
        collectors = [part.as_json() for part in view.parts]
        return answer({**view.as_json(), "collectors": collectors, "sources": sources})

    async def series(self, request: web.Request) -> web.StreamResponse:
        found = await self._sources(request)
        name = request.query.get("name") or None

        async def items() -> AsyncIterator[list[Any]]:
            for part in by_weight(found, 4 * SLICE):
                yield [
                    self._member(Series(info.source, each), kind)
                    for info in part
                    for each, kind in info.kinds.items()
                    if name is None or each == name
                ]

        return await listing(request, "series", items())

    async def latest(self, request: web.Request) -> web.StreamResponse:
        found = await self._sources(request)

        async def items() -> AsyncIterator[list[Any]]:
            for part in slices(found, LATEST_SLICE):
                kinds = {info.source: info.kinds for info in part}
                async with patience(self.services.patience):
                    newest = await self.services.store.latest([info.source for info in part])
                for some in slices(list(newest.items()), 4 * SLICE):
                    yield [
                        {**self._member(series, kinds[series.source].get(series.name)), "time": time, "value": value}
                        for series, (time, value) in some
                    ]

        return await listing(request, "series", items())

    async def query(self, request: web.Request) -> web.StreamResponse:
        required(request, "series")
        keys = request.query.getall("series")
        most = self.services.config.server.max_series
        if len(keys) > most:
            raise bad("series", f"expected at most {most} series, got {len(keys)}")
        try:
            wanted = [Series.parse(key[:MAX_KEY]) for key in keys]
        except ValueError as error:
            raise bad("series", str(error)) from None
        cf = (request.query.get("cf") or "AVERAGE").upper()
        if cf not in CFS:
            raise bad("cf", f"expected one of {', '.join(CFS)}, got {cf[:40]!r}", CFS)
        start, end = times(request, self.services)
        step = duration(request, "step")
        async with patience(self.services.patience):
            found = await self.services.parts.query.fetch(wanted, start, end, step=step, cf=cf)
        return await listing(
            request, "series", _fetched(found), start=found.start, end=found.end, step=found.step, cf=found.cf,
            tier=found.tier,
        )  # fmt: skip

    async def graphs(self, request: web.Request) -> web.StreamResponse:
        found = await self._sources(request)
        config = self.services.config

        async def items() -> AsyncIterator[list[Any]]:
            for info in found:
                made: list[Any] = []
                for graph in catalogue.graphs(config, info.source, info.kinds):
                    made.append(
                        {
                            "host": info.source.host,
                            "collector": info.source.collector,
                            "instance": info.source.instance,
                            "graph": graph.name,
                            "title": graph.title,
                            "url": catalogue.url(info.source, graph),
                        }
                    )
                    if len(made) == GRAPHS_SLICE:
                        yield made
                        made = []
                yield made

        return await listing(request, "graphs", items())

    async def _sources(self, request: web.Request) -> list[SourceInfo]:
        """Return the sources that host=, collector= and instance= leave; instance= may be empty."""
        host = request.query.get("host")
        return await self.services.store.sources(
            host=hosts.identity(self.services, host) if host else None,
            collector=request.query.get("collector") or None,
            instance=request.query.get("instance"),
        )

    def _member(self, series: Series, kind: str | None) -> dict[str, Any]:
        source, name = series
        unit = self.services.unit(source, name)
        return {
            "host": source.host,
            "collector": source.collector,
            "instance": source.instance,
            "name": name,
            "kind": kind,
            "unit": unit,
        }


async def _fetched(found: Answer) -> AsyncIterator[list[Any]]:
    for one in found.series:
        source, name = one.series
        yield [
            {
                "host": source.host,
                "collector": source.collector,
                "instance": source.instance,
                "name": name,
                "unit": one.unit,
                "values": one.values,
            }
        ]
