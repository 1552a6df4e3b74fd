"""Handlers within the appliance: several targets of one section, and an appliance that posts to another."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from appliance import Appliance, appliance, free_port, wait_for
from blocks import DiamondNaming, block
from servers_carbon import Carbon, carbon, minute

from handlers.httppost import HttpPostHandler
from monitor.batch import Cursor, Source

CURSOR = Cursor(1, 1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carbon]:
    with carbon(tmp_path_factory.mktemp("carbon")) as one:
        yield one


def configured(directory: Path, *hosts: str) -> str:
    return (
        "handlers = MultiGraphiteHandler, ArchiveHandler\n[handlers]\n[[MultiGraphiteHandler]]\n"
        f"host = {', '.join(hosts)}\nflush_interval = 0\n[[ArchiveHandler]]\n"
        f"log_file = {directory}/archive.log\nflush_interval = 0\n"
    )


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, cache: Carbon) -> Iterator[Appliance]:
    directory = tmp_path_factory.mktemp("appliance")
    with appliance(directory, configured(directory, f"127.0.0.1:{cache.port}")) as one:
        yield one


def told(one: Appliance, what: str) -> dict[str, float]:
    name = f'monitor_outlet_{what}{{handler="'
    lines = [line for line in one.get("/metrics")[1].decode().splitlines() if line.startswith(name)]
    return {line[len(name) :].partition('"')[0]: float(line.split()[-1]) for line in lines}


def test_a_target_that_is_added_and_one_that_is_down_disturb_no_other(one: Appliance, cache: Carbon) -> None:
    there, down = f"127.0.0.1:{cache.port}", f"127.0.0.1:{free_port()}"
    one.configure(configured(one.directory, there, down))
    assert one.process is not None
    one.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "event=reloaded" in one.log.read_text(), pause=0.02)
    batch = {"host": "h", "collector": "c", "time": minute(1), "values": {"x": 7}}
    assert one.push([batch])["accepted"] == 1
    wait_for(lambda: cache.held("servers.h.c.x") or cache.points("servers.h.c.x", minute(2), minute(0)))
    wait_for(lambda: "servers.h.c.x 7 " in (one.directory / "archive.log").read_text())
    up = {f"MultiGraphiteHandler {there}": 0.0, "ArchiveHandler": 0.0, "PostgreSQLHandler": 0.0}
    assert told(one, "failing") == up | {f"MultiGraphiteHandler {down}": 1.0}
    assert told(one, "lag_batches")[f"MultiGraphiteHandler {down}"] >= 1
    assert told(one, "lost_batches_total") == up | {f"MultiGraphiteHandler {down}": 0.0}


async def test_an_appliance_takes_the_batches_of_another_and_says_which_it_does_not(one: Appliance) -> None:
    now = minute(1)
    good = block(*((Source(f"host{i}", "posted", "a"), now, [i, i / 3]) for i in range(50)), names=["x", "y"])
    old = block((Source("old", "posted"), now - 30 * 86400, [1.0]))
    options = {"url": f"{one.url}/api/v1/push", "format": "BATCHES", "gzip": True}
    handler = HttpPostHandler("HttpPostHandler", DiamondNaming(), **options)
    await handler.open()
    found = await handler.write([good, old], CURSOR)
    assert [item for item, _ in found] == [f"old:posted: at {now - 30 * 86400:.3f}"]
    # A repeat is there once, and is nothing that is refused.
    assert await handler.write([good], CURSOR) == []
    await handler.close()

    def latest() -> dict[tuple[str, str], float]:
        series = one.json("/api/v1/latest", collector="posted")["series"]
        return {(s["host"], s["name"]): s["value"] for s in series}

    assert wait_for(latest) == {
        (f"host{i}", name): value for i in range(50) for name, value in (("x", i), ("y", i / 3))
    }
