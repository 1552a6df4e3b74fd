"""/healthz: the process is alive. /readyz: it can do its work. /version. The first two are open to everyone."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Callable

from aiohttp import web

from monitor import __version__
from monitor.options import masked
from monitor.web.answers import answer
from monitor.web.services import Services

LAG_LIMIT = 1.0
"""Seconds of the event loop's lag (99 % of the last minute) above which the process does not count as alive."""
KEPT = 1.0
"""Seconds for which an answer of the database is taken for the next asker too."""
WAIT = 3.0


class Health:
    def __init__(self, services: Services, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.services = services
        self._clock = clock
        self._database: str | None = "not asked yet"
        self._asked = -KEPT
        self._asking = asyncio.Lock()

    async def healthz(self, request: web.Request) -> web.Response:
        lag = self.services.parts.lag.quantile(0.99)
        alive = lag < LAG_LIMIT
        body = {"status": "ok" if alive else "failing", "loop_lag_seconds": round(lag, 6), **self._pause()}
        if not alive:
            body["detail"] = f"the event loop runs {lag:.3f} s late; the limit is {LAG_LIMIT:g} s"
        return answer(body, 200 if alive else 503, NO_STORE)

    async def readyz(self, request: web.Request) -> web.Response:
        database = await self.database()
        checks = {
            "database": masked(database) if database else "ok",
            "schedule": "ok" if self.services.parts.scheduler.placed else "the jobs have no time yet",
        }
        failing = [name for name, found in checks.items() if found != "ok"]
        body = {"status": "not ready" if failing else "ready", "failing": failing, "checks": checks, **self._pause()}
        return answer(body, 503 if failing else 200, NO_STORE)

    def _pause(self) -> dict[str, float]:
        left = self.services.parts.pause.left()
        return {"paused_seconds_left": round(left, 1)} if left else {}

    async def version(self, request: web.Request) -> web.Response:
        return answer({"version": __version__, "python": platform.python_version()})

    async def database(self) -> str | None:
        """Return None when the store can be used, otherwise why not; it is asked once a second at most."""
        async with self._asking:
            if self._clock() - self._asked >= KEPT:
                try:
                    async with asyncio.timeout(WAIT):
                        self._database = await self.services.store.healthy()
                except TimeoutError:
                    self._database = f"the database did not answer within {WAIT:g} s"
                self._asked = self._clock()
            return self._database


NO_STORE = {"Cache-Control": "no-store"}
