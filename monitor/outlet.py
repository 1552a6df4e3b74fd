"""One outlet per handler: it reads the journal at its cursor and delivers until the handler has taken everything."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, cast

from monitor.batch import Block, Cursor, Entry
from monitor.handler import Handler, Refused, Store
from monitor.merge import halves, together
from monitor.pause import Pause
from monitor.retry import DEFECTS, Failures, Pauses, Retry, Stopped, describe
from monitor.segment import Read
from monitor.task import begin

log = logging.getLogger("monitor.outlet")


class Counts(Protocol):
    batches: int


class Journal(Protocol):
    """What an outlet needs of the journal."""

    @property
    def stats(self) -> Counts: ...
    @property
    def start(self) -> Cursor: ...
    @property
    def end(self) -> Cursor: ...
    async def read(self, after: Cursor, *, limit: int = ..., tables: tuple[str, ...] = ...) -> list[Read]: ...
    async def wait(self, after: Cursor) -> None: ...
    async def cursor(self, name: str) -> Cursor | None: ...
    async def save_cursor(self, name: str, cursor: Cursor) -> None: ...
    def lost(self, cursor: Cursor) -> int: ...


@dataclass(slots=True)
class Stats(Failures):
    """What became of the batches of one handler; counts since the start of the process."""

    batches: int = 0
    values: int = 0
    writes: int = 0
    refused: int = 0
    lost: int = 0
    writing: bool = False


@dataclass(slots=True)
class _Pending:
    """Groups that were read and are not delivered yet."""

    groups: list[Read] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(entry.size for group in self.groups for entry in group.entries)

    @property
    def batches(self) -> int:
        return sum(group.batches for group in self.groups)

    @property
    def accepted(self) -> float | None:
        """About when the oldest group was accepted: its newest stamp, for others may have come late."""
        entries = self.groups[0].entries if self.groups else []
        return max((newest for entry in entries if (newest := entry.newest) is not None), default=None)


class Outlet:
    """Delivers the journal to one handler, at the handler's own pace.

    `opened` says that somebody else opens and closes the handler, as for a store that queries use too. During a pause
    nothing is written.
    """

    def __init__(
        self,
        handler: Handler,
        journal: Journal,
        *,
        opened: bool = False,
        pause: Pause | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
        pauses: Pauses | None = None,
        defects_before_parting: int = 3,
        max_reasons: int = 100,
        unreadable_pause: float = 1.0,
    ) -> None:
        self.handler = handler
        self.name = handler.name
        self.stats = Stats()
        self._journal = journal
        self._opened = opened
        self._pause = pause
        self._clock = clock
        self._retry = Retry(
            log, "outlet", handler.name, self.stats, timeout=handler.timeout, clock=clock, sleep=sleep,
            rng=rng or random.Random(), pauses=pauses or Pauses(),  # noqa: S311 - spreads tries, keeps no secret
        )  # fmt: skip
        self._defects_before_parting = defects_before_parting
        self._max_reasons = max_reasons
        self._unreadable_pause = unreadable_pause
        self._cursor: Cursor | None = None
        self._pending = _Pending()
        self._level_at: float | None = None
        self._come_at_level = 0
        self._gone_since_level = 0
        self._reasons: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def cursor(self) -> Cursor | None:
        """The place up to which everything is delivered; None until it is known."""
        return self._cursor

    @property
    def lag_seconds(self) -> float:
        """How long ago the oldest batch that is not delivered was accepted, about; 0 when there is none."""
        now = self._clock()
        if self._level():
            return 0.0
        known = [at for at in (self._pending.accepted, self._level_at) if at is not None]
        return max(0.0, now - max(known)) if known else 0.0

    @property
    def lag_batches(self) -> int:
        """How many batches are not delivered; after a start from behind only those that came or were read since."""
        if self._level():
            return 0
        come = self._journal.stats.batches - self._come_at_level if self._level_at is not None else 0
        return max(self._pending.batches, come - self._gone_since_level)

    async def start(self) -> None:
        """Find the place to go on from and begin to deliver: what is accepted from now on will be delivered."""
        if not isinstance(self.handler, Store):
            await self._place()
        self._task = begin(self.run(), f"outlet {self.name}")

    async def drain(self, seconds: float) -> None:
        """Deliver what is there, within the limit and as long as that works at once; then close the handler.

        Closing may take the handler's `close_timeout` on top.
        """
        self._retry.stop()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=seconds)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def run(self) -> None:
        """Deliver for ever, or until drained."""
        try:
            if not self._opened:
                await self._retry.until_done("open", self._open)
            if self._cursor is None:
                await self._retry.until_done("cursor", self._place)
            while await self._gather():
                await self._deliver()
        except Stopped:
            log.warning("outlet.undelivered", extra={"fields": {"handler": self.name, "reason": self.stats.last_error}})
        finally:
            if not self._opened:
                await self._close()

    async def _open(self) -> None:
        async with asyncio.timeout(self.handler.timeout):
            await self.handler.open()

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(self.handler.close_timeout):
                await self.handler.close()
        except Exception as error:
            reason = describe(error, self.handler.close_timeout)
            log.warning("outlet.close_failed", extra={"fields": {"handler": self.name, "reason": reason}})

    async def _place(self) -> None:
        """Find the cursor: where it was left, or for a new handler the end, or where it wants all, the oldest."""
        if isinstance(self.handler, Store):
            cursor, replay = await self.handler.cursor(), True
        else:
            cursor, replay = await self._journal.cursor(self.name), self.handler.replay
        end = self._journal.end
        if cursor is not None and cursor > end:
            # The journal is younger than the cursor, so it was taken away: nothing of it can have been delivered.
            fields = {"handler": self.name, "cursor": tuple(cursor), "end": tuple(end)}
            log.warning("outlet.cursor_ahead", extra={"fields": fields})
            cursor, replay = None, True
        if cursor is None:
            cursor = self._journal.start if replay else end
            await self._save(cursor)
        self._cursor = cursor
        self._level()

    async def _save(self, cursor: Cursor) -> None:
        if not isinstance(self.handler, Store):
            await self._journal.save_cursor(self.name, cursor)

    def _level(self) -> bool:
        """Return whether everything is delivered, and remember when it last was."""
        if self._cursor is None or self._cursor < self._journal.end:
            return False
        self._level_at = self._clock()
        self._come_at_level = self._journal.stats.batches
        self._gone_since_level = 0
        return True

    def _place_read(self) -> Cursor:
        if self._pending.groups:
            return self._pending.groups[-1].cursor
        assert self._cursor is not None
        return self._cursor

    async def _gather(self) -> bool:
        """Read what to write together; False when draining and nothing is left."""
        while not self._pending.groups:
            if self._level():
                if self._retry.stopping:
                    return False
                await self._retry.until_done("wait", self._wait)
                self._level_at = self._clock()
            await self._read()
            if not self._pending.groups and not self._level():
                # What lies ahead cannot be read; the journal has told why.
                if self._retry.stopping:
                    return False
                await self._retry.pause(self._unreadable_pause)
        await self._read_on()
        if self._pending.size < self.handler.batch and self.handler.flush_interval > 0:
            await self._retry.pause(self.handler.flush_interval)
            await self._read_on()
        return True

    async def _read_on(self) -> None:
        """Read what is there, as far as one write takes it: what this handler does not want costs it no time."""
        while self._pending.size < self.handler.batch and (place := self._place_read()) < self._journal.end:
            await self._read()
            if self._place_read() == place:
                break

    async def _wait(self) -> None:
        await self._retry.unless_stopped(self._journal.wait(self._place_read()))

    async def _read(self) -> None:
        """Read on, about as much as one write takes; notice what the journal could not keep."""
        groups = self._pending.groups
        for group in await self._retry.until_done("read", self._read_once):
            if groups and not group.entries:
                groups[-1] = Read(group.cursor, groups[-1].entries, groups[-1].batches + group.batches)
            else:
                groups.append(group)

    async def _read_once(self) -> list[Read]:
        after = self._place_read()
        start = self._journal.start
        lost = self._journal.lost(after) if after < start else 0
        groups = await self._journal.read(
            max(after, start), limit=max(1, self.handler.batch - self._pending.size), tables=self.handler.records
        )
        if lost:
            self.stats.lost += lost
            self._gone_since_level += lost
            log.error("outlet.lost", extra={"fields": {"handler": self.name, "batches": lost}})
        if not self._pending.groups:
            self._cursor = max(after, start)
        return groups

    async def _held(self) -> None:
        """Wait for the end of a pause; at the end of the process the journal keeps what waited for it."""
        while self._pause is not None and self._pause.on:
            if self._retry.stopping:
                self.stats.last_error = "paused"
                raise Stopped
            await self._retry.unless_stopped(self._pause.over())

    async def _deliver(self) -> None:
        """Write what was gathered and move the cursor behind it."""
        defects = 0

        async def write() -> Sequence[Refused]:
            nonlocal defects
            await self._held()
            try:
                if defects < self._defects_before_parting:
                    return await self._write(*self._together())
                if self._pending.size < 2 * self.handler.batch:
                    # Others must get through to prove that it is an item and not the target.
                    await self._read()
                return await self._write_parts(*self._together())
            except DEFECTS:
                defects += 1
                raise

        refused = await self._retry.until_done("write", write)
        self._count(refused)
        self.stats.batches += self._pending.batches
        self._gone_since_level += self._pending.batches
        self.stats.values += self._pending.size
        cursor = self._cursor = self._place_read()
        self._pending = _Pending()
        await self._retry.until_done("cursor", lambda: self._save(cursor))

    def _together(self) -> tuple[list[Entry], Cursor]:
        return together([entry for group in self._pending.groups for entry in group.entries]), self._place_read()

    async def _write(self, entries: Sequence[Entry], cursor: Cursor) -> Sequence[Refused]:
        if not entries and not isinstance(self.handler, Store):
            return ()
        self.stats.writing = True
        self.stats.writes += 1
        try:
            async with asyncio.timeout(self.handler.timeout):
                # One that forgets to return anything has refused nothing.
                # records are only among them where the handler says that it takes them
                return await self.handler.write(cast("Sequence[Block]", entries), cursor) or ()
        finally:
            self.stats.writing = False

    async def _write_parts(self, entries: list[Entry], cursor: Cursor) -> list[Refused]:
        """Write in ever smaller parts and refuse the rows that raise alone, provided that others got through.

        Parts are written under the old cursor: after a crash or an outage meanwhile they are written again.
        """
        assert self._cursor is not None
        refused: list[Refused] = []
        parts = [entries]
        failure: Exception | None = None
        delivered = False
        while parts:
            part = parts.pop()
            try:
                refused += await self._write(part, self._cursor)
                delivered = True
            except DEFECTS as error:
                failure = error
                smaller = halves(part)
                parts += reversed(smaller)
                if not smaller:
                    refused.append(Refused(_name(part[0]), describe(error, self.handler.timeout)))
        if failure is not None and not delivered:
            raise failure
        refused += await self._write([], cursor)
        return refused

    def _count(self, refused: Sequence[Refused]) -> None:
        """Count what was refused, and log each reason once."""
        self.stats.refused += len(refused)
        for item, reason in refused:
            kind = re.sub(r"\d+", "#", reason[:200])
            if kind in self._reasons or len(self._reasons) >= self._max_reasons:
                continue
            self._reasons.add(kind)
            more = {"further_reasons": "not logged"} if len(self._reasons) == self._max_reasons else {}
            fields = {"handler": self.name, "item": item[:200], "reason": reason[:200], **more}
            log.warning("outlet.refused", extra={"fields": fields})


def _name(entry: Entry) -> str:
    source = entry.sources[0] if isinstance(entry, Block) else entry.source
    return ":".join(source)
