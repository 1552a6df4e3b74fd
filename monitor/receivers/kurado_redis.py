"""Drains the list of an existing Redis that Kurado's agents push to, at least once.

What is taken moves, within Redis, to a list of our own, and leaves that when the journal has it. Killed at any moment,
or with the connection lost, the next start finds what was not acknowledged there and takes it first; what the journal
has already is known by its source and time. Two appliances with different host names may drain the same list.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from monitor.receivers.kurado_intake import KuradoIntake
from monitor.settings import Kurado
from monitor.task import begin, end, ending

log = logging.getLogger("monitor.receivers.kurado_redis")

AT_ONCE = 200
"""Payloads taken at once."""
BYTES = 1 << 20
"""Bytes of these, about."""
LOOK = 0.5
"""Seconds between two looks at a list that was empty."""
TIMEOUT = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0

# Works with every Redis since 2.6, where LMOVE (6.2) and LMPOP (7.0) do not.
TAKE = """
local taken = redis.call('LRANGE', KEYS[2], 0, ARGV[1] - 1)
if #taken == 0 then
  local bytes = 0
  for i = 1, tonumber(ARGV[1]) do
    local one = redis.call('LPOP', KEYS[1])
    if not one then break end
    redis.call('RPUSH', KEYS[2], one)
    taken[i] = one
    bytes = bytes + #one
    if bytes >= tonumber(ARGV[2]) then break end
  end
end
return {redis.call('LLEN', KEYS[1]), taken}
"""


class KuradoRedis:
    """`name` tells this appliance's own list from those of others."""

    def __init__(
        self, settings: Kurado, intake: KuradoIntake, name: str, *,
        make: Callable[[str, float], Redis] | None = None, first_pause: float = FIRST_PAUSE,
    ) -> None:  # fmt: skip
        self.queue = settings.queue
        self.taken = f"{settings.queue}:taken:{name}"
        self.stats = intake.stats
        self.stats.redis_up = 0
        self._intake = intake
        self._client = (make or client)(settings.redis, TIMEOUT)
        self._first_pause = first_pause
        self._pause = first_pause
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    @property
    def place(self) -> str:
        """Where the Redis is, without the password."""
        known = self._client.connection_pool.connection_kwargs
        return str(known.get("path") or f"{known.get('host', 'localhost')}:{known.get('port', 6379)}")

    def start(self) -> None:
        self._task = begin(self._run(), "kurado_redis")

    async def close(self) -> None:
        """Take no more. What is not acknowledged stays in Redis."""
        if self._task is not None:
            await end(self._task)
            self._task = None
        with suppress(RedisError, OSError):
            await self._client.aclose()

    async def _run(self) -> None:
        while not ending():
            try:
                payloads = await self._take()
                if payloads:
                    await self._deliver(payloads)
                    await self._client.ltrim(self.taken, len(payloads), -1)
            except (RedisError, OSError, TimeoutError) as error:
                await self._failed(error)
                continue
            if not payloads:
                await asyncio.sleep(LOOK)

    async def _take(self) -> Sequence[bytes]:
        """Return what is taken and not acknowledged, else the next ones of the queue."""
        waiting, payloads = await self._client.eval(TAKE, 2, self.queue, self.taken, str(AT_ONCE), str(BYTES))
        self.stats.redis_up, self.stats.redis_waiting = 1, waiting
        self._pause = self._first_pause
        if self._failing:
            self._failing = False
            log.info("kurado_redis.recovered", extra={"fields": {"redis": self.place, "waiting": waiting}})
        return list(payloads)

    async def _deliver(self, payloads: Sequence[bytes]) -> None:
        """Return when the journal has all of them, however long that takes."""
        pause = self._first_pause
        while payloads and not ending():
            answers = await asyncio.gather(*map(self._intake.put, payloads))
            # From the first one refused on all go again, so that each host's keep their order.
            done = next((number for number, answer in enumerate(answers) if answer), len(answers))
            payloads = payloads[done:]
            if payloads:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _failed(self, error: Exception) -> None:
        self.stats.redis_up = 0
        self.stats.redis_failures += 1
        if not self._failing:
            self._failing = True
            reason = str(error) or type(error).__name__
            log.warning("kurado_redis.failing", extra={"fields": {"redis": self.place, "reason": reason[:200]}})
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


def client(url: str, timeout: float) -> Redis:
    return Redis.from_url(
        url, protocol=2, socket_timeout=timeout, socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0), max_connections=1,
    )  # fmt: skip
