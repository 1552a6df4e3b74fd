"""Takes the payloads of Kurado's agents, however they came: parses them and answers when the journal has them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from monitor.batch import Batch
from monitor.inventory import Inventory
from monitor.liveness import Report
from monitor.pipeline import Busy
from monitor.receivers.kurado_hosts import KuradoHosts
from monitor.settings import Kurado
from monitor.task import begin, end
from monitor.wire.kurado import Bounds, Parser, Payload

log = logging.getLogger("monitor.receivers.kurado")

SLICE = 0.003
"""Seconds of work before the loop gets its turn."""
LARGE = 64 << 10
"""Bytes of a payload that is parsed in a thread."""
ENOUGH = 100
"""Payloads that are worth a commit of their own."""
QUIET = 300.0
"""Seconds between two log records of the same kind."""


@dataclass(slots=True)
class IntakeStats:
    pushes: int = 0
    """Payloads that the journal has."""
    bytes: int = 0
    lines: int = 0
    batches: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    """Lines refused, by the reason; `payload` counts whole payloads."""
    refused: Counter[str] = field(default_factory=Counter)
    """Batches that the pipeline refused, by the first word of its reason."""
    busy: int = 0
    """Payloads refused because the journal could not take them."""
    connections: int = 0
    opened: int = 0
    turned_away: Counter[str] = field(default_factory=Counter)
    """Connections refused or ended by us, by the reason."""
    redis_up: int | None = None
    """Whether the Redis that is drained answers; None when none is."""
    redis_waiting: int = 0
    redis_failures: int = 0


@dataclass(eq=False, slots=True)
class Waiting:
    """A payload and who waits for the answer."""

    payload: bytes
    peer: str
    answer: asyncio.Future[str]


class KuradoIntake:
    """Payloads that come within `window` seconds are one commit: an agent waits 10 s for its answer."""

    def __init__(
        self, accept: Callable[[Sequence[Batch]], Awaitable[list[str | None]]],
        report: Callable[[Sequence[Report]], None], settings: Callable[[], Kurado], inventory: Callable[[], Inventory],
        *, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.stats = IntakeStats()
        self._accept = accept
        self._report = report
        self._settings = settings
        self._inventory = inventory
        self._clock = clock
        self._waiting: list[Waiting] = []
        self._held = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._logged: dict[str, float] = {}
        self._take_settings(settings())

    def _take_settings(self, settings: Kurado) -> None:
        self.settings = settings
        self._hosts = KuradoHosts(settings, self._inventory)
        self._parser = Parser(
            Bounds(
                float(settings.past), float(settings.ahead), float(settings.interval), settings.max_lines,
                int(settings.max_line), settings.max_names, settings.rules,
            )
        )  # fmt: skip

    def put(self, payload: bytes, peer: str = "") -> asyncio.Future[str]:
        """Return a future of the answer: '' when the journal has the payload, otherwise why it can have no more."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if self._closed or self._held + len(payload) > self.settings.max_waiting:
            self.stats.busy += 1
            answer.set_result("stopping" if self._closed else "too many payloads wait for the journal")
            return answer
        self._held += len(payload)
        self._waiting.append(Waiting(payload, peer, answer))
        if self._task is None:
            self._task = begin(self._run(), "kurado")
        return answer

    async def close(self, seconds: float) -> None:
        """Take no more, and answer those who wait."""
        self._closed = True
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=seconds)
        if self._task is not None:
            await end(self._task)

    async def _run(self) -> None:
        try:
            while self._waiting:
                # Many that wait already need no window; the others get their turn all the same.
                few = len(self._waiting) < ENOUGH and not self._closed
                await asyncio.sleep(float(self.settings.window) if few else 0)
                waiting, self._waiting = self._waiting, []
                try:
                    await self._take(waiting)
                finally:
                    self._held -= sum(len(one.payload) for one in waiting)
                    for one in waiting:
                        if not one.answer.done():
                            one.answer.set_result("failed, see the log")
        finally:
            # After a failure, which `begin` logs, those who came meanwhile still wait.
            self._task = begin(self._run(), "kurado") if self._waiting and not self._closed else None

    async def _take(self, waiting: Sequence[Waiting]) -> None:
        """Answer all of these after one commit, in their order."""
        if (settings := self._settings()) is not self.settings:
            self._take_settings(settings)
        now = self._clock()
        batches: list[Batch] = []
        reports: list[list[Report]] = []
        began = time.perf_counter()
        read: list[Payload] = []
        for one in waiting:
            found = await self._parse(one, now)
            read.append(found)
            batches += found.batches
            reports.append([Report(said.host, said.plugin, now, said.meta, said.warnings) for said in found.said])
            if time.perf_counter() - began > SLICE:
                await asyncio.sleep(0)
                began = time.perf_counter()
        try:
            reasons = await self._accept(batches) if batches else []
        except Busy as error:
            self.stats.busy += len(waiting)
            self._note("busy", reason=str(error))
            for one in waiting:
                one.answer.set_result(str(error))
            return
        for number, one in enumerate(waiting):
            if number % ENOUGH == 0:
                await asyncio.sleep(0)
            self._report(reports[number])
            one.answer.set_result("")
        self._count(waiting, read, batches, reasons)

    async def _parse(self, one: Waiting, now: float) -> Payload:
        if len(one.payload) > self.settings.max_payload:
            found = Payload()
            found.refuse("payload", one.payload)
            return found
        admit = partial(self._hosts.admit, peer=one.peer)
        if len(one.payload) > LARGE:
            return await asyncio.to_thread(self._parser.parse, one.payload, now, admit)
        return self._parser.parse(one.payload, now, admit)

    def _count(
        self, waiting: Sequence[Waiting], read: Sequence[Payload], batches: Sequence[Batch],
        reasons: Sequence[str | None],
    ) -> None:  # fmt: skip
        stats = self.stats
        stats.pushes += len(waiting)
        stats.bytes += sum(len(one.payload) for one in waiting)
        stats.batches += len(batches)
        for one, found in zip(waiting, read, strict=True):
            stats.lines += found.lines
            if found.bad:
                stats.bad.update(found.bad)
                for reason, line in found.first.items():
                    text = line.decode("utf-8", "replace")
                    self._note("bad_line", kind=reason, peer=one.peer, count=found.bad[reason], line=text)
        for batch, why in zip(batches, reasons, strict=True):
            if why is not None:
                word = why.split(":")[0].split()[0]
                stats.refused[word] += 1
                self._note("refused", kind=word, host=batch.source.host, plugin=batch.source.collector, reason=why)

    def _note(self, event: str, kind: str = "", **fields: object) -> None:
        """Log an event of a kind, not more often than every few minutes."""
        now = time.monotonic()
        if now - self._logged.get(f"{event} {kind}", -QUIET) >= QUIET:
            self._logged[f"{event} {kind}"] = now
            log.warning(f"kurado.{event}", extra={"fields": {"kind": kind, **fields} if kind else fields})
