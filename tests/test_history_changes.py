# ruff: noqa: F811 - fixtures are asked for by the names that they are imported under
"""History when what it is made for changes: retention edited, sources moved, clocks ahead, rows before the first."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import numpy as np
import pytest
import rrd
from blocks import block
from servers_postgres import data_dir, postgres  # noqa: F401
from test_history import ALL, DAY, START, TIERS, A, Clock, Feed, Opens, clock, differences, opened, store, url  # noqa: F401

from handlers.postgresql import PostgreSQLHandler
from monitor.batch import Cursor, Series, Source
from monitor.query import Query
from monitor.retention import Retention, RetentionClass, Tier
from monitor.tiers import PRESETS

USUAL = RetentionClass()
Classes = Sequence[RetentionClass]


class Gaps(random.Random):
    """Makes a feed have more gaps, so that many cells are known in part only."""

    def random(self) -> float:
        return super().random() * 0.35


async def days(feed: Feed, first: float, last: float) -> None:
    """Live through some days: rows come, history is built and dropped."""
    for half in range(int(2 * first) + 1, int(2 * last) + 1):
        await feed.write(START + half * DAY / 2)
        await feed.store.build()
        await feed.store.maintain()


async def wrong(feed: Feed, peer: rrd.Rrd, last: int, steps: Sequence[int]) -> list[str]:
    """Return where the first days differ from rrdtool's."""
    found, query = [], Query(feed.store, clock=feed.clock)
    for step in steps:
        for cf in ("AVERAGE", "MIN", "MAX"):
            answer = await query.fetch([Series(A, "a")], START, START + last * DAY, step=step, cf=cf)
            assert answer.step == step
            theirs = peer.fetch(cf, step, START, START + last * DAY)[:, 0]
            same = rrd.equal(answer.series[0].values, theirs)
            found += [f"{cf} {step} ({answer.tier}) on day {i * step / DAY:.2f}" for i in np.flatnonzero(~same)]
            assert np.isfinite(theirs).any()
    return found


OWN = RetentionClass("own", "web*", tiers=(Tier(600, 90.0 * DAY), Tier(3600, 400.0 * DAY), Tier(DAY, 1000.0 * DAY)))


@pytest.mark.parametrize(
    ("classes", "steps"),
    [
        pytest.param([RetentionClass(tiers=USUAL.tiers[1:])], (1800, 3600, DAY), id="the-finest-tier-off"),
        pytest.param([RetentionClass(tiers=USUAL.tiers[:1] + USUAL.tiers[2:])], (300, 3600, DAY), id="another-off"),
        pytest.param([RetentionClass(tiers=PRESETS["kurado"])], (3600, DAY), id="another-preset"),
        pytest.param([RetentionClass("own", "web*"), USUAL], (300, 1800, 3600, DAY), id="the-same-in-a-class"),
        pytest.param([OWN, USUAL], (1800, 3600, DAY), id="other-tiers-in-a-class"),
    ],
)
async def test_edited_retention_keeps_all_that_the_new_tiers_can_show(
    opened: Opens, clock: Clock, tmp_path: Path, classes: Classes, steps: Sequence[int]
) -> None:
    kept = await opened(USUAL)
    feed = Feed(kept, clock, "edited")
    feed.chance = Gaps("edited")
    feed.days(20.5)
    with feed.rrd(tmp_path / "x.rrd") as peer:
        await days(feed, 0, 13.5)
        kept.keep(Retention(classes))
        await kept.build()
        await kept.maintain()
        await days(feed, 13.5, 20)
        assert not (found := await wrong(feed, peer, 14, steps)), (len(found), found[:5])


async def test_packing_may_be_switched_off_and_on(store: PostgreSQLHandler, clock: Clock, tmp_path: Path) -> None:
    feed = Feed(store, clock, "switched")
    feed.days(5.6)
    with feed.rrd(tmp_path / "x.rrd") as peer:
        for first, last, pack in ((0, 1.5, True), (1.5, 3, False), (3, 5, True)):
            store.keep(Retention((RetentionClass(tiers=TIERS, collected=3 * DAY, pack=pack),)))
            await days(feed, first, last)
            end = int(clock.now) // DAY * DAY
            assert not (found := await differences(store, clock, peer, end)), (last, found[:5])


async def test_a_finer_tier_that_is_added_hides_nothing_that_coarser_ones_show(opened: Opens, clock: Clock) -> None:
    store = await opened(RetentionClass(tiers=TIERS[1:], collected=3 * DAY))
    feed = Feed(store, clock, "finer")
    feed.days(8.5)
    await days(feed, 0, 8)
    query, asked = Query(store, clock=clock), ([Series(A, "a")], START + DAY, START + 8 * DAY)
    before = await query.fetch(*asked)
    assert before.tier == "30m"
    for classes in (
        RetentionClass(tiers=(Tier(300, 30.0 * DAY, ALL), *TIERS[1:]), collected=3 * DAY),
        RetentionClass(tiers=TIERS[1:], collected=15 * DAY),
    ):
        store.keep(Retention((classes,)))
        await store.build()
        after = await query.fetch(*asked)
        assert after.tier == "30m"
        np.testing.assert_array_equal(after.series[0].values, before.series[0].values)
        near = await query.fetch([Series(A, "a")], START + 7 * DAY, START + 8 * DAY)
        assert near.step < 1800


async def test_rows_of_before_a_source_was_first_seen_get_their_cells(opened: Opens, clock: Clock) -> None:
    """Who pushes what it has kept may begin with the newest."""
    store = await opened()
    clock.now = START + DAY + 1800.0
    await store.write([block((A, START + DAY + 1740.0, [1.0]))], Cursor(1, 1))
    await store.write([block(*((A, START + 60.0 * (i + 1), [float(i)]) for i in range(1400)))], Cursor(1, 2))
    assert (await store.sources())[0].first_seen == START + 60
    query = Query(store, clock=clock)
    before = await query.fetch([Series(A, "a")], START, START + DAY, step=300)
    await store.close()
    store = await opened(*store.retention.classes)
    assert (await store.sources())[0].first_seen == START + 60
    for day in (1, 2):
        clock.now = START + day * DAY + 5000.0
        await store.write([block((A, clock.now - 20, [1.0]))], Cursor(1, 2 + day))
        await store.build()
    after = await Query(store, clock=clock).fetch([Series(A, "a")], START, START + DAY, step=300)
    assert np.isfinite(after.series[0].values).sum() == 280
    np.testing.assert_array_equal(after.series[0].values, before.series[0].values)


async def test_a_clock_that_was_a_month_ahead_leaves_no_mark(
    store: PostgreSQLHandler, clock: Clock, tmp_path: Path
) -> None:
    feed = Feed(store, clock, "ahead")
    feed.days(4.2)
    with feed.rrd(tmp_path / "x.rrd") as peer:
        await feed.write(START + 1.5 * DAY)
        await store.build()
        true, clock.now = clock.now, clock.now + 30 * DAY
        await store.build()
        clock.now = true
        for half in range(4, 9):
            await store.build()
            await feed.write(START + half * DAY / 2)
        await feed.write()
        await store.build()
        assert max(store.classes.built.values()) <= clock.now
        assert not (found := await differences(store, clock, peer, int(feed.stamps[-1]))), found[:5]


async def test_a_source_is_not_seen_later_for_having_cells(store: PostgreSQLHandler, clock: Clock) -> None:
    for day in range(3):
        rows = [block((A, START + day * DAY + 60.0 * (i + 1), [1.0]), names=(f"n{day}",)) for i in range(700)]
        clock.now = START + day * DAY + 60.0 * 701
        await store.write(rows, Cursor(1, day + 1))
        await store.build()
    clock.now = START + 6 * DAY
    await store.build()
    assert (await store.sources())[0].last_seen == START + 2 * DAY + 60 * 700


async def test_a_thousand_series_of_one_source_are_read_packed_and_from_a_tier(
    store: PostgreSQLHandler, clock: Clock
) -> None:
    names = [f"n{i}" for i in range(4096)]
    clock.now = START + 3000.0

    def row(k: int) -> tuple[Source, float, list[float]]:
        return A, START + 60.0 * (k + 1), [float(i + k) for i in range(4096)]

    await store.write([block(*map(row, range(40)), names=names)], Cursor(1, 1))
    clock.now = START + DAY + 5000.0
    await store.build()
    for step, first in ((60, 0), (300, 2)):
        asked = [Series(A, name) for name in names[-1000:]]
        answer = await Query(store, clock=clock).fetch(asked, START, START + 2400, step=step)
        assert [one.values[0] for one in answer.series] == [3096 + i + first for i in range(1000)]


async def test_rows_that_are_packed_and_still_there_count_once(
    store: PostgreSQLHandler, clock: Clock, url: str, tmp_path: Path
) -> None:
    """As it is while a day is packed, after a kill in the midst of it, and while somebody reads the rows."""
    feed = Feed(store, clock, "both")
    feed.chance = Gaps("both")
    feed.days(2.2)
    direct = await asyncpg.connect(url)
    with feed.rrd(tmp_path / "x.rrd") as peer:
        await feed.write()
        async with direct.transaction():
            await direct.fetch("SELECT count(*) FROM sample_1")
            await store.build()
            assert store.partitions.stuck
            assert await direct.fetchval("SELECT min(time) FROM sample_1") < datetime.fromtimestamp(START + DAY, UTC)
            assert not (found := await differences(store, clock, peer, int(feed.stamps[-1]))), found[:5]
            store.classes.built = dict.fromkeys(store.classes.built, 0.0)
            assert not (found := await differences(store, clock, peer, int(feed.stamps[-1]))), found[:5]
        await store.build()
        assert not store.partitions.stuck
        assert not (found := await differences(store, clock, peer, int(feed.stamps[-1]))), found[:5]
    await direct.close()
