from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from monitor.batch import Batch
from monitor.collector import CollectError, Collector, Gauge, Target
from monitor.pipeline import Busy
from monitor.runner import Job, JobKey, Runner


class Scripted(Collector):
    path = "scripted"
    value = Gauge("things", "a value")

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.error: BaseException | None = None
        self.silent = False
        self.waits: asyncio.Event | None = None
        self.version = "1.0"

    async def collect(self) -> None:
        if self.waits is not None:
            await self.waits.wait()
        if self.silent:
            return
        self.meta("version", self.version)
        self.publish(self.value, 42)
        if self.error is not None:
            raise self.error
        self.instance("part")
        self.publish(self.value, 43)


class Pipeline:
    """Takes batches, or refuses them as a test says."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.verdicts: list[str | None] = []
        self.error: Exception | None = None

    async def accept(self, batches: Sequence[Batch]) -> list[str | None]:
        if self.error is not None:
            raise self.error
        self.batches += batches
        return self.verdicts or [None] * len(batches)


class Now:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def runner(pipeline: Pipeline, now: Now) -> Runner:
    return Runner(pipeline.accept, clock=now)


def job(**options) -> Job:
    target = Target("192.0.2.1", "192.0.2.1", "web1")
    return Job(target, Scripted(target, None, **options))


async def test_a_good_collection_is_handed_on_and_remembered(runner: Runner, pipeline: Pipeline, now: Now) -> None:
    one = job()
    assert one.up is None
    assert await runner.run(one)
    assert [batch.source for batch in pipeline.batches] == [
        ("192.0.2.1", "scripted", ""),
        ("192.0.2.1", "scripted", "part"),
    ]
    assert {batch.time for batch in pipeline.batches} == {1000.0}
    assert (one.up, one.reason, one.since, one.last_run, one.last_success) == (True, "", 1000.0, 1000.0, 1000.0)
    assert (one.runs, one.failures, one.skipped, one.in_a_row) == (1, 0, 0, 0)
    assert one.duration > 0
    assert one.meta == {"": {"version": "1.0"}}
    one.collector.version = "2.0"
    await runner.run(one)
    assert one.meta == {"": {"version": "2.0"}}


async def test_a_stamp_is_the_time_of_the_batches(runner: Runner, pipeline: Pipeline) -> None:
    await runner.run(job(), 960.0)
    assert {batch.time for batch in pipeline.batches} == {960.0}


ERRORS = [
    (CollectError("status 404 instead of 200"), "status 404 instead of 200"),
    (ValueError("not a page"), "ValueError: not a page"),
    (KeyError("reqs"), "KeyError: 'reqs'"),
    (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
    (FileNotFoundError(2, "No such file or directory", "/proc/stat"), "/proc/stat: no such file or directory"),
    (ZeroDivisionError(), "ZeroDivisionError:"),
    (SystemExit(2), "SystemExit: 2"),
    (asyncio.CancelledError("by a library"), "CancelledError: by a library"),
    (CollectError("x" * 10_000), "x" * 500),
    (CollectError("two\n  lines"), "two lines"),
]


@pytest.mark.parametrize(("error", "reason"), ERRORS, ids=[type(error).__name__ for error, _ in ERRORS])
async def test_every_exception_becomes_a_reason_and_nothing_is_stored(
    error: BaseException, reason: str, runner: Runner, pipeline: Pipeline, now: Now
) -> None:
    one = job()
    one.collector.error = error
    assert not await runner.run(one)
    assert (one.up, one.reason, one.failures, one.in_a_row) == (False, reason, 1, 1)
    assert not pipeline.batches
    assert not one.running
    assert one.meta == {}


async def test_a_failure_is_logged_once_when_it_begins_and_once_when_it_ends(
    runner: Runner, now: Now, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "monitor")
    one = job()
    await runner.run(one)
    assert not caplog.records
    one.collector.error = CollectError("no answer")
    for _ in range(3):
        await runner.run(one)
    one.collector.error = CollectError("another reason")
    await runner.run(one)
    assert one.reason == "another reason"
    now.now += 180
    one.collector.error = None
    await runner.run(one)
    await runner.run(one)
    assert [(record.message, record.levelname) for record in caplog.records] == [
        ("collect.failed", "WARNING"),
        ("collect.recovered", "INFO"),
    ]
    failed, recovered = (record.fields for record in caplog.records)
    assert failed == {"host": "192.0.2.1", "collector": "scripted", "reason": "no answer"}
    assert recovered == {"host": "192.0.2.1", "collector": "scripted", "after": 180}
    assert (one.up, one.reason, one.since, one.failures, one.in_a_row) == (True, "", 1180.0, 4, 0)


@pytest.mark.parametrize(
    ("error", "traceback"),
    [
        (CollectError("known"), False),
        (ConnectionRefusedError(111, "Connection refused"), False),
        (KeyError("bug"), True),
    ],
)
async def test_only_a_mistake_of_a_collector_is_logged_with_a_traceback(
    error: Exception, traceback: bool, runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    one = job()
    one.collector.error = error
    await runner.run(one)
    assert (caplog.records[0].exc_info is not None) is traceback


async def test_a_collection_is_given_up_after_its_timeout(runner: Runner, pipeline: Pipeline) -> None:
    one = job(timeout=0.02)
    one.collector.waits = asyncio.Event()
    assert not await runner.run(one)
    assert (one.up, one.reason) == (False, "no answer within 0.02 s")
    assert not pipeline.batches


async def test_what_the_journal_takes_counts_neither_for_the_timeout_nor_as_the_collections_duration() -> None:
    go = asyncio.Event()
    asked = asyncio.Event()

    async def accept(batches: Sequence[Batch]) -> list[str | None]:
        asked.set()
        await go.wait()
        return [None] * len(batches)

    one, other = job(timeout=0.02), job(section="other")
    runner = Runner(accept, concurrency=1)
    task = asyncio.create_task(runner.run(one))
    await asyncio.wait_for(asked.wait(), 5)
    before = one.duration
    assert 0 < before < 0.02
    # Nor does it hold a place among the collections that run at a time; the job itself is not done.
    second = asyncio.create_task(runner.run(other))
    await asyncio.sleep(0.05)
    assert (one.running, other.runs) == (True, 1)
    go.set()
    assert await task
    assert await second
    assert (one.duration, one.up) == (before, True)


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({}, 20),
        ({"interval": 10.0}, 5),
        ({"interval": 600.0}, 20),
        ({"interval": 60.0, "timeout": 50.0}, 50),
        ({"interval": 10.0, "timeout": 50.0}, 9.5),
    ],
)
def test_the_timeout_is_always_below_the_interval(options: dict[str, float], seconds: float) -> None:
    assert job(**options).timeout == seconds


async def test_a_job_that_runs_is_skipped_and_counted(runner: Runner) -> None:
    one = job()
    one.collector.waits = asyncio.Event()
    first = asyncio.create_task(runner.run(one))
    await asyncio.sleep(0)
    assert not await runner.run(one)
    assert (one.skipped, one.runs, one.running) == (1, 1, True)
    one.collector.waits.set()
    assert await first
    assert (one.skipped, one.running, one.up) == (1, False, True)


async def test_no_more_collections_run_at_a_time_than_allowed(pipeline: Pipeline) -> None:
    runner = Runner(pipeline.accept, concurrency=2)
    go = asyncio.Event()
    jobs = [job(section=str(i)) for i in range(5)]
    for one in jobs:
        one.collector.waits = go
    tasks = [asyncio.create_task(runner.run(one)) for one in jobs]
    for _ in range(5):
        await asyncio.sleep(0)
    assert sum(one.runs for one in jobs) == 2
    go.set()
    assert all(await asyncio.gather(*tasks))


async def test_a_collector_that_publishes_nothing_has_failed(runner: Runner, pipeline: Pipeline) -> None:
    one = job()
    one.collector.silent = True
    assert not await runner.run(one)
    assert (one.up, one.reason) == (False, "published nothing")


async def test_what_the_pipeline_refuses_is_counted(runner: Runner, pipeline: Pipeline) -> None:
    one = job()
    pipeline.verdicts = [None, "names: too many"]
    assert await runner.run(one)
    assert (one.refused, one.up, one.reason) == (1, True, "")
    pipeline.verdicts = ["late: a", "late: b"]
    assert not await runner.run(one)
    assert (one.refused, one.up, one.reason) == (3, False, "refused: late: a")


async def test_a_busy_journal_is_the_reason_and_no_mistake_of_the_collector(
    runner: Runner, pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    one = job()
    pipeline.error = Busy("the disk is full")
    assert not await runner.run(one)
    assert (one.up, one.reason) == (False, "the disk is full")
    assert caplog.records[0].exc_info is None


async def test_a_cancelled_collection_leaves_no_trace_but_its_end(runner: Runner) -> None:
    one = job()
    one.collector.waits = asyncio.Event()
    task = asyncio.create_task(runner.run(one))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (one.up, one.running, one.failures) == (None, False, 0)


def test_a_job_is_known_by_host_path_and_section() -> None:
    assert job(section="second").key == JobKey("192.0.2.1", "scripted", "second")
