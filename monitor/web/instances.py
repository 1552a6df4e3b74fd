"""Virtual hosts and their channels: the instances of a collector that declares targets for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.collector import Collector
from monitor.handler import SourceInfo
from monitor.rates import heartbeat
from monitor.web import hosts
from monitor.web.problem import ProblemError, bad, unknown
from monitor.web.services import Services

EVERY = "*"


@dataclass(slots=True)
class Instance:
    """A virtual host, or a channel of one, on one host or several."""

    vhost: str
    channel: str
    infos: list[SourceInfo] = field(default_factory=list)
    newest: float = 0.0
    """When its server last reported anything."""

    @property
    def name(self) -> str:
        return self.vhost + self.channel

    @property
    def last_seen(self) -> float:
        return max(info.last_seen for info in self.infos)

    @property
    def gone(self) -> bool:
        """Whether its server reports, but not this any more."""
        return self.newest - self.last_seen > heartbeat(max(info.interval for info in self.infos))

    @property
    def meta(self) -> dict[str, str]:
        return dict(max(self.infos, key=lambda info: info.last_seen).meta)


class Server(NamedTuple):
    """A host with all that one collector has of it."""

    host: str
    hostname: str
    cls: type[Collector]
    infos: list[SourceInfo]

    def own(self) -> list[SourceInfo]:
        """Return what the server says of itself."""
        return [info for info in self.infos if not is_instance(info)]


def is_instance(info: SourceInfo) -> bool:
    """Tell whether a source is a virtual host or a channel: its meta says so."""
    return of_instance(info.meta)


def of_instance(meta: Mapping[str, str]) -> bool:
    return "vhost" in meta


def instances(servers: Iterable[Server]) -> dict[tuple[str, str], Instance]:
    """Return the virtual hosts and channels by their names, those of several servers together."""
    found: dict[tuple[str, str], Instance] = {}
    for server in servers:
        newest = max((info.last_seen for info in server.infos), default=0.0)
        for info in filter(is_instance, server.infos):
            key = (info.meta["vhost"], info.meta.get("channel", ""))
            one = found.setdefault(key, Instance(*key))
            one.infos.append(info)
            one.newest = max(one.newest, newest)
    return dict(sorted(found.items()))


def find(servers: Sequence[Server], name: str) -> Instance:
    """Return the virtual host of this name; else the channel of the longest one that the name begins with."""
    known = instances(servers)
    if (name, "") in known:
        return known[name, ""]
    channels = [one for one in known.values() if one.channel and one.name == name]
    if not channels:
        raise unknown("vhost", "virtual host or channel", name, {one.name for one in known.values()})
    return max(channels, key=lambda one: len(one.vhost))


async def every(services: Services, classes: Sequence[type[Collector]]) -> list[Server]:
    """Return all servers that anything is known of, with the first of the collectors that has any."""
    for cls in classes:
        found: dict[str, list[SourceInfo]] = {}
        for info in await services.store.sources(collector=cls.path):
            found.setdefault(info.source.host, []).append(info)
        if found:
            return [Server(host, hostname(services, host), cls, infos) for host, infos in found.items()]
    return []


async def chosen(services: Services, text: str, classes: Sequence[type[Collector]], *, own: bool) -> list[Server]:
    """Return the servers that `host=` means: `*` is all of them, and the only one there is need not be named.

    `classes` are the collectors that draw the target. With `own` the own host is meant where there is no server.
    """
    if text == EVERY:
        return await every(services, classes)
    if not text:
        text = await only(services, [cls for cls in classes if cls.instance_targets], own=own)
    view = await hosts.view(services, text, "host")
    there = {part.collector for part in view.parts} | {info.source.collector for info in view.sources}
    cls = next((one for one in classes if one.path in there), classes[0])
    words = {part.section for part in view.parts if part.collector == cls.path} | {""}
    infos = [info for info in view.sources if info.source.collector == cls.path]
    infos = [info for info in infos if is_instance(info) or info.source.instance in words]
    return [Server(view.spec.host, view.spec.hostname, cls, infos)]


async def only(services: Services, classes: Sequence[type[Collector]], *, own: bool) -> str:
    """Return the one host that has virtual hosts."""
    known = dict.fromkeys(spec.target.host for spec in services.inventory.jobs if spec.cls in classes)
    if not known:
        found = [info for cls in classes for info in await services.store.sources(collector=cls.path)]
        known = dict.fromkeys(info.source.host for info in found)
    if len(known) == 1:
        return next(iter(known))
    if known:
        raise several(services, known)
    if not own:
        raise ProblemError(404, "host: no server with virtual hosts is known here", parameter="host")
    return services.inventory.own.host


def several(services: Services, known: Iterable[str]) -> ProblemError:
    names = sorted(known)
    shown = ", ".join(_called(services, host) for host in names[:50])
    more = f" and {len(names) - 50} more" if len(names) > 50 else ""
    return bad("host", f"expected one of {shown}{more}, or {EVERY} for all of them together", [EVERY, *names])


def _called(services: Services, host: str) -> str:
    name = hostname(services, host)
    return host if name == host else f"{host} ({name})"


def hostname(services: Services, host: str) -> str:
    spec = services.inventory.hosts.get(host)
    return spec.hostname if spec else host
