# ruff: noqa: F811 - fixtures are asked for by the names that they are imported under
"""History in a real database: tiers, packed days and rows answer as rrdtool would, whatever is built when."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import numpy as np
import pytest
import rrd
from blocks import DiamondNaming, block
from servers_postgres import PostgresServer, data_dir, postgres  # noqa: F401
from test_store import fresh

from handlers.postgresql import PostgreSQLHandler
from monitor.batch import Batch, Cursor, Kind, Series, Source
from monitor.consolidate import CF
from monitor.query import Query
from monitor.rates import Rates
from monitor.retention import Retention, RetentionClass, Tier
from monitor.store.trees import PACKED

DAY = 86400
START = 1_795_046_400  # a day begins
ALL = frozenset(CF)
A, B = Source("web1", "nginx"), Source("web2", "nginx")
STEPS = (300, 1800, 3600, DAY)
TIERS = tuple(Tier(step, keep * DAY, ALL) for step, keep in zip(STEPS, (10, 20, 40, 400), strict=True))


class Clock:
    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    return await fresh(postgres)


Opens = Callable[..., Awaitable[PostgreSQLHandler]]


@pytest.fixture
async def opened(url: str, data_dir: Path, clock: Clock) -> AsyncIterator[Opens]:
    """What opens a store on the test's database, with these classes of retention."""
    stores = []

    async def made(*classes: RetentionClass) -> PostgreSQLHandler:
        store = PostgreSQLHandler("PostgreSQLHandler", DiamondNaming(), database=url, data_dir=data_dir, clock=clock)
        store.keep(Retention(classes or (RetentionClass(tiers=TIERS, collected=3 * DAY),)))
        store.builder.rest = 0.0
        stores.append(store)
        await store.open()
        return store

    yield made
    for store in stores:
        await store.close()


@pytest.fixture
async def store(opened: Opens) -> PostgreSQLHandler:
    return await opened()


class Feed:
    """Writes rows to the store, and the same updates to rrdtool."""

    def __init__(self, store: PostgreSQLHandler, clock: Clock, seed: str = "feed") -> None:
        self.store, self.clock = store, clock
        self.chance = random.Random(seed)
        self.stamps: list[float] = [START]
        self.values: list[tuple[float, float]] = [(math.nan, math.nan)]
        self._written = 0

    def days(self, count: float) -> None:
        """Make up reports of a gauge and a counter's rate for so many days more."""
        until = self.stamps[-1] + count * DAY
        while self.stamps[-1] < until:
            gap = 0 if self.chance.random() > 0.003 else self.chance.choice((90, 180, 4000, 20000))
            at = (self.stamps[-1] + gap) // 60 * 60 + 60 + self.chance.randrange(20)
            unknown = self.chance.random() < 0.02
            self.stamps.append(float(at))
            self.values.append(
                (math.nan if unknown else self.chance.uniform(-5, 50), float(self.chance.randrange(10**6)) / 7)
            )

    async def write(self, until: float = math.inf, names: Sequence[str] = ("a", "b")) -> None:
        """Write what is not written yet, in the order of time; the clock goes with it."""
        stored = 0
        while self._written + 1 < len(self.stamps) and self.stamps[self._written + 1] <= until:
            first = self._written + 1
            last = min(first + 2000, len(self.stamps))
            rows = []
            for i in range(first, last):
                if self.stamps[i] > until:
                    break
                rows.append((self.stamps[i], self.stamps[i] - self.stamps[i - 1], list(self.values[i])))
            self.clock.now = rows[-1][0] + 1
            stored += len(rows)
            made = block(*((A, at, list(v)) for at, _, v in rows), names=tuple(names))
            made.since[:] = [at - length for at, length, _ in rows]
            await self.store.write([made], Cursor(1, len(self.stamps) + first))
            self._written = first + len(rows) - 1

    def rrd(self, path: Path) -> rrd.Rrd:
        peer = rrd.Rrd(
            path, start=START, kinds=("gauge", "gauge"), steps=[1, *(step // 60 for step in STEPS)], rows=60000
        )
        peer.update(zip(self.stamps[1:], self.values[1:], strict=True))
        return peer


async def differences(store: PostgreSQLHandler, clock: Clock, peer: rrd.Rrd, end: int) -> list[str]:
    """Return where answers of the store differ from rrdtool's, over all functions, steps and spans."""
    query, found, compared = Query(store, clock=clock, max_points=100_000), [], 0
    for step in (60, *STEPS):
        oldest = max(
            START, int(clock.now - (3 if step == 60 else next(t.keep for t in TIERS if t.step == step) / DAY) * DAY)
        )
        first = -(-oldest // DAY) * DAY
        over = end // step * step
        if over <= first:
            continue
        for cf in CF:
            answer = await query.fetch([Series(A, "a"), Series(A, "b")], first, over, step=step, cf=str(cf))
            assert (answer.start, answer.end, answer.step) == (first, over, step)
            theirs = peer.fetch(str(cf), step, first, over)
            for column, one in enumerate(answer.series):
                same = rrd.equal(one.values, theirs[:, column])
                compared += len(same)
                found += [
                    f"{cf} {step} {'ab'[column]} at {first + step * (i + 1)}: {one.values[i]} {theirs[i, column]}"
                    for i in np.flatnonzero(~same).tolist()
                ]
    assert compared > 5000
    return found


async def test_every_tier_function_and_span_equals_rrdtool(
    store: PostgreSQLHandler, clock: Clock, tmp_path: Path
) -> None:
    feed = Feed(store, clock)
    feed.days(23.4)
    with feed.rrd(tmp_path / "x.rrd") as peer:
        for day in range(1, 24):
            await feed.write(START + day * DAY + 5000)
            await store.build()
        await feed.write()
        await store.build()
        assert store.classes.built[1, 300] == START + 23 * DAY
        assert store.classes.built[1, 1800] > START
        assert store.classes.built[1, PACKED] == START + 23 * DAY
        assert not (found := await differences(store, clock, peer, int(feed.stamps[-1]))), found[:5]


async def test_built_at_once_or_in_steps_it_is_the_same(store: PostgreSQLHandler, clock: Clock, tmp_path: Path) -> None:
    feed = Feed(store, clock, "once")
    feed.days(2.9)
    await feed.write()
    with feed.rrd(tmp_path / "x.rrd") as peer:
        assert not (found := await differences(store, clock, peer, int(feed.stamps[-1]))), found[:5]
        await store.build()
        assert not (found := await differences(store, clock, peer, int(feed.stamps[-1]))), found[:5]
        async with store._writing() as connection:
            before = await connection.fetch("SELECT step, start, source_id, data FROM chunk ORDER BY 1, 2, 3")
            await connection.execute("UPDATE tier SET built = NULL")
        store.classes.built = dict.fromkeys(store.classes.built, 0.0)
        await store.build()
        async with store._writing() as connection:
            assert await connection.fetch("SELECT step, start, source_id, data FROM chunk ORDER BY 1, 2, 3") == before
        assert not (found := await differences(store, clock, peer, int(feed.stamps[-1]))), found[:5]


async def test_packed_rows_read_as_before(store: PostgreSQLHandler, clock: Clock, url: str) -> None:
    feed = Feed(store, clock, "packed")
    feed.days(2.9)
    await feed.write()
    before = await store.read(A, ["a", "b", "none"], START + 1000, clock.now)
    newest = await store.latest([A])
    await store.build()
    direct = await asyncpg.connect(url)
    tables = await direct.fetch("SELECT tablename FROM pg_tables WHERE tablename ~ '^sample_1_' ORDER BY 1")
    assert tables[0]["tablename"] == f"sample_1_{time.strftime('%Y%m%d', time.gmtime(START + 2 * DAY))}"
    today = time.strftime("%Y-%m-%d", time.gmtime(START + 2 * DAY))
    assert f"older than {today}" in await direct.fetchval("SELECT obj_description('metric'::regclass)")
    assert await direct.fetchval("SELECT min(time) FROM metric") >= datetime.fromtimestamp(START + 2 * DAY, UTC)
    await direct.close()
    after = await store.read(A, ["a", "b", "none"], START + 1000, clock.now)
    assert set(after) == set(before) == {"a", "b"}
    for name in before:
        for one, other in zip(before[name], after[name], strict=True):
            assert one.tobytes() == other.tobytes()
    assert await store.latest([A]) == newest
    await store.maintain()
    assert {("default", word) for word in ("rows", "packed", "5m", "30m", "1h", "1d")} == set(store.sizes)
    assert min(store.sizes["default", word] for word in ("rows", "packed", "5m")) > 0


async def test_late_rows_rebuild_what_they_touch(store: PostgreSQLHandler, clock: Clock, tmp_path: Path) -> None:
    feed = Feed(store, clock, "late")
    feed.days(2.6)
    missing = range(700, 900)
    kept = feed.stamps, feed.values
    late = [(feed.stamps[i], feed.stamps[i - 1], feed.values[i]) for i in missing]
    with feed.rrd(tmp_path / "x.rrd") as peer:
        await _write_without(feed, missing)
        await store.build()
        assert store.classes.built[1, 300] == START + 2 * DAY
        assert await differences(store, clock, peer, int(kept[0][-1]))
        made = block(*((A, at, list(v)) for at, _, v in late), names=("a", "b"))
        made.since[:] = [since for _, since, _ in late]
        await store.write([made], Cursor(9, 9))
        await store.build()
        assert store.builder.stats.rebuilt
        assert not (found := await differences(store, clock, peer, int(kept[0][-1]))), found[:5]
        async with store._writing() as connection:
            assert await connection.fetchval("SELECT count(*) FROM stale") == 0
            assert not await connection.fetch("SELECT 1 FROM pg_tables WHERE tablename = 'sample_1_20261119'")


async def _write_without(feed: Feed, missing: range) -> None:
    rows = [i for i in range(1, len(feed.stamps)) if i not in missing]
    for at in range(0, len(rows), 2000):
        some = rows[at : at + 2000]
        made = block(*((A, feed.stamps[i], list(feed.values[i])) for i in some), names=("a", "b"))
        made.since[:] = [feed.stamps[i - 1] for i in some]
        feed.clock.now = feed.stamps[some[-1]] + 1
        await feed.store.write([made], Cursor(1, at + 1))


async def test_names_that_come_and_go_are_one_series_in_every_tier(store: PostgreSQLHandler, clock: Clock) -> None:
    query = Query(store, clock=clock)
    rows = 2 * 1440 + 200
    for first in range(0, rows, 500):
        parts = []
        for i in range(first, min(first + 500, rows)):
            names = ("a", "x") if i // 300 % 2 else ("y", "a")
            values = [float(i), 1.0] if i // 300 % 2 else [2.0, float(i)]
            parts.append(block((A, START + 60.0 * (i + 1), values), names=names))
        clock.now = START + 60.0 * (min(first + 500, rows)) + 5
        await store.write(parts, Cursor(1, first + 1))
    series = [Series(A, name) for name in "axy"]
    before = await query.fetch(series, START, START + 2 * DAY, step=300)
    await store.build()
    assert store.classes.built[1, 300] == START + 2 * DAY
    after = await query.fetch(series, START, START + 2 * DAY, step=300)
    assert after.tier == "5m"
    for one, other in zip(before.series, after.series, strict=True):
        np.testing.assert_allclose(one.values, other.values, rtol=1e-12)
    assert np.isfinite(after.series[0].values).all()


async def test_a_row_or_reader_that_comes_while_a_day_is_packed_loses_nothing(
    store: PostgreSQLHandler, clock: Clock
) -> None:
    clock.now = START + 100.0
    sources = [Source(f"host{i}", "job") for i in range(40)]
    for k in range(5):
        rows = [(one, START + 60.0 * (k * 20 + j + 1), [1.0]) for one in sources for j in range(20)]
        await store.write([block(*rows)], Cursor(1, k + 1))
    clock.now = START + DAY + 5000.0
    building = asyncio.create_task(store.build())
    written = 0
    while not building.done():
        at = START + 60.0 * (200 + written)
        await store.write([block(*((one, at, [2.0]) for one in sources))], Cursor(2, written + 1))
        written += 1
        await asyncio.sleep(0)
    await building
    await store.build()
    assert written > 1
    for one in sources:
        points = (await store.read(one, ["a"], START, START + DAY))["a"]
        assert points.value.tolist() == [1.0] * 100 + [2.0] * written


async def test_other_intervals_than_a_minute_have_tiers_of_their_own_step(opened: Opens, clock: Clock) -> None:
    """Cells are never finer than what a source reports, and steps that do not divide each other are weighed."""
    fast = RetentionClass("fast", "fast", 3 * DAY, (Tier(10, 5 * DAY, ALL), Tier(60, 9 * DAY, ALL)))
    store = await opened(fast, RetentionClass(tiers=TIERS))
    query = Query(store, clock=clock, max_points=100_000)
    slow, odd, quick = Source("h", "slow"), Source("h", "odd"), Source("h", "fast")
    clock.now = START + 5000.0
    for source, interval in ((slow, 600), (odd, 45), (quick, 5)):
        count = (DAY + 4000) // interval
        for first in range(0, count, 5000):
            stamps = [START + interval * (i + 1.0) for i in range(first, min(count, first + 5000))]
            made = block(*((source, at, [float(int(at) % 997)]) for at in stamps))
            made.since[:] = [at - interval for at in stamps]
            made.intervals[:] = interval
            await store.write([made], Cursor(interval, first + 1))
    clock.now = START + DAY + 5000.0
    asked = [(slow, 600), (slow, 3600), (odd, 900), (quick, 10), (quick, 60), (quick, 300)]
    before = [await query.fetch([Series(one, "a")], START, START + DAY, step=step, cf="MAX") for one, step in asked]
    await store.build()
    after = [await query.fetch([Series(one, "a")], START, START + DAY, step=step, cf="MAX") for one, step in asked]
    assert [one.tier for one in after] == ["5m", "1h", "5m", "10s", "1m", "1m"]
    for one, other in zip(before, after, strict=True):
        assert np.isfinite(one.series[0].values).all()
        np.testing.assert_array_equal(one.series[0].values, other.series[0].values)


async def test_a_source_that_changes_its_class_keeps_its_history(opened: Opens, clock: Clock) -> None:
    store = await opened()
    feed = Feed(store, clock, "class")
    feed.days(1.5)
    await feed.write()
    await store.build()
    before = await store.read(A, ["a"], START, clock.now)
    store.keep(Retention((RetentionClass("web", "web*", 5 * DAY, TIERS, pack=False), RetentionClass(tiers=TIERS))))
    await store.build()
    feed.days(0.2)
    await feed.write()
    after = await store.read(A, ["a"], START, clock.now)
    assert len(after["a"].time) == len(feed.stamps) - 1 > len(before["a"].time)
    await store.close()
    again = await opened(*store.retention.classes)
    assert len((await again.read(A, ["a"], START, clock.now))["a"].time) == len(feed.stamps) - 1


async def test_what_is_still_to_be_consolidated_outlives_its_retention(
    opened: Opens, clock: Clock, tmp_path: Path
) -> None:
    """The appliance was switched off for a week: what was reported before must reach the tiers all the same."""
    store = await opened()
    feed = Feed(store, clock, "away")
    feed.days(1.4)
    await feed.write()
    clock.now += 7 * DAY
    await store.maintain()
    await store.build()
    await store.maintain()
    assert await store.read(A, ["a"], START, clock.now) == {}
    with feed.rrd(tmp_path / "x.rrd") as peer:
        peer.update([(clock.now // 60 * 60, (math.nan, math.nan))])
        answer = await Query(store, clock=clock).fetch([Series(A, "a")], START, START + DAY, step=300)
        assert rrd.equal(answer.series[0].values, peer.fetch("AVERAGE", 300, START, START + DAY)[:, 0]).all()
        assert np.isfinite(answer.series[0].values).any()


async def test_every_kind_of_series_through_rates_rows_and_tiers_equals_rrdtool(
    store: PostgreSQLHandler, clock: Clock, tmp_path: Path
) -> None:
    """What sources report: resets, unknowns, gaps; a counter's wrap is another matter, rrdtool is one short there."""
    chance, rates = random.Random("kinds"), Rates()
    kinds = {"gauge": Kind.GAUGE, "absolute": Kind.ABSOLUTE, "derive": Kind.DERIVE, "counter": Kind.COUNTER}
    at, counts, updates = float(START), [2**53, 10**6], []
    while at < START + 3.7 * DAY:
        gap = 0 if chance.random() > 0.003 else chance.choice((90, 180, 4000))
        at = (at + gap) // 60 * 60 + 60 + chance.randrange(20)
        counts = [one + chance.randrange(10**5) for one in counts]
        if chance.random() < 0.01:
            counts[0] = chance.randrange(1000)  # a restart
        reported = [chance.uniform(-9, 9), float(chance.randrange(10**6)), *counts]
        updates.append((at, [math.nan if chance.random() < 0.02 else one for one in reported]))
    with rrd.Rrd(
        tmp_path / "x.rrd", start=START, kinds=list(kinds), steps=[1, *(step // 60 for step in STEPS)], rows=9000
    ) as peer:
        peer.update(updates)
        for first in range(0, len(updates), 500):
            some = updates[first : first + 500]
            batches = [Batch(A, at, dict(zip(kinds, values, strict=True)), dict(kinds)) for at, values in some]
            clock.now = some[-1][0] + 1
            await store.write(rates.apply(batches)[0], Cursor(1, first + 1))
            await store.build()
        query, end = Query(store, clock=clock), START + 3 * DAY
        for step in (60, *STEPS):
            for cf in CF:
                series = [Series(A, name) for name in kinds]
                answer = await query.fetch(series, START + DAY, end, step=step, cf=str(cf))
                theirs = peer.fetch(str(cf), step, START + DAY, end)
                for i, one in enumerate(answer.series):
                    wrong = np.flatnonzero(~rrd.equal(one.values, theirs[:, i]))
                    assert not len(wrong), (
                        f"{one.series.name} {cf} {step}: {one.values[wrong[0]]} {theirs[wrong[0], i]}"
                    )
    assert store.classes.built[1, 300] == START + 3 * DAY
