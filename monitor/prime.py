"""Brings the rates back after a restart, so that they go on as if there had been none.

Every minute the last reports of all sources are written to a file. At the start it is read, and after it the journal's
groups since then. Both are read in a thread and learned in slices; a source that reports before its turn comes waits
only for its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import struct
import time
import zlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from monitor.batch import Block, Cursor, Floats, Source
from monitor.group import pack, unpack
from monitor.journal import Busy, Journal
from monitor.rates import Rates
from monitor.task import begin

log = logging.getLogger("monitor.prime")

MAGIC = b"RATES\x00\x00\x01"
RECORD = struct.Struct("<II")
SLICE_ROWS = 100
SLICE_VALUES = 20_000
Part = tuple[Block, Floats | None, Floats | None]
"""Last reports, with each row's times of former reports and how many they are."""


class Prime:
    """Keeps the snapshot of the rates and reads it back."""

    def __init__(
        self, rates: Rates, journal: Journal, path: Path, *, interval: float = 60.0,
        clock: Callable[[], float] = time.time, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:  # fmt: skip
        self.rates = rates
        self.journal = journal
        self.path = path
        self.interval = interval
        self.clock = clock
        self.sleep = sleep
        self.sources = 0
        """How many sources were known again at the start."""
        self.snapshots = 0
        self._read = asyncio.Event()
        self._index: dict[Source, list[tuple[Part, int]]] | None = {}
        self._task: asyncio.Task[None] | None = None
        self._failure = ""

    @property
    def done(self) -> bool:
        """Whether all that was known before the restart is known again."""
        return self._index is None

    def start(self) -> None:
        """Begin to prime, then keep the snapshot; the journal is open."""
        self._task = begin(self._run(), "prime")

    async def close(self) -> None:
        """Stop, with a last snapshot; the journal is still open."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self.done:
            await self.snapshot()

    async def ready(self, sources: Collection[Source]) -> None:
        """Return when the last reports of these sources are known again."""
        if self._index is None:
            return
        await self._read.wait()
        for source in sources:
            for part, row in self._index.pop(source, ()) if self._index is not None else ():
                self._learn(part, [row])

    async def _run(self) -> None:
        await self.prime()
        while True:
            await self.sleep(self.interval)
            await self._contained(self._keep())

    async def _keep(self) -> None:
        complete = False
        while not complete:
            complete = self.rates.expire(self.clock())
            await asyncio.sleep(0)
        self.journal.keep = max(self.journal.keep, 2 * self.rates.largest_heartbeat)
        await self.snapshot()

    async def prime(self) -> None:
        """Learn what was known before the restart. What cannot be read is reported, and its rates begin anew."""
        index = self._index = {}
        parts: list[Part] = []
        await self._contained(self._find(index, parts))
        self.sources = len(index)
        self._read.set()
        await self._contained(self._learn_all(parts))
        self._index = None

    async def _contained(self, work: Awaitable[None]) -> None:
        """The one place where errors end: collection goes on, and at worst some rates begin anew."""
        try:
            await work
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            if reason != self._failure:
                log.error("prime.failed", extra={"fields": {"reason": reason}}, exc_info=error)
            self._failure = reason

    async def _find(self, index: dict[Source, list[tuple[Part, int]]], parts: list[Part]) -> None:
        """Read what was known, and note where each source's part of it is."""
        until = self.journal.end
        found = await asyncio.to_thread(load, self.path)
        if found is None:
            cursor = await self.journal.tail(self.journal.keep)
        else:
            cursor, kept = found
            parts += kept
        for part in parts:
            await self._note(index, part)
        while cursor != until and (groups := await self.journal.read(cursor, tables=())):
            for group in groups:
                for block in group.entries:
                    assert isinstance(block, Block), "records were not asked for"
                    parts.append((block, None, None))
                    await self._note(index, parts[-1])
            cursor = groups[-1].cursor
            if until < cursor:
                break

    async def _learn_all(self, parts: Sequence[Part]) -> None:
        for part in parts:
            for start in range(0, len(part[0]), SLICE_ROWS):
                self._learn(part, range(start, min(start + SLICE_ROWS, len(part[0]))))
                await asyncio.sleep(0)

    async def _note(self, index: dict[Source, list[tuple[Part, int]]], part: Part) -> None:
        for row, source in enumerate(part[0].sources):
            index.setdefault(source, []).append((part, row))
            if row % 1000 == 999:
                await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _learn(self, part: Part, rows: Sequence[int]) -> None:
        block, ring, count = part
        at = list(rows)
        self.rates.restore(block.take(at), None if ring is None else ring[at], None if count is None else count[at])

    async def snapshot(self) -> bool:
        """Write what is known now; return whether that succeeded. It holds nothing that the journal has not."""
        cursor, failed = self.journal.end, self.journal.stats.failed
        parts = []
        for part in self.rates.snapshot(SLICE_VALUES):
            parts.append(part)
            await asyncio.sleep(0)
        try:
            await self.journal.append([])
            if self.journal.stats.failed != failed:
                return False
            await asyncio.to_thread(save, self.path, cursor, parts)
        except (Busy, OSError) as error:
            log.warning("prime.snapshot_failed", extra={"fields": {"reason": str(error)}})
            return False
        self.snapshots += 1
        return True


def save(path: Path, cursor: Cursor, parts: Sequence[tuple[Block, Floats, Floats]]) -> None:
    """Write a snapshot, which takes the place of the last one at once."""
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(MAGIC)
        write_record(file.write, json.dumps({"cursor": cursor, "parts": len(parts)}).encode())
        for block, ring, count in parts:
            dictionary, body = pack([block])
            shape = struct.pack("<IIII", len(dictionary), len(body), *ring.shape)
            arrays = ring.astype("<f8").tobytes() + count.astype("<f8").tobytes()
            write_record(file.write, b"".join((shape, dictionary, body, arrays)))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def write_record(write: Callable[[bytes], object], record: bytes) -> None:
    write(RECORD.pack(len(record), zlib.crc32(record)))
    write(record)


def load(path: Path) -> tuple[Cursor, list[Part]] | None:
    """Return a snapshot and the place in the journal that it was taken at; None when there is none to be read."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        if data[: len(MAGIC)] != MAGIC:
            raise ValueError(f"expected a snapshot, got {data[:8]!r}")
        head, at = read_record(data, len(MAGIC))
        told = json.loads(head)
        parts: list[Part] = []
        for _ in range(told["parts"]):
            record, at = read_record(data, at)
            parts.append(read_part(record))
        return Cursor(*told["cursor"]), parts
    except (ValueError, KeyError, TypeError, struct.error) as error:
        log.error("prime.damaged", extra={"fields": {"file": path.name, "reason": str(error)}})
        return None


def read_record(data: bytes, at: int) -> tuple[bytes, int]:
    size, crc = RECORD.unpack_from(data, at)
    begin = at + RECORD.size
    record = data[begin : begin + size]
    if len(record) != size or zlib.crc32(record) != crc:
        raise ValueError(f"a torn record at byte {at}")
    return record, begin + size


def read_part(record: bytes) -> Part:
    head = struct.Struct("<IIII")
    dictionary, body, rows, width = head.unpack_from(record)
    begin = head.size
    (block,) = unpack(record[begin : begin + dictionary], record[begin + dictionary : begin + dictionary + body])
    begin += dictionary + body
    ring = np.frombuffer(record, "<f8", rows * width, begin).reshape(rows, width)
    return block, ring, np.frombuffer(record, "<f8", rows, begin + 8 * rows * width)
