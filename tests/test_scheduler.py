from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import pytest
from virtual import Time

from monitor.collector import Collector, Http, Target
from monitor.runner import Job, JobKey, Runner
from monitor.scheduler import Scheduler

START = 1_795_234_980.25


class Record:
    """Stands in for the runner where only the times of the runs matter."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.runs: list[tuple[float, JobKey]] = []
        self.stamps: list[float | None] = []

    async def run(self, job: Job, stamp: float | None = None) -> bool:
        job.last_run = self.time()
        self.runs.append((self.time(), job.key))
        self.stamps.append(stamp)
        return True

    def at(self, key: JobKey) -> list[float]:
        return [at for at, ran in self.runs if ran == key]


class Scripted(Collector):
    """Works, fails or takes long, as a test says."""

    path = "test"
    takes = 0.0
    fails = False
    sleep = None

    async def collect(self) -> None:
        if self.takes:
            assert self.sleep is not None
            await self.sleep(self.takes)
        if self.fails:
            raise ConnectionRefusedError(111, "Connection refused")
        self.publish("value", 1)


def job(host: str = "web1", section: str = "", *, local: bool = False, http: Http | None = None, **options) -> Job:
    target = Target(host, "192.0.2.1", host, local)
    return Job(target, Scripted(target, http, section=section, **options))  # type: ignore[arg-type]


async def accept(batches):
    return [None] * len(batches)


async def runs(jobs: list[Job], seconds: float, start: float = START) -> Record:
    time = Time(start)
    record = Record(time)
    scheduler = Scheduler(record, clock=time, sleep=time.sleep)
    await started(scheduler, jobs)
    await time.pass_(seconds)
    await scheduler.stop(0)
    return record


async def started(scheduler: Scheduler, jobs: list[Job]) -> None:
    """Start, and let no time pass before every job has its place."""
    scheduler.start(jobs)
    while not scheduler.placed:
        await asyncio.sleep(0)


async def test_3000_hosts_with_4_jobs_each_are_spread_evenly_and_a_restart_moves_none() -> None:
    def fleet() -> list[Job]:
        return [job(f"host{i}", f"part{j}") for i in range(3000) for j in range(4)]

    first = await runs(fleet(), 120)
    times = Counter(key for _, key in first.runs)
    assert len(times) == 12_000
    assert set(times.values()) == {2}
    seconds = Counter(int(at) for at, _ in first.runs)
    assert max(seconds.values()) <= 1.5 * 12_000 / 60
    assert len(seconds) >= 120
    again = await runs(fleet(), 60, START + 7654.321)
    place = {key: at % 60 for at, key in first.runs}
    moved = [key for at, key in again.runs if min(d := abs(at % 60 - place[key]), 60 - d) > 0.02]
    assert not moved


async def test_a_job_that_still_runs_skips_its_tick_counts_it_and_keeps_its_offset() -> None:
    time = Time(START)
    one = job(timeout=55.0)
    one.collector.sleep = time.sleep  # type: ignore[attr-defined]
    runner = Runner(accept, clock=time)
    scheduler = Scheduler(runner, clock=time, sleep=time.sleep)
    scheduler.start([one])
    await time.pass_(61)
    place = one.last_run % 60
    one.collector.takes = 190.0  # type: ignore[attr-defined]
    await time.pass_(60)
    started = one.last_run
    await time.pass_(140)
    assert (one.last_run, one.skipped, one.running) == (started, 2, True)
    one.collector.takes = 0.0  # type: ignore[attr-defined]
    await time.pass_(100)
    assert (one.skipped, one.running) == (3, False)
    assert one.last_run == pytest.approx(started + 240, abs=0.02)
    assert one.last_run % 60 == pytest.approx(place, abs=0.02)
    assert one.runs == 3
    await scheduler.stop(0)


async def test_max_delay_keeps_all_jobs_within_it() -> None:
    record = await runs([job(f"host{i}", max_delay=5.0) for i in range(200)], 120)
    places = {at % 60 for at, _ in record.runs}
    assert max(places) < 5.01
    assert max(places) - min(places) > 4


@pytest.mark.parametrize(("interval", "most"), [(60.0, 6.0), (600.0, 30.0)])
async def test_an_aligned_job_runs_just_after_the_boundary_and_stamps_it(interval: float, most: float) -> None:
    jobs = [job(f"host{i}", align=True, interval=interval) for i in range(200)]
    record = await runs(jobs, 2 * interval)
    assert len(record.runs) == 400
    for (at, _), stamp in zip(record.runs, record.stamps, strict=True):
        assert stamp is not None
        assert stamp % interval == 0
        assert 0 <= at - stamp <= most + 0.01
    assert max(at % interval for at, _ in record.runs) > most * 0.9


async def test_the_interval_doubles_after_5_failures_in_a_row_up_to_10_minutes_and_returns_with_a_success() -> None:
    time = Time(START)
    one = job()
    one.collector.fails = True  # type: ignore[attr-defined]
    runner = Runner(accept, clock=time)
    scheduler = Scheduler(runner, clock=time, sleep=time.sleep)
    scheduler.start([one])
    began: list[float] = []
    for _ in range(3 * 3600):
        await time.pass_(1)
        if one.last_run and (not began or began[-1] != one.last_run):
            began.append(one.last_run)
    gaps = [round(after - before) for before, after in itertools.pairwise(began)]
    assert gaps[:15] == [60] * 4 + [120] * 5 + [240] * 5 + [480]
    assert set(gaps[15:]) == {480, 600}
    one.collector.fails = False  # type: ignore[attr-defined]
    await time.pass_(600)
    assert one.up
    success = one.last_run
    await time.pass_(60)
    assert one.last_run == pytest.approx(success + 60, abs=0.02) or one.last_run == success
    before = one.runs
    await time.pass_(180)
    assert one.runs == before + 3
    await scheduler.stop(0)


async def test_the_own_hosts_jobs_run_at_once_and_then_at_their_place() -> None:
    jobs = [job("own", f"part{i}", local=True) for i in range(20)] + [job(f"host{i}") for i in range(20)]
    record = await runs(jobs, 180)
    assert len([key for at, key in record.runs if key.host == "own" and at < START + 1.1]) == 20
    for each in jobs:
        times = record.at(each.key)
        gaps = [after - before for before, after in itertools.pairwise(times)]
        # The first rate covers at least a quarter of the interval; then the rhythm is regular.
        assert all(gap >= 15 for gap in gaps)
        assert all(gap == pytest.approx(60, abs=0.02) for gap in gaps[1:])


async def test_an_aligned_job_of_the_own_host_waits_for_its_boundary() -> None:
    """At once it would repeat the stamp that was collected before a restart."""
    boundary = START // 60 * 60
    record = await runs([job("own", local=True, align=True)], 120, boundary + 30)
    assert record.stamps == [boundary + 60, boundary + 120]


@pytest.mark.parametrize("by", [-3600.0, -7.0, 3600.0, 86_400.0 * 365])
async def test_a_clock_that_is_set_neither_storms_nor_stalls(by: float) -> None:
    time = Time(START)
    record = Record(time)
    jobs = [job(f"host{i}") for i in range(600)]
    scheduler = Scheduler(record, clock=time, sleep=time.sleep)
    scheduler.start(jobs)
    await time.pass_(90)
    record.runs.clear()
    time.set(time() + by)
    set_at = time()
    await time.pass_(125)
    seconds = Counter(int(at - set_at) for at, _ in record.runs)
    assert max(seconds.values()) <= 30
    times = Counter(key for _, key in record.runs)
    assert len(times) == 600
    assert set(times.values()) <= {2, 3}
    await scheduler.stop(0)


async def test_small_steps_of_the_clock_lose_and_repeat_no_collection() -> None:
    time = Time(START)
    record = Record(time)
    scheduler = Scheduler(record, clock=time, sleep=time.sleep)
    scheduler.start([job(f"host{i}") for i in range(100)])
    for _ in range(10):
        await time.pass_(61)
        time.set(time() - 2.0)
        await time.pass_(61)
        time.set(time() + 2.0)
    times = Counter(key for _, key in record.runs)
    assert set(times.values()) <= {20, 21}
    await scheduler.stop(0)


async def test_new_jobs_leave_the_others_in_place() -> None:
    time = Time(START)
    record = Record(time)
    kept, gone, new = job("kept", local=True), job("gone"), job("new")
    scheduler = Scheduler(record, clock=time, sleep=time.sleep)
    scheduler.start([kept, gone])
    await time.pass_(90)
    next_run, before = kept.next_run, len(record.at(gone.key))
    scheduler.replace([kept, new])
    assert kept.next_run == next_run
    await time.pass_(120)
    assert len(record.at(gone.key)) == before
    assert len(record.at(new.key)) == 2
    gaps = [after - before for before, after in zip(record.at(kept.key)[1:], record.at(kept.key)[2:], strict=False)]
    assert gaps == pytest.approx([60] * len(gaps), abs=0.02)
    await scheduler.stop(0)


async def test_stop_lets_what_runs_finish_and_cancels_what_does_not() -> None:
    time = Time(START)
    quick, endless = job("quick", local=True), job("endless", local=True)
    quick.collector.takes, endless.collector.takes = 2.0, 1e9  # type: ignore[attr-defined]
    quick.collector.sleep = endless.collector.sleep = time.sleep  # type: ignore[attr-defined]
    scheduler = Scheduler(Runner(accept, clock=time), clock=time, sleep=time.sleep)
    scheduler.start([quick, endless])
    await time.pass_(1.5)
    assert quick.running
    assert endless.running
    await time.pass_(2)
    await scheduler.stop(0.05)
    assert (quick.up, quick.running) == (True, False)
    assert (endless.up, endless.running) == (None, False)


async def test_12000_idle_jobs_wake_the_loop_only_when_one_is_due() -> None:
    """The timers of the loop count milliseconds: sleeping less would spin."""
    time = Time(START)
    sleeps: list[float] = []

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        await time.sleep(seconds)

    scheduler = Scheduler(Record(time), clock=time, sleep=sleep)
    await started(scheduler, [job(f"host{i}", interval=3600.0) for i in range(12_000)])
    await time.pass_(30)
    assert min(sleeps) >= 0.005
    assert len(sleeps) <= 30 * 12_000 / 3600 * 1.5 + 30
    await scheduler.stop(0)


async def test_many_jobs_wake_the_loop_at_most_20_times_a_second_and_none_runs_late() -> None:
    time = Time(START)
    record = Record(time)
    wakes: list[float] = []

    async def sleep(seconds: float) -> None:
        await time.sleep(seconds)
        wakes.append(time())

    scheduler = Scheduler(record, clock=time, sleep=sleep)
    jobs = [job(f"host{i}", interval=10.0) for i in range(6000)]
    await started(scheduler, jobs)
    due = {one.key: one.next_run for one in jobs}
    await time.pass_(9.9)
    assert len(wakes) <= 9.9 * 20 * 1.1
    assert len(record.runs) > 5800
    # The clock of the loop counts milliseconds, and two grids may meet within its shortest sleep.
    assert max(at - due[key] for at, key in record.runs) <= 0.006
    assert all(at >= due[key] for at, key in record.runs)
    await scheduler.stop(0)


async def test_a_reload_while_the_jobs_are_placed_anew_after_a_clock_was_set_loses_none() -> None:
    time = Time(START)
    record = Record(time)
    jobs = [job(f"host{i}") for i in range(2000)]
    scheduler = Scheduler(record, clock=time, sleep=time.sleep)
    await started(scheduler, jobs)
    await time.pass_(90)
    time.set(time() + 3600)
    record.runs.clear()

    async def reload() -> None:
        while all(one.next_run for one in jobs):
            await asyncio.sleep(0)
        scheduler.replace(jobs)

    reloading = asyncio.create_task(reload())
    await time.pass_(125)
    await reloading
    assert len({key for _, key in record.runs}) == 2000
    await scheduler.stop(0)


async def test_a_scheduler_that_dies_says_so() -> None:
    died = asyncio.Event()

    async def broken(seconds: float) -> None:
        raise RuntimeError("no sleep")

    scheduler = Scheduler(Record(Time(START)), clock=Time(START), sleep=broken, on_death=died.set)
    scheduler.start([job("host")])
    await asyncio.wait_for(died.wait(), 5)
    await scheduler.stop(0)
