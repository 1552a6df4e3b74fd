"""The journal: what was accepted lies here, in order, until every handler has had it or it is too old.

A directory of segments (`monitor.segment`), written by one thread and read by another. What `append` returned for is
on the disk. When a commit fails, everything that waits behind it fails with it, so that what is in the journal is
always a beginning of what was submitted.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import sqlite3
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TextIO, TypeVar

import numpy as np

from monitor.batch import Cursor, Entry
from monitor.cursors import Cursors
from monitor.segment import ALL, Group, Read, Reader, Segment, Writer, describe, grouped
from monitor.task import begin

log = logging.getLogger("monitor.journal")

P = ParamSpec("P")
T = TypeVar("T")

COMMIT_VALUES = 500_000
"""A commit takes at most about so many values."""
OPEN_READERS = 4


class Busy(Exception):  # noqa: N818
    """The journal cannot take more now; nothing is lost if the sender tries again."""


@dataclass(slots=True)
class JournalStats:
    batches: int = 0
    values: int = 0
    commits: int = 0
    failed: int = 0
    damaged: int = 0
    """Groups or segments that could not be read."""
    dropped: int = 0
    """Segments that were given up at the bound."""
    commit_seconds: float = 0.0
    bytes: int = 0

    def committed(self, seconds: float, batches: int, values: int) -> None:
        self.commit_seconds += seconds
        self.commits += 1
        self.batches += batches
        self.values += values


class Journal:
    """The journal in a directory, which it keeps to itself."""

    def __init__(
        self, directory: Path, *, max_bytes: int = 8 << 30, max_age: float = 86400.0, segment_bytes: int = 256 << 20,
        segment_age: float = 3600.0, keep: float = 240.0, max_wait: float = 2.0, max_pending: int = 2_000_000,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """Set the bounds. The newest `keep` seconds are never dropped: they prime the rates (2 heartbeats).

        A commit that takes longer than `max_wait` seconds, or `max_pending` waiting values, make it busy.
        """
        self.directory = directory
        self.max_bytes = max_bytes
        self.max_age = max_age
        self.segment_bytes = segment_bytes
        self.segment_age = segment_age
        self.keep = keep
        self.max_wait = max_wait
        self.max_pending = max_pending
        self.clock = clock
        self.stats = JournalStats()
        self.on_failure: list[Callable[[], None]] = []
        """Called when a commit has failed, before those who wait for it are told."""
        self._writing = ThreadPoolExecutor(1, "journal-write")
        self._reading = ThreadPoolExecutor(1, "journal-read")
        self._lock: TextIO | None = None
        self._writer: Writer | None = None
        self._segments: list[Segment] = []
        self._end = Cursor(0, 0)
        self._pending: deque[tuple[Sequence[Entry], int, asyncio.Future[Cursor]]] = deque()
        self._pending_values = 0
        self._committer: asyncio.Task[None] | None = None
        self._since = 0.0
        self._news = asyncio.Event()
        self._readers: OrderedDict[int, Reader] = OrderedDict()
        self._damaged: set[int] = set()
        self._cursors = Cursors()

    async def open(self) -> None:
        """Take the directory and see what is in it. OSError when another process has it."""
        try:
            await self._in_reader(self._open)
        except BaseException:
            await self._in_reader(self._close)
            raise

    async def close(self) -> None:
        """Commit what waits, then let go of the directory."""
        while self._committer is not None and not self._committer.done():
            await asyncio.wait([self._committer])
        await asyncio.get_running_loop().run_in_executor(self._writing, self._close_writer)
        await self._in_reader(self._close)
        self._writing.shutdown()
        self._reading.shutdown()

    @property
    def end(self) -> Cursor:
        """The place behind the newest group."""
        return self._end

    @property
    def start(self) -> Cursor:
        """The place before the oldest group that is still there."""
        return Cursor(self._segments[0].number, 0) if self._segments else self._end

    def busy(self) -> str | None:
        """Return why the journal cannot take more just now, None when it can."""
        if self._pending and time.monotonic() - self._since > self.max_wait:
            return f"a commit takes longer than {self.max_wait:g} s"
        if self._pending_values >= self.max_pending:
            return f"{self._pending_values} values wait to be committed"
        return None

    def submit(self, entries: Sequence[Entry]) -> asyncio.Future[Cursor]:
        """Queue entries to be committed; the future tells when they are, or that they never will be.

        Without any it tells when all that was queued before is committed.
        """
        if (reason := self.busy()) is not None:
            raise Busy(reason)
        future: asyncio.Future[Cursor] = asyncio.get_running_loop().create_future()
        if not entries and not self._pending:
            future.set_result(self._end)
            return future
        size = sum(entry.size for entry in entries)
        if not self._pending:
            self._since = time.monotonic()
        self._pending.append((entries, size, future))
        self._pending_values += size
        if self._committer is None or self._committer.done():
            self._committer = begin(self._commit_all(), "journal-commit")
        return future

    async def append(self, entries: Sequence[Entry]) -> Cursor:
        """Return when they are on the disk; Busy when that fails or takes longer than `max_wait`."""
        return await self.committed(self.submit(entries))

    async def committed(self, future: asyncio.Future[Cursor]) -> Cursor:
        """Wait for what `submit` returned. After Busy for its slowness it may still be committed."""
        if future.done():
            return future.result()
        done, _ = await asyncio.wait([future], timeout=self.max_wait)
        if not done:
            future.add_done_callback(lambda late: late.cancelled() or late.exception())
            raise Busy(f"a commit takes longer than {self.max_wait:g} s")
        return future.result()

    async def _commit_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            jobs: list[tuple[Sequence[Entry], int, asyncio.Future[Cursor]]] = []
            values = 0
            while len(jobs) < len(self._pending) and values < COMMIT_VALUES:
                jobs.append(self._pending[len(jobs)])
                values += jobs[-1][1]
            self._since = time.monotonic()
            try:
                groups = grouped([job[0] for job in jobs])
                segments, end = self._segments, self._end
                if groups:
                    segments, end = await loop.run_in_executor(self._writing, self._write, groups)
            except Exception as error:  # the one place: whatever it is, who waits is told and may send again
                self._fail(error)
                continue
            took = time.monotonic() - self._since
            self._segments, self._end = segments, end
            self.stats.committed(took, sum(one.batches for one in groups), values)
            self.stats.bytes = sum(segment.bytes for segment in segments)
            for _ in jobs:
                _, size, future = self._pending.popleft()
                self._pending_values -= size
                if not future.cancelled():
                    future.set_result(end)
            self._since = time.monotonic()
            self._news.set()
            self._news = asyncio.Event()

    def _fail(self, error: Exception) -> None:
        """Tell everyone who waits that his entries are not in the journal."""
        self.stats.failed += 1
        expected = isinstance(error, sqlite3.Error | OSError)
        log.error("journal.failed", extra={"fields": {"reason": str(error)}}, exc_info=None if expected else error)
        for told in self.on_failure:
            told()
        while self._pending:
            _, _, future = self._pending.popleft()
            if not future.cancelled():
                future.set_exception(Busy(f"the commit failed: {error}"))
                future.exception()  # who has stopped waiting need not look
        self._pending_values = 0

    def _write(self, groups: Sequence[Group]) -> tuple[list[Segment], Cursor]:
        """Commit groups, in the writing thread; return the segments and the new end."""
        now = self.clock()
        writer = self._writer
        if writer is not None and writer.segment.rows:
            segment = writer.segment
            if segment.bytes >= self.segment_bytes or now - segment.first >= self.segment_age:
                self._close_writer()
                writer = None
        if writer is None:
            writer = self._writer = Writer(self._new_segment(now))
        try:
            row = writer.write(groups, now)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY):
                self._close_writer()
            raise
        closed = [segment for segment in self._segments if segment is not writer.segment]
        return [*self._drop_old(closed, writer.segment, now), writer.segment], Cursor(writer.segment.number, row)

    def _new_segment(self, now: float) -> Segment:
        # numbered by the clock, so that a journal begun anew lies behind the cursors of the one before
        last = self._segments[-1] if self._segments else None
        number = max(int(now), self._end.segment + 1, last.number + 1 if last else 0)
        return Segment(
            number, self.directory / f"{number:012d}.journal", before=last.before + last.batches if last else 0
        )

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except sqlite3.Error as error:
                log.error("journal.close_failed", extra={"fields": {"reason": str(error)}})

    def _drop_old(self, closed: list[Segment], current: Segment, now: float) -> list[Segment]:
        """Give up the oldest segments until the rest is within the bounds; return the rest."""
        total = sum(segment.bytes for segment in closed) + current.bytes
        kept = list(closed)
        while kept and (total > self.max_bytes or now - kept[0].last > self.max_age) and now - kept[0].last > self.keep:
            segment = kept.pop(0)
            total -= segment.bytes
            self._reading.submit(self._forget, segment).result()
            segment.remove()
            self.stats.dropped += 1
            log.info("journal.dropped", extra={"fields": {"segment": segment.number, "batches": segment.batches}})
        return kept

    async def read(self, after: Cursor, *, limit: int = 50_000, tables: tuple[str, ...] = ALL) -> list[Read]:
        """Return about `limit` values behind `after` (at least one group); [] at the end.

        Of records only those are read whose table begins with one of `tables`. A cursor before the start continues
        at the start; one of another journal, beyond the end, too.
        """
        if after > self._end:
            after = self.start
        if after == self._end:
            return []
        return await self._in_reader(self._read, after, limit, list(self._segments), tables)

    async def wait(self, after: Cursor) -> None:
        """Return as soon as something lies behind `after`."""
        while (self.start if after > self._end else after) == self._end:
            await self._news.wait()

    async def tail(self, seconds: float) -> Cursor:
        """Return the place before the groups that were committed in the last `seconds` before the newest one."""
        return await self._in_reader(self._tail, seconds, list(self._segments))

    def lost(self, cursor: Cursor) -> int:
        """Return how many batches behind the cursor were dropped before it came to them."""
        if not self._segments or cursor >= self.start or cursor > self._end:
            return 0
        return max(0, self._segments[0].before - self._cursors.passed(cursor, self._segments[0].before))

    def _read(self, after: Cursor, limit: int, segments: Sequence[Segment], tables: tuple[str, ...]) -> list[Read]:
        found: list[Read] = []
        for segment in segments:
            row = after.row if segment.number == after.segment else 0
            if segment.number < after.segment or row >= segment.rows or segment.number in self._cursors.dropped:
                continue
            try:
                groups, damaged = self._reader(segment).read(row, limit, tables)
            except (sqlite3.DatabaseError, ValueError) as error:
                self._report(segment, str(error))
                groups, damaged = self._reader(segment).salvage(row, segment.rows, tables)
            if damaged:
                self.stats.damaged += damaged
                self._report(segment, f"{damaged} groups cannot be read")
            found = [one.at(segment.number) for one in groups if one.id <= segment.rows]
            if found:
                break
        return found

    def _report(self, segment: Segment, reason: str) -> None:
        if segment.number not in self._damaged:
            self._damaged.add(segment.number)
            log.error("journal.damaged", extra={"fields": {"file": segment.path.name, "reason": reason}})

    def _tail(self, seconds: float, segments: Sequence[Segment]) -> Cursor:
        begin = segments[-1].last - seconds if segments else 0.0
        for segment in reversed(segments):
            if segment.first < begin:
                try:
                    return Cursor(segment.number, self._reader(segment).row_at(begin))
                except sqlite3.DatabaseError as error:
                    self._report(segment, str(error))
        return self.start

    def _reader(self, segment: Segment) -> Reader:
        reader = self._readers.pop(segment.number, None) or Reader(segment.path)
        self._readers[segment.number] = reader
        while len(self._readers) > OPEN_READERS:
            self._readers.popitem(last=False)[1].close()
        return reader

    def _forget(self, segment: Segment) -> None:
        """Let go of a segment that will be dropped, and remember what a cursor within it would miss."""
        try:
            numbers = self._reader(segment).numbers()
        except (sqlite3.DatabaseError, TypeError, ValueError):
            numbers = np.array([segment.before, segment.before + segment.batches], dtype=np.int64)
        reader = self._readers.pop(segment.number, None)
        if reader is not None:
            reader.close()
        self._cursors.drop(segment.number, numbers)

    async def cursor(self, name: str) -> Cursor | None:
        """Return the saved place of a handler."""
        return await self._in_reader(self._cursors.get, name)

    async def save_cursor(self, name: str, cursor: Cursor) -> None:
        """Save the place of a handler."""
        await self._in_reader(self._cursors.save, name, cursor)

    async def keep_cursors(self, names: Collection[str]) -> None:
        """Forget the places of all handlers but these."""
        await self._in_reader(self._cursors.keep, frozenset(names))

    async def _in_reader(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reading, lambda: call(*args, **kwargs))

    def _open(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = (self.directory / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"another process has the journal {self.directory}") from None
        self._cursors.open(self.directory / "cursors.sqlite")
        for path in sorted(self.directory.glob("*.journal")):
            if path.stem.isdecimal() and (segment := self._inspect(path)) is not None:
                self._segments.append(segment)
        if self._segments:
            last = self._segments[-1]
            self._end = Cursor(last.number, last.rows)
        self.stats.bytes = sum(segment.bytes for segment in self._segments)

    def _inspect(self, path: Path) -> Segment | None:
        """Return what is known of a file; None when it is empty, or damaged beyond reading and put aside."""
        segment = Segment(int(path.stem), path)
        try:
            whole = describe(segment)
        except sqlite3.DatabaseError as error:
            segment.path = path.with_suffix(".damaged")
            path.rename(segment.path)
            self.stats.damaged += 1
            self._report(segment, str(error))
            return None
        if not whole:
            self.stats.damaged += 1
            self._report(segment, f"only the first {segment.rows} groups can be read")
        if not segment.rows:
            segment.remove()
            return None
        return segment

    def _close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
        self._cursors.close()
        if self._lock is not None:
            self._lock.close()
