"""The maintenance pause: receiving goes on, storing waits, for 5 minutes at most; the journal keeps what waits.

It is asked for by `begin`, or by a file `stop` in data_dir, which counts while it was touched within 5 minutes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger("monitor.pause")

LONGEST = 300.0
LOOKED = 1.0
"""Seconds between two looks at the file."""
AHEAD = 2.0
"""Seconds by which a file's clock may be before ours."""


class Pause:
    def __init__(
        self,
        data_dir: Path,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.file = data_dir / "stop"
        self.count = 0
        """How many pauses began since the start of the process."""
        self._clock = clock
        self._monotonic = monotonic
        self._until = 0.0
        self._touched = 0.0
        self._looked = -LOOKED
        self._on = False
        self._changed = asyncio.Event()

    def begin(self, seconds: float = LONGEST) -> float:
        """Pause from now on for so many seconds, at most 300; return how many are left. 0 ends it, but for the file."""
        self._until = self._monotonic() + min(max(seconds, 0.0), LONGEST)
        self._changed.set()
        return self.left()

    def left(self) -> float:
        """Return how many seconds of the pause are left; 0 when there is none."""
        now = self._monotonic()
        if now - self._looked >= LOOKED:
            self._looked = now
            self._touched = self._look()
        left = max(0.0, self._until - now, self._touched - now)
        self._tell(left)
        return left

    @property
    def on(self) -> bool:
        return self.left() > 0

    @property
    def by_file(self) -> bool:
        """Whether the file holds it, which whoever made it has to take away."""
        return self.on and self._touched > self._monotonic()

    async def over(self) -> None:
        """Return when there is no pause."""
        while (left := self.left()) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(min(left, LOOKED)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _look(self) -> float:
        """Return until when the file holds, by the monotonic clock."""
        try:
            age = self._clock() - self.file.stat().st_mtime
        except OSError:
            return 0.0
        return self._monotonic() + LONGEST - max(age, 0.0) if -AHEAD <= age < LONGEST else 0.0

    def _tell(self, left: float) -> None:
        if (left > 0) == self._on:
            return
        self._on = left > 0
        self.count += self._on
        if self._on:
            log.warning("pause.began", extra={"fields": {"seconds": round(left)}})
        else:
            log.warning("pause.ended")
