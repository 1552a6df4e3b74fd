"""HttpPostHandler beyond the contract: what it sends, and what each answer means."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from appliance import free_port
from blocks import DiamondNaming, block
from memory_journal import MemoryJournal
from servers_http import Posted

from handlers.httppost import HttpPostHandler
from monitor.batch import Block, Cursor, Source
from monitor.handler import DeliveryError, Refused
from monitor.outlet import Outlet
from monitor.retry import Pauses
from monitor.wire.posted import RowEncoder, body

CURSOR = Cursor(1, 1)
QUICK = Pauses(first=0.01, longest=0.05)
FORMS = ("PLAIN", "JSON", "BATCHES")
TIME = 1795234980.0


def many(count: int, name: str = "x") -> Block:
    return block(*((Source(f"host{i}", "c"), TIME, [i]) for i in range(count)), names=[name])


def handler(url: str, **options: Any) -> HttpPostHandler:
    return HttpPostHandler("HttpPostHandler", DiamondNaming(), url=url, **options)


async def delivered(one: HttpPostHandler, *blocks: Block) -> list[Refused]:
    await one.open()
    try:
        return list(await one.write(blocks, CURSOR))
    finally:
        await one.close()


def values(posted: Posted) -> list[float]:
    return sorted(value for _, _, value in posted.values)


@pytest.fixture(params=FORMS)
async def posted(request: pytest.FixtureRequest) -> AsyncIterator[Posted]:
    one = Posted(request.param, 1 << 20)
    await one.start()
    yield one
    await one.stop()


def rows(form: Any, *blocks: Block) -> bytes:
    encoder = RowEncoder(form, DiamondNaming().path, str.upper)
    return body(form, [row for one in blocks for row in encoder.rows(one)])


def test_plain_and_json_are_diamonds_own_forms() -> None:
    one = block((Source("web1", "c", "a b"), TIME + 0.5, [1.5, math.nan, 3]), names=["x y", "unknown", "z"])
    assert rows("PLAIN", one) == b"servers.web1.c.a_b.x_y 1.5 1795234980\nservers.web1.c.a_b.z 3 1795234980\n"
    assert orjson.loads(rows("JSON", one, one))["metric"][1:3] == [
        {"path": "servers.web1.c.a_b.z", "value": 3.0, "timestamp": 1795234980, "precision": 0, "host": "WEB1",
         "ttl": 120.0},
        {"path": "servers.web1.c.a_b.x_y", "value": 1.5, "timestamp": 1795234980, "precision": 0, "host": "WEB1",
         "ttl": 120.0},
    ]  # fmt: skip


def test_batches_are_what_an_appliance_takes() -> None:
    one = block((Source("web1\ud800", "c", "a"), TIME + 0.5, [1.5, math.nan]), names=["x", "unknown"])
    one.meta[0] = {"version": "1.2"}
    assert orjson.loads(rows("BATCHES", one)) == {
        "batches": [
            {"host": "web1?", "collector": "c", "instance": "a", "time": 1795234980.5, "interval": 60.0,
             "values": {"x": 1.5, "unknown": None}, "meta": {"version": "1.2"}},
        ]
    }  # fmt: skip


async def test_requests_are_about_as_large_as_asked_for(posted: Posted) -> None:
    one = handler(posted.url, format=posted.form, batch=100)
    assert await delivered(one, many(1000)) == []
    assert values(posted) == list(range(1000))
    assert posted.requests == 10


async def test_it_says_who_it_is_and_may_compress(posted: Posted) -> None:
    assert await delivered(handler(posted.url, format=posted.form, token="t0ken", gzip=True), many(10)) == []
    assert posted.headers[0]["Authorization"] == "Bearer t0ken"
    assert posted.headers[0]["Content-Encoding"] == "gzip"
    assert values(posted) == list(range(10))


async def test_what_was_delivered_is_not_sent_again_while_the_rest_waits(posted: Posted) -> None:
    """Of every write some requests fail, of the first with 500 and of the second with a busy server."""
    journal = MemoryJournal()
    one = Outlet(handler(posted.url, format=posted.form, batch=5, flush_interval=0.0), journal, pauses=QUICK)
    await one.start()
    posted.answers = [None, (500, {}, "broken"), None, (500, {}, "broken")]
    await journal.append([many(20)])
    await level(one, journal)
    posted.answers = [None, None, (503, {"Retry-After": "0"}, "busy")]
    await journal.append([many(20)])
    await level(one, journal)
    await one.drain(5)
    assert values(posted) == sorted([*range(20)] * 2)
    assert one.stats.retries == 3


async def test_a_request_too_large_is_halved_and_a_row_too_large_refused() -> None:
    for form in FORMS:
        posted = Posted(form, 2000)
        await posted.start()
        wide = block((Source("wide", "c"), TIME, range(200)), names=[f"some_name_{i}" for i in range(200)])
        refused = await delivered(handler(posted.url, format=form), many(100), wide)
        await posted.stop()
        assert [item for item, _ in refused] == ["wide:c: at 1795234980.000"]
        assert refused[0].reason.endswith(" bytes are too large")
        assert values(posted) == list(range(100))


async def test_a_row_that_spoils_its_request_is_found(posted: Posted) -> None:
    """A receiver that answers 400 as long as a certain row is there; the others arrive, each once."""

    class Picky(Posted):
        async def _take(self, request: Any) -> Any:
            if b"host13" in await request.read():
                self.answers = [(400, {}, "host13 is a bad number")]
            return await super()._take(request)

    picky = Picky(posted.form, 1 << 20)
    await picky.start()
    journal = MemoryJournal()
    one = Outlet(handler(picky.url, format=posted.form, flush_interval=0.0), journal, pauses=QUICK)
    await one.start()
    await journal.append([many(30)])
    await level(one, journal)
    await one.drain(5)
    await picky.stop()
    assert one.stats.refused == 1
    assert values(picky) == [number for number in range(30) if number != 13]


async def level(one: Outlet, journal: MemoryJournal) -> None:
    async with asyncio.timeout(20):
        while one.cursor != journal.end:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("answer", "reason", "pause"),
    [
        ((404, {}, "no such page"), "answered 404: no such page$", 60),
        ((401, {}, ""), "answered 401: without a reason$", 60),
        ((301, {"Location": "/"}, ""), "answered 301: without a reason$", 60),
        ((429, {"Retry-After": "30"}, "slowly"), "answered 429: slowly$", 30),
        ((503, {"Retry-After": "7"}, "busy"), "answered 503$", 7),
        ((200, {}, "thanks"), "^expected an answer to batches, got b'thanks'$", 60),
        ((200, {}, '{"rejected": [{"index": 9, "error": "x"}]}'), "^expected numbers of 3 batches in the answer", 60),
    ],
)
async def test_an_answer_that_is_not_about_rows_makes_it_wait(
    answer: tuple[int, dict[str, str], str], reason: str, pause: float
) -> None:
    posted = Posted("BATCHES")
    await posted.start()
    posted.answers = [answer]
    with pytest.raises(DeliveryError, match=reason) as caught:
        await delivered(handler(posted.url, format="BATCHES"), many(3))
    await posted.stop()
    assert caught.value.retry_after == pause


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://x/", "^expected addresses of the form http://HOST:80, got one that is not$"),
        ("http://127.0.0.1:PORT/", r"^no answer from http://127\.0\.0\.1:\d+: ClientConnectorError"),
    ],
)
async def test_an_address_that_cannot_be_used_is_named(url: str, reason: str) -> None:
    with pytest.raises(DeliveryError, match=reason):
        await delivered(handler(url.replace("PORT", str(free_port()))), many(1))
