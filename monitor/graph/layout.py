"""A graph and its values become a picture: everything has its place, and every number its text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from monitor.batch import Floats
from monitor.graph.axis import ValueAxis, value_axis
from monitor.graph.colour import PALETTE, Colour, colour
from monitor.graph.columns import Columns, polygon, polyline
from monitor.graph.legend import height as legend_height
from monitor.graph.legend import legend_row, place
from monitor.graph.model import Area, Graph, Item, Line, Stack
from monitor.graph.picture import Box, Fill, Font, LegendRow, Picture, Rect, Stroke, Text, shortened
from monitor.graph.timeaxis import FARTHEST, time_axis

LEAST_WIDTH, LEAST_HEIGHT = 40, 20
MOST_SIDE = 8000
FEW_ROWS = 3  # a legend of more rows makes a whole picture higher
LEAST_PLOT = 36
MOST_VALUES = 1_000_000
BEYOND = 100.0  # pixels outside the plot at which what lies beyond the limits is cut
NO_DATA = "no data"

BACKGROUND = colour("f3f3f3")
CANVAS = colour("ffffff")
EDGE = colour("cfcfcf")
AXIS = colour("8c8c8c")
MINOR = colour("f0f0f0")
MAJOR = colour("dcdcdc")
RULE = colour("e8b4b4")
INK = colour("1f1f1f")
SOFT_INK = colour("595959")
PEAK = colour("ff00ff")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Measures of a picture, in its pixels."""

    zoom: float

    def px(self, pixels: float) -> int:
        return max(1, round(pixels * self.zoom))

    @property
    def title(self) -> Font:
        return Font(self.px(12))

    @property
    def axis(self) -> Font:
        return Font(self.px(11))

    @property
    def legend(self) -> tuple[Font, Font]:
        return Font(self.px(11)), Font(self.px(10))


@dataclass(frozen=True, slots=True)
class _Frame:
    """How a picture is divided: how high each part is, 0 for those that found no room."""

    height: int
    plot: int
    top: int
    titled: bool
    times: int
    legend: int


@dataclass(slots=True)
class _Drawn:
    """An item with its values: `top` is where it ends, `bottom` where it begins."""

    item: Item
    colour: Colour
    values: Floats
    top: Floats
    bottom: Floats | None
    row: LegendRow


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
    tz: str = "UTC",
    peaks: Mapping[str, Floats] | None = None,
    zoom: float = 1.0,
) -> Picture:
    """Lay out a graph of the values from `start` to `end`; values[i] is the bucket that ends at start + (i + 1) * step.

    With `whole`, `width` and `height` are those of the picture (whose height grows with a legend of more than three
    rows), else those of the plot. `peaks` are the same series' largest values (cf MAX): the legend's Max is theirs and
    a thin line shows those of the first item, unless items are stacked. `zoom` enlarges everything alike, for screens
    of high density. ValueError says what cannot be drawn.
    """
    _check(start, end, step, width, height, zoom)
    sizes = Sizes(zoom)
    width, height = sizes.px(width), sizes.px(height)
    with np.errstate(all="ignore"):
        drawn = _evaluate(graph, series, peaks, min(MOST_VALUES, -(-(end - start) // step)))
    peak = _peak(graph, drawn, peaks)
    has_data = any(np.isfinite(one.values).any() for one in drawn if next(one.item.value.names(), None) is not None)

    frame = _divide(graph, sizes, height, whole, bool(graph.title if title is None else title))
    axis = _value_axis(graph, drawn, peak, frame.plot, sizes)
    labels = max((sizes.axis.width(text) for _, text in axis.ticks), default=0)
    font, gap = sizes.axis, sizes.px(4)
    left = gap + (font.line + sizes.px(3) if graph.unit else 0) + max(labels, 6 * font.advance) + gap
    right = sizes.px(14)
    labelled = not whole or width - left - right >= width // 2
    if not labelled:
        left = right = sizes.px(5)
    plot_width = max(1, width - left - right) if whole else width
    plot = Rect(left, frame.top, left + plot_width, frame.top + frame.plot)
    total = width if whole else left + width + right

    zone = _zone(tz)
    times = time_axis(start, end, zone=zone, characters=plot.width / font.advance)
    across = {y: _row(plot, axis, y) for y in (*(value for value, _ in axis.ticks), *axis.minor)}
    grid = [Box(plot, CANVAS)]
    grid += [Box(_upright(plot, _column(plot, start, end, t)), MINOR) for t in times.minor]
    grid += [Box(_flat(plot, across[y]), MINOR) for y in axis.minor]
    grid += [Box(_upright(plot, _column(plot, start, end, t)), MAJOR) for t in times.major]
    grid += [Box(_flat(plot, across[y]), MAJOR) for y, _ in axis.ticks]
    grid += [Box(_upright(plot, _column(plot, start, end, t)), RULE) for t in times.rules]

    texts: list[Text] = []
    if frame.titled:
        name = shortened(graph.title if title is None else title, (total - 2 * gap) // sizes.title.advance)
        texts.append(Text(total // 2, sizes.px(3), name, sizes.title, INK, "centre"))
    if labelled:
        texts += _value_labels(axis, across, plot, font, gap, frame.height)
        if graph.unit and (unit := shortened(graph.unit, plot.height // font.advance)):
            texts.append(Text(gap, (plot.top + plot.bottom) // 2, unit, font, INK, "centre", upright=True))
    if frame.times:
        below = plot.bottom + font.line // 2
        texts += _time_labels(times.labels, plot, start, end, total, below, font)
    if not has_data and plot.width > font.width(NO_DATA) and plot.height > font.line:
        middle = ((plot.left + plot.right) // 2, (plot.top + plot.bottom - font.line) // 2)
        texts.append(Text(*middle, NO_DATA, font, SOFT_INK, "centre"))

    boxes = _frame_boxes(plot, across, axis, total, frame.height, labelled, sizes)
    if frame.legend:
        area = Rect(sizes.px(10), frame.height - frame.legend, total - sizes.px(6), frame.height)
        marks, names = place(graph, [one.row for one in drawn], area, sizes.legend, INK, SOFT_INK)
        boxes += marks
        texts += names
    with np.errstate(all="ignore"):
        shapes = _shapes(drawn, peak, axis, plot, seconds=end - start, step=step, sizes=sizes)
    rows = tuple(one.row for one in drawn)
    return Picture(
        total, frame.height, BACKGROUND, plot, axis, tuple(grid), shapes, tuple(boxes), tuple(texts), rows, has_data
    )


def _check(start: int, end: int, step: int, width: int, height: int, zoom: float) -> None:
    if not -FARTHEST < start < end < FARTHEST:
        raise ValueError(f"expected a start before an end, got {start} and {end}")
    if step < 1:
        raise ValueError(f"expected a step of at least 1 second, got {step}")
    if not 0.5 <= zoom <= 4:
        raise ValueError(f"expected a zoom from 0.5 to 4, got {zoom}")
    for name, value, least in (("width", width, LEAST_WIDTH), ("height", height, LEAST_HEIGHT)):
        if not least <= value * zoom <= MOST_SIDE:
            raise ValueError(f"expected a {name} from {least} to {MOST_SIDE} pixels, got {value * zoom:g}")


@lru_cache(maxsize=64)
def _zone(tz: str) -> ZoneInfo:
    try:
        return ZoneInfo(tz)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"expected the name of a time zone, got {tz[:40]!r}") from None


def _evaluate(
    graph: Graph, series: Mapping[str, Floats], peaks: Mapping[str, Floats] | None, count: int
) -> list[_Drawn]:
    """Return the items with their values, those of stacks added up; an unknown value adds nothing to its stack."""
    drawn: list[_Drawn] = []
    below = np.zeros(count)
    for i, item in enumerate(graph.items):
        values = _values(item, series, count)
        shade = PALETTE[i % len(PALETTE)] if item.colour is None else colour(item.colour)
        row = legend_row(graph, item, shade, values, None if peaks is None else _values(item, peaks, count))
        bottom: Floats | None = None
        if isinstance(item, Stack):
            bottom = below
        elif isinstance(item, Area):
            bottom = np.zeros(count)
        top = values if bottom is None else values + bottom
        drawn.append(_Drawn(item, shade, values, top, bottom, row))
        below = np.where(np.isfinite(top), top, 0.0 if not isinstance(item, Stack) else below)
    return drawn


def _values(item: Item, series: Mapping[str, Floats], count: int) -> Floats:
    found = np.asarray(item.value.evaluate(series), dtype=np.float64)
    if found.ndim == 0:
        return np.full(count, found if np.isfinite(found) else np.nan)
    values = np.full(count, np.nan)
    values[: len(found)] = found[:count]
    values[~np.isfinite(values)] = np.nan
    return values


def _peak(graph: Graph, drawn: Sequence[_Drawn], peaks: Mapping[str, Floats] | None) -> Floats | None:
    if peaks is None or not drawn or any(isinstance(one.item, Stack) for one in drawn):
        return None
    values = _values(drawn[0].item, peaks, len(drawn[0].values))
    return values if np.isfinite(values).any() else None


def _divide(graph: Graph, sizes: Sizes, height: int, whole: bool, titled: bool) -> _Frame:
    """Divide the height; where it is too small for all, first the legend goes, then the title, then the times."""
    plain = sizes.axis.line // 2 + 1  # room for the upper half of the uppermost label
    title = sizes.px(3) + sizes.title.line + plain if titled else plain
    times = sizes.axis.line + sizes.axis.line // 2
    line = sizes.legend[0].line
    legend = legend_height(graph, sizes.legend[0]) + sizes.px(6) if graph.items else 0
    if not whole:
        total = title + height + times + sizes.px(4) + legend
        return _Frame(total, height, title, titled, times, legend)
    height += max(0, len(graph.items) - FEW_ROWS) * line if legend else 0
    least = sizes.px(LEAST_PLOT)
    if height - title - times - sizes.px(4) - legend < least:
        height -= max(0, len(graph.items) - FEW_ROWS) * line if legend else 0
        legend = 0
    if height - title - times - sizes.px(4) < least:
        title, titled = plain, False
    if height - title - times - sizes.px(4) < least:
        times = 0
    return _Frame(height, max(1, height - title - times - sizes.px(4) - legend), title, titled, times, legend)


def _value_axis(graph: Graph, drawn: Sequence[_Drawn], peak: Floats | None, pixels: int, sizes: Sizes) -> ValueAxis:
    low, high = math.inf, -math.inf
    for values in [*(one.top for one in drawn), *([] if peak is None else [peak])]:
        known = values[np.isfinite(values)]
        if len(known):
            low, high = min(low, float(known.min())), max(high, float(known.max()))
    if low > high:
        low = high = math.nan
    elif any(one.bottom is not None for one in drawn):
        low, high = min(low, 0.0), max(high, 0.0)
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


def _column(plot: Rect, start: int, end: int, time: float) -> int:
    return min(plot.right - 1, plot.left + int((time - start) * plot.width / (end - start)))


def _row(plot: Rect, axis: ValueAxis, value: float) -> int:
    part = (value - axis.low) / (axis.high - axis.low)
    return max(plot.top, min(plot.bottom - 1, math.floor(plot.bottom - part * plot.height)))


def _upright(plot: Rect, x: int) -> Rect:
    return Rect(x, plot.top, x + 1, plot.bottom)


def _flat(plot: Rect, y: int) -> Rect:
    return Rect(plot.left, y, plot.right, y + 1)


def _value_labels(
    axis: ValueAxis, across: Mapping[float, int], plot: Rect, font: Font, gap: int, height: int
) -> list[Text]:
    texts: list[Text] = []
    for value, text in axis.ticks:
        y = across[value] - font.line // 2
        if 0 <= y <= height - font.line and (not texts or texts[-1].y - y >= font.line):
            texts.append(Text(plot.left - gap - 1, y, text, font, INK, "right"))
    return texts


def _time_labels(
    labels: Sequence[tuple[float, str]], plot: Rect, start: int, end: int, total: int, y: int, font: Font
) -> list[Text]:
    texts: list[Text] = []
    free = 1
    for time, label in labels:
        text = Text(_column(plot, start, end, time), y, label, font, INK, "centre")
        if text.box.left >= free and text.box.right < total:
            texts.append(text)
            free = text.box.right + font.advance
    return texts


def _frame_boxes(
    plot: Rect, across: Mapping[float, int], axis: ValueAxis, width: int, height: int, labelled: bool, sizes: Sizes
) -> list[Box]:
    """Return the outer edge, the axes and the marks at the ticks."""
    tick = sizes.px(3)
    boxes = [
        Box(Rect(0, 0, width, 1), EDGE),
        Box(Rect(0, height - 1, width, height), EDGE),
        Box(Rect(0, 0, 1, height), EDGE),
        Box(Rect(width - 1, 0, width, height), EDGE),
        Box(Rect(plot.left - 1, plot.top - 1, plot.right + 1, plot.top), EDGE),
        Box(Rect(plot.right, plot.top - 1, plot.right + 1, plot.bottom + 1), EDGE),
        Box(Rect(plot.left - 1, plot.top - 1, plot.left, plot.bottom + 1), AXIS),
        Box(Rect(plot.left - 1, plot.bottom, plot.right + 1, plot.bottom + 1), AXIS),
    ]
    if labelled:
        boxes += [Box(Rect(plot.left - tick, y, plot.left, y + 1), AXIS) for y in (across[v] for v, _ in axis.ticks)]
    return boxes


def _shapes(
    drawn: Sequence[_Drawn],
    peak: Floats | None,
    axis: ValueAxis,
    plot: Rect,
    *,
    seconds: float,
    step: float,
    sizes: Sizes,
) -> tuple[Fill | Stroke, ...]:
    """Return areas first, lines above them, each in the order of the items."""
    if not drawn:
        return ()
    columns = Columns.of(len(drawn[0].values), plot.left, plot.width, seconds, step)
    slope = plot.height / (axis.high - axis.low)
    thin = sizes.px(1)

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
