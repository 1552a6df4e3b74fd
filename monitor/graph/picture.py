"""A graph laid out: shapes and texts with their places in pixels, and the numbers behind them. Top left is (0, 0)."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from monitor.batch import Floats
from monitor.graph.axis import ValueAxis
from monitor.graph.colour import Colour

Align = Literal["left", "centre", "right"]
ADVANCE = 0.602  # of the bundled monospaced font: a character's width as part of its size
LINE = 1.28  # the same of a line's height
ELLIPSIS = "…"


class Rect(NamedTuple):
    """From (left, top) to before (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


class Font(NamedTuple):
    """A size of the monospaced font, in pixels: every character takes `advance`, wide ones twice that."""

    size: int
    bold: bool = False

    @property
    def advance(self) -> int:
        return max(1, round(self.size * ADVANCE))

    @property
    def line(self) -> int:
        return math.ceil(self.size * LINE)

    def width(self, text: str) -> int:
        return cells(text) * self.advance


def cells(text: str) -> int:
    """Return how many character cells a text takes."""
    return len(text) if text.isascii() else sum(map(cell, text))


def cell(character: str) -> int:
    """Return how many cells a character takes: 2 if it is wide (CJK), 0 if it joins the one before it.

    What cannot be printed is shown as a blank.
    """
    if not character.isprintable():
        return 1
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shortened(text: str, most: int) -> str:
    """Return a text on one line that takes at most `most` cells, ending in … where something was cut off."""
    if not text.isprintable():
        text = "".join(one if one.isprintable() else " " for one in text)
    if cells(text) <= most:
        return text
    if most < 1:
        return ""
    room, kept = most - 1, []
    for character in text:
        room -= cell(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept).rstrip() + ELLIPSIS


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text. `x` is its left end, middle or right end by `align`, `y` the top of its line.

    With `upright` it reads from bottom to top: then `x` is the left of its line and `y` its lower end, middle or upper
    end.
    """

    x: int
    y: int
    text: str
    font: Font
    colour: Colour
    align: Align = "left"
    upright: bool = False

    @property
    def box(self) -> Rect:
        """The pixels it may touch."""
        long, high = self.font.width(self.text), self.font.line
        before = {"left": 0, "centre": long // 2, "right": long}[self.align]
        if self.upright:
            return Rect(self.x, self.y + before - long, self.x + high, self.y + before)
        return Rect(self.x - before, self.y, self.x - before + long, self.y + high)


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle."""

    rect: Rect
    colour: Colour


@dataclass(frozen=True, slots=True)
class Fill:
    """A filled polygon: rows of (x, y); `even` if it is made of columns that begin and end between pixels."""

    points: Floats
    colour: Colour
    even: bool = False


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line through rows of (x, y), interrupted by rows of NaN; dashed by pixels on and off in turns."""

    points: Floats
    colour: Colour
    width: float = 1.0
    dashes: tuple[float, ...] = ()
    dash_offset: float = 0.0
    even: bool = False
    """Whether it is made of columns, two points each."""


@dataclass(frozen=True, slots=True)
class LegendRow:
    """One item's numbers over the whole span by column, and as they are shown; NaN is shown as `-`."""

    legend: str
    colour: Colour
    numbers: Mapping[str, float]
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Picture:
    """What `render` draws, in this order: background, boxes, shapes (within the plot), frame, texts."""

    width: int
    height: int
    background: Colour
    plot: Rect
    axis: ValueAxis
    boxes: tuple[Box, ...]
    shapes: tuple[Fill | Stroke, ...]
    frame: tuple[Box, ...]
    texts: tuple[Text, ...]
    legend: tuple[LegendRow, ...]
    has_data: bool = field(default=True)
