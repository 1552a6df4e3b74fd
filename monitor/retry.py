"""Trying until it succeeds: growing pauses with full jitter, failures as numbers and one log line each way."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from monitor.handler import DeliveryError

T = TypeVar("T")

DEFECTS = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
"""What is raised because of an item rather than because a target is away."""


class Stopped(Exception):  # noqa: N818 - it reports no error
    """A try failed after `stop` was called."""


@dataclass(slots=True)
class Failures:
    """What went wrong: counts since the start of the process, times in epoch seconds."""

    retries: int = 0
    failing_since: float | None = None
    last_error: str = ""
    last_error_at: float | None = None


@dataclass(frozen=True, slots=True)
class Pauses:
    """The first pause is up to `first` seconds, the bound doubles up to `longest`."""

    first: float = 1.0
    longest: float = 60.0
    longest_retry_after: float = 300.0

    def after(self, tries: int, error: Exception, rng: random.Random) -> float:
        """Return how long to wait after that many failed tries: at least what the target asked for."""
        asked = error.retry_after if isinstance(error, DeliveryError) else 0.0
        bound = min(self.longest, self.first * 2.0 ** min(tries - 1, 30))
        return min(asked, self.longest_retry_after) + rng.uniform(0, bound)


class Retry:
    """Tries actions until they succeed, or, once stopped, until one fails.

    It logs `EVENT.failing` once when the first try fails and `EVENT.recovered` once when that action succeeds.
    """

    def __init__(
        self,
        log: logging.Logger,
        event: str,
        name: str,
        failures: Failures,
        *,
        timeout: float,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        rng: random.Random,
        pauses: Pauses,
    ) -> None:
        self._log = log
        self._event = event
        self._name = name
        self._failures = failures
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        self._rng = rng
        self._pauses = pauses
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Wake whoever waits; from now on the first failure ends in `Stopped`."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    async def until_done(self, what: str, action: Callable[[], Awaitable[T]]) -> T:
        """Return what the action returns, however often it has to be tried. Whatever it raises ends here."""
        tries = 0
        while True:
            try:
                result = await action()
            except Stopped:
                raise
            except Exception as error:
                tries += 1
                self._failed(what, error)
                if self.stopping:
                    raise Stopped from error
                await self.pause(self._pauses.after(tries, error, self._rng))
            else:
                if tries:
                    self._succeeded(tries + 1)
                return result

    async def pause(self, seconds: float) -> None:
        """Sleep, but no longer than until `stop`."""
        await self.unless_stopped(self._sleep(seconds))

    async def unless_stopped(self, wait: Awaitable[None]) -> None:
        """Wait, but no longer than until `stop`."""
        tasks = [asyncio.ensure_future(wait), asyncio.ensure_future(self._stopping.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                tasks[0].result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _failed(self, what: str, error: Exception) -> None:
        failures = self._failures
        failures.retries += 1
        failures.last_error = f"{what}: {describe(error, self._timeout)}"
        failures.last_error_at = self._clock()
        if failures.failing_since is None:
            failures.failing_since = failures.last_error_at
            fields = {"handler": self._name, "reason": failures.last_error}
            trace = error if isinstance(error, DEFECTS) else None
            self._log.warning(f"{self._event}.failing", extra={"fields": fields}, exc_info=trace)

    def _succeeded(self, tries: int) -> None:
        if self._failures.failing_since is not None:
            seconds = round(self._clock() - self._failures.failing_since, 1)
            self._failures.failing_since = None
            fields = {"handler": self._name, "seconds": seconds, "tries": tries}
            self._log.warning(f"{self._event}.recovered", extra={"fields": fields})


def describe(error: Exception, timeout: float) -> str:
    """Return one line for the operator."""
    text = " ".join(str(error).split())[:300]
    if isinstance(error, TimeoutError) and not text:
        return f"no answer within {timeout:g} s"
    if isinstance(error, DeliveryError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
