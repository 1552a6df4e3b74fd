"""The straight line through a series: where it goes on like this."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from monitor.batch import Floats
from monitor.graph.data import Data, Read
from monitor.graph.expr import Expr


class Straight(Expr):
    """The line of least squares through what is known of an expression, over the whole graph."""

    def __init__(self, inner: Expr) -> None:
        self.inner = inner

    def names(self) -> Iterator[str]:
        yield from self.inner.names()

    def reads(self) -> Iterator[Read]:
        yield from self.inner.reads()

    def evaluate(self, data: Data) -> Floats | np.float64:
        values = np.atleast_1d(self.inner.evaluate(data))
        known = np.isfinite(values)
        if known.sum() < 2:
            return np.float64(np.nan)
        x = np.arange(len(values), dtype=np.float64)
        across = x[known] - x[known].mean()
        slope = (across * values[known]).sum() / (across * across).sum()
        return np.asarray(values[known].mean() + slope * (x - x[known].mean()), dtype=np.float64)
