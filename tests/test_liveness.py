# ruff: noqa: F811 - fixtures are asked for by the names that they are imported under
"""Liveness: what agents said last, for how long it holds, what status it makes, and that a restart keeps it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import asyncpg
import pytest
from blocks import DiamondNaming
from memory_store import MemoryStore
from servers_postgres import PostgresServer, data_dir, postgres  # noqa: F401

from handlers.postgresql import PostgreSQLHandler
from monitor.facts import Bounds
from monitor.liveness import Liveness, Report, Warning

START = 1_800_000_000.0
HOST = "10.0.0.1"


class Clock:
    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def said(
    plugin: str = "base",
    at: float = START,
    host: str = HOST,
    meta: dict[str, str] | None = None,
    warnings: dict[str, str] | None = None,
) -> Report:
    return Report(host, plugin, at, meta or {}, warnings or {})


def watching(*plugins: str, **more: object) -> tuple[Liveness, Clock]:
    """Return the liveness of one configured host with these plugins that only push."""
    clock = Clock()
    table = {HOST: plugins}
    return Liveness(expected=table.get, clock=clock, **more), clock  # type: ignore[arg-type]


def test_a_host_that_nobody_knows_is_critical() -> None:
    live, _ = watching("base")
    assert live.status("10.9.9.9") == 2


def test_a_host_with_base_is_critical_until_base_comes_and_again_after_300_s() -> None:
    live, clock = watching("base", "app")
    live.report([said("app")])
    assert live.status(HOST) == 2
    live.report([said(), said("app")])
    assert live.status(HOST) == 0
    clock.now = START + 299
    assert live.status(HOST) == 0
    clock.now = START + 300
    assert live.status(HOST) == 2
    assert live.silent(HOST) == [("base", START), ("app", START)]


def test_another_plugin_that_only_pushes_warns_when_it_is_silent() -> None:
    live, clock = watching("base", "app")
    live.report([said()])
    assert live.status(HOST) == 1
    assert live.silent(HOST) == [("app", None)]
    live.report([said("app")])
    assert live.status(HOST) == 0
    clock.now = START + 300
    live.report([said(at=clock.now)])
    assert live.status(HOST) == 1


def test_a_plugin_that_is_not_of_the_role_may_be_silent() -> None:
    live, clock = watching("base")
    live.report([said(), said("extra")])
    clock.now = START + 400
    live.report([said(at=clock.now)])
    assert live.status(HOST) == 0


def test_a_warning_warns_for_5_minutes_whatever_plugin_it_is_of() -> None:
    live, clock = watching("base")
    live.report([said(), said("app", warnings={"command": "exit_code: 1"})])
    assert live.status(HOST) == 1
    assert live.warnings(HOST) == [Warning("app", "command", START, "exit_code: 1")]
    clock.now = START + 299
    live.report([said(at=clock.now)])
    assert live.status(HOST) == 1
    clock.now = START + 300
    assert live.warnings(HOST) == []
    assert live.status(HOST) == 0


def test_a_host_that_is_not_configured_but_pushes_base_is_judged_by_it() -> None:
    live, clock = watching()
    live.report([said(host="10.0.0.9")])
    assert live.status("10.0.0.9") == 0
    clock.now = START + 300
    assert live.status("10.0.0.9") == 2


def test_meta_holds_for_an_hour_key_by_key() -> None:
    live, clock = watching()
    live.report([said(meta={"version": "1", "disk-usage-sda-mount": "/"})])
    clock.now = START + 1800
    live.report([said(at=clock.now, meta={"version": "2"})])
    assert live.meta(HOST, "base") == {"version": "2", "disk-usage-sda-mount": "/"}
    clock.now = START + 3600
    assert live.meta(HOST, "base") == {"version": "2"}
    clock.now = START + 5400
    assert live.meta(HOST, "base") == {}
    assert live.last(HOST, "base") == START + 1800


def test_an_older_report_does_not_undo_a_newer_one() -> None:
    live, _ = watching()
    live.report([said(at=START, meta={"v": "new"}), said(at=START - 60, meta={"v": "old"})])
    assert live.meta(HOST, "base") == {"v": "new"}
    assert live.last(HOST, "base") == START


def test_what_is_too_much_is_refused_and_counted() -> None:
    bounds = Bounds(hosts=2, plugins=2, keys=2, text=10)
    live, _ = watching(bounds=bounds)
    live.report([said(host=f"h{i}") for i in range(3)])
    assert (live.last("h1", "base"), live.last("h2", "base"), live.facts.refused) == (START, None, 1)
    live.report([said(f"p{i}", host="h1") for i in range(3)])
    assert live.plugins("h1") == ["base", "p0"]
    assert live.facts.refused == 3
    live.report([said(host="h1", meta={"a": "1", "b": "2", "c": "3"})])
    assert live.meta("h1", "base") == {"a": "1", "b": "2"}
    assert live.facts.refused == 4
    live.report([said(host="h1", meta={"a": "123456789012345"})])
    assert live.meta("h1", "base")["a"] == "123456789…"
    assert live.facts.cut == 1


def test_texts_are_bounded_together() -> None:
    live, _ = watching(bounds=Bounds(characters=100, text=60))
    live.report([said(host="h", meta={"a": "x" * 50, "b": "y" * 50})])
    assert list(live.meta("h", "base")) == ["a"]
    assert live.facts.characters == 56
    live.report([said(host="h", meta={"a": "x"})])
    live.report([said(host="h", meta={"b": "y" * 50})])
    assert live.facts.characters == 58
    assert live.facts.refused == 1


async def test_sweeping_gives_back_all_room_of_what_is_over() -> None:
    live, clock = watching()
    live.report([said(meta={"a": "1"}, warnings={"w": "x"}), said("app", host="h2", meta={"a": "1"})])
    await live.facts.sweep(START + 300)
    assert live.facts.find(HOST, "base").warnings == {}  # type: ignore[union-attr]
    await live.facts.sweep(START + 3600)
    assert live.facts.characters == len(HOST + "base" + "h2" + "app")
    clock.now = START + 365 * 86400
    await live.facts.sweep(clock.now)
    assert (live.facts.characters, live.facts.hosts) == (0, {})


async def test_when_nearly_full_who_was_silent_for_a_day_makes_room() -> None:
    live, _ = watching(bounds=Bounds(hosts=2))
    live.report([said(host="h1"), said(host="h2", at=START + 86400)])
    await live.facts.sweep(START + 86400)
    live.report([said(host="h3", at=START + 86400)])
    assert (live.last("h1", "base"), live.last("h3", "base")) == (None, START + 86400)


def test_names_that_could_not_be_stored_are_refused() -> None:
    live, _ = watching()
    live.report([said("a\0b"), said("\ud800"), said("x" * 256), said(meta={"k\n": "v", "": "v", "ok": "a\0\ud800"})])
    assert live.plugins(HOST) == ["base"]
    assert live.meta(HOST, "base") == {"ok": "a�?"}
    assert live.facts.refused == 5


def test_mirrors_are_told_of_every_report() -> None:
    told: list[Sequence[Report]] = []
    live, _ = watching(mirrors=[told.append])
    live.report([said()])
    assert told == [[said()]]


async def test_a_pause_delays_the_writing() -> None:
    store, paused = MemoryStore(), [True]
    live = Liveness(store, clock=Clock(), paused=lambda: paused[0])
    await live.open()
    live.report([said()])
    await live.flush()
    assert await store.heard(("", ""), 9) == []
    paused[0] = False
    await live.close()
    assert [row.plugin for row in await store.heard(("", ""), 9)] == ["base"]


@pytest.fixture
async def store(postgres: PostgresServer, data_dir: Path) -> AsyncIterator[PostgreSQLHandler]:
    opened = await at(postgres, await fresh(postgres), data_dir)
    yield opened
    await opened.close()


async def fresh(server: PostgresServer) -> str:
    name = f"t{time.monotonic_ns()}"
    connection = await asyncpg.connect(server.url())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return name


async def at(server: PostgresServer, name: str, directory: Path) -> PostgreSQLHandler:
    handler = PostgreSQLHandler("PostgreSQLHandler", DiamondNaming(), database=server.url(name), data_dir=directory)
    await handler.open()
    return handler


async def test_a_restart_keeps_all_that_is_known(store: PostgreSQLHandler) -> None:
    clock = Clock()
    live = Liveness(store, clock=clock)
    await live.open()
    many = [said(host=f"10.1.{i // 250}.{i % 250}", meta={"n": str(i)}) for i in range(5000)]
    live.report(many)
    live.report(
        [said("redis:6379", meta={"v": "日本 \\ \" '"}, warnings={"w": "oops\ttab\r"}), said("app", at=START - 200)]
    )
    await live.close()
    clock.now += 60
    again = Liveness(store, clock=clock)
    await again.open()
    assert again.meta(HOST, "redis:6379") == {"v": "日本 \\ \" '"}
    assert again.warnings(HOST) == [Warning("redis:6379", "w", START, "oops\ttab\r")]
    assert (again.last(HOST, "app"), again.last(HOST, "redis:6379")) == (START - 200, START)
    assert all(again.meta(one.host, "base") == one.meta for one in many)
    assert again.waiting == 0
    clock.now = START + 300
    assert again.warnings(HOST) == []
    await again.close()


async def test_a_flush_is_one_statement_and_comes_within_seconds(store: PostgreSQLHandler) -> None:
    live = Liveness(store, clock=Clock(), flush=0.05)
    await live.open()
    live.report([said(host=f"10.1.1.{i}") for i in range(200)])
    async with asyncio.timeout(5):
        while live.waiting:
            await asyncio.sleep(0.01)
    async with store._opened().reader() as connection:
        assert await connection.fetchval("SELECT count(*) FROM heard") == 200
        assert await connection.fetchval("SELECT count(DISTINCT xmin::text) FROM heard") == 1
    await live.close()


async def test_while_the_database_is_away_all_is_known_and_later_written(
    postgres: PostgresServer, data_dir: Path
) -> None:
    name = await fresh(postgres)
    store = await at(postgres, name, data_dir)
    clock = Clock()
    live = Liveness(store, expected={HOST: ["base"]}.get, clock=clock, flush=0.05)
    await live.open()
    postgres.stop(signal.SIGQUIT)
    try:
        live.report([said(meta={"version": "1"})])
        await live.flush()
        assert live.stats.failed > 0
        assert (live.status(HOST), live.meta(HOST, "base"), live.waiting) == (0, {"version": "1"}, 1)
    finally:
        postgres.start()
    async with asyncio.timeout(20):
        while live.waiting:
            await asyncio.sleep(0.05)
    await live.close()
    again = Liveness(store, clock=clock)
    await again.open()
    assert again.meta(HOST, "base") == {"version": "1"}
    await again.close()
    await store.close()


async def test_what_came_before_the_store_could_be_read_counts_more(store: PostgreSQLHandler) -> None:
    before = Liveness(store, clock=Clock())
    await before.open()
    before.report([said(meta={"v": "old", "only": "old"})])
    await before.close()
    live = Liveness(store, clock=Clock(START + 30))
    live.report([said(at=START + 30, meta={"v": "new"})])
    await live.open()
    assert live.meta(HOST, "base") == {"v": "new", "only": "old"}
    assert live.last(HOST, "base") == START + 30
    await live.close()


async def test_what_was_silent_for_a_year_is_forgotten(store: PostgreSQLHandler) -> None:
    live = Liveness(store, clock=Clock())
    await live.open()
    live.report([said()])
    await live.close()
    later = Liveness(store, clock=Clock(START + 366 * 86400))
    await later.open()
    assert later.last(HOST, "base") is None
    await later.close()
    assert await store.heard(("", ""), 9) == []
