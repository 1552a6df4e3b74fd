"""Makes and frees many objects without holding the event loop."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SLICE = 200


@contextmanager
def uncollected() -> Iterator[None]:
    """Make objects that stay, in a thread: the collector does not walk them, now or later.

    It would do so while they grow, each time over all of them, and hold the loop for 50 ms at 10,000 hosts.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


async def let_go(objects: list[Any]) -> None:
    """Free objects that nothing else refers to, in slices; at once they would hold the loop for 30 ms."""
    while objects:
        del objects[-SLICE:]
        await asyncio.sleep(0)
