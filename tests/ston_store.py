"""A store filled with every series that STON's collector declares, of a server, virtual hosts and channels."""

from __future__ import annotations

import math
from collections.abc import Callable

from web_parts import Parts

from collectors.ston import STONCollector
from monitor.batch import Source
from monitor.metric import Metric

PROTOCOLS = ("all", "rtmp", "http", "hls", "mpegdash")
Wave = Callable[[int], float]


def declared() -> list[str]:
    """Return the names of all series that are declared."""
    names = {metric.name for metric in vars(STONCollector).values() if isinstance(metric, Metric)}
    return sorted({name.replace("*", protocol) for name in names for protocol in PROTOCOLS})


def drawn_by_targets(*, of_instances: bool) -> list[str]:
    """Return the names of the series that targets read."""
    graphs = (
        [graph for drawn in STONCollector.instance_targets.values() for graph in drawn.values()]
        if of_instances
        else list(STONCollector.targets.values())
    )
    return sorted({name for graph in graphs for name in graph.names()})


def wave(size: float, turn: int) -> Wave:
    return lambda i: size * (1.3 + math.sin(i / 46 + turn))


def fill(
    parts: Parts, host: str, vhost: str, channel: str, size: float, rows: int = 600, *, steady: bool = False
) -> None:  # fmt: skip
    """Store a row every five minutes up to now: series number n is about size + n."""
    names = drawn_by_targets(of_instances=bool(vhost))
    if channel:
        names = [name for name in names if not name.startswith(("files.", "memory"))]
    values: dict[str, Wave] = {}
    for number, name in enumerate(names):
        big = 1e6 if name.endswith(("bound", "memory")) or name.startswith("memory.") else 1.0
        one = size * big * (1 + number % 7)
        values[name] = (lambda i, one=one: one) if steady else wave(one, number)
    meta = {"server": "media", "version": "20.03.0"}
    if vhost:
        meta = {"vhost": vhost, "type": "LIVE" if "/" in vhost else "VOD"}
    if channel:
        meta["channel"] = channel
    end = int(parts.clock()) // 300 * 300
    for i in range(rows):
        at = end - (rows - 1 - i) * 300
        row = {name: one(i) for name, one in values.items()}
        parts.store.add(Source(host, "ston", vhost + channel), at, at - 300, row, 300.0, meta=meta)
