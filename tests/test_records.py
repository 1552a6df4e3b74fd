"""Records: rows that are no series, on their way through the journal to the handlers that want them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from blocks import DiamondNaming, block
from hypothesis import given
from hypothesis import strategies as st

from monitor.batch import Block, Cursor, Entry, Records, Source
from monitor.handler import Handler, Refused
from monitor.journal import Busy, Journal
from monitor.outlet import Outlet
from monitor.pipeline import Pipeline
from monitor.rates import Rates
from monitor.records import decode, encode

WCS1 = Source("wcs1", "rels")
EVENTS = Records(
    "wcs.StreamEvent", WCS1, 1795234980.25, 2, b"1\ta\n2\t\\N\n" * 200, {"columns": ["timestamp", "x"]}, "q-1"
)
NUMBERS = block((WCS1, 1795234980.0, [1.0]), (WCS1, 1795235040.0, [2.0]))
DOCUMENTS = Records("sora.connections", Source("sora1", "sora"), 1795234981.0, 1, b'{"a":1}\n', {"rtt": 12})


@given(
    st.lists(
        st.builds(
            Records,
            st.sampled_from(["wcs.a", "sora.b", ""]),
            st.builds(Source, st.text(), st.text(), st.text()),
            st.floats(0, 2e9),
            st.integers(0, 10**6),
            st.binary(max_size=600),
            st.dictionaries(st.text(max_size=5), st.integers(-5, 5) | st.text(max_size=5)),
            st.text(max_size=20),
        ),
        max_size=5,
    )
)
def test_records_come_back_as_they_were(records: list[Records]) -> None:
    assert decode(encode(records), ("",)) == records
    assert decode(encode(records), ("wcs.",)) == [one for one in records if one.table == "wcs.a"]


@pytest.mark.parametrize("body", [b"", b"[]x", b"[1]\n", b'[["t",["h","c",""],0,1,{},"",9,true]]\nabc', b"\xff\n"])
def test_a_damaged_row_says_so(body: bytes) -> None:
    with pytest.raises(ValueError):
        decode(body, ("",))


async def test_the_journal_keeps_blocks_and_records_together_and_reads_only_what_is_wanted(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.open()
    try:
        await asyncio.gather(journal.append([NUMBERS, EVENTS]), journal.append([DOCUMENTS]))
        everything = await journal.read(journal.start)
        kept = [entry for group in everything for entry in group.entries if isinstance(entry, Records)]
        assert kept == [EVENTS, DOCUMENTS]
        assert sum(group.batches for group in everything) == 4  # two rows, and each records as one
        (events,) = (entry for group in await journal.read(journal.start, tables=("wcs.",)) for entry in group.entries
                     if isinstance(entry, Records))  # fmt: skip
        assert events == EVENTS
        numbers = await journal.read(journal.start, tables=())
        assert [type(entry) for group in numbers for entry in group.entries] == [Block]
        assert numbers[-1].cursor == everything[-1].cursor == journal.end
    finally:
        await journal.close()
    again = Journal(tmp_path)
    await again.open()
    try:
        assert EVENTS in [entry for group in await again.read(again.start) for entry in group.entries]
    finally:
        await again.close()


class Recorder(Handler):
    batch = 1_000_000
    flush_interval = 0.0
    replay = True

    def __init__(self, name: str, naming: DiamondNaming) -> None:
        super().__init__(name, naming, replay=True, flush_interval=0.0)
        self.got: list[Entry] = []
        self.calls = 0
        self.broken = ""

    async def write(self, blocks: Sequence[Entry], cursor: Cursor) -> Sequence[Refused]:
        self.calls += 1
        if any(isinstance(entry, Records) and entry.id == self.broken for entry in blocks):
            raise ValueError("no such table")
        self.got += blocks
        return ()


class Events(Recorder):
    records: ClassVar[tuple[str, ...]] = ("wcs.",)


async def delivered(journal: Journal, *handlers: Recorder) -> list[Outlet]:
    outlets = [Outlet(handler, journal, sleep=lambda _: asyncio.sleep(0)) for handler in handlers]
    for outlet in outlets:
        await outlet.start()
    async with asyncio.timeout(10):
        while any(outlet.cursor != journal.end for outlet in outlets):
            await asyncio.sleep(0.001)
    assert all(outlet.lag_batches == 0 for outlet in outlets)
    for outlet in outlets:
        await outlet.drain(1)
    return outlets


async def test_records_reach_the_handlers_that_name_their_tables_and_no_others(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.open()
    numbers, events = Recorder("numbers", DiamondNaming()), Events("events", DiamondNaming())
    try:
        await journal.append([EVENTS, NUMBERS])
        await journal.append([DOCUMENTS])
        await delivered(journal, numbers, events)
    finally:
        await journal.close()
    assert [type(entry) for entry in numbers.got] == [Block]
    assert [type(entry) for entry in events.got] == [Block, Records]
    assert EVENTS in events.got
    assert numbers.calls == 1  # a group of which nothing is wanted is no call


async def test_records_that_always_raise_are_refused_once_others_got_through(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.open()
    events = Events("events", DiamondNaming())
    events.broken = "q-1"
    try:
        await journal.append([EVENTS, NUMBERS])
        (outlet,) = await delivered(journal, events)
    finally:
        await journal.close()
    assert outlet.stats.refused == 1
    assert [type(entry) for entry in events.got] == [Block]


async def test_the_pipeline_answers_when_the_journal_has_the_records(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    pipeline = Pipeline(Rates(), journal)
    await journal.open()
    try:
        await pipeline.accept_records([EVENTS])
        assert [entry for group in await journal.read(journal.start) for entry in group.entries] == [EVENTS]
        assert (pipeline.stats.records, pipeline.stats.busy) == (2, 0)
        journal.max_pending = 0
        with pytest.raises(Busy):
            await pipeline.accept_records([EVENTS])
        assert (pipeline.stats.records, pipeline.stats.busy) == (2, 1)
    finally:
        await journal.close()


@pytest.mark.parametrize(
    ("head", "words"), [({"a": object()}, "JSON"), ({"a": "\ud800"}, "JSON"), ({"a": "x" * 70000}, "65536")]
)
async def test_what_the_journal_could_not_keep_is_refused_before_it_harms_others(
    tmp_path: Path, head: dict[str, object], words: str
) -> None:
    journal = Journal(tmp_path)
    await journal.open()
    try:
        with pytest.raises(ValueError, match=words):
            await Pipeline(Rates(), journal).accept_records([EVENTS, Records("t", WCS1, 1.0, 1, b"", head)])
        assert journal.stats.failed == 0
    finally:
        await journal.close()


async def test_what_a_handler_does_not_want_does_not_keep_it_from_the_rest(tmp_path: Path) -> None:
    """Between the numbers lie many large records: one pause for more to come is enough for all of it."""
    journal = Journal(tmp_path)
    await journal.open()
    pauses = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    large = Records("wcs.StreamEvent", WCS1, 1795234980.0, 1, b"x" * 200_000)
    numbers = Recorder("numbers", DiamondNaming())
    numbers.flush_interval, numbers.batch = 1.0, 5000
    try:
        for _ in range(60):
            await journal.append([large])
            await journal.append([NUMBERS])
        outlet = Outlet(numbers, journal, sleep=sleep)
        await outlet.start()
        async with asyncio.timeout(10):
            while outlet.cursor != journal.end:
                await asyncio.sleep(0.001)
        await outlet.drain(1)
    finally:
        await journal.close()
    assert sum(len(block) for block in numbers.got if isinstance(block, Block)) == 120
    assert numbers.calls == 1
    assert len(pauses) == 1
    assert outlet.stats.batches == 180
