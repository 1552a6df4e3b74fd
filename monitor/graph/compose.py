"""How a picture is divided: title, plot, labels and legend, and how large each becomes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monitor.batch import Floats
from monitor.graph.axis import ValueAxis, value_axis
from monitor.graph.legend import Block, table
from monitor.graph.model import Area, Graph, Line
from monitor.graph.picture import Rect
from monitor.graph.shapes import Drawn
from monitor.graph.style import INK, SOFT_INK, Sizes
from monitor.graph.written import pieces, write

LEAST_WIDTH, LEAST_HEIGHT = 40, 20
MOST_WIDTH, MOST_HEIGHT = 4000, 2000
"""Of a whole picture, in its own pixels."""
FEW_LINES = 4  # a legend of more lines makes a whole picture higher
LEAST_PLOT = 36
LEAST_LABEL = 6  # characters: pictures side by side have their plots in the same place
LEFT, RIGHT = 10, 6  # what stays free beside a legend


class SizeError(ValueError):
    """A size that is not allowed; `parameter` is width or height."""

    def __init__(self, parameter: str, least: int, most: int, got: float) -> None:
        super().__init__(f"expected a {parameter} from {least} to {most} pixels, got {got:g}")
        self.parameter = parameter


class Asked(NamedTuple):
    """A graph and the size it is wanted in, in the picture's own pixels."""

    graph: Graph
    sizes: Sizes
    width: int
    height: int
    whole: bool
    only: bool
    titled: bool


class Parts(NamedTuple):
    """How high each part is, 0 for those that found no room."""

    height: int
    plot: int
    top: int
    titled: bool
    times: int
    legend: int


@dataclass(frozen=True, slots=True)
class Composition:
    parts: Parts
    axis: ValueAxis
    plot: Rect
    width: int
    legend: Block


def compose(
    asked: Asked, drawn: Sequence[Drawn], words: Sequence[str], peak: Floats | None, start: int, end: int
) -> Composition:
    """Return the picture's parts. A rule beyond the plot has no words in the legend, which may make it lower."""
    made = _compose(asked, drawn, words, peak, frozenset())
    hidden = frozenset(i for i, one in enumerate(drawn) if not one.shows(made.axis, start, end))
    return _compose(asked, drawn, words, peak, hidden) if hidden else made


def _compose(
    asked: Asked, drawn: Sequence[Drawn], words: Sequence[str], peak: Floats | None, hidden: frozenset[int]
) -> Composition:
    graph, sizes = asked.graph, asked.sizes
    if asked.only:
        plot = Rect(0, 0, asked.width, asked.height)
        axis = _axis(graph, drawn, peak, plot.height, sizes)
        return Composition(Parts(plot.height, plot.height, 0, False, 0, 0), axis, plot, plot.width, Block(0))
    if asked.whole:
        legend = _legend(graph, drawn, words, hidden, asked.width, sizes)
        parts = _divided(asked, legend.height)
        axis = _axis(graph, drawn, peak, parts.plot, sizes)
        left, right = _sides(graph, axis, sizes)
        if asked.width - left - right < asked.width // 2:
            left = right = sizes.margin  # a narrow one has no room for labels
        plot = Rect(left, parts.top, max(left + 1, asked.width - right), parts.top + parts.plot)
        return Composition(parts, axis, plot, plot.right + right, legend)
    axis = _axis(graph, drawn, peak, asked.height, sizes)
    left, right = _sides(graph, axis, sizes)
    total = left + asked.width + right
    legend = _legend(graph, drawn, words, hidden, total, sizes)
    parts = _around(asked, legend.height)
    for name, wanted, whole, most, least in (
        ("width", asked.width, total, MOST_WIDTH, LEAST_WIDTH),
        ("height", asked.height, parts.height, MOST_HEIGHT, LEAST_HEIGHT),
    ):
        if whole > most:
            raise SizeError(name, least, math.floor((most - whole + wanted) / sizes.zoom), round(wanted / sizes.zoom))
    plot = Rect(left, parts.top, left + asked.width, parts.top + parts.plot)
    return Composition(parts, axis, plot, total, legend)


def _legend(
    graph: Graph, drawn: Sequence[Drawn], words: Sequence[str], hidden: frozenset[int], width: int, sizes: Sizes
) -> Block:
    room = width - sizes.px(LEFT) - sizes.px(RIGHT)
    if graph.written:
        return write(pieces(graph, drawn, words, hidden), room, sizes.legend, INK)
    rows = [one.row for i, one in enumerate(drawn) if one.item.visible and one.row.legend and i not in hidden]
    return table(graph, rows, room, sizes.legend, INK, SOFT_INK)


def _heads(asked: Asked, legend: int) -> tuple[int, int, int, int]:
    """Return the heights above the plot with the title and without it, of the time labels, and of the legend."""
    sizes = asked.sizes
    plain = sizes.axis.line // 2 + 1  # room for the upper half of the uppermost label
    title = sizes.px(3) + sizes.title.line + plain if asked.titled else plain
    return title, plain, sizes.axis.line + sizes.axis.line // 2, legend + sizes.px(6) if legend else 0


def _around(asked: Asked, legend: int) -> Parts:
    """Return the parts around a plot of the height asked for."""
    title, _, times, below = _heads(asked, legend)
    total = title + asked.height + times + asked.sizes.px(4) + below
    return Parts(total, asked.height, title, asked.titled, times, below)


def _divided(asked: Asked, legend: int) -> Parts:
    """Divide the height; where it is too small for all, first the legend goes, then the title, then the times."""
    sizes = asked.sizes
    title, plain, times, below = _heads(asked, legend)
    titled, gap, least = asked.titled, sizes.px(4), sizes.px(LEAST_PLOT)
    longer = max(0, legend - FEW_LINES * sizes.legend[0].line)
    height = max(asked.height, min(asked.height + longer, MOST_HEIGHT))
    if height - title - times - gap - below < least:
        height, below = asked.height, 0
    if height - title - times - gap < least:
        title, titled = plain, False
    if height - title - times - gap < least:
        times = 0
    return Parts(height, max(1, height - title - times - gap - below), title, titled, times, below)


def _axis(graph: Graph, drawn: Sequence[Drawn], peak: Floats | None, pixels: int, sizes: Sizes) -> ValueAxis:
    low, high = math.inf, -math.inf
    curves = [one for one in drawn if isinstance(one.item, Area | Line)]
    for values in [*(one.top for one in curves), *([] if peak is None else [peak])]:
        known = values[np.isfinite(values)]
        if len(known):
            low, high = min(low, float(known.min())), max(high, float(known.max()))
    if low > high:
        low = high = math.nan
    else:
        for one in curves:
            if one.bottom is not None and one.item.visible:
                low, high = min(low, float(one.bottom.min())), max(high, float(one.bottom.max()))
    return value_axis(
        low,
        high,
        lower=graph.lower,
        upper=graph.upper,
        rigid=graph.rigid,
        base=graph.base,
        unit=graph.unit,
        most=max(1, pixels // round(sizes.axis.line * 1.2)),
        most_minor=max(1, pixels // sizes.px(6)),
    )


def _sides(graph: Graph, axis: ValueAxis, sizes: Sizes) -> tuple[int, int]:
    """Return what lies left and right of the plot."""
    font = sizes.axis
    labels = max((font.width(text) for _, text in axis.ticks), default=0)
    unit = font.line + sizes.px(3) if graph.unit else 0
    return 2 * sizes.gap + 1 + max(labels, LEAST_LABEL * font.advance) + unit, sizes.px(14)
