# ruff: noqa: F811 - fixtures are asked for by the names that they are imported under
"""Searching events over HTTP: filters, pages without gaps or repeats, and exports that stream."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

import asyncpg
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient
from blocks import DiamondNaming
from servers_postgres import PostgresServer, postgres  # noqa: F401
from web_parts import serving

from handlers.postgresql import PostgreSQLHandler
from monitor.batch import Cursor, Records, Source
from monitor.store.events.search import Key
from monitor.wire.clickhouse.tables import TABLES

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOW = int(time.time())
STREAMS = 2500


class Searching(NamedTuple):
    client: TestClient[Any, Any]
    store: PostgreSQLHandler

    async def get(self, table: str, status: int = 200, /, **query: Any) -> Any:
        answer = await self.client.get(f"/api/v1/events/{table}?{urlencode(query, doseq=True)}")
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)

    async def text(self, table: str, /, **query: Any) -> str:
        answer = await self.client.get(f"/api/v1/events/{table}?{urlencode(query, doseq=True)}")
        assert answer.status == 200, await answer.text()
        return await answer.text()


def stream_events() -> bytes:
    """Return events of one stream among others: many of the same time, from now back over two days."""
    rows = []
    for number in range(STREAMS):
        at = (NOW - number // 5 * 300) * 1000
        name = "test" if number % 3 == 0 else f"other{number % 7}"
        rows.append(f"{at}\t10.0.0.{number % 2}\ts{number % 4}\tm{number}\t{name}\t{number % 40}\t\n")
    return "".join(rows).encode()


OTHERS = {
    "ConnectionEvent": (
        f"{NOW * 1000}\t10.0.0.1\ts1\t1\ta,\"b\"\\n=c\n{2**64 - 1}\t10.0.0.1\ts\t1\t\n"
        f"{NOW * 1000 - 5}\t10.0.0.1\tbad \x00?\t{2**64 - 1}\t\n"
    ).encode().replace(b"\x00?", b"\xff\\0"),
    "HlsStreamEvents": f"{NOW * 1000}\t10.0.0.1\t1\t6\thls\tv\tseg\tno frame\n".encode(),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def searching(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Searching]:
    name = f"s{time.monotonic_ns()}"
    admin = await asyncpg.connect(postgres.url())
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    directory = tmp_path_factory.mktemp("search")
    store = PostgreSQLHandler("PostgreSQLHandler", DiamondNaming(), database=postgres.url(name), data_dir=directory)
    store.paused = lambda: True
    await store.open()
    mixer = Records(
        "wcs.MixerEvent", Source("10.7.7.7", "rels"), NOW, 1, f"{NOW * 1000}\tmix\tone\t{{\"new\": [1]}}\n".encode(),
        {"columns": ["timestamp", "mixerStreamName", "streamName", "extra"]},
    )  # fmt: skip
    some = [
        Records(f"wcs.{table}", Source("h", "rels"), NOW, 1, body, {"columns": list(TABLES[table].names)})
        for table, body in {"StreamEvent": stream_events(), **OTHERS}.items()
    ]
    assert await store.write([mixer, *some], Cursor(1, 1)) == []
    async with serving(tmp_path_factory.mktemp("web")) as (client, parts):
        parts.store = store  # type: ignore[assignment]
        yield Searching(client, store)
    await store.close()


async def test_the_newest_events_come_first_with_the_names_of_their_types(searching: Searching) -> None:
    found = await searching.get("StreamEvent", limit=5)
    assert [one["timestamp"] for one in found["events"]] == [NOW * 1000] * 5
    first = min(found["events"], key=lambda one: one["eventType"])
    assert first == {
        "timestamp": NOW * 1000, "ip": "10.0.0.0", "sessionId": "s0", "mediaSessionId": "m0", "streamName": "test",
        "eventType": 0, "eventTypeName": "CREATED", "eventPayload": "", "extra": None,
    }  # fmt: skip


@pytest.mark.parametrize("query", [{}, {"stream": "test"}, {"ip": "10.0.0.1"}, {"session": ["s1", "s2"]}])
async def test_pages_hold_every_event_once_though_many_are_of_the_same_time(
    searching: Searching, query: dict[str, Any]
) -> None:
    names: list[str] = []
    times: list[int] = []
    after: dict[str, Any] = {}
    while True:
        found = await searching.get("StreamEvent", start="end-9d", limit=333, **query, **after)
        names += [one["mediaSessionId"] for one in found["events"]]
        times += [one["timestamp"] for one in found["events"]]
        if found["next"] is None:
            break
        after = {"after": found["next"]}
    keep: dict[str, Callable[[int], bool]] = {
        "stream": lambda number: number % 3 == 0,
        "ip": lambda number: number % 2 == 1,
        "session": lambda number: number % 4 in (1, 2),
    }
    kept = keep.get(next(iter(query), ""), lambda number: True)
    assert sorted(names) == sorted(f"m{number}" for number in range(STREAMS) if kept(number))
    assert times == sorted(times, reverse=True)


async def test_filters_narrow_and_combine(searching: Searching) -> None:
    found = await searching.get("StreamEvent", type="video_kframe_received", stream="test", limit=9)
    assert found["events"] and {one["eventTypeName"] for one in found["events"]} == {"VIDEO_KFRAME_RECEIVED"}
    found = await searching.get("StreamEvent", type=["5", "CREATED"], start="end-1h", limit=99)
    assert {one["eventType"] for one in found["events"]} == {0, 5}
    assert {one["eventTypeName"] for one in (await searching.get("StreamEvent", type="39"))["events"]} == {""}
    assert len((await searching.get("StreamEvent", media_session="m7"))["events"]) == 1
    found = await searching.get("StreamEvent", start=NOW - 600, end=NOW - 299)
    assert {one["timestamp"] for one in found["events"]} == {(NOW - 600) * 1000, (NOW - 300) * 1000}
    found = await searching.get("HlsStreamEvents", stream="hls", type="NO_KYE_FRAME", severity="warning")
    assert [(one["messageTypeName"], one["severityName"]) for one in found["events"]] == [("NO_KYE_FRAME", "WARNING")]
    for query in ({"stream": "mix"}, {"stream": "one"}, {"ip": "10.7.7.7"}):
        (mixed,) = (await searching.get("MixerEvent", end="now+1min", **query))["events"]
        assert (mixed["server"], mixed["extra"]) == ("10.7.7.7", {"new": [1]})


async def test_numbers_and_bytes_are_shown_as_they_were_sent(searching: Searching) -> None:
    found = (await searching.get("ConnectionEvent", end="now+1min"))["events"]
    assert (found[1]["sessionId"], found[1]["eventType"]) == ("bad \\xff\x00", 2**64 - 1)


async def test_exports_hold_all_that_pages_hold(searching: Searching) -> None:
    lines = (await searching.text("StreamEvent", start="end-9d", format="ndjson")).splitlines()
    assert sorted(json.loads(line)["mediaSessionId"] for line in lines) == sorted(f"m{n}" for n in range(STREAMS))
    rows = list(csv.DictReader(io.StringIO(await searching.text("StreamEvent", stream="test", format="csv", limit=7))))
    assert len(rows) == 7 and rows[0]["streamName"] == "test"
    answer = await searching.client.get("/api/v1/events/ConnectionEvent?format=csv&end=now%2B1min")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="ConnectionEvent.csv"'
    rows = list(csv.DictReader(io.StringIO((await answer.read()).decode(), newline="")))
    assert rows[0]["eventPayload"] == 'a,"b"\n=c'
    text = await searching.text("CDNEvent", format="csv")
    assert text == "timestamp,ip,nodeId,eventType,eventTypeName,eventPayload,extra\r\n"


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"ip": "10.0.0"}, "ip"),
        ({"type": "NOTHING"}, "type"),
        ({"type": "9" * 30}, "type"),
        ({"after": "x"}, "after"),
        ({"after": "1-2"}, "after"),
        ({"limit": "0"}, "limit"),
        ({"limit": "10001"}, "limit"),
        ({"format": "xml"}, "format"),
        ({"severity": "1"}, "severity"),
        ({"start": "yesterdayish"}, "start"),
        ({"straem": "x"}, "straem"),
        ({"stream": ["x"] * 51}, "stream"),
        ({"stream": "a\0b"}, "stream"),
        ({"session": "x" * 1001}, "session"),
    ],
)
async def test_what_cannot_be_searched_for_names_the_parameter(
    searching: Searching, query: dict[str, Any], parameter: str
) -> None:
    found = await searching.get("StreamEvent", 400, **query)
    assert found["parameter"] == parameter


async def test_unknown_tables_and_missing_columns_say_what_there_is(searching: Searching) -> None:
    found = await searching.get("StreamEvents", 404)
    assert "StreamEvent" in found["allowed"]
    found = await searching.get("CDNEvent", 400, stream="x")
    assert "CDNEvent has no streamName" in found["detail"]
    assert (await searching.get("MediaSessionEvent"))["table"] == "MediaSessionEvents"


async def test_texts_of_a_search_are_never_sql(searching: Searching) -> None:
    for text in ("x' OR '1'='1", "'; DROP TABLE wcs.streamevent; --", "%", "{", "$1"):
        assert (await searching.get("StreamEvent", stream=text))["events"] == []
    assert len((await searching.get("StreamEvent", limit=3))["events"]) == 3


async def test_a_search_that_lasts_too_long_is_a_503(searching: Searching) -> None:
    searching.store.search.timeout = 0.05
    try:
        async with searching.store.search._readers() as connection, connection.transaction():
            await connection.execute("LOCK TABLE wcs.cdnevent IN ACCESS EXCLUSIVE MODE")
            found = await searching.get("CDNEvent", 503)
            assert "too long" in found["detail"]
            await searching.get("CDNEvent", 503, format="csv")
    finally:
        searching.store.search.timeout = 20.0
    assert (await searching.get("CDNEvent"))["events"] == []


async def test_a_key_reads_as_it_is_written() -> None:
    assert Key.parse(str(Key(NOW, 3, 17))) == Key(NOW, 3, 17)
