"""Series over time for pages, graphs and the API: from the rows of the store to even buckets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from monitor.consolidate import CF, Cells
from monitor.handler import Floats, Points, Series, Source, SourceInfo, Store
from monitor.levels import COLLECTED, Level, levels, pdp_step, with_begin
from monitor.pdp import FARTHEST
from monitor.rates import heartbeat
from monitor.window import Window, add, consolidated

PDP_STEP = 60  # where nothing that is asked for is known
LONGEST_STEP = 100 * 366 * 86400
FEW_BUCKETS = 10
DAY = 86400
EVEN_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400, 21600, 43200, DAY)

Item = TypeVar("Item")
Result = TypeVar("Result")


class QueryError(ValueError):
    """A question that cannot be answered; `parameter` names what is wrong with it."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Fetched:
    """One series' part of an answer: values[i] is the bucket that ends at start + (i + 1) * step; NaN is unknown."""

    series: Series
    unit: str
    values: Floats


@dataclass(frozen=True, slots=True)
class Answer:
    """Those series asked for that are known, in the order asked; `start` and `end` are multiples of `step`.

    `tier` says where the oldest of the values come from: `collected` rows, or the tier of this step.
    """

    start: int
    end: int
    step: int
    cf: str
    tier: str
    series: list[Fetched]


@dataclass(frozen=True, slots=True)
class Total:
    """Values of several sources together, by the name of the series; the rest as of `Answer`."""

    start: int
    end: int
    step: int
    cf: str
    tier: str
    values: dict[str, Floats]


@dataclass(slots=True)
class Stats:
    """Counts since the start of the process."""

    queries: int = 0
    refused: int = 0
    series: int = 0
    seconds: float = 0.0


class Query:
    """Answers questions about series.

    A bucket has a value once it is over and its source has reported past its end; until then it is unknown.
    A question reads each source once. `concurrency` bounds the reads of all questions together; their arithmetic
    runs in one thread at a time.
    """

    def __init__(
        self,
        store: Store,
        *,
        unit: Callable[[Source, str], str] = lambda source, name: "",
        clock: Callable[[], float] = time.time,
        max_points: int = 10_000,
        max_series: int = 1_000,
        concurrency: int = 4,
    ) -> None:
        self.stats = Stats()
        self._store = store
        self._unit = unit
        self._clock = clock
        self._max_points = max_points
        self._max_series = max_series
        self._concurrency = concurrency
        self._places = asyncio.Semaphore(concurrency)
        self._arithmetic = asyncio.Lock()  # each further thread would hold the loop up for one more switch interval

    async def fetch(
        self, series: Sequence[Series], start: int, end: int, *, step: int | None = None, cf: str = "AVERAGE"
    ) -> Answer:
        """Return the series in buckets of `step`, from the coarsest tier that gives these and reaches back to `start`.

        A step is raised to a multiple of the finest that reaches back so far. Without a step it is that one, or its
        least multiple that keeps within the allowed points.
        """
        began = time.perf_counter()
        known = await self._known(series, start, end, step, cf)
        answer = await self._answer(series, known, self._window(known, start, end, step, CF(cf)))
        self._count(answer, began)
        return answer

    async def fetch_graph(self, series: Sequence[Series], start: int, end: int, *, step: int, cf: str) -> Answer:
        """Return the series to draw: as `fetch`, but at the PDP step where their data fill fewer than 10 buckets."""
        began = time.perf_counter()
        known = await self._known(series, start, end, step, cf)
        answer = await self._answer(series, known, self._window(known, start, end, step, CF(cf)))
        if (filled := _filled(answer)) < FEW_BUCKETS:
            # What began a short while ago is in the rows, however far back the graph begins.
            fine = self._window(known, start, end, None, CF(cf), everything=True)
            if fine.step < answer.step:
                finer = await self._answer(series, known, fine)
                answer = finer if _filled(finer) > filled else answer
        self._count(answer, began)
        return answer

    async def fetch_sum(
        self, infos: Sequence[SourceInfo], names: Sequence[str], start: int, end: int, *, step: int | None, cf: str,
        fresh: bool = False, mean: bool = False,
    ) -> Total:  # fmt: skip
        """Return the series of these names, each added up over the sources, or with `mean` averaged over them.

        An unknown value adds nothing; where all are unknown so is the sum. A bucket waits until every host of them
        that still reports has reported past its end. With `fresh`, data that fill few buckets come at the PDP step.
        """
        began = time.perf_counter()
        if problem := self._problem((), start, end, step, cf):
            self.stats.refused += 1
            raise problem

        def place() -> tuple[dict[Source, tuple[SourceInfo, list[str]]], Window]:
            known = {info.source: (info, [name for name in names if name in info.kinds]) for info in infos}
            return known, self._window(known, start, end, step, CF(cf))

        known, window = await asyncio.to_thread(place)  # there may be thousands of sources
        total = await self._added(known, window, mean)
        filled = int(np.any([np.isfinite(one) for one in total.values()], axis=0).sum()) if total else 0
        if fresh and filled < FEW_BUCKETS:
            fine = await asyncio.to_thread(self._window, known, start, end, None, CF(cf), everything=True)
            if fine.step < window.step:
                window, total = fine, await self._added(known, fine, mean)
        self.stats.queries += 1
        self.stats.series += sum(len(one) for _, one in known.values())
        self.stats.seconds += time.perf_counter() - began
        tiers = [ladder[0] for ladder in window.levels.values()]
        tier = max(tiers, key=lambda one: one.step).label if tiers else COLLECTED
        return Total(window.start, window.end, window.step, cf, tier, total)

    async def _added(
        self, known: Mapping[Source, tuple[SourceInfo, list[str]]], window: Window, mean: bool
    ) -> dict[str, Floats]:
        now = self._clock()
        sums: dict[str, Floats] = {}

        async def read(source: Source) -> None:
            info, names = known[source]
            parts, points = await self._read(info, names, window)
            async with self._arithmetic:
                await asyncio.to_thread(add, sums, info, names, parts, points, window, now)

        await self._each(read, [source for source, (_, names) in known.items() if names])
        seen: dict[str, float] = {}
        for info, _ in known.values():
            if now - info.last_seen <= heartbeat(info.interval):
                seen[info.source.host] = max(info.last_seen, seen.get(info.source.host, 0.0))
        over = max(0, int((min([now, *seen.values()]) - window.start) // window.step))
        made = {}
        for name, (total, count) in sums.items():
            count[over:] = 0
            made[name] = np.where(count > 0, total / np.maximum(count, 1) if mean else total, np.nan)
        return made

    async def _known(
        self, series: Sequence[Series], start: int, end: int, step: int | None, cf: str
    ) -> dict[Source, tuple[SourceInfo, list[str]]]:
        """Return what the store knows of the sources, with the known names wanted of each."""
        problem = self._problem(series, start, end, step, cf)
        if problem:
            self.stats.refused += 1
            raise problem
        wanted: dict[Source, list[str]] = {}
        for source, name in dict.fromkeys(series):
            wanted.setdefault(source, []).append(name)

        async def look(source: Source) -> list[SourceInfo]:
            return await self._store.sources(host=source.host, collector=source.collector, instance=source.instance)

        found = [info for infos in await self._each(look, wanted) for info in infos]
        return {info.source: (info, [name for name in wanted[info.source] if name in info.kinds]) for info in found}

    def _problem(self, series: Sequence[Series], start: int, end: int, step: int | None, cf: str) -> QueryError | None:
        if cf not in CF.__members__:
            return QueryError("cf", f"expected one of {', '.join(CF)}, got {str(cf)[:40]!r}")
        if step is not None and not 1 <= step <= LONGEST_STEP:
            return QueryError("step", f"expected 1 to {LONGEST_STEP} seconds, got {step}")
        for name, value in (("start", start), ("end", end)):
            if abs(value) >= FARTHEST:
                return QueryError(name, f"expected epoch seconds, got {value}")
        if end <= start:
            return QueryError("end", f"expected an end after the start {start}, got {end}")
        if len(series) > self._max_series:
            return QueryError("series", f"expected at most {self._max_series} series, got {len(series)}")
        return None

    def _window(
        self, known: Mapping[Source, tuple[SourceInfo, list[str]]], start: int, end: int, step: int | None, cf: CF,
        *, everything: bool = False,
    ) -> Window:  # fmt: skip
        """Choose the buckets; with `everything` a level that holds all there is of a source reaches back enough."""
        now = self._clock()
        ladders: dict[Source, list[Level]] = {}
        finest: list[int] = []
        for source, (info, names) in known.items():
            if names:
                ladder = levels(self._store.retention.of(source), info, cf)
                ladder = with_begin(ladder, partial(self._store.begun, source), info.first_seen)
                ladders[source] = ladder
                since = max(start, info.first_seen) if everything else start
                finest.append(_reaching(ladder, since, now).step)
        base = min(finest, default=PDP_STEP)
        # rounding start and end to the step may add two buckets
        least = -(-(end - start) // (base * max(1, self._max_points - 2))) * base
        size = least if step is None else -(-step // base) * base
        first, last = start // size * size, -(-end // size) * size
        points = (last - first) // size
        if points > self._max_points:
            self.stats.refused += 1
            raise QueryError(
                "step",
                f"expected at most {self._max_points} points a series, got {points}: "
                f"from {start} to {end} a step of at least {least} seconds is allowed",
            )
        chosen = {}
        for source, ladder in ladders.items():
            since = max(start, known[source][0].first_seen) if everything else start
            fine = _reaching(ladder, since, now)
            fits = [one for one in ladder if one.step <= size and size % one.step == 0 and one.reaches(since, now)]
            best = max(fits, key=lambda one: one.step, default=fine)
            chosen[source] = [one for one in reversed(ladder) if one.step <= best.step]
        return Window(first, last, size, cf, chosen)

    async def _answer(
        self, series: Sequence[Series], known: Mapping[Source, tuple[SourceInfo, list[str]]], window: Window
    ) -> Answer:
        now = self._clock()

        async def read(source: Source) -> dict[Series, Floats]:
            info, names = known[source]
            parts, points = await self._read(info, names, window)
            async with self._arithmetic:
                return await asyncio.to_thread(consolidated, info, names, parts, points, window, now)

        values: dict[Series, Floats] = {}
        for part in await self._each(read, [source for source, (_, names) in known.items() if names]):
            values.update(part)
        fetched = [Fetched(one, self._unit(*one), values[one]) for one in series if one in values]
        tier = next((window.levels[one.series.source][0].label for one in fetched), COLLECTED)
        return Answer(window.start, window.end, window.step, str(window.cf), tier, fetched)

    async def _read(
        self, info: SourceInfo, names: Sequence[str], window: Window
    ) -> tuple[list[dict[str, Cells]], tuple[int, dict[str, Points]]]:
        """Return the cells of each tier as far as it is built, and behind them the rows, with where these begin."""
        step = pdp_step(info)
        at, end = window.start, window.end
        parts = []
        for level in window.levels[info.source]:
            built = int(self._store.built(info.source, level.tier)) if level.tier else 0
            if built > at and at < end:
                parts.append(
                    await self._store.read_cells(info.source, names, level.tier, at, min(built, end), window.cf)
                )
                at = built
        if at >= end:
            return parts, (end, {})
        begin, over = at // step * step, -(-end // step) * step
        points = await self._store.read(info.source, names, begin, over)
        silence = heartbeat(info.interval)
        if any(len(one.time) and one.time[0] - one.since[0] > silence for one in points.values()):
            # A row too long to count may be cut short by one before it.
            points = await self._store.read(info.source, names, begin - silence, over)
        return parts, (at, points)

    async def _each(self, do: Callable[[Item], Awaitable[Result]], items: Iterable[Item]) -> list[Result]:
        results: list[Result] = []
        ahead = iter(items)

        async def work() -> None:
            for item in ahead:
                async with self._places:
                    results.append(await do(item))
                await asyncio.sleep(0)  # a store that answers from memory would not let anyone else run

        workers = [asyncio.create_task(work()) for _ in range(self._concurrency)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
        return results

    def _count(self, answer: Answer, began: float) -> None:
        self.stats.queries += 1
        self.stats.series += len(answer.series)
        self.stats.seconds += time.perf_counter() - began


def auto_step(start: int, end: int, columns: int) -> int:
    """Return the least even step (a whole part or multiple of a day) that shows start .. end in that many buckets."""
    least = max(1.0, (end - start) / max(1, columns))
    return next((step for step in EVEN_STEPS if step >= least), int(-(-least // DAY)) * DAY)


def _reaching(ladder: Sequence[Level], start: float, now: float) -> Level:
    """Return the finest level that reaches back to `start`, else the one that reaches back farthest."""
    return next((one for one in ladder if one.reaches(start, now)), max(ladder, key=lambda one: one.keep))


def _filled(answer: Answer) -> int:
    """Count the buckets in which at least one series is known."""
    if not answer.series:
        return 0
    return int(np.any([np.isfinite(one.values) for one in answer.series], axis=0).sum())
