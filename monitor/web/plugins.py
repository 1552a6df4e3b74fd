"""A host's collectors and plugins as its page shows them, each with its sources and graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from monitor.graph.model import Graph
from monitor.handler import SourceInfo
from monitor.liveness import SILENT, Warning
from monitor.web import catalogue
from monitor.web.hosts import HostView, Part, pushed
from monitor.web.instances import of_instance
from monitor.web.ranges import Range
from monitor.web.services import Services
from monitor.web.shown import LARGE, Pictured, Rows, Shown

NARROW = (340, 203)
"""The size of a picture on a phone."""
Height = Callable[[Graph, int, int], int]


@dataclass(slots=True)
class Group:
    """A collector on a host's page, with the graphs of each of its instances."""

    part: Part
    sources: list[SourceInfo] = field(default_factory=list)
    graphs: list[tuple[str, list[Pictured]]] = field(default_factory=list)
    vhosts: Rows | None = None
    said: Mapping[str, str] = field(default_factory=dict)
    warnings: list[Warning] = field(default_factory=list)
    expected: bool = False
    """Whether the host is configured to have it."""

    def seen(self, since: float) -> bool:
        """Tell whether there is anything of it to show that was seen since a time."""
        return self.expected or bool(self.warnings) or any(info.last_seen >= since for info in self.sources)

    @property
    def meta(self) -> list[tuple[str, str]]:
        """The newest text facts: the last collection's, else those that the store has."""
        job = self.part.job
        facts: Mapping[str, str] = {}
        told = [*(info.meta for info in self.sources), *(job.meta.values() if job else ()), self.said]
        for one in told:
            if not self.vhosts or not of_instance(one):
                facts = {**facts, **one}
        return sorted(facts.items())[:50]


def grouped(view: HostView, now: float) -> list[Group]:
    """Return the collectors and plugins of a host, each with its sources.

    First come the plugins that its agent is to push, whether they came or not, then the collectors, then what else is
    pushed; sources that nothing serves any more come last.
    """
    groups = [Group(part, expected=part.job is not None) for part in view.parts]
    agents: dict[str, list[SourceInfo]] = {name: [] for name in view.spec.pushed}
    rest: list[Group] = []
    for info in view.sources:
        words = (info.source.instance, info.source.instance.partition("/")[0])
        mine = [group for group in groups if group.part.collector == info.source.collector]
        exact = [group for word in words for group in mine if group.part.section == word]
        found = next(iter(exact or [group for group in mine if not group.part.section]), None)
        if (found is None or found.part.job is None) and (name := catalogue.identifier(info.source)) in agents:
            agents[name].append(info)
            continue
        if found is None:
            found = Group(Part(info.source.collector, "", None, "", info.interval, info.last_seen))
            groups.append(found)
        found.sources.append(info)
    for name, infos in agents.items():
        collector, _, section = name.partition(":")
        part = Part(collector, section, None, "", 60.0, 0.0)
        rest.append(Group(pushed(collector, section, infos, now, SILENT) if infos else part, infos, expected=True))
    return [*rest, *(group for group in groups if group.part.job is not None or group.sources)]


def narrowed(groups: Sequence[Group], only: str) -> list[Group]:
    """Return the collector or plugin of this name, or a collector with the one source of this name."""
    found = [group for group in groups if group.part.name == only]
    if found:
        return found
    for group in groups:
        group.sources = [info for info in group.sources if catalogue.identifier(info.source) == only]
    return [group for group in groups if group.sources]


def fresh(services: Services, info: SourceInfo, since: float) -> frozenset[str]:
    """Return the series of a source that were reported since a time."""
    seen = services.store.seen(info.source)
    return frozenset(name for name in info.kinds if seen.get(name, info.last_seen) >= since)


def pictured(info: SourceInfo, graph: Graph, shown: Range, height: Height) -> Pictured:
    """Return a graph of a source with its pictures."""
    return Pictured(
        graph.name, graph.title, [(term, _shown(info, graph, shown, term, height)) for term in shown.look.terms]
    )


def _shown(info: SourceInfo, graph: Graph, shown: Range, term: str, height: Height) -> Shown:
    def call(width: int, height: int) -> str:
        more: dict[str, str | int] = {"term": term, **shown.ends, "full": 1, "width": width, "height": height}
        return catalogue.url(info.source, graph, **more)

    width, high = shown.look.width, shown.look.height
    url, narrow = call(width, high), call(*NARROW)
    return Shown(
        graph.title, url, f"{url}&zoom=2", call(*LARGE), width, height(graph, width, high), url,
        (narrow, f"{narrow}&zoom=2", NARROW[0], height(graph, *NARROW)),
    )  # fmt: skip
