"""What is counted of the events of WCS servers: against plain Python, and on its way to the journal."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rels_parts import ROW, receiving

from collectors.rels import METRICS
from monitor import received
from monitor.batch import Batch
from monitor.pipeline import Busy
from monitor.receivers import rels_sessions, rels_tally
from monitor.receivers.rels_plan import NAMES, PLANS
from monitor.receivers.rels_series import PIECE, RelsSeries, pieces, split
from monitor.receivers.rels_tally import FRESH, KEPT, ServerNumbers, Tally
from monitor.wire.clickhouse.formats import read
from monitor.wire.clickhouse.grid import Grid, distinct
from monitor.wire.clickhouse.rows import Rows
from monitor.wire.clickhouse.tables import DICTIONARIES, TABLES
from monitor.wire.clickhouse.types import columns

PEER = "198.51.100.9"
WORDS = DICTIONARIES["DictionaryStreamEvents"].words
CELL = st.text("ab\\\u00e9-0", max_size=40).map(lambda text: text.replace("\\", "\\\\"))


def event(server: str = "10.0.0.7", *, stream: str = "s", type: int = 1, session: str = "c", media: str = "m") -> str:
    return f"1700000000000\t{server}\t{session}\t{media}\t{stream}\t{type}\tp\n"


def of(name: str, **cells: Any) -> bytes:
    """Return a row of a table; cells that are not given are empty or zero."""
    assert cells.keys() <= {column for column, _ in TABLES[name].columns}
    usual = {"String": "", "IPv4": "10.0.0.7", "Bool": "false"}
    texts = [str(cells.get(column, usual.get(type, "0"))) for column, type in TABLES[name].columns]
    return "\t".join(texts).encode() + b"\n"


def add(tally: Tally, table: str, body: bytes | str, peer: str = PEER) -> set[str]:
    return tally.add(table, TABLES[table].names, peer, body.encode() if isinstance(body, str) else body)


def told(tally: Tally, per: float = 1.0) -> dict[str, ServerNumbers]:
    return {one.server: one for one in tally.take(per)}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(CELL, st.integers(-(2**63), 2**64 - 1), st.booleans(), CELL), min_size=1, max_size=40))
def test_cells_are_told_apart_and_numbers_read(rows: list[tuple[str, int, bool, str]]) -> None:
    names = ["a", "n", "b", "z"]
    body = "".join(f"{a}\t{n}\t{str(b).lower()}\t{z}\n" for a, n, b, z in rows).encode()
    grid = Grid(body, names)
    assert len(grid) == len(rows)
    for at, name in ((0, "a"), (3, "z")):
        texts = [row[at] for row in rows]
        marks = grid.marks(name)
        assert len(set(marks.tolist())) == len(set(texts))
        assert len(set(zip(texts, marks.tolist(), strict=True))) == len(set(texts))
        assert grid.filled(name).tolist() == [text != "" for text in texts]
        assert [grid.text(name, row) for row in range(len(rows))] == texts
        assert {marks[place] for place in distinct(marks)} == set(marks)
    assert grid.numbers("n").tolist() == pytest.approx([float(row[1]) for row in rows], rel=1e-15)
    assert grid.true("b").tolist() == [row[2] for row in rows]


def test_a_mark_does_not_depend_on_what_stands_beside() -> None:
    long = "x" * 100
    alone = Grid(b"a\tz\n", ["n", "z"]).marks("n")[0]
    beside = Grid(f"{long}\tz\na\tz\n\t\n".encode(), ["n", "z"]).marks("n")
    assert beside[1] == alone
    assert len(set(beside.tolist())) == 3


@pytest.mark.parametrize("body", [b"a\tb", b"a\n", b"a\tb\tc\n", b"\n\n\n"])
def test_rows_of_another_shape_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="expected rows of 2 cells"):
        Grid(body, ["a", "b"])


SERVER = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.10.10.10"])
NAME = st.one_of(st.sampled_from(["", "a", "b\\t", "c" * 300]), CELL)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(st.tuples(SERVER, NAME, NAME, NAME, st.integers(0, 40) | st.just(2**64 - 1)), min_size=1, max_size=30),
        min_size=1, max_size=4,
    )
)  # fmt: skip
def test_events_streams_and_sessions_are_counted_as_plain_python_counts(bodies: list[list[Any]]) -> None:
    tally = Tally()
    for body in bodies:
        lines = [event(ip, session=a, media=b, stream=c, type=kind) for ip, a, b, c, kind in body]
        assert add(tally, "StreamEvent", "".join(lines)) == {row[0] for row in body}
    found = told(tally)
    rows = [row for body in bodies for row in body]
    assert set(found) == {row[0] for row in rows}
    for server, one in found.items():
        mine = [row for row in rows if row[0] == server]
        kinds = Counter(f"events.StreamEvent.{WORDS.get(row[4], 'other')}" for row in mine)
        expected: dict[str, float] = {"events": len(mine), "events.StreamEvent": len(mine), **kinds}
        for at, name in ((1, "sessions"), (2, "media_sessions"), (3, "streams")):
            expected[name] = len({row[at] for row in mine} - {""})
        assert dict(one.values) == {name: count for name, count in expected.items() if count}
        assert one.rows == len(mine)


def test_every_fixture_is_counted_whatever_odd_values_it_holds(tmp_path: Path) -> None:
    tally = Tally()
    rows = Counter[str]()
    for name, table in TABLES.items():
        values = [
            {"UInt64": 2**64 - 1, "UInt32": 2**32 - 1, "Int64": -(2**63), "Float64": "nan", "Float32": "-inf"}.get(type)
            for _, type in table.columns
        ]
        given = {column: value for (column, _), value in zip(table.columns, values, strict=True) if value is not None}
        found = read("TabSeparated", of(name) + of(name, **given), columns(table.columns), unknown=True)
        tally.add(name, found.columns, PEER, found.body)
        rows[PEER if name == "MixerEvent" else "0.0.0.0" if name == "HlsClientEvents" else "10.0.0.7"] += 2
    with np.errstate(all="raise"):
        numbers = told(tally)
    assert {server: one.rows for server, one in numbers.items()} == {"10.0.0.7": 14, PEER: 2}
    for one in numbers.values():
        assert not any(math.isinf(value) for value in one.values.values())
        assert one.values.keys() <= set(NAMES)


def test_the_collector_declares_every_series_and_knows_every_name() -> None:
    assert set(METRICS) == set(NAMES)
    assert set(PLANS) == set(TABLES)


def test_mixers_tell_of_the_server_that_sent_them() -> None:
    tally = Tally()
    rows = [
        of("MixerEvent", mixerStreamName="room", streamName=f"u{n}", mediaSessionId=f"m{n}", videoFps=fps,
           mixerAverageTickTimeInMs=tick, audioBuffered=n, eventType=10)
        for n, (tick, fps) in enumerate([(4, 30), (8, 20), (-3, 25)])
    ]  # fmt: skip
    assert add(tally, "MixerEvent", b"".join(rows)) == {PEER}
    values = told(tally)[PEER].values
    assert (values["mixer.tick_time"], values["mixer.tick_time_max"]) == (6.0, 8.0)
    assert (values["mixer.fps"], values["mixer.fps_min"]) == (25.0, 20.0)
    assert (values["mixer.audio_buffered"], values["mixer.audio_buffered_max"]) == (1.0, 2.0)
    assert (values["mixers"], values["streams"], values["events.MixerEvent.rateOutOfBoundsAudio"]) == (1, 3, 3)
    unknown = told(tally)[PEER].values
    assert math.isnan(unknown["mixer.tick_time"])
    assert unknown["events.MixerEvent"] == 0


def test_segments_give_duration_frame_rate_and_counts() -> None:
    tally = Tally()
    rows = [
        of("HlsSegmenterEvents", streamId="s", segmentDuration=2000, videoFrameCount=60, independent="true"),
        of("HlsSegmenterEvents", streamId="s", segmentDuration=4000, videoFrameCount=80, discontinuity="true"),
        of("HlsSegmenterEvents", streamId="s", segmentDuration=500, videoFrameCount=20, partial="true"),
        of("HlsSegmenterEvents", streamId="s", segmentDuration=0, videoFrameCount=20, gap="true"),
    ]
    add(tally, "HlsSegmenterEvents", b"".join(rows))
    values = told(tally)["10.0.0.7"].values
    assert (values["hls.segment_duration"], values["hls.segment_duration_max"]) == (2000.0, 4000.0)
    assert values["hls.fps"] == pytest.approx((30 + 20 + 40) / 3)
    assert values["hls.fps_min"] == 20
    flags = ("independent", "discontinuities", "partial", "gaps")
    assert [values[f"hls.{name}"] for name in flags] == [1, 1, 1, 1]


@pytest.mark.parametrize("merged", [1, 100_000])
def test_counts_of_sessions_rise_and_begin_anew(merged: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rels_sessions, "MERGED", merged)
    tally = Tally()

    def tell(session: str, lost: int, rate: int, server: str = "10.0.0.7") -> None:
        cells = {"mediaSessionId": session, "videoFramesLost": lost, "videoRate": rate, "ip": server}
        add(tally, "MediaSessionEvents", of("MediaSessionEvents", **cells))

    tell("a", 1000, 500)
    tell("b", 7, 100)
    values = told(tally)["10.0.0.7"].values
    assert (values["media.video_frames_lost"], values["media.video_rate"]) == (0, 600)
    tell("a", 1010, 300)
    tell("c", 5, 1, "10.0.0.8")
    tell("a", 1012, 400)
    found = told(tally)
    assert found["10.0.0.7"].values["media.video_frames_lost"] == 12
    assert found["10.0.0.7"].values["media.video_rate"] == 400
    assert found["10.0.0.8"].values["media.video_frames_lost"] == 0
    tell("a", 3, 400)
    tell("b", 8, 1)
    assert told(tally, 2.0)["10.0.0.7"].values["media.video_frames_lost"] == (3 + 1) / 2
    assert math.isnan(told(tally)["10.0.0.7"].values["media.video_rate"])


def test_a_silent_server_has_zeros_for_some_minutes_and_is_forgotten_after_an_hour() -> None:
    tally = Tally()
    add(tally, "StreamEvent", event())
    add(tally, "MediaSessionEvents", of("MediaSessionEvents", mediaSessionId="a", videoFramesLost=5, ip="10.0.0.8"))
    told(tally)
    for _ in range(FRESH):
        assert told(tally)["10.0.0.7"].values["events.StreamEvent.LOCAL_SDP_CREATED"] == 0
    assert told(tally) == {}
    for _ in range(KEPT - FRESH):
        add(tally, "StreamEvent", event("10.0.0.8"))
        told(tally)
    assert len(tally) == 1
    add(tally, "StreamEvent", event("10.0.0.9"))
    assert {server: one.values["events"] for server, one in told(tally).items()} == {"10.0.0.8": 0, "10.0.0.9": 1}


def test_servers_beyond_the_most_are_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rels_tally, "MOST_SERVERS", 2)
    tally = Tally()
    assert add(tally, "StreamEvent", event("10.0.0.1") * 2 + event("10.0.0.2")) == {"10.0.0.1", "10.0.0.2"}
    lines = "".join(event(f"10.0.0.{n}", stream=f"s{n}") for n in (3, 1, 4))
    assert add(tally, "StreamEvent", lines) == {"10.0.0.1"}
    found = told(tally)
    assert {server: one.rows for server, one in found.items()} == {"10.0.0.1": 3, "10.0.0.2": 1}
    assert {server: one.values["streams"] for server, one in found.items()} == {"10.0.0.1": 2, "10.0.0.2": 1}
    assert tally.uncounted == 2


def test_names_beyond_the_most_are_not_told_apart_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rels_tally, "COMPACTED", 10)
    monkeypatch.setattr(rels_tally, "MOST_DISTINCT", 50)
    tally = Tally()
    for first in range(0, 1000, 20):
        lines = [event(stream=f"s{n}", session="", media="") for n in range(first, first + 20)]
        add(tally, "StreamEvent", "".join(lines))
    assert 50 <= told(tally)["10.0.0.7"].values["streams"] <= 150
    add(tally, "StreamEvent", event())
    assert told(tally)["10.0.0.7"].values["streams"] == 1


def test_the_version_is_what_events_of_the_cdn_say_of_a_node() -> None:
    tally = Tally()
    cdn = [("10.0.0.8", 2, "2.4 "), ("10.0.0.7", 1, "no version"), ("10.0.0.8", 2, "2.5"), ("10.0.0.9", 2, "\\0\x01")]
    rows = [of("CDNEvent", nodeId=node, eventType=type, eventPayload=text) for node, type, text in cdn]
    add(tally, "CDNEvent", b"".join(rows) + of("CDNEvent", ip="10.0.0.8") + of("CDNEvent", ip="10.0.0.9"))
    found = told(tally)
    assert {server: one.version for server, one in found.items()} == {"10.0.0.7": "", "10.0.0.8": "2.5", "10.0.0.9": ""}


def test_rows_are_cut_and_joined_without_a_change() -> None:
    body = event().encode() * 20_000
    bodies = [event().encode() * 3, body, event().encode()]
    made = list(pieces(bodies))
    assert b"".join(made) == b"".join(bodies)
    assert all(piece.endswith(b"\n") for piece in made)
    assert max(map(len, made)) < 2 * PIECE + 100
    assert split(b"a\nb", 1) == [b"a\n", b"b"]


class Way:
    """Takes batches, or is busy; the clock is the test's."""

    def __init__(self, hosts: dict[str, str] | None = None) -> None:
        self.now = 1795234980.0
        self.taken: list[Batch] = []
        self.busy = False
        self.reason: str | None = None
        known = {address: SimpleNamespace(host=host) for address, host in (hosts or {}).items()}
        inventory: Any = SimpleNamespace(find=known.get)
        self.series = RelsSeries(self.accept, lambda: inventory, clock=lambda: self.now, every=0.01)

    async def accept(self, batches: Sequence[Batch]) -> list[str | None]:
        if self.busy:
            raise Busy("full")
        self.taken += batches
        return [self.reason] * len(batches)

    def count(self, text: str, table: str = "StreamEvent", peer: str = PEER) -> None:
        rows = Rows(list(TABLES[table].names), text.count("\n"), text.encode())
        self.series.count(table, rows, peer)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


async def test_a_minute_becomes_a_batch_of_each_server_under_its_host() -> None:
    way = Way({"10.0.0.7": "wcs1"})
    way.count(event() * 30 + event("10.0.0.8"))
    way.count(event(type=0))
    way.count(of("CDNEvent", nodeId="10.0.0.7", eventType=2, eventPayload="2.4").decode(), "CDNEvent")
    await until(lambda: way.series.stats.rows == 33)
    assert way.taken == []
    way.now += 60.4
    await until(lambda: len(way.taken) == 2)
    first, second = sorted(way.taken, key=lambda batch: batch.source.host)
    assert [batch.source for batch in (first, second)] == [("10.0.0.8", "rels", ""), ("wcs1", "rels", "")]
    assert (first.time, first.interval) == (1795235040.0, 60.0)
    assert (second.values["events"], second.meta, first.meta) == (32, {"cdn_version": "2.4"}, {})
    assert second.values["events.StreamEvent.CREATED"] == 1
    server = way.series.servers["10.0.0.7"]
    assert (server.rows, server.total, set(server.tables)) == (32, 32, {"StreamEvent", "CDNEvent"})
    way.now += 60
    await until(lambda: way.series.servers["10.0.0.7"].rows == 0)
    assert way.series.stats.batches == 4
    way.now += 3700
    await until(lambda: way.series.servers == {})
    await way.series.close()


async def test_what_was_counted_of_a_part_of_a_minute_is_told_at_the_end_per_minute() -> None:
    way = Way()
    way.now += 7205
    way.count(event() * 10)
    way.now += 20
    await way.series.close()
    (batch,) = way.taken
    assert batch.time == way.now
    assert (batch.values["events"], batch.values["streams"]) == (30, 1)


async def test_a_busy_journal_gets_the_minutes_later() -> None:
    way = Way()
    way.busy = True
    for minute in range(3):
        way.count(event() * (minute + 1))
        await until(lambda: not way.series._size and len(way.series.servers) == 1)
        way.now += 60
        await until(lambda many=minute + 1: len(way.series._made) == many)
    way.busy = False
    await until(lambda: len(way.taken) == 3)
    assert [batch.values["events"] for batch in way.taken] == [1, 2, 3]
    assert [batch.time - way.taken[0].time for batch in way.taken] == [0, 60, 120]
    await way.series.close()


async def test_a_refused_batch_and_uncounted_rows_are_told_in_metrics(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    way = Way()
    way.reason = "sources: more than 1 new ones within a minute"
    way.count(event())
    way.series.count("StreamEvent", Rows(["timestamp", "ip"], 1, b"a\tb\tc\n"), PEER)
    way.series.count("StreamEventTypes", Rows(["id", "type"], 1, b"1\tx\n"), PEER)
    monkeypatch.setattr("monitor.receivers.rels_series.MOST_WAITING", 10)
    way.count(event() * 2)
    way.now += 30
    await way.series.close()
    stats = way.series.stats
    assert (stats.refused, stats.batches) == ({"sources": 1}, 0)
    assert {reason: count for reason, count in stats.uncounted.items() if count} == {
        "not readable": 1, "too many waited": 2
    }  # fmt: skip
    found = {sample.name: sample.value for metric in received.rels_series(stats) for sample in metric.samples}
    assert found["monitor_rels_refused_series_total"] == 1
    assert {"rels.uncounted", "rels.series_refused"} <= {record.message for record in caplog.records}


async def test_what_is_sent_again_is_counted_once_and_what_is_refused_not_at_all(tmp_path: Path) -> None:
    way = Way()
    async with receiving(tmp_path) as server:
        server.intake.series = way.series
        insert = "INSERT INTO ConnectionEvent FORMAT TabSeparated"
        for _ in range(3):
            assert (await server.ask(insert, ROW * 5, query_id="same")).status == 200
        assert (await server.ask(insert, ROW + "1\t2\n")).status == 400
        assert (await server.ask(insert, ROW * 2)).status == 200
        assert (await server.ask("INSERT INTO ConnectionEvent FORMAT TabSeparated", "")).status == 200
    way.now += 60
    await way.series.close()
    (batch,) = way.taken
    assert batch.source.host == "10.0.0.7"
    assert batch.values == {
        "events": 7, "events.ConnectionEvent": 7, "events.ConnectionEvent.DISCONNECTED": 7, "sessions": 1
    }  # fmt: skip
