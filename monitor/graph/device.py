"""Graphs of devices: a graph whose names hold `*` is bound to one device, or to each that it finds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from monitor.batch import Floats
from monitor.graph.expr import Expr
from monitor.graph.model import Graph, Item

ANY = "*"


class Bound(Expr):
    """An expression in which `*` stands for a device."""

    def __init__(self, inner: Expr, device: str) -> None:
        self.inner = inner
        self.device = device

    def names(self) -> Iterator[str]:
        for name in self.inner.names():
            yield name.replace(ANY, self.device)

    def evaluate(self, series: Mapping[str, Floats]) -> Floats | np.float64:
        return self.inner.evaluate(_OfDevice(series, self.device))


class _OfDevice(Mapping[str, Floats]):
    """Series under the names that hold `*`."""

    def __init__(self, series: Mapping[str, Floats], device: str) -> None:
        self._series = series
        self._device = device

    def __getitem__(self, name: str) -> Floats:
        return self._series[name.replace(ANY, self._device)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._series)

    def __len__(self) -> int:
        return len(self._series)


def bind(graph: Graph, device: str) -> Graph:
    """Return the graph of one device, named NAME.DEVICE and titled TITLE DEVICE."""

    def bound(item: Item) -> Item:
        return type(item)(Bound(item.value, device), item.legend.replace(ANY, device), item.colour)

    return Graph(
        f"{graph.name}.{device}",
        f"{graph.title} {device}",
        *map(bound, graph.items),
        unit=graph.unit,
        base=graph.base,
        lower=graph.lower,
        upper=graph.upper,
        rigid=graph.rigid,
        legend=graph.legend,
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
