"""Tasks that nobody waits for: one that dies says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger("monitor.task")


def begin(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Start a task; what it raises is logged as `task.ended` when it ends, not when it is forgotten. Keep the task."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_ended)
    return task


def ending() -> bool:
    """Return whether the task that asks was cancelled, even if what it waited for did not let it know."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def end(task: asyncio.Task[None], again: float = 0.5) -> None:
    """Cancel a task and return when it has ended.

    It is asked again and again: what waits with asyncio.wait_for, as clients of network services do, takes a
    cancellation for the answer that came in the same moment (before Python 3.12), and goes on.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=again)


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("task.ended", extra={"fields": {"task": task.get_name()}}, exc_info=error)
