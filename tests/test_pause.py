"""The maintenance pause: by request or by the file `stop`, never longer than 5 minutes, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path

import pytest
from appliance import Appliance, wait_for
from blocks import block
from memory_journal import MemoryJournal
from memory_store import MemoryStore

from monitor.batch import Source
from monitor.outlet import Outlet
from monitor.pause import Pause

START = 1_800_000_000.0


class Times:
    """The wall clock and the monotonic one, which run together."""

    def __init__(self) -> None:
        self.passed = 0.0

    def wall(self) -> float:
        return START + self.passed

    def monotonic(self) -> float:
        return 50.0 + self.passed


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def pause(tmp_path: Path, times: Times) -> Pause:
    return Pause(tmp_path, clock=times.wall, monotonic=times.monotonic)


def touch(pause: Pause, at: float) -> None:
    pause.file.touch()
    os.utime(pause.file, (at, at))


def test_it_ends_by_itself(pause: Pause, times: Times) -> None:
    assert not pause.on
    assert pause.begin(20) == 20
    times.passed = 19
    assert pause.on
    times.passed = 20
    assert not pause.on
    assert pause.count == 1


def test_it_is_300_s_unless_less_is_asked_for_and_never_more(pause: Pause) -> None:
    assert pause.begin() == 300
    assert pause.begin(4000) == 300
    assert pause.begin(7) == 7
    assert pause.begin(0) == 0
    assert not pause.on


def test_the_file_counts_until_it_was_touched_300_s_ago(pause: Pause, times: Times) -> None:
    touch(pause, START)
    times.passed = 1
    assert (pause.left(), pause.by_file) == (299, True)
    times.passed = 299.5
    assert pause.on
    times.passed = 301
    assert not pause.on


def test_a_file_that_is_taken_away_or_touched_again_is_noticed_within_a_second(pause: Pause, times: Times) -> None:
    touch(pause, START - 250)
    assert pause.left() == 50
    touch(pause, START)
    times.passed = 1
    assert pause.left() == 299
    pause.file.unlink()
    times.passed = 2
    assert not pause.on


def test_an_old_file_and_one_of_the_future_do_not_count(pause: Pause, times: Times) -> None:
    touch(pause, START - 300)
    assert not pause.on
    touch(pause, START + 3600)
    times.passed = 1
    assert not pause.on


def test_ending_it_by_request_leaves_the_file_in_force(pause: Pause) -> None:
    touch(pause, START)
    assert pause.begin(0) == 300


async def test_who_waits_goes_on_as_soon_as_it_is_ended(tmp_path: Path) -> None:
    pause = Pause(tmp_path)
    pause.begin()
    waiting = asyncio.create_task(pause.over())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    pause.begin(0)
    async with asyncio.timeout(0.5):
        await waiting


async def test_an_outlet_that_ends_during_a_pause_leaves_all_to_the_journal(tmp_path: Path) -> None:
    store, journal, pause = MemoryStore(), MemoryJournal(), Pause(tmp_path)
    pause.begin()
    outlet = Outlet(store, journal, opened=True, pause=pause)
    await outlet.start()
    await journal.append([block((Source("web1", "app"), START, [1.0]))])
    began = time.monotonic()
    await outlet.drain(5)
    assert time.monotonic() - began < 2
    assert await store.sources() == []
    assert outlet.stats.last_error == "paused"


def test_what_is_pushed_during_a_pause_is_stored_after_it_also_when_the_appliance_is_killed(tmp_path: Path) -> None:
    appliance = Appliance(tmp_path / "a").start()
    try:
        stop = tmp_path / "a" / "data" / "stop"
        stop.touch()
        wait_for(lambda: b"paused_seconds_left" in appliance.get("/readyz")[1], 10)
        now = int(time.time())
        sent = [{"host": "web1", "collector": "app", "time": now - 60 + 60 * i, "values": {"a": i}} for i in range(2)]
        assert appliance.push(sent)["accepted"] == 2
        assert b"monitor_pause_seconds_left 0.0" not in appliance.get("/metrics")[1]
        # Without a pause it is stored after a second.
        lag = re.compile(rb'monitor_outlet_lag_seconds\{handler="PostgreSQLHandler"\} (?!0\.|1\.)')
        wait_for(lambda: lag.search(appliance.get("/metrics")[1]), 20)
        assert appliance.json("/api/v1/latest", host="web1")["series"] == []
        appliance.kill()
        appliance.start()
        assert appliance.json("/api/v1/latest", host="web1")["series"] == []
        stop.unlink()
        found = wait_for(lambda: appliance.json("/api/v1/latest", host="web1").get("series"), 20)
        assert [(one["time"], one["value"]) for one in found] == [(now, 1.0)]
    finally:
        appliance.stop()
