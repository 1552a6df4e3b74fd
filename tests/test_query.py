from __future__ import annotations

import asyncio
import math
from pathlib import Path

import numpy as np
import pytest
import rrd
from memory_store import MemoryStore

from monitor.batch import Batch, Cursor, Kind, Series, Source
from monitor.query import Answer, Query, QueryError, auto_step
from monitor.rates import Rates

START = 1_795_003_200
NOW = START + 86400.0
NAN = math.nan
WEB = Source("web1", "nginx")


def query(store: MemoryStore, *, now: float = NOW, **more: int) -> Query:
    return Query(store, clock=lambda: now, **more)  # type: ignore[arg-type]


def minutes(store: MemoryStore, *values: float, source: Source = WEB, name: str = "busy", step: int = 60) -> Series:
    """Store one row per step from START on."""
    for i, value in enumerate(values):
        store.add(source, START + (i + 1) * step, START + i * step, {name: value}, step)
    return Series(source, name)


def shown(answer: Answer, at: int = 0) -> list[float]:
    return answer.series[at].values.tolist()


def same(ours: list[float], *theirs: float) -> None:
    np.testing.assert_allclose(ours, theirs)


async def test_values_are_the_buckets_that_end_one_step_after_the_start() -> None:
    store = MemoryStore()
    busy = minutes(store, *range(1, 11))
    answer = await query(store).fetch([busy], START, START + 600)
    assert (answer.start, answer.end, answer.step, answer.cf, answer.tier) == (
        START, START + 600, 60, "AVERAGE", "collected",
    )  # fmt: skip
    same(shown(answer), *range(1, 11))
    assert shown(await query(store).fetch([busy], START, START + 600, step=300)) == [3, 8]
    assert shown(await query(store).fetch([busy], START, START + 600, step=300, cf="MAX")) == [5, 10]


async def test_start_is_rounded_down_and_end_up_to_the_step() -> None:
    store = MemoryStore()
    busy = minutes(store, *range(30))
    answer = await query(store).fetch([busy], START + 301, START + 899, step=300)
    assert (answer.start, answer.end) == (START + 300, START + 900)
    assert len(answer.series[0].values) == 2


async def test_a_step_is_raised_to_a_multiple_of_the_finest_pdp_step() -> None:
    store = MemoryStore()
    busy = minutes(store, *range(30))
    slow = minutes(store, 1, 2, 3, source=Source("web1", "ston"), step=300)
    assert (await query(store).fetch([busy, slow], START, START + 600, step=1)).step == 60
    assert (await query(store).fetch([busy, slow], START, START + 600, step=61)).step == 120
    assert (await query(store).fetch([slow], START, START + 600, step=61)).step == 300
    assert (await query(store).fetch([slow], START, START + 600)).step == 300


async def test_a_coarser_series_repeats_its_value_in_each_bucket() -> None:
    store = MemoryStore()
    busy = minutes(store, *range(10))
    slow = minutes(store, 1, 2, source=Source("web1", "ston"), step=300)
    answer = await query(store).fetch([busy, slow], START + 60, START + 540)
    assert answer.step == 60
    same(shown(answer, 1), 1, 1, 1, 1, 2, 2, 2, 2)


async def test_series_come_in_the_order_asked_and_unknown_ones_not_at_all() -> None:
    store = MemoryStore()
    one, other = minutes(store, 1), minutes(store, 2, source=Source("a", "b"))
    unknown = [
        Series(WEB, "bussy"),
        Series(Source("nobody", "nginx"), "busy"),
        Series(WEB._replace(instance="x"), "busy"),
    ]
    answer = await query(store).fetch([one, *unknown, other, one], START, START + 60)
    assert [fetched.series for fetched in answer.series] == [one, other, one]
    nothing = await query(store).fetch(unknown, START, START + 100, step=7)
    assert (nothing.series, nothing.step) == ([], 60)
    assert (await query(store).fetch([], START, START + 60)).series == []


async def test_a_known_series_without_rows_in_the_window_is_unknown() -> None:
    store = MemoryStore()
    busy = minutes(store, 1)
    same(shown(await query(store).fetch([busy], START + 6000, START + 6120)), NAN, NAN)
    same(shown(await query(store).fetch([busy], START - 6120, START - 6000)), NAN, NAN)


async def test_a_unit_is_what_the_application_says() -> None:
    store = MemoryStore()
    busy = minutes(store, 1)
    asked = Query(store, unit=lambda source, name: f"{name} of {source.host}", clock=lambda: NOW)
    assert (await asked.fetch([busy], START, START + 60)).series[0].unit == "busy of web1"


async def test_a_bucket_is_unknown_until_its_source_has_reported_past_its_end() -> None:
    store = MemoryStore()
    busy = minutes(store, 1, 2, 3, 4)
    ask = query(store).fetch
    same(shown(await ask([busy], START, START + 600, step=300)), NAN, NAN)
    store.add(WEB, START + 299, START + 240, {"busy": 5})
    same(shown(await ask([busy], START, START + 600, step=300)), NAN, NAN)
    store.add(WEB, START + 301, START + 299, {"busy": 5})
    same(shown(await ask([busy], START, START + 600, step=300)), 3, NAN)


async def test_a_bucket_is_unknown_until_it_is_over() -> None:
    store = MemoryStore()
    busy = minutes(store, *range(10))
    same(shown(await query(store, now=START + 599).fetch([busy], START, START + 600, step=300)), 2, NAN)
    same(shown(await query(store, now=START + 600).fetch([busy], START, START + 600, step=300)), 2, 7)


async def test_a_bucket_does_not_depend_on_the_window_that_shows_it() -> None:
    store = MemoryStore()
    chance = np.random.default_rng(5)
    at = [START]
    for i in range(600):
        at.append(at[-1] + int(chance.integers(1, 130)) + (3000 if i % 100 == 99 else 0))
        store.add(WEB, at[-1], at[-2] + (7 if i % 9 == 0 and at[-1] > at[-2] + 7 else 0), {"busy": float(i)})
        if i % 20 == 0 and i < 560:
            store.add(WEB, at[-1] - 20, at[-1] - 80, {"busy": 1000.0})
    busy = Series(WEB, "busy")
    for step in (60, 300):
        whole = await query(store).fetch([busy], START, at[-1], step=step)
        assert np.isfinite(whole.series[0].values).any()
        for first in range(0, len(whole.series[0].values) - 3, 7):
            start = START + first * step
            part = await query(store).fetch([busy], start, start + 3 * step, step=step)
            np.testing.assert_allclose(part.series[0].values, whole.series[0].values[first : first + 3], rtol=1e-12)


async def test_a_name_that_is_gone_leaves_its_last_bucket_complete() -> None:
    store = MemoryStore()
    gone = minutes(store, 1, 2, 3)
    for i in range(3, 10):
        store.add(WEB, START + 60 * i + 60, START + 60 * i, {"other": 1})
    same(shown(await query(store).fetch([gone], START, START + 600, step=300)), 2, NAN)


@pytest.mark.parametrize(
    ("asked", "parameter", "says"),
    [
        ({"cf": "MEDIAN"}, "cf", "AVERAGE, MIN, MAX, LAST, got 'MEDIAN'"),
        ({"cf": "average"}, "cf", "AVERAGE"),
        ({"end": START}, "end", f"after the start {START}, got {START}"),
        ({"end": START - 1}, "end", "after the start"),
        ({"step": 0}, "step", "got 0"),
        ({"step": -60}, "step", "got -60"),
        ({"step": 10**30}, "step", "expected 1 to"),
        ({"start": -(10**30)}, "start", "epoch seconds"),
        ({"end": 10**30}, "end", "epoch seconds"),
        ({"end": START + 60 * 101, "step": 60}, "step", "at most 100 points a series, got 101"),
        ({"series": [Series(WEB, str(i)) for i in range(6)]}, "series", "at most 5 series, got 6"),
    ],
)
async def test_a_wrong_question_names_the_parameter(asked: dict[str, object], parameter: str, says: str) -> None:
    store = MemoryStore()
    question = {"series": [minutes(store, 1)], "start": START, "end": START + 60, **asked}
    ask = query(store, max_points=100, max_series=5)
    with pytest.raises(QueryError, match=says) as caught:
        await ask.fetch(**question)  # type: ignore[arg-type]
    assert caught.value.parameter == parameter
    assert (store.reads, ask.stats.refused, ask.stats.queries) == (0, 1, 0)


async def test_the_step_that_a_refusal_names_is_allowed() -> None:
    store = MemoryStore()
    busy = minutes(store, 1)
    ask = query(store, max_points=100)
    with pytest.raises(QueryError) as caught:
        await ask.fetch([busy], START + 1, START + 100_000, step=60)
    least = int(str(caught.value).split("at least ")[1].split()[0])
    assert len((await ask.fetch([busy], START + 1, START + 100_000, step=least)).series[0].values) <= 100


async def test_without_a_step_a_long_time_is_shown_in_as_many_points_as_are_allowed() -> None:
    store = MemoryStore()
    busy = minutes(store, *range(60))
    answer = await query(store, max_points=100).fetch([busy], START, START + 86400 * 30)
    assert answer.step % 60 == 0
    assert 90 <= len(answer.series[0].values) <= 100


async def test_a_graph_whose_data_fill_few_buckets_is_drawn_at_the_pdp_step() -> None:
    store = MemoryStore()
    busy = minutes(store, 1, 2, 3)
    answer = await query(store).fetch_graph([busy], START, START + 3600, step=300, cf="AVERAGE")
    assert answer.step == 60
    same(shown(answer)[:4], 1, 2, 3, NAN)
    full = minutes(store, *range(50), source=Source("web2", "nginx"))
    answer = await query(store).fetch_graph([full], START, START + 3600, step=300, cf="AVERAGE")
    assert answer.step == 300


async def test_a_graph_without_data_keeps_its_step() -> None:
    store = MemoryStore()
    busy = minutes(store, 1)
    answer = await query(store).fetch_graph([busy], START + 7200, START + 10800, step=300, cf="MAX")
    assert (answer.step, answer.cf) == (300, "MAX")
    assert (await query(store).fetch_graph([], START, START + 3600, step=300, cf="MAX")).series == []


async def test_every_source_is_read_once_and_few_at_a_time() -> None:
    store = MemoryStore()
    series = [
        minutes(store, i, source=Source(f"web{i}", "nginx"), name=name) for i in range(50) for name in ("a", "b", "c")
    ]
    ask = query(store, concurrency=3)
    answers = await asyncio.gather(*(ask.fetch(series, START, START + 60) for _ in range(2)))
    assert store.reads == 100
    assert store.most_at_once <= 3
    assert [shown(answers[1], i) for i in range(150)] == [[i // 3] for i in range(150)]
    assert (ask.stats.queries, ask.stats.series) == (2, 300)


async def test_a_store_that_fails_fails_the_question_and_leaves_nothing_running() -> None:
    class Broken(MemoryStore):
        async def read(self, source: Source, names: object, start: float, end: float) -> dict[str, object]:  # type: ignore[override]
            await asyncio.sleep(0)
            raise ConnectionError(f"no {source.host}")

    store = Broken()
    series = [minutes(store, 1, source=Source(f"web{i}", "nginx")) for i in range(20)]
    with pytest.raises(ConnectionError, match="no web"):
        await query(store).fetch(series, START, START + 60)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_answer_equals_rrdtools_fetch(tmp_path: Path) -> None:
    chance = np.random.default_rng(11)
    at, store = [START], MemoryStore()
    with rrd.Rrd(tmp_path / "x.rrd", start=START) as peer:
        rows = []
        for _ in range(1000):
            at.append(at[-1] + int(chance.integers(1, 100)) + (chance.random() < 0.02) * 500)
            value = NAN if chance.random() < 0.1 else float(chance.normal())
            store.add(WEB, at[-1], at[-2], {"busy": value})
            rows.append((at[-1], [value]))
        peer.update(rows)
        for cf in rrd.FUNCTIONS:
            for step in (60, 300, 1800):
                end = at[-1] // step * step
                answer = await query(store).fetch([Series(WEB, "busy")], START, end, step=step, cf=cf)
                theirs = peer.fetch(cf, step, START, end)[:, 0]
                assert rrd.equal(answer.series[0].values, theirs).all()


async def test_reports_become_answers_that_equal_rrdtools(tmp_path: Path) -> None:
    kinds = ("gauge", "absolute", "derive", "counter")
    chance = np.random.default_rng(12)
    at, store, rates = START, MemoryStore(), Rates()
    total, count = 2**60, 2**60
    with rrd.Rrd(tmp_path / "x.rrd", start=START, kinds=kinds) as peer:
        rows = []
        for i in range(1000):
            at += 60 if not i else int(chance.integers(1, 100)) + (chance.random() < 0.02) * 500
            total = total + int(chance.integers(10**6)) if chance.random() < 0.97 else int(chance.integers(10**6))
            count += int(chance.integers(10**6))
            values = [float(chance.normal()), int(chance.integers(10**6)), total, count]
            values = [NAN if chance.random() < 0.05 else value for value in values]
            batch = Batch(
                WEB, at, dict(zip(kinds, values, strict=True)), dict(zip(kinds, map(Kind, kinds), strict=True))
            )
            blocks, reasons = rates.apply([batch])
            assert reasons == [None]
            await store.write(blocks, Cursor(0, i))
            rows.append((at, values))
        peer.update(rows)
        for cf in rrd.FUNCTIONS:
            for step in (60, 300, 1800):
                end = at // step * step
                series = [Series(WEB, kind) for kind in kinds]
                answer = await query(store).fetch(series, START, end, step=step, cf=cf)
                theirs = peer.fetch(cf, step, START, end)
                for i, one in enumerate(answer.series):
                    assert rrd.equal(one.values, theirs[:, i]).all(), f"{one.series.name} {cf} {step}"


@pytest.mark.parametrize(
    ("seconds", "columns", "step"),
    [(3600, 400, 10), (86400, 480, 300), (86400, 288, 300), (7 * 86400, 400, 1800), (366 * 86400, 400, 86400),
     (10 * 366 * 86400, 400, 864_000), (10, 400, 1), (10, 0, 10)],
)  # fmt: skip
def test_the_step_of_a_graph_is_even_and_fits_its_columns(seconds: int, columns: int, step: int) -> None:
    assert auto_step(START, START + seconds, columns) == step


async def test_a_span_of_just_what_a_tier_keeps_is_shown_from_it_as_rrdtool_chooses(tmp_path: Path) -> None:
    """`start=-2d` is asked some seconds after the newest cell was over."""
    now = START + 3 * 86400 + 37.5
    store = MemoryStore()
    busy = minutes(store, *range(3 * 1440))
    start = int(now) - 2 * 86400
    assert (await query(store, now=now).fetch([busy], start, int(now))).tier == "collected"
    assert (await query(store, now=now).fetch([busy], start - 60, int(now))).tier == "5m"
    with rrd.Rrd(tmp_path / "x.rrd", start=START, kinds=("gauge",), steps=[1, 5], rows=2880) as peer:
        peer.update([(START + 60.0 * (i + 1), (float(i),)) for i in range(3 * 1440)])
        assert len(peer.fetch("AVERAGE", 60, start // 60 * 60, int(now) // 60 * 60)) == 2880
