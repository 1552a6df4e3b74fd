"""The legend: the numbers of every item, and where the table stands that shows them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from monitor.batch import Floats
from monitor.graph.colour import Colour
from monitor.graph.model import Graph, Item
from monitor.graph.picture import Box, Font, LegendRow, Rect, Text, cells, shortened
from monitor.graph.units import split, text

BETWEEN = 2  # empty cells between two columns
MARK = 2  # cells of the coloured box with the room after it
SHORTEST = 6


def _last(known: Floats) -> float:
    return float(known[-1])


def _mean(known: Floats) -> float:
    # numbers whose sum is beyond the largest float still have a mean
    with np.errstate(over="ignore"):
        mean = float(known.mean())
    return mean if math.isfinite(mean) else float((known / len(known)).sum())


def _max(known: Floats) -> float:
    return float(known.max())


def _min(known: Floats) -> float:
    return float(known.min())


FUNCTIONS: dict[str, Callable[[Floats], float]] = {
    "Cur": _last, "Current": _last, "Ave": _mean, "Average": _mean, "Max": _max, "Maximum": _max,
    "Min": _min, "Minimum": _min,
}  # fmt: skip


def legend_row(graph: Graph, item: Item, colour: Colour, values: Floats, peaks: Floats | None) -> LegendRow:
    """Return an item's numbers: Cur is the last known value, Max that of the peaks where there are any."""
    known = values[np.isfinite(values)]
    high = known if peaks is None else peaks[np.isfinite(peaks)]
    numbers: dict[str, float] = {}
    for column in graph.legend:
        function = FUNCTIONS[column]
        used = high if function is _max and len(high) else known
        numbers[column] = function(used) if len(used) else math.nan
    texts = {column: text(value, graph.base, graph.unit) for column, value in numbers.items()}
    return LegendRow(item.legend, colour, numbers, texts)


@dataclass(frozen=True, slots=True)
class _Column:
    head: str
    digits: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def width(self) -> int:
        tail = max(map(len, self.after), default=0)
        return max(len(self.head), max(map(len, self.digits), default=0) + (tail and tail + 1))

    def cell(self, row: int) -> str:
        tail = max(map(len, self.after), default=0)
        return f"{self.digits[row]} {self.after[row]:<{tail}}" if tail else self.digits[row]


def height(graph: Graph, font: Font) -> int:
    """Return the height of the table."""
    return (len(graph.items) + bool(graph.legend and graph.items)) * font.line


def place(
    graph: Graph, rows: Sequence[LegendRow], area: Rect, fonts: Sequence[Font], colour: Colour, quiet: Colour
) -> tuple[list[Box], list[Text]]:
    """Return the table in `area`, whose lines have the height of the first font.

    The first font is used in which all fits; then names are shortened, then columns are left out from the right.
    """
    columns = []
    for head in graph.legend:
        parts = [split(row.numbers[head], graph.base, graph.unit) for row in rows]
        columns.append(_Column(head, tuple(part[0] for part in parts), tuple(part[1] for part in parts)))
    longest = max((cells(row.legend) for row in rows), default=0)

    def wide(names: int) -> int:
        return MARK + names + sum(BETWEEN + column.width for column in columns)

    font = next((one for one in fonts if wide(longest) * one.advance <= area.width), fonts[-1])
    room = area.width // font.advance
    while columns and wide(min(longest, SHORTEST)) > room:
        columns.pop()
    names = min(longest, room - wide(0))

    line, advance = fonts[0].line, font.advance
    boxes, texts = [], []
    y = area.top
    stops, at = [], area.left + (MARK + names) * advance
    for column in columns:
        at += (BETWEEN + column.width) * advance
        stops.append(at)
    if graph.legend and rows:
        for column, stop in zip(columns, stops, strict=True):
            texts.append(Text(stop, y, column.head, font, quiet, "right"))
        y += line
    side = max(3, round(font.size * 0.72))
    for i, row in enumerate(rows):
        top = y + (font.line - side) // 2
        mark = Rect(area.left, top, min(area.right, area.left + side), top + side)
        boxes.append(Box(mark, row.colour.on_white()))
        if name := shortened(row.legend, names):
            texts.append(Text(area.left + MARK * advance, y, name, font, colour))
        for column, stop in zip(columns, stops, strict=True):
            texts.append(Text(stop, y, column.cell(i), font, colour, "right"))
        y += line
    return boxes, texts
