"""Writes what agents say beside numbers into a Redis under Kurado's own keys, for scripts that read them there.

It is a copy, made as well as it goes: what waits is bounded, and the oldest of it is let go of when Redis is away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from monitor.facts import KEPT, META_EXPIRES, WARNING_EXPIRES
from monitor.liveness import Report
from monitor.task import begin, end, ending

log = logging.getLogger("monitor.redis_meta")

ROOM = 20_000
"""Reports that wait at most."""
COMMANDS = 150
"""Of one write, about: they are made and answered without a rest."""
TIMEOUT = 5.0
LAST = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0

Word = str | bytes | int


@dataclass(slots=True)
class RedisMetaStats:
    """Counts since the start of the process."""

    written: int = 0
    failed: int = 0
    dropped: int = 0
    """Reports let go of because too many waited."""
    refused: int = 0
    """Reports of which Redis did not take all, as where a key holds something else."""


class RedisMeta:
    def __init__(
        self, url: str, *, room: int = ROOM, timeout: float = TIMEOUT, clock: Callable[[], float] = time.time
    ) -> None:
        self.stats = RedisMetaStats()
        self._client = Redis.from_url(
            url, protocol=2, socket_timeout=timeout, socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0), max_connections=1,
        )  # fmt: skip
        # Within a transaction every command is answered by QUEUED, which the client would take for its result.
        self._client.response_callbacks.clear()
        self._waiting: deque[Report] = deque()
        self._room = room
        self._clock = clock
        self._come = asyncio.Event()
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def tell(self, reports: Sequence[Report]) -> None:
        """Take reports to write; it never waits."""
        self._waiting.extend(reports)
        while len(self._waiting) > self._room:
            self._waiting.popleft()
            self.stats.dropped += 1
        self._come.set()

    def start(self) -> None:
        self._task = begin(self._run(), "redis_meta")

    async def close(self) -> None:
        """Write what waits, if that works at once."""
        if self._task is not None:
            await end(self._task)
            self._task = None
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST):
                while self._waiting and await self._write():
                    pass
        with suppress(RedisError, OSError):
            await self._client.aclose()

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while not ending():
            if not self._waiting:
                self._come.clear()
                await self._come.wait()
            if await self._write():
                pause = FIRST_PAUSE
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _write(self) -> bool:
        """Write the oldest; False when that failed, which is logged when it begins and ends."""
        dropped = self.stats.dropped
        now, count = self._clock(), 0
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                while len(pipe) < COMMANDS and count < len(self._waiting):
                    for command in _commands(self._waiting[count], now):
                        pipe.execute_command(*command)
                    count += 1
                answers = await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            self.stats.failed += 1
            if not self._failing:
                reason = f"{type(error).__name__}: {str(error)[:200]}"
                log.warning("redis_meta.failing", extra={"fields": {"reason": reason}})
            self._failing = True
            return False
        if self._failing:
            log.warning("redis_meta.recovered", extra={"fields": {"dropped": self.stats.dropped}})
        self._failing = False
        # Those that were let go of meanwhile were the oldest, which are among the written.
        for _ in range(max(0, count - (self.stats.dropped - dropped))):
            self._waiting.popleft()
        refused = sum(isinstance(one, list) and any(isinstance(word, RedisError) for word in one) for one in answers)
        self.stats.refused += refused
        self.stats.written += count - refused
        return True


def _commands(one: Report, now: float) -> Iterator[tuple[Word, ...]]:
    """Yield the commands of one report, which are one transaction."""
    plugin = f"{one.host}/{quote(one.plugin, safe='-_', errors='replace')}"
    yield ("MULTI",)
    yield from _facts(f"storage/{plugin}", one.meta, int(one.at + META_EXPIRES), now)
    if one.warnings:
        told = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(one.at))
        warnings = {key: f"{told} {text}" for key, text in one.warnings.items()}
        expires = int(one.at + WARNING_EXPIRES)
        yield from _facts(f"__warn__/{plugin}", warnings, expires, now)
        if expires > now:
            yield "SETEX", f"__warn__/{one.host}", int(expires - now), int(one.at)
    yield "SETEX", f"__last_recieved__/{plugin}", int(KEPT), int(one.at)
    yield ("EXEC",)


def _facts(name: str, facts: Mapping[str, str], expires: int, now: float) -> Iterator[tuple[Word, ...]]:
    """Yield what keeps texts until a time: a sorted set of their keys, and each under a key of its own."""
    if not facts or (left := int(expires - now)) <= 0:
        return
    yield "ZADD", name, *(word for key in facts for word in (expires, _bytes(key)))
    for key, text in facts.items():
        yield "SETEX", _bytes(f"{name}/{key}"), left, _bytes(text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
