"""Meta, warnings and last received in a real Redis under Kurado's keys, read as Kurado's own code reads them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers_redis import RedisServer

from monitor.liveness import Liveness, Report
from monitor.redis_meta import RedisMeta

HOST = "10.0.0.1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    found = RedisServer(tmp_path_factory.mktemp("redis"), "s/e:c").start()
    yield found
    found.stop()


@pytest.fixture
def redis(server: RedisServer) -> RedisServer:
    server.cli("FLUSHALL")
    return server


def url(server: RedisServer) -> str:
    return server.url.replace("s/e:c", "s%2Fe%3Ac")


async def written(copy: RedisMeta, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while copy.waiting:
            await asyncio.sleep(0.01)


async def test_everything_stands_under_kurados_keys_until_it_expires(redis: RedisServer) -> None:
    copy = RedisMeta(url(redis))
    copy.start()
    now = time.time()
    live = Liveness(mirrors=[copy.tell])
    live.report([
        Report(HOST, "http:80:/server-status?auto", now, {"version": "日本 \r", "uptime": "837"}, {}),
        Report(HOST, "base", now, {}, {"disk_usage": "df failed"}),
    ])  # fmt: skip
    await written(copy)
    plugin = "http%3A80%3A%2Fserver-status%3Fauto"
    name = f"storage/{HOST}/{plugin}"
    assert redis.cli("ZRANGEBYSCORE", name, str(int(now)), "+inf").split() == ["uptime", "version"]
    assert redis.cli("ZSCORE", name, "uptime") == str(int(now + 3600))
    assert redis.cli("MGET", f"{name}/uptime", f"{name}/version") == "837\n日本 \r"
    assert 3500 < int(redis.cli("TTL", f"{name}/uptime")) <= 3600
    warn = f"__warn__/{HOST}/base"
    assert redis.cli("ZRANGEBYSCORE", warn, str(int(now)), "+inf") == "disk_usage"
    told = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now))
    assert redis.cli("GET", f"{warn}/disk_usage") == f"{told} df failed"
    assert 290 < int(redis.cli("TTL", f"{warn}/disk_usage")) <= 300
    assert redis.cli("GET", f"__warn__/{HOST}") == str(int(now))
    assert 290 < int(redis.cli("TTL", f"__warn__/{HOST}")) <= 300
    for word in (plugin, "base"):
        assert redis.cli("GET", f"__last_recieved__/{HOST}/{word}") == str(int(now))
        assert 31535900 < int(redis.cli("TTL", f"__last_recieved__/{HOST}/{word}")) <= 31536000
    assert redis.cli("DBSIZE") == "8"
    assert (copy.stats.written, copy.stats.failed, copy.stats.dropped) == (2, 0, 0)
    await copy.close()


async def test_a_report_is_one_transaction(redis: RedisServer) -> None:
    redis.cli("CONFIG", "RESETSTAT")
    copy = RedisMeta(url(redis))
    copy.tell([Report(HOST, "base", time.time(), {"a": "1"}, {})])
    copy.start()
    await written(copy)
    stats = redis.cli("INFO", "commandstats")
    assert "cmdstat_multi:calls=1," in stats
    assert "cmdstat_exec:calls=1," in stats
    await copy.close()


async def test_what_is_over_already_is_not_written_as_fresh(redis: RedisServer) -> None:
    copy = RedisMeta(url(redis))
    copy.tell([Report(HOST, "base", time.time() - 400, {"a": "1"}, {"w": "old"})])
    copy.start()
    await written(copy)
    assert redis.cli("KEYS", "__warn__*") == ""
    assert 3100 < int(redis.cli("TTL", f"storage/{HOST}/base/a")) <= 3200
    await copy.close()


async def test_while_redis_is_away_the_newest_wait_and_the_oldest_are_counted_as_dropped(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "away")
    copy = RedisMeta(server.url, room=100)
    copy.start()
    now = time.time()
    live = Liveness(mirrors=[copy.tell])
    for i in range(150):
        live.report([Report(f"10.1.1.{i}", "base", now, {"n": str(i)}, {})])
    async with asyncio.timeout(10):
        while not copy.stats.failed:
            await asyncio.sleep(0.01)
    assert (copy.waiting, copy.stats.dropped) == (100, 50)
    assert live.meta("10.1.1.0", "base") == {"n": "0"}
    server.start()
    try:
        await written(copy)
        assert server.cli("GET", "storage/10.1.1.149/base/n") == "149"
        assert server.cli("GET", "storage/10.1.1.49/base/n") == ""
        assert copy.stats.written == 100
    finally:
        server.stop()
        await copy.close()


async def test_a_key_that_holds_something_else_spoils_only_its_own_report(redis: RedisServer) -> None:
    redis.cli("SET", f"storage/{HOST}/base", "text")
    copy = RedisMeta(url(redis))
    now = time.time()
    copy.tell([Report(HOST, "base", now, {"a": "1"}, {}), Report("10.0.0.2", "base", now, {"a": "1"}, {})])
    copy.start()
    await written(copy)
    assert (copy.stats.refused, copy.stats.written) == (1, 1)
    assert redis.cli("GET", "storage/10.0.0.2/base/a") == "1"
    await copy.close()


async def test_texts_that_are_no_text_do_not_stop_it(redis: RedisServer) -> None:
    copy = RedisMeta(url(redis))
    copy.tell([Report(HOST, "a\ud800", time.time(), {"k\ud800": "v\ud800\0"}, {})])
    copy.start()
    await written(copy)
    assert copy.stats.written == 1
    await copy.close()


async def test_the_last_reports_are_written_at_the_end(redis: RedisServer) -> None:
    copy = RedisMeta(url(redis))
    copy.start()
    copy.tell([Report(f"10.2.{i // 250}.{i % 250}", "base", time.time(), {"a": "1"}, {}) for i in range(1000)])
    await copy.close()
    assert copy.waiting == 0
    assert redis.cli("DBSIZE") == "3000"


async def test_a_minute_of_3000_hosts_takes_the_loop_for_5_ms_at_most(redis: RedisServer) -> None:
    copy = RedisMeta(url(redis))
    meta = {f"key-{i}": f"value {i}" for i in range(10)}
    copy.tell([Report(f"10.2.{i // 250}.{i % 250}", "base", time.time(), meta, {}) for i in range(3000)])
    copy.start()
    turns = []
    try:
        while copy.waiting:
            before = time.thread_time()  # which other work on the machine does not lengthen
            await asyncio.sleep(0)
            turns.append(time.thread_time() - before)
    finally:
        await copy.close()
    assert sorted(turns)[-3] < 0.005
