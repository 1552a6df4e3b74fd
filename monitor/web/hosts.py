"""Hosts and their state.

A host's parts are its collectors (one job each) and what is pushed for it (one per collector word that no job serves).
A collector fails when its last collection did; what is pushed fails when nothing came for a heartbeat, which is
max(2 x interval, 120 s), and is left out after an hour of silence, unless the host has nothing else. What may be silent
(`Collector.may_be_silent`) does not fail: its state is unknown then. The state is

- `unknown`: nothing has been collected or pushed yet;
- `ok`: no part fails;
- `warning`: some parts fail;
- `critical`: all parts fail.

A host whose agent is to push has the state that `Liveness` says, and `warning` when one of its collectors fails; what
its agent pushes fails after 5 minutes of silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from monitor.handler import SourceInfo
from monitor.inventory import HostSpec
from monitor.liveness import SILENT, WARNED
from monitor.rates import heartbeat
from monitor.runner import Job
from monitor.web.problem import ProblemError, unknown
from monitor.web.services import Services

State = Literal["ok", "warning", "critical", "unknown"]
WORDS: Sequence[State] = ("ok", "warning", "critical")
FORGOTTEN = 3600.0
SLICE = 50
"""So many hosts are looked at before others get their turn."""


@dataclass(frozen=True, slots=True)
class Part:
    """A collector of a host, or what is pushed under a collector's word. Times are epoch seconds, 0 is never."""

    collector: str
    section: str
    up: bool | None
    reason: str
    interval: float
    last_seen: float
    job: Job | None = None

    @property
    def name(self) -> str:
        """Its word in URLs: COLLECTOR or COLLECTOR:SECTION."""
        return f"{self.collector}:{self.section}" if self.section else self.collector

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "collector": self.collector,
            "section": self.section,
            "up": self.up,
            "reason": self.reason,
            "interval": self.interval,
            "last_seen": self.last_seen or None,
        }
        if (job := self.job) is not None:
            found |= {
                "since": job.since or None,
                "last_run": job.last_run or None,
                "next_run": job.next_run or None,
                "duration": job.duration,
                "runs": job.runs,
                "failures": job.failures,
                "skipped": job.skipped,
            }
        return found


@dataclass(slots=True)
class HostView:
    """A host as it is shown."""

    spec: HostSpec
    jobs: list[Job] = field(default_factory=list)
    sources: list[SourceInfo] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    state: State = "unknown"
    last_seen: float = 0.0

    @property
    def failing(self) -> list[Part]:
        return [part for part in self.parts if part.up is False]

    def judge(self, now: float, quiet: Collection[str] = ()) -> None:
        """Work out the parts and the state; `quiet` are the words of collectors that may be silent."""
        self.parts = [_collected(job, self.sources) for job in self.jobs]
        served = {(job.collector.path, job.collector.section) for job in self.jobs}
        found: dict[str, list[SourceInfo]] = {}
        for info in self.sources:
            if not _serves(served, info):
                found.setdefault(info.source.collector, []).append(info)
        least = SILENT if self.spec.pushed else 0.0
        silent = [pushed(word, "", infos, now, least, quiet=word in quiet) for word, infos in found.items()]
        fresh = [part for part in silent if now - part.last_seen <= max(FORGOTTEN, heartbeat(part.interval))]
        self.parts += fresh if fresh or self.parts else silent
        self.last_seen = max((part.last_seen for part in (*self.parts, *silent)), default=0.0)
        self.state = state(self.parts)

    def as_json(self) -> dict[str, Any]:
        spec = self.spec
        return {
            "host": spec.host,
            "hostname": spec.hostname,
            "address": spec.address,
            "service": spec.service,
            "label": spec.label,
            "role": spec.role,
            "comment": spec.comment,
            "state": self.state,
            "last_seen": self.last_seen or None,
            "failing": [{"collector": part.name, "reason": part.reason} for part in self.failing],
        }


def state(parts: Iterable[Part]) -> State:
    """Return the state that a host's parts give it."""
    known = [part.up for part in parts if part.up is not None]
    if not known:
        return "unknown"
    if all(known):
        return "ok"
    return "warning" if any(known) else "critical"


def _serves(served: set[tuple[str, str]], info: SourceInfo) -> bool:
    """Tell whether a job publishes a source: the section's word begins the instance."""
    collector, instance = info.source.collector, info.source.instance
    # The word may hold a slash itself (80:/nginx_status).
    return any((collector, word) in served for word in ("", instance.partition("/")[0], instance))


def _collected(job: Job, sources: Sequence[SourceInfo]) -> Part:
    key = job.key
    stored = (info.last_seen for info in sources if _serves({(key.collector, key.section)}, info))
    seen = max([job.last_success, *stored])
    return Part(key.collector, key.section, job.up, job.reason, job.interval, seen, job)


def pushed(
    word: str, section: str, infos: Sequence[SourceInfo], now: float, least: float, *, quiet: bool = False
) -> Part:
    """Return the part of what is pushed: it fails after silence of a heartbeat, of `least` seconds at least.

    With `quiet` it does not fail then.
    """
    newest = max(infos, key=lambda info: info.last_seen)
    silence = now - newest.last_seen
    up = silence <= max(heartbeat(newest.interval), least)
    reason = "" if up else f"nothing was pushed for {_span(silence)}"
    return Part(word, section, None if quiet and not up else up, reason, newest.interval, newest.last_seen)


def _span(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


async def views(services: Services) -> list[HostView]:
    """Return all hosts: the configured ones in their order, then those that only push, by name."""
    found = {spec.host: HostView(spec) for spec in services.inventory.hosts.values()}
    for number, job in enumerate(list(services.parts.runner.jobs.values())):
        if job.target.host in found:
            found[job.target.host].jobs.append(job)
        if number % 2000 == 1999:
            await asyncio.sleep(0)
    for number, info in enumerate(await services.store.sources()):
        host = info.source.host
        if host not in found:
            found[host] = HostView(HostSpec(host, "", host))
        found[host].sources.append(info)
        if number % 2000 == 1999:
            await asyncio.sleep(0)
    now, quiet = services.clock(), services.config.registry.quiet
    for number, view in enumerate(found.values()):
        view.judge(now, quiet)
        _by_agent(services, view)
        if number % SLICE == SLICE - 1:
            await asyncio.sleep(0)
    return list(found.values())


async def view(services: Services, name: str, parameter: str) -> HostView:
    """Return one host by identity, hostname or address; the problem of an unknown one names those that there are."""
    (found,) = await several(services, [name], parameter)
    return found


async def several(services: Services, names: Sequence[str], parameter: str) -> list[HostView]:
    """Return hosts in the order of their names, each of which may be an identity, a hostname or an address."""
    jobs: dict[str, list[Job]] = {identity(services, name): [] for name in names}
    for number, job in enumerate(list(services.parts.runner.jobs.values())):
        if (mine := jobs.get(job.target.host)) is not None:
            mine.append(job)
        if number % 2000 == 1999:
            await asyncio.sleep(0)
    found: list[HostView] = []
    for number, name in enumerate(names):
        spec = services.inventory.find(name)
        sources = await services.store.sources(host=spec.host if spec else name)
        if spec is None and not sources:
            raise await no_host(services, name, parameter)
        one = HostView(spec or HostSpec(name, "", name), jobs[spec.host] if spec else [], sources)
        one.judge(services.clock(), services.config.registry.quiet)
        _by_agent(services, one)
        found.append(one)
        if number % SLICE == SLICE - 1:
            await asyncio.sleep(0)
    return found


def _by_agent(services: Services, view: HostView) -> None:
    if view.spec.pushed:
        view.state = WORDS[of_agent(services, view.spec, view.jobs)]


def of_agent(services: Services, spec: HostSpec, jobs: Iterable[Job]) -> int:
    """Return the status of a host whose agent is to push: 0 ok, 1 warning, 2 critical."""
    status = services.parts.liveness.status(spec.host)
    return max(status, WARNED) if any(job.up is False for job in jobs) else status


def identity(services: Services, name: str) -> str:
    """Return the identity of a host that may be called by its address or hostname; a name unknown stays itself."""
    spec = services.inventory.find(name)
    return spec.host if spec else name


async def no_host(services: Services, name: str, parameter: str) -> ProblemError:
    known = dict.fromkeys(services.inventory.hosts)
    known |= dict.fromkeys(info.source.host for info in await services.store.sources())
    return unknown(parameter, "host", name, known)
