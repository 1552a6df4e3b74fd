"""Graphs of devices: a graph whose names hold `*` is bound to one device, or to each that it finds."""

from __future__ import annotations

import re
from collections.abc import Iterable

from monitor.graph.data import ANY
from monitor.graph.model import Graph


def bind(graph: Graph, device: str) -> Graph:
    """Return the graph of one device, named NAME.DEVICE and titled TITLE DEVICE."""
    return graph.changed(
        name=f"{graph.name}.{device}",
        title=f"{graph.title} {device}",
        items=tuple(item.of_device(device) for item in graph.items),
    )


def devices(graph: Graph, names: Iterable[str]) -> list[str]:
    """Return the devices that have at least one of the graph's series, `eth2` before `eth10`; [] if it has no `*`."""
    patterns = [re.compile(_pattern(name), re.DOTALL) for name in graph.names() if ANY in name]
    found = {match[1] for name in names for pattern in patterns if (match := pattern.fullmatch(name))}
    return sorted(found, key=_natural)


def _pattern(name: str) -> str:
    first, *rest = map(re.escape, name.split(ANY))
    return first + "(.+)" + r"\1".join(rest)


def _natural(device: str) -> list[tuple[int, str]]:
    """Order digits by their value, without reading them: a device's name may be long."""
    parts = re.split("([0-9]+)", device)
    return [(len(digits := part.lstrip("0")), digits) if i % 2 else (-1, part) for i, part in enumerate(parts)]
