# ruff: noqa: F811 - fixtures are asked for by the names that they are imported under
"""The store against real servers: the embedded one, and an external one by TCP."""

from __future__ import annotations

import asyncio
import math
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
import pytest
from blocks import DiamondNaming, block
from servers_postgres import PostgresServer, data_dir, postgres  # noqa: F401

from handlers.postgresql import PostgreSQLHandler
from monitor.batch import Block, Cursor, Kind, Series, Source
from monitor.handler import DeliveryError, Points, StoreDownError, StoreUnusableError
from monitor.retention import Retention, RetentionClass
from monitor.store import interning
from monitor.store.session import check_version

NOW = float(int(time.time()))
DAY = 86400
ROWS_ONLY = Retention((RetentionClass(tiers=()),))
A, B = Source("web1", "nginx"), Source("web2", "nginx", "x=ü y")


async def fresh(server: PostgresServer) -> str:
    """Return the URL of a new database."""
    name = f"t{time.monotonic_ns()}"
    connection = await asyncpg.connect(server.url())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return server.url(name)


def make(url: str, directory: Path, **more: Any) -> PostgreSQLHandler:
    return PostgreSQLHandler("PostgreSQLHandler", DiamondNaming(), database=url, data_dir=directory, **more)


async def until(done: Callable[[], Awaitable[object]], seconds: float = 20.0) -> None:
    """Try again until it raises no more."""
    end = time.monotonic() + seconds
    while True:
        try:
            await done()
            return
        except (DeliveryError, StoreDownError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.05)


def values(points: Points) -> list[float | None]:
    return [None if math.isnan(value) else value for value in points.value.tolist()]


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    return await fresh(postgres)


@pytest.fixture
async def direct(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture(params=["external", "embedded"])
async def store(
    request: pytest.FixtureRequest,
    postgres: PostgresServer,
    data_dir: Path,
) -> AsyncIterator[PostgreSQLHandler]:
    one = make("embedded" if request.param == "embedded" else await fresh(postgres), data_dir)
    await one.open()
    yield one
    await one.close()


@pytest.fixture
async def external(url: str, data_dir: Path) -> AsyncIterator[PostgreSQLHandler]:
    one = make(url, data_dir)
    await one.open()
    yield one
    await one.close()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may stop and start."""
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))
    directory.chmod(0o755)
    server = PostgresServer(directory)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(directory)


async def test_what_is_written_is_read_back(store: PostgreSQLHandler) -> None:
    assert await store.cursor() is None
    rows = block((A, NOW, [1.5, math.nan]), (B, NOW, [3, 4]), names=("a", "b"))
    assert not await store.write([rows], Cursor(1, 7))
    assert await store.cursor() == Cursor(1, 7)
    got = await store.read(A, ["a", "b", "unheard of"], NOW - 3600, NOW + 1)
    assert set(got) == {"a", "b"}
    assert (got["a"].time.tolist(), got["a"].since.tolist()) == ([NOW], [NOW - 60])
    assert (values(got["a"]), values(got["b"])) == ([1.5], [None])
    assert (await store.latest([A, B, Source("no", "such")]))[Series(B, "b")] == (NOW, 4.0)
    assert await store.read(Source("no", "such"), ["a"], 0, NOW) == {}
    assert await store.healthy() is None


async def test_sources_are_listed_in_order_and_narrowed(store: PostgreSQLHandler) -> None:
    await store.write(
        [block((B, NOW, [1, 2]), (A, NOW - 60, [1, 2]), (A, NOW, [1, 2]), names=("a", "b"))], Cursor(1, 1)
    )
    first, second = await store.sources()
    assert (first.source, second.source) == (A, B)
    assert (first.first_seen, first.last_seen, first.interval) == (NOW - 60, NOW, 60.0)
    assert first.kinds == {"a": Kind.GAUGE, "b": Kind.GAUGE}
    assert [one.source for one in await store.sources(host="web2")] == [B]
    assert [one.source for one in await store.sources(instance="")] == [A]
    assert [one.source for one in await store.sources(host="web1", collector="nginx", instance="")] == [A]
    assert await store.sources(collector="no such") == []


async def test_rows_that_only_touch_the_ends_of_a_window_are_not_in_it(store: PostgreSQLHandler) -> None:
    await store.write([block(*((A, NOW - 600 + 60 * i, [i]) for i in range(10)))], Cursor(1, 1))
    start = NOW - 600 + 60 * 3
    assert (await store.read(A, ["a"], start, start + 60))["a"].time.tolist() == [start + 60]
    assert (await store.read(A, ["a"], start - 1, start + 61))["a"].time.tolist() == [start, start + 60, start + 120]


async def test_of_rows_that_repeat_the_first_known_value_wins(store: PostgreSQLHandler) -> None:
    names = ("a", "b", "c")
    await store.write([block((A, NOW, [1, math.nan, 3]), names=names)], Cursor(1, 1))
    again = block((A, NOW, [9, 2, math.nan]), (A, NOW + 60, [5, 6, 7]), (B, NOW, [1, 1, 1]), names=names)
    for row in range(2, 4):
        await store.write([again], Cursor(1, row))
    got = await store.read(A, names, NOW - 60, NOW + 100)
    assert [values(got[name]) for name in names] == [[1, 5], [2, 6], [3, 7]]
    assert await store.cursor() == Cursor(1, 3)
    assert store.stats.merged == 4


async def test_rows_of_one_time_with_other_names_become_one(store: PostgreSQLHandler) -> None:
    await store.write([block((A, NOW, [1]), names=("a",))], Cursor(1, 1))
    await store.write([block((A, NOW, [2, 5]), names=("b", "a"))], Cursor(1, 2))
    got = await store.read(A, ["a", "b"], NOW - 60, NOW)
    assert (values(got["a"]), values(got["b"])) == ([1], [2])
    assert await store.latest([A]) == {Series(A, "a"): (NOW, 1.0), Series(A, "b"): (NOW, 2.0)}
    assert set((await store.sources())[0].kinds) == {"a", "b"}


async def test_rows_may_repeat_within_one_write(store: PostgreSQLHandler) -> None:
    blocks = [
        block((A, NOW, [1]), (A, NOW, [2]), names=("a",)), block((A, NOW, [3]), names=("b",)),
        block((A, NOW, [math.nan, 4]), names=("c", "a")), block((A, NOW, [7]), names=("c",)),
    ]  # fmt: skip
    await store.write(blocks, Cursor(1, 1))
    got = await store.read(A, ["a", "b", "c"], NOW - 60, NOW)
    assert [values(got[name]) for name in "abc"] == [[1], [3], [7]]


async def test_a_series_goes_through_a_change_of_layout_in_time_order(store: PostgreSQLHandler) -> None:
    await store.write([block((A, NOW - 300, [1]), (A, NOW - 180, [3]), names=("a",))], Cursor(1, 1))
    await store.write([block((A, NOW - 240, [2, 9]), (A, NOW - 120, [4, 10]), names=("a", "b"))], Cursor(1, 2))
    got = await store.read(A, ["a", "b"], NOW - 1000, NOW)
    assert (values(got["a"]), values(got["b"])) == ([1, 2, 3, 4], [9, 10])
    assert (await store.latest([A]))[Series(A, "a")] == (NOW - 120, 4)


async def test_two_rows_of_one_time_may_each_have_their_own_since(store: PostgreSQLHandler) -> None:
    rows = block((A, NOW, [1]), (A, NOW, [2]))
    rows.since[1] = NOW - 120
    await store.write([rows], Cursor(1, 1))
    assert (await store.read(A, ["a"], NOW - 60, NOW))["a"].since.tolist() == [NOW - 120, NOW - 60]


async def test_rows_outside_of_the_retention_are_refused_and_late_ones_stored(store: PostgreSQLHandler) -> None:
    late = (A, NOW - 1.9 * DAY, [2])
    never = [(A, NOW - 5 * DAY, [1]), (B, NOW + 1.5 * DAY, [4]), *((B, at, [4]) for at in (math.nan, math.inf, -1e300))]
    refused = await store.write([block(*never, late, (A, NOW, [3]))], Cursor(1, 1))
    assert len(refused) == store.stats.refused == 5
    assert values((await store.read(A, ["a"], NOW - 6 * DAY, NOW))["a"]) == [2, 3]
    assert [one.source for one in await store.sources()] == [A]
    assert await store.cursor() == Cursor(1, 1)


async def test_what_postgresql_cannot_hold_is_refused_and_the_rest_stored(store: PostgreSQLHandler) -> None:
    bad = [Source("h\0", "c"), Source("h\ud800", "c"), Source("h" * 5000, "c" * 5000)]
    wide = tuple(map(str, range(interning.MAX_NAMES + 1)))
    blocks = [
        block((A, NOW, [1]), *((source, NOW, [1]) for source in bad)), block((A, NOW + 1, [1]), names=("n\0",)),
        block((A, NOW + 2, [1] * len(wide)), names=wide),
    ]  # fmt: skip
    refused = await store.write(blocks, Cursor(1, 1))
    assert len(refused) == 5
    assert [one.source for one in await store.sources()] == [A]
    assert set((await store.sources())[0].kinds) == {"a"}


async def test_rows_on_both_sides_of_midnight_are_stored(store: PostgreSQLHandler) -> None:
    midnight = NOW // DAY * DAY
    times = [midnight - 0.000002, midnight - 1e-7, midnight + 1, midnight - DAY + 1]
    await store.write([block(*((A, at, [1]) for at in times))], Cursor(1, 1))
    got = (await store.read(A, ["a"], 0, NOW + 200))["a"].time
    np.testing.assert_allclose(got, sorted(times), rtol=0, atol=1e-6)


async def test_an_empty_write_moves_the_cursor_also_back(store: PostgreSQLHandler) -> None:
    for cursor in (Cursor(4, 4), Cursor(2, 0)):
        await store.write([], cursor)
        assert await store.cursor() == cursor


async def test_meta_is_added_to_and_kept(store: PostgreSQLHandler) -> None:
    for row, facts in enumerate([{"version": "1.2"}, {}, {"uptime": "ü'"}]):
        one = block((A, NOW + row * 60, [1]))
        one.meta.update({0: facts} if facts else {})
        await store.write([one], Cursor(1, row))
    assert (await store.sources())[0].meta == {"version": "1.2", "uptime": "ü'"}


async def test_all_is_there_after_a_restart(url: str, data_dir: Path) -> None:
    one = make(url, data_dir)
    await one.open()
    facts = block((A, NOW, [1]))
    facts.meta[0] = {"version": "1.2"}
    await one.write([facts, block((A, NOW + 60, [1, 2]), names=("a", "b"))], Cursor(3, 9))
    before = await one.sources()
    await one.close()
    two = make(url, data_dir)
    await two.open()
    assert await two.sources() == before
    assert await two.cursor() == Cursor(3, 9)
    await two.write([block((A, NOW + 120, [1]))], Cursor(3, 10))
    assert (await two.read(A, ["a"], 0, NOW + 200))["a"].time.tolist() == [NOW, NOW + 60, NOW + 120]
    await two.close()


async def test_it_knows_when_each_series_was_last_reported(url: str, data_dir: Path) -> None:
    one = make(url, data_dir)
    await one.open()
    await one.write([block((A, NOW - 120, [1, 2]), names=("a", "b"))], Cursor(1, 1))
    await one.write([block((A, NOW - 60, [1, 2]), names=("b", "c"))], Cursor(1, 2))
    await one.write([block((A, NOW, [1]), names=("c",))], Cursor(1, 3))
    known = {"a": NOW - 120, "b": NOW - 60, "c": NOW}
    assert one.seen(A) == known
    assert one.seen(B) == {}
    await one.close()
    two = make(url, data_dir)
    await two.open()
    assert two.seen(A) == known
    await two.close()


async def test_after_a_crash_the_rows_tell_who_was_seen(url: str, data_dir: Path) -> None:
    one = make(url, data_dir)
    await one.open()
    await one.write([block((A, NOW - 60, [1]))], Cursor(1, 1))
    await one.write([block((A, NOW, [1]))], Cursor(1, 2))
    assert one._session is not None and one._tasks
    for task in one._tasks:
        task.cancel()
    one._session.drop_writer()
    await one._session.close()
    two = make(url, data_dir)
    await two.open()
    assert (await two.sources())[0].last_seen == NOW
    await two.close()


async def test_null_was_not_reported_and_is_not_read(external: PostgreSQLHandler, direct: asyncpg.Connection) -> None:
    rows = block(*((A, NOW + 60 * i, [1 + i, math.nan]) for i in range(3)), names=("a", "b"))
    await external.write([rows], Cursor(1, 1))
    await direct.execute("UPDATE sample SET values[2] = NULL WHERE time = to_timestamp($1)", NOW + 60)
    got = await external.read(A, ["a", "b"], NOW - 60, NOW + 1000)
    assert got["b"].time.tolist() == [NOW, NOW + 120]
    assert (values(got["a"]), values(got["b"])) == ([1, 2, 3], [None, None])
    shown = await direct.fetch("SELECT name, value FROM metric WHERE host = 'web1' ORDER BY time, name")
    assert [row["name"] for row in shown] == ["a", "b", "a", "a", "b"]
    await external.write([block((A, NOW + 60, [9, 9]), names=("a", "b"))], Cursor(1, 2))
    got = await external.read(A, ["a", "b"], NOW - 60, NOW + 1000)
    assert (values(got["a"]), values(got["b"])) == ([1, 2, 3], [None, 9, None])


async def test_a_cancelled_write_leaves_nothing_behind(external: PostgreSQLHandler, direct: asyncpg.Connection) -> None:
    names = tuple(f"n{i}" for i in range(50))
    values = np.random.default_rng(1).random((2000, 50))
    many: Block = block(*((Source(f"h{i}", "c"), NOW, row) for i, row in enumerate(values)), names=names)
    cancelled = 0
    for delay in (0.001, 0.004, 0.01, 0.02):
        try:
            await asyncio.wait_for(external.write([many], Cursor(1, 1)), delay)
        except (TimeoutError, DeliveryError):
            cancelled += 1
    assert cancelled
    await until(lambda: external.write([many], Cursor(1, 2)))
    assert await direct.fetchval("SELECT count(*) FROM sample") == 2000
    assert await direct.fetchval("SELECT count(*) FROM metric WHERE host = 'h7'") == 50


async def test_it_goes_on_when_the_server_comes_back(own_server: PostgresServer, data_dir: Path) -> None:
    store = make(own_server.url(), data_dir)
    await store.open()
    facts = block((A, NOW, [1]))
    facts.meta[0] = {"version": "1.2"}
    await store.write([facts], Cursor(1, 1))
    own_server.stop(signal.SIGQUIT)
    with pytest.raises(DeliveryError) as failed:
        await store.write([block((A, NOW + 60, [1]), (B, NOW, [1]))], Cursor(1, 2))
    down = await store.healthy()
    assert down is not None
    assert "secret" not in down + str(failed.value)
    with pytest.raises(StoreDownError, match="does not answer") as unread:
        await store.read(A, ["a"], 0, NOW)
    assert "secret" not in str(unread.value)
    with pytest.raises(StoreDownError):
        await store.latest([A])
    assert [one.source for one in await store.sources()] == [A]
    own_server.start()
    await until(lambda: store.write([block((A, NOW + 60, [1]), (B, NOW, [1]))], Cursor(1, 2)))
    assert len((await store.read(A, ["a"], 0, NOW + 100))["a"].time) == 2
    assert (await store.sources())[0].meta == {"version": "1.2"}
    assert await store.healthy() is None
    await store.close()


async def test_a_server_that_is_down_at_the_start_is_an_error_without_the_password(data_dir: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = make(f"postgresql://u:secret@127.0.0.1:{port}/d", data_dir, start_wait=0.5)
    with pytest.raises(StoreDownError) as failed:
        await store.open()
    assert f"127.0.0.1:{port}/d" in str(failed.value)
    assert "secret" not in str(failed.value)
    await store.close()


@pytest.mark.parametrize("wrong", ["postgresql://u:sec@ret:word@h:p/d", "postgresql://u:s/ecret@host/d"])
async def test_a_url_that_cannot_be_read_is_an_error_without_the_password(wrong: str, data_dir: Path) -> None:
    with pytest.raises(StoreUnusableError) as failed:
        await make(wrong, data_dir, start_wait=0.5).open()
    assert "ecret" not in str(failed.value) and "ret" not in str(failed.value).replace("secret", "ecret")


async def test_an_unknown_database_is_an_error_at_once(postgres: PostgresServer, data_dir: Path) -> None:
    store = make(postgres.url("nosuch"), data_dir)
    began = time.monotonic()
    with pytest.raises(StoreUnusableError, match='database "nosuch" does not exist'):
        await store.open()
    assert time.monotonic() - began < 10
    await store.close()


async def test_a_second_appliance_is_turned_away(external: PostgreSQLHandler, url: str, data_dir: Path) -> None:
    second = make(url, data_dir, start_wait=0.5)
    with pytest.raises(StoreDownError, match="another appliance"):
        await second.open()
    await second.close()


@pytest.mark.parametrize("major", [9, 13])
def test_a_server_older_than_14_is_refused(major: int) -> None:
    with pytest.raises(StoreUnusableError, match=f"db:5432/d is PostgreSQL {major}; 14 or newer is needed"):
        check_version("db:5432/d", major)


@pytest.mark.parametrize("major", [14, 18])
def test_a_server_of_14_or_newer_is_taken(major: int) -> None:
    check_version("db:5432/d", major)


async def test_the_second_appliance_gets_the_database_when_the_first_ends(url: str, data_dir: Path) -> None:
    first, second = make(url, data_dir), make(url, data_dir, start_wait=20)
    await first.open()
    await first.write([block((A, NOW, [1]))], Cursor(1, 1))
    waiting = asyncio.create_task(second.open())
    await asyncio.sleep(0.5)
    assert not waiting.done()
    await first.close()
    await waiting
    assert await second.cursor() == Cursor(1, 1)
    await second.close()


async def test_latest_of_many_sources_is_the_newest_row_of_each_series(external: PostgreSQLHandler) -> None:
    many = [Source(f"h{i}", "c") for i in range(320)]
    await external.write(
        [block(*((one, NOW - 60, [i, -i]) for i, one in enumerate(many)), names=("a", "b"))], Cursor(1, 1)
    )
    await external.write(
        [block(*((one, NOW, [i, 1]) for i, one in enumerate(many[::2])), names=("a", "c"))], Cursor(1, 2)
    )
    expected = {Series(one, name): (NOW - 60, float(value)) for i, one in enumerate(many)
                for name, value in (("a", i), ("b", -i))}  # fmt: skip
    for i, one in enumerate(many[::2]):
        expected |= {Series(one, "a"): (NOW, float(i)), Series(one, "c"): (NOW, 1.0)}
    assert await external.latest([*many, Source("no", "such")]) == expected


async def test_a_listing_follows_every_change(external: PostgreSQLHandler) -> None:
    """What is listed may be kept from one call to the next, but never longer than it is true."""

    async def listed() -> list[tuple[str, float, str]]:
        return [(one.source.host, one.last_seen, "".join(sorted(one.kinds))) for one in await external.sources()]

    hosts = [Source(name, "c") for name in ("m", "z", "a")]
    await external.write([block((hosts[0], NOW, [1]))], Cursor(1, 1))
    assert await listed() == [("m", NOW, "a")]
    kept = (await external.sources())[0]
    await external.write([block((hosts[1], NOW, [1]), (hosts[2], NOW, [1]))], Cursor(1, 2))
    assert await listed() == [("a", NOW, "a"), ("m", NOW, "a"), ("z", NOW, "a")]
    assert (await external.sources(host="m"))[0] is kept
    facts = block((hosts[0], NOW + 60, [1, 2]), names=("a", "b"))
    facts.meta[0] = {"version": "1"}
    await external.write([facts], Cursor(1, 3))
    assert await listed() == [("a", NOW, "a"), ("m", NOW + 60, "ab"), ("z", NOW, "a")]
    assert (await external.sources(host="m"))[0].meta == {"version": "1"}
    external.known.forget([external.known.slots[hosts[2]]], [], [])
    assert await listed() == [("m", NOW + 60, "ab"), ("z", NOW, "a")]
    assert await external.sources(host="a") == []


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


async def test_what_is_over_its_retention_goes_without_a_trace(
    url: str,
    data_dir: Path,
    direct: asyncpg.Connection,
) -> None:
    clock = Clock()
    store = make(url, data_dir, clock=clock)
    store.keep(ROWS_ONLY)
    await store.open()
    many = [Source(f"short{i}", "job") for i in range(3000)]
    first = block(*((source, NOW, [1]) for source in many), (A, NOW, [1]))
    await store.write([first, block((A, NOW, [1]), names=("x",))], Cursor(1, 1))
    clock.now = NOW + 4 * DAY
    await store.write([block((A, clock.now, [1]))], Cursor(1, 2))
    await store.maintain()
    assert [one.source for one in await store.sources()] == [A]
    assert set((await store.sources())[0].kinds) == {"a"}
    for table, left in {"source": 1, "layout": 1, "source_layout": 1, "sample": 1}.items():
        assert await direct.fetchval(f"SELECT count(*) FROM {table}") == left, table
    days = await direct.fetch("SELECT tablename FROM pg_tables WHERE tablename ~ '^sample_1_' ORDER BY 1")
    oldest = time.strftime("%Y%m%d", time.gmtime(clock.now - 2 * DAY))
    newest = time.strftime("%Y%m%d", time.gmtime(clock.now + 2 * DAY))
    assert (days[0]["tablename"], days[-1]["tablename"]) == (f"sample_1_{oldest}", f"sample_1_{newest}")
    await store.write([block((many[0], clock.now, [5]))], Cursor(1, 3))
    assert (await store.latest([many[0]])) == {Series(many[0], "a"): (clock.now, 5.0)}
    await store.close()


async def test_a_source_that_says_so_goes_soon_after_it_was_last_seen(url: str, data_dir: Path) -> None:
    clock = Clock()
    store = make(url, data_dir, clock=clock)
    await store.open()
    rows = block((A, NOW, [1]), (B, NOW, [1]))
    rows.meta[1] = {"forget_after": "600"}
    await store.write([rows], Cursor(1, 1))
    clock.now = NOW + 500
    await store.maintain()
    assert len(await store.sources()) == 2
    clock.now = NOW + 700
    await store.maintain()
    assert [one.source for one in await store.sources()] == [A]
    await store.close()


async def test_a_reader_delays_the_drop_and_nothing_else(
    url: str,
    data_dir: Path,
    direct: asyncpg.Connection,
) -> None:
    clock = Clock()
    store = make(url, data_dir, clock=clock)
    store.keep(ROWS_ONLY)
    await store.open()
    await store.write([block((A, NOW, [1]))], Cursor(1, 1))
    reading = direct.transaction()
    await reading.start()
    await direct.fetch("SELECT * FROM sample")
    clock.now = NOW + 4 * DAY
    began = time.monotonic()
    await asyncio.gather(store.maintain(), store.write([block((A, clock.now, [2]))], Cursor(1, 2)))
    assert time.monotonic() - began < 15
    assert store.partitions.stuck
    await reading.rollback()
    await store.maintain()
    assert not store.partitions.stuck
    assert await direct.fetchval("SELECT count(*) FROM sample") == 1
    await store.close()
