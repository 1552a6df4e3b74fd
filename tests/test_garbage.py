"""Many objects are made and freed while the event loop goes on."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from monitor.garbage import SLICE, let_go, uncollected


class Thing:
    pass


def test_the_collector_rests_meanwhile_and_leaves_alone_what_was_made() -> None:
    try:
        with pytest.raises(ValueError), uncollected():
            assert not gc.isenabled()
            made = [Thing()]
            assert any(each is made for each in gc.get_objects())
            raise ValueError
        assert gc.isenabled()
        assert not any(each is made for each in gc.get_objects())
    finally:
        gc.unfreeze()


async def test_objects_are_freed_a_slice_at_a_time() -> None:
    things = [Thing() for _ in range(3 * SLICE)]
    watched = [weakref.ref(thing) for thing in things]
    freeing = asyncio.ensure_future(let_go(things))
    left = []
    while not freeing.done():
        await asyncio.sleep(0)
        left.append(sum(ref() is not None for ref in watched))
    assert left[:3] == [2 * SLICE, SLICE, 0]
