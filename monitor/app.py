"""Opens everything in the order of the data's way, waits for a signal, and closes it in reverse."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from typing import Any

import uvloop

from monitor.config import Config, ConfigError
from monitor.garbage import let_go, uncollected
from monitor.gather import Gather
from monitor.handler import Handler, Naming, Part, Store, StoreDownError, StoreError, options_of
from monitor.http import HttpClient
from monitor.inventory import JobSpec
from monitor.journal import Journal
from monitor.lag import Lag
from monitor.live import fixed_settings
from monitor.liveness import Liveness
from monitor.naming import Paths
from monitor.outlet import Outlet
from monitor.pause import Pause
from monitor.pipeline import Pipeline
from monitor.ports import BAD_CONFIG, FAILURE, OK, UNAVAILABLE, StartError, take
from monitor.prime import Prime
from monitor.query import Query
from monitor.rates import Rates
from monitor.receivers.graphite_intake import GraphiteIntake
from monitor.receivers.kurado_intake import KuradoIntake
from monitor.receivers.opening import Receivers
from monitor.receivers.rels_intake import RelsIntake
from monitor.redis_meta import RedisMeta
from monitor.runner import Job, Runner
from monitor.scheduler import Scheduler
from monitor.snmp import SnmpClient
from monitor.task import begin
from monitor.web import Front, Services, first_admin, make_app

log = logging.getLogger("monitor.app")

SWITCH_INTERVAL = 0.0005
"""With Python's 5 ms a busy loop starves the journal's thread (measured: a commit took more than 12 s)."""
GRACE = 2.0
"""Seconds that running requests, running collections and then all outlets have at the end."""
END = 9.5
"""Seconds after which the process ends whatever still hangs: what was accepted is in the journal."""

LONGEST_LINE = 256 << 10
"""Bytes of a request's first line: a query may name 1,000 series in it."""
SLICE = 100
"""Jobs that are made before others get their turn: about 2 ms."""


def run(config: Config, reload: Callable[[], Config]) -> int:
    """Run until SIGTERM; return the exit code. `reload` reads the configuration again or raises ConfigError."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    # Kept connections to thousands of hosts are as many descriptors; the usual soft limit is 1,024.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return uvloop.run(_contained(Appliance(config, reload).run()))


def migrate(config: Config) -> int:
    """Bring the database's schema up to date; return the exit code."""
    return uvloop.run(_contained(_migrate(config)))


async def _contained(work: Awaitable[None]) -> int:
    try:
        await work
    except StartError as error:
        log.error("failed", extra={"fields": {"reason": str(error)}})
        return error.code
    return OK


async def _migrate(config: Config) -> None:
    store = _store(config, Paths(config.inventory))
    try:
        done = await store.check_schema()
    except StoreError as error:
        raise _unavailable(error) from None
    finally:
        await store.close()
    log.info("store.migrate", extra={"fields": {"result": done}})


def _unavailable(error: StoreError) -> StartError:
    return StartError(UNAVAILABLE if isinstance(error, StoreDownError) else BAD_CONFIG, str(error))


def _store(config: Config, naming: Naming) -> Store:
    """Make the store: what [server] says of the database, then what the handler's own section says."""
    server = config.server
    options: dict[str, Any] = {
        "database": server.database, "data_dir": config.data_dir, "postgres_bin": server.postgres_bin,
        "postgres_user": server.postgres_user, "start_wait": server.start_wait,
        **config.store.options,
    }  # fmt: skip
    store = config.store.cls(config.store.name, naming, **options)
    assert isinstance(store, Store)
    store.keep(config.retention_classes)
    store.keep_events(config.rels.kept, config.rels.window)
    return store


class Appliance:
    """One run, from the first file opened to the last one closed."""

    def __init__(self, config: Config, reload: Callable[[], Config]) -> None:
        self.config = config
        self._reload = reload
        self._stop = asyncio.Event()
        self._opened = asyncio.Event()
        self._failed = ""
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        _warn(config)

    @property
    def kurado(self) -> KuradoIntake:
        return self.receivers.kurado

    @property
    def graphite(self) -> GraphiteIntake:
        return self.receivers.graphite

    @property
    def rels(self) -> RelsIntake:
        return self.receivers.rels

    async def run(self) -> None:
        """Open, serve until a signal, close. StartError says why it cannot start."""
        async with AsyncExitStack() as stack:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._on_stop)
            loop.add_signal_handler(signal.SIGHUP, self._on_reload)
            await self._open(stack)
            # What is loaded by now stays: the collector need not walk it again and hold the loop for it.
            gc.collect()
            gc.freeze()
            self._opened.set()
            log.info("started", extra={"fields": {"listen": self.config.server.listen, "pid": os.getpid()}})
            await self._stop.wait()
            log.info("stopping")
            loop.call_later(END, self._cut)
        log.info("stopped")
        if self._failed:
            raise StartError(FAILURE, self._failed)

    async def _open(self, stack: AsyncExitStack) -> None:
        config = self.config
        listening = take(config.server.address)
        stack.callback(listening.close)
        self.receivers = Receivers(self, stack)
        self.naming = Paths(config.inventory)
        self.lag = Lag()
        self.lag.start()
        stack.callback(self.lag.stop)
        await self._open_journal(stack)
        self.pause = Pause(config.data_dir)
        self.store = _store(config, self.naming)
        self.store.paused = lambda: self.pause.on
        stack.push_async_callback(self.store.close)
        try:
            await self.store.open()
        except StoreError as error:
            raise _unavailable(error) from None
        self.prime.start()
        stack.push_async_callback(self.prime.close)
        self.redis_meta = RedisMeta(config.kurado.redis_meta) if config.kurado.redis_meta else None
        if self.redis_meta is not None:
            self.redis_meta.start()
            stack.push_async_callback(self.redis_meta.close)
        self.liveness = Liveness(
            self.store, expected=self._pushed, paused=lambda: self.pause.on,
            mirrors=[self.redis_meta.tell] if self.redis_meta else [],
        )  # fmt: skip
        await self.liveness.open()
        stack.push_async_callback(self.liveness.close)
        await self._open_outlets(stack)
        self.http = HttpClient()
        await self.http.open()
        stack.push_async_callback(self.http.close)
        gather = Gather(self.pipeline.accept)
        stack.push_async_callback(gather.close, GRACE)
        self.runner = Runner(gather.accept, keep=self.pipeline.accept_records, concurrency=config.server.concurrency)
        self.runner.recording = self._recording()
        self.scheduler = Scheduler(self.runner, on_death=self._on_death)
        self.scheduler.start(await self._jobs(config))
        stack.push_async_callback(self.scheduler.stop, GRACE)
        await self.receivers.open(stack)
        await self._open_web(stack, listening)

    async def _open_journal(self, stack: AsyncExitStack) -> None:
        server = self.config.server
        directory = self.config.data_dir / "journal"
        try:
            # The embedded server's user has to pass through; what lies in it is each its owner's alone.
            self.config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o711)
            directory.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise StartError(BAD_CONFIG, f"data_dir {self.config.data_dir} cannot be used: {error.strerror}") from None
        self.journal = Journal(
            directory, max_bytes=server.journal_max_bytes, max_age=server.journal_max_age,
            max_wait=server.journal_max_wait,
        )  # fmt: skip
        try:
            await self.journal.open()
        except OSError as error:
            raise StartError(UNAVAILABLE, f"data_dir {self.config.data_dir} is in use or unusable: {error}") from None
        stack.push_async_callback(self.journal.close)
        self.rates = Rates(interval=float(self.config.push.interval))
        self.prime = Prime(self.rates, self.journal, directory / "rates.snapshot")
        self.pipeline = Pipeline(
            self.rates, self.journal, prime=self.prime, max_names=self.config.push.names,
            new_sources=self.config.push.new_sources_per_minute,
        )  # fmt: skip

    async def _open_outlets(self, stack: AsyncExitStack) -> None:
        parts = _parts(self.config)
        await self.journal.keep_cursors([part.name for part in parts])
        self.outlets = [Outlet(self.store, self.journal, opened=True, pause=self.pause)]
        self.outlets += [Outlet(self._handler(part), self.journal, pause=self.pause) for part in parts]
        for outlet in self.outlets:
            await outlet.start()
        stack.push_async_callback(self._drain)

    def _handler(self, part: Part) -> Handler:
        return part.cls(part.name, self.naming, **part.options)

    def _recording(self) -> tuple[str, ...]:
        return tuple({table for outlet in self.outlets for table in outlet.handler.records})

    def _pushed(self, host: str) -> Sequence[str] | None:
        """Return the plugins that a host's agent is to push; None when the host is not configured."""
        spec = self.config.inventory.hosts.get(host)
        return spec.pushed if spec else None

    async def _drain(self) -> None:
        await asyncio.gather(*(outlet.drain(GRACE) for outlet in self.outlets))

    async def _open_web(self, stack: AsyncExitStack, listening: socket.socket) -> None:
        if text := first_admin(self.config):
            # Not a log record: it is for whoever starts the program, once, and must not reach where logs go later.
            print(text, flush=True)  # noqa: T201
        services = Services.of(self)
        self.query = Query(
            self.store, unit=services.unit, max_points=self.config.server.max_points,
            max_series=self.config.server.max_series,
        )  # fmt: skip
        front = Front(make_app(services), grace=GRACE, longest_line=LONGEST_LINE)
        stack.push_async_callback(front.close)
        await front.start(listening)

    async def _jobs(self, config: Config, kept: Collection[tuple[JobSpec, Job]] = ()) -> list[Job]:
        """Return the jobs of a configuration, made in slices; what did not change stays the job that it was."""
        same = {(spec.target.host, spec.cls, spec.section): (spec, job) for spec, job in kept}
        found: list[tuple[JobSpec, Job]] = []
        for spec in config.inventory.jobs:
            before, job = same.get((spec.target.host, spec.cls, spec.section), (None, None))
            if before is None or job is None or (before.target, before.options) != (spec.target, spec.options):
                collector = spec.cls(spec.target, self.http.bound(), section=spec.section, **spec.options)
                job = Job(spec.target, collector)
                collector.http = self.http.bound(timeout=job.timeout, max_size=int(collector.max_size))
                collector.snmp = SnmpClient(timeout=job.timeout)
            found.append((spec, job))
            if len(found) % SLICE == 0:
                await asyncio.sleep(0)
        self._specs = found
        jobs = [job for _, job in found]
        self.runner.jobs = {job.key: job for job in jobs}
        return jobs

    def _on_stop(self) -> None:
        if self._stop.is_set():
            log.warning("aborted")
            os._exit(FAILURE)
        self._stop.set()

    def _on_death(self) -> None:
        self._failed = "the scheduler ended"
        self._stop.set()

    @staticmethod
    def _cut() -> None:
        log.warning("stopped", extra={"fields": {"reason": f"something hung for {END:g} s"}})
        os._exit(OK)

    def _on_reload(self) -> None:
        task = begin(self.reload(), "reload")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reload(self) -> None:
        """Read the configuration again; a bad one changes nothing. Jobs that are the same keep their schedule."""
        await self._opened.wait()
        async with self._reloading:
            try:
                with uncollected():
                    config = await asyncio.to_thread(self._reload)
            except ConfigError as error:
                for problem in error.problems:
                    log.error("reload.refused", extra={"fields": {"problem": str(problem)}})
                return
            before, self.config = self.config, config
            await self._take(before, config)
            parts = [*before.hosts.values(), *before.inventory.hosts.values(), *before.inventory.jobs]
            del before
            await let_go(parts)

    async def _take(self, before: Config, config: Config) -> None:
        self.naming.replace(config.inventory)
        self.store.keep(config.retention_classes)
        self.store.keep_events(config.rels.kept, config.rels.window)
        jobs = await self._jobs(config, self._specs)
        self.scheduler.replace(jobs)
        await self._replace_outlets(_parts(before), _parts(config))
        self.runner.recording = self._recording()
        _warn(config)
        if fixed := list(fixed_settings(before, config)):
            log.warning("reload.needs_restart", extra={"fields": {"keys": ", ".join(fixed)}})
        log.info("reloaded", extra={"fields": {"hosts": len(config.inventory.hosts), "jobs": len(jobs)}})

    async def _replace_outlets(self, before: list[Part], after: list[Part]) -> None:
        """Stop the outlets of handlers that went or changed, start those that came or changed."""
        old = {part.name: (part.cls, dict(part.options)) for part in before}
        new = {part.name: (part.cls, dict(part.options)) for part in after}
        changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        ended = [outlet for outlet in self.outlets if outlet.name in changed]
        await asyncio.gather(*(outlet.drain(GRACE) for outlet in ended))
        started = [
            Outlet(self._handler(part), self.journal, pause=self.pause) for part in after if part.name in changed
        ]
        await self.journal.keep_cursors(list(new))
        self.outlets[:] = [outlet for outlet in self.outlets if outlet not in ended] + started
        for outlet in started:
            await outlet.start()


def _parts(config: Config) -> list[Part]:
    # One that keeps something on the disk has it beside everything else, where its section says nothing else.
    beside = {"data_dir": config.data_dir}
    return [
        part
        for spec in config.handlers
        for part in spec.cls.parts(
            spec.name, {**(beside if "data_dir" in options_of(spec.cls) else {}), **spec.options}
        )
    ]


def _warn(config: Config) -> None:
    for warning in config.warnings:
        log.warning("config.warning", extra={"fields": {"problem": str(warning)}})
    for problem in config.graph_files.problems:
        log.error("graph_file.failed", extra={"fields": {"problem": str(problem)}})
