"""The web with real parts around it: journal, pipeline, outlet, query; the store keeps its rows in memory."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from memory_store import MemoryStore

from monitor.batch import Batch, Kind, Source
from monitor.collector import Collector
from monitor.config import Config, load
from monitor.journal import Journal
from monitor.lag import Lag
from monitor.liveness import Liveness
from monitor.outlet import Outlet
from monitor.pause import Pause
from monitor.pipeline import Pipeline
from monitor.query import Query
from monitor.rates import Rates
from monitor.receivers.graphite_intake import GraphiteIntake
from monitor.receivers.kurado_intake import KuradoIntake
from monitor.receivers.rels_intake import RelsIntake
from monitor.redis_meta import RedisMeta
from monitor.runner import Job, Runner
from monitor.web import Services, make_app

OWN = "own"
CONFIG = """
[roles]
[[web]]
collectors = NginxCollector
[hosts]
[[10.0.0.1]]
hostname = www1
service = shop
label = front
role = web
comment = first, <rack>
[[10.0.0.2]]
hostname = www2
service = shop
role = web
"""


class Placed:
    placed = True


class Parts:
    """What `monitor.app` is to the web."""

    def __init__(self, config: Config, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self.config = config
        self.clock = clock
        self.journal = Journal(directory / "journal")
        self.rates = Rates()
        self.pipeline = Pipeline(self.rates, self.journal, clock=clock, max_names=config.push.names)
        self.store = MemoryStore()
        self.redis_meta: RedisMeta | None = None
        self.pause = Pause(directory, clock=clock)
        self.liveness = Liveness(self.store, expected=self._expected, clock=clock)
        self.kurado = KuradoIntake(
            self.pipeline.accept, self.liveness.report, lambda: self.config.kurado, lambda: self.config.inventory
        )
        self.rels = RelsIntake(self.pipeline.accept_records, lambda: self.config.rels, clock=clock)
        self.graphite = GraphiteIntake(self.pipeline.accept, lambda: self.config.graphite, clock=clock)
        self.outlet = Outlet(self.store, self.journal, opened=True, pause=self.pause)
        self.store.flush_interval = 0  # type: ignore[assignment]
        self.outlets = [self.outlet]
        self.query = Query(self.store, unit=self._unit, clock=clock)
        self.runner = Runner(self.pipeline.accept, clock=clock)
        self.scheduler = Placed()
        self.lag = Lag()
        self.services = Services(self, clock=clock)
        for spec in config.inventory.jobs:
            job = Job(spec.target, spec.cls(spec.target, _NoHttp(), section=spec.section, **spec.options))
            self.runner.jobs[job.key] = job

    def _expected(self, host: str) -> Sequence[str] | None:
        spec = self.config.inventory.hosts.get(host)
        return spec.pushed if spec else None

    def _unit(self, source: Source, name: str) -> str:
        return self.services.unit(source, name)

    def job(self, host: str, collector: str) -> Job:
        return next(job for key, job in self.runner.jobs.items() if key.host == host and key.collector == collector)

    async def stored(self) -> None:
        """Return when the store has all that was accepted."""
        async with asyncio.timeout(10):
            while (self.outlet.cursor or (0, 0)) < self.journal.end:
                await asyncio.sleep(0.005)

    def fill(
        self, source: Source, values: dict[str, Callable[[int], float]], minutes: int = 120, now: float | None = None
    ) -> None:
        """Store a row a minute up to now."""
        end = int(now if now is not None else self.clock()) // 60 * 60
        for i in range(minutes):
            at = end - (minutes - 1 - i) * 60
            self.store.add(source, at, at - 60, {name: value(i) for name, value in values.items()})


class _NoHttp:
    """Jobs of these tests are never run."""

    async def get(self, url: str, *, headers: Any = None) -> Any:
        raise AssertionError(url)

    async def text(self, url: str, *, headers: Any = None) -> str:
        raise AssertionError(url)


def configured(directory: Path, text: str = CONFIG, **options: Any) -> Config:
    file = directory / "monitor.conf"
    file.write_text(f"[server]\ndata_dir = {directory}\ntimezone = UTC\n" + text if "[server]" not in text else text)
    return load([file], {}, find_hostname=lambda method, name: name or OWN, **options)


@contextlib.asynccontextmanager
async def serving(
    directory: Path, text: str = CONFIG, clock: Callable[[], float] = time.time
) -> AsyncIterator[tuple[TestClient[web.Request, web.Application], Parts]]:
    """Serve the web on a free port; yield a client of it and the parts behind it."""
    parts = Parts(configured(directory, text), directory, clock)
    await parts.journal.open()
    parts.lag.start()
    await parts.outlet.start()
    server = TestServer(make_app(parts.services))
    await server.start_server(max_line_size=256 << 10)
    client = TestClient(server)
    await client.start_server()
    try:
        yield client, parts
    finally:
        await client.close()
        await parts.outlet.drain(1)
        await parts.journal.close()
        parts.lag.stop()


def batch(host: str, collector: str = "app", at: float | None = None, **values: float) -> Batch:
    return Batch(Source(host, collector), at or time.time(), dict(values), dict.fromkeys(values, Kind.GAUGE))


__all__ = ["CONFIG", "OWN", "Collector", "Parts", "batch", "configured", "serving"]
