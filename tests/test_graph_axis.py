"""Axes and numbers: round ticks, round local times, and values as people read them."""

from __future__ import annotations

import math
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.graph.axis import ValueAxis, value_axis
from monitor.graph.colour import Colour, colour
from monitor.graph.timeaxis import time_axis
from monitor.graph.units import text

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("value", "base", "unit", "expected"),
    [
        (17.44, 1000, "%", "17.44 %"),
        (1744.0, 1000, "%", "1744.00 %"),
        (6310, 1000, "bit/s", "6.31 kbit/s"),
        (592, 1000, "bit/s", "592.00 bit/s"),
        (999.994, 1000, "bit/s", "999.99 bit/s"),
        (999.996, 1000, "bit/s", "1.00 kbit/s"),
        (-1234567, 1000, "bytes/s", "-1.23 MB/s"),
        (841, 1000, "connections", "841.00"),
        (1400, 1000, "connections", "1.40 k"),
        (0.012, 1000, "s", "12.00 ms"),
        (0.000012, 1000, "s", "12.00 µs"),
        (0.012, 1000, "", "0.012"),
        (0.00001, 1000, "", "1.0e-05"),
        (1.5 * 2**30, 1024, "bytes", "1.50 GiB"),
        (1023, 1024, "bytes", "1023.00 B"),
        (2048, 1024, "", "2.00 Ki"),
        (0, 1000, "bit/s", "0.00 bit/s"),
        (1e40, 1000, "", "1.0e+40"),
        (math.nan, 1000, "bit/s", "-"),
        (math.inf, 1000, "bit/s", "-"),
    ],
)
def test_values_are_written_as_people_read_them(value: float, base: int, unit: str, expected: str) -> None:
    assert text(value, base, unit) == expected


def axis(low: float, high: float, *, base: int = 1000, unit: str = "", **limits: float | None) -> ValueAxis:
    lower, upper = limits.get("lower", 0.0), limits.get("upper")
    return value_axis(low, high, lower=lower, upper=upper, rigid=False, base=base, unit=unit, most=5, most_minor=20)


@pytest.mark.parametrize(
    ("made", "labels"),
    [
        (axis(0, 978e6), ["0", "200 M", "400 M", "600 M", "800 M", "1000 M"]),
        (axis(0, 1.1e9), ["0", "0.25 G", "0.50 G", "0.75 G", "1.00 G"]),
        (axis(3, 71, upper=100.0), ["0", "20", "40", "60", "80", "100"]),
        (axis(0, 16.5 * 2**30, base=1024), ["0", "5 Gi", "10 Gi", "15 Gi"]),
        (axis(0, 700 * 2**20, base=1024), ["0", "200 Mi", "400 Mi", "600 Mi"]),
        (axis(-30, 70), ["-25", "0", "25", "50", "75"]),
        (axis(0, 0), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (axis(42.5, 42.5, lower=None), ["40", "41", "42", "43", "44", "45"]),
        (axis(0, 0.0007, unit="s"), ["0", "200 µ", "400 µ", "600 µ"]),
        (axis(math.nan, math.nan, upper=100.0), ["0", "20", "40", "60", "80", "100"]),
    ],
)
def test_ticks_stand_on_round_numbers(made: ValueAxis, labels: list[str]) -> None:
    assert [label for _, label in made.ticks] == labels


@given(st.floats(-1e300, 1e300), st.floats(0, 1e300), st.sampled_from([1000, 1024]), st.sampled_from([None, 0.0, 5.0]))
def test_an_axis_holds_its_data_and_its_ticks_tell_values_apart(
    low: float, span: float, base: int, lower: float | None
) -> None:
    high = low + span
    made = axis(low, high, base=base, lower=lower)
    assert made.low < made.high
    assert made.low <= max(low, -1e200) + max(abs(low), abs(high)) * 1e-8 + 1e-190
    assert made.high >= min(high, 1e200) - max(abs(low), abs(high)) * 1e-8 - 1e-190
    assert 1 <= len(made.ticks) <= 8
    assert all(made.low - 1e-6 * abs(made.low) <= y <= made.high + 1e-6 * abs(made.high) for y, _ in made.ticks)
    labels = [label for _, label in made.ticks]
    assert len(set(labels)) == len(labels)
    assert max(map(len, labels)) <= (10 if abs(low) + abs(high) < 1e24 and made.high - made.low > 1e-3 else 14)


def at(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=BERLIN).timestamp())  # type: ignore[misc,arg-type]


def labels(start: int, end: int, characters: float = 70) -> list[str]:
    return [label for _, label in time_axis(start, end, zone=BERLIN, characters=characters).labels]


def test_every_span_has_labels_that_suit_it() -> None:
    end = at(2026, 11, 21, 4)
    assert labels(end - 300, end) == ["03:55", "03:56", "03:57", "03:58", "03:59", "04:00"]
    assert labels(end - 3600, end)[:3] == ["03:00", "03:10", "03:20"]
    assert labels(end - 86400, end) == ["06:00", "09:00", "12:00", "15:00", "18:00", "21:00", "Sat 21", "03:00"]
    assert labels(end - 7 * 86400, end)[:3] == ["Sat 14", "Sun 15", "Mon 16"]
    assert labels(end - 31 * 86400, end) == ["26 Oct", "02 Nov", "09 Nov", "16 Nov"]
    assert labels(end - 365 * 86400, end)[:3] == ["Dec", "2026", "Feb"]
    assert labels(end - 1095 * 86400, end) == ["2024", "Jul", "2025", "Jul", "2026", "Jul"]
    assert labels(end - 40 * 365 * 86400, end)[-3:] == ["2015", "2020", "2025"]


def test_days_with_a_moved_clock_have_ticks_at_round_local_times() -> None:
    for day in (at(2026, 3, 29), at(2026, 10, 25)):
        for characters in (50, 100, 200, 400):
            made = time_axis(day - 7200, day + 36 * 3600, zone=BERLIN, characters=characters)
            ticks = sorted((*made.major, *made.rules))
            shown = [datetime.fromtimestamp(tick, BERLIN) for tick in ticks]
            assert all(one.minute % 10 == 0 for one in shown)
            assert {0} == {one.minute % 15 for one in shown} or max(b - a for a, b in pairwise(ticks)) <= 1800
            assert len(set(ticks)) == len(ticks)


def test_an_hour_that_comes_twice_is_labelled_twice_and_one_that_is_skipped_not_at_all() -> None:
    back = labels(at(2026, 10, 25, 1), at(2026, 10, 25, 5))
    assert back.count("02:00") == 2
    wide = labels(at(2026, 10, 24, 12), at(2026, 10, 25, 12), characters=110)
    assert wide.count("02:00") == 1  # two hours apart, only the first
    assert "22:00" in wide
    forward = labels(at(2026, 3, 29, 0, 30), at(2026, 3, 29, 5))
    assert "01:30" in forward
    assert "02:30" not in forward


def test_a_day_that_begins_at_one_o_clock_has_its_boundary_there() -> None:
    zone = ZoneInfo("America/Sao_Paulo")  # midnight of 2018-11-04 was skipped
    start = int(datetime(2018, 11, 3, 12, tzinfo=zone).timestamp())
    (rule,) = time_axis(start, start + 86400, zone=zone, characters=70).rules
    assert datetime.fromtimestamp(rule, zone).isoformat() == "2018-11-04T01:00:00-02:00"


@given(st.integers(-2_000_000_000, 4_000_000_000), st.integers(1, 4_000_000_000), st.floats(1, 300))
def test_ticks_of_any_span_are_few_and_inside(start: int, span: int, characters: float) -> None:
    made = time_axis(start, start + span, zone=BERLIN, characters=characters)
    every = (*made.major, *made.minor, *made.rules)
    assert all(start <= tick <= start + span for tick in every)
    assert len(set(every)) == len(every)
    assert len(made.labels) <= characters + 2
    assert len(every) <= 20 * characters + 40


def test_colours_are_read_as_hex_with_or_without_opacity() -> None:
    assert colour("00cc00B4") == (0, 204, 0, 180)
    assert colour("#0000ff") == Colour(0, 0, 255)
    assert str(colour("00cc00b4")) == "00cc00b4"
    assert str(colour("00cc00b4").on_white()) == "4bdb4b"
    for wrong in ("", "red", "00cc0", "00cc00b", "0 0cc00", "00cc00b4ff"):
        with pytest.raises(ValueError, match="RRGGBB"):
            colour(wrong)
