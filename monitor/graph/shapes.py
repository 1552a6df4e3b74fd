"""The items of a graph: their values, added up where they are stacked, as areas and lines in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitor.batch import Floats
from monitor.graph.axis import ValueAxis
from monitor.graph.colour import PALETTE, Colour, colour
from monitor.graph.columns import Columns, polygon, polyline
from monitor.graph.data import Data
from monitor.graph.legend import legend_row
from monitor.graph.model import Area, Graph, Item, Line, Stack
from monitor.graph.picture import Fill, LegendRow, Rect, Stroke
from monitor.graph.style import PEAK

BEYOND = 100.0  # pixels outside the plot at which what lies beyond the limits is cut


@dataclass(slots=True)
class Drawn:
    """An item with its values: `top` is where it ends, `bottom` where it begins."""

    item: Item
    colour: Colour
    values: Floats
    top: Floats
    bottom: Floats | None
    row: LegendRow


def evaluate(graph: Graph, data: Data, peaks: Data | None) -> list[Drawn]:
    """Return the items with their values, those of stacks added up; an unknown value adds nothing to its stack."""
    drawn: list[Drawn] = []
    below = np.zeros(data.count)
    for i, item in enumerate(one for one in graph.items if isinstance(one, Area | Line)):
        values = _values(item, data)
        shade = PALETTE[i % len(PALETTE)] if item.colour is None else colour(item.colour)
        row = legend_row(graph, item, shade, values, None if peaks is None else _values(item, peaks))
        bottom: Floats | None = None
        if isinstance(item, Stack):
            bottom = below
        elif isinstance(item, Area):
            bottom = np.zeros(data.count)
        top = values if bottom is None else values + bottom
        drawn.append(Drawn(item, shade, values, top, bottom, row))
        below = np.where(np.isfinite(top), top, 0.0 if not isinstance(item, Stack) else below)
    return drawn


def _values(item: Item, data: Data) -> Floats:
    found, count = np.asarray(item.value.evaluate(data), dtype=np.float64), data.count
    if found.ndim == 0:
        return np.full(count, found if np.isfinite(found) else np.nan)
    values = np.full(count, np.nan)
    values[: len(found)] = found[:count]
    values[~np.isfinite(values)] = np.nan
    return values


def peak_of(drawn: Sequence[Drawn], peaks: Data | None) -> Floats | None:
    if peaks is None or not drawn or any(isinstance(one.item, Stack) for one in drawn):
        return None
    values = _values(drawn[0].item, peaks)
    return values if np.isfinite(values).any() else None


def shapes_of(
    drawn: Sequence[Drawn],
    peak: Floats | None,
    axis: ValueAxis,
    plot: Rect,
    *,
    seconds: float,
    step: float,
    thin: int,
) -> tuple[Fill | Stroke, ...]:
    """Return areas first, lines above them, each in the order of the items."""
    if not drawn:
        return ()
    columns = Columns.of(len(drawn[0].values), plot.left, plot.width, seconds, step)
    slope = plot.height / (axis.high - axis.low)

    def rows(values: Floats) -> Floats:
        return np.clip(plot.bottom - (values - axis.low) * slope, plot.top - BEYOND, plot.bottom + BEYOND)

    def stroke(values: Floats, shade: Colour) -> Stroke:
        ends = []
        for end in columns.ends(values):
            # a line on the middle of pixels is crisp, and those at the limits are wholly inside
            y = np.floor(rows(end)) + thin / 2
            inside = (end >= axis.low) & (end <= axis.high)
            ends.append(np.where(inside, np.clip(y, plot.top + thin / 2, plot.bottom - thin / 2), y))
        return Stroke(polyline(columns, *ends, shortest=5 * thin), shade, thin)

    areas: list[Fill] = []
    covered = np.zeros(len(columns.left), dtype=bool)
    for one in reversed(drawn):
        if one.bottom is None:
            covered = np.zeros(len(columns.left), dtype=bool)
            continue
        # where two areas meet, both end on the same whole pixel
        bottom = np.rint(rows(columns.largest(one.bottom)))
        top = rows(columns.largest(one.top))
        known = np.isfinite(top)
        top = np.where(covered, np.rint(top), top)
        if isinstance(one.item, Stack):
            covered = covered | known
        else:
            # zero is seen as a thin line, unlike unknown
            top = np.where(np.abs(top - bottom) < thin, bottom - thin, top)
            covered = np.zeros(len(columns.left), dtype=bool)
        if known.any():
            areas.append(Fill(polygon(columns, np.where(known, top, bottom), bottom), one.colour))
    lines = [
        stroke(one.values, one.colour) for one in drawn if isinstance(one.item, Line) and np.isfinite(one.values).any()
    ]
    if peak is not None:
        lines.append(stroke(peak, PEAK))
    return (*reversed(areas), *lines)
