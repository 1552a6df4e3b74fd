from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
import rrd
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.consolidate import CF, Cells, buckets, gather, join, of_pdps, value
from monitor.pdp import pdps

START = 1_795_003_200  # a multiple of 30 minutes
KINDS = ("gauge", "absolute", "derive", "counter")


def times(shape: str, chance: random.Random, count: int) -> list[float]:
    """Make stamps as a source has them, the start first."""
    at: list[float] = [START]
    while len(at) < count:
        if chance.random() < 0.02:
            # rrdtool moves up to a second of a row that begins at a fraction and crosses two edges
            at += [float(math.ceil(at[-1]))] * (at[-1] % 1 > 0)
            at.append(at[-1] + chance.choice((119, 120, 121, 180, 240, 600, 4000)))
        elif shape == "aligned":
            at.append((at[-1] // 60 + 1) * 60)
        elif shape == "jittered":
            at.append((at[-1] // 60 + 1) * 60 + chance.randrange(60))
        elif shape == "random":
            at.append(at[-1] + chance.randint(1, 130))
        else:
            at.append(at[-1] + chance.randint(1, 3840) / 64)  # 1/64 s has six decimals, which rrdtool reads exactly
    return at


def reported(kind: str, chance: random.Random, count: int) -> list[rrd.Value]:
    unknown = [chance.random() < 0.1 for _ in range(count)]
    if kind in ("gauge", "absolute"):
        drawn: list[rrd.Value] = [
            chance.uniform(-1000, 1000) if kind == "gauge" else chance.randrange(10**6) for _ in unknown
        ]
    else:
        drawn, now = [], 2**53 if kind == "derive" else 2**32 - 10**6
        for _ in unknown:
            now += chance.randrange(10**5)
            if chance.random() < 0.03:
                now = chance.randrange(1000)
            if kind == "counter":
                now %= 2**32
            drawn.append(now)
    return [math.nan if hidden else one for hidden, one in zip(unknown, drawn, strict=True)]


@pytest.mark.parametrize("shape", ["aligned", "jittered", "random", "fractions"])
def test_every_kind_function_and_step_equals_rrdtool(shape: str, tmp_path: Path) -> None:
    chance = random.Random(shape)
    stamps = times(shape, chance, 1500)
    columns = [reported(kind, chance, len(stamps)) for kind in KINDS]
    for column, kind in zip(columns, KINDS, strict=True):
        if kind in ("derive", "counter"):
            column[0] = math.nan
    span = int(stamps[-1] - START) // 1800 * 1800
    cells_seen, different = 0, []
    with rrd.Rrd(tmp_path / "x.rrd", start=START, kinds=KINDS) as peer:
        peer.update(zip(stamps[1:], list(zip(*columns, strict=True))[1:], strict=True))
        for i, kind in enumerate(KINDS):
            ends, rows = pdps(stamps[1:], stamps[:-1], rrd.rates(kind, stamps, columns[i]), step=60, heartbeat=120)
            for cf in CF:
                for step in (60, 300, 1800):
                    ours = buckets(of_pdps(ends, rows, 60), step=step, start=START, end=START + span, cf=cf)
                    theirs = peer.fetch(cf, step, START, START + span)[:, i]
                    cells_seen += len(ours)
                    different += [
                        (kind, cf, step, k, ours[k], theirs[k]) for k in np.flatnonzero(~rrd.equal(ours, theirs))
                    ]
                    assert np.isfinite(theirs).any()
    assert cells_seen > 20_000
    assert not different, f"{len(different)} of {cells_seen} differ: {different[:5]}"


numbers = st.floats(-1e6, 1e6) | st.just(math.nan)


@given(st.lists(numbers, min_size=1, max_size=200), st.integers(0, 100))
def test_coarser_cells_are_the_same_from_finer_cells_as_from_pdps(points: list[float], first: int) -> None:
    ends = (np.arange(len(points)) + first) * 60
    pieces = of_pdps(ends, np.array(points), 60)
    at_once = gather(pieces, 1800)
    in_steps = gather(gather(pieces, 300), 1800)
    for mine, theirs in zip(
        (in_steps.begins, in_steps.ends, *in_steps.parts), (at_once.begins, at_once.ends, *at_once.parts), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-6)


def test_columns_are_consolidated_as_each_alone() -> None:
    ends = np.arange(1, 21) * 60
    points = np.where(np.arange(60).reshape(20, 3) % 7 == 0, np.nan, np.arange(60.0).reshape(20, 3))
    together = gather(gather(of_pdps(ends, points, 60), 300), 600)
    for column in range(3):
        alone = gather(gather(of_pdps(ends, points[:, column], 60), 300), 600)
        for cf in CF:
            np.testing.assert_array_equal(value(together, cf)[:, column], value(alone, cf))


@pytest.mark.parametrize(("known", "shown"), [(2, False), (3, True), (5, True)])
def test_a_bucket_with_more_than_half_of_its_pdps_unknown_is_unknown_for_every_function(
    known: int, shown: bool
) -> None:
    points = np.array([math.nan] * (5 - known) + [7.0] * known)
    made = gather(of_pdps(np.arange(1, 6) * 60, points, 60), 300)
    for cf in CF:
        assert bool(np.isfinite(value(made, cf)[0])) is shown
    assert (made.mean[0], made.known[0]) == (7, 60 * known), "the cell keeps what xff hides"


def test_exactly_half_unknown_is_shown() -> None:
    made = gather(of_pdps(np.arange(1, 5) * 60, np.array([math.nan, math.nan, 1.0, 3.0]), 60), 240)
    assert value(made, CF.AVERAGE).tolist() == [2.0]


def test_pdps_that_are_absent_count_as_unknown() -> None:
    ends = np.array([60, 120, 360, 420, 480])
    shown = buckets(of_pdps(ends, np.arange(5.0), 60), step=300, start=0, end=900, cf=CF.AVERAGE)
    np.testing.assert_array_equal(shown, [math.nan, 3.0, math.nan])


def test_last_is_the_last_pdp_even_when_it_is_unknown_or_absent() -> None:
    ends = np.array([60, 120, 180, 240, 300, 360, 420, 480, 540])
    points = np.array([1, 2, 3, 4, math.nan, 6, 7, 8, 9.0])
    shown = buckets(of_pdps(ends, points, 60), step=300, start=0, end=600, cf=CF.LAST)
    np.testing.assert_array_equal(shown, [math.nan, math.nan])


def test_a_coarser_series_repeats_its_value() -> None:
    shown = buckets(of_pdps(np.array([300, 600]), np.array([1.0, 2.0]), 300), step=60, start=120, end=660, cf=CF.MAX)
    np.testing.assert_array_equal(shown, [1, 1, 1, 2, 2, 2, 2, 2, math.nan])


def test_steps_that_do_not_divide_each_other_are_weighed_by_seconds() -> None:
    ends, points = np.array([90, 180, 270]), np.array([1.0, 4.0, math.nan])
    average = buckets(of_pdps(ends, points, 90), step=60, start=0, end=300, cf=CF.AVERAGE)
    np.testing.assert_allclose(average, [1.0, 2.5, 4.0, math.nan, math.nan])
    greatest = buckets(of_pdps(ends, points, 90), step=60, start=0, end=300, cf=CF.MAX)
    np.testing.assert_allclose(greatest, [1.0, 4.0, 4.0, math.nan, math.nan])
    last = buckets(of_pdps(ends, points, 90), step=120, start=0, end=240, cf=CF.LAST)
    np.testing.assert_allclose(last, [4.0, math.nan])


@settings(max_examples=50)
@given(
    st.lists(numbers, max_size=60),
    st.integers(0, 30),
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from(list(CF)),
)
def test_any_two_steps_agree_with_counting_second_by_second(
    points: list[float], first: int, size: int, step: int, cf: CF
) -> None:
    ends = (np.arange(len(points)) + first) * size
    start, end = 0, 40 * step
    shown = buckets(of_pdps(ends, np.array(points), size), step=step, start=start, end=end, cf=cf)
    at = dict(zip(ends.tolist(), points, strict=True))
    seconds = np.array([at.get(-(-second // size) * size, math.nan) for second in range(1, end + 1)]).reshape(-1, step)
    for mine, bucket in zip(shown, seconds, strict=True):
        known = bucket[~np.isnan(bucket)]
        if len(bucket) - len(known) > len(bucket) / 2:
            assert math.isnan(mine)
        elif cf is CF.LAST:
            np.testing.assert_equal(mine, bucket[-1])
        else:
            expected = {CF.AVERAGE: np.mean, CF.MIN: np.min, CF.MAX: np.max}[cf](known)
            np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-6)


def test_without_pdps_every_bucket_is_unknown() -> None:
    none = np.empty(0, np.int64)
    for step, pdp_step in ((60, 60), (300, 60), (60, 300), (60, 90)):
        shown = buckets(of_pdps(none, np.empty(0), pdp_step), step=step, start=0, end=600, cf=CF.MIN)
        assert len(shown) == 600 // step
        assert np.isnan(shown).all()
    assert len(gather(gather(of_pdps(none, np.empty(0), 60), 300), 600)) == 0


@given(st.lists(numbers, min_size=2, max_size=200), st.integers(0, 40), st.data())
def test_finer_and_coarser_cells_that_follow_each_other_make_the_same_buckets(
    points: list[float], first: int, data: st.DataObject
) -> None:
    """A tier that ends somewhere goes on with finer cells; a bucket may hold some of either."""
    ends = (np.arange(len(points)) + first) * 60
    pieces = of_pdps(ends, np.array(points), 60)
    border = data.draw(st.integers(0, (len(points) + first) // 5)) * 300
    mixed = join([gather(_until(pieces, border), 300), _after(pieces, border)])
    for cf in CF:
        for step in (300, 900, 3600):
            end = -(-int(ends[-1]) // step) * step
            np.testing.assert_allclose(
                buckets(mixed, step=step, start=0, end=end, cf=cf),
                buckets(pieces, step=step, start=0, end=end, cf=cf),
                rtol=1e-12, atol=1e-9,
            )  # fmt: skip


def _until(cells: Cells, border: int) -> Cells:
    return cells.take(slice(0, int(np.searchsorted(cells.ends, border, "right"))))


def _after(cells: Cells, border: int) -> Cells:
    return cells.take(slice(int(np.searchsorted(cells.ends, border, "right")), None))


def test_what_never_changes_stays_exactly_that_in_every_cell() -> None:
    points = np.full(30, 0.1)
    made = gather(gather(of_pdps(np.arange(1, 31) * 60, points, 60), 300), 1800)
    assert made.mean.tolist() == [0.1]
