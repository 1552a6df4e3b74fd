"""The Graphite and InfluxDB handlers against carbon-cache and influxd."""

from __future__ import annotations

import asyncio
import base64
import math
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from appliance import free_port
from blocks import DiamondNaming, block
from memory_journal import MemoryJournal
from servers_carbon import Carbon, carbon, minute
from servers_influx import Influx, influx

from handlers.graphite import GraphiteHandler
from handlers.influxdb import InfluxDBHandler, reason_of, retry_after
from monitor.batch import Block, Cursor, Source
from monitor.handler import DeliveryError, Handler
from monitor.outlet import Outlet
from monitor.retry import Pauses

WEB1 = Source("web1.example.com", "nginx")
CURSOR = Cursor(1, 1)
QUICK = Pauses(first=0.05, longest=0.2)


def value(time: float, number: float, source: Source = WEB1) -> Block:
    return block((source, time, [number]), names=["req_handled"])


async def until(true: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until it is true; it is asked in a thread, for it may block."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(true):
            await asyncio.sleep(0.05)


def graphite(port: int, **options: Any) -> GraphiteHandler:
    return GraphiteHandler("GraphiteHandler", DiamondNaming(), host="127.0.0.1", port=port, **options)


def influxdb(url: str, **options: Any) -> InfluxDBHandler:
    return InfluxDBHandler("InfluxDBHandler", DiamondNaming(), url=url, **options)


async def delivered(handler: Handler, *blocks: Block) -> list[tuple[str, str]]:
    """Open, write once and close; return what was refused."""
    await handler.open()
    try:
        return [(item, reason) for item, reason in await handler.write(blocks, CURSOR)]
    finally:
        await handler.close()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Carbon]:
    with carbon(tmp_path / "carbon") as one:
        yield one


@pytest.fixture(scope="module")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with influx(tmp_path_factory.mktemp("influx")) as one:
        one.query("CREATE DATABASE graphite")
        yield one


# Graphite


async def test_carbon_has_diamonds_paths_and_values(cache: Carbon) -> None:
    time = minute(1)
    blocks = [
        block((WEB1, time, [12.5, math.nan]), names=["req_handled", "act_waits"]),
        block((Source("web1.example.com", "cpu"), time, [99.25]), names=["total.user"]),
        block((Source("web1.example.com", "redis", "6379"), time, [3]), names=["clients connected"]),
    ]
    assert await delivered(graphite(cache.port), *blocks) == []
    paths = {
        "servers.web1_example_com.nginx.req_handled": 12.5,
        "servers.web1_example_com.cpu.total.user": 99.25,
        "servers.web1_example_com.redis.6379.clients_connected": 3.0,
    }
    await until(lambda: cache.paths() >= set(paths))
    assert cache.paths() == set(paths)
    for path, expected in paths.items():
        await until(lambda path=path: cache.points(path, time - 60, time))  # type: ignore[misc]
        assert cache.points(path, time - 60, time) == {int(time): expected}


async def test_an_outage_of_carbon_leaves_no_minute_out(cache: Carbon) -> None:
    """Data comes before, during and after the time without carbon, which is stopped once and killed once."""
    journal, start = MemoryJournal(), minute(60)
    one = Outlet(graphite(cache.port, flush_interval=0), journal, pauses=QUICK)
    await one.start()
    minutes = iter(range(1, 60))
    expected: dict[int, float] = {}

    async def collect(count: int) -> None:
        for _ in range(count):
            number = next(minutes)
            expected[int(start) + 60 * number] = number
            await journal.append([value(start + 60 * number, number)])
            await asyncio.sleep(0.01)

    path = "servers.web1_example_com.nginx.req_handled"
    for end in (cache.stop, cache.kill):
        await collect(5)
        await until(lambda: one.cursor == journal.end)
        await asyncio.to_thread(end)
        await collect(5)
        await until(lambda: one.stats.failing_since is not None)
        assert one.lag_batches > 0
        await asyncio.to_thread(cache.start)
        await until(lambda: one.stats.failing_since is None)
        await collect(5)
        await until(lambda: one.cursor == journal.end)
    await until(lambda: cache.points(path, start, start + 3600) == expected)
    assert one.stats.lost == one.stats.refused == 0
    assert "Connection refused" in one.stats.last_error or "closed the connection" in one.stats.last_error
    await one.drain(5)


class Receiver:
    """Takes lines on a port; `deaf` accepts connections but reads nothing, and its kernel takes little."""

    def __init__(self, deaf: bool = False) -> None:
        self.deaf = deaf
        self.received: list[bytes] = []
        self.connections: list[asyncio.StreamWriter] = []
        self.port = free_port()

    async def __aenter__(self) -> Receiver:
        listener = socket.create_server(("127.0.0.1", self.port))
        if self.deaf:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.server = await asyncio.start_server(self.take, sock=listener)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for writer in self.connections:
            writer.transport.abort()
        await self.server.wait_closed()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        self.received.append(b"")
        at = len(self.received) - 1
        if self.deaf:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
        while data := await reader.read(65536):
            self.received[at] += data


async def test_what_a_dying_receiver_may_not_have_read_is_sent_again_on_the_next_connection() -> None:
    async with Receiver() as receiver:
        handler = graphite(receiver.port)
        await handler.open()
        await handler.write([value(60, 1)], CURSOR)
        await handler.write([value(120, 2)], CURSOR)
        receiver.connections[0].close()
        await until(lambda: handler._way.ended)
        await handler.write([value(180, 3)], CURSOR)
        lines = [f"servers.web1_example_com.nginx.req_handled {i} {60 * i}\n".encode() for i in (1, 2, 3)]
        await until(lambda: len(receiver.received) == 2 and receiver.received[1] == b"".join(lines))
        assert receiver.received[0] == b"".join(lines[:2])
        await handler.close()


async def test_what_is_kept_to_be_sent_again_is_bounded() -> None:
    async with Receiver() as receiver:
        handler = graphite(receiver.port, resend_bytes=100)
        await handler.open()
        for number in range(10):
            await handler.write([value(60, number)], CURSOR)
        assert sum(len(piece) for _, piece in handler._sent.pieces) <= 100
        await handler.close()


@pytest.mark.parametrize("rows", [2500, 250_000], ids=["which our kernel would take", "which it would not"])
async def test_a_write_is_not_done_before_the_other_end_confirmed_it(rows: int) -> None:
    async with Receiver(deaf=True) as receiver:
        handler = graphite(receiver.port, timeout=0.5)
        await handler.open()
        some = block(*((Source(f"host{i}", "c"), 60.0, [i]) for i in range(rows)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await handler.write([some], CURSOR)
        assert not handler._way.opened, "a connection that holds half a line was kept"
        await handler.close()


async def test_a_connection_is_renewed_after_its_interval_without_repeats() -> None:
    async with Receiver() as receiver:
        handler = graphite(receiver.port, reconnect_interval=0.01)
        await handler.open()
        await handler.write([value(60, 1)], CURSOR)
        await asyncio.sleep(0.02)
        await handler.write([value(120, 2)], CURSOR)
        await until(lambda: len(receiver.received) == 2 and receiver.received[1].count(b"\n") == 1)
        await handler.close()


async def test_a_carbon_that_is_not_there_is_named() -> None:
    port = free_port()
    with pytest.raises(DeliveryError, match=f"^cannot connect to 127.0.0.1:{port}: Connection refused$"):
        await graphite(port).open()


async def test_a_path_that_would_make_carbon_hang_up_is_refused_and_the_others_arrive(cache: Carbon) -> None:
    long = Source("h" * 20_000, "nginx")
    ((item, reason),) = await delivered(graphite(cache.port), value(minute(1), 1, long), value(minute(1), 2))
    assert item.startswith("servers.hhh")
    assert reason == "the path is too long for carbon"
    await until(lambda: cache.paths() == {"servers.web1_example_com.nginx.req_handled"})


async def test_influxd_takes_our_lines_on_its_graphite_input(influxd: Influx) -> None:
    """The seed's chain: a Graphite handler and InfluxDB's Graphite interface."""
    time = minute(1)
    assert await delivered(graphite(influxd.graphite_port), value(time, 12.5)) == []
    select = 'SELECT * FROM "servers.web1_example_com.nginx.req_handled"'
    await until(lambda: influxd.query(select))
    (row,) = influxd.query(select)
    assert (row["time"], row["value"]) == (int(time) * 10**9, 12.5)


# InfluxDB


@pytest.mark.parametrize("gzip", [True, False])
async def test_influxdb_has_every_point_with_its_tags(influxd: Influx, gzip: bool) -> None:
    name, time = f"c{gzip}", minute(1) + 0.25
    sources = [Source("a b,c=d", name), Source("web1", name, "sda")]
    one = block((sources[0], time, [1.5, math.nan]), (sources[1], time, [3, 4e10]), names=["x y", "z"])
    assert await delivered(influxdb(influxd.url, gzip=gzip), one) == []
    found = {row["host"]: row for row in influxd.query(f"SELECT * FROM {name}")}
    stamp = int(time * 4) * 250_000_000
    assert found["a b,c=d"] == {
        "measurement": name, "time": stamp, "collector": name, "host": "a b,c=d", "instance": None, "x y": 1.5,
        "z": None,
    }  # fmt: skip
    assert found["web1"] == {
        "measurement": name, "time": stamp, "collector": name, "host": "web1", "instance": "sda", "x y": 3, "z": 4e10,
    }  # fmt: skip


@pytest.mark.parametrize("precision", ["ns", "us", "ms", "s"])
async def test_a_point_has_the_same_time_in_every_precision(influxd: Influx, precision: str) -> None:
    source, time = Source("web1", f"p{precision}"), minute(1)
    assert await delivered(influxdb(influxd.url, precision=precision), value(time, 1, source)) == []
    (row,) = influxd.query(f"SELECT * FROM p{precision}")
    assert row["time"] == int(time) * 10**9


async def test_many_lines_go_in_requests_of_the_size_asked_for(influxd: Influx) -> None:
    rows = [(Source(f"h{i}", "many"), minute(1), [i, i / 3]) for i in range(2500)]
    assert await delivered(influxdb(influxd.url, lines=1000), block(*rows, names=["x", "y"])) == []
    (row,) = influxd.query("SELECT count(x), sum(x) FROM many")
    assert (row["count"], row["sum"]) == (2500, sum(range(2500)))


async def test_a_large_body_is_sent_in_pieces_of_the_loop(influxd: Influx) -> None:
    """aiohttp warns, and our tests fail, when a large body is given to the loop at once."""
    names = [f"some_long_name_of_a_field_{i}" for i in range(100)]
    one = block(*((Source(f"h{i}", "large"), minute(1), [i] * 100) for i in range(1000)), names=names)
    assert await delivered(influxdb(influxd.url, gzip=False), one) == []
    (row,) = influxd.query("SELECT count(some_long_name_of_a_field_99) FROM large")
    assert row["count"] == 1000


async def test_one_refused_line_does_not_hold_up_the_rest(influxd: Influx) -> None:
    """A field that exists as an integer refuses our float: InfluxDB drops that point and says so."""
    time = minute(1)
    influxd.write(f"conflict,collector=conflict,host=old y=1i {int(time) * 10**9}")
    before = block(*((Source(f"h{i}", "conflict"), time, [i]) for i in range(333)), names=["x"])
    bad = block((Source("bad", "conflict"), time, [1.0]), names=["y"])
    after = block(*((Source(f"h{i}", "conflict"), time, [i]) for i in range(333, 999)), names=["x"])
    ((item, reason),) = await delivered(influxdb(influxd.url), before, bad, after)
    assert item == "conflict,collector=conflict,host=bad"
    assert 'field type conflict: input field "y" on measurement "conflict" is type float' in reason
    (row,) = influxd.query("SELECT count(x) FROM conflict")
    assert row["count"] == 999


async def test_a_refused_line_is_counted_by_the_outlet_and_later_ones_arrive(influxd: Influx) -> None:
    influxd.write(f"held,collector=held,host=a x=1i {int(minute(1)) * 10**9}")
    journal = MemoryJournal()
    one = Outlet(influxdb(influxd.url, flush_interval=0.0), journal, pauses=QUICK)
    await one.start()
    await journal.append([value(minute(1), 1, Source("b", "held"))])
    await journal.append([block((Source("a", "held"), minute(1), [1.5]), names=["x"])])
    await journal.append([value(minute(1), 2, Source("c", "held"))])
    await until(lambda: one.cursor == journal.end)
    await one.drain(5)
    assert one.stats.refused == 1
    assert one.stats.retries == 0
    assert len(influxd.query("SELECT req_handled FROM held")) == 2


async def test_an_outage_of_influxdb_leaves_no_minute_out(tmp_path: Path) -> None:
    with influx(tmp_path / "influx") as server:
        server.query("CREATE DATABASE graphite")
        journal, start = MemoryJournal(), minute(60)
        by_http = Outlet(influxdb(server.url, flush_interval=0.0), journal, pauses=QUICK)
        by_lines = Outlet(graphite(server.graphite_port, flush_interval=0.0), journal, pauses=QUICK)
        await by_http.start()
        await by_lines.start()
        minutes = list(range(1, 31))

        async def collect(some: list[int]) -> None:
            for number in some:
                await journal.append([value(start + 60 * number, number)])
                await asyncio.sleep(0.01)

        await collect(minutes[:10])
        await until(lambda: by_http.cursor == by_lines.cursor == journal.end)
        await asyncio.to_thread(server.stop)
        await collect(minutes[10:20])
        await until(lambda: by_http.stats.retries > 2 and by_lines.stats.retries > 2)
        await asyncio.to_thread(server.start)
        await collect(minutes[20:])
        await until(lambda: by_http.cursor == by_lines.cursor == journal.end)
        expected = [((int(start) + 60 * number) * 10**9, number) for number in minutes]
        selects = {
            "SELECT req_handled FROM nginx": "req_handled",
            'SELECT value FROM "servers.web1_example_com.nginx.req_handled"': "value",
        }
        for select, name in selects.items():
            await until(
                lambda select=select, name=name: (  # type: ignore[misc]
                    [(row["time"], row[name]) for row in server.query(select)] == expected
                )
            )
        assert f"no answer from {server.url}" in by_http.stats.last_error
        await by_http.drain(5)
        await by_lines.drain(5)


async def test_a_missing_database_is_named_or_made(influxd: Influx) -> None:
    with pytest.raises(DeliveryError, match=r'^InfluxDB answered 404: database not found: "nope"$'):
        await delivered(influxdb(influxd.url, database="nope"), value(minute(1), 1))
    name = 'made "here"'
    assert await delivered(influxdb(influxd.url, database=name, create_database=True), value(minute(1), 1)) == []
    assert len(influxd.query("SELECT * FROM nginx", name)) == 1


async def test_a_user_is_let_in_and_a_wrong_password_is_told_without_it(tmp_path: Path) -> None:
    with influx(tmp_path / "influx", auth=True) as server:
        first = "CREATE USER root WITH PASSWORD 'secret1' WITH ALL PRIVILEGES"
        urllib.request.urlopen(f"{server.url}/query", data=f"q={first.replace(' ', '+')}".encode()).close()
        with pytest.raises(DeliveryError, match=r"^InfluxDB answered 401: authorization failed$"):
            await delivered(influxdb(server.url, username="root", password="wrong2"), value(minute(1), 1))
        handler = influxdb(server.url, username="root", password="secret1", create_database=True)
        assert await delivered(handler, value(minute(1), 1)) == []
        assert len(server.query("SELECT * FROM nginx", u="root", p="secret1")) == 1


async def test_a_body_too_large_is_sent_in_parts(tmp_path: Path) -> None:
    with influx(tmp_path / "influx", max_body=2000) as server:
        server.query("CREATE DATABASE graphite")
        one = block(*((Source(f"h{i}", "nginx"), minute(1), [i]) for i in range(200)))
        assert await delivered(influxdb(server.url, gzip=False, max_halvings=0), one) == []
        assert server.query("SELECT count(a) FROM nginx")[0]["count"] == 200
        wide = block((Source("h", "wide"), minute(1), range(300)), names=[f"field{i}" for i in range(300)])
        ((item, reason),) = await delivered(influxdb(server.url, gzip=False), wide, value(minute(1), 1))
        assert item == "wide,collector=wide,host=h"
        assert "too large" in reason.lower()


class Answers:
    """InfluxDB 2.x's write address, for there is no Debian package of it; remembers the requests."""

    def __init__(self, *answers: tuple[int, dict[str, str], str]) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Answers:
        app = web.Application()
        app.router.add_post("/{path:.*}", self.answer)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runner.cleanup()

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append((request.path, dict(request.query), await request.read()))
        self.headers.append(dict(request.headers))
        status, headers, text = self.answers.pop(0) if self.answers else (204, {}, "")
        return web.Response(status=status, headers=headers, text=text or None)


async def test_version_2_gets_bucket_org_and_token() -> None:
    async with Answers() as server:
        handler = influxdb(server.url, bucket="metrics", org="acme", token="t0ken")
        assert await delivered(handler, value(60, 1)) == []
        ((path, query, body),) = server.requests
        assert (path, query) == ("/api/v2/write", {"bucket": "metrics", "org": "acme", "precision": "ns"})
        assert body == b"nginx,collector=nginx,host=web1.example.com req_handled=1 60000000000\n"
        assert server.headers[0]["Authorization"] == "Token t0ken"
        assert server.headers[0]["Content-Encoding"] == "gzip"


async def test_a_line_that_version_2_refuses_is_found_by_halving() -> None:
    class Picky(Answers):
        async def answer(self, request: web.Request) -> web.Response:
            body = await request.read()
            self.requests.append((request.path, {}, body))
            if b"host=h13 " in body:
                return web.json_response({"code": "invalid", "message": "unable to parse"}, status=400)
            return web.Response(status=204)

    async with Picky() as server:
        one = block(*((Source(f"h{i}", "nginx"), 60.0, [i]) for i in range(100)))
        handler = influxdb(server.url, bucket="metrics")
        assert await delivered(handler, one) == [("nginx,collector=nginx,host=h13", "unable to parse")]
        arrived = b"".join(body for _, _, body in server.requests if b"host=h13 " not in body)
        assert arrived.count(b"\n") == 99
        assert len(server.requests) < 2 * 8


async def test_looking_for_refused_lines_is_bounded_and_a_partial_write_believed() -> None:
    reason = "partial write: field type conflict dropped=7"
    async with Answers(*[(400, {}, f'{{"error":"{reason}"}}')] * 1000) as server:
        one = block(*((Source(f"h{i}", "nginx"), 60.0, [i]) for i in range(100)))
        refused = await delivered(influxdb(server.url, max_halvings=0), one)
        assert refused == [("one of 100 lines", reason)] * 7
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "headers", "pause"), [(429, {"Retry-After": "30"}, 30), (503, {"Retry-After": "7"}, 7), (500, {}, 0)]
)
async def test_a_busy_influxdb_says_when_to_come_again(status: int, headers: dict[str, str], pause: float) -> None:
    async with Answers((status, headers, '{"error":"later"}')) as server:
        with pytest.raises(DeliveryError, match=f"^InfluxDB answered {status}: later$") as caught:
            await delivered(influxdb(server.url), value(60, 1))
        assert caught.value.retry_after == pause


async def test_an_address_with_a_password_shows_it_to_nobody() -> None:
    port = free_port()
    handler = influxdb(f"http://root:s3cret@127.0.0.1:{port}")
    with pytest.raises(DeliveryError) as caught:
        await delivered(handler, value(60, 1))
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    async with Answers() as server:
        handler = influxdb(server.url.replace("//", "//root:s3cret@"))
        assert await delivered(handler, value(60, 1)) == []
        assert server.headers[0]["Authorization"] == "Basic " + base64.b64encode(b"root:s3cret").decode()


@pytest.mark.parametrize("url", ["influx.example.com", "ftp://x", "http://", "http://[::1"])
async def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(DeliveryError):
        await delivered(influxdb(url), value(60, 1))


def test_a_reason_and_a_pause_are_read_from_any_answer() -> None:
    assert reason_of(b'{"error":"a\\nb"}') == "a b"
    assert reason_of(b'{"code":"x","message":"m"}') == "m"
    assert reason_of(b"<html>\n bad gateway") == "<html> bad gateway"
    assert reason_of(b"[1]") == reason_of(b"") == ""
    assert retry_after({}) == retry_after({"retry-after": "soon"}) == 0
    assert retry_after({"retry-after": "Sat, 01 Jan 2000 00:00:00 GMT"}) == 0
    assert retry_after({"retry-after": "Sat, 01 Jan 2050 00:00:00 GMT"}) > 1e8
