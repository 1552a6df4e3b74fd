# ruff: noqa: F811 - fixtures are asked for by the names that they are imported under
"""Events of WCS in PostgreSQL: stored exactly once, in days that come and go, whatever their cells hold."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from blocks import DiamondNaming
from servers_postgres import PostgresServer, postgres  # noqa: F401

from handlers.postgresql import PostgreSQLHandler
from monitor.batch import Cursor, Records, Source
from monitor.rels import Rels
from monitor.store.events import cells, grouping
from monitor.store.events.days import KEEP
from monitor.store.events.intake import Stats
from monitor.store.events.reading import ROLE
from monitor.store.events.search import Wanted
from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.tables import TABLES

pytestmark = pytest.mark.asyncio(loop_scope="module")
DAY = 86400
NOW = float(int(time.time()))
STREAM = TABLES["StreamEvent"].names


def row(at: float, stream: str = "test", kind: int = 3, payload: str = "") -> bytes:
    return f"{int(at * 1000)}\t192.0.2.10\ts1\tm1\t{stream}\t{kind}\t{payload}\n".encode()


def records(body: bytes, table: str = "StreamEvent", columns: tuple[str, ...] = (), **more: Any) -> Records:
    head = {"columns": list(columns or TABLES[table].names)}
    source = more.pop("source", Source("192.0.2.10", "rels"))
    return Records(f"wcs.{table}", source, more.pop("time", NOW), body.count(b"\n"), body, head, **more)


class Events:
    """A store with an empty database, and what the tests need of it."""

    def __init__(self, store: PostgreSQLHandler, direct: asyncpg.Connection) -> None:
        self.store = store
        self.direct = direct
        self.row = 0

    async def write(self, *some: Records) -> list[Any]:
        self.row += 1
        return list(await self.store.write(some, Cursor(1, self.row)))

    async def all(self, table: str = "streamevent", columns: str = "*", more: str = "") -> list[tuple[Any, ...]]:
        return [tuple(one) for one in await self.direct.fetch(f"SELECT {columns} FROM wcs.{table} {more}")]


@contextlib.asynccontextmanager
async def stored(url: str, directory: Path) -> AsyncIterator[PostgreSQLHandler]:
    store = PostgreSQLHandler("PostgreSQLHandler", DiamondNaming(), database=url, data_dir=directory, clock=lambda: NOW)
    # The tests do the maintenance themselves.
    store.paused = lambda: True
    await store.open()
    yield store
    await store.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Events]:
    name = f"e{time.monotonic_ns()}"
    admin = await asyncpg.connect(postgres.url())
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    async with stored(postgres.url(name), tmp_path_factory.mktemp("store")) as store:
        direct = await asyncpg.connect(postgres.url(name))
        yield Events(store, direct)
        await direct.close()


@pytest_asyncio.fixture(loop_scope="module")
async def events(shared: Events) -> Events:
    """The store, empty again."""
    names = [table.lower() for table in TABLES]
    await shared.direct.execute("".join(f"DELETE FROM wcs.{name};" for name in [*names, "batch"]))
    shared.store.intake.stats = Stats()
    shared.store.days.keep = {}
    shared.store._clock = lambda: NOW
    return shared


async def test_what_was_sent_lies_in_the_partition_of_its_day(events: Events) -> None:
    await events.write(records(row(NOW) + row(NOW, "other", 5)))
    found = await events.all(columns="tableoid::regclass::text, streamname, eventtype, ip::text, timestamp")
    day = time.strftime("%Y%m%d", time.gmtime(NOW))
    assert found == [
        (f"wcs.streamevent_{day}", "test", 3, "192.0.2.10/32", NOW * 1000),
        (f"wcs.streamevent_{day}", "other", 5, "192.0.2.10/32", NOW * 1000),
    ]


async def test_days_are_made_for_what_comes_late_and_only_within_the_retention(events: Events) -> None:
    await events.write(records(row(NOW - 5 * DAY)), records(row(NOW - KEEP - 2 * DAY)), records(row(NOW + 3 * DAY)))
    found = await events.all(columns="tableoid::regclass::text", more="ORDER BY timestamp")
    day = time.strftime("%Y%m%d", time.gmtime(NOW - 5 * DAY))
    assert found == [("wcs.streamevent_default",), (f"wcs.streamevent_{day}",), ("wcs.streamevent_default",)]


async def test_what_went_elsewhere_is_brought_to_its_day_by_maintenance(events: Events) -> None:
    await events.write(records(row(NOW) + row(NOW - 3 * DAY) + row(NOW)))
    assert ("wcs.streamevent_default",) in await events.all(columns="tableoid::regclass::text")
    await events.store.maintain()
    day = time.strftime("%Y%m%d", time.gmtime(NOW - 3 * DAY))
    found = await events.all(columns="tableoid::regclass::text", more="ORDER BY timestamp")
    assert found[0] == (f"wcs.streamevent_{day}",) and len(found) == 3


async def test_days_that_are_over_are_dropped_by_table_and_strays_by_their_arrival(events: Events) -> None:
    events.store.days.keep = {"CDNEvent": 3 * DAY}
    cdn = f"{int((NOW - 2 * DAY) * 1000)}\t192.0.2.10\tnode\t1\t\n".encode()
    await events.write(records(row(NOW - 2 * DAY)), records(cdn, "CDNEvent"), records(row(0)), records(row(1)))
    await events.direct.execute(
        "UPDATE wcs.streamevent_default SET received = to_timestamp($1) WHERE timestamp = 0", NOW - KEEP - 60
    )
    events.store._clock = lambda: NOW + 3 * DAY
    await events.store.maintain()
    assert await events.all("cdnevent", "count(*)") == [(0,)]
    assert await events.all(columns="timestamp", more="ORDER BY 1") == [(1000,), ((NOW - 2 * DAY) * 1000,)]


async def test_a_batch_that_is_sent_again_is_stored_once(events: Events) -> None:
    again = records(row(NOW), id="q1")
    await events.write(again, again)
    await events.write(again, records(row(NOW, "more"), id="q2"))
    assert await events.all(columns="streamname") == [("test",), ("more",)]
    assert events.store.intake.stats.repeated == 2
    # The same id of another server, of another table or after a long time is another batch.
    await events.write(
        records(row(NOW), id="q1", source=Source("192.0.2.11", "rels")), records(row(NOW), id="q1", time=NOW + 3600)
    )
    assert len(await events.all()) == 4


async def test_rows_and_cursor_come_and_go_together(events: Events) -> None:
    await events.direct.execute("ALTER TABLE journal_cursor ADD CHECK (segment < 5)")
    with pytest.raises(asyncpg.CheckViolationError):
        await events.store.write([records(row(NOW), id="q")], Cursor(5, 1))
    assert await events.all() == []
    await events.store.write([records(row(NOW), id="q")], Cursor(4, 1))
    assert len(await events.all()) == 1
    assert await events.store.cursor() == Cursor(4, 1)
    await events.direct.execute("ALTER TABLE journal_cursor DROP CONSTRAINT journal_cursor_segment_check")


async def test_a_commit_whose_answer_was_lost_is_not_stored_again(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, some = events.store._writer, [records(row(NOW))]
    real = writer._write

    async def cut(*arguments: Any) -> Any:
        await real(*arguments)
        raise TimeoutError("the answer was lost")

    monkeypatch.setattr(writer, "_write", cut)
    with pytest.raises(Exception, match="lost"):
        await events.store.write(some, Cursor(3, 1))
    monkeypatch.undo()
    await events.store.write(some, Cursor(3, 1))
    assert len(await events.all()) == 1
    await events.store.write(some, Cursor(3, 2))
    assert len(await events.all()) == 2


async def test_odd_bytes_of_a_string_are_kept_and_can_be_told(events: Events) -> None:
    names = [b"plain \xd1\x82", b"zero\\0byte", b"bad \xff\xfe utf8", "private \U0010ff41".encode(), b"back\\\\0slash"]
    body = b"".join(row(NOW, "X").replace(b"X", name) for name in names)
    assert await events.write(records(body)) == []
    found = [cells.restored(one) for (one,) in await events.all(columns="streamname")]
    assert found == ["plain т", "zero\0byte", b"bad \xff\xfe utf8", "private \U0010ff41", "back\\0slash"]
    assert events.store.intake.stats.repaired == 1


async def test_numbers_of_64_bits_are_exact(events: Events) -> None:
    most = str(2**64 - 1).encode()
    body = most + b"\t1.2.3.4\ts\tm\tstream\t" + most + b"\t\n" + row(NOW)
    assert await events.write(records(body)) == []
    found = await events.all(columns="timestamp, eventtype", more="ORDER BY 1")
    assert found == [(-1, 2**64 - 1), (int(NOW * 1000), 3)]


async def test_single_floats_beyond_their_range_fail_nothing(events: Events) -> None:
    columns = ("timestamp", "playbackSpeed", "gap")
    body = b"".join(b"%d\t%s\ttrue\n" % (NOW * 1000, one) for one in (b"1.5", b"1e60", b"1e-60", b"nan", b"-inf"))
    assert await events.write(records(body, "HlsSegmenterEvents", columns)) == []
    found = [str(one) for (one,) in await events.all("hlssegmenterevents", "playbackspeed")]
    assert found == ["1.5", "inf", "0.0", "nan", "-inf"]


async def test_what_newer_versions_send_is_kept_as_json(events: Events) -> None:
    columns = ("timestamp", "streamName", "extra")
    body = b'%d\ta\t{"new": 1, "text": "x\\\\ty"}\n' % (NOW * 1000) + b"%d\tb\t\n" % (NOW * 1000)
    assert await events.write(records(body, columns=columns)) == []
    found = await events.all(columns="streamname, extra->>'text', extra IS NULL, sessionid")
    assert found == [("a", "x\ty", False, ""), ("b", None, True, "")]
    odd = b'%d\tc\t{"zero": "\\\\u0000"}\n' % (NOW * 1000)
    assert await events.write(records(odd, columns=columns)) == []
    ((text,),) = await events.all(columns="extra->>'zero'", more="WHERE streamname = 'c'")
    assert cells.restored(text) == "\0"


async def test_events_that_name_no_server_keep_who_sent_them(events: Events) -> None:
    body = b"%d\tmix\n" % (NOW * 1000)
    columns = ("timestamp", "mixerStreamName")
    await events.write(records(body, "MixerEvent", columns, source=Source("10.9.8.7", "rels")))
    assert [str(one) for (one,) in await events.all("mixerevent", "host(server)")] == ["10.9.8.7"]


async def test_what_can_never_be_stored_is_refused_and_holds_up_nothing(events: Events) -> None:
    short, unknown = records(b"1\t2\n"), records(row(NOW), "StreamEvent", (*STREAM[:-1], "nothing"))
    other = Records("wcs.Elsewhere", Source("h", "rels"), NOW, 1, b"1\n", {"columns": ["a"]})
    refused = await events.write(short, unknown, other, records(row(NOW)))
    assert len(await events.all()) == 1
    assert [why for _, why in refused][:2] == ["there is no column 'nothing'", "there is no such table"]
    assert len(refused) == 3 and "StreamEvent from 192.0.2.10" in refused[2].item


async def test_a_user_who_may_make_no_roles_stores_and_searches_but_is_told_why_selects_are_refused(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    name = f"p{time.monotonic_ns()}"
    admin = await asyncpg.connect(postgres.url())
    await admin.execute(f"CREATE ROLE {name} LOGIN")
    await admin.execute(f"CREATE DATABASE {name} OWNER {name}")
    await admin.close()
    async with stored(postgres.url(name).replace("monitor:", f"{name}:"), tmp_path) as store:
        assert await store.write([records(row(NOW))], Cursor(1, 1)) == []
        await store.maintain()
        wanted = Wanted(TABLES["StreamEvent"], 0, int(NOW * 1000))
        assert len((await store.search.page(wanted, 5)).events) == 1
        with pytest.raises(ClickHouseError) as caught:
            await store.reading.select("SELECT count() FROM StreamEvent", max_rows=5)
        assert caught.value.code == 497 and ROLE in caught.value.text


async def test_keep_says_for_how_long_and_what_is_wrong_with_it() -> None:
    assert Rels({"keep": ["2w", "CDNEvent = 36h"]}).kept == {"": 14 * DAY, "CDNEvent": 1.5 * DAY}
    assert Rels({}).kept == {"": KEEP}
    for text in ("x", "0d", "30", "Nothing=3d", "30d CDNEvent=7d"):
        ((key, why),) = Rels({"keep": [text]}).check()
        assert key == "keep" and text.partition("=")[0] in why


async def test_many_rows_are_stored_whatever_order_helps_the_indexes(events: Events) -> None:
    bodies = [b"".join(row(NOW - i, f"stream{i % 7}", i % 32) for i in range(n, n + 500)) for n in (0, 500)]
    assert await events.write(*(records(body) for body in bodies)) == []
    found = await events.all(columns="timestamp, streamname, eventtype", more="ORDER BY timestamp DESC")
    assert found == [((NOW - i) * 1000, f"stream{i % 7}", i % 32) for i in range(1000)]
    assert events.store.intake.stats.repaired == 0


async def test_rows_of_a_stream_come_together_in_their_order() -> None:
    body = b"".join(row(NOW + i, f"stream-of-{i % 3}", 1) for i in range(900))
    made = grouping.grouped(body, 7, STREAM.index("streamName")).splitlines()
    streams = [one.split(b"\t")[4] for one in made]
    assert sorted(made) == sorted(body.splitlines()) and len(list(itertools.groupby(streams))) == 3
    for _, same in itertools.groupby(made, key=lambda one: one.split(b"\t")[4]):
        times = [one.split(b"\t")[0] for one in same]
        assert times == sorted(times)
    assert grouping.grouped(b"a\tb\n" * 900, 7, 4) == b"a\tb\n" * 900


@pytest.mark.parametrize("text", [b"", b"\xed\xa0\x80", b"\xf4\x8f\xbf\xbf\0", b"\xc3", bytes(range(256))])
async def test_any_bytes_have_a_text_that_stands_for_them_alone(text: bytes) -> None:
    found = cells.restored(cells.held(text))
    assert (found if isinstance(found, bytes) else found.encode()) == text
    cells.held(text).encode()
    assert "\0" not in cells.held(text)
