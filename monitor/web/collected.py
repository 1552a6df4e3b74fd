"""/metrics/collected: the newest values of all hosts, for Prometheus to scrape.

Counts are told as they stand, as they were last reported; what is silent for a heartbeat is left out. The numbers are
those that the rates remember, so they cost no memory and no question to the database. Opt-in: [server]
metrics_collected.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from aiohttp import web

from monitor.batch import Floats, Kind, Layout, Source
from monitor.exported import Clock, Info, Up
from monitor.rates import heartbeat
from monitor.runner import Job
from monitor.web import hosts
from monitor.web.answers import STARTED
from monitor.web.families import Chunk, Families, Family, Place, Rules, label, of_row
from monitor.web.problem import ProblemError
from monitor.web.services import Services
from monitor.wire.numbers import MISSING, texts

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
AT_ONCE = 2
"""Answers that are made at the same time."""
PART = 5_000
"""Values that are read of the rates in one go."""
MOST_ROWS, MOST_VALUES = 500, 100_000
"""What is turned at once, at most."""
LINES = 500
SEND = 128 << 10
SLICE = 0.001
"""Seconds of work before the loop gets its turn."""
PATIENCE = 120.0
"""Seconds for which an answer may take: a client that does not read it ends before."""


Jobs = Mapping[tuple[str, str], Mapping[str, Job]]
"""By host and collector, then by section."""


class Rows(NamedTuple):
    """Last reports of one layout."""

    layout: Layout
    sources: list[Source]
    times: list[float]
    values: Floats


class Turn:
    """Gives the loop its turn when enough was done since the last one."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    async def pause(self) -> None:
        if time.perf_counter() - self._began > SLICE:
            await asyncio.sleep(0)
            self._began = time.perf_counter()


class Collected:
    def __init__(self, services: Services) -> None:
        self.services = services
        self._making = 0
        self._rules: Rules | None = None

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        if not self.services.config.server.metrics_collected:
            raise ProblemError(404, "this is off; [server] metrics_collected = True turns it on")
        if self._making >= AT_ONCE:
            raise ProblemError(503, f"{AT_ONCE} of these are being answered already", headers={"Retry-After": "5"})
        self._making += 1
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._answer(request)
        finally:
            self._making -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        open_metrics = "application/openmetrics-text" in request.headers.get("Accept", "")
        host = request.query.get("host") or ""
        families = await self._families(
            hosts.identity(self.services, host) if host else "", request.query.get("collector") or ""
        )
        kind = OPEN_METRICS if open_metrics else TEXT
        response = web.StreamResponse(headers={"Content-Type": kind, "Cache-Control": "no-store"})
        request[STARTED] = response
        await response.prepare(request)
        made: list[str] = []
        size = 0
        turn = Turn()
        for family in families.filled():
            made.append(family.head(open_metrics=open_metrics))
            for lines in _lines(family):
                made.append(lines)
                size += len(lines)
                if size > SEND:
                    await response.write("".join(made).encode())
                    made, size = [], 0
                await turn.pause()
        if open_metrics:
            made.append("# EOF\n")
        await response.write_eof("".join(made).encode())
        return response

    async def _families(self, host: str, collector: str) -> Families:
        registry = self.services.config.registry
        if self._rules is None or self._rules.registry is not registry:
            self._rules = await asyncio.to_thread(Rules, registry)
        found = Families(self._rules)
        jobs: dict[tuple[str, str], dict[str, Job]] = {}
        turn = Turn()
        for job in list(self.services.parts.runner.jobs.values()):
            key = job.key
            if host in ("", key.host) and collector in ("", key.collector):
                jobs.setdefault((key.host, key.collector), {})[key.section] = job
                self._of_job(found, job)
            await turn.pause()
        if not collector:
            self._of_hosts(found, host)
        several: dict[Source, list[Rows]] = {}
        seen: set[Source] = set()
        parts = await _joined([rows async for rows in self._reports(host, collector)])
        for rows in parts:
            for row, source in enumerate(rows.sources):
                if source in seen:
                    several[source] = []
                seen.add(source)
                if row % LINES == 0:
                    await turn.pause()
        for rows in parts:
            await self._add(found, rows, jobs, several, turn)
        for source, reports in several.items():
            await self._add(found, self._merged(source, reports), jobs, {}, turn)
        return found

    async def _reports(self, host: str, collector: str) -> AsyncIterator[Rows]:
        """Yield the last reports that are not older than a heartbeat."""
        now = self.services.clock()
        for block, _, _ in self.services.parts.pipeline.rates.snapshot(PART):
            age = now - block.times
            fresh = age <= np.array([heartbeat(interval) for interval in block.intervals.tolist()])
            at = [
                row
                for row in np.flatnonzero(fresh).tolist()
                if host in ("", block.sources[row].host) and collector in ("", block.sources[row].collector)
            ]
            if at:
                values = block.reported()
                sources = [block.sources[row] for row in at]
                yield Rows(block.layout, sources, block.times[at].tolist(), values[at])
            await asyncio.sleep(0)

    async def _add(
        self, found: Families, rows: Rows, jobs: Jobs, several: Mapping[Source, list[Rows]], turn: Turn
    ) -> None:
        """Add reports to the families: of each kind of source all rows at once."""
        groups: dict[tuple[str, bool], list[int]] = {}
        for row, source in enumerate(rows.sources):
            if source in several:
                several[source].append(Rows(rows.layout, [source], [rows.times[row]], rows.values[row : row + 1]))
                continue
            instance = _instance(source, jobs)
            if not instance or "/" not in instance or found.rules.told(source.collector).parts:
                groups.setdefault((source.collector, bool(instance)), []).append(row)
        for (collector, of_instance), at in groups.items():
            heads: dict[str, list[str]] = {}
            values = rows.values[at]
            for column, (name, kind) in enumerate(zip(rows.layout.names, rows.layout.kinds, strict=True)):
                place = found.place(collector, name, kind, instance=of_instance)
                if place.each not in heads:
                    heads[place.each] = [_head(rows.sources[row], jobs, place.each) for row in at]
                cells = values[:, column] / place.per
                if place.rule is None:
                    place.family.chunks.append(Chunk(heads[place.each], place.labels, cells))
                else:
                    self._add_told(rows, at, heads[place.each], place, cells, jobs)
                await turn.pause()

    def _add_told(
        self, rows: Rows, at: Sequence[int], heads: Sequence[str], place: Place, cells: Floats, jobs: Jobs
    ) -> None:
        """Add a series whose labels the rows themselves tell."""
        for number, row in enumerate(at):
            told = dict(zip(rows.layout.names, rows.values[row].tolist(), strict=True))
            labels = of_row(place, _meta(rows.sources[row], jobs), told)
            place.family.chunks.append(Chunk([heads[number]], labels, cells[number : number + 1]))

    def _merged(self, source: Source, reports: Sequence[Rows]) -> Rows:
        """Return one report of those of several layouts: of each series the newest."""
        newest: dict[str, tuple[Kind, float]] = {}
        for rows in sorted(reports, key=lambda rows: rows.times[0]):
            cells = zip(rows.layout.kinds, rows.values[0].tolist(), strict=True)
            newest |= dict(zip(rows.layout.names, cells, strict=True))
        layout = Layout(tuple(newest), tuple(kind for kind, _ in newest.values()))
        return Rows(layout, [source], [0.0], np.array([[value for _, value in newest.values()]]))

    def _of_job(self, found: Families, job: Job) -> None:
        """Add what is told of a collection itself, as its collector declares it."""
        meta = job.meta.get(job.key.section, {})
        head = _head(Source(job.key.host, job.key.collector, job.key.section), {})
        for one in found.rules.told(job.key.collector).metrics:
            value, labels = 1.0, ""
            if isinstance(one, Info):
                if next(iter(one.labels.values())) not in meta:
                    continue
                labels = "".join(f",{label(name, meta.get(text, ''))}" for name, text in one.labels.items())
            elif isinstance(one, Up):
                name, _, word = one.needs.partition("=")
                if job.up is None or (word and word not in getattr(job.collector, name)):
                    continue
                value = float(job.up and not any(text in meta for text in one.broken))
            elif isinstance(one, Clock):
                value = self.services.clock()
            else:
                continue
            found.family(one.name, "gauge", one.help).chunks.append(Chunk([head], labels, np.array([value])))

    def _of_hosts(self, found: Families, host: str) -> None:
        family = found.family("monitor_host_info", "gauge", "Hosts by the label that their series have.")
        heads = []
        for spec in self.services.inventory.hosts.values():
            if host in ("", spec.host):
                words = {"host": spec.host, "hostname": spec.hostname, "service": spec.service, "label": spec.label,
                         "role": spec.role}  # fmt: skip
                heads.append(",".join(label(name, value) for name, value in words.items()))
        family.chunks.append(Chunk(heads, "", np.ones(len(heads))))


async def _joined(parts: Sequence[Rows]) -> list[Rows]:
    """Return fewer and larger parts: of each series there is an object for every part."""
    found: list[Rows] = []
    layouts: dict[Layout, list[Rows]] = {}
    for part in parts:
        layouts.setdefault(part.layout, []).append(part)
    for layout, some in layouts.items():
        while some:
            taken = [some.pop()]
            rows = len(taken[0].sources)
            while some and rows < MOST_ROWS and rows * len(layout.names) < MOST_VALUES:
                taken.append(some.pop())
                rows += len(taken[-1].sources)
            sources = [source for part in taken for source in part.sources]
            times = [time for part in taken for time in part.times]
            found.append(Rows(layout, sources, times, np.concatenate([part.values for part in taken])))
            await asyncio.sleep(0)
    return found


def _instance(source: Source, jobs: Jobs) -> str:
    """Return the instance; '' for the service itself, which may have its section's word as its instance."""
    sections = jobs.get((source.host, source.collector), {})
    if source.instance in sections:
        return ""
    section, slash, rest = source.instance.partition("/")
    return rest if slash and section in sections else source.instance


def _head(source: Source, jobs: Jobs, each: str = "") -> str:
    """Return the labels that every series of a source has."""
    host = label("host", source.host)
    if each:
        section = source.instance.removesuffix(_instance(source, jobs)).rstrip("/")
        own = label(each, _instance(source, jobs))
        return f"{host},{label('source_instance', section)},{own}" if section else f"{host},{own}"
    return f"{host},{label('source_instance', source.instance)}" if source.instance else host


def _meta(source: Source, jobs: Jobs) -> Mapping[str, str]:
    for job in jobs.get((source.host, source.collector), {}).values():
        if source.instance in job.meta:
            return job.meta[source.instance]
    return {}


def _lines(family: Family) -> Iterator[str]:
    """Yield the samples of a family in pieces."""
    name = family.name
    for chunk in family.chunks:
        for start in range(0, len(chunk.rows), LINES):
            values = texts(chunk.values[start : start + LINES])
            rows = chunk.rows[start : start + LINES]
            yield "".join(
                f"{name}{{{row}{chunk.labels}}} {value}\n"
                for row, value in zip(rows, values, strict=True)
                if value != MISSING
            )
