"""What an outlet promises its handler (monitor/handler.py), on a journal in memory and on the real one."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from blocks import DiamondNaming, block
from memory_journal import MemoryJournal

from monitor.batch import Block, Cursor, Source
from monitor.handler import DeliveryError, Handler, Refused, Store
from monitor.merge import halves, merge
from monitor.outlet import Outlet
from monitor.segment import Read

WEB1 = Source("web1", "nginx")
TIME = 1795234980.0


class Clock:
    """Time that passes only in `sleep`, which remembers how long it was asked for."""

    def __init__(self) -> None:
        self.now = TIME
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Recorder(Handler):
    """Keeps what it is given; `fail` may raise or refuse."""

    def __init__(self, name: str = "Recorder", **options: Any) -> None:
        super().__init__(name, DiamondNaming(), **{"flush_interval": 0, **options})
        self.writes: list[list[Block]] = []
        self.rows: list[tuple[Source, float, float]] = []
        self.calls: list[str] = []
        self.fail: Callable[[Sequence[Block]], Sequence[Refused]] = lambda blocks: ()
        self.busy = False

    async def open(self) -> None:
        self.calls.append("open")

    async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
        assert not self.busy, "two writes at once"
        assert self.calls[-1:] != ["close"], "a write after close"
        self.busy = True
        try:
            self.calls.append("write")
            await asyncio.sleep(0)
            refused = self.fail(blocks)
            self.writes.append(list(blocks))
            self.rows += [(source, time, values[0]) for one in blocks for source, time, _, values in one.samples()]
            return refused
        finally:
            self.busy = False

    async def close(self) -> None:
        self.calls.append("close")

    @property
    def values(self) -> list[float]:
        return [value for _, _, value in self.rows]


class Ledger(Store):
    """A store in memory: rows and cursor change together."""

    def __init__(self) -> None:
        super().__init__("Ledger", DiamondNaming(), flush_interval=0)
        self.place: Cursor | None = None
        self.values: list[float] = []
        self.fail: Callable[[Sequence[Block]], Sequence[Refused]] = lambda blocks: ()

    async def cursor(self) -> Cursor | None:
        return self.place

    async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
        refused = self.fail(blocks)
        self.values += [values[0] for one in blocks for *_, values in one.samples()]
        self.place = cursor
        return refused


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Let others run until it is true."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.001)


def value(number: float, source: Source = WEB1) -> Block:
    return block((source, TIME + number, [number]))


def outlet(handler: Handler, journal: Any, clock: Clock | None = None, **more: Any) -> Outlet:
    if clock is not None:
        more |= {"clock": clock, "sleep": clock.sleep}
    return Outlet(handler, journal, rng=random.Random(1), **more)


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "monitor.outlet"]


@pytest.fixture(params=["memory", "real"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "memory":
        yield MemoryJournal()
        return
    module = pytest.importorskip("monitor.journal")
    one = module.Journal(tmp_path)
    await one.open()
    yield one
    await one.close()


async def test_a_new_handler_starts_at_the_end(journal: Any) -> None:
    await journal.append([value(1)])
    handler = Recorder()
    one = outlet(handler, journal)
    await one.start()
    await journal.append([value(2)])
    await until(lambda: handler.values == [2])
    await one.drain(5)
    assert handler.calls == ["open", "write", "close"]
    assert await journal.cursor("Recorder") == journal.end == one.cursor


async def test_a_handler_that_forgets_to_return_has_refused_nothing(journal: Any) -> None:
    handler = Recorder()
    handler.fail = lambda blocks: None  # type: ignore[assignment, return-value]
    one = outlet(handler, journal)
    await one.start()
    for number in (1, 2):
        await journal.append([value(number)])
        await until(lambda: len(handler.values) == number)  # noqa: B023
    await one.drain(5)
    assert (one.stats.batches, one.stats.refused) == (2, 0)


async def test_a_new_handler_with_replay_starts_at_the_oldest(journal: Any) -> None:
    await journal.append([value(1)])
    handler = Recorder(replay=True)
    one = outlet(handler, journal)
    await one.start()
    await until(lambda: handler.values == [1])
    await one.drain(5)


async def test_a_new_handler_that_never_connected_keeps_its_place(journal: Any) -> None:
    class Away(Recorder):
        async def open(self) -> None:
            raise OSError("away")

    one = outlet(Away(), journal)
    await one.start()
    await journal.append([value(1)])
    await until(lambda: one.stats.retries > 0)
    await one.drain(5)

    handler = Recorder()
    one = outlet(handler, journal)
    await one.start()
    await until(lambda: handler.values == [1])
    await one.drain(5)


async def test_a_restarted_outlet_goes_on_where_it_was(journal: Any) -> None:
    handler = Recorder()
    first = outlet(handler, journal)
    await first.start()
    await journal.append([value(1)])
    await until(lambda: handler.values == [1])
    await first.drain(5)
    await journal.append([value(2)])

    again = Recorder()
    second = outlet(again, journal)
    await second.start()
    await until(lambda: again.values == [2])
    await second.drain(5)


async def test_a_store_says_itself_where_it_is_and_starts_at_the_oldest_when_it_is_new(journal: Any) -> None:
    await journal.append([value(1)])
    store = Ledger()
    first = outlet(store, journal)
    await first.start()
    await until(lambda: store.values == [1])
    await first.drain(5)
    assert store.place == journal.end
    assert await journal.cursor("Ledger") is None

    await journal.append([value(2)])
    second = outlet(store, journal)
    await second.start()
    await until(lambda: store.values == [1, 2])
    await second.drain(5)


async def test_a_cursor_from_a_journal_that_was_taken_away_starts_at_the_oldest(
    journal: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await journal.append([value(1)])
    store = Ledger()
    store.place = Cursor(1 << 60, 5)
    one = outlet(store, journal)
    await one.start()
    await until(lambda: store.values == [1])
    await one.drain(5)
    assert events(caplog) == ["outlet.cursor_ahead"]


async def test_failed_writes_are_tried_again_with_the_same_blocks_and_logged_once_each_way(
    journal: Any, caplog: pytest.LogCaptureFixture
) -> None:
    clock, handler, tries = Clock(), Recorder(), 0

    def fail(blocks: Sequence[Block]) -> Sequence[Refused]:
        nonlocal tries
        tries += 1
        if tries < 9:
            raise ConnectionRefusedError("nobody there")
        return ()

    handler.fail = fail
    one = outlet(handler, journal, clock)
    await one.start()
    for number in range(3):
        await journal.append([value(number)])
    await until(lambda: len(handler.values) == 3)
    await one.drain(5)
    assert handler.values == [0, 1, 2]
    assert handler.calls.count("open") == 1
    assert one.stats.retries == 8
    assert one.stats.failing_since is None
    assert one.stats.last_error == "write: ConnectionRefusedError: nobody there"
    assert events(caplog) == ["outlet.failing", "outlet.recovered"]
    assert caplog.records[-1].fields["tries"] == 9  # type: ignore[attr-defined]


async def test_pauses_grow_with_full_jitter_up_to_a_minute() -> None:
    clock, journal, handler = Clock(), MemoryJournal(), Recorder()

    def fail(blocks: Sequence[Block]) -> Sequence[Refused]:
        if len(clock.slept) < 400:
            raise OSError("away")
        return ()

    handler.fail = fail
    one = outlet(handler, journal, clock)
    await one.start()
    await journal.append([value(1)])
    await until(lambda: handler.values == [1])
    await one.drain(5)
    bounds = [min(60.0, 2.0**n) for n in range(400)]
    assert all(0 <= pause <= bound for pause, bound in zip(clock.slept, bounds, strict=False))
    late = clock.slept[6:]
    assert max(late) > 55 and min(late) < 5
    assert 25 < sum(late) / len(late) < 35


async def test_the_target_may_ask_for_a_longer_pause() -> None:
    clock, journal, handler = Clock(), MemoryJournal(), Recorder()

    def fail(blocks: Sequence[Block]) -> Sequence[Refused]:
        if len(clock.slept) < 1:
            raise DeliveryError("busy", retry_after=90)
        if len(clock.slept) < 2:
            raise DeliveryError("busy", retry_after=1e9)
        return ()

    handler.fail = fail
    one = outlet(handler, journal, clock)
    await one.start()
    await journal.append([value(1)])
    await until(lambda: handler.values == [1])
    await one.drain(5)
    assert 90 <= clock.slept[0] <= 91
    assert 300 <= clock.slept[1] <= 302


async def test_a_write_that_takes_too_long_is_cancelled_and_tried_again() -> None:
    class Slow(Recorder):
        async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
            if not self.calls.count("cancelled"):
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    self.calls.append("cancelled")
                    raise
            return await super().write(blocks, cursor)

    journal, handler = MemoryJournal(), Slow(timeout=0.01)
    one = outlet(handler, journal, Clock())
    await one.start()
    await journal.append([value(1)])
    await until(lambda: handler.values == [1])
    await one.drain(5)
    assert handler.calls == ["open", "cancelled", "write", "close"]
    assert one.stats.last_error == "write: no answer within 0.01 s"


@pytest.mark.parametrize(("max_reasons", "logged"), [(100, 3), (2, 2)])
async def test_refused_items_are_counted_and_logged_once_per_reason(
    caplog: pytest.LogCaptureFixture, max_reasons: int, logged: int
) -> None:
    journal, handler = MemoryJournal(), Recorder()
    handler.fail = lambda blocks: [
        Refused(f"item {i}", f"the field x{i} is of another type" if i % 2 else "too old") for i in range(6)
    ]
    one = outlet(handler, journal, max_reasons=max_reasons)
    await one.start()
    for number in range(3):
        await journal.append([value(number)])
        await until(lambda: len(handler.values) == number + 1)  # noqa: B023
    handler.fail = lambda blocks: [Refused("other", "a third reason")]
    await journal.append([value(3)])
    await until(lambda: len(handler.values) == 4)
    await one.drain(5)
    assert one.stats.refused == 19
    assert one.stats.batches == 4
    assert events(caplog) == ["outlet.refused"] * logged


async def test_a_row_that_the_handler_cannot_take_is_refused_and_the_rest_delivered(
    journal: Any, caplog: pytest.LogCaptureFixture
) -> None:
    handler = Recorder()

    def fail(blocks: Sequence[Block]) -> Sequence[Refused]:
        if any(source.host == "poison" for one in blocks for source in one.sources):
            raise ValueError("cannot encode this")
        return ()

    handler.fail = fail
    one = outlet(handler, journal, Clock())
    await one.start()
    rows = [(Source("poison" if i == 37 else f"h{i}", "c"), TIME, [i]) for i in range(100)]
    await journal.append([block(*rows), block((WEB1, TIME, [1, 2]), names=["x", "y"])])
    await until(lambda: one.cursor == journal.end)
    await one.drain(5)
    assert {source.host for source, _, _ in handler.rows} == {f"h{i}" for i in range(100) if i != 37} | {"web1"}
    assert len(handler.rows) == 100
    assert one.stats.refused == 1
    assert events(caplog) == ["outlet.failing", "outlet.recovered", "outlet.refused"]
    assert caplog.records[-1].fields["item"] == "poison:c:"  # type: ignore[attr-defined]


async def test_a_single_poison_row_waits_for_proof_that_it_is_the_row_and_not_the_target(
    journal: Any, caplog: pytest.LogCaptureFixture
) -> None:
    handler = Recorder()

    def fail(blocks: Sequence[Block]) -> Sequence[Refused]:
        if any(source.host == "poison" for one in blocks for source in one.sources):
            raise ValueError("cannot encode this")
        return ()

    handler.fail = fail
    one = outlet(handler, journal, Clock())
    await one.start()
    await journal.append([value(1, Source("poison", "c"))])
    await until(lambda: one.stats.retries > 10)
    assert one.stats.refused == 0
    assert events(caplog) == ["outlet.failing"]
    await journal.append([value(2)])
    await until(lambda: one.cursor == journal.end)
    await one.drain(5)
    assert handler.values == [2]
    assert one.stats.refused == 1


async def test_a_store_moves_its_cursor_behind_a_poison_row(journal: Any) -> None:
    store = Ledger()

    def fail(blocks: Sequence[Block]) -> Sequence[Refused]:
        if any(math.isinf(values[0]) for one in blocks for *_, values in one.samples()):
            raise TypeError("cannot store this")
        return ()

    store.fail = fail
    await journal.append([value(1), value(math.inf), value(2)])
    one = outlet(store, journal, Clock())
    await one.start()
    await until(lambda: store.place == journal.end)
    await one.drain(5)
    assert store.values == [1, 2]


async def test_a_slow_handler_slows_no_other(journal: Any) -> None:
    class Stuck(Recorder):
        async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
            await asyncio.sleep(3600)
            return ()

    stuck, quick = outlet(Stuck("Stuck"), journal), Recorder("Quick")
    other = outlet(quick, journal)
    await stuck.start()
    await other.start()
    for number in range(20):
        await journal.append([value(number)])
    await until(lambda: quick.values == list(range(20)))
    assert stuck.stats.writing
    assert stuck.lag_batches == 20
    assert other.lag_batches == 0
    assert other.lag_seconds == 0
    await other.drain(5)
    async with asyncio.timeout(2):
        await stuck.drain(0.05)


async def test_what_comes_within_the_flush_interval_is_written_together_in_one_block(journal: Any) -> None:
    handler = Recorder(flush_interval=0.3)
    one = outlet(handler, journal)
    await one.start()
    for number in range(4):
        await journal.append([value(number)])
        await asyncio.sleep(0.01)
    await until(lambda: len(handler.values) == 4)
    await one.drain(5)
    assert [len(blocks) for blocks in handler.writes] == [1]
    assert len(handler.writes[0][0]) == 4


async def test_a_full_batch_is_written_at_once_and_is_not_much_larger_than_asked_for(journal: Any) -> None:
    handler = Recorder(flush_interval=600, batch=10, replay=True)
    for number in range(100):
        await journal.append([value(number)])
    one = outlet(handler, journal)
    await one.start()
    await until(lambda: len(handler.values) == 100)
    await one.drain(5)
    assert handler.values == list(range(100))
    assert all(len(blocks[0]) == 10 for blocks in handler.writes)


async def test_what_the_journal_could_not_keep_is_counted_as_lost(caplog: pytest.LogCaptureFixture) -> None:
    journal, handler, away = MemoryJournal(keep=5), Recorder(batch=1), True

    def fail(blocks: Sequence[Block]) -> Sequence[Refused]:
        if away:
            raise OSError("away")
        return ()

    handler.fail = fail
    one = outlet(handler, journal, pauses=None)
    await one.start()
    await journal.append([value(0)])
    await until(lambda: one.stats.retries > 0)
    for number in range(1, 20):
        await journal.append([value(number)])
    away = False
    await until(lambda: handler.values[-1:] == [19])
    await one.drain(5)
    assert handler.values == [0, 15, 16, 17, 18, 19]
    assert one.stats.lost == 14
    assert events(caplog).count("outlet.lost") == 1


async def test_the_lag_is_the_age_of_the_oldest_batch_that_is_not_delivered() -> None:
    clock, journal, handler, away = Clock(), MemoryJournal(), Recorder(), True

    def fail(blocks: Sequence[Block]) -> Sequence[Refused]:
        if away:
            raise OSError("away")
        return ()

    handler.fail = fail
    one = outlet(handler, journal, clock)
    await one.start()
    assert one.lag_seconds == 0
    await journal.append([value(0), value(-86400)])
    await until(lambda: clock.now > TIME + 120)
    assert one.lag_seconds == clock.now - TIME
    assert one.lag_batches == 2
    assert one.stats.failing_since == TIME
    away = False
    await until(lambda: len(handler.values) == 2)
    await until(lambda: one.lag_seconds == 0)
    assert one.lag_batches == 0
    await one.drain(5)


async def test_the_lag_in_batches_counts_what_was_not_even_read(journal: Any) -> None:
    handler = Recorder(batch=1)

    def fail(blocks: Sequence[Block]) -> Sequence[Refused]:
        if len(handler.rows) == 7:
            raise OSError("away")
        return ()

    handler.fail = fail
    for number in range(3):
        await journal.append([value(number)])
    one = outlet(handler, journal)
    await one.start()
    await journal.append([value(number) for number in range(5)])
    for number in range(5, 9):
        await journal.append([value(number)])
    await until(lambda: one.stats.retries > 0)
    assert (len(handler.rows), one.lag_batches) == (7, 2)
    handler.fail = lambda blocks: ()
    await until(lambda: one.cursor == journal.end)
    assert one.lag_batches == 0
    await one.drain(5)


async def test_drain_delivers_what_is_there_without_waiting_for_more(journal: Any) -> None:
    handler = Recorder(flush_interval=600)
    one = outlet(handler, journal)
    await one.start()
    await journal.append([value(1)])
    async with asyncio.timeout(5):
        await one.drain(60)
    assert handler.values == [1]
    assert handler.calls[-1] == "close"
    assert await journal.cursor("Recorder") == journal.end


async def test_drain_does_not_wait_for_a_target_that_is_away(journal: Any) -> None:
    handler = Recorder()

    def fail(blocks: Sequence[Block]) -> Sequence[Refused]:
        raise OSError("away")

    handler.fail = fail
    one = outlet(handler, journal)
    await one.start()
    await journal.append([value(1)])
    await until(lambda: one.stats.retries > 0)
    async with asyncio.timeout(5):
        await one.drain(60)
    assert handler.calls[-1] == "close"

    again = Recorder()
    next_one = outlet(again, journal)
    await next_one.start()
    await until(lambda: again.values == [1])
    await next_one.drain(5)


async def test_a_handler_that_cannot_be_closed_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    class Sticky(Recorder):
        close_timeout = 0.05

        async def close(self) -> None:
            await asyncio.sleep(3600)

    one = outlet(Sticky(), MemoryJournal())
    await one.start()
    async with asyncio.timeout(5):
        await one.drain(1)
    assert events(caplog) == ["outlet.close_failed"]


async def test_a_handler_that_somebody_else_opened_is_left_to_him() -> None:
    journal, handler = MemoryJournal(), Recorder()
    one = outlet(handler, journal, opened=True)
    await one.start()
    await journal.append([value(1)])
    await until(lambda: handler.values == [1])
    await one.drain(5)
    assert handler.calls == ["write"]


async def test_a_failing_journal_is_tried_again_and_not_the_end() -> None:
    class Broken(MemoryJournal):
        broken = 2

        async def read(self, after: Cursor, **options: Any) -> list[Read]:
            if self.broken:
                self.broken -= 1
                raise OSError("disk")
            return await super().read(after, **options)

    journal, handler = Broken(), Recorder()
    one = outlet(handler, journal, Clock())
    await one.start()
    await journal.append([value(1)])
    await until(lambda: handler.values == [1])
    await one.drain(5)
    assert one.stats.last_error == "read: OSError: disk"


async def test_an_outlet_rests_when_the_journal_cannot_read_on() -> None:
    class Damaged(MemoryJournal):
        reads = 0

        async def read(self, after: Cursor, **options: Any) -> list[Read]:
            self.reads += 1
            return [group for group in await super().read(after, **options) if group[0].row > 1]

    clock, journal, handler = Clock(), Damaged(), Recorder()
    one = outlet(handler, journal, clock)
    await one.start()
    await journal.append([value(1)])
    await until(lambda: journal.reads >= 3)
    assert clock.slept[:2] == [1.0, 1.0]
    await journal.append([value(2)])
    await until(lambda: handler.values == [2])
    await one.drain(5)
    assert one.cursor == journal.end


async def test_a_healthy_outlet_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "monitor")
    journal, handler = MemoryJournal(), Recorder()
    one = outlet(handler, journal)
    await one.start()
    await journal.append([value(1)])
    await until(lambda: handler.values == [1])
    await one.drain(5)
    assert events(caplog) == []


def test_merged_blocks_keep_every_row_in_order_with_its_meta() -> None:
    other = block((WEB1, TIME, [1, 2]), names=["x", "y"])
    first, second = value(1), block((WEB1, TIME, [2]), (WEB1, TIME, [3]))
    first.meta[0] = {"version": "1"}
    second.meta[1] = {"version": "3"}
    merged = merge([first, other, second])
    assert [len(one) for one in merged] == [3, 1]
    assert merged[0].rates.tolist() == [[1], [2], [3]]
    assert merged[0].meta == {0: {"version": "1"}, 2: {"version": "3"}}
    assert merged[1] is other
    assert merge([]) == []


def test_halves_hold_every_row_once_down_to_single_rows() -> None:
    blocks = [block(*((WEB1, TIME, [i]) for i in range(5))), value(5), value(6)]
    parts, rows = [blocks], []
    while parts:
        part = parts.pop(0)
        smaller = halves(part)
        if not smaller:
            rows += [values[0] for one in part for *_, values in one.samples()]
        parts += smaller
    assert sorted(rows) == list(range(7))
