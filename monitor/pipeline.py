"""What every batch passes: checks, then rates, then the journal. Who sent it is answered when the journal has it."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from monitor.batch import Batch, Cursor, Records, Row, Source
from monitor.journal import Busy, Journal
from monitor.rates import Rates, Undo, wrong_text
from monitor.records import check

__all__ = ["Busy", "Pipeline", "PipelineStats"]

NUMBERS = {int, float, type(None)}
SLICE_VALUES = 5_000
SLICE_EFFORT = 8.0
"""How much work is done before the loop gets its turn: about 2 ms."""
YEAR_9999 = 253402300800.0
MAX_INTERVAL = 366 * 86400.0
MAX_META = 4096


class Primed(Protocol):
    """Knows what the journal remembers of sources."""

    @property
    def done(self) -> bool:
        """Whether all of it is known again."""

    async def ready(self, sources: Collection[Source]) -> None:
        """Return when the last reports of these sources are known again."""


@dataclass(slots=True)
class PipelineStats:
    batches: int = 0
    """Accepted, in whole or in part."""
    values: int = 0
    records: int = 0
    """Rows of records."""
    busy: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """By the first word of the reason."""


class Pipeline:
    """Takes batches from collectors and receivers."""

    def __init__(
        self, rates: Rates, journal: Journal, *, clock: Callable[[], float] = time.time, prime: Primed | None = None,
        max_names: int = 4096, max_text: int = 255, new_sources: int = 10_000, max_series: int = 5_000_000,
    ) -> None:  # fmt: skip
        """Set the bounds: names in a batch, characters of a name, new sources a minute, series known at a time."""
        self.rates = rates
        self.journal = journal
        self.clock = clock
        self.prime = prime
        self.max_names = max_names
        self.max_text = max_text
        self.new_sources = new_sources
        self.max_series = max_series
        self.stats = PipelineStats()
        self._minute = -math.inf
        self._new = 0
        self._open: deque[tuple[asyncio.Future[Cursor], Undo]] = deque()
        journal.on_failure.append(self._take_back)

    async def accept(self, batches: Sequence[Batch | Row]) -> list[str | None]:
        """Return, after the commit, for each batch None or why it (or, if it says so, a part of it) was refused.

        Busy: the journal cannot take it, and nothing of what it did not take is remembered, so that the same batches
        sent again are accepted as if for the first time; those that it had taken nevertheless are known as repeats.
        """
        reasons: list[str | None] = []
        waiting: list[asyncio.Future[Cursor]] = []
        try:
            while len(reasons) < len(batches):
                if reasons:
                    await asyncio.sleep(0)
                await self._slice(batches, reasons, waiting)
            for future in waiting:
                await self.journal.committed(future)
        except Busy:
            self.stats.busy += 1
            raise
        for batch, reason in zip(batches, reasons, strict=True):
            if reason is not None:
                self.stats.refused[reason.split(":")[0].split()[0]] += 1
            else:
                self.stats.batches += 1
                self.stats.values += len(batch.values)
        return reasons

    async def accept_records(self, records: Sequence[Records]) -> None:
        """Return when the journal has them. Busy: it has none of them, or it takes too long; send them again.

        ValueError where it could not keep one of them.
        """
        for one in records:
            check(one)
        try:
            await self.journal.append(records)
        except Busy:
            self.stats.busy += 1
            raise
        self.stats.records += sum(one.count for one in records)

    async def _slice(
        self, batches: Sequence[Batch | Row], reasons: list[str | None], waiting: list[asyncio.Future[Cursor]]
    ) -> None:
        """Deal with the next batches, as many as may be without holding the loop."""
        begin = end = len(reasons)
        values = 0
        while end < len(batches) and values < SLICE_VALUES:
            values += len(batches[end].values) + 5
            end += 1
        part = batches[begin:end]
        if self.prime is not None and not self.prime.done:
            await self.prime.ready({batch.source for batch in part})
        if (why := self.journal.busy()) is not None:
            raise Busy(why)
        new: set[Source] = set()
        problems = [self._problem(batch, new) for batch in part]
        good = [batch for batch, problem in zip(part, problems, strict=True) if problem is None]
        for batch in good:
            # The store counts microseconds: only so are rates and stored times exactly each other's.
            batch.time = round(batch.time, 6)
        undo: Undo = []
        known = len(self.rates)
        try:
            blocks, judged = self.rates.apply(good, undo, effort=SLICE_EFFORT)
            self._new += len(self.rates) - known
            future = self.journal.submit(blocks)
        except BaseException:
            Rates.take_back(undo)
            raise
        if not future.done():
            self._open.append((future, undo))
            future.add_done_callback(self._settle)
            waiting.append(future)
        verdicts = iter(judged)
        for problem in problems:
            if problem is not None:
                reasons.append(problem)
            else:
                try:
                    reasons.append(next(verdicts))
                except StopIteration:
                    break

    def _settle(self, _: asyncio.Future[Cursor]) -> None:
        while self._open and self._open[0][0].done():
            self._open.popleft()

    def _take_back(self) -> None:
        """Forget what was reported in batches that the journal will not have."""
        while self._open and not self._open[-1][0].done():
            Rates.take_back(self._open.pop()[1])

    def _problem(self, batch: Batch | Row, new: set[Source]) -> str | None:
        """Return why a batch cannot be taken at all."""
        if isinstance(batch, Batch) and not set(map(type, batch.values.values())) <= NUMBERS:
            problem = wrong_value(batch.values)
            if problem is not None:
                return problem
        moment, size = batch.time, len(batch.values)
        if size > self.max_names:
            return f"names: expected at most {self.max_names} in a batch, got {size}"
        if not size and not batch.meta:
            return "values: expected at least one"
        if not isinstance(moment, int | float) or isinstance(moment, bool) or not 0 <= moment < YEAR_9999:
            return f"time: expected seconds since 1970, got {str(moment)[:40]}"
        if batch.interval > MAX_INTERVAL:
            return f"interval: expected at most {MAX_INTERVAL:.0f} seconds, got {batch.interval}"
        if batch.meta and (problem := self._wrong_meta(batch)) is not None:
            return problem
        if batch.source in self.rates:
            return None
        return self._wrong_source(batch, new)

    def _wrong_source(self, batch: Batch | Row, new: set[Source]) -> str | None:
        host, collector, instance = batch.source
        problem = (
            wrong_text("a host", host, most=self.max_text)
            or wrong_text("a collector", collector, most=self.max_text)
            or wrong_text("an instance", instance, most=self.max_text, empty=True)
        )
        if problem is not None:
            return f"source: {problem}"
        if self.rates.stats.series + len(batch.values) > self.max_series:
            return f"sources: {self.max_series} series are known already, and there is no room for more"
        now = self.clock()
        if not 0 <= now - self._minute < 60:
            self._minute, self._new = now, 0
        if batch.source not in new and self._new + len(new) >= self.new_sources:
            return f"sources: more than {self.new_sources} new ones within a minute"
        new.add(batch.source)
        return None

    def _wrong_meta(self, batch: Batch | Row) -> str | None:
        if len(batch.meta) > self.max_names:
            return f"meta: expected at most {self.max_names} texts, got {len(batch.meta)}"
        for name, text in batch.meta.items():
            lines = text.replace("\n", " ").replace("\t", " ") if isinstance(text, str) else text
            problem = wrong_text("a name", name, most=self.max_text) or wrong_text(
                f"the text {name!r}", lines, most=MAX_META, empty=True
            )
            if problem is not None:
                return f"meta: {problem}"
        return None


def wrong_value(values: dict[str, float]) -> str | None:
    """Return why one of the values is no number; a number of another type than int and float is one too."""
    for name, value in values.items():
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
            return f"value: expected a number for {name[:80]!r}, got {type(value).__name__}"
    return None
