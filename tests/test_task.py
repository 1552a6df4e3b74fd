"""Tasks that nobody waits for."""

from __future__ import annotations

import asyncio

import pytest

from monitor.task import begin, end, ending


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


async def test_a_task_that_takes_a_cancellation_for_an_answer_is_ended_all_the_same() -> None:
    swallowed = 0

    async def work() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed > 2:
                    raise

    task = begin(work(), "example")
    await asyncio.sleep(0)
    await end(task, again=0.01)
    assert task.cancelled()
    assert swallowed == 3
    await end(task)


async def test_a_task_knows_that_it_was_cancelled_though_what_it_waited_for_kept_it_back() -> None:
    async def work() -> None:
        while not ending():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    task = begin(work(), "example")
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert task.done()
