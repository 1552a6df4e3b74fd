"""The Logstash handler over http, beats and tcp."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

import pytest
from appliance import free_port
from blocks import DiamondNaming, block
from memory_journal import MemoryJournal
from servers_logstash import BeatsInput, HttpInput, LinesInput

from handlers.logstash import LogstashHandler
from monitor.batch import Block, Cursor, Source
from monitor.handler import DeliveryError, Handler
from monitor.outlet import Outlet
from monitor.retry import Pauses
from monitor.wire.lumberjack import acknowledged, window

CURSOR = Cursor(1, 1)
QUICK = Pauses(first=0.02, longest=0.1)
NOON = 1795262400.0
PLACES = ["sora/=sora.stats", "sora/*/*=sora.connections", "sora/*=sora.channels"]
"""All of them, so that blocks alone show what becomes of numbers."""


def handler(*hosts: str, **options: Any) -> LogstashHandler:
    options = {"hosts": list(hosts), "timeout": 10.0, "metricsets": PLACES, **options}
    return LogstashHandler("LogstashHandler", DiamondNaming(), **options)


def many(count: int, time: float = NOON) -> Block:
    return block(*((Source("sora1", "sora", f"room/{i}"), time, [i]) for i in range(count)))


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return sorted(one["sora"]["connections"]["a"] for one in events)


async def delivered(one: Handler, *blocks: Block) -> list[tuple[str, str]]:
    await one.open()
    try:
        return [(item, reason) for item, reason in await one.write(blocks, CURSOR)]
    finally:
        await one.close()


async def through_outlet(one: Handler, some: Block) -> Outlet:
    """Deliver through an outlet, however often it has to be tried."""
    journal = MemoryJournal()
    outlet = Outlet(one, journal, pauses=QUICK)
    await outlet.start()
    await journal.append([some])
    async with asyncio.timeout(30):
        while outlet.cursor != journal.end:
            await asyncio.sleep(0.01)
    await outlet.drain(5)
    return outlet


# http


@pytest.mark.parametrize("gzip", [True, False])
async def test_the_http_input_gets_arrays_of_events_of_sorabeats_shape(gzip: bool) -> None:
    async with HttpInput() as logstash:
        assert await delivered(handler(logstash.url, documents=2, gzip=gzip), many(3)) == []
        assert len(logstash.headers) == 2
        assert numbers(logstash.events) == [0, 1, 2]
        (first, *_) = logstash.events
        metadata = first.pop("@metadata")
        assert len(metadata.pop("_id")) == 32
        assert metadata == {"beat": "sorabeat", "type": "doc", "version": "6.0.0"}
        assert first == {
            "@timestamp": "2026-11-21T12:00:00.000Z",
            "metricset": {"module": "sora", "name": "connections", "host": "sora1", "instance": "room/0"},
            "beat": {"name": "sora1", "hostname": "sora1", "version": "6.0.0"},
            "sora": {"connections": {"a": 0}},
        }


async def test_what_a_busy_http_input_did_not_acknowledge_is_sent_again() -> None:
    async with HttpInput() as logstash:
        one = handler(logstash.url, documents=5)
        await one.open()
        logstash.answers = [(429, {"Retry-After": "3"})]
        with pytest.raises(DeliveryError, match=r"^Logstash answered 429: busy$") as caught:
            await one.write([many(10)], CURSOR)
        assert caught.value.retry_after == 3
        assert await one.write([many(10)], CURSOR) == []
        assert numbers(logstash.events) == list(range(10))
        await one.close()


async def test_what_was_acknowledged_before_a_failure_is_not_sent_again() -> None:
    async with HttpInput() as first, HttpInput() as second:
        first.answers = [(200, {}), (500, {})]
        one = handler(first.url, second.url, documents=5)
        await one.open()
        with pytest.raises(DeliveryError, match="answered 500"):
            await one.write([many(10)], CURSOR)
        assert await one.write([many(10)], CURSOR) == []
        assert numbers(first.events) == [5, 6, 7, 8, 9]
        await one.close()


async def test_another_http_input_is_asked_where_one_is_away_and_large_requests_are_halved() -> None:
    async with HttpInput(longest=2000) as logstash:
        assert await delivered(handler(f"127.0.0.1:{free_port()}", logstash.url), many(30)) == []
        assert numbers(logstash.events) == list(range(30))


async def test_a_user_is_sent_and_a_malformed_request_is_told_as_a_defect() -> None:
    async with HttpInput() as logstash:
        one = handler(logstash.url, username="u", password="p:w")
        assert await delivered(one, many(1)) == []
        assert logstash.headers[0]["Authorization"] == "Basic dTpwOnc="
        logstash.answers = [(401, {}), (400, {})]
        with pytest.raises(DeliveryError, match="answered 401") as caught:
            await delivered(handler(logstash.url), many(1))
        assert caught.value.retry_after == 60
        with pytest.raises(ValueError, match=r"^Logstash answered 400: busy$"):
            await delivered(handler(logstash.url), many(1))


# beats


def beats(*ports: int, **options: Any) -> LogstashHandler:
    return handler(*(f"127.0.0.1:{port}" for port in ports), protocol="beats", **options)


@pytest.mark.parametrize("level", [0, 3])
async def test_the_beats_input_gets_windows_and_acknowledges_them(level: int) -> None:
    async with BeatsInput() as logstash:
        logstash.keep_alive = True
        assert await delivered(beats(logstash.port, compression_level=level, documents=4), many(10)) == []
        assert logstash.windows == [4, 4, 2]
        assert numbers(logstash.events) == list(range(10))
        assert logstash.compressed == (3 if level else 0)
        assert logstash.events[0]["@metadata"]["beat"] == "sorabeat"


async def test_events_are_there_once_after_a_connection_that_ended_within_a_window() -> None:
    async with BeatsInput() as logstash:
        logstash.cut = 7
        outlet = await through_outlet(beats(logstash.port, flush_interval=0), many(10))
        assert outlet.stats.retries == 1
        assert logstash.windows == [10, 3]
        assert numbers(logstash.events) == list(range(10))


async def test_another_beats_input_is_met_where_one_is_away() -> None:
    async with BeatsInput() as logstash:
        dead = free_port()
        assert await delivered(beats(dead, logstash.port), many(3)) == []
        assert numbers(logstash.events) == [0, 1, 2]
    with pytest.raises(DeliveryError, match=rf"^cannot connect to 127\.0\.0\.1:{dead}: .*; cannot connect to "):
        await delivered(beats(dead, logstash.port), many(3))


async def test_an_answer_that_is_no_acknowledgement_counts_as_not_delivered() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(answer, "127.0.0.1", port):
        with pytest.raises(DeliveryError, match=r"expected an acknowledgement of at most 1 events, got 485454502f31$"):
            await delivered(beats(port), many(1))


def test_a_window_is_written_as_the_protocol_says() -> None:
    assert window([b"{}", b'{"a":1}'], 0) == (
        b"2W\0\0\0\x02" + b"2J\0\0\0\x01\0\0\0\x02{}" + b'2J\0\0\0\x02\0\0\0\x07{"a":1}'
    )
    assert acknowledged(b"2A" + struct.pack(">I", 2), 2) == 2
    with pytest.raises(ValueError, match=r"^expected an acknowledgement of at most 2 events"):
        acknowledged(b"2A" + struct.pack(">I", 3), 2)


async def test_another_sender_takes_the_stand_in_for_a_beats_input() -> None:
    package = pytest.importorskip("pylogbeat", reason="the package pylogbeat checks our stand-in")
    async with BeatsInput() as logstash:

        def send() -> None:
            client = package.PyLogBeatClient("127.0.0.1", logstash.port, timeout=5, ssl_enable=False)
            client.connect()
            for i in range(0, 4, 2):
                client.send([json.dumps({"number": n}) for n in (i, i + 1)])
            client.close()

        await asyncio.to_thread(send)
        assert [one["number"] for one in logstash.events] == [0, 1, 2, 3]


# tcp


async def test_the_tcp_input_gets_a_line_per_event() -> None:
    async with LinesInput() as logstash:
        one = handler(f"127.0.0.1:{logstash.port}", protocol="tcp", documents=4)
        await one.open()
        assert await one.write([many(10)], CURSOR) == []
        async with asyncio.timeout(10):
            while len(logstash.events) < 10:
                await asyncio.sleep(0.01)
        assert numbers(logstash.events) == list(range(10))
        await one.close()


async def test_lines_wait_for_a_tcp_input_that_is_away() -> None:
    logstash = LinesInput()
    one = handler(f"127.0.0.1:{logstash.port}", protocol="tcp")
    await one.open()
    with pytest.raises(DeliveryError, match=r"^cannot connect to 127\.0\.0\.1:"):
        await one.write([many(3)], CURSOR)
    async with logstash:
        assert await one.write([many(3)], CURSOR) == []
        async with asyncio.timeout(10):
            while len(logstash.events) < 3:
                await asyncio.sleep(0.01)
        await one.close()


@pytest.mark.parametrize("host", ["", "user:secret@", "h:99999"])
async def test_a_wrong_host_is_told_when_it_is_opened(host: str) -> None:
    with pytest.raises(DeliveryError, match=r"^expected HOST or HOST:PORT, got ") as caught:
        await handler(host, protocol="beats").open()
    assert "secret" not in str(caught.value)
