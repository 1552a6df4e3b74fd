"""Takes lines and points of Graphite's clients, however they came, and puts them into the journal as batches.

Nobody is answered in Graphite's protocols. So what the journal cannot take now waits here, and when that is too much
nothing more is read from the connections: the senders wait then, or keep it, and nothing is lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from monitor.batch import Batch
from monitor.graphite import Graphite
from monitor.pipeline import Busy
from monitor.task import begin, end
from monitor.wire.graphite_lines import Bounds, Lines, Point, Reader

log = logging.getLogger("monitor.receivers.graphite")

SLICE = 0.002
"""Seconds of work before the loop gets its turn."""
AT_ONCE = 4 << 20
"""Bytes that are read for one commit, and that are worth one without waiting for more."""
POINT = 60
"""Bytes that a point of a pickle counts for."""
PAUSE = 0.5
"""Seconds after which what the journal could not take is tried again."""
QUIET = 300.0
"""Seconds between two log records of the same kind."""

Item = tuple[bytes | list[Point], str, int]
"""Whole lines or points, who sent them, and their size."""


@dataclass(slots=True)
class GraphiteStats:
    lines: int = 0
    """Lines and points, bad ones included."""
    bytes: int = 0
    batches: int = 0
    """Made of them and in the journal."""
    bad: Counter[str] = field(default_factory=Counter)
    """Lines, points, datagrams and frames refused, by the reason."""
    refused: Counter[str] = field(default_factory=Counter)
    """Batches that the pipeline refused, by the first word of its reason."""
    busy: int = 0
    """Times that the journal could not take them; they were tried again."""
    lost: Counter[str] = field(default_factory=Counter)
    """Bytes dropped: over UDP when too much waited, and what waited at the end."""
    connections: int = 0
    opened: int = 0
    turned_away: Counter[str] = field(default_factory=Counter)


class GraphiteIntake:
    """What comes within `window` seconds is one commit, so that the lines of a collection are one batch."""

    def __init__(
        self, accept: Callable[[Sequence[Batch]], Awaitable[list[str | None]]], settings: Callable[[], Graphite],
        *, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.stats = GraphiteStats()
        self.held = 0
        """Bytes that wait."""
        self.on_room: list[Callable[[], None]] = []
        """Called when there is room again after there was none."""
        self._accept = accept
        self._settings = settings
        self._clock = clock
        self._waiting: deque[Item] = deque()
        self._task: asyncio.Task[None] | None = None
        self._more = asyncio.Event()
        self._closed = False
        self._logged: dict[str, float] = {}
        self._take_settings(settings())

    def _take_settings(self, settings: Graphite) -> None:
        self.settings = settings
        bounds = Bounds(
            float(settings.past), float(settings.ahead), float(settings.interval), int(settings.max_line),
            settings.max_names, settings.max_paths, settings.rules,
        )  # fmt: skip
        self._reader = Reader(settings.paths, bounds)

    @property
    def full(self) -> bool:
        """Whether nothing more should be handed over now."""
        return self.held >= self.settings.max_waiting

    def put(self, data: bytes | list[Point], peer: str) -> None:
        """Take whole lines, or points."""
        size = len(data) if isinstance(data, bytes) else POINT * len(data)
        if self._closed:
            self.stats.lost["stopping"] += size
            return
        self.held += size
        self._waiting.append((data, peer, size))
        if self.held >= AT_ONCE:
            self._more.set()
        if self._task is None:
            self._task = begin(self._run(), "graphite")

    async def close(self, seconds: float) -> None:
        """Take no more, and put what waits into the journal."""
        self._closed = True
        self._more.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=seconds)
        if self._task is not None:
            await end(self._task)
            self.stats.lost["stopping"] += self.held
            self._note("lost", kind="stopping", bytes=self.held)

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._wait()
                if (settings := self._settings()) is not self.settings:
                    self._take_settings(settings)
                taken = self._next()
                size = sum(item[2] for item in taken)
                try:
                    await self._take(taken)
                finally:
                    was_full = self.full
                    self.held -= size
                    if was_full and not self.full:
                        for call in self.on_room:
                            call()
        finally:
            # After a failure, which `begin` logs, what came meanwhile still waits.
            again = bool(self._waiting) and not self._closed
            self._task = begin(self._run(), "graphite") if again else None

    async def _wait(self) -> None:
        """Give what belongs together time to come, unless there is plenty already."""
        self._more.clear()
        if self.held < AT_ONCE and not self._closed:
            try:
                async with asyncio.timeout(float(self.settings.window)):
                    await self._more.wait()
            except TimeoutError:
                return

    def _next(self) -> list[Item]:
        """Return the next items, as many as are one commit."""
        taken: list[Item] = []
        size = 0
        while self._waiting and size < AT_ONCE:
            taken.append(self._waiting.popleft())
            size += taken[-1][2]
        return taken

    async def _take(self, taken: Sequence[Item]) -> None:
        now = self._clock()
        found = Lines()
        pace = Pace()
        for data, peer, size in taken:
            bad = len(found.first)
            reader = self._reader
            steps = reader.read(data, now, found) if isinstance(data, bytes) else reader.points(data, now, found)
            for _ in steps:
                await pace.turn()
            self.stats.bytes += size
            if len(found.first) > bad:
                for kind in list(found.first)[bad:]:
                    line = found.first[kind].decode("utf-8", "replace")
                    self._note("bad_line", kind=kind, peer=peer, line=line)
        batches: list[Batch] = []
        for some in self._reader.batches(found):
            batches += some
            await pace.turn()
        self.stats.lines += found.lines
        self.stats.bad.update(found.bad)
        if self._reader.full:
            self._reader.forget()
        if batches:
            await self._deliver(batches)

    async def _deliver(self, batches: Sequence[Batch]) -> None:
        """Return when the journal has them, however long that takes; what it has already it knows as repeats."""
        while True:
            try:
                reasons = await self._accept(batches)
                break
            except Busy as error:
                self.stats.busy += 1
                self._note("busy", reason=str(error))
                await asyncio.sleep(PAUSE)
        self.stats.batches += len(batches)
        for number, why in enumerate(reasons):
            if why is not None:
                word = why.split(":")[0].split()[0]
                self.stats.refused[word] += 1
                source = batches[number].source
                self._note("refused", kind=word, host=source.host, collector=source.collector, reason=why)

    def refuse(self, kind: str, peer: str, line: bytes) -> None:
        """Count what is no whole line, and show it in the log."""
        self.stats.bad[kind] += 1
        self._note("bad_line", kind=kind, peer=peer, line=line[:120].decode("utf-8", "replace"))

    def _note(self, event: str, kind: str = "", **fields: object) -> None:
        """Log an event of a kind, not more often than every few minutes."""
        now = time.monotonic()
        if now - self._logged.get(f"{event} {kind}", -QUIET) >= QUIET:
            self._logged[f"{event} {kind}"] = now
            log.warning(f"graphite.{event}", extra={"fields": {"kind": kind, **fields} if kind else fields})


class Pace:
    """Lets others have the loop when one has had it for a while."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    async def turn(self) -> None:
        if time.perf_counter() - self._began > SLICE:
            await asyncio.sleep(0)
            self._began = time.perf_counter()
