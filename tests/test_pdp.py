from __future__ import annotations

import math
import random
import statistics
import time as clock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.pdp import pdps

NAN = math.nan
Row = tuple[float, float, float]  # since, time, value


def of(*rows: Row, step: int = 60, heartbeat: float = 120, **more: float) -> dict[int, float]:
    since, time, value = zip(*rows, strict=True) if rows else ((), (), ())
    ends, values = pdps(time, since, value, step=step, heartbeat=heartbeat, **more)  # type: ignore[arg-type]
    assert ends.dtype == np.int64
    assert len(ends) == len(values)
    assert (np.diff(ends) == step).all()
    return dict(zip(ends.tolist(), values.tolist(), strict=True))


def same(ours: dict[int, float], theirs: dict[int, float]) -> None:
    assert ours.keys() == theirs.keys()
    np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=1e-12)


def test_no_rows_give_no_pdps() -> None:
    same(of(), {})


def test_rows_on_the_edges_are_the_pdps() -> None:
    same(of((0, 60, 1), (60, 120, 2), (120, 180, 0.1)), {60: 1, 120: 2, 180: 0.1})


def test_a_value_is_spread_over_the_pdps_by_its_seconds() -> None:
    same(of((0, 30, 1), (30, 150, 5), (150, 270, 3), (270, 300, 4)), {60: 3, 120: 5, 180: 4, 240: 3, 300: 3.5})


def test_a_pdp_that_no_row_completes_is_not_there() -> None:
    same(of((0, 60, 1), (60, 119, 2)), {60: 1})
    same(of((10, 59, 1)), {})


def test_until_completes_what_the_last_row_left_open() -> None:
    same(of((0, 60, 1), (60, 100, 2), until=240), {60: 1, 120: 2, 180: NAN, 240: NAN})
    same(of((0, 60, 1), (60, 100, 2), until=239.9), {60: 1, 120: 2, 180: NAN})
    same(of((0, 60, 1), (60, 120, 2), until=90), {60: 1, 120: 2})


def test_start_and_end_keep_the_pdps_that_lie_wholly_between() -> None:
    rows = [(60.0 * i, 60.0 * i + 60, float(i)) for i in range(10)]
    same(of(*rows, start=120, end=300), {180: 2, 240: 3, 300: 4})
    same(of(*rows, start=121, end=299), {240: 3})
    same(of(*rows, start=6000, end=9000), {})


@pytest.mark.parametrize(("first", "shown"), [(30, True), (31, False)])
def test_more_than_half_a_step_before_the_first_row_is_too_much(first: int, shown: bool) -> None:
    assert math.isfinite(of((first, 60, 7))[60]) is shown


def test_unknown_seconds_of_the_last_piece_do_not_count() -> None:
    same(of((0, 1, 7), (1, 60, NAN)), {60: 7})
    same(of((0, 40, NAN), (40, 60, 7)), {60: NAN})
    same(of((0, 30, NAN), (30, 60, 7)), {60: 7})


def test_without_a_known_second_a_pdp_is_unknown() -> None:
    same(of((0, 60, 1), (60, 80, NAN), (80, 180, NAN)), {60: 1, 120: NAN, 180: NAN})
    # rrdtool 1.7.2 gives 0 here, from 0 value seconds in half a second that its rounding left over
    same(of((0, 60, 1), (60, 80.5, NAN), (80.5, 129.5, NAN)), {60: 1, 120: NAN})


def test_a_row_longer_than_the_heartbeat_is_unknown_as_a_whole() -> None:
    same(of((0, 60, 1), (60, 180, 5)), {60: 1, 120: 5, 180: 5})
    same(of((0, 60, 1), (60, 181, 5), (181, 240, 2)), {60: 1, 120: NAN, 180: NAN, 240: 2})


def test_seconds_between_two_rows_are_unknown() -> None:
    same(of((0, 60, 1), (80, 120, 4), (120, 180, 5)), {60: 1, 120: 4, 180: 5})
    same(of((0, 60, 1), (91, 120, 4), (120, 180, 5)), {60: 1, 120: NAN, 180: 5})
    same(of((0, 60, 1), (600, 660, 4)), {60: 1, **dict.fromkeys(range(120, 601, 60), NAN), 660: 4})


def test_a_late_row_takes_its_part_of_the_row_that_it_lies_in() -> None:
    same(of((0, 60, 1), (60, 180, 5), (60, 120, 9)), {60: 1, 120: 9, 180: 5})
    same(of((0, 60, 1), (60, 180, 5), (0, 120, 9)), {60: 1, 120: 9, 180: 5})
    # what is left of the other is within the heartbeat, and begins where the late row ends
    same(of((0, 240, 5), (60, 120, 9)), {120: 9, 180: 5, 240: 5})


def test_rows_may_come_in_any_order() -> None:
    rows = [(60.0 * i, 60.0 * i + 60, float(i)) for i in range(50)]
    shuffled = random.Random(1).sample(rows, len(rows))
    same(of(*shuffled), of(*rows))


def test_of_rows_with_the_same_time_the_first_known_one_stands() -> None:
    same(of((0, 60, 1), (0, 60, 2)), {60: 1})
    same(of((0, 60, NAN), (0, 60, 2), (0, 60, 3)), {60: 2})
    same(of((0, 60, 1), (60, 120, 5), (0, 120, 9)), {60: 1, 120: 5})


@pytest.mark.parametrize(
    "bad", [(60, 60, 9), (90, 60, 9), (NAN, 60, 9), (0, NAN, 9), (-math.inf, 60, 9), (0, math.inf, 9), (0, 1e300, 9)]
)
def test_a_row_that_covers_nothing_is_left_out(bad: Row) -> None:
    same(of((0, 60, 1), bad, (60, 120, 2)), {60: 1, 120: 2})
    same(of(bad), {})


def test_a_value_that_is_not_finite_is_unknown() -> None:
    same(of((0, 60, math.inf), (60, 120, -math.inf), (120, 180, 1)), {60: NAN, 120: NAN, 180: 1})


def test_times_count_in_microseconds() -> None:
    base = 1_795_003_200
    made = of((base, base + 20.25, 8), (base + 20.25, base + 60.5, 4), (base + 60.5, base + 120, 2))
    same(made, {base + 60: (20.25 * 8 + 39.75 * 4) / 60, base + 120: (0.5 * 4 + 59.5 * 2) / 60})


def test_times_before_1970_are_times() -> None:
    same(of((-90, -30, 1), (-30, 30, 3)), {-60: 1, 0: 2})


def test_columns_are_as_each_alone() -> None:
    chance = np.random.default_rng(3)
    time = np.cumsum(chance.integers(1, 100, 200)) + 0.5
    since = np.append(0.5, time[:-1])
    values = np.where(chance.random((200, 4)) < 0.2, NAN, chance.random((200, 4)))
    ends, together = pdps(time, since, values, step=60, heartbeat=90)
    for column in range(4):
        alone = pdps(time, since, values[:, column], step=60, heartbeat=90)
        np.testing.assert_array_equal(ends, alone[0])
        np.testing.assert_allclose(together[:, column], alone[1], rtol=1e-12)
    ends, none = pdps([], [], np.empty((0, 4)), step=60, heartbeat=90)
    assert none.shape == (0, 4)


@pytest.mark.parametrize("step", [0, -60, 0.5])
def test_a_step_that_is_not_whole_seconds_is_refused(step: float) -> None:
    with pytest.raises(ValueError, match="expected a step of whole seconds"):
        pdps([60], [0], [1], step=step, heartbeat=120)  # type: ignore[arg-type]


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 times, 1 since, 1"):
        pdps([60, 120], [0], [1], step=60, heartbeat=120)


seconds = st.integers(0, 2000).map(lambda eighth: eighth / 8)
known = st.floats(-1e6, 1e6) | st.just(NAN)


def by_hand(rows: list[Row], step: int, heartbeat: float) -> dict[int, float]:
    """The same rules second by second (in eighths), in plain Python."""
    first: dict[float, Row] = {}
    for row in rows:
        stands = first.get(row[1])
        if row[0] < row[1] and (stands is None or (math.isnan(stands[2]) and not math.isnan(row[2]))):
            first[row[1]] = row
    ordered = sorted(first.values(), key=lambda row: row[1])
    if not ordered:
        return {}
    intervals: list[Row] = []
    covered = ordered[0][0] // step * step
    for since, time, value in ordered:
        begin = max(since, covered)
        if begin > covered:
            intervals.append((covered, begin, NAN))
        intervals.append((begin, time, NAN if time - begin > heartbeat else value))
        covered = time
    made = {}
    for end in range(int(intervals[0][0] // step * step) + step, int(covered) + 1, step):
        pieces = [(max(a, end - step), min(b, end), v) for a, b, v in intervals if a < end and b > end - step]
        counted = math.floor if step >= 60 else float
        unknown = sum(counted(b - a) for a, b, v in pieces[:-1] if math.isnan(v))
        a, b, v = pieces[-1]
        rest = step - unknown - (b - a if math.isnan(v) else 0)
        values = [(b - a) * v for a, b, v in pieces if not math.isnan(v)]
        made[end] = sum(values) / rest if values and unknown <= step / 2 else NAN
    return made


@settings(max_examples=100)
@given(st.lists(st.tuples(seconds, seconds, known), max_size=30), st.integers(1, 70), st.integers(1, 100))
def test_any_rows_give_what_the_rules_give_by_hand(rows: list[Row], step: int, heartbeat: int) -> None:
    ours, theirs = of(*rows, step=step, heartbeat=heartbeat), by_hand(rows, step, heartbeat)
    assert ours.keys() == theirs.keys()
    np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=1e-9, atol=1e-6)


@given(st.lists(st.tuples(seconds, seconds, known), max_size=30), st.integers(1, 70), st.integers(0, 250))
def test_a_window_shows_what_the_whole_shows(rows: list[Row], step: int, start: int) -> None:
    whole = of(*rows, step=step)
    part = of(*rows, step=step, start=start, end=start + 100)
    same(part, {end: value for end, value in whole.items() if end - step >= start and end <= start + 100})


def test_two_days_of_minutes_take_about_a_millisecond_not_a_loop_over_rows() -> None:
    time = 1_795_003_200 + np.arange(1, 2881) * 60 + np.random.default_rng(1).integers(0, 20, 2880)
    since = np.append(1_795_003_200, time[:-1])
    value = np.where(np.arange(2880) % 50 == 0, NAN, 1.0)
    took = []
    for _ in range(9):
        begun = clock.perf_counter()
        pdps(time, since, value, step=60, heartbeat=120)
        took.append(clock.perf_counter() - begun)
    assert statistics.median(took) < 0.02, "a loop over rows takes more even on a quiet machine"


@pytest.mark.parametrize("step", [1, 2, 5, 10, 30])
def test_a_constant_of_a_short_interval_begins_as_that_constant(step: int) -> None:
    time = 1_795_003_200.7 + step * np.arange(1, 20)
    _, values = pdps(time, time - step, np.full(19, 7.5), step=step, heartbeat=120)
    np.testing.assert_allclose(values[np.isfinite(values)], 7.5, rtol=1e-12)
    assert np.isfinite(values[1:]).all()
