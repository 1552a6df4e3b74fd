"""Metrics that are known beforehand, declared once as class attributes of a collector."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from monitor.batch import Floats, Kind, Limits
from monitor.graph.data import Data
from monitor.graph.expr import Expr


class Metric(Expr):
    """A declared metric: its name (the attribute's, unless given), kind, unit, help and limits.

    `unit` is that of the stored value, which of a counter is the rate: `Counter("requests/s", …)`.
    A `*` in `name` stands for a device (`*.rx_byte`): `metric.of("eth0")` names the one of that device.
    """

    kind = Kind.GAUGE
    usual = Limits()
    """The limits that values of this kind have anyway."""

    def __init__(self, unit: str, help: str, *, name: str = "", min: float = -math.inf, max: float = math.inf) -> None:
        self.unit = unit
        self.help = help
        self.name = name
        self.limits = Limits(min, max)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.name or name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def of(self, device: str) -> Metric:
        """Return the metric of one device."""
        return type(self)(
            self.unit, self.help, name=self.name.replace("*", device), min=self.limits.min, max=self.limits.max
        )

    def names(self) -> Iterator[str]:
        yield self.name

    def evaluate(self, data: Data) -> Floats | np.float64:
        return data.get(self.name, np.float64(np.nan))


class Gauge(Metric):
    """A value as it is."""


class Counter(Metric):
    """A count since the service began. The appliance makes the rate per second; a fall is a restart and unknown."""

    kind = Kind.DERIVE
    usual = Limits(min=0.0)

    def __init__(self, unit: str, help: str, *, name: str = "", min: float = 0.0, max: float = math.inf) -> None:
        super().__init__(unit, help, name=name, min=min, max=max)


class WrappingCounter(Counter):
    """A count that wraps at 2^32 or 2^64 by its source's own word (SNMP Counter32, Counter64)."""

    kind = Kind.COUNTER
