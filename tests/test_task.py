"""Tasks that nobody waits for."""

from __future__ import annotations

import asyncio

import pytest

from monitor.task import begin


async def fail() -> None:
    raise KeyError("lost")


async def test_a_task_that_dies_says_so_while_it_is_still_held(caplog: pytest.LogCaptureFixture) -> None:
    task = begin(fail(), "example")
    await asyncio.wait({task})
    await asyncio.sleep(0)
    (record,) = caplog.records
    assert (record.getMessage(), record.fields) == ("task.ended", {"task": "example"})  # type: ignore[attr-defined]
    assert record.exc_info is not None and isinstance(record.exc_info[1], KeyError)


async def test_a_task_that_is_cancelled_ends_quietly(caplog: pytest.LogCaptureFixture) -> None:
    task = begin(asyncio.sleep(60), "example")
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await asyncio.sleep(0)
    assert not caplog.records
