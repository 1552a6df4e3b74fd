"""ArchiveHandler beyond the contract: putting aside, keeping, and a disk that is full."""

from __future__ import annotations

import asyncio
import os
import resource
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path
from typing import Any

import pytest
from blocks import DiamondNaming, block

from handlers._archive.periods import Periods
from handlers.archive import ArchiveHandler
from monitor.batch import Block, Cursor, Source
from monitor.handler import DeliveryError

CURSOR = Cursor(1, 1)
NOON = datetime(2026, 11, 21, 12).timestamp()
DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def value(number: float) -> Block:
    return block((Source("web1", "c"), 60.0, [number]), names=["x"])


def line(number: float) -> str:
    return f"servers.web1.c.x {number:g} 60\n"


async def opened(path: Path, clock: Clock | None = None, **options: Any) -> ArchiveHandler:
    one = ArchiveHandler("ArchiveHandler", DiamondNaming(), log_file=path, **options)
    await one.open()
    if clock is not None:
        assert one._file is not None
        one._file._clock = clock
        one._file._period = one._file._periods.start(clock())
    return one


def texts(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


async def test_the_file_is_put_aside_at_midnight_and_the_oldest_go(tmp_path: Path) -> None:
    clock = Clock()
    one = await opened(tmp_path / "deep/archive.log", clock, days=2)
    (tmp_path / "deep/archive.log.bak").write_text("not ours")
    for day in range(5):
        await one.write([value(day), value(day + 0.5)], CURSOR)
        clock.now += DAY
    await one.close()
    assert texts(tmp_path / "deep") == {
        "archive.log": line(4) + line(4.5),
        "archive.log.2026-11-24": line(3) + line(3.5),
        "archive.log.2026-11-23": line(2) + line(2.5),
        "archive.log.bak": "not ours",
    }


async def test_what_was_put_aside_is_never_overwritten(tmp_path: Path) -> None:
    """The clock goes back by a day, as it may when it was wrong."""
    clock = Clock()
    one = await opened(tmp_path / "archive.log", clock)
    for number, now in enumerate([NOON, NOON + DAY, NOON, NOON + DAY, NOON + 2 * DAY]):
        clock.now = now
        await one.write([value(number)], CURSOR)
    await one.close()
    found = texts(tmp_path)
    assert {name: found.pop(name) for name in list(found) if "2026-11-21" in name} == {
        "archive.log.2026-11-21": line(0), "archive.log.2026-11-21.2": line(2),
    }  # fmt: skip
    assert "".join(found[name] for name in sorted(found, reverse=True)) == line(3) + line(1) + line(4)


async def test_the_period_of_a_file_outlives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "archive.log"
    path.write_text(line(1))

    os.utime(path, (time.time() - 3 * DAY,) * 2)
    one = await opened(path)
    await one.write([value(2)], CURSOR)
    await one.close()
    day = datetime.fromtimestamp(time.time() - 3 * DAY).strftime("%Y-%m-%d")
    assert texts(tmp_path) == {"archive.log": line(2), f"archive.log.{day}": line(1)}


@pytest.mark.parametrize("when", ["S", "M", "H", "midnight"])
def test_files_are_called_as_pythons_own_handler_calls_them(tmp_path: Path, when: Any) -> None:
    theirs = TimedRotatingFileHandler(tmp_path / "x", when=when, delay=True)
    periods = Periods(when, 1)
    for now in (NOON, NOON + 1, NOON + 3599, NOON + 7.25 * DAY):
        name = periods.name(periods.start(now))
        assert theirs.extMatch.fullmatch(name)
        assert name == time.strftime(theirs.suffix, time.localtime(now))


@pytest.mark.parametrize("day", range(7))
def test_a_week_ends_with_the_day_that_is_named(day: int) -> None:
    periods = Periods(f"W{day}", 1)  # type: ignore[arg-type]
    starts = {periods.start(NOON + number * DAY) for number in range(70)}
    assert len(starts) in (10, 11)
    assert {start.weekday() for start in starts} == {(day + 1) % 7}


async def test_several_units_are_one_period(tmp_path: Path) -> None:
    clock = Clock()
    one = await opened(tmp_path / "archive.log", clock, when="H", rollover_interval=6)
    for _ in range(24):
        await one.write([value(1)], CURSOR)
        clock.now += 3600
    await one.close()
    names = [f"archive.log.2026-11-21_{hour}" for hour in (12, 18)] + [f"archive.log.2026-11-22_{h:02}" for h in (0,)]
    assert sorted(texts(tmp_path)) == ["archive.log", *names]


@pytest.fixture
def full() -> Iterator[None]:
    """No file of this process can grow above 1,000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_leaves_no_part_of_a_write(tmp_path: Path, full: None) -> None:
    one = await opened(tmp_path / "archive.log")
    await one.write([value(1)], CURSOR)
    many = block(*((Source("web1", "c"), 60.0, [number]) for number in range(100)), names=["x"])
    for _ in range(2):
        with pytest.raises(DeliveryError, match=r"^cannot write .*/archive.log: File too large$"):
            await one.write([many], CURSOR)
    await one.write([value(2)], CURSOR)
    await one.close()
    assert (tmp_path / "archive.log").read_text() == line(1) + line(2)


async def test_a_write_that_was_given_up_leaves_no_line(tmp_path: Path) -> None:
    one = await opened(tmp_path / "archive.log")
    assert one._file is not None
    append, go = one._file.append, threading.Event()

    def slow(lines: bytes) -> None:
        go.wait()
        append(lines)

    one._file.append = slow  # type: ignore[method-assign]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await one.write([value(1)], CURSOR)
    go.set()
    await one.write([value(2)], CURSOR)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            go.clear()
            await one.write([value(3)], CURSOR)
    go.set()
    await one.close()
    assert (tmp_path / "archive.log").read_text() == line(2)


async def test_a_write_is_on_the_disk_when_it_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced, sync = tmp_path / "archive.log", [], os.fsync

    def watched(file: int) -> None:
        sync(file)
        synced.append(os.fstat(file).st_size)

    one = await opened(path)
    monkeypatch.setattr(os, "fsync", watched)
    await one.write([value(1), value(2)], CURSOR)
    assert synced == [path.stat().st_size]
    await one.close()


async def test_half_a_line_that_a_crash_left_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "archive.log"
    path.write_text(line(1) + "servers.web1.c.x 2")
    one = await opened(path)
    await one.write([value(2)], CURSOR)
    await one.close()
    assert path.read_text() == line(1) + line(2)


async def test_a_file_that_somebody_moves_is_followed_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "archive.log"
    one = await opened(path)
    await one.write([value(1)], CURSOR)
    path.rename(tmp_path / "moved")
    await one.write([value(2)], CURSOR)
    await one.close()
    assert texts(tmp_path) == {"moved": line(1), "archive.log": line(2)}


async def test_what_an_encoding_has_no_character_for_is_escaped(tmp_path: Path) -> None:
    one = await opened(tmp_path / "archive.log", encoding="ascii")
    await one.write([block((Source("wéb", "c"), 60.0, [1.0]), names=["x"])], CURSOR)
    await one.close()
    assert (tmp_path / "archive.log").read_bytes() == b"servers.w\\xe9b.c.x 1 60\n"


@pytest.mark.parametrize("encoding", ["utf-17", "utf-16", ""])
async def test_an_encoding_that_is_none_for_lines_is_named(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(DeliveryError, match=f"^encoding: expected .* got '{encoding}'$"):
        await opened(tmp_path / "archive.log", encoding=encoding)
