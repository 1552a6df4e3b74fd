"""Expression trees over series: what a graph's items draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from monitor.batch import Floats


class Expr:
    """A value per bucket. `+ - * /` combine expressions and numbers; unknown and division by zero give NaN."""

    def __add__(self, other: Expr | float) -> Expr:
        return Operation("+", self, expr(other))

    def __radd__(self, other: float) -> Expr:
        return Operation("+", expr(other), self)

    def __sub__(self, other: Expr | float) -> Expr:
        return Operation("-", self, expr(other))

    def __rsub__(self, other: float) -> Expr:
        return Operation("-", expr(other), self)

    def __mul__(self, other: Expr | float) -> Expr:
        return Operation("*", self, expr(other))

    def __rmul__(self, other: float) -> Expr:
        return Operation("*", expr(other), self)

    def __truediv__(self, other: Expr | float) -> Expr:
        return Operation("/", self, expr(other))

    def __rtruediv__(self, other: float) -> Expr:
        return Operation("/", expr(other), self)

    def names(self) -> Iterator[str]:
        """Yield the names of the series that the expression reads; `*` in a name stands for the graph's device."""
        return iter(())

    def evaluate(self, series: Mapping[str, Floats]) -> Floats | np.float64:
        """Return the values, given an array per name; a name that is absent is unknown."""
        raise NotImplementedError(type(self).__name__)


@dataclass(frozen=True, eq=False)
class Constant(Expr):
    value: float

    def evaluate(self, series: Mapping[str, Floats]) -> Floats | np.float64:
        return np.float64(self.value)


@dataclass(frozen=True, eq=False)
class Name(Expr):
    """A series of the graph's source by its name."""

    name: str

    def names(self) -> Iterator[str]:
        yield self.name

    def evaluate(self, series: Mapping[str, Floats]) -> Floats | np.float64:
        return series.get(self.name, np.float64(np.nan))


@dataclass(frozen=True, eq=False)
class Operation(Expr):
    operator: str
    left: Expr
    right: Expr

    apply: ClassVar[Mapping[str, Callable[[Floats, Floats], Floats]]] = {
        "+": np.add,
        "-": np.subtract,
        "*": np.multiply,
        "/": np.divide,
    }

    def names(self) -> Iterator[str]:
        yield from self.left.names()
        yield from self.right.names()

    def evaluate(self, series: Mapping[str, Floats]) -> Floats | np.float64:
        with np.errstate(all="ignore"):
            found = self.apply[self.operator](self.left.evaluate(series), self.right.evaluate(series))  # type: ignore[arg-type]
        return np.where(np.isfinite(found), found, np.nan)


def expr(value: Expr | float | str) -> Expr:
    """Return value as an expression: a number is a constant, a string the name of a series."""
    if isinstance(value, Expr):
        return value
    return Name(value) if isinstance(value, str) else Constant(float(value))
