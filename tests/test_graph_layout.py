"""Layouts as text: every case of CASES has its expected picture in cases/graph/NAME.txt (rewritten by --golden)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from monitor.graph.data import Data
from monitor.graph.expr import Name, Scalar
from monitor.graph.layout import layout
from monitor.graph.model import Align, Area, Comment, Graph, HorizontalRule, Line, Print, Stack, Tick, VerticalRule
from monitor.graph.picture import Fill, Picture, Stroke

GOLDEN = Path(__file__).parent / "cases" / "graph"
END = int(datetime(2026, 11, 21, 4, tzinfo=ZoneInfo("Europe/Berlin")).timestamp())
HOUR, DAY = 3600, 86400

TRAFFIC = Graph(
    "traffic",
    "Traffic",
    Area(8 * Name("tx"), "Outbound", "00cc00b4"),
    Line(8 * Name("rx"), "Inbound", "0000ffb4"),
    unit="bit/s",
    legend=("Max", "Average", "Current"),
)
CPU = Graph("cpu", "CPU usage", *map(Stack, ("user", "system", "iowait", "steal")), unit="%", upper=100)
MEMORY = Graph("memory", "Memory", Stack("used"), Stack("cached"), Line("swap"), unit="bytes", base=1024)
BOTH_WAYS = Graph("both", "Out above, in below", Area("tx", "out"), Area(-1 * Name("rx"), "in"), unit="bytes/s")
TEMPERATURE = Graph("temperature", "Temperature", Line("inlet"), unit="°C", lower=None)
CLASSES = Graph("files", "Files by size", *(Stack(f"c{i}", f"~{2**i} KB") for i in range(12)), unit="files")

CLASSES_26 = Graph("files", "Files by size", *(Stack(f"c{i}", f"~{2**i} KB") for i in range(26)), unit="files")
WRITTEN = Graph(
    "written",
    "Written",
    Area("a", "Used     ", "00cc00"),
    Comment("Cur:  12.3 M"),
    Comment("Max: 123.4 M", ending="l"),
    Line("b", "Predicted", "ff0000", width=2, dashes=(5, 3)),
    Comment("Cur:   1.3 M"),
    Comment("Max:  23.4 M", ending="l"),
    Area("a", "", "ffffff", visible=False),
    Line("a", "twice    ", "0000ff", stacked=True, ending="n"),
    Tick("t", "failures", "cc00cc80", fraction=0.15),
    Tick("t", "from above", "ffaa00", fraction=-0.05, ending="n"),
    HorizontalRule(60e6, "limit", "ff0000", dashes=(2, 2)),
    HorizontalRule(6e9, "hidden", "ff0000"),
    VerticalRule(END - 5 * HOUR, "deploy", "0000ff", ending="l"),
    VerticalRule(END + 5 * HOUR, "later", "0000ff", ending="l"),
    Comment("left", ending="l"),
    Comment("", ending="u"),
    Comment("right", ending="r"),
    Comment("", ending="s"),
    Comment("centred", ending="c"),
    Comment("spread"),
    Comment("over"),
    Comment("the line", ending="j"),
    Comment("joined  ", ending="g"),
    Comment("to this", ending="l"),
    Align("right"),
    *(Comment(f"word {i}") for i in range(15)),
    unit="bytes",
)
RULES = Graph(
    "rules", "Rules", Line("a", "used", "00cc00"), Tick("t", "failures"), HorizontalRule(40e6, "limit"),
    HorizontalRule(6e9, "hidden"), VerticalRule(END - 5 * HOUR, "deploy"),
)  # fmt: skip


def wave(count: int, low: float, high: float, turns: float = 1.0) -> np.ndarray:
    return low + (high - low) * (0.5 - 0.5 * np.cos(np.arange(count) / count * 2 * math.pi * turns))


def traffic(count: int, turns: float = 1.0) -> dict[str, np.ndarray]:
    return {"tx": wave(count, 4e6, 110e6, turns), "rx": wave(count, 1e6, 20e6, turns)}


def gap(series: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for values in series.values():
        values[len(values) // 3 : len(values) // 2] = np.nan
    return series


def marked(count: int) -> dict[str, np.ndarray]:
    ticks = np.zeros(count)
    ticks[100:104], ticks[200], ticks[250] = 1, -5, math.nan
    return {"a": wave(count, 10e6, 40e6), "b": wave(count, 20e6, 50e6), "t": ticks}


def single(count: int) -> dict[str, np.ndarray]:
    series = {"tx": np.full(count, np.nan), "rx": np.full(count, np.nan)}
    series["tx"][count // 2], series["rx"][count // 2] = 1e6, 2e6
    return series


@dataclass(frozen=True)
class Case:
    graph: Graph
    series: dict[str, np.ndarray]
    span: int
    step: int
    more: dict[str, Any] = field(default_factory=dict)

    def layout(self) -> Picture:
        options = {"width": 580, "height": 203, "tz": "Europe/Berlin", "end": END} | self.more
        return layout(self.graph, self.series, start=options["end"] - self.span, step=self.step, **options)


AUTUMN = int(datetime(2026, 10, 25, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp())
SPRING = int(datetime(2026, 3, 29, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp())
CASES = {
    "traffic": Case(TRAFFIC, gap(traffic(396)), 33 * HOUR, 300),
    "more_points_than_pixels": Case(TRAFFIC, traffic(1440), DAY, 60),
    "cpu_stacked": Case(
        CPU,
        {"user": wave(288, 5, 50), "system": wave(288, 2, 15), "iowait": wave(288, 0, 5), "steal": np.zeros(288)},
        DAY,
        300,
    ),
    "base_1024": Case(
        MEMORY,
        {"used": wave(288, 3e9, 4e9), "cached": np.full(288, 8.0 * 2**30), "swap": np.full(288, 5e8)},
        DAY,
        300,
    ),
    "no_data": Case(TRAFFIC, {}, DAY, 300),
    "one_point": Case(TRAFFIC, single(288), DAY, 300),
    "negative": Case(BOTH_WAYS, traffic(288), DAY, 300),
    "constant": Case(TEMPERATURE, {"inlet": np.full(288, 42.5)}, DAY, 300),
    "zero": Case(TRAFFIC, {"tx": np.zeros(288), "rx": np.zeros(288)}, DAY, 300),
    "many_rows": Case(CLASSES, {f"c{i}": wave(48, 0, 1000 * (i + 1)) for i in range(12)}, DAY, 1800),
    "five_minutes": Case(TRAFFIC, traffic(30), 300, 10),
    "one_hour": Case(TRAFFIC, traffic(60), HOUR, 60),
    "four_hours": Case(TRAFFIC, traffic(240), 4 * HOUR, 60),
    "three_days": Case(TRAFFIC, traffic(432, 3), 3 * DAY, 600),
    "week_with_peaks": Case(
        TRAFFIC, traffic(336, 7), 7 * DAY, 1800, {"peaks": {"tx": wave(336, 5e6, 130e6, 7), "rx": wave(336, 1e6, 30e6)}}
    ),
    "two_weeks": Case(TRAFFIC, traffic(336, 14), 14 * DAY, HOUR),
    "month": Case(TRAFFIC, traffic(372, 31), 31 * DAY, 7200),
    "year": Case(TRAFFIC, traffic(365, 12), 365 * DAY, DAY),
    "three_years": Case(TRAFFIC, traffic(1095, 3), 3 * 365 * DAY, DAY),
    "clock_set_back": Case(TRAFFIC, traffic(288), DAY, 300, {"end": AUTUMN}),
    "clock_set_forward": Case(TRAFFIC, traffic(288), DAY, 300, {"end": SPRING}),
    "clock_set_back_close": Case(TRAFFIC, traffic(180), 3 * HOUR, 60, {"end": AUTUMN - 9 * HOUR}),
    "plot_size": Case(
        CPU, {"user": wave(288, 5, 50)}, DAY, 300, {"whole": False, "width": 460, "height": 100, "title": "Day www1"}
    ),
    "small": Case(TRAFFIC, traffic(144), DAY // 2, 300, {"width": 205, "height": 175}),
    "zoomed": Case(TRAFFIC, traffic(396), 33 * HOUR, 300, {"zoom": 2}),
    "thumbnail": Case(TRAFFIC, traffic(396), 33 * HOUR, 300, {"only": True, "width": 120, "height": 50}),
    "thumbnail_without_data": Case(TRAFFIC, {}, 33 * HOUR, 300, {"only": True, "width": 120, "height": 50}),
    "stack_of_26": Case(CLASSES_26, {f"c{i}": wave(48, 0, 1000 * (i + 1)) for i in range(26)}, DAY, 1800),
    "stack_of_26_wide": Case(
        CLASSES_26, {f"c{i}": wave(48, 0, 1000 * (i + 1)) for i in range(26)}, DAY, 1800, {"width": 1200, "height": 400}
    ),
    "written": Case(WRITTEN, marked(288), DAY, 300),
    "written_and_zoomed": Case(WRITTEN, marked(288), DAY, 300, {"zoom": 1.5}),
    "rules": Case(RULES, marked(288), DAY, 300),
    "long_title": Case(TRAFFIC, traffic(288), DAY, 300, {"title": "配信サーバー traffic " + "of a long name " * 9}),
}


def describe(picture: Picture) -> Iterator[str]:
    """Yield a picture as text that a person can check."""
    yield f"picture {picture.width} x {picture.height}, plot {'-'.join(map(str, picture.plot))}"
    axis = picture.axis
    yield f"y from {axis.low:.10g} to {axis.high:.10g}: {', '.join(text for _, text in axis.ticks)}"
    for colour in dict.fromkeys(str(box.colour) for box in picture.boxes[1:]):
        lines = [box.rect for box in picture.boxes[1:] if str(box.colour) == colour]
        yield f"grid {colour} x {[rect.left for rect in lines if rect.width == 1]}"
        yield f"grid {colour} y {[rect.top for rect in lines if rect.height == 1]}"
    for text in picture.texts:
        where = f"{text.x},{text.y} {text.align}{' upright' if text.upright else ''} {text.font.size}px"
        yield f"text {where:28} {text.colour} |{text.text}|"
    for shape in picture.shapes:
        x, y = shape.points[:, 0], shape.points[:, 1]
        known = np.isfinite(y)
        kind = "fill" if isinstance(shape, Fill) else f"line {shape.width:g}px"
        if isinstance(shape, Stroke) and shape.dashes:
            kind += f" dashed {shape.dashes}"
        yield (
            f"{kind} {shape.colour} of {len(y)} points ({len(y) - known.sum()} in gaps): "
            f"x {x[known].min():.1f}..{x[known].max():.1f}, y {y[known].min():.1f}..{y[known].max():.1f}, "
            f"mean {y[known].mean():.2f}"
        )
    for row in picture.legend:
        numbers = ", ".join(f"{name} {value:.10g} = {row.texts[name]!r}" for name, value in row.numbers.items())
        yield f"legend {row.colour} {row.legend!r}: {numbers}"


@pytest.mark.parametrize("name", CASES)
def test_a_layout_is_as_it_was_approved(name: str, golden: bool) -> None:
    got = "\n".join(describe(CASES[name].layout())) + "\n"
    path = GOLDEN / f"{name}.txt"
    if golden:
        path.write_text(got)
    assert got == path.read_text()


def test_every_approved_layout_has_its_case() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(CASES)


def line(values: list[float], width: int = 580, **more: Any) -> tuple[Picture, Stroke]:
    graph = Graph("g", "", Line("a"), **more)
    picture = layout(graph, {"a": np.array(values)}, start=0, end=60 * len(values), step=60, width=width, height=203)
    (shape,) = picture.shapes
    assert isinstance(shape, Stroke)
    return picture, shape


def value_at(picture: Picture, y: float) -> float:
    axis, plot = picture.axis, picture.plot
    return axis.low + (plot.bottom - y) / plot.height * (axis.high - axis.low)


def test_peaks_stay_visible_when_a_pixel_holds_many_points() -> None:
    values = [1.0] * 20_000
    values[7_777], values[12_345] = 100.0, -50.0
    picture, shape = line(values)
    a_pixel = (picture.axis.high - picture.axis.low) / picture.plot.height
    assert abs(value_at(picture, np.nanmin(shape.points[:, 1])) - 100) <= a_pixel
    assert abs(value_at(picture, np.nanmax(shape.points[:, 1])) - -50) <= a_pixel
    assert len(shape.points) <= 2 * picture.plot.width


def test_peaks_of_areas_stay_visible_above_and_below_zero() -> None:
    values = np.ones(20_000)
    values[7_777], values[12_345] = 100.0, -50.0
    picture = layout(Graph("g", "", Area("a")), {"a": values}, start=0, end=1_200_000, step=60, width=580, height=203)
    (shape,) = picture.shapes
    a_pixel = (picture.axis.high - picture.axis.low) / picture.plot.height
    assert abs(value_at(picture, shape.points[:, 1].min()) - 100) <= a_pixel
    assert abs(value_at(picture, shape.points[:, 1].max()) - -50) <= a_pixel


def test_a_gap_stays_a_gap() -> None:
    values = [1.0] * 100
    values[40:60] = [math.nan] * 20
    picture, shape = line(values)
    x = shape.points[:, 0][np.isfinite(shape.points[:, 1])]
    left, width = picture.plot.left, picture.plot.width
    assert not ((x > left + 0.4 * width + 1) & (x < left + 0.6 * width - 1)).any()


def test_a_single_point_is_a_visible_dash() -> None:
    values = [math.nan] * 2000
    values[1000] = 1.0
    _, shape = line(values)
    x = shape.points[:, 0]
    assert np.nanmax(x) - np.nanmin(x) >= 3


def test_values_stand_where_their_bucket_is() -> None:
    picture, shape = line([0.0, 10.0, 0.0, 0.0])
    high = shape.points[shape.points[:, 1] == np.nanmin(shape.points[:, 1])]
    left, width = picture.plot.left, picture.plot.width
    assert high[:, 0].tolist() == [round(left + width / 4), round(left + width / 2)]


def test_an_unknown_value_adds_nothing_to_its_stack() -> None:
    graph = Graph("g", "", Stack("a"), Stack("b"), Stack("c"), upper=10)
    series = {"a": np.array([2.0, 2.0]), "b": np.array([3.0, math.nan]), "c": np.array([4.0, 4.0])}
    picture = layout(graph, series, start=0, end=120, step=60, width=580, height=203)
    tops = [[value_at(picture, y) for y in shape.points[1:4:2, 1]] for shape in picture.shapes]
    assert tops[0] == pytest.approx([2, 2], abs=0.1)
    assert tops[1] == pytest.approx([5, 2], abs=0.1)  # unknown: an area without height
    assert tops[2] == pytest.approx([9, 6], abs=0.1)


def test_a_stack_starts_anew_on_an_area() -> None:
    graph = Graph("g", "", Area("a"), Stack("a"), Area("a"), upper=10)
    picture = layout(graph, {"a": np.array([3.0])}, start=0, end=60, step=60, width=580, height=203)
    assert [value_at(picture, shape.points[0, 1]) for shape in picture.shapes] == pytest.approx([3, 6, 3], abs=0.1)


def test_each_item_lies_above_those_before_it() -> None:
    graph = Graph("g", "", Line("a"), Area("a"), Line("a"))
    picture = layout(graph, {"a": np.ones(10)}, start=0, end=600, step=60, width=580, height=203)
    assert [type(shape) for shape in picture.shapes] == [Stroke, Fill, Stroke]


def test_soft_limits_give_way_to_data_and_rigid_ones_do_not() -> None:
    soft, _ = line([5.0, 250.0], lower=0, upper=100)
    assert soft.axis.low == 0
    assert soft.axis.high >= 250
    rigid, shape = line([5.0, 250.0], lower=0, upper=100, rigid=True)
    assert (rigid.axis.low, rigid.axis.high) == (0, 100)
    assert shape.points[-1, 1] < rigid.plot.top  # cut off there, not drawn along the edge


def test_limits_hold_without_data() -> None:
    picture, _ = line([math.nan, 1.0], lower=0, upper=100)
    assert (picture.axis.low, picture.axis.high) == (0, 100)
    empty = layout(Graph("g", "", Line("a"), lower=-5, upper=20), {}, start=0, end=60, step=60, width=580, height=203)
    assert (empty.axis.low, empty.axis.high) == (-5, 20)
    assert [text.text for text in empty.texts if text.text == "no data"]
    assert not empty.has_data


def test_a_constant_line_alone_is_no_data() -> None:
    graph = Graph("g", "", Line("a"), Line(100, "limit"))
    empty = layout(graph, {}, start=0, end=60, step=60, width=580, height=203)
    assert not empty.has_data
    assert len(empty.shapes) == 1


def test_the_legend_names_its_columns_as_the_graph_does() -> None:
    picture, _ = line([1.0, 3.0, math.nan], legend=("Maximum", "Average", "Current"))
    assert [text.text for text in picture.texts][-7:-4] == ["Maximum", "Average", "Current"]
    assert dict(picture.legend[0].numbers) == {"Maximum": 3.0, "Average": 2.0, "Current": 3.0}
    assert picture.legend[0].texts == {"Maximum": "3.00", "Average": "2.00", "Current": "3.00"}


def test_a_whole_picture_has_its_size_until_the_legend_has_many_rows() -> None:
    sizes = {}
    for rows in (1, 2, 3, 4, 26):
        graph = Graph("g", "t", *(Stack("a") for _ in range(rows)))
        picture = layout(graph, {}, start=0, end=60, step=60, width=580, height=203)
        sizes[rows] = picture.height
        assert picture.width == 580
        assert picture.plot.height >= 80
    assert sizes[1] == sizes[2] == sizes[3] == 203 < sizes[4] < sizes[26]


def test_a_plots_size_is_kept_when_that_is_asked_for() -> None:
    for graph in (CPU, CLASSES, TEMPERATURE):
        picture = layout(graph, {}, start=0, end=60, step=60, width=460, height=100, whole=False)
        assert (picture.plot.width, picture.plot.height) == (460, 100)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"end": 0}, "start before an end"),
        ({"end": 10**15}, "start before an end"),
        ({"step": 0}, "step"),
        ({"width": 3}, "width"),
        ({"height": 99999}, "height"),
        ({"zoom": 9.0}, "zoom"),
        ({"tz": "Mars/Olympus"}, "Mars/Olympus"),
        ({"tz": "../etc/passwd"}, "time zone"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_reason(wrong: dict[str, Any], said: str) -> None:
    asked: dict[str, Any] = {"start": 0, "end": 60, "step": 60, "width": 580, "height": 203} | wrong
    with pytest.raises(ValueError, match=said):
        layout(TRAFFIC, {}, **asked)


def drawn(*items: Any, count: int = 10, **more: Any) -> Picture:
    series = {"a": np.full(count, 2.0), "b": np.full(count, 3.0)}
    options = {"width": 580, "height": 203} | more
    return layout(Graph("g", "", *items, upper=10), series, start=0, end=60 * count, step=60, **options)


def rows_of(picture: Picture, number: int) -> list[float]:
    """Return the values between which a shape lies."""
    y = picture.shapes[number].points[:, 1]
    return [value_at(picture, edge) for edge in (np.nanmax(y), np.nanmin(y))]


def test_a_line_stands_on_what_it_is_stacked_on() -> None:
    picture = drawn(Area("a"), Line("b", stacked=True), Line("a", stacked=True), Line("a"))
    assert [rows_of(picture, i)[1] for i in range(4)] == pytest.approx([2, 5, 7, 2], abs=0.1)


def test_an_invisible_item_carries_what_stands_on_it() -> None:
    picture = drawn(Line("a", "", "ffffff", visible=False), Stack("b", "span"))
    assert len(picture.shapes) == 1
    assert rows_of(picture, 0) == pytest.approx([2, 5], abs=0.1)
    assert [text.text for text in picture.texts if text.text in ("a", "span")] == ["span"]


@pytest.mark.parametrize(("width", "zoom", "pixels"), [(1, 1, 1), (2, 1, 2), (3, 2, 6), (1, 1.5, 2), (2.5, 2, 5)])
def test_a_lines_thickness_grows_with_the_zoom(width: float, zoom: float, pixels: float) -> None:
    (shape,) = drawn(Line("a", width=width), zoom=zoom).shapes
    assert isinstance(shape, Stroke)
    assert shape.width == pixels


def test_ticks_stand_at_buckets_that_are_neither_zero_nor_unknown() -> None:
    series = {"a": np.array([0.0, 1.0, math.nan, -2.0])}
    graph = Graph("g", "", Tick("a", fraction=0.25), Tick("a", fraction=-0.5), lower=None)
    picture = layout(graph, series, start=0, end=240, step=60, width=580, height=203)
    plot = picture.plot
    for shape, top, bottom in zip(
        picture.shapes,
        (plot.bottom - plot.height / 4, plot.top),
        (plot.bottom, plot.top + plot.height / 2),
        strict=True,
    ):
        x, y = shape.points[:, 0], shape.points[:, 1]
        assert sorted(set(x)) == pytest.approx([plot.left + plot.width * part / 4 for part in (1, 2, 3, 4)], abs=0.6)
        assert sorted(set(y)) == pytest.approx([top, bottom], abs=0.6)


def test_rules_cross_the_plot_where_they_stand_and_only_there() -> None:
    picture = drawn(Line("a"), HorizontalRule(5), VerticalRule(300), HorizontalRule(11), VerticalRule(601))
    _, level, upright = picture.shapes
    assert [value_at(picture, y) for y in level.points[:, 1]] == pytest.approx([5, 5], abs=0.1)
    assert level.points[:, 0].tolist() == [picture.plot.left, picture.plot.right]
    middle = picture.plot.left + picture.plot.width / 2
    assert upright.points[:, 0] == pytest.approx([middle, middle], abs=1)


def test_a_rule_that_is_not_shown_is_not_in_the_legend() -> None:
    picture = drawn(Line("a", "line"), HorizontalRule(5, "in"), HorizontalRule(11, "out"), VerticalRule(601, "late"))
    assert [text.text for text in picture.texts if text.text in ("line", "in", "out", "late")] == ["line", "in"]


def test_a_picture_grows_with_what_is_written_below_it() -> None:
    heights = [drawn(Line("a"), *(Comment("x", ending="l") for _ in range(lines))).height for lines in (3, 8, 20)]
    assert heights[0] == 203
    assert heights[0] < heights[1] < heights[2]


def test_colours_that_come_again_are_lighter_or_darker() -> None:
    picture = drawn(*(Stack("a") for _ in range(26)))
    assert len({row.colour for row in picture.legend}) == 26


class Largest(Scalar):
    """The largest value of a series, and when it was."""

    def __init__(self, name: str) -> None:
        self.name = name

    def names(self) -> Iterator[str]:
        yield self.name

    def evaluate(self, data: Data) -> np.float64:
        return np.nanmax(data[self.name])

    def when(self, data: Data) -> float:
        return data.start + data.step * (1.0 + int(np.nanargmax(data[self.name])))


def test_numbers_and_times_are_written_in_their_formats() -> None:
    values = np.full(60, 1.0)
    values[29] = 12_345.0
    graph = Graph(
        "g", "", Line("a", "a"), Print(Largest("a"), "Max %6.2lf %s", ending="l"),
        Print(Largest("a"), "at %H:%M", when=True, ending="l"), VerticalRule(Largest("a"), "peak"),
    )  # fmt: skip
    picture = layout(graph, {"a": values}, start=0, end=3600, step=60, width=580, height=203, tz="Europe/Berlin")
    texts = [text.text for text in picture.texts]
    assert "Max  12.35 k" in texts
    assert "at 01:30" in texts
    assert "peak" in texts
    middle = picture.plot.left + picture.plot.width / 2
    assert picture.shapes[-1].points[:, 0] == pytest.approx([middle, middle], abs=1)


def test_a_long_unit_is_written_beyond_the_plots_ends_before_it_is_cut() -> None:
    for unit, shown in (("TCP established", "TCP established"), ("x" * 60, "xxxxxxxxxxxx")):
        picture = layout(Graph("g", "t", Line("a"), unit=unit), {}, start=0, end=60, step=60, width=580, height=203)
        (label,) = [text for text in picture.texts if text.upright]
        assert label.text.startswith(shown)
        assert label.box.top >= picture.texts[0].box.bottom


def test_a_line_may_have_a_unit_of_its_own_in_the_legend() -> None:
    graph = Graph(
        "d", "Disk", Area("a", "used"), Line(100 * Name("a") / 2**30, "part", unit="percent"), unit="bytes", base=1024
    )
    made = layout(graph, {"a": np.full(3, 2.0**29)}, start=0, end=180, step=60, width=580, height=203)
    assert [row.texts["Cur"] for row in made.legend] == ["512.00 MiB", "50.00 %"]


@pytest.mark.parametrize(
    ("title", "shown", "size"),
    [
        ("cpu  ston1  12 hours", "cpu  ston1  12 hours", 12),
        ("client_traffic  a.example.com  12 hours", "client_traffic  a.example.com", 10),
        ("client_http_res_detail  ston1  12 hours", "client_http_res_detail  ston1", 10),
        ("hitratio  www.example.com/bar/myLiveStream  1 day", "hitratio  www.example.com/bar/m…", 10),
        ("client_mpegdash_res_detail  www.example.com  1 day", "client_mpegdash_res_detail", 12),
    ],
)
def test_a_narrow_picture_has_the_parts_of_its_title_that_have_room(title: str, shown: str, size: int) -> None:
    found = layout(TRAFFIC, traffic(144), start=0, end=DAY // 2, step=300, width=205, height=175, title=title).texts[0]
    assert (found.text, found.font.size) == (shown, size)


def test_a_narrow_legend_has_names_of_usual_length_whole_and_the_columns_that_have_room() -> None:
    graph = Graph("hits", "Hits", Area("a", "Request Hit Ratio"), Line("b", "TCP_CLIENT_REFRESH_MISS"), unit="percent",
                  legend=("Max", "Average", "Current"))  # fmt: skip
    series = {"a": np.full(144, 97.18), "b": np.full(144, 93.87)}
    found = layout(graph, series, start=0, end=DAY // 2, step=300, width=205, height=175)
    texts = [one.text for one in found.texts]
    assert {"Request Hit Ratio", "97.18 %", "Max"} <= set(texts)
    assert not {"Average", "Current"} & set(texts)
    assert all(one.box.left >= 0 and one.box.right <= 205 for one in found.texts)
