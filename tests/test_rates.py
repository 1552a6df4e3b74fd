from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rrd import Rrd

from monitor.batch import REAL, SIGNED, UNSIGNED, Batch, Block, Kind, Limits, Row, Source
from monitor.pdp import pdps
from monitor.rates import Rates, Undo

NAN = math.nan
GAUGE, COUNTER, DERIVE, ABSOLUTE = Kind.GAUGE, Kind.COUNTER, Kind.DERIVE, Kind.ABSOLUTE
A, B = Source("web1", "app"), Source("web2", "app")
Cell = tuple[float, float, float]  # time, since, rate
Rated = dict[tuple[Source, str], list[Cell]]


def report(time: float, source: Source = A, interval: float = 60.0, **values: tuple[Kind, float]) -> Batch:
    kinds = {name: kind for name, (kind, _) in values.items()}
    return Batch(source, time, {name: value for name, (_, value) in values.items()}, kinds, {}, interval)


def cells(blocks: Iterable[Block]) -> Rated:
    found: Rated = {}
    for block in blocks:
        for row, source in enumerate(block.sources):
            for column, name in enumerate(block.layout.names):
                cell = (float(block.times[row]), float(block.since[row]), float(block.rates[row, column]))
                found.setdefault((source, name), []).append(cell)
    return {series: sorted(rows) for series, rows in found.items()}


def series(rates: Rates, *batches: Batch) -> dict[str, list[Cell]]:
    """Apply batches of source A one by one, all accepted; return its cells by name."""
    blocks = []
    for batch in batches:
        made, reasons = rates.apply([batch])
        assert reasons == [None]
        blocks += made
    return {name: rows for (_, name), rows in cells(blocks).items()}


def rate_of(kind: Kind, before: float, after: float, *, seconds: float = 60, **more: object) -> float:
    """Return the rate of the second of two reports."""
    first, second = report(600, v=(kind, before)), report(600 + seconds, v=(kind, after))
    for name, value in more.items():
        setattr(first, name, value)
        setattr(second, name, value)
    return series(Rates(), first, second)["v"][-1][2]


def same(got: object, expected: object) -> None:
    np.testing.assert_equal(got, expected)


def test_a_gauge_is_as_it_is_and_an_absolute_is_divided_by_the_time() -> None:
    got = series(Rates(), report(60, g=(GAUGE, 5), a=(ABSOLUTE, 30)), report(90, g=(GAUGE, 7), a=(ABSOLUTE, 30)))
    assert got == {"g": [(60, 0, 5), (90, 60, 7)], "a": [(60, 0, 0.5), (90, 60, 1)]}


def test_a_first_counter_is_unknown_and_the_next_is_the_growth_over_the_elapsed_time() -> None:
    got = series(Rates(), report(60, c=(COUNTER, 100)), report(100, c=(COUNTER, 180)), report(110, c=(COUNTER, 180)))
    same(got, {"c": [(60, 0, NAN), (100, 60, 2), (110, 100, 0)]})


def test_the_counter_after_an_unknown_one_is_unknown() -> None:
    values = [100, NAN, 300, 360]
    got = series(Rates(), *(report(60.0 * i, c=(DERIVE, value)) for i, value in enumerate(values, 1)))
    same([rate for _, _, rate in got["c"]], [NAN, NAN, NAN, 1])


def test_a_fallen_derive_is_a_reset_unless_it_has_no_minimum() -> None:
    same(rate_of(DERIVE, 600, 0), NAN)
    assert rate_of(DERIVE, 600, 0, limits={"v": Limits()}) == -10


def test_a_fallen_counter_wraps_at_32_and_then_at_64_bits() -> None:
    assert rate_of(COUNTER, 2**32 - 60, 60) == 2
    assert rate_of(COUNTER, 2**64 - 60, 60) == 2
    assert rate_of(COUNTER, 2**64 - 1, 59) == 1


def test_a_wrap_beyond_the_maximum_is_unknown() -> None:
    same(rate_of(COUNTER, 1000, 10, seconds=1), NAN)  # 2^32 within a second
    assert rate_of(COUNTER, 1000, 1000 - 60) == (2**32 - 60) / 60  # the most that is believed of 32 bits
    same(rate_of(COUNTER, 2**40, 10), NAN)  # 1.8e19 within a minute
    same(rate_of(COUNTER, 2**32 - 60, 60, limits={"v": Limits(0, 1.9)}), NAN)
    assert rate_of(COUNTER, 2**32 - 60, 60, limits={"v": Limits(0, 2)}) == 2


def test_a_wrap_with_a_fallen_uptime_is_a_restart() -> None:
    for up in ({"meta": {"uptime": "1000"}}, {"values": {"c": 2**32 - 60, "uptime": 1000.0}}):
        for after, expected in ((1060, 2.0), (5, NAN)):
            batches = [report(60, c=(COUNTER, 2**32 - 60)), report(120, c=(COUNTER, 60))]
            for batch, uptime in zip(batches, (1000, after), strict=True):
                if "meta" in up:
                    batch.meta["uptime"] = str(uptime)
                else:
                    batch.values["uptime"] = uptime
            same(series(Rates(), *batches)["c"][-1][2], expected)
            blocks, _ = Rates().apply(batches)  # both at once
            same(cells(blocks)[A, "c"][-1][2], expected)


def test_values_outside_the_limits_are_unknown() -> None:
    limits = {"v": Limits(0, 100)}
    for value, expected in ((-1, NAN), (0, 0), (100, 100), (101, NAN)):
        same(rate_of(GAUGE, 1, value, limits=limits), expected)
    same(rate_of(DERIVE, 0, 60 * 101, limits=limits), NAN)
    same(rate_of(COUNTER, 0, 60 * 100, limits=limits), 100)


@settings(max_examples=66)
@given(st.integers(-(2**63), 2**64 - 1), st.integers(-(2**63), 2**64 - 1))
def test_differences_of_integers_are_exact_to_64_bits(before: int, after: int) -> None:
    got = rate_of(DERIVE, before, after, seconds=1, limits={"v": Limits()})
    assert got == pytest.approx(float(after - before), rel=2e-16)


def test_neighbours_above_2_to_the_53_differ_by_one() -> None:
    for base in (2**53 - 1, 2**53, -(2**53) - 1, 2**60, 2**63 - 1, 2**63, 2**64 - 2, -(2**63)):
        assert rate_of(DERIVE, base, base + 1, seconds=1) == 1
        assert rate_of(COUNTER, base, base + 1, seconds=1) == 1


def test_an_integer_beyond_64_bits_and_an_infinity_are_unknown() -> None:
    for value in (2**64, -(2**63) - 1, 10**400, math.inf, -math.inf):
        same(rate_of(DERIVE, 0, value, limits={"v": Limits()}), NAN)
    same(rate_of(GAUGE, 0, 10**400), NAN)
    same(rate_of(GAUGE, 0, math.inf), NAN)


def test_a_counter_of_fractions_is_counted_too() -> None:
    assert rate_of(DERIVE, 0.5, 30.5) == 0.5
    assert rate_of(DERIVE, 1, 30.5) == pytest.approx(29.5 / 60)


def test_the_block_keeps_what_was_reported() -> None:
    values = [5, 2**63 - 1, 2**64 - 1, -7, 0.25, NAN, 1e300]
    block = Rates().apply([report(60, **{f"v{i}": (DERIVE, value) for i, value in enumerate(values)})])[0][0]
    same(block.exact(0), values)
    assert [type(value) for value in block.exact(0)] == [int, int, int, int, float, float, float]
    assert block.raw_tags[0, [0, 2, 4]].tolist() == [SIGNED, UNSIGNED, REAL]


def test_a_value_with_an_older_report_gets_a_row_of_its_own() -> None:
    got = series(
        Rates(),
        report(60, a=(DERIVE, 0), b=(DERIVE, 0)),
        report(120, a=(DERIVE, 60)),
        report(180, a=(DERIVE, 120), b=(DERIVE, 240)),
        report(240, a=(DERIVE, 180), b=(DERIVE, 300)),
    )
    same(got["a"], [(60, 0, NAN), (120, 60, 1), (180, 120, 1), (240, 180, 1)])
    same(got["b"], [(60, 0, NAN), (180, 60, 2), (240, 180, 1)])


def test_a_new_series_of_a_known_source_begins_one_interval_back() -> None:
    got = series(Rates(), report(60, a=(GAUGE, 1)), report(130, a=(GAUGE, 2), b=(GAUGE, 3), c=(DERIVE, 1)))
    same(got, {"a": [(60, 0, 1), (130, 60, 2)], "b": [(130, 70, 3)], "c": [(130, 60, NAN)]})


def test_a_late_gauge_covers_its_own_interval_and_no_more_than_is_free() -> None:
    rates = Rates()
    series(rates, *(report(time, g=(GAUGE, 1)) for time in (60, 150, 300)))
    assert series(rates, report(250, g=(GAUGE, 5)))["g"] == [(250, 190, 5)]
    assert series(rates, report(170, g=(GAUGE, 5)))["g"] == [(170, 150, 5)]
    assert series(rates, report(360, g=(GAUGE, 1)))["g"] == [(360, 300, 1)]  # the newest is still that of 300
    assert rates.stats.late == 0


def test_a_late_counter_is_refused_and_counted() -> None:
    rates = Rates()
    series(rates, *(report(time, g=(GAUGE, 1), c=(DERIVE, time)) for time in (60, 180)))
    blocks, (reason,) = rates.apply([report(120, g=(GAUGE, 5), c=(DERIVE, 120))])
    assert reason is not None
    assert reason.startswith("late: 1 of 2 values")
    assert cells(blocks) == {(A, "g"): [(120, 60, 5)]}
    assert rates.stats.late == 1
    assert series(rates, report(240, g=(GAUGE, 1), c=(DERIVE, 300)))["c"] == [(240, 180, 2)]


def test_a_gauge_later_than_the_grace_is_refused() -> None:
    rates = Rates(grace=3600)
    series(rates, report(10_000, g=(GAUGE, 1)))
    assert rates.apply([report(6400, g=(GAUGE, 1))])[1] == [None]
    blocks, (reason,) = rates.apply([report(6399, g=(GAUGE, 1))])
    assert not blocks
    assert reason is not None
    assert reason.startswith("late:")


def test_a_repeat_is_known_and_writes_nothing() -> None:
    rates = Rates()
    batches = [report(60.0 * i, g=(GAUGE, i), c=(DERIVE, 60 * i), a=(ABSOLUTE, i)) for i in range(1, 40)]
    series(rates, *batches)
    assert rates.apply(batches) == ([], [None] * len(batches))
    assert rates.stats.repeat == len(batches)
    assert (rates.stats.late, rates.stats.conflict) == (0, 0)
    assert series(rates, report(2400, c=(DERIVE, 2400)))["c"] == [(2400, 2340, 1)]


def test_the_first_known_value_wins() -> None:
    rates = Rates()
    series(rates, report(60, g=(GAUGE, 1), h=(GAUGE, NAN), c=(DERIVE, 60), d=(DERIVE, NAN)))
    blocks, (reason,) = rates.apply([report(60, g=(GAUGE, 2), h=(GAUGE, 3), c=(DERIVE, 61), d=(DERIVE, 60))])
    assert reason == "conflict: 2 values differ from those known for 60"
    same(cells(blocks), {(A, "h"): [(60, 0, 3)], (A, "d"): [(60, 0, NAN)]})
    assert rates.stats.conflict == 2
    got = series(rates, report(120, g=(GAUGE, 1), h=(GAUGE, 1), c=(DERIVE, 120), d=(DERIVE, 120)))
    assert (got["c"], got["d"]) == ([(120, 60, 1)], [(120, 60, 1)])


def test_other_names_of_the_same_time_are_no_repeat() -> None:
    rates = Rates()
    series(rates, report(60, a=(DERIVE, 0)), report(60, b=(DERIVE, 0)))
    got = series(rates, report(120, a=(DERIVE, 60)), report(120, b=(DERIVE, 120)))
    assert got == {"a": [(120, 60, 1)], "b": [(120, 60, 2)]}
    assert rates.stats.conflict == 0


def test_an_interval_that_is_not_told_is_found_by_three_deltas() -> None:
    rates = Rates(interval=60)
    intervals = []
    for time in (1000, 1300, 1602, 1900, 2200, 2500):
        (block,), _ = rates.apply([report(time, interval=0, g=(GAUGE, 1))])
        intervals.append(block.intervals[0])
    assert intervals == [60, 60, 60, 300, 300, 300]
    (block,), _ = rates.apply([report(2600, interval=NAN, g=(GAUGE, 1))])  # one odd delta changes nothing
    assert block.intervals[0] == 300


@pytest.mark.parametrize(
    ("every", "kept"),
    [(0.4, 1), (7.4, 7), (9.6, 10), (12.6, 13), (58, 60), (61, 60), (89, 89), (100_000, 100_000)],
)
def test_a_found_interval_is_a_usual_one_where_that_is_near(every: float, kept: float) -> None:
    rates = Rates(interval=60)
    for number in range(5):
        (block,), _ = rates.apply([report(1000 + number * every, interval=-60, g=(GAUGE, 1))])
    assert block.intervals[0] == kept
    for number in range(5):
        (block,), _ = rates.apply([report(1_000_000 + number * 60, interval=-60, g=(GAUGE, 1))])
    assert block.intervals[0] == 60


def test_a_silent_source_is_forgotten_and_a_slow_one_is_not() -> None:
    rates = Rates(keep=7200)
    rates.apply([report(0, A, 60, g=(GAUGE, 1)), report(0, B, 86400, g=(GAUGE, 1))])
    assert rates.expire(100_000)
    assert rates.expire(107_200)
    assert A in rates
    assert rates.expire(107_201)
    assert A not in rates
    assert B in rates
    assert rates.stats.series == 1
    same(series(rates, report(7300, g=(GAUGE, 2))), {"g": [(7300, 7240, 2)]})


def test_a_source_that_sends_old_reports_is_not_silent() -> None:
    rates = Rates(keep=7200)
    for turn in range(5):
        series(rates, report(60.0 * turn, g=(GAUGE, 1)))
        assert rates.expire(1e9 + 7000 * turn)
    assert A in rates


def test_a_source_that_changes_all_its_names_again_and_again_stays_bounded() -> None:
    rates = Rates()
    for i in range(100):
        rates.apply([report(60.0 * i, A, **{f"v{i}": (GAUGE, 1.0)})])
    assert rates.stats.series <= 16
    rates.forget(A)
    assert rates.stats.series == 0
    assert len(rates) == 0


def test_a_name_that_cannot_be_stored_is_refused_with_its_batch() -> None:
    for name in ("", "a\x00b", "a\nb", "x" * 256, "\ud800"):
        batch = Batch(A, 60, {name: 1.0, "fine": 1.0})
        blocks, (reason,) = Rates().apply([batch])
        assert not blocks
        assert reason is not None
        assert reason.startswith("names: expected a name")


def test_thousands_of_sources_keep_their_own_state() -> None:
    rates = Rates()
    sources = [Source(f"h{i}", "app") for i in range(9000)]  # more than one table
    for k in range(1, 4):
        blocks, _ = rates.apply([report(60.0 * k, source, c=(DERIVE, k * i)) for i, source in enumerate(sources)])
    got = cells(blocks)
    assert all(got[source, "c"] == [(180, 120, i / 60)] for i, source in enumerate(sources))


KINDS = dict(zip("gacd", (GAUGE, ABSOLUTE, COUNTER, DERIVE), strict=True))
value = st.one_of(
    st.just(NAN), st.integers(0, 1000), st.integers(2**32 - 500, 2**32), st.integers(2**64 - 500, 2**64 - 1)
)
some = st.dictionaries(st.sampled_from("gacd"), value, min_size=1)
reports = st.lists(st.tuples(st.sampled_from([A, B]), st.integers(1, 200), some), max_size=40)


def batches_of(drawn: Sequence[tuple[Source, int, dict[str, float]]]) -> list[Batch]:
    time, made = 1000, []
    for source, delta, values in drawn:
        time += delta
        made.append(Batch(source, float(time), values, {name: KINDS[name] for name in values}))
    return made


def expected_of(batches: Sequence[Batch]) -> Rated:
    """Work the rates out series by series, with exact fractions."""
    last: dict[tuple[Source, str], tuple[float, float]] = {}
    found: Rated = {}
    for batch in batches:
        known = [last[batch.source, name][0] for name in batch.values if (batch.source, name) in last]
        for name, raw in batch.values.items():
            key, kind = (batch.source, name), KINDS[name]
            before, old = last.get(key, (None, NAN))
            counts = kind in (COUNTER, DERIVE)
            since = before if before is not None else max(known) if known and counts else batch.time - 60
            seconds = Fraction(batch.time) - Fraction(since)
            rate = NAN
            if not counts and not math.isnan(raw):
                rate = float(Fraction(raw) / (seconds if kind is ABSOLUTE else 1))
            elif counts and not math.isnan(raw) and not math.isnan(old):
                grown = Fraction(raw) - Fraction(old)
                most = math.inf
                if grown < 0 and kind is COUNTER:
                    grown, most = grown + 2**32, 2**32 / 60
                    if grown < 0:
                        grown, most = grown + 2**64 - 2**32, 1e11
                rate = float(grown / seconds)
                rate = NAN if rate < 0 or rate > most else rate
            last[key] = (batch.time, raw)
            found.setdefault(key, []).append((batch.time, float(since), rate))
    return found


def close(got: Rated, expected: Rated) -> None:
    assert got.keys() == expected.keys()
    for key, rows in expected.items():
        np.testing.assert_allclose(got[key], rows, rtol=1e-12, err_msg=str(key))


@settings(max_examples=50, deadline=None)
@given(reports, st.lists(st.integers(1, 10), min_size=1))
def test_rates_are_those_of_each_series_alone_however_the_batches_come(
    drawn: list[tuple[Source, int, dict[str, float]]], sizes: list[int]
) -> None:
    batches = batches_of(drawn)
    rates, blocks, at, turn = Rates(), [], 0, 0
    while at < len(batches):
        step = sizes[turn % len(sizes)]
        made, reasons = rates.apply(batches[at : at + step])
        assert not any(reasons)
        blocks += made
        at, turn = at + step, turn + 1
    close(cells(blocks), expected_of(batches))


@settings(max_examples=50, deadline=None)
@given(reports, reports, st.randoms(use_true_random=False))
def test_what_is_taken_back_has_never_been(
    drawn: list[tuple[Source, int, dict[str, float]]],
    failed: list[tuple[Source, int, dict[str, float]]],
    random: random.Random,
) -> None:
    batches, others = batches_of(drawn), batches_of(failed)
    cut = random.randint(0, len(batches))
    rates = Rates()
    first, _ = rates.apply(batches[:cut])
    undo: Undo = []
    for start in range(0, len(others), 5):
        rates.apply(others[start : start + 5], undo)
    Rates.take_back(undo)
    second, reasons = rates.apply(batches[cut:])
    assert not any(reasons)
    close(cells([*first, *second]), expected_of(batches))


@pytest.mark.parametrize("seed", range(6))
def test_rates_and_pdps_equal_rrdtool(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    kinds = (GAUGE, ABSOLUTE, DERIVE, COUNTER)
    begin = 1_700_000_000 - 1_700_000_000 % 60 + (17 if seed % 2 else 0)
    time, totals, rows = float(begin), {DERIVE: 0, COUNTER: 2**32 - 50_000}, []
    for _ in range(400):
        step = {0: 60, 1: 60, 2: 60 + rng.randint(-5, 5), 3: 60 + rng.randint(-5, 5)}.get(seed, rng.randint(1, 150))
        time += step * (rng.choice((1, 1, 1, 2, 4)) if seed else 1)  # missing updates
        for kind in totals:
            totals[kind] += rng.randint(0, 20_000)
        if rng.random() < 0.03:
            totals[DERIVE] = 0
        if rng.random() < 0.03:
            totals[COUNTER] = 2**32 - 9_000
        totals[COUNTER] %= 2**32  # at 2^64 rrdtool's doubles are thousands off
        values: list[float] = [rng.randint(-50, 50), rng.randint(0, 5000), totals[DERIVE], totals[COUNTER]]
        rows.append((time, [NAN if rng.random() < 0.04 else value for value in values]))
    first = rows[0][0]
    names = [kind.value for kind in kinds]
    with Rrd(tmp_path / "x.rrd", start=int(first) - 60, kinds=names, steps=(1,)) as rrd:
        rrd.update(rows)
        start, end = int(first) // 60 * 60, int(time) // 60 * 60
        theirs = rrd.fetch("AVERAGE", 60, start, end)
    rates, blocks = Rates(), []
    limits = {"counter": Limits(-math.inf, 1e300)}  # theirs has no maximum, and believes every wrap
    batches = [
        Batch(A, at, dict(zip(names, values, strict=True)), dict(zip(names, kinds, strict=True)), limits=limits)
        for at, values in rows
    ]
    while batches:
        size = rng.randint(1, 9)
        blocks += rates.apply(batches[:size])[0]
        del batches[:size]
    for column, name in enumerate(names):
        times, since, values = map(np.array, zip(*cells(blocks)[A, name], strict=True))
        if name == "counter":  # rrdtool adds 2^32 - 1 for a wrap
            raw = np.array([report[column] for _, report in rows])
            values[1:] -= np.where(raw[1:] < raw[:-1], 1 / (times - since)[1:], 0)
        ends, ours = pdps(times, since, values, step=60, heartbeat=120, start=start, end=end)
        assert ends.tolist() == list(range(start + 60, end + 60, 60))
        np.testing.assert_allclose(ours, theirs[:, column], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_rated_as_batches_with_the_same_numbers(seed: int) -> None:
    rng = random.Random(seed)
    as_batches, as_rows, mixed = Rates(), Rates(), Rates()
    for _ in range(6):
        batches: list[Batch] = []
        for source in rng.choices([A, B], k=4):
            # Some come late, some again, some with other names.
            names = ("a", "b") if rng.random() < 0.8 else ("b", "c")
            numbers = {name: rng.choice([1.0, 2.5, 3e300, math.inf, NAN]) for name in names}
            batches.append(Batch(source, 60.0 * rng.randrange(20), numbers, {}, {}, -60.0))
        rows = [Row(one.source, one.time, one.names, np.array(list(one.numbers)), one.interval) for one in batches]
        wanted, reasons = as_batches.apply(batches)
        for rates, same_ones in (
            (as_rows, rows),
            (mixed, [rng.choice(pair) for pair in zip(batches, rows, strict=True)]),
        ):
            made, said = rates.apply(same_ones)
            assert str(cells(made)) == str(cells(wanted)) and said == reasons
