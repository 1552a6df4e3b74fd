"""What the contract of all handlers is tried on: each handler, with the real thing or a strict stand-in behind it.

Real are carbon-cache, influxd, rrdcached, rrdtool, PostgreSQL, ClickHouse's engine and the disk. Elasticsearch,
Logstash, statsd and the receivers of HTTP posts are stand-ins (servers_*.py say of which rules).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
from appliance import free_port
from blocks import DiamondNaming, block
from clickhouse_target import ClickHouse
from debian import need
from servers_carbon import Carbon
from servers_clickhouse import clickhouse
from servers_elastic import Elastic
from servers_http import Posted
from servers_influx import Influx
from servers_logstash import BeatsInput, HttpInput, LinesInput
from servers_postgres import PostgresServer
from servers_rrd import RrdCached, fetch
from servers_statsd import Statsd
from servers_tls import Relay, certificate

from handlers._clickhouse import ddl
from handlers.archive import ArchiveHandler
from handlers.clickhouse import ClickHouseHandler
from handlers.elasticsearch import ElasticsearchHandler
from handlers.graphite import GraphiteHandler
from handlers.graphitepickle import GraphitePickleHandler
from handlers.httppost import HttpPostHandler
from handlers.influxdb import InfluxDBHandler
from handlers.logstash import LogstashHandler
from handlers.multigraphite import MultiGraphiteHandler, MultiGraphitePickleHandler
from handlers.null import NullHandler
from handlers.postgresql import PostgreSQLHandler
from handlers.rrd import RrdHandler
from handlers.statsd import StatsdHandler
from monitor.batch import Block, Source
from monitor.handler import Handler

Rows = list[tuple[int, float]]
"""(time, value) in order; what is there twice is listed twice."""

START = time.time() // 60 * 60 - 3600


def at(number: int) -> int:
    return int(START) + 60 * number


def value(number: int, host: str) -> Block:
    return block((Source(host, "c"), float(at(number)), [float(number)]), names=["x"])


def long_name(length: int) -> Callable[[str], Block]:
    return lambda host: value(50, host + "h" * length)


@dataclass
class Way:
    """A handler, how it is set up, and how to see what arrived; `strange` makes a block of which nothing may."""

    label: str
    cls: type[Handler]
    options: Mapping[str, Any]
    rows: Callable[[str], Awaitable[Sequence[Rows]]]
    """What is there of a host, of each of its targets."""
    strange: Callable[[str], Block] | None = None
    repeats: bool = False
    """Whether what is sent again after a crash is there twice."""
    keeps: bool = True

    def handlers(self, **options: Any) -> list[Handler]:
        options = {"flush_interval": 0.0, "timeout": 10.0, **self.options, **options}
        parts = self.cls.parts(self.cls.__name__, options)
        return [part.cls(part.name, DiamondNaming(), **part.options) for part in parts]


@dataclass
class Server:
    """What a group of handlers delivers to; it outlives an outage."""

    directory: Path
    ways: list[Way] = field(default_factory=list)

    async def up(self) -> None: ...
    async def down(self) -> None: ...

    async def begin(self) -> None:
        """Get ready for a test."""
        await self.up()

    async def end(self) -> None:
        """Leave nothing in the loop of a test."""

    def close(self) -> None: ...

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[list[Way]]:
        await self.begin()
        try:
            yield self.ways
        finally:
            await self.end()


class Carbons(Server):
    """Two of them, of which one goes down."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.one, self.other = Carbon(directory / "one"), Carbon(directory / "other")
        self.tls = Relay(self.one.port, certificate(directory))
        there = {"host": "127.0.0.1"}
        long = long_name(20_000)
        secure = there | {"port": self.tls.port, "tls": True, "tls_ca": directory / "certificate.pem"}
        both = {"host": [f"127.0.0.1:{self.one.port}", f"127.0.0.1:{self.other.port}"]}
        pickles = {"host": [f"127.0.0.1:{self.one.pickle_port}", f"127.0.0.1:{self.other.pickle_port}"]}
        self.ways = [
            Way("lines", GraphiteHandler, there | {"port": self.one.port}, self._first, long),
            Way("datagrams", GraphiteHandler, there | {"port": self.one.port, "proto": "udp"}, self._first, long),
            Way("tls", GraphiteHandler, secure, self._first, long),
            Way("pickles", GraphitePickleHandler, there | {"port": self.one.pickle_port}, self._first, long),
            Way("several", MultiGraphiteHandler, both, self._both, long),
            Way("several, pickles", MultiGraphitePickleHandler, pickles, self._both, long),
        ]

    async def up(self) -> None:
        running = [one for one in (self.one, self.other) if one.process is None or one.process.poll() is not None]
        await asyncio.gather(*(asyncio.to_thread(one.start) for one in running))
        await self.tls.start()

    async def down(self) -> None:
        await self.tls.stop()
        await asyncio.to_thread(self.one.stop)

    async def end(self) -> None:
        await self.tls.stop()

    def close(self) -> None:
        self.one.kill()
        self.other.kill()

    async def _first(self, host: str) -> list[Rows]:
        return [await asyncio.to_thread(self._rows, self.one, host)]

    async def _both(self, host: str) -> list[Rows]:
        return [await asyncio.to_thread(self._rows, one, host) for one in (self.one, self.other)]

    def _rows(self, carbon: Carbon, host: str) -> Rows:
        path = f"servers.{host}.c.x"
        found = carbon.held(path) | carbon.points(path, START, START + 3600)
        return sorted(found.items())


class Influxd(Server):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.server = Influx(directory)
        lines = {"host": "127.0.0.1", "port": self.server.graphite_port}
        self.ways = [
            Way("influx", InfluxDBHandler, {"url": self.server.url}, self._points, self._clash),
            Way("lines", GraphiteHandler, lines, self._lines, long_name(20_000)),
        ]

    async def up(self) -> None:
        if self.server.process is None or self.server.process.poll() is not None:
            await asyncio.to_thread(self.server.start)
            self.server.query("CREATE DATABASE graphite")
            self.server.write(f"clash,collector=clash,host=old x=1i {at(0)}000000000")

    async def down(self) -> None:
        await asyncio.to_thread(self.server.stop)

    def close(self) -> None:
        self.server.stop()

    async def _points(self, host: str) -> list[Rows]:
        return [self._rows(f"SELECT x AS value FROM c WHERE host = '{host}'")]

    async def _lines(self, host: str) -> list[Rows]:
        return [self._rows(f'SELECT value FROM "servers.{host}.c.x"')]

    def _rows(self, select: str) -> Rows:
        return [(row["time"] // 10**9, row["value"]) for row in self.server.query(select)]

    @staticmethod
    def _clash(host: str) -> Block:
        return block((Source(host, "clash"), float(at(50)), [1.5]), names=["x"])


class Rrds(Server):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.daemon = RrdCached(directory)
        self.base = directory / "tool"
        self.program, self.pids = directory / "rrdtool", directory / "pids"
        self.program.write_text(f'#!/bin/sh\necho $$ >> {self.pids}\nexec {need("rrdtool")} "$@"\n')
        tool = {"basedir": self.base, "rrdtool": str(self.program)}
        self.ways = [
            Way("rrdcached", RrdHandler, {"daemon": f"unix:{self.daemon.socket}"}, self._cached, long_name(300)),
            Way("rrdtool", RrdHandler, tool, self._written, long_name(300)),
        ]

    async def up(self) -> None:
        if self.daemon.process is None:
            await asyncio.to_thread(self.daemon.start)
        self.program.chmod(0o755)

    async def down(self) -> None:
        """rrdcached is killed; so is rrdtool, and cannot be started again."""
        await asyncio.to_thread(self.daemon.kill)
        self.program.chmod(0o644)
        os.kill(int(self.pids.read_text().split()[-1]), signal.SIGKILL)

    def close(self) -> None:
        self.daemon.kill()
        shutil.rmtree(self.daemon.short)

    async def _cached(self, host: str) -> list[Rows]:
        await asyncio.to_thread(self.daemon.flush)
        return [await asyncio.to_thread(self._rows, self.daemon.base, host)]

    async def _written(self, host: str) -> list[Rows]:
        return [await asyncio.to_thread(self._rows, self.base, host)]

    def _rows(self, base: Path, host: str) -> Rows:
        path = base / host / "c" / "x.gauge.rrd"
        return sorted(fetch(path, at(0), at(50)).items()) if path.exists() else []


class Disk(Server):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.log, self.gone = directory / "log", directory / "gone"
        self.log.mkdir()
        options = {"log_file": self.log / "archive.log"}
        self.ways = [Way("archive", ArchiveHandler, options, self._rows, long_name(70_000), repeats=True)]

    async def up(self) -> None:
        if self.gone.exists():
            self.log.unlink()
            self.gone.rename(self.log)

    async def down(self) -> None:
        self.log.rename(self.gone)
        self.log.touch()

    async def _rows(self, host: str) -> list[Rows]:
        found = []
        for line in (self.log / "archive.log").read_text().splitlines():
            path, number, time = line.split()
            if path == f"servers.{host}.c.x":
                found.append((int(time), float(number)))
        return [found]


class StandIns(Server):
    """Those that live in the loop of the test."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.statsd = Statsd()
        self.elastic = Elastic()
        self.http, self.beats, self.lines = HttpInput(longest=50_000), BeatsInput(), LinesInput()
        self.beats_relay, self.lines_relay = Relay(self.beats.port), Relay(self.lines.port)
        self.posted = {form: Posted(form) for form in ("PLAIN", "JSON", "BATCHES")}
        too_large = long_name(100_000)
        logstash = {
            "http": (self.http, self.http.url, wide),
            "beats": (self.beats, f"127.0.0.1:{self.beats_relay.port}", None),
            "tcp": (self.lines, f"127.0.0.1:{self.lines_relay.port}", None),
        }
        self.ways = [
            Way(
                "statsd", StatsdHandler, {"host": "127.0.0.1", "port": self.statsd.port}, self._gauges,
                long_name(2000), repeats=True,
            ),
            Way("elasticsearch", ElasticsearchHandler, {"urls": [self.elastic.url]}, self._documents, text),
            *(
                Way(
                    f"post {form}", HttpPostHandler, {"url": one.url, "format": form},
                    self._posts(one), strange if form == "BATCHES" else too_large, repeats=True,
                )
                for form, one in self.posted.items()
            ),
            *(
                Way(
                    f"logstash {protocol}", LogstashHandler, {"hosts": [url], "protocol": protocol},
                    self._events(one), odd, repeats=True,
                )
                for protocol, (one, url, odd) in logstash.items()
            ),
        ]  # fmt: skip

    async def begin(self) -> None:
        await self.beats.__aenter__()
        await self.lines.__aenter__()
        await self.up()

    async def end(self) -> None:
        await self.down()
        await self.beats.__aexit__()
        await self.lines.__aexit__()

    async def up(self) -> None:
        self.statsd.start()
        await self.elastic.start()
        await self.http.__aenter__()
        for one in (*self.posted.values(), self.beats_relay, self.lines_relay):
            await one.start()

    async def down(self) -> None:
        self.statsd.stop()
        assert self.statsd.bad == []
        await self.elastic.stop()
        await self.http.__aexit__()
        for one in (*self.posted.values(), self.beats_relay, self.lines_relay):
            await one.stop()

    async def _gauges(self, host: str) -> list[Rows]:
        # statsd knows no times.
        return [[(at(int(number)), number) for number in self.statsd.gauges.get(f"servers.{host}.c.x", [])]]

    async def _documents(self, host: str) -> list[Rows]:
        return [sorted(document_row(one) for one in self.elastic.all() if one["metricset"]["host"] == host)]

    def _posts(self, posted: Posted) -> Callable[[str], Awaitable[list[Rows]]]:
        async def rows(host: str) -> list[Rows]:
            names = (f"servers.{host}.c.x", f"{host}:c::x")
            return [[(time, number) for name, time, number in posted.values if name in names]]

        return rows

    def _events(self, one: HttpInput | BeatsInput | LinesInput) -> Callable[[str], Awaitable[list[Rows]]]:
        async def rows(host: str) -> list[Rows]:
            return [[document_row(event) for event in one.events if event["metricset"]["host"] == host]]

        return rows


class Store(Server):
    """PostgreSQL; a database for each test, as the store's cursor lies in it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.home = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.home.chmod(0o755)
        self.server = PostgresServer(self.home)
        self.migrated = False

    async def begin(self) -> None:
        await self.up()
        if not self.migrated:
            await self._sql("CREATE DATABASE migrated")
            one = PostgreSQLHandler("S", DiamondNaming(), database=self.server.url("migrated"), data_dir=self.directory)
            await one.check_schema()
            await one.close()
            self.migrated = True
        name = f"t{time.monotonic_ns()}"
        await self._sql(f"CREATE DATABASE {name} TEMPLATE migrated")
        self.url = self.server.url(name)
        options = {"database": self.url, "data_dir": self.directory, "start_wait": 1.0}
        self.ways = [Way("postgresql", PostgreSQLHandler, options, self._rows, old)]

    async def _sql(self, statement: str) -> None:
        connection = await asyncpg.connect(self.server.url())
        await connection.execute(statement)
        await connection.close()

    async def up(self) -> None:
        if self.server.process is None:
            await asyncio.to_thread(self.server.start)

    async def down(self) -> None:
        await asyncio.to_thread(self.server.stop)

    def close(self) -> None:
        if self.server.process is not None:
            self.server.stop()
        shutil.rmtree(self.home)

    async def _rows(self, host: str) -> list[Rows]:
        connection = await asyncpg.connect(self.url)
        try:
            select = "SELECT extract(epoch FROM time)::bigint, value FROM metric WHERE host = $1 ORDER BY time"
            return [[(time, number) for time, number in await connection.fetch(select, host)]]
        finally:
            await connection.close()


class Clickhouses(Server):
    """ClickHouse's engine behind a relay, which goes down in its place."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.stack = contextlib.ExitStack()
        self.engine = ClickHouse(free_port())
        self.stack.enter_context(clickhouse(directory / "server", self.engine.port))
        self.engine.make(ddl.Form(metrics="metrics"), "metrics")
        self.relay = Relay(self.engine.port)
        options = {"urls": [f"http://127.0.0.1:{self.relay.port}"], "metrics": True, "data_dir": directory}
        self.ways = [Way("clickhouse", ClickHouseHandler, options, self._rows)]

    async def up(self) -> None:
        await self.relay.start()

    async def down(self) -> None:
        await self.relay.stop()

    async def end(self) -> None:
        await self.down()

    def close(self) -> None:
        self.stack.close()

    async def _rows(self, host: str) -> list[Rows]:
        select = "SELECT toUnixTimestamp64Milli(time) / 1000, value FROM wcs.metrics FINAL WHERE name = 'x' AND host"
        body = await self.engine.ask(f"{select} = '{host}' ORDER BY time FORMAT TabSeparated")
        pairs = [line.split("\t") for line in body.decode().splitlines()]
        return [[(int(time), float(number)) for time, number in pairs]]


class Nowhere(Server):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.ways = [Way("null", NullHandler, {}, self._nothing, keeps=False)]

    async def _nothing(self, host: str) -> list[Rows]:
        return [[]]


SERVERS: Mapping[str, type[Server]] = {
    "carbon": Carbons, "influxd": Influxd, "rrd": Rrds, "disk": Disk, "stand-ins": StandIns, "postgresql": Store,
    "clickhouse": Clickhouses, "nowhere": Nowhere,
}  # fmt: skip


def wide(host: str) -> Block:
    """A document of more than 50 kB."""
    return block((Source(host, "c"), float(at(50)), range(5000)), names=[f"some_name_{i}" for i in range(5000)])


def text(host: str) -> Block:
    """A document with a text where the others have a number."""
    odd = block((Source(host, "c"), float(at(50)), [1.0]), names=["other"])
    odd.meta[0] = {"x": "text"}
    return odd


def strange(host: str) -> Block:
    return value(50, "strange")


def old(host: str) -> Block:
    """Older than any retention."""
    return block((Source(host, "c"), 1e9, [1.0]), names=["x"])


def document_row(document: Mapping[str, Any]) -> tuple[int, float]:
    time = datetime.fromisoformat(document["@timestamp"]).timestamp()
    return int(time), float(document["c"]["c"]["x"])
