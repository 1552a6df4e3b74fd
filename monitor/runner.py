"""Runs collections: one at a time of each job, under its timeout, every error contained here and remembered."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.batch import Batch, Records
from monitor.collector import CollectError, Collector, Target
from monitor.pipeline import Busy

log = logging.getLogger("monitor.runner")

Accept = Callable[[Sequence[Batch]], Awaitable[list[str | None]]]
Keep = Callable[[Sequence[Records]], Awaitable[None]]
LONGEST_TIMEOUT = 20.0
LONGEST_REASON = 500


class JobKey(NamedTuple):
    """A collector's section on a host."""

    host: str
    collector: str
    section: str = ""


@dataclass(eq=False, slots=True)
class Job:
    """A collector instance, and what became of its collections. Times are epoch seconds, 0 is never."""

    target: Target
    collector: Collector
    up: bool | None = None
    reason: str = ""
    since: float = 0.0
    """When it last changed between up and down."""
    last_run: float = 0.0
    last_success: float = 0.0
    next_run: float = 0.0
    duration: float = 0.0
    runs: int = 0
    failures: int = 0
    skipped: int = 0
    refused: int = 0
    in_a_row: int = 0
    """Failures without a success between them."""
    running: bool = False
    meta: dict[str, dict[str, str]] = field(default_factory=dict)
    """The text facts that the last good collection told, by instance."""
    key: JobKey = field(init=False)

    def __post_init__(self) -> None:
        self.key = JobKey(self.target.host, self.collector.path, self.collector.section)

    @property
    def interval(self) -> float:
        return float(self.collector.interval)

    @property
    def timeout(self) -> float:
        """Always below the interval, so that a hanging service costs no more than its own turn."""
        wanted = self.collector.timeout
        return min(float(wanted) if wanted else min(self.interval / 2, LONGEST_TIMEOUT), self.interval * 0.95)


class Runner:
    """Knows the state of all jobs by key; `accept` takes the batches (the pipeline), `keep` the records."""

    def __init__(
        self, accept: Accept, *, keep: Keep | None = None, concurrency: int = 500,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.jobs: dict[JobKey, Job] = {}
        self.recording: tuple[str, ...] = ()
        """Beginnings of the tables whose records the handlers want."""
        self._keep = keep
        self._accept = accept
        self._turns = asyncio.Semaphore(concurrency)
        self._clock = clock

    async def run(self, job: Job, stamp: float | None = None) -> bool:
        """Collect once and hand the batches on; return whether that worked. `stamp` is the batches' time, else now."""
        if job.running:
            job.skipped += 1
            return False
        job.running = True
        try:
            return await self._run(job, stamp)
        finally:
            job.running = False

    async def _run(self, job: Job, stamp: float | None) -> bool:
        try:
            try:
                async with self._turns:
                    batches = await self._collect(job, stamp)
            finally:
                if self._keep is not None and (records := job.collector.recorded()):
                    await self._keep(records)
            refused = [reason for reason in await self._accept(batches) if reason is not None]
            job.refused += len(refused)
            if len(refused) == len(batches):
                raise CollectError(f"refused: {refused[0]}")
        except (Exception, asyncio.CancelledError, SystemExit) as error:
            # The one place where a collector's error ends: whatever it is, it becomes the job's state. Only a
            # cancellation that was asked for passes; one that a collector's library made is an error like others.
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            self._failed(job, error)
            return False
        job.meta = {batch.source.instance: batch.meta for batch in batches if batch.meta}
        self._succeeded(job)
        return True

    async def _collect(self, job: Job, stamp: float | None) -> list[Batch]:
        job.last_run = began = self._clock()
        job.runs += 1
        job.collector.recording = self.recording
        clock = time.perf_counter()
        try:
            async with asyncio.timeout(job.timeout):
                batches = await job.collector.run(began if stamp is None else stamp)
        finally:
            job.duration = time.perf_counter() - clock
        if not any(batch.values for batch in batches):
            raise CollectError("published nothing")
        return batches

    def _failed(self, job: Job, error: BaseException) -> None:
        reason = describe(error, job.timeout)
        job.failures += 1
        job.in_a_row += 1
        if job.up is not False:
            job.up, job.since = False, self._clock()
            # A service that cannot be reached is no mistake of the collector: its text says enough.
            unexpected = not isinstance(error, CollectError | OSError | Busy)
            log.warning(
                "collect.failed", extra={"fields": _fields(job, reason=reason)}, exc_info=error if unexpected else None
            )
        job.reason = reason

    def _succeeded(self, job: Job) -> None:
        job.last_success = now = self._clock()
        if job.up is False:
            log.info("collect.recovered", extra={"fields": _fields(job, after=round(now - job.since))})
        if job.up is not True:
            job.up, job.since = True, now
        job.reason, job.in_a_row = "", 0


def describe(error: BaseException, timeout: float) -> str:
    """Return what an operator reads of an error."""
    if isinstance(error, TimeoutError) and not error.args:
        text = f"no answer within {timeout:g} s"
    elif isinstance(error, OSError) and error.errno:
        # asyncio has words of its own for some; a host name that is not known has a negative number.
        words = (os.strerror(error.errno) if error.errno > 0 else str(error.strerror)).lower()
        text = f"{error.filename}: {words}" if error.filename else words
    elif isinstance(error, CollectError | OSError | Busy):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:LONGEST_REASON] or type(error).__name__


def _fields(job: Job, **more: object) -> dict[str, object]:
    host, collector, section = job.key
    return {"host": host, "collector": collector, **({"section": section} if section else {}), **more}
