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
from monitor.graph.units import short, text

BETWEEN = 2  # empty cells between two columns
MARK = 2  # cells of the coloured box with the room after it
SHORTEST = 6
WHOLE = 17  # cells of names that are kept at the cost of columns but the first one
APART = 4  # cells between two tables side by side
NUMBER = 8  # cells of a number with its prefix, as it is expected to be
FEW = 5  # so many rows are one table
LEAST = 3  # rows of a table beside another one


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
    base, unit = (graph.base, graph.unit) if item.unit is None else (1000, item.unit)
    texts = {column: text(value, base, unit) for column, value in numbers.items()}
    return LegendRow(item.legend, colour, numbers, texts)


@dataclass(frozen=True, slots=True)
class Block:
    """What stands below a plot; its places count from its own upper left corner."""

    height: int
    boxes: tuple[Box, ...] = ()
    texts: tuple[Text, ...] = ()

    def at(self, x: int, y: int) -> Block:
        """Return it moved."""
        boxes = tuple(Box(_moved(box.rect, x, y), box.colour) for box in self.boxes)
        texts = tuple(Text(at.x + x, at.y + y, at.text, at.font, at.colour, at.align) for at in self.texts)
        return Block(self.height, boxes, texts)


def _moved(rect: Rect, x: int, y: int) -> Rect:
    return Rect(rect.left + x, rect.top + y, rect.right + x, rect.bottom + y)


def mark(x: int, y: int, font: Font, colour: Colour) -> Box:
    """Return the coloured box before an item's name, in a line that begins at (x, y)."""
    side = max(3, round(font.size * 0.72))
    top = y + (font.line - side) // 2
    return Box(Rect(x, top, x + side, top + side), colour.on_white())


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


def tables(graph: Graph, rows: Sequence[LegendRow], width: int, font: Font) -> int:
    """Return in how many tables side by side the rows are shown: as many as are expected to have room.

    It depends on names, not on numbers: a graph has the same height at any time.
    """
    if len(rows) <= FEW:
        return 1
    number = NUMBER + len(short(graph.unit))
    longest = max(cells(row.legend) for row in rows)
    one = MARK + longest + sum(BETWEEN + max(len(head), number) for head in graph.legend) + APART
    most = max(1, min((width // font.advance + APART) // one, len(rows) // LEAST))
    return -(-len(rows) // -(-len(rows) // most))


def table(
    graph: Graph, rows: Sequence[LegendRow], width: int, fonts: Sequence[Font], ink: Colour, quiet: Colour
) -> Block:
    """Return the legend as a table within `width` pixels, or as several side by side where there are many rows."""
    if not rows:
        return Block(0)
    count = tables(graph, rows, width, fonts[-1])
    each = -(-len(rows) // count)
    room = (width + APART * fonts[-1].advance) // count
    font = fonts[-1] if count > 1 else None
    made = [
        _table(graph, rows[i : i + each], room - APART * fonts[-1].advance, fonts if font is None else (font,),
               fonts[0].line, ink, quiet).at(i // each * room, 0)
        for i in range(0, len(rows), each)
    ]  # fmt: skip
    height = (each + bool(graph.legend)) * fonts[0].line
    return Block(
        height,
        tuple(box for one in made for box in one.boxes),
        tuple(text for one in made for text in one.texts),
    )


def _table(
    graph: Graph, rows: Sequence[LegendRow], width: int, fonts: Sequence[Font], line: int, ink: Colour, quiet: Colour
) -> Block:
    """Return one table, `line` pixels a row.

    The first font is used in which all fits; then long names are shortened, then columns but the first are left out
    from the right, then all names are shortened.
    """
    columns = []
    for head in graph.legend:
        parts = [row.texts.get(head, "").partition(" ") for row in rows]
        columns.append(_Column(head, tuple(part[0] for part in parts), tuple(part[2] for part in parts)))
    longest = max(cells(row.legend) for row in rows)

    def wide(names: int) -> int:
        return MARK + names + sum(BETWEEN + column.width for column in columns)

    font = next((one for one in fonts if wide(longest) * one.advance <= width), fonts[-1])
    room = width // font.advance
    while columns and wide(min(longest, SHORTEST if len(columns) == 1 else WHOLE)) > room:
        columns.pop()
    names = min(longest, room - wide(0))

    advance = font.advance
    boxes, texts = [], []
    y = 0
    stops, at = [], (MARK + names) * advance
    for column in columns:
        at += (BETWEEN + column.width) * advance
        stops.append(at)
    if graph.legend:
        for column, stop in zip(columns, stops, strict=True):
            texts.append(Text(stop, y, column.head, font, quiet, "right"))
        y += line
    for i, row in enumerate(rows):
        if width >= MARK * advance:
            boxes.append(mark(0, y, font, row.colour))
        if name := shortened(row.legend, names):
            texts.append(Text(MARK * advance, y, name, font, ink))
        for column, stop in zip(columns, stops, strict=True):
            if column.digits[i]:
                texts.append(Text(stop, y, column.cell(i), font, ink, "right"))
        y += line
    return Block(y, tuple(boxes), tuple(texts))
