"""The targets of /graph_global and /graph_vhost: which there are, under which names and protocols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from monitor.collector import Collector
from monitor.graph.colour import Colour
from monitor.graph.data import Data
from monitor.graph.model import Graph
from monitor.graph.shapes import evaluate
from monitor.registry import Registry
from monitor.web.problem import bad, unknown

ALL = "all"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Offer(Generic[T]):
    """What one collector draws for a target: a graph, or one per protocol. `protocol` is that of the name, if any."""

    cls: type[Collector]
    target: str
    drawn: T
    protocol: str = ""


def global_offers(registry: Registry, name: str) -> list[Offer[Graph]]:
    """Return what is drawn for a target of /graph_global; the problem of an unknown one names those there are."""
    return _offers("target", name, [(cls, cls.targets) for cls in registry.collectors.values()])


def instance_offers(registry: Registry, name: str) -> list[Offer[Mapping[str, Graph]]]:
    """Return what is drawn for a target of /graph_vhost; the problem of an unknown one names those there are."""
    return _offers("target", name, [(cls, cls.instance_targets) for cls in registry.collectors.values()])


def _offers(parameter: str, name: str, declared: Sequence[tuple[type[Collector], Mapping[str, T]]]) -> list[Offer[T]]:
    found = [Offer(cls, name, targets[name]) for cls, targets in declared if name in targets]
    for cls, targets in () if found else declared:
        real, _, protocol = cls.target_aliases.get(name, "").partition("/")
        if real in targets:
            found.append(Offer(cls, real, targets[real], protocol))
    if not found:
        raise unknown(parameter, "graph target", name, {one for _, targets in declared for one in targets})
    # a collector of whole services knows better than one of the machine below them
    return sorted(found, key=lambda offer: not offer.cls.instance_targets)


def of_protocol(offer: Offer[Mapping[str, Graph]], given: str) -> tuple[str, Graph]:
    """Return the protocol that is meant, and its graph.

    `all`, which is also what is meant when none is given, is that of the target's name where there is one.
    """
    wanted = given or offer.protocol or ALL
    if wanted == ALL and ALL not in offer.drawn and offer.protocol:
        wanted = offer.protocol
    allowed = protocols(offer.cls, offer.target)
    if wanted not in allowed:
        text = f"expected one of {', '.join(allowed)} for {offer.target}, got {wanted[:40]!r}"
        raise bad("protocol", text, allowed)
    found = wanted if wanted in offer.drawn else next(iter(offer.drawn))
    return found, offer.drawn[found]


def protocols(cls: type[Collector], target: str) -> list[str]:
    """Return the protocols that a target takes; one that has a single graph takes `all` and what its name says."""
    drawn = cls.instance_targets[target]
    if len(drawn) > 1:
        return list(drawn)
    known = {protocol for each in cls.instance_targets.values() for protocol in each}
    own = [word for word in target.split("_") if word in known]
    return list(dict.fromkeys((ALL, *filter(None, drawn), *own)))


def lines(graph: Graph) -> list[dict[str, str]]:
    """Return the lines of a graph, as the API lists them."""
    drawn = evaluate(graph, Data({}, start=0, end=1, step=1), None)
    return [{"legend": one.item.legend, "unit": graph.unit, "colour": hexadecimal(one.colour)} for one in drawn]


def hexadecimal(colour: Colour) -> str:
    """Return a colour as `#rrggbb`, as it is before it is laid over what is below."""
    return f"#{colour._replace(alpha=255)}"


def listed(cls: type[Collector]) -> list[dict[str, Any]]:
    """Return all targets of a collector, as the API lists them."""
    found = [_listed("/graph_global", name, graph, []) for name, graph in cls.targets.items()]
    for name, drawn in cls.instance_targets.items():
        first = drawn.get(ALL) or next(iter(drawn.values()))
        found.append(_listed("/graph_vhost", name, first, protocols(cls, name)))
    return found


def _listed(path: str, name: str, graph: Graph, protocols: Iterable[str]) -> dict[str, Any]:
    return {
        "target": name, "path": path, "title": graph.title, "protocols": list(protocols), "lines": lines(graph),
    }  # fmt: skip
