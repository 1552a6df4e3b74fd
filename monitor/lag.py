"""How late the event loop runs what is due: the one number that says whether something blocks it."""

from __future__ import annotations

import asyncio
from collections import deque


class Lag:
    """Asks the loop for a wake-up every `interval` seconds and remembers how late each one came, for a minute."""

    def __init__(self, interval: float = 0.05, remember: float = 60.0) -> None:
        self.interval = interval
        self.worst = 0.0
        """The longest since the start, in seconds."""
        self._late: deque[float] = deque(maxlen=max(1, round(remember / interval)))
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()

        def wake(due: float) -> None:
            now = loop.time()
            late = max(0.0, now - due)
            self._late.append(late)
            self.worst = max(self.worst, late)
            self._timer = loop.call_at(now + self.interval, wake, now + self.interval)

        first = loop.time() + self.interval
        self._timer = loop.call_at(first, wake, first)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def quantile(self, q: float) -> float:
        """Return the lag in seconds that the share q of the last minute's wake-ups stayed within; 0 without any."""
        late = sorted(self._late)
        return late[min(len(late) - 1, int(q * len(late)))] if late else 0.0
