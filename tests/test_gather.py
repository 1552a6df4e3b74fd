from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from monitor.batch import Batch, Kind, Source
from monitor.collector import Collector, Target
from monitor.gather import Gather
from monitor.journal import Journal
from monitor.pipeline import Busy, Pipeline
from monitor.rates import Rates
from monitor.runner import Job, Runner
from monitor.scheduler import Scheduler


class Taker:
    """Stands in for the pipeline: remembers what came together, and answers as a test says."""

    def __init__(self) -> None:
        self.turns: list[list[str]] = []
        self.refused: set[str] = set()
        self.broken: dict[str, Exception] = {}
        self.opened = asyncio.Event()
        self.opened.set()

    async def accept(self, batches: Sequence[Batch]) -> list[str | None]:
        hosts = [batch.source.host for batch in batches]
        self.turns.append(hosts)
        await self.opened.wait()
        for host in hosts:
            if host in self.broken:
                raise self.broken[host]
        return [f"late: {host}" if host in self.refused else None for host in hosts]


def batches(*hosts: str) -> list[Batch]:
    return [Batch(Source(host, "test", ""), 1000.0, {"v": 1.0}, {"v": Kind.GAUGE}, {}, 60.0, {}) for host in hosts]


@pytest.fixture
def taker() -> Taker:
    return Taker()


@pytest.fixture
def gather(taker: Taker) -> Gather:
    return Gather(taker.accept, window=0.02)


async def test_what_comes_within_the_window_is_handed_on_together_and_each_gets_its_own_answer(
    taker: Taker, gather: Gather
) -> None:
    taker.refused = {"b", "d"}
    answers = await asyncio.gather(*(gather.accept(batches(*hosts)) for hosts in ("ab", "c", "", "d")))
    assert taker.turns == [["a", "b", "c", "d"]]
    assert answers == [[None, "late: b"], [None], [], ["late: d"]]
    assert await gather.accept(batches("e")) == [None]
    assert taker.turns[1:] == [["e"]]


async def test_nothing_waits_longer_than_the_window(taker: Taker) -> None:
    gather = Gather(taker.accept)
    assert gather.window <= 0.1
    began = time.monotonic()
    await gather.accept(batches("a"))
    assert time.monotonic() - began < 1


async def test_a_slow_commit_does_not_hold_up_the_next_window(taker: Taker, gather: Gather) -> None:
    taker.opened.clear()
    first = asyncio.create_task(gather.accept(batches("a")))
    while not taker.turns:
        await asyncio.sleep(0.001)
    second = asyncio.create_task(gather.accept(batches("b")))
    while len(taker.turns) < 2:
        await asyncio.sleep(0.001)
    taker.opened.set()
    assert await asyncio.gather(first, second) == [[None], [None]]


async def test_a_busy_journal_is_told_to_each_who_waits_and_asked_once(taker: Taker, gather: Gather) -> None:
    taker.broken["a"] = Busy("the disk is full")
    told = await asyncio.gather(*(gather.accept(batches(host)) for host in "abc"), return_exceptions=True)
    assert [(type(error), str(error)) for error in told] == [(Busy, "the disk is full")] * 3
    assert taker.turns == [["a", "b", "c"]]


async def test_what_only_one_batch_breaks_fails_for_its_collector_alone(taker: Taker, gather: Gather) -> None:
    taker.broken["b"] = KeyError("kinds")
    told = await asyncio.gather(*(gather.accept(batches(host)) for host in "abc"), return_exceptions=True)
    assert told == [[None], taker.broken["b"], [None]]


async def test_who_is_cancelled_takes_nothing_from_the_others(taker: Taker, gather: Gather) -> None:
    gone, stays = (asyncio.create_task(gather.accept(batches(host))) for host in "ab")
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == [None]
    assert gone.cancelled()
    assert taker.turns == [["a", "b"]]


async def test_close_hands_on_what_waits_at_once(taker: Taker) -> None:
    gather = Gather(taker.accept, window=60)
    waiting = asyncio.create_task(gather.accept(batches("a")))
    await asyncio.sleep(0)
    await gather.close(5)
    assert taker.turns == [["a"]]
    assert await waiting == [None]
    await gather.close(5)


async def test_close_gives_up_what_hangs_and_leaves_nobody_waiting(taker: Taker, gather: Gather) -> None:
    taker.opened.clear()
    waiting = asyncio.create_task(gather.accept(batches("a")))
    await asyncio.sleep(0)
    await gather.close(0.02)
    with pytest.raises(asyncio.CancelledError):
        await waiting


class Constant(Collector):
    path = "constant"

    async def collect(self) -> None:
        self.publish("value", 42)


async def test_what_was_collected_before_the_end_lies_in_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.open()
    begin = journal.end
    gather = Gather(Pipeline(Rates(), journal).accept, window=60)
    target = Target("own", "192.0.2.1", "own", True)
    job = Job(target, Constant(target, None))  # type: ignore[arg-type]
    scheduler = Scheduler(Runner(gather.accept))
    scheduler.start([job])
    while not job.duration:
        await asyncio.sleep(0.01)
    await scheduler.stop(0.01)
    await gather.close(5)
    read = await journal.read(begin)
    await journal.close()
    assert [block.sources[0].host for _, blocks, _ in read for block in blocks] == ["own"]
