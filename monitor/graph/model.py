"""What a graph is: items over expressions, as data. `layout` turns it into text and numbers, `render` into a PNG."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self

from monitor.graph.colour import colour as read_colour
from monitor.graph.data import ANY, Read
from monitor.graph.expr import Bound, Expr, Scalar, expr

LegendColumn = Literal["Cur", "Ave", "Max", "Min", "Current", "Average", "Maximum", "Minimum"]
Side = Literal["left", "right", "centre", "justified"]
Ending = Literal["", "l", "r", "c", "j", "n", "s", "u", "g"]
"""How a text of a written legend ends its line, in RRDtool's letters: left, right, centred, justified, new line, space
after it, up again, or nothing at all after it; '' goes on in the same line."""


class Element:
    """Something of a graph: what is drawn, or words below it."""

    ending: Ending = ""

    def of_device(self, device: str) -> Self:
        """Return the same of one device, which `*` in its names stands for."""
        return copy.copy(self)

    def reads(self) -> Iterator[Read]:
        """Yield what has to be read for it."""
        return iter(())

    def names(self) -> Iterator[str]:
        for read in self.reads():
            yield read.name


class Item(Element):
    """Something drawn: `value` (an expression, a metric or the name of a series) under `legend`.

    `colour` is RRGGBB or RRGGBBAA in hex; None takes the next of the palette. An item that is not `visible` only
    carries those `stacked` on it.
    """

    stacked = False
    unit: str | None = None
    """Of its numbers in the legend, where that is another than the graph's."""

    def __init__(
        self,
        value: Expr | str | float,
        legend: str = "",
        colour: str | None = None,
        *,
        visible: bool = True,
        ending: Ending = "",
    ) -> None:
        self.value = expr(value)
        self.legend = legend or str(getattr(value, "name", "" if isinstance(value, Expr) else value))
        self.colour = colour
        self.visible = visible
        self.ending = ending
        if colour is not None:
            read_colour(colour)  # a wrong one is an error where it is written

    def of_device(self, device: str) -> Self:
        made = copy.copy(self)
        made.value = self.value.of_device(device) if isinstance(self.value, Scalar) else Bound(self.value, device)
        made.legend = self.legend.replace(ANY, device)
        return made

    def reads(self) -> Iterator[Read]:
        yield from self.value.reads()


class Area(Item):
    """A filled area from zero."""


class Stack(Area):
    """A filled area on top of the item before it; the first one stands on zero."""

    stacked = True


class Line(Item):
    """A line, `width` pixels thick, dashed by lengths of pixels on and off in turns.

    `unit` is that of its numbers in the legend, where it is another than the graph's.
    """

    def __init__(
        self,
        value: Expr | str | float,
        legend: str = "",
        colour: str | None = None,
        *,
        width: float = 1.0,
        dashes: Sequence[float] = (),
        dash_offset: float = 0.0,
        stacked: bool = False,
        visible: bool = True,
        ending: Ending = "",
        unit: str | None = None,
    ) -> None:
        super().__init__(value, legend, colour, visible=visible, ending=ending)
        self.width = width
        self.dashes = tuple(dashes)
        self.dash_offset = dash_offset
        self.stacked = stacked
        self.unit = unit


class Tick(Item):
    """An upright mark at every bucket whose value is neither zero nor unknown, as high as `fraction` of the plot.

    A negative fraction hangs down from the top.
    """

    def __init__(
        self,
        value: Expr | str | float,
        legend: str = "",
        colour: str | None = None,
        *,
        fraction: float = 0.1,
        ending: Ending = "",
    ) -> None:
        super().__init__(value, legend, colour, ending=ending)
        self.fraction = fraction


class Rule(Item):
    """A line across the whole plot: `value` is one number for all buckets."""

    def __init__(
        self,
        value: Expr | str | float,
        legend: str = "",
        colour: str | None = None,
        *,
        dashes: Sequence[float] = (),
        dash_offset: float = 0.0,
        ending: Ending = "",
    ) -> None:
        super().__init__(value, legend, colour, ending=ending)
        self.dashes = tuple(dashes)
        self.dash_offset = dash_offset


class HorizontalRule(Rule):
    """At a value."""


class VerticalRule(Rule):
    """At a time in epoch seconds; of a `Scalar` it is the scalar's time."""


class Words(Element):
    """Words of a written legend."""


class Comment(Words):
    def __init__(self, text: str, *, ending: Ending = "") -> None:
        self.text = text
        self.ending = ending

    def of_device(self, device: str) -> Self:
        made = copy.copy(self)
        made.text = self.text.replace(ANY, device)
        return made


class Print(Words):
    """A number in RRDtool's format (`%6.2lf %s`), or with `when` its time in strftime's."""

    def __init__(self, value: Scalar, form: str, *, when: bool = False, ending: Ending = "") -> None:
        self.value = value
        self.form = form
        self.when = when
        self.ending = ending

    def of_device(self, device: str) -> Self:
        made = copy.copy(self)
        made.value = self.value.of_device(device)
        return made

    def reads(self) -> Iterator[Read]:
        yield from self.value.reads()


class Align(Words):
    """How lines of words stand from here on."""

    def __init__(self, side: Side) -> None:
        self.side = side


class Graph:
    """A graph that a collector declares, or that RRDtool's graph language defines.

    `name` is its word in URLs, unique within the collector. Names of series that hold `*` make one graph per
    device: `*` is the same text in all of them (`*.rx_byte` and `*.tx_byte`: one graph per interface).
    `lower` and `upper` are soft limits of the y axis: it grows when data lie beyond, unless `rigid`.
    The legend is a table of `legend` columns; with words among the items it is written by them instead.
    """

    def __init__(
        self,
        name: str,
        title: str,
        *items: Element,
        unit: str = "",
        base: Literal[1000, 1024] = 1000,
        lower: float | None = 0.0,
        upper: float | None = None,
        rigid: bool = False,
        legend: tuple[LegendColumn, ...] = ("Cur", "Ave", "Max", "Min"),
        warnings: tuple[str, ...] = (),
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
        self.warnings = warnings
        """What of its definition has no effect here."""

    @property
    def written(self) -> bool:
        """Whether words make its legend."""
        return any(isinstance(one, Words) or one.ending for one in self.items)

    def changed(self, **fields: Any) -> Graph:
        """Return the graph with other fields."""
        made = copy.copy(self)
        for field, value in fields.items():
            setattr(made, field, value)
        return made

    def reads(self) -> Iterator[Read]:
        """Yield all that has to be read for it, each once."""
        yield from dict.fromkeys(read for item in self.items for read in item.reads())

    def names(self) -> Iterator[str]:
        """Yield the names of all series of its own source that it reads, each once."""
        yield from dict.fromkeys(read.name for read in self.reads() if read.source is None)
