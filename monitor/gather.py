"""Hands the batches of many collections to the pipeline together: the rates' turn and the commit are paid once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from monitor.batch import Batch
from monitor.pipeline import Busy

Accept = Callable[[Sequence[Batch]], Awaitable[list[str | None]]]


@dataclass(eq=False, slots=True)
class Waiting:
    """What one collection handed on, and who waits for the answer."""

    batches: Sequence[Batch]
    answer: asyncio.Future[list[str | None]]


class Gather:
    """Takes batches as the pipeline does, and hands on together what comes within `window` seconds."""

    def __init__(self, accept: Accept, *, window: float = 0.1) -> None:
        self.window = window
        self._accept = accept
        self._waiting: list[Waiting] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, batches: Sequence[Batch]) -> list[str | None]:
        """Return what the pipeline answers for these batches, or raise what it raises.

        Whoever is cancelled meanwhile gets no answer, but what it handed on is accepted all the same.
        """
        loop = asyncio.get_running_loop()
        one = Waiting(batches, loop.create_future())
        if self._timer is None:
            self._timer = loop.call_later(self.window, self._begin)
        self._waiting.append(one)
        return await one.answer

    async def close(self, seconds: float) -> None:
        """Hand on what waits, and give it this long; whoever waits longer is cancelled."""
        if self._timer is not None:
            self._timer.cancel()
            self._begin()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def _begin(self) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, []
        task = asyncio.create_task(self._hand_on(waiting), name="gather")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hand_on(self, waiting: Sequence[Waiting]) -> None:
        try:
            reasons = iter(await self._accept([batch for one in waiting for batch in one.batches]))
        except asyncio.CancelledError:
            for one in waiting:
                one.answer.cancel()
            raise
        except Exception as error:
            # Each who waits is told. What is no Busy may be one collector's fault, so all are tried again alone;
            # what the pipeline had taken already is a repeat to it.
            if len(waiting) > 1 and not isinstance(error, Busy):
                for one in waiting:
                    await self._hand_on([one])
                return
            for one in waiting:
                if not one.answer.done():
                    one.answer.set_exception(Busy(str(error)) if isinstance(error, Busy) else error)
            return
        for one in waiting:
            answer = [next(reasons) for _ in one.batches]
            if not one.answer.done():
                one.answer.set_result(answer)
