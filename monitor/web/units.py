"""Units of series, as their collectors declare them."""

from __future__ import annotations

import re

from monitor.metric import Metric
from monitor.registry import Registry

REMEMBERED = 100_000


class Units:
    """Knows the unit of every declared name, those of devices (`*.rx_byte`) too."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._exact: dict[tuple[str, str], str] = {}
        self._patterns: dict[str, list[tuple[re.Pattern[str], str]]] = {}
        for cls in registry.collectors.values():
            for owner in cls.__mro__:
                for metric in vars(owner).values():
                    if isinstance(metric, Metric):
                        self._add(cls.path, metric)
        self._declared = len(self._exact)

    def _add(self, path: str, metric: Metric) -> None:
        if "*" in metric.name:
            pattern = re.compile(".+".join(map(re.escape, metric.name.split("*"))), re.DOTALL)
            self._patterns.setdefault(path, []).append((pattern, metric.unit))
        else:
            self._exact.setdefault((path, metric.name), metric.unit)

    def unit(self, collector: str, name: str) -> str:
        """Return the unit of a series' values; '' when none is declared."""
        unit = self._exact.get((collector, name))
        if unit is None:
            found = (unit for pattern, unit in self._patterns.get(collector, ()) if pattern.fullmatch(name))
            unit = next(found, "")
            if len(self._exact) < self._declared + REMEMBERED:
                self._exact[collector, name] = unit
        return unit
