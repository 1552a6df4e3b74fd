"""Whatever the data, the size and the span: a layout is made, its texts lie inside the picture and apart."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.graph.layout import layout
from monitor.graph.model import (
    Align,
    Area,
    Comment,
    Element,
    Graph,
    HorizontalRule,
    Line,
    Stack,
    Tick,
    VerticalRule,
)  # fmt: skip
from monitor.graph.picture import Font, Picture, Rect, cells, shortened
from monitor.graph.render import render

ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo")
WORDS = st.text(max_size=60) | st.sampled_from(["", "CPU usage", "配信サーバー", "x" * 500, "e\u0301\u200b", "\n\t\0"])
VALUES = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, math.nan, 1.0, -1.0, 42.5, 1e9])
LIMITS = st.none() | st.sampled_from([0.0, 1.0, 100.0, -10.0, 1e12]) | st.floats(-1e15, 1e15)
COLUMNS = ("Cur", "Ave", "Max", "Min", "Current", "Average", "Maximum", "Minimum")


ENDINGS = st.sampled_from(["", "", "l", "r", "c", "j", "n", "s", "g"])
PLACES = st.sampled_from([0.0, 5.0, -3.0, 1e9, math.nan, math.inf, 1_000_000_000.0])


@st.composite
def elements(draw: st.DrawFn, number: int, written: bool) -> Element:
    legend, value = draw(WORDS), f"s{number % 3}"
    ending = draw(ENDINGS) if written else ""
    common: dict[str, Any] = {"visible": draw(st.sampled_from([True, True, False])), "ending": ending}
    dashes = draw(st.sampled_from([(), (), (5,), (3, 2), (0, 0), (1, 2, 3)]))
    match draw(st.integers(0, 9 if written else 7)):
        case 0 | 1:
            return Area(value, legend, **common)
        case 2 | 3:
            return Stack(value, legend, **common)
        case 4:
            return Line(value, legend, width=draw(st.sampled_from([1, 2, 0.5, 30])), dashes=dashes, **common)
        case 5:
            return Line(value, legend, stacked=True, dash_offset=3, dashes=dashes, **common)
        case 6:
            return Tick(value, legend, fraction=draw(st.sampled_from([0.1, -0.2, 0, 1, 7])), ending=ending)
        case 7:
            return draw(st.sampled_from([HorizontalRule, VerticalRule]))(
                draw(PLACES), legend, dashes=dashes, ending=ending
            )
        case 8:
            return Align(draw(st.sampled_from(["left", "right", "centre", "justified"])))
        case _:
            return Comment(draw(WORDS), ending=ending)


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    written = draw(st.booleans())
    items = [draw(elements(i, written)) for i in range(draw(st.integers(0, 7)))]
    lower, upper = draw(LIMITS), draw(LIMITS)
    if lower is not None and upper is not None and lower > upper:
        lower, upper = upper, lower
    graph = Graph(
        "g",
        draw(WORDS),
        *items,
        unit=draw(WORDS | st.sampled_from(["%", "bit/s", "s", "bytes"])),
        base=draw(st.sampled_from([1000, 1024])),
        lower=lower,
        upper=upper,
        rigid=draw(st.booleans()),
        legend=tuple(draw(st.lists(st.sampled_from(COLUMNS), unique=True, max_size=5))),
    )
    span = draw(st.integers(1, 4 * 366 * 86400))
    count = draw(st.integers(1, 2000))
    start = draw(st.integers(0, 2_000_000_000))
    few = draw(st.lists(VALUES, min_size=1, max_size=12))
    series = {f"s{i}": np.resize(np.roll(few, i), count) for i in range(draw(st.integers(0, 3)))}
    return {
        "graph": graph,
        "series": series,
        "start": start,
        "end": start + span,
        "step": max(1, span // count),
        "width": draw(st.integers(40, 1400) | st.just(580)),
        "height": draw(st.integers(20, 700) | st.just(203)),
        "whole": draw(st.booleans()),
        "only": draw(st.sampled_from([False, False, False, True])),
        "tz": draw(st.sampled_from(ZONES)),
        "zoom": draw(st.sampled_from([1.0, 1.0, 1.5, 2.0])),
        "peaks": draw(st.sampled_from([None, series])),
    }


def problems(picture: Picture) -> list[str]:
    whole = Rect(0, 0, picture.width, picture.height)
    found = [
        f"{text} is not inside {whole}"
        for text in picture.texts
        if text.box.left < 0 or text.box.top < 0 or text.box.right > whole.right or text.box.bottom > whole.bottom
    ]
    for one, other in combinations(picture.texts, 2):
        a, b = one.box, other.box
        if a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom:
            found.append(f"{one.text!r} at {a} touches {other.text!r} at {b}")
    boxes = (*picture.boxes, *picture.frame)
    found += [
        f"{box.rect} is not inside"
        for box in boxes
        if not (0 <= box.rect.left <= box.rect.right <= picture.width)
        or not (0 <= box.rect.top <= box.rect.bottom <= picture.height)
    ]
    for shape in picture.shapes:
        rows = shape.points[np.isfinite(shape.points).all(axis=1)]
        if len(rows) and not (np.abs(rows) < 20_000).all():
            found.append("a shape lies far outside")
    return found


@given(questions())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_texts_lie_inside_the_picture_and_apart_whatever_is_drawn(question: dict[str, Any]) -> None:
    assert not problems(layout(**question))


@given(questions())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_laid_out_can_be_rendered(question: dict[str, Any]) -> None:
    assert render(layout(**question)).startswith(b"\x89PNG")


@given(WORDS, st.integers(0, 40))
def test_a_shortened_text_has_at_most_the_cells_allowed_and_can_be_printed(text: str, most: int) -> None:
    short = shortened(text, most)
    assert cells(short) <= most
    assert short.isprintable()


def test_wide_characters_take_two_cells_and_joining_ones_none() -> None:
    assert [cells(text) for text in ("abc", "配信", "e\u0301", "ｱ")] == [3, 4, 1, 1]
    assert Font(11).width("abc") == 21
    assert shortened("配信サーバー", 7) == "配信サ…"
