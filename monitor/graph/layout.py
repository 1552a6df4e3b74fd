"""A graph and its values become a picture: everything has its place, and every number its text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from monitor.batch import Floats
from monitor.graph.axis import ValueAxis
from monitor.graph.compose import LEAST_HEIGHT, LEAST_WIDTH, LEFT, MOST_HEIGHT, MOST_WIDTH, Asked, SizeError, compose
from monitor.graph.data import Data, Read, Track
from monitor.graph.model import Graph
from monitor.graph.picture import Box, Picture, Rect, Text, cells, shortened
from monitor.graph.printing import words
from monitor.graph.shapes import Frame, evaluate, peak_of, shapes_of
from monitor.graph.style import AXIS, BACKGROUND, CANVAS, EDGE, INK, MAJOR, MINOR, RULE, SOFT_INK, Sizes
from monitor.graph.timeaxis import FARTHEST, TimeAxis, time_axis

MOST_VALUES = 1_000_000
NO_DATA = "no data"
APART = "  "
"""What parts of a title, which may have to be left out, are apart by."""
LEAST_PART = 12


@dataclass(frozen=True, slots=True)
class Places:
    """Where times and values stand in the plot."""

    plot: Rect
    axis: ValueAxis
    start: int
    end: int

    def column(self, time: float) -> int:
        part = (time - self.start) / (self.end - self.start)
        return min(self.plot.right - 1, self.plot.left + int(part * self.plot.width))

    def row(self, value: float) -> int:
        part = (value - self.axis.low) / (self.axis.high - self.axis.low)
        row = math.floor(self.plot.bottom - part * self.plot.height)
        return max(self.plot.top, min(self.plot.bottom - 1, row))

    def upright(self, time: float) -> Rect:
        x = self.column(time)
        return Rect(x, self.plot.top, x + 1, self.plot.bottom)

    def flat(self, value: float) -> Rect:
        y = self.row(value)
        return Rect(self.plot.left, y, self.plot.right, y + 1)


def layout(
    graph: Graph,
    series: Mapping[str, Floats],
    *,
    start: int,
    end: int,
    step: int,
    width: int,
    height: int,
    title: str | None = None,
    whole: bool = True,
    only: bool = False,
    tz: str = "UTC",
    peaks: Mapping[str, Floats] | None = None,
    zoom: float = 1.0,
    tracks: Mapping[Read, Track] | None = None,
    now: int | None = None,
) -> Picture:
    """Lay out a graph of the values from `start` to `end`; values[i] is the bucket that ends at start + (i + 1) * step.

    With `whole`, `width` and `height` are those of the picture (whose height grows with a long legend), else those of
    the plot; with `only` the plot is all there is. `tracks` hold what the graph reads otherwise than plainly. `peaks`
    are the same series' largest values (cf MAX): the legend's Max is theirs and a thin line shows those of the first
    item, unless items are stacked. `zoom` enlarges everything alike, for screens of high density. ValueError says what
    cannot be drawn.
    """
    _check(start, end, step, width, height, zoom)
    sizes, zone = Sizes(zoom), _zone(tz)
    name = graph.title if title is None else title
    data = Data(series, start=start, end=end, step=step, now=now, tz=tz, tracks=tracks)
    high = None if peaks is None else Data(peaks, start=start, end=end, step=step, now=now, tz=tz)
    with np.errstate(all="ignore"):
        drawn = evaluate(graph, data, high)
        written = words(graph, data)
    peak = peak_of(drawn, high)
    has_data = any(one.known for one in drawn if next(one.item.reads(), None) is not None)

    asked = Asked(graph, sizes, sizes.px(width), sizes.px(height), whole, only, bool(name))
    made = compose(asked, drawn, written, peak, start, end)
    parts, axis, plot, total, below = made.parts, made.axis, made.plot, made.width, made.legend
    times = time_axis(start, end, zone=zone, characters=plot.width / sizes.axis.advance)
    at = Places(plot, axis, start, end)
    labelled = plot.left > sizes.margin

    texts: list[Text] = []
    if parts.titled:
        texts.append(_title(name, total, sizes))
    if labelled:
        texts += _value_labels(axis, at, sizes, parts.height)
        texts += _unit(
            graph, at, sizes, texts[0].box.bottom if parts.titled else sizes.gap, parts.height - parts.legend
        )
    if parts.times:
        texts += _time_labels(times, at, sizes, total)
    if not has_data and plot.width > sizes.axis.width(NO_DATA) and plot.height > sizes.axis.line:
        middle = ((plot.left + plot.right) // 2, (plot.top + plot.bottom - sizes.axis.line) // 2)
        texts.append(Text(*middle, NO_DATA, sizes.axis, SOFT_INK, "centre"))
    boxes = _edges(at, axis, total, parts.height, sizes.px(3) if labelled else 0)
    if parts.legend:
        placed = below.at(sizes.px(LEFT), parts.height - parts.legend)
        boxes += placed.boxes
        texts += placed.texts
    with np.errstate(all="ignore"):
        shapes = shapes_of(drawn, peak, Frame(plot, axis, start, end, step, zoom))
    return Picture(
        width=total,
        height=parts.height,
        background=BACKGROUND,
        plot=plot,
        axis=axis,
        boxes=tuple(_grid(at, axis, times)),
        shapes=shapes,
        frame=tuple(boxes),
        texts=tuple(texts),
        legend=tuple(one.row for one in drawn),
        has_data=has_data,
    )


def _title(name: str, total: int, sizes: Sizes) -> Text:
    """Return the title. Of parts that are apart by two blanks those after the second are left out where there is no
    room, then a smaller font is taken; the second one is cut, or left out too when little of it would stay."""
    room, font, least = total - 2 * sizes.gap, sizes.title, sizes.legend[-1]
    parts = name.split(APART)
    while len(parts) > 1 and cells(APART.join(parts)) * font.advance > room:
        if len(parts) > 2:
            parts.pop()
        elif room // least.advance - cells(parts[0] + APART) >= min(LEAST_PART, cells(parts[1])):
            font = least
            break
        else:
            parts.pop()
    short = shortened(APART.join(parts), room // font.advance)
    return Text(total // 2, sizes.px(3), short, font, INK, "centre")


def _check(start: int, end: int, step: int, width: int, height: int, zoom: float) -> None:
    if not -FARTHEST < start < end < FARTHEST:
        raise ValueError(f"expected a start before an end, got {start} and {end}")
    if step < 1:
        raise ValueError(f"expected a step of at least 1 second, got {step}")
    if (end - start) // step > MOST_VALUES:
        raise ValueError(f"expected at most {MOST_VALUES} steps from {start} to {end}, got steps of {step} seconds")
    if not 0.5 <= zoom <= 4:
        raise ValueError(f"expected a zoom from 0.5 to 4, got {zoom}")
    for name, value, least, most in (
        ("width", width, LEAST_WIDTH, MOST_WIDTH),
        ("height", height, LEAST_HEIGHT, MOST_HEIGHT),
    ):
        if value < least or value * zoom > most:
            raise SizeError(name, least, math.floor(most / zoom), value)


@lru_cache(maxsize=64)
def _zone(tz: str) -> ZoneInfo:
    try:
        return ZoneInfo(tz)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"expected the name of a time zone, got {tz[:40]!r}") from None


def _grid(at: Places, axis: ValueAxis, times: TimeAxis) -> Iterator[Box]:
    yield Box(at.plot, CANVAS)
    yield from (Box(at.upright(time), MINOR) for time in times.minor)
    yield from (Box(at.flat(value), MINOR) for value in axis.minor)
    yield from (Box(at.upright(time), MAJOR) for time in times.major)
    yield from (Box(at.flat(value), MAJOR) for value, _ in axis.ticks)
    yield from (Box(at.upright(time), RULE) for time in times.rules)


def _value_labels(axis: ValueAxis, at: Places, sizes: Sizes, height: int) -> list[Text]:
    font, plot = sizes.axis, at.plot
    texts: list[Text] = []
    for value, text in axis.ticks:
        y = at.row(value) - font.line // 2
        if 0 <= y <= height - font.line and (not texts or texts[-1].y - y >= font.line):
            texts.append(Text(plot.left - sizes.gap - 2, y, text, font, INK, "right"))
    return texts


def _unit(graph: Graph, at: Places, sizes: Sizes, top: int, bottom: int) -> list[Text]:
    """Return the unit beside the plot; a long one reaches over its ends, from `top` to `bottom` at most."""
    middle = (at.plot.top + at.plot.bottom) // 2
    room = 2 * min(middle - top, bottom - middle)
    font = next((one for one in sizes.legend if one.width(graph.unit) <= room), sizes.legend[-1])
    unit = shortened(graph.unit, room // font.advance)
    return [Text(sizes.gap, middle, unit, font, INK, "centre", upright=True)] if unit else []


def _time_labels(times: TimeAxis, at: Places, sizes: Sizes, total: int) -> list[Text]:
    font = sizes.axis
    y = at.plot.bottom + font.line // 2
    texts: list[Text] = []
    free = 1
    for time, label in times.labels:
        text = Text(at.column(time), y, label, font, INK, "centre")
        if text.box.left >= free and text.box.right < total:
            texts.append(text)
            free = text.box.right + font.advance
    return texts


def _edges(at: Places, axis: ValueAxis, width: int, height: int, tick: int) -> list[Box]:
    """Return the picture's edge, the plot's, and marks of the length `tick` beside the labels."""
    plot = at.plot
    boxes = [
        Box(Rect(0, 0, width, 1), EDGE),
        Box(Rect(0, height - 1, width, height), EDGE),
        Box(Rect(0, 0, 1, height), EDGE),
        Box(Rect(width - 1, 0, width, height), EDGE),
    ]
    if plot == (0, 0, width, height):
        return boxes
    boxes += [
        Box(Rect(plot.left - 1, plot.top - 1, plot.right + 1, plot.top), EDGE),
        Box(Rect(plot.right, plot.top - 1, plot.right + 1, plot.bottom + 1), EDGE),
        Box(Rect(plot.left - 1, plot.top - 1, plot.left, plot.bottom + 1), AXIS),
        Box(Rect(plot.left - 1, plot.bottom, plot.right + 1, plot.bottom + 1), AXIS),
    ]
    marks = (at.row(value) for value, _ in axis.ticks)
    return boxes + [Box(Rect(plot.left - tick, y, plot.left, y + 1), AXIS) for y in marks if tick]
