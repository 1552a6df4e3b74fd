"""Time that passes only when a test lets it."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class Time:
    """A clock (`time()`, `time.sleep`) for components that take theirs as parameters."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = itertools.count()
        self._elapsed = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._count), future))
        await future

    async def pass_(self, seconds: float) -> None:
        """Let time pass, waking whoever sleeps on the way in order."""
        end = self._elapsed + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, future = heapq.heappop(self._sleepers)
            self._to(at)
            if not future.done():
                future.set_result(None)
                await self._settle()
        self._to(end)

    def set(self, now: float) -> None:
        """Set the clock, as an operator or NTP does; sleepers do not notice."""
        self.now = now

    def _to(self, elapsed: float) -> None:
        self.now += elapsed - self._elapsed
        self._elapsed = elapsed

    async def _settle(self) -> None:
        for _ in range(12):
            await asyncio.sleep(0)
