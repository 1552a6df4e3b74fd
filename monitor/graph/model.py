"""What a graph is: items over expressions, as data. `layout` turns it into text and numbers, `render` into a PNG."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from monitor.graph.colour import colour as read_colour
from monitor.graph.expr import Expr, expr

LegendColumn = Literal["Cur", "Ave", "Max", "Min", "Current", "Average", "Maximum", "Minimum"]


class Item:
    """Something drawn: `value` (an expression, a metric or the name of a series) under `legend`.

    `colour` is RRGGBB or RRGGBBAA in hex; None takes the next of the palette.
    """

    def __init__(self, value: Expr | str | float, legend: str = "", colour: str | None = None) -> None:
        self.value = expr(value)
        self.legend = legend or str(getattr(value, "name", value))
        self.colour = colour
        if colour is not None:
            read_colour(colour)  # a wrong one is an error where it is written


class Area(Item):
    """A filled area from zero."""


class Stack(Item):
    """A filled area on top of the item before it; the first one stands on zero."""


class Line(Item):
    """A thin line."""


class Graph:
    """A graph that a collector declares.

    `name` is its word in URLs, unique within the collector. Names of series that hold `*` make one graph per
    device: `*` is the same text in all of them (`*.rx_byte` and `*.tx_byte`: one graph per interface).
    `lower` and `upper` are soft limits of the y axis: it grows when data lie beyond, unless `rigid`.
    """

    def __init__(
        self,
        name: str,
        title: str,
        *items: Item,
        unit: str = "",
        base: Literal[1000, 1024] = 1000,
        lower: float | None = 0.0,
        upper: float | None = None,
        rigid: bool = False,
        legend: tuple[LegendColumn, ...] = ("Cur", "Ave", "Max", "Min"),
    ) -> None:
        if lower is not None and upper is not None and lower > upper:
            raise ValueError(f"expected a lower limit below the upper one, got {lower} and {upper}")
        self.name = name
        self.title = title
        self.items = items
        self.unit = unit
        self.base = base
        self.lower = lower
        self.upper = upper
        self.rigid = rigid
        self.legend = legend

    def names(self) -> Iterator[str]:
        """Yield the names of all series that the graph reads, each once."""
        yield from dict.fromkeys(name for item in self.items for name in item.value.names())
