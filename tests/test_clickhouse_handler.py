"""ClickHouseHandler against a real engine of ClickHouse: what arrives in outages, after crashes and refusals."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from appliance import free_port
from blocks import DiamondNaming, block
from clickhouse_engine import canonical
from clickhouse_target import ClickHouse, Door, opened
from memory_journal import MemoryJournal
from servers_clickhouse import clickhouse
from servers_tls import Relay, certificate

from handlers._clickhouse import ddl
from handlers._clickhouse.target import Meaning, addresses, judged
from handlers._elastic.urls import Answer
from handlers.clickhouse import ClickHouseHandler
from monitor.batch import Cursor, Entry, Records, Source
from monitor.handler import DeliveryError, Refused
from monitor.outlet import Outlet
from monitor.retry import Pauses
from monitor.wire.clickhouse.tables import TABLES

PAYLOADS: dict[str, Any] = json.loads((Path(__file__).parent / "cases/clickhouse/payloads.json").read_text())["tables"]
QUICK = Pauses(first=0.02, longest=0.2)
NOW = 1_795_000_000.0
END = Cursor(1, 1)
TOO_MANY = "Code: 252. DB::Exception: Too many parts (300). Merges are processing slower. (TOO_MANY_PARTS)\n"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    port = free_port()
    with clickhouse(tmp_path_factory.mktemp("clickhouse"), port):
        yield ClickHouse(port)


class Target:
    """A database of its own, the door to it, and a handler's directory."""

    def __init__(self, engine: ClickHouse, door: Door, database: str, directory: Path) -> None:
        self.engine, self.door, self.database, self.directory = engine, door, database, directory

    def handler(self, **options: Any) -> ClickHouseHandler:
        given = {
            "urls": [self.door.url], "database": self.database, "data_dir": self.directory, "flush_interval": 0.0,
            "timeout": 10.0, **options,
        }  # fmt: skip
        return ClickHouseHandler("C", DiamondNaming(), **given)

    @asynccontextmanager
    async def opened(self, **options: Any) -> AsyncIterator[ClickHouseHandler]:
        one = self.handler(**options)
        await one.open()
        try:
            yield one
        finally:
            await one.close()

    async def write(self, entries: Sequence[Entry], **options: Any) -> Sequence[Refused]:
        async with self.opened(**options) as one:
            return await one.write(entries, END)  # type: ignore[arg-type]

    async def there(self, table: str, columns: str = "*") -> list[bytes]:
        return await self.engine.rows(f"{self.database}.{table}", columns)

    async def count(self, table: str) -> int:
        return await self.engine.number(f"SELECT count() FROM {self.database}.{table}")


@pytest.fixture
async def target(engine: ClickHouse, request: Any, tmp_path: Path) -> AsyncIterator[Target]:
    database = request.node.name.partition("[")[0][:60]
    await asyncio.to_thread(engine.make, ddl.Form(database=database), "StreamEvent", "ConnectionEvent", "CDNEvent")
    async with opened(engine) as door:
        yield Target(engine, door, database, tmp_path)


def stream(number: int, *, count: int = 3, id: str = "", **head: Any) -> Records:
    """Return some rows of StreamEvent."""
    body = "".join(
        f"{int(NOW * 1000) + number}\t10.0.0.7\ts{number}\tm\troom{row}\t{row}\t\n" for row in range(count)
    ).encode()
    columns = {"columns": list(TABLES["StreamEvent"].names), **head}
    return Records("wcs.StreamEvent", Source("10.0.0.7", "rels"), NOW + number, count, body, columns, id)


def connection(number: int) -> Records:
    body = f"{int(NOW * 1000)}\t10.0.0.8\tc{number}\t1\tp\n".encode()
    columns = {"columns": list(TABLES["ConnectionEvent"].names)}
    return Records("wcs.ConnectionEvent", Source("10.0.0.8", "rels"), NOW, 1, body, columns)


def rows_of(records: Sequence[Records]) -> list[bytes]:
    return sorted(b"".join(one.body for one in records).splitlines(keepends=True))


async def test_small_batches_become_one_insert_a_table_and_their_rows_are_all_there(target: Target) -> None:
    streams, connections = [stream(n) for n in range(40)], [connection(n) for n in range(30)]
    mixed = [one for pair in zip(streams, connections, strict=False) for one in pair] + streams[30:]
    assert await target.write(mixed) == []
    assert await target.there("StreamEvent") == rows_of(streams)
    assert await target.there("ConnectionEvent") == rows_of(connections)
    first, second = target.door.inserts
    assert first.query == (
        f"INSERT INTO `{target.database}`.`StreamEvent` (`timestamp`, `ip`, `sessionId`, `mediaSessionId`, "
        "`streamName`, `eventType`, `eventPayload`) FORMAT TabSeparated"
    )
    assert (first.headers["Content-Encoding"], first.parameters["async_insert"]) == ("gzip", "0")
    assert first.token != second.token


async def test_every_table_has_each_row_as_the_engine_itself_wrote_it(engine: ClickHouse, tmp_path: Path) -> None:
    form = ddl.Form(database="every", extra=True)
    await asyncio.to_thread(engine.make, form)
    records = []
    for table in TABLES.values():
        body = canonical(PAYLOADS[table.name]["TabSeparated"].encode())
        head = {"columns": list(table.names)}
        records.append(Records(f"wcs.{table.name}", Source("h", "rels"), NOW, PAYLOADS[table.name]["rows"], body, head))
    async with opened(engine) as door:
        assert await Target(engine, door, "every", tmp_path).write(records, gzip=False) == []
    for table in TABLES.values():
        names = ", ".join(table.names)
        body = await engine.ask(f"SELECT {names} FROM every.{table.name} FORMAT TabSeparated")
        expected = canonical(PAYLOADS[table.name]["TabSeparated"].encode())
        assert sorted(canonical(body).splitlines()) == sorted(expected.splitlines()), table.name


async def test_bytes_that_are_no_text_arrive_as_they_are(target: Target) -> None:
    body = b"18446744073709551615\t1.2.3.4\ta\\0b\t\xff\xfe\t\\\\x\\t\\n\t18446744073709551615\t\\b\\f\\r'\"\n"
    head = {"columns": list(TABLES["StreamEvent"].names)}
    assert await target.write([Records("wcs.StreamEvent", Source("h", "rels"), NOW, 1, body, head)]) == []
    found = await target.engine.ask(f"SELECT * FROM {target.database}.StreamEvent FORMAT TabSeparated")
    assert canonical(found) == body


async def test_an_answer_that_is_lost_doubles_nothing(target: Target) -> None:
    records = [stream(n) for n in range(5)]
    async with target.opened() as one:
        target.door.faults = ["lost"]
        with pytest.raises(DeliveryError, match="no answer"):
            await one.write(records, END)  # type: ignore[arg-type]
        assert await target.count("StreamEvent") == 15
        assert await one.write(records, END) == []  # type: ignore[arg-type]
    first, again = target.door.inserts
    assert (first.token, first.body) == (again.token, again.body)
    assert await target.there("StreamEvent") == rows_of(records)


async def test_a_crash_between_inserts_doubles_nothing_though_more_came_meanwhile(target: Target) -> None:
    records: list[Entry] = [*(stream(n) for n in range(6)), connection(1)]
    async with target.opened(rows=6) as one:
        target.door.faults = ["", "lost"]
        with pytest.raises(DeliveryError):
            await one.write(records, END)  # type: ignore[arg-type]
    more: list[Entry] = [*records, stream(7), stream(8), connection(2)]
    assert await target.write(more, rows=100) == []
    assert await target.there("StreamEvent") == rows_of([stream(n) for n in (*range(6), 7, 8)])
    assert await target.there("ConnectionEvent") == rows_of([connection(1), connection(2)])
    tokens = [one.token for one in target.door.inserts if one.status == 200]
    assert len(set(tokens)) < len(tokens)


async def test_without_its_notes_a_crash_repeats_the_same_inserts_where_nothing_else_came(target: Target) -> None:
    records = [stream(n) for n in range(5)]
    for _ in range(2):
        assert await target.write(records, data_dir=None) == []
    assert await target.there("StreamEvent") == rows_of(records)


@pytest.mark.parametrize("content", [b"", b"{", b'{"inserts": 1}', b'{"inserts": [1]}', b"\xff", b"[]"])
async def test_notes_that_are_not_usable_are_as_good_as_none(target: Target, content: bytes) -> None:
    (target.directory / "C.inserts").write_bytes(content)
    assert await target.write([stream(len(content))]) == []
    assert json.loads((target.directory / "C.inserts").read_bytes())["inserts"]


async def test_notes_that_cannot_be_written_stop_nothing_for_good(target: Target) -> None:
    with pytest.raises(DeliveryError, match="cannot be written to: No such file or directory"):
        await target.write([stream(1)], data_dir=target.directory / "nowhere")


async def test_a_batch_that_came_twice_under_one_id_goes_on_once(target: Target) -> None:
    again = stream(1, id="q")
    later = Records(again.table, again.source, again.time + 5, again.count, again.body, again.head, "q")
    much_later = Records(again.table, again.source, again.time + 5000, again.count, again.body, again.head, "q")
    async with target.opened() as one:
        for entries in ([again, later], [later], [stream(2)]):
            assert await one.write(entries, END) == []  # type: ignore[arg-type]
    assert await target.count("StreamEvent") == 6
    with (target.directory / "C.batches").open("ab") as file:
        file.write(b'["wcs.StreamEvent", "torn')
    async with target.opened() as one:  # what was sent is known after a crash, too
        assert await one.write([again, later], END) == []  # type: ignore[arg-type]
        assert await one.write([later, stream(3, id="r")], END) == []  # type: ignore[arg-type]
        assert await target.count("StreamEvent") == 9
        assert await one.write([much_later], END) == []  # type: ignore[arg-type]
    assert await target.count("StreamEvent") == 12
    assert (target.directory / "C.batches.old").exists()


@pytest.mark.parametrize(
    "fault",
    [(500, TOO_MANY), (429, "slow down"), (503, "Code: 202. DB::Exception: Too many simultaneous queries"),
     (500, "Code: 242. DB::Exception: Table is in readonly mode. (TABLE_IS_READ_ONLY)"),
     (200, "Code: 241. DB::Exception: Memory limit exceeded"), (502, "<html>")],
)  # fmt: skip
async def test_a_target_that_cannot_now_gets_everything_later(target: Target, fault: tuple[int, str]) -> None:
    records: list[Entry] = [stream(1), connection(1)]
    async with target.opened() as one:
        target.door.faults = [fault]
        with pytest.raises(DeliveryError) as raised:
            await one.write(records, END)  # type: ignore[arg-type]
        assert raised.value.retry_after == (15.0 if fault[1] == TOO_MANY else 0.0)
        # Too many parts are one table's trouble.
        assert await target.count("ConnectionEvent") >= (fault[1] == TOO_MANY)
        assert await one.write(records, END) == []  # type: ignore[arg-type]
    assert await target.there("StreamEvent") == rows_of([stream(1)])
    assert target.door.inserts[-1].table == ("StreamEvent" if fault[1] == TOO_MANY else "ConnectionEvent")


async def test_of_several_addresses_one_that_is_away_or_in_trouble_is_passed_over(target: Target) -> None:
    async with opened(target.engine) as other:
        nobody = f"http://127.0.0.1:{free_port()}"
        async with target.opened(urls=[nobody, target.door.url, other.url]) as one:
            target.door.faults = [(503, "")]
            assert await one.write([stream(1)], END) == []  # type: ignore[arg-type]
            assert [len(target.door.inserts), len(other.inserts)] == [1, 1]
            other.faults = [(500, "Code: 242. DB::Exception: readonly")]
            with pytest.raises(DeliveryError):
                await one.write([stream(2)], END)  # type: ignore[arg-type]
            assert await one.write([stream(2)], END) == []  # type: ignore[arg-type]
    assert await target.there("StreamEvent") == rows_of([stream(1), stream(2)])


async def test_an_outage_and_a_restart_lose_and_double_nothing(target: Target) -> None:
    journal, records = MemoryJournal(), [stream(n, count=n % 5 + 1) for n in range(60)]

    async def level(outlet: Outlet) -> None:
        async with asyncio.timeout(20):
            while outlet.cursor != journal.end:
                await asyncio.sleep(0.01)

    first = Outlet(target.handler(rows=20), journal, pauses=QUICK)
    await first.start()
    for number, one in enumerate(records):
        if number == 15:
            target.door.faults = ["lost", (503, ""), "lost", (500, TOO_MANY.replace("252", "202"))]
        if number == 30:
            await level(first)
            await target.door.stop()
        if number == 45:
            await first.drain(0.01)
            await target.door.start()
            target.door.faults = ["", "lost"]
            first = Outlet(target.handler(), journal, pauses=QUICK)
            await first.start()
        await journal.append([one])
        await asyncio.sleep(0)
    await level(first)
    assert first.stats.refused == first.stats.lost == 0
    await first.drain(5)
    assert await target.there("StreamEvent") == rows_of(records)
    digest = f"SELECT groupBitXor(cityHash64(*)), count() FROM {target.database}.StreamEvent"
    form = ddl.Form(database=f"{target.database}_all")
    await asyncio.to_thread(target.engine.make, form, "StreamEvent")
    values = b"".join(one.body for one in records).decode()
    await target.engine.ask(f"INSERT INTO {form.database}.StreamEvent FORMAT TabSeparated\n{values}")
    assert await target.engine.ask(digest) == await target.engine.ask(digest.replace(target.database, form.database))


async def test_a_batch_that_is_refused_is_found_among_others_which_arrive(target: Target) -> None:
    good = [stream(n) for n in range(20)]
    bad = Records("wcs.StreamEvent", Source("odd", "rels"), NOW, 1, b"x\ty\n", stream(0).head)
    journal = MemoryJournal()
    outlet = Outlet(target.handler(flush_interval=0.05), journal, pauses=QUICK)
    await outlet.start()
    for one in (*good[:7], bad, *good[7:], connection(1)):
        await journal.append([one])
    async with asyncio.timeout(20):
        while outlet.cursor != journal.end:
            await asyncio.sleep(0.01)
    await outlet.drain(5)
    assert (outlet.stats.refused, outlet.stats.lost) == (1, 0)
    assert await target.there("StreamEvent") == rows_of(good)
    assert await target.count("ConnectionEvent") == 1


async def test_what_has_no_table_or_column_is_refused_and_holds_up_nothing(target: Target) -> None:
    gone = Records("wcs.MixerEvent", Source("m", "rels"), NOW, 1, b"1\n", {"columns": ["timestamp"]})
    other = Records("wcs.StreamEvent", Source("o", "rels"), NOW, 1, b"1\t2\n", {"columns": ["timestamp", "newer"]})
    refused = await target.write([gone, other, stream(1)])
    assert refused == [
        Refused("MixerEvent: 1 rows from m", f"there is no table in {target.database}.MixerEvent"),
        Refused("StreamEvent: 1 rows from o", f"there is no column 'newer' in {target.database}.StreamEvent"),
    ]
    assert await target.there("StreamEvent") == rows_of([stream(1)])


async def test_a_table_that_went_is_looked_for_again(target: Target) -> None:
    async with target.opened() as one:
        assert await one.write([stream(1)], END) == []  # type: ignore[arg-type]
        await target.engine.ask(f"DROP TABLE {target.database}.StreamEvent SYNC")
        with pytest.raises(DeliveryError, match="Code: 60"):
            await one.write([stream(2), connection(2)], END)  # type: ignore[arg-type]
        assert await target.count("ConnectionEvent") == 1
        (refused,) = await one.write([stream(2), connection(2)], END)  # type: ignore[arg-type]
        assert "there is no table" in refused.reason


async def test_a_table_that_was_made_meanwhile_is_found_before_its_rows_are_refused(target: Target) -> None:
    async with target.opened() as one:
        assert await one.write([stream(1)], END) == []  # type: ignore[arg-type]
        form = ddl.Form(database=target.database)
        await asyncio.to_thread(target.engine.make, form, "MixerEvent")
        mixer = Records("wcs.MixerEvent", Source("m", "rels"), NOW, 1, b"1\n", {"columns": ["timestamp"]})
        assert one._looked is not None
        one._looked -= 6.0  # seconds later
        assert await one.write([mixer], END) == []  # type: ignore[arg-type]
    assert await target.count("MixerEvent") == 1


async def test_extra_goes_along_only_where_the_table_has_it(target: Target) -> None:
    names = [*TABLES["CDNEvent"].names, "extra"]
    rows = [b"1\t1.2.3.4\ta\t1\tp\t\n", b'2\t1.2.3.4\tb\t2\tq\t{"new": "\\\\t"}\n']
    for number, columns in enumerate((names, [names[-1], *names[:-1]])):
        body = b"".join(rows if columns is names else [b"\t".join([row[:-1].split(b"\t")[-1], row.rpartition(b"\t")[0]])
                                                       + b"\n" for row in rows])  # fmt: skip
        records = Records("wcs.CDNEvent", Source("h", "rels"), NOW + number, 2, body, {"columns": columns})
        assert await target.write([records]) == []
    assert await target.there("CDNEvent") == sorted([b"1\t1.2.3.4\ta\t1\tp\n", b"2\t1.2.3.4\tb\t2\tq\n"] * 2)
    await target.engine.ask(f"ALTER TABLE {target.database}.CDNEvent ADD COLUMN extra String")
    assert await target.write([Records("wcs.CDNEvent", Source("h", "rels"), NOW + 2, 2, b"".join(rows),
                                       {"columns": names})]) == []  # fmt: skip
    assert b'2\t1.2.3.4\tb\t2\tq\t{"new": "\\t"}\n' in await target.there("CDNEvent")


async def test_rows_of_more_days_than_an_insert_may_have_are_refused_alone(engine: ClickHouse, tmp_path: Path) -> None:
    form = ddl.Form(database="days", days=36)
    await asyncio.to_thread(engine.make, form, "StreamEvent")
    today = int(await engine.ask("SELECT toUnixTimestamp(now())"))
    odd = b"".join(b"%d\t1.2.3.4\t\t\t\t1\t\n" % ((today + day * 86400) * 1000) for day in range(150))
    bad = Records("wcs.StreamEvent", Source("clock", "rels"), NOW, 150, odd, stream(0).head)
    row = b"%d\t1.2.3.4\t\t\t\t1\t\n" % (today * 1000)
    good = Records("wcs.StreamEvent", Source("h", "rels"), NOW, 1, row, stream(0).head)
    async with opened(engine) as door:
        (refused,) = await Target(engine, door, "days", tmp_path).write([bad, good])
    assert "Too many partitions" in refused.reason
    assert await engine.rows("days.StreamEvent") == [row]


async def test_a_user_is_named_in_headers_and_a_wrong_one_waits(target: Target) -> None:
    async with opened(target.engine, user="wcs", key="p:w") as door:
        named = door.url.replace("//", "//wcs:p%3Aw@")
        assert await target.write([stream(1)], urls=[named]) == []
        assert await target.write([stream(2)], urls=[door.url], username="wcs", password="p:w") == []
        assert "Authorization" not in door.inserts[0].headers
        for options in ({"urls": [door.url]}, {"urls": [named], "username": "wcs", "password": "secret"}):
            with pytest.raises(DeliveryError, match="Authentication failed") as raised:
                await target.write([stream(3)], **options)
            assert raised.value.retry_after == 60.0
            assert "secret" not in str(raised.value)
    assert await target.count("StreamEvent") == 6


async def test_tls_is_spoken_with_a_certificate_that_is_trusted(target: Target) -> None:
    relay = Relay(target.door.port, certificate(target.directory))
    await relay.start()
    try:
        url = f"https://127.0.0.1:{relay.port}"
        assert await target.write([stream(1)], urls=[url], tls_ca=target.directory / "certificate.pem") == []
        with pytest.raises(DeliveryError, match="certificate"):
            await target.write([stream(2)], urls=[url])
        with pytest.raises(DeliveryError, match="expected usable TLS files"):
            await target.write([stream(2)], urls=[url], tls_ca=target.directory / "none.pem")
    finally:
        await relay.stop()
    assert await target.count("StreamEvent") == 3


async def test_numbers_are_rows_and_what_comes_again_takes_their_place(engine: ClickHouse, tmp_path: Path) -> None:
    await asyncio.to_thread(engine.make, ddl.Form(database="numbers", metrics="metrics"), "metrics")
    sources = [Source("web1", "nginx", "é"), Source("web2", "nginx")]
    one = block((sources[0], NOW, [1.5, math.nan]), (sources[1], NOW, [2.0, math.inf]), names=["a", "b" * 200])
    other = block((sources[0], NOW + 0.25, [7, 8]), names=["a", "b" * 200])
    async with opened(engine) as door:
        target = Target(engine, door, "numbers", tmp_path)
        for _ in range(2):
            assert await target.write([one, other, stream(1)], metrics=True, events=False) == []
        assert await target.write([one], metrics=False) == []
        assert await target.write([block((sources[0], NOW, [9.0]))], metrics=True) == []
        assert [len(insert.body) > 0 for insert in door.inserts] == [True] * 3
    found = await engine.ask(
        "SELECT host, collector, instance, toUnixTimestamp64Milli(time), name, value FROM numbers.metrics FINAL"
        " ORDER BY time, host, name FORMAT TabSeparated"
    )
    stamp = int(NOW * 1000)
    assert found.decode().splitlines() == [
        f"web1\tnginx\té\t{stamp}\ta\t9", f"web2\tnginx\t\t{stamp}\ta\t2",
        f"web1\tnginx\té\t{stamp + 250}\ta\t7", f"web1\tnginx\té\t{stamp + 250}\t{'b' * 200}\t8",
    ]  # fmt: skip


async def test_numbers_without_their_table_are_refused(target: Target) -> None:
    (refused,) = await target.write([block((Source("a", "b"), NOW, [1.0])), stream(1)], metrics=True)
    assert refused == Refused("metrics: 1 numbers", f"there is no table metrics in the database {target.database}")
    assert await target.count("StreamEvent") == 3


async def test_settings_of_ones_own_go_along_and_wrong_ones_are_told(target: Target) -> None:
    assert await target.write([stream(1)], settings=["insert_quorum=0", "async_insert = 1"]) == []
    assert target.door.inserts[0].parameters["insert_quorum"] == "0"
    assert target.door.inserts[0].parameters["async_insert"] == "1"
    assert target.door.asked[0] == {"insert_quorum": "0", "async_insert": "1"}
    with pytest.raises(DeliveryError, match="Code: 27"):  # which holds up, where rows would be refused
        await target.write([stream(1)], settings=["insert_quorum=nonsense"])
    for wrong in ("x", "A=1", "=1", "query=DROP"):
        with pytest.raises(DeliveryError, match="settings: expected NAME=VALUE of a setting"):
            await target.write([stream(1)], settings=[wrong])


async def test_a_database_without_tables_waits_and_says_what_makes_them(target: Target) -> None:
    with pytest.raises(DeliveryError, match="`monitor setup clickhouse` makes them") as raised:
        await target.write([stream(1)], database="nowhere")
    assert raised.value.retry_after == 60.0


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, "", Meaning.TAKEN),
        (200, "<html>hello", Meaning.SETTING),
        (200, "Code: 27. DB::Exception: Cannot parse", Meaning.ROWS),
        (400, "Code: 27. DB::Exception: Cannot parse", Meaning.ROWS),
        (400, "Code: 675, e.displayText() = DB::Exception: bad IPv4", Meaning.ROWS),
        (500, "Code: 33. DB::Exception: Cannot read all data", Meaning.ROWS),
        (500, "Code: 252. DB::Exception: Too many partitions for single INSERT block", Meaning.ROWS),
        (500, TOO_MANY, Meaning.PARTS),
        (404, "Code: 60. DB::Exception: Table wcs.x does not exist", Meaning.TABLE),
        (404, "not found", Meaning.SETTING),
        (404, "Code: 115. DB::Exception: Unknown setting", Meaning.SETTING),
        (400, "Code: 9999. DB::Exception: something new about rows", Meaning.ROWS),
        (400, "bad gateway of some proxy", Meaning.SETTING),
        (401, "Code: 194. DB::Exception: Required password", Meaning.SETTING),
        (413, "too large", Meaning.LARGE),
        (408, "Code: 159. DB::Exception: Timeout exceeded", Meaning.LATER),
        (307, "", Meaning.SETTING),
    ],
)
def test_answers_are_taken_for_what_they_mean(status: int, body: str, meaning: Meaning) -> None:
    assert judged(Answer(status, body.encode(), 0.0, "http://x"))[0] is meaning


async def test_what_is_too_large_for_something_on_the_way_goes_in_smaller_inserts(target: Target) -> None:
    target.door.faults = [(413, "<html>too large")]
    assert await target.write([stream(1), stream(2)]) == []
    target.door.faults = [(413, "")]
    (refused,) = await target.write([stream(3)])
    assert "413" in refused.reason
    assert await target.there("StreamEvent") == rows_of([stream(1), stream(2)])


@pytest.mark.parametrize("urls", [[], ["ftp://x"], ["http://"], ["http://x:0"], ["http://x:99999"], ["http://[x"]])
def test_an_address_that_is_none_is_told(urls: list[str]) -> None:
    with pytest.raises(DeliveryError, match="expected"):
        addresses(urls, "", "")


def test_ports_are_those_of_clickhouse_where_none_is_given() -> None:
    found, headers = addresses(["ch1", "https://u:p@ch2/x/", "[::1]:9"], "", "")
    assert found == ["http://ch1:8123", "https://ch2:8443/x", "http://[::1]:9"]
    assert headers == {"X-ClickHouse-User": "u", "X-ClickHouse-Key": "p"}
    with pytest.raises(DeliveryError, match="one line"):
        addresses(["ch1"], "a", "b\nc")
