"""Which graphs there are: those that a source's collector declares, and one per series of what only is pushed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlencode

from monitor.batch import Source
from monitor.collector import Collector
from monitor.graph.data import ANY
from monitor.graph.device import bind, devices
from monitor.graph.model import Graph, Line
from monitor.registry import Registry

PUSHED_GRAPHS = 50
"""Of a source that no collector declares graphs for, so many series have one."""


def graphs(registry: Registry, source: Source, names: Iterable[str]) -> Iterator[Graph]:
    """Yield the graphs of a source that has the series of these names: those of devices once per device.

    A graph that none of these series is in (they are not collected here) is left out.
    """
    names = set(names)
    cls = registry.by_path(source.collector)
    if cls is None:
        for name in sorted(name for name in names if ANY not in name)[:PUSHED_GRAPHS]:
            yield of_series(name)
        return
    for graph in cls.graphs:
        if of_devices(graph):
            for device in devices(graph, names):
                yield bind(graph, device)
        elif not names.isdisjoint(graph.names()):
            yield graph


def of_series(name: str) -> Graph:
    """Return the graph of a series that no collector declares."""
    return Graph(name, name, Line(name, name, "1f78b4"), lower=None)


def of_devices(graph: Graph) -> bool:
    return any(ANY in name for name in graph.names())


def find(registry: Registry, source: Source, names: Iterable[str], wanted: str) -> Graph | None:
    """Return the graph of this name."""
    cls = registry.by_path(source.collector)
    if cls is None:
        return of_series(wanted) if ANY not in wanted and wanted in set(names) else None
    for graph in cls.graphs:
        if not of_devices(graph):
            if graph.name == wanted:
                return graph
        elif wanted.startswith(f"{graph.name}.") and (device := wanted[len(graph.name) + 1 :]) in devices(graph, names):
            return bind(graph, device)
    return None


def names(registry: Registry, source: Source, series: Iterable[str]) -> set[str]:
    """Return the names of all graphs that `find` finds."""
    cls = registry.by_path(source.collector)
    plain = {graph.name for graph in cls.graphs if not of_devices(graph)} if cls else set()
    return plain | {graph.name for graph in graphs(registry, source, series)}


def identifier(source: Source) -> str:
    """Return a source's word in URLs: COLLECTOR or COLLECTOR:INSTANCE."""
    return f"{source.collector}:{source.instance}" if source.instance else source.collector


def url(source: Source, graph: Graph, **more: str | int) -> str:
    """Return where a graph is drawn."""
    query = {"address": source.host, "plugin_identifier": identifier(source), "graph": graph.name, **more}
    return "/graph?" + urlencode(query)


def targets(registry: Registry) -> dict[str, list[tuple[type[Collector], Graph]]]:
    """Return the targets of /graph_global, each with the collectors that declare it."""
    found: dict[str, list[tuple[type[Collector], Graph]]] = {}
    for cls in registry.collectors.values():
        for name, graph in cls.targets.items():
            found.setdefault(name, []).append((cls, graph))
    return found
