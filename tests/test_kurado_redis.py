"""The drain of the list in a real Redis: everything once or more, whatever ends when."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from appliance import appliance, free_port, wait_for
from kurado_parts import Kurado, payload, receiving
from servers_redis import RedisServer, redis

from monitor.batch import Batch
from monitor.journal import Busy
from monitor.receivers.kurado_redis import KuradoRedis

NOW = 1795234980.0
LIST = "kurado-update"
TAKEN = "kurado-update:taken:own"


@contextlib.asynccontextmanager
async def draining(directory: Path, url: str, settings: str = "") -> AsyncIterator[tuple[Kurado, KuradoRedis]]:
    async with receiving(directory, f"redis = {url}\n{settings}", clock=lambda: NOW) as one:
        drain = KuradoRedis(one.config.kurado, one.intake, "own", first_pause=0.05)
        drain.start()
        try:
            yield one, drain
        finally:
            await drain.close()


async def until(what: Callable[[], object], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.02)


def fill(server: RedisServer, minutes: range, host: str = "10.0.0.1") -> None:
    for minute in minutes:
        server.cli("-x", "RPUSH", LIST, stdin=payload(host, NOW - 6000 + 60 * minute, cpu_user=60 * minute))


async def loads(one: Kurado, host: str = "10.0.0.1") -> list[float]:
    return (await one.samples()).get((host, "base", "", "cpu-user"), [])


async def test_the_list_is_drained_in_its_order_and_nothing_is_left(tmp_path: Path) -> None:
    with redis(tmp_path / "redis") as server:
        fill(server, range(50))
        async with draining(tmp_path, server.url) as (one, drain):
            await until(lambda: one.intake.stats.pushes == 50)
            assert (await loads(one))[1:] == [1.0] * 49
            await until(lambda: server.cli("LLEN", TAKEN) == "0")
            assert server.cli("KEYS", "*") == ""
            fill(server, range(50, 52))
            await until(lambda: one.intake.stats.pushes == 52)
            assert one.intake.stats.redis_up == 1
            assert one.liveness.last("10.0.0.1", "base") == NOW
            assert drain.place == f"127.0.0.1:{server.port}"


async def test_what_the_journal_cannot_take_waits_in_redis(tmp_path: Path) -> None:
    with redis(tmp_path / "redis") as server:
        async with draining(tmp_path, server.url) as (one, _):
            accept = one.pipeline.accept

            async def full(batches: list[Batch]) -> list[str | None]:
                raise Busy("the disk is full")

            one.intake._accept = full  # type: ignore[assignment]
            fill(server, range(5))
            await until(lambda: one.intake.stats.busy >= 6)
            assert int(server.cli("LLEN", TAKEN)) + int(server.cli("LLEN", LIST)) == 5
            one.intake._accept = accept
            await until(lambda: server.cli("LLEN", TAKEN) == "0" and server.cli("LLEN", LIST) == "0")
            assert (await loads(one))[1:] == [1.0] * 4


async def test_what_was_taken_and_not_acknowledged_is_taken_again_first(tmp_path: Path) -> None:
    with redis(tmp_path / "redis") as server:
        fill(server, range(4))
        for _ in range(3):
            server.cli("LMOVE", LIST, TAKEN, "LEFT", "RIGHT")
        async with draining(tmp_path, server.url) as (one, _):
            await until(lambda: one.intake.stats.pushes == 4)
            assert (await loads(one))[1:] == [1.0] * 3


async def test_a_redis_that_goes_away_and_comes_back_is_drained_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    options = ("--appendonly", "yes", "--appendfsync", "always")
    server = RedisServer(tmp_path / "redis", "", *options).start()
    try:
        fill(server, range(3))
        async with draining(tmp_path, server.url) as (one, _):
            await until(lambda: one.intake.stats.pushes == 3)
            fill(server, range(3, 5))
            server.stop()
            await until(lambda: one.intake.stats.redis_up == 0)
            await until(lambda: one.intake.stats.redis_failures >= 3)
            server.start()
            await until(lambda: one.intake.stats.redis_up == 1)
            fill(server, range(5, 8))
            await until(lambda: one.intake.stats.pushes >= 8)
            assert (await loads(one))[1:] == [1.0] * 7
        events = [record.message for record in caplog.records if "kurado_redis" in record.message]
        assert events == ["kurado_redis.failing", "kurado_redis.recovered"]
    finally:
        server.stop()


async def test_a_password_is_given_and_a_wrong_one_is_said_without_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with redis(tmp_path / "redis", "s3cret") as server:
        fill(server, range(2))
        async with draining(tmp_path / "a", server.url.replace("s3cret", "wr0ng")) as (one, _):
            await until(lambda: one.intake.stats.redis_failures)
        async with draining(tmp_path / "b", server.url) as (one, _):
            await until(lambda: one.intake.stats.pushes == 2)
    text = "".join(f"{record.message} {getattr(record, 'fields', '')}" for record in caplog.records)
    assert "WRONGPASS" in text or "invalid username-password" in text
    assert "s3cret" not in text
    assert "wr0ng" not in text


async def test_a_redis_is_drained_over_tls(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate),
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    options = ("--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
               "--tls-auth-clients", "no")  # fmt: skip
    with redis(tmp_path / "redis", "pass", *options) as server:
        fill(server, range(3))
        url = f"rediss://:pass@127.0.0.1:{port}?ssl_ca_certs={certificate}"
        async with draining(tmp_path, url) as (one, _):
            await until(lambda: one.intake.stats.pushes == 3)
        async with draining(tmp_path / "b", f"rediss://:pass@127.0.0.1:{port}") as (one, _):
            fill(server, range(3, 4))
            await until(lambda: one.intake.stats.redis_failures)
            assert one.intake.stats.pushes == 0


async def test_a_list_that_is_something_else_is_said_and_tried_again(tmp_path: Path) -> None:
    with redis(tmp_path / "redis") as server:
        server.cli("SET", LIST, "x")
        async with draining(tmp_path, server.url) as (one, _):
            await until(lambda: one.intake.stats.redis_failures)
            server.cli("DEL", LIST)
            fill(server, range(1))
            await until(lambda: one.intake.stats.pushes == 1)


async def test_large_payloads_are_taken_in_parts_and_those_too_large_are_counted(tmp_path: Path) -> None:
    with redis(tmp_path / "redis") as server:
        line = b"10.0.0.1\tbase.meta.m\t%s\t0\n" % (b"x" * 900)
        for _ in range(8):
            server.cli("-x", "RPUSH", LIST, stdin=line * 1000)
        server.cli("-x", "RPUSH", LIST, stdin=line * 1200)
        fill(server, range(1))
        async with draining(tmp_path, server.url) as (one, _):
            await until(lambda: one.intake.stats.pushes == 10)
            assert one.intake.stats.bad == {"payload": 1}
            assert one.intake.stats.busy == 0


CONFIG = """[receivers]
[[kurado]]
redis = {url}
hosts = any
[collectors]
[[default]]
enabled = False
"""


def test_a_killed_appliance_loses_nothing_of_the_list(tmp_path: Path) -> None:
    """It is killed while it drains; started again, every minute of every host is in the store once."""
    with redis(tmp_path / "redis") as server, appliance(tmp_path / "a", CONFIG.format(url=server.url)) as one:
        start = int(time.time()) // 60 * 60 - 40 * 60
        for minute in range(40):
            at = start + 60 * minute
            pushes = [payload(f"10.8.0.{host}", at, cpu_user=60 * minute) for host in range(10)]
            for push in pushes:
                server.cli("-x", "RPUSH", LIST, stdin=push)
            if minute in (10, 25):
                one.kill()
                one.start()

        def all_there() -> bool:
            for host in range(10):
                values = one.values(f"10.8.0.{host}:base::cpu-user", start=start, end=start + 2400, step=60)
                if [value for value in values if value is not None] != pytest.approx([1.0] * 39):
                    return False
            return True

        wait_for(all_there, 30, 0.5)
        wait_for(lambda: server.cli("KEYS", "*") == "", 10)
