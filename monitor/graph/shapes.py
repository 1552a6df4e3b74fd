"""The items of a graph: their values, added up where they are stacked, as areas, lines, marks and rules in pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from monitor.batch import Floats
from monitor.graph.axis import ValueAxis
from monitor.graph.colour import Colour, colour, nth
from monitor.graph.columns import Columns, marks, polygon, polyline
from monitor.graph.data import Data
from monitor.graph.expr import Scalar
from monitor.graph.legend import legend_row
from monitor.graph.model import Area, Graph, HorizontalRule, Item, Line, Rule, Tick, VerticalRule
from monitor.graph.picture import Fill, LegendRow, Rect, Stroke
from monitor.graph.style import PEAK

BEYOND = 100.0  # pixels outside the plot at which what lies beyond the limits is cut
WIDEST = 100.0  # pixels of a line
NOTHING = np.empty(0)


@dataclass(slots=True)
class Drawn:
    """An item with its values: `top` is where it ends, `bottom` where it begins if it is filled.

    Of a rule only `place` is known, the value or the time at which it stands.
    """

    item: Item
    colour: Colour
    row: LegendRow
    values: Floats = field(default_factory=lambda: NOTHING)
    top: Floats = field(default_factory=lambda: NOTHING)
    bottom: Floats | None = None
    place: float = math.nan

    @property
    def known(self) -> bool:
        return bool(np.isfinite(self.values).any())

    def shows(self, axis: ValueAxis, start: int, end: int) -> bool:
        """Return whether it is worth its words in the legend: a rule only where it stands within the plot."""
        if isinstance(self.item, HorizontalRule):
            return axis.low <= self.place <= axis.high
        return start <= self.place <= end if isinstance(self.item, VerticalRule) else True


@dataclass(frozen=True, slots=True)
class Frame:
    """Where times and values stand: the plot's pixels, its y axis, its two ends, the step of values; `zoom` is that
    of thickness."""

    plot: Rect
    axis: ValueAxis
    start: int
    end: int
    step: int
    zoom: float

    def rows(self, values: Floats) -> Floats:
        slope = self.plot.height / (self.axis.high - self.axis.low)
        found = self.plot.bottom - (values - self.axis.low) * slope
        return np.clip(found, self.plot.top - BEYOND, self.plot.bottom + BEYOND)


def evaluate(graph: Graph, data: Data, peaks: Data | None) -> list[Drawn]:
    """Return the items with their values, those of stacks added up; an unknown value adds nothing to its stack."""
    drawn: list[Drawn] = []
    below = np.zeros(data.count)
    turn = 0
    for item in (one for one in graph.items if isinstance(one, Item)):
        shade = nth(turn) if item.colour is None else colour(item.colour)
        turn += item.visible
        if isinstance(item, Rule):
            drawn.append(Drawn(item, shade, LegendRow(item.legend, shade, {}, {}), place=_place(item, data)))
            continue
        values = _values(item, data)
        if isinstance(item, Tick):
            drawn.append(Drawn(item, shade, LegendRow(item.legend, shade, {}, {}), values))
            continue
        row = legend_row(graph, item, shade, values, None if peaks is None else _values(item, peaks))
        top = values + below if item.stacked else values
        bottom = (below if item.stacked else np.zeros(data.count)) if isinstance(item, Area) else None
        drawn.append(Drawn(item, shade, row, values, top, bottom))
        below = np.where(np.isfinite(top), top, below if item.stacked else 0.0)
    return drawn


def _values(item: Item, data: Data) -> Floats:
    found, count = np.asarray(item.value.evaluate(data), dtype=np.float64), data.count
    if found.ndim == 0:
        return np.full(count, found if np.isfinite(found) else np.nan)
    values = np.full(count, np.nan)
    values[: len(found)] = found[:count]
    values[~np.isfinite(values)] = np.nan
    return values


def _place(item: Rule, data: Data) -> float:
    if isinstance(item, VerticalRule) and isinstance(item.value, Scalar):
        return float(item.value.when(data))
    found = np.asarray(item.value.evaluate(data), dtype=np.float64).reshape(-1)
    known = found[np.isfinite(found)]
    return float(known[-1]) if len(known) else math.nan


def peak_of(drawn: Sequence[Drawn], peaks: Data | None) -> Floats | None:
    """Return the peaks of the first item; None where there are none, or items are stacked."""
    if peaks is None or not drawn or any(one.item.stacked for one in drawn):
        return None
    first = drawn[0].item
    if not isinstance(first, Area | Line):
        return None
    values = _values(first, peaks)
    return values if np.isfinite(values).any() else None


def shapes_of(drawn: Sequence[Drawn], peak: Floats | None, frame: Frame) -> tuple[Fill | Stroke, ...]:
    """Return what is drawn, each item above those before it, the peaks and then the rules above all."""
    count = max((len(one.values) for one in drawn), default=0)
    columns = Columns.of(count, frame.plot.left, frame.plot.width, frame.end - frame.start, frame.step)
    shapes: list[Fill | Stroke] = []
    covered = np.zeros(len(columns.left), dtype=bool)
    for one in reversed(drawn):
        if isinstance(one.item, Area):
            area, covered = _area(one, columns, covered, frame)
            shapes += area
        elif isinstance(one.item, Line):
            covered = np.zeros(len(columns.left), dtype=bool)
            if one.known and one.item.visible:
                shapes.append(_line(one.top, one.colour, columns, frame, one.item))
        elif isinstance(one.item, Tick):
            shapes += _ticks(one, one.item, columns, frame)
    shapes.reverse()
    if peak is not None:
        shapes.append(_line(peak, PEAK, columns, frame))
    return (*shapes, *(rule for one in drawn if isinstance(one.item, Rule) for rule in _rule(one, one.item, frame)))


def _area(one: Drawn, columns: Columns, covered: np.ndarray, frame: Frame) -> tuple[list[Fill], np.ndarray]:
    """Return an area, and where it covers the top of what it stands on; `covered` says the same of its own top."""
    assert one.bottom is not None
    thin = max(1, round(frame.zoom))
    nowhere = np.zeros(len(columns.left), dtype=bool)
    # where two areas meet, both end on the same whole pixel
    bottom = np.rint(frame.rows(columns.largest(one.bottom)))
    top = frame.rows(columns.largest(one.top))
    known = np.isfinite(top)
    top = np.where(covered, np.rint(top), top)
    if not one.item.stacked:
        # zero is seen as a thin line, unlike unknown
        top = np.where(np.abs(top - bottom) < thin, bottom - thin, top)
    if not one.item.visible:
        return [], nowhere
    covers = covered | known if one.item.stacked else nowhere
    if not known.any():
        return [], covers
    return [Fill(polygon(columns, np.where(known, top, bottom), bottom), one.colour, even=True)], covers


def _line(values: Floats, shade: Colour, columns: Columns, frame: Frame, item: Line | None = None) -> Stroke:
    zoom, plot, axis = frame.zoom, frame.plot, frame.axis
    thin = max(1, round(zoom))
    width = float(thin) if item is None or item.width == 1 else min(WIDEST, max(0.1, item.width)) * zoom
    ends = []
    for end in columns.ends(values):
        # a line on the middle of pixels is crisp, and those at the limits are wholly inside
        y = np.floor(frame.rows(end) - (width - thin) / 2) + width / 2
        inside = (end >= axis.low) & (end <= axis.high)
        ends.append(np.where(inside, np.clip(y, plot.top + width / 2, plot.bottom - width / 2), y))
    points = polyline(columns, *ends, shortest=5 * thin)
    dashes = () if item is None else tuple(zoom * part for part in item.dashes)
    even = not dashes and width == round(width)
    return Stroke(points, shade, width, dashes, zoom * item.dash_offset if item else 0.0, even)


def _ticks(one: Drawn, item: Tick, columns: Columns, frame: Frame) -> Iterator[Fill]:
    shown = np.nan_to_num(columns.largest(one.values), nan=0.0) != 0
    if not shown.any() or not item.fraction:
        return
    plot = frame.plot
    height = round(min(1.0, abs(item.fraction)) * plot.height)
    top, bottom = (plot.bottom - height, plot.bottom) if item.fraction > 0 else (plot.top, plot.top + height)
    yield Fill(marks(columns, shown, top, bottom), one.colour)


def _rule(one: Drawn, item: Rule, frame: Frame) -> Iterator[Stroke]:
    """Yield a rule if it stands within the plot, on the middle of a row or column of pixels."""
    plot, thin = frame.plot, max(1, round(frame.zoom))
    if not one.shows(frame.axis, frame.start, frame.end) or not item.visible:
        return
    if isinstance(item, HorizontalRule):
        y = min(math.floor(float(frame.rows(np.array([one.place]))[0])), plot.bottom - thin) + thin / 2
        points = np.array([[plot.left, y], [plot.right, y]], dtype=np.float64)
    else:
        part = (one.place - frame.start) / (frame.end - frame.start)
        x = min(math.floor(plot.left + part * plot.width), plot.right - thin) + thin / 2
        points = np.array([[x, plot.top], [x, plot.bottom]], dtype=np.float64)
    dashes = tuple(frame.zoom * part for part in item.dashes)
    yield Stroke(points, one.colour, float(thin), dashes, frame.zoom * item.dash_offset)
