"""A journal in memory with the interface of the real one, for tests of what reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.batch import Block, Cursor, Entry
from monitor.segment import ALL, Read


@dataclass
class Stats:
    batches: int = 0


class MemoryJournal:
    """Keeps the newest `keep` groups."""

    def __init__(self, keep: int = 1_000_000) -> None:
        self.keep = keep
        self.stats = Stats()
        self.groups: list[Read] = []
        self.cursors: dict[str, Cursor] = {}
        self.start = Cursor(1, 0)
        self.end = Cursor(1, 0)
        self.dropped: list[tuple[Cursor, int]] = []
        self._more = asyncio.Event()

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def append(self, entries: Sequence[Entry]) -> Cursor:
        self.end = Cursor(1, self.end.row + 1)
        batches = sum(entry.batches for entry in entries)
        self.stats.batches += batches
        self.groups.append(Read(self.end, list(entries), batches))
        while len(self.groups) > self.keep:
            self.start, _, gone = self.groups.pop(0)
            self.dropped.append((self.start, gone))
        self._more.set()
        self._more = asyncio.Event()
        return self.end

    async def read(self, after: Cursor, *, limit: int = 50_000, tables: tuple[str, ...] = ALL) -> list[Read]:
        found: list[Read] = []
        size = 0
        for cursor, entries, batches in self.groups:
            if cursor > after and size < limit:
                wanted = [one for one in entries if isinstance(one, Block) or one.table.startswith(tables)]
                found.append(Read(cursor, wanted, batches))
                size += sum(entry.size for entry in entries)
        return found

    async def wait(self, after: Cursor) -> None:
        while self.end <= after:
            await self._more.wait()

    async def cursor(self, name: str) -> Cursor | None:
        return self.cursors.get(name)

    async def save_cursor(self, name: str, cursor: Cursor) -> None:
        self.cursors[name] = cursor

    def lost(self, cursor: Cursor) -> int:
        return sum(count for at, count in self.dropped if at > cursor)
