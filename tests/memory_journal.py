"""A journal in memory with the interface of the real one, for tests of what reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.batch import Block, Cursor


@dataclass
class Stats:
    batches: int = 0


class MemoryJournal:
    """Keeps the newest `keep` groups."""

    def __init__(self, keep: int = 1_000_000) -> None:
        self.keep = keep
        self.stats = Stats()
        self.groups: list[tuple[Cursor, list[Block]]] = []
        self.cursors: dict[str, Cursor] = {}
        self.start = Cursor(1, 0)
        self.end = Cursor(1, 0)
        self.dropped: list[tuple[Cursor, int]] = []
        self._more = asyncio.Event()

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def append(self, blocks: Sequence[Block]) -> Cursor:
        self.end = Cursor(1, self.end.row + 1)
        self.stats.batches += sum(map(len, blocks))
        self.groups.append((self.end, list(blocks)))
        while len(self.groups) > self.keep:
            self.start, gone = self.groups.pop(0)
            self.dropped.append((self.start, sum(map(len, gone))))
        self._more.set()
        self._more = asyncio.Event()
        return self.end

    async def read(self, after: Cursor, *, limit: int = 50_000) -> list[tuple[Cursor, list[Block]]]:
        found: list[tuple[Cursor, list[Block]]] = []
        size = 0
        for cursor, blocks in self.groups:
            if cursor > after and size < limit:
                found.append((cursor, blocks))
                size += sum(block.size for block in blocks)
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
