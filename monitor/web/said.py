"""What agents said of a host's plugins beside numbers, put to the collectors on its page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from monitor.handler import SourceInfo
from monitor.inventory import HostSpec
from monitor.liveness import Liveness, Warning
from monitor.web.catalogue import identifier
from monitor.web.hosts import Part

SYSTEM = "__system__"


class Group(Protocol):
    """A collector on a page."""

    part: Part
    sources: list[SourceInfo]
    said: Mapping[str, str]
    warnings: list[Warning]


def tell(liveness: Liveness, spec: HostSpec, groups: Iterable[Group]) -> list[Warning]:
    """Give every collector its plugins' facts and warnings; return the warnings that belong to none of them."""
    rest = [Warning(plugin, SYSTEM, last or 0.0, _silence(last)) for plugin, last in liveness.silent(spec.host)]
    rest += liveness.warnings(spec.host)
    for group in groups:
        plugins = {group.part.name, *(identifier(info.source) for info in group.sources)}
        group.warnings = [one for one in rest if one.plugin in plugins]
        rest = [one for one in rest if one.plugin not in plugins]
        facts: dict[str, str] = {}
        for plugin in sorted(plugins):
            facts.update(liveness.meta(spec.host, plugin))
        group.said = facts
    return rest


def _silence(last: float | None) -> str:
    return "nothing was pushed in the last 5 minutes" if last else "nothing was ever pushed"
