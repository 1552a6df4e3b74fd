"""Expression trees over series: what a graph's items draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from monitor.batch import Floats
from monitor.graph.data import ANY, Data, Read


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

    def reads(self) -> Iterator[Read]:
        """Yield what has to be read for it, in one way or several per name."""
        yield from map(Read, self.names())

    def evaluate(self, data: Data) -> Floats | np.float64:
        """Return a value per bucket, or one for all; a name that is absent is unknown."""
        raise NotImplementedError(type(self).__name__)


@dataclass(frozen=True, eq=False)
class Constant(Expr):
    value: float

    def evaluate(self, data: Data) -> Floats | np.float64:
        return np.float64(self.value)


@dataclass(frozen=True, eq=False)
class Name(Expr):
    """A series of the graph's source by its name."""

    name: str

    def names(self) -> Iterator[str]:
        yield self.name

    def evaluate(self, data: Data) -> Floats | np.float64:
        return data.get(self.name, np.float64(np.nan))


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

    def reads(self) -> Iterator[Read]:
        yield from self.left.reads()
        yield from self.right.reads()

    def evaluate(self, data: Data) -> Floats | np.float64:
        with np.errstate(all="ignore"):
            found = self.apply[self.operator](self.left.evaluate(data), self.right.evaluate(data))  # type: ignore[arg-type]
        return np.where(np.isfinite(found), found, np.nan)


class Bound(Expr):
    """An expression in which `*` stands for a device."""

    def __init__(self, inner: Expr, device: str) -> None:
        self.inner = inner
        self.device = device

    def names(self) -> Iterator[str]:
        for name in self.inner.names():
            yield name.replace(ANY, self.device)

    def reads(self) -> Iterator[Read]:
        for read in self.inner.reads():
            yield read._replace(name=read.name.replace(ANY, self.device))

    def evaluate(self, data: Data) -> Floats | np.float64:
        return self.inner.evaluate(data.of_device(self.device))


class Scalar(Expr):
    """One value of a whole track (its largest, its average …), and the time at which it stands."""

    def evaluate(self, data: Data) -> np.float64:
        """Return the value; NaN when it is unknown."""
        raise NotImplementedError(type(self).__name__)

    def when(self, data: Data) -> float:
        """Return the time of the value in epoch seconds; NaN when it has none."""
        raise NotImplementedError(type(self).__name__)

    def of_device(self, device: str) -> Scalar:
        """Return the same of one device."""
        raise NotImplementedError(type(self).__name__)


def expr(value: Expr | float | str) -> Expr:
    """Return value as an expression: a number is a constant, a string the name of a series."""
    if isinstance(value, Expr):
        return value
    return Name(value) if isinstance(value, str) else Constant(float(value))
