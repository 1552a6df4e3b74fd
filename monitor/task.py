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


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("task.ended", extra={"fields": {"task": task.get_name()}}, exc_info=error)
