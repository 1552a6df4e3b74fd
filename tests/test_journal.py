from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.batch import SIGNED, Block, Cursor, Kind, Layout, Source
from monitor.group import Dictionary, Words, decode, encode
from monitor.journal import Busy, Journal
from monitor.merge import merge

LAYOUT = Layout(("busy", "requests"), (Kind.GAUGE, Kind.DERIVE))


def block(first: int, rows: int = 1, layout: Layout = LAYOUT, **meta: str) -> Block:
    """Return rows whose time and values tell their number."""
    numbers = np.arange(first, first + rows, dtype=np.float64)
    names, counted = len(layout.names), layout.counted.size
    return Block(
        layout, [Source(f"host{number:.0f}", "app", "ü") for number in numbers], numbers, numbers - 60,
        np.full(rows, 60.0), numbers[:, None] + np.arange(names) / 10,
        numbers[:, None].astype(np.uint64).repeat(counted, 1), np.full((rows, counted), SIGNED, np.uint8),
        {rows - 1: meta} if meta else {},
    )  # fmt: skip


def same(one: Block, other: Block) -> None:
    assert one.layout == other.layout
    assert one.sources == other.sources
    assert one.meta == other.meta
    for name in ("times", "since", "intervals", "rates", "raw", "raw_tags"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@asynccontextmanager
async def journal(path: Path, **options: Any) -> AsyncIterator[Journal]:
    opened = Journal(path, **options)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


async def everything(journal: Journal, after: Cursor | None = None, limit: int = 50_000) -> list[float]:
    """Return the times of all rows behind a cursor, in order."""
    cursor, times = after or journal.start, []
    while groups := await journal.read(cursor, limit=limit):
        assert all(one < other for (one, *_), (other, *_) in pairwise(groups))
        assert groups[0][0] > cursor
        cursor = groups[-1][0]
        times += [float(at) for _, blocks, _ in groups for block in blocks for at in block.times]
    return times


class Clock:
    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_a_group_is_decoded_as_it_was_encoded() -> None:
    wide = Layout(tuple(f"n{i}" for i in range(50)), tuple(Kind)[:2] * 25)
    blocks = [block(1, 3, version="1.2"), block(4, 7, wide), block(11, 1, Layout(("x",), (Kind.GAUGE,)))]
    dictionary, words = Dictionary(), Words()
    body = encode(blocks, dictionary)
    words.add(dictionary.piece() or b"")
    for one, other in zip(decode(body, words), blocks, strict=True):
        same(one, other)


def test_blocks_of_one_layout_are_joined_with_their_meta() -> None:
    (joined,) = merge([block(1, 3, version="1"), block(4, 2, version="2")])
    assert joined.times.tolist() == [1, 2, 3, 4, 5]
    assert joined.meta == {2: {"version": "1"}, 4: {"version": "2"}}


@pytest.mark.parametrize("body", [b"", b"\x02\0\0\0\0\0\0\0", b"\x01\0\0\0\x01\0\0\0" + b"\xff" * 24])
def test_what_is_no_group_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"group|buffer|size"):
        decode(body, Words())


async def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    async with journal(tmp_path / "journal") as log:
        assert await log.read(log.start) == []
        first = await log.append([block(1, 2, version="1.2")])
        second = await log.append([block(3)])
        assert log.start < first < second == log.end
        (cursor, blocks, _), (_, more, _) = await log.read(log.start)
        assert cursor == first
        same(blocks[0], block(1, 2, version="1.2"))
        same(more[0], block(3))
        assert [at for at, *_ in await log.read(first)] == [second]
        assert await log.read(second) == []


async def test_appends_that_come_together_share_a_commit(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        await asyncio.gather(*(log.append([block(i)]) for i in range(500)))
        assert log.stats.commits <= 3
        assert await everything(log) == [float(i) for i in range(500)]


async def test_an_empty_append_waits_for_those_before_it(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        before = log.submit([block(1)])
        assert await log.append([]) == await before
        assert log.stats.batches == 1


async def test_a_read_takes_about_as_much_as_asked(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        for i in range(20):
            await log.append([block(10 * i, 10)])
        groups = await log.read(log.start, limit=50)
        assert len(groups) == 3
        assert await everything(log, limit=1) == [float(i) for i in range(200)]


async def test_large_appends_become_several_groups(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        await log.append([block(20_000 * i, 20_000) for i in range(5)])
        assert len(await log.read(log.start, limit=10**9)) == 3
        assert len(await everything(log)) == 100_000


async def test_waiting_ends_with_the_next_append(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        waiting = asyncio.create_task(log.wait(log.end))
        await asyncio.sleep(0)
        assert not waiting.done()
        await log.append([block(1)])
        await asyncio.wait_for(waiting, 5)
        await asyncio.wait_for(log.wait(log.start), 5)


async def test_a_journal_opened_again_goes_on(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        end = await log.append([block(1)])
        await log.save_cursor("graphite", end)
        await log.save_cursor("old", end)
    async with journal(tmp_path) as log:
        assert log.end == end
        assert await log.cursor("graphite") == end
        await log.keep_cursors({"graphite"})
        assert await log.cursor("old") is None
        assert await log.append([block(2)]) > end
        assert await everything(log, await log.cursor("graphite")) == [2]
        assert await everything(log) == [1, 2]


async def test_the_cursors_of_a_journal_that_was_taken_away_lie_before_the_new_one(tmp_path: Path) -> None:
    async with journal(tmp_path / "a", clock=Clock(1000)) as log:
        old = await log.append([block(1)])
    async with journal(tmp_path / "b", clock=Clock(2000)) as log:
        assert await log.append([block(2)]) > old
        assert await everything(log, old) == [2]
    async with journal(tmp_path / "c", clock=Clock(500)) as log:  # the clock was put back
        cursor = await log.append([block(3)])
        assert [at for at, *_ in await log.read(old)] == [cursor]


async def test_only_one_process_has_it(tmp_path: Path) -> None:
    async with journal(tmp_path):
        with pytest.raises(OSError, match="another process has the journal"):
            await Journal(tmp_path).open()


async def test_segments_change_by_size_and_by_age(tmp_path: Path) -> None:
    clock = Clock()
    async with journal(tmp_path, clock=clock, segment_bytes=2000, segment_age=100) as log:
        ends = [await log.append([block(i, 10)]) for i in range(0, 60, 10)]
        assert len({end.segment for end in ends}) > 1
        clock.now += 101
        assert (await log.append([block(60)])).segment > ends[-1].segment
        assert await everything(log) == [float(i) for i in range(61)]
        assert await everything(log, ends[2]) == [float(i) for i in range(30, 61)]


async def test_the_oldest_segments_go_at_the_bound_and_what_a_handler_missed_is_told(tmp_path: Path) -> None:
    clock = Clock()
    options: dict[str, Any] = {"clock": clock, "segment_age": 10, "max_age": 1000, "keep": 100}
    async with journal(tmp_path, **options) as log:
        cursors = []
        for i in range(0, 120, 2):
            cursors.append(await log.append([block(i), block(i + 1)]))
            clock.now += 5
        clock.now += 900
        end = await log.append([block(120)])
        left = await everything(log)
        assert 0 < len(left) < 121
        assert log.stats.dropped
        for place, cursor in enumerate(cursors):
            seen = 2 * (place + 1)
            assert log.lost(cursor) == max(0, 121 - len(left) - seen)
            assert await everything(log, cursor) == [float(i) for i in range(max(seen, 121 - len(left)), 121)]
        assert log.lost(end) == 0
    async with journal(tmp_path, **options) as log:
        assert log.lost(cursors[0]) == 121 - len(left) - 2
        clock.now += 10_000
        await log.append([block(121)])
        assert log.lost(cursors[0]) == 119


async def test_the_bound_of_bytes_holds_but_never_takes_the_newest(tmp_path: Path) -> None:
    clock = Clock()
    async with journal(tmp_path, clock=clock, segment_age=10, max_bytes=20_000, keep=240) as log:
        for i in range(0, 4000, 10):
            await log.append([block(i, 10)])
            clock.now += 6
        times = await everything(log)
        assert times[-400:] == [float(i) for i in range(3600, 4000)]
        kept = len(times) / 10 * 6
        assert 240 <= kept < 400
        files = list(tmp_path.glob("*.journal"))
        assert len(files) < 50


async def test_a_full_disk_refuses_and_nothing_is_lost_when_there_is_room_again(tmp_path: Path) -> None:
    told: list[int] = []
    async with journal(tmp_path) as log:
        log.on_failure.append(lambda: told.append(1))
        await log.append([block(1)])
        assert log._writer is not None
        connection = log._writer.connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        waiting = [log.submit([block(i, 2000)]) for i in range(10, 14)]
        for future in waiting:
            with pytest.raises(Busy, match="full"):
                await future
        assert told
        connection.execute("PRAGMA max_page_count = 1000000")
        await log.append([block(2)])
        assert await everything(log) == [1, 2]


async def test_a_failure_takes_everything_behind_it_along(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        await log.append([block(1)])
        assert log._writer is not None
        log._writer.connection.close()  # any call on it raises
        waiting = [log.submit([block(2)])]
        await asyncio.sleep(0)  # its commit has begun
        waiting.append(log.submit([block(3)]))
        for future in waiting:
            with pytest.raises(Busy):
                await future
        await log.append([block(4)])
        assert await everything(log) == [1, 4]


async def test_a_slow_commit_makes_it_busy_and_is_still_committed(tmp_path: Path) -> None:
    async with journal(tmp_path, max_wait=0.1) as log:
        await log.append([block(1)])
        other = sqlite3.connect(next(tmp_path.glob("*.journal")), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # holds our commit up
        slow = log.submit([block(2)])
        with pytest.raises(Busy, match="longer than"):
            await log.committed(slow)
        await asyncio.sleep(0.05)
        with pytest.raises(Busy, match="longer than"):
            log.submit([block(3)])
        other.execute("COMMIT")
        other.close()
        await slow
        await log.append([block(4)])
        assert await everything(log) == [1, 2, 4]


async def test_too_much_that_waits_makes_it_busy(tmp_path: Path) -> None:
    async with journal(tmp_path, max_pending=10) as log:
        first = log.submit([block(1, 5)])
        with pytest.raises(Busy, match="10 values wait"):
            log.submit([block(6, 5)])
        await first
        await log.append([block(6, 5)])


def ruin_the_end(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size // 2 // 8192 * 8192)


def ruin_the_middle(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xaa" * 20_000)


def ruin_all(path: Path) -> None:
    path.write_bytes(b"garbage" * 1000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("ruin", [ruin_the_end, ruin_the_middle, ruin_all, empty])
async def test_a_damaged_segment_is_reported_and_the_rest_is_read(
    tmp_path: Path, ruin: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    options: dict[str, Any] = {"clock": clock, "segment_age": 50}
    async with journal(tmp_path, **options) as log:
        for i in range(0, 10_000, 100):
            await log.append([block(i, 100)])
        clock.now += 60
        await log.append([block(10_000)])
    first = sorted(tmp_path.glob("*.journal"))[0]
    ruin(first)
    async with journal(tmp_path, **options) as log:
        await log.append([block(10_001)])
        times = await everything(log)
        assert times[-2:] == [10_000, 10_001]
        assert times == sorted(set(times))
        if ruin in (ruin_the_end, ruin_the_middle):
            assert 1000 <= len(times) < 10_002
        assert log.stats.damaged or ruin is empty
        assert "journal.damaged" in caplog.messages or ruin is empty
    async with journal(tmp_path, **options) as log:  # and again, without end
        assert (await everything(log))[-2:] == [10_000, 10_001]


async def test_damaged_cursors_are_put_aside(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        await log.save_cursor("graphite", await log.append([block(1)]))
    (tmp_path / "cursors.sqlite").write_bytes(b"garbage" * 1000)
    async with journal(tmp_path) as log:
        assert await log.cursor("graphite") is None
        await log.save_cursor("graphite", log.end)
        assert await log.cursor("graphite") == log.end


async def test_a_journal_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        await log.append([block(1)])
    path = next(tmp_path.glob("*.journal"))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(OSError, match="expected a journal of version 1, got 2"):
        await Journal(tmp_path).open()
    assert path.exists()


WRITER = """
import asyncio, sys
from pathlib import Path
from test_journal import block
from monitor.journal import Journal

async def main(path, first):
    log = Journal(Path(path), segment_bytes=200_000)
    await log.open()
    async def client(number):
        while True:
            await log.append([block(number)])
            print(number, flush=True)
            number += 8
    await asyncio.gather(*(client(first + i) for i in range(8)))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_what_was_acknowledged_before_kill_9_is_there(tmp_path: Path) -> None:
    rng = random.Random(1)
    tests = Path(__file__).parent
    acknowledged: list[int] = []
    for turn in range(8):
        first = 1_000_000 * turn
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(first)],
            stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": f"{tests.parent}:{tests}"},
        )  # fmt: skip
        assert process.stdout
        acknowledged.append(int(process.stdout.readline()))
        until = time.monotonic() + rng.uniform(0.02, 0.3)
        while time.monotonic() < until:
            acknowledged.append(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines(keepends=True)
        acknowledged += [int(line) for line in rest if line.endswith("\n")]
        process.stdout.close()
        process.wait(10)
        async with journal(tmp_path) as log:
            times = await everything(log)
            assert log.stats.damaged == 0
        assert len(times) == len(set(times))
        assert set(acknowledged) <= set(times)
        assert len(times) <= len(acknowledged) + 8 * (turn + 1)  # at most what was on its way
        for client in range(8):
            mine = [at for at in times if at % 8 == client]
            assert mine == sorted(mine)
    assert len(acknowledged) > 100
