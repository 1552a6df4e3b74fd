"""Which graphs there are: those that a source's collector declares, those of graph files, and one per pushed series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlencode

from monitor.batch import Source
from monitor.config import Config
from monitor.graph.data import ANY
from monitor.graph.device import bind, devices
from monitor.graph.model import Graph, Line

PUSHED_GRAPHS = 50
"""Of a source that is only pushed, so many of the others have one."""


def graphs(config: Config, source: Source, names: Iterable[str]) -> Iterator[Graph]:
    """Yield the graphs of a source that has the series of these names: those of devices once per device.

    A graph that none of these series is in (they are not collected here) is left out.
    """
    names = set(names)
    pushed = is_pushed(config, source, names)
    shown: set[str] = set()
    for graph in of_collector(config, source):
        for one in bound(graph, without_kinds(graph, names)):
            if pushed:
                own = (read for read in one.reads() if read.source is None)
                shown |= {one.name, *(name for read in own for name in (read.name, f"{read.name}.{read.kind}"))}
            yield one
    if pushed:
        rest = sorted(name for name in names - shown if ANY not in name)
        yield from map(of_series, rest[:PUSHED_GRAPHS])


def is_pushed(config: Config, source: Source, names: set[str]) -> bool:
    """Tell whether no collector of ours made a source: there is none of its name, or it draws none of the series.

    So it is with what other agents call the same, as Telegraf and collectd have a `cpu` with names of their own.
    """
    cls = config.registry.by_path(source.collector)
    return cls is None or not any(True for graph in cls.graphs for _ in bound(graph, without_kinds(graph, names)))


def bound(graph: Graph, names: set[str]) -> Iterator[Graph]:
    """Yield what becomes of a graph where there are series of these names: one per device, itself, or nothing."""
    wanted = set(graph.names())
    if any(ANY in name for name in wanted):
        yield from (bind(graph, device) for device in devices(graph, names))
    elif not wanted or not wanted.isdisjoint(names):
        yield graph


def of_collector(config: Config, source: Source) -> Sequence[Graph]:
    """Return the graphs that the source's collector declares, and those of files."""
    cls = config.registry.by_path(source.collector)
    return [*(cls.graphs if cls else ()), *config.graph_files.graphs(source.collector)]


def without_kinds(graph: Graph, names: Iterable[str]) -> set[str]:
    """Return the names as the graph writes them: without the kind where it reads series by NAME.KIND."""
    kinds = tuple({f".{read.kind}" for read in graph.reads() if read.kind and read.source is None})
    if not kinds:
        return set(names)
    return {name.rpartition(".")[0] if name.endswith(kinds) else name for name in names}


def of_series(name: str) -> Graph:
    """Return the graph of a series that no graph was made for."""
    return Graph(name, name, Line(name, name, "1f78b4"), lower=None)


def of_devices(graph: Graph) -> bool:
    return any(ANY in name for name in graph.names())


def find(config: Config, source: Source, names: Iterable[str], wanted: str) -> Graph | None:
    """Return the graph of this name."""
    for graph in of_collector(config, source):
        if graph.name == wanted:
            if not of_devices(graph):
                return graph
        elif wanted.startswith(f"{graph.name}.") and of_devices(graph):
            device = wanted[len(graph.name) + 1 :]
            if device in devices(graph, without_kinds(graph, names)):
                return bind(graph, device)
    if ANY in wanted or wanted not in (known := set(names)):
        return None
    return of_series(wanted) if is_pushed(config, source, known) else None


def names(config: Config, source: Source, series: Iterable[str]) -> set[str]:
    """Return the names of all graphs that `find` finds."""
    plain = {graph.name for graph in of_collector(config, source) if not of_devices(graph)}
    return plain | {graph.name for graph in graphs(config, source, series)}


def identifier(source: Source) -> str:
    """Return a source's word in URLs: COLLECTOR or COLLECTOR:INSTANCE."""
    return f"{source.collector}:{source.instance}" if source.instance else source.collector


def url(source: Source, graph: Graph, **more: str | int) -> str:
    """Return where a graph is drawn."""
    query = {"address": source.host, "plugin_identifier": identifier(source), "graph": graph.name, **more}
    return "/graph?" + urlencode(query)
