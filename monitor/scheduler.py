"""When each job runs: at a place in its interval that a hash gives it, the same after every restart.

Without jitter 3,000 hosts that are due at the same instant delay each other by all their work together; random
jitter would move every series at each restart. A hash spreads them evenly and stays.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Protocol

from monitor.runner import Job, JobKey
from monitor.task import begin

PENALTY_AFTER = 5
LONGEST_INTERVAL = 600.0
ALIGNED_SHARE, ALIGNED_MOST = 0.1, 30.0
FIRST_SPREAD = 1.0
"""The own host's jobs run at the start, spread over this many seconds."""
FIRST_GAP = 0.25
"""Share of the interval that passes at least between that first run and the next: a rate over less is noise."""
LONGEST_SLEEP = 1.0
"""Look at the clock and for new jobs at least this often: a clock that was set is noticed."""
SHORTEST_SLEEP = 0.005
"""The loop's timers count whole milliseconds: shorter sleeps would spin (measured: 76 % of a core)."""
GRID = 0.05
"""Places are multiples of so many seconds: jobs that lie closer to each other start together, none of them late.
Waking up costs as much CPU as a poll itself (measured at 200 polls a second: 302 µs a poll with 0.02, 244 with
this)."""
SLICE = 500
"""Jobs that are placed at a time: about 2 ms."""
JUMP = 5.0
"""A clock that is off by more seconds than this after a sleep was set (or the machine slept)."""


class Runs(Protocol):
    """What the scheduler needs of the runner."""

    async def run(self, job: Job, stamp: float | None = None) -> bool: ...


def share(key: JobKey) -> float:
    """Return the job's place in its interval, 0 <= share < 1, from its name alone."""
    digest = blake2b("\0".join(key).encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def offset(job: Job) -> float:
    """Return the seconds after an interval's boundary at which the job runs."""
    interval, collector = job.interval, job.collector
    if collector.align:
        most = min(interval * ALIGNED_SHARE, ALIGNED_MOST)
    else:
        most = interval if collector.max_delay is None else min(interval, float(collector.max_delay))
    return share(job.key) * most // GRID * GRID


def stretched(job: Job) -> float:
    """Return the interval in force: doubled after every 5 failures in a row, up to 10 minutes."""
    doublings = job.in_a_row // PENALTY_AFTER
    if not doublings:
        return job.interval
    return max(job.interval, min(job.interval * 2.0 ** min(doublings, 20), LONGEST_INTERVAL))


def due(job: Job, after: float) -> float:
    """Return the first time after `after` at which the job is to run: boundary of the interval + offset."""
    interval, at = job.interval, offset(job)
    boundary = (after - at) // interval * interval
    while boundary + at <= after:
        # Rounding may have found the boundary before; what is due at `after` itself was started already.
        boundary += interval
    extra = stretched(job) - interval
    if extra > 0:
        boundary += extra // interval * interval
    return float(boundary + at)


class Scheduler:
    """Starts jobs when they are due. A job that still runs skips its tick, which its runner counts."""

    def __init__(
        self,
        runner: Runs,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_death` is called when it ends without having been stopped: nothing is collected any more."""
        self.placed = False
        """Whether every job that there was at the start has its time."""
        self._runner = runner
        self._clock = clock
        self._sleep = sleep
        self._on_death = on_death
        self._jobs: dict[JobKey, Job] = {}
        self._heap: list[tuple[float, int, Job]] = []
        self._count = itertools.count()
        self._running: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._placing: asyncio.Task[None] | None = None

    def start(self, jobs: Iterable[Job]) -> None:
        self.replace(jobs)
        self._task = begin(self._loop(), "scheduler")
        self._task.add_done_callback(self._on_end)

    def replace(self, jobs: Iterable[Job]) -> None:
        """Have these jobs from now on; a `Job` that was there before keeps its schedule and what runs of it."""
        kept = self._jobs
        self._jobs = {job.key: job for job in jobs}
        self._place_all([job for key, job in self._jobs.items() if kept.get(key) is not job or not job.next_run])

    async def stop(self, seconds: float) -> None:
        """Start nothing more; give what runs this long, then cancel it."""
        own = {task for task in (self._task, self._placing) if task is not None}
        for task in own:
            task.cancel()
        if own:
            await asyncio.wait(own)
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self._on_death()

    def _place_all(self, jobs: Sequence[Job]) -> None:
        if self._placing is not None:
            self._placing.cancel()
        self._placing = begin(self._place_in_slices(jobs), "scheduler.place")

    async def _place_in_slices(self, jobs: Sequence[Job]) -> None:
        for start in range(0, len(jobs), SLICE):
            now = self._clock()
            for job in jobs[start : start + SLICE]:
                # An aligned job would repeat the stamp of the boundary that was collected before a restart.
                at_once = job.target.local and not job.last_run and not job.collector.align
                self._place(job, now + FIRST_SPREAD * share(job.key) if at_once else due(job, now))
            await asyncio.sleep(0)
        self.placed = True

    def _place(self, job: Job, at: float) -> None:
        """Have the job run at `at` and not at the time that it was placed at before."""
        job.next_run = at
        heapq.heappush(self._heap, (at, next(self._count), job))

    async def _loop(self) -> None:
        expected = self._clock()
        while True:
            if self._placing is not None and not self._placing.done():
                await asyncio.wait({self._placing})
            now = self._clock()
            if abs(now - expected) > JUMP:
                # What was placed by the old clock would all be due at once, or only when its time comes again.
                self._heap.clear()
                for job in self._jobs.values():
                    job.next_run = 0.0
                self._place_all(list(self._jobs.values()))
                expected = now
                continue
            while self._heap and self._heap[0][0] <= now:
                at, _, job = heapq.heappop(self._heap)
                if self._jobs.get(job.key) is job and job.next_run == at:
                    self._begin(job, now)
            wait = min(self._heap[0][0] - now, LONGEST_SLEEP) if self._heap else LONGEST_SLEEP
            wait = max(wait, SHORTEST_SLEEP)
            await self._sleep(wait)
            expected = now + wait

    def _begin(self, job: Job, now: float) -> None:
        first = not job.last_run
        stamp = (now - offset(job)) // job.interval * job.interval if job.collector.align else None
        task = asyncio.create_task(self._run(job, stamp))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        self._place(job, due(job, now + FIRST_GAP * job.interval if first and job.target.local else now))

    async def _run(self, job: Job, stamp: float | None) -> None:
        before = stretched(job)
        await self._runner.run(job, stamp)
        if stretched(job) != before:
            # Doubled after another 5 failures, or its own again at the first success.
            self._place(job, due(job, self._clock()))
