"""Graphite's lines as batches, and carbon's pickles as points."""

from __future__ import annotations

import math
import os
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.batch import Batch, Limits, Source
from monitor.wire.graphite_lines import Bounds, Lines, Reader
from monitor.wire.paths import Paths
from monitor.wire.unpickle import PickleError, points

NOW = 1795234980.0
PATHS = Paths(["servers.{host}.{collector}.{name}"])


def read(data: bytes, reader: Reader | None = None) -> tuple[list[Batch], Lines]:
    reader = reader or Reader(PATHS)
    found = Lines()
    for _ in reader.read(data, NOW, found):
        pass
    return [batch for some in reader.batches(found) for batch in some], found


def line(path: str, value: object = 1, at: object = int(NOW)) -> bytes:
    return f"servers.{path} {value} {at}\n".encode()


def test_lines_of_a_source_and_a_time_are_one_batch() -> None:
    batches, found = read(
        line("a.cpu.user", 1.5) + line("a.cpu.idle", 98) + line("b.cpu.user", 2) + line("a.mem.free", 7)
    )
    assert [(batch.source, batch.time, batch.values) for batch in batches] == [
        (Source("a", "cpu"), NOW, {"user": 1.5, "idle": 98}), (Source("b", "cpu"), NOW, {"user": 2}),
        (Source("a", "mem"), NOW, {"free": 7}),
    ]  # fmt: skip
    assert batches[0].interval == -60 and found.lines == 4 and not found.bad


def test_lines_of_sources_that_alternate_are_brought_together() -> None:
    rng = random.Random(1)
    lines = [line(f"h{host}.app.n{name}", host * 100 + name) for host in range(20) for name in range(50)]
    rng.shuffle(lines)
    batches, _ = read(b"".join(lines))
    assert len(batches) == 20
    for batch in batches:
        host = int(batch.source.host[1:])
        assert batch.values == {f"n{name}": host * 100 + name for name in range(50)}


def test_stamps_of_a_collection_that_differ_a_little_are_one_time_the_latest() -> None:
    batches, _ = read(line("a.cpu.user", 1, NOW - 2) + line("a.cpu.idle", 2, NOW) + line("a.cpu.nice", 3, NOW - 1))
    assert [(batch.time, batch.values) for batch in batches] == [(NOW, {"user": 1, "idle": 2, "nice": 3})]


def test_what_an_agent_kept_during_an_outage_stays_apart() -> None:
    kept = b"".join(line("a.cpu.user", n, NOW - 10 * n) + line("a.cpu.idle", n, NOW - 10 * n) for n in range(5))
    batches, _ = read(kept)
    assert [batch.time for batch in batches] == [NOW - 10 * n for n in (4, 3, 2, 1, 0)]
    assert [batch.values for batch in batches] == [{"user": n, "idle": n} for n in (4, 3, 2, 1, 0)]


def test_of_a_name_that_comes_twice_for_a_time_the_last_counts() -> None:
    batches, found = read(line("a.cpu.user", 1) + line("a.cpu.user", 2))
    assert batches[0].values == {"user": 2} and found.bad == {"repeated": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-1.5", -1.5),
        ("1e3", 1000),
        (".5", 0.5),
        ("+5", 5),
        ("007", 7),
        ("5.", 5),
        ("18446744073709551615", 2**64),
    ],
)
def test_numbers_are_read_as_carbon_reads_them(text: str, value: float) -> None:
    batches, found = read(line("a.x.y", text))
    assert float(batches[0].values["y"]) == value and not found.bad


def test_nan_is_a_value_that_is_unknown() -> None:
    batches, found = read(line("a.x.y", "nan") + line("a.x.z", 1))
    assert math.isnan(batches[0].values["y"]) and batches[0].values["z"] == 1 and not found.bad


def test_a_stamp_of_minus_one_is_now_and_one_may_have_decimals() -> None:
    batches, found = read(line("a.x.y", 1, -1) + line("b.x.y", 1, NOW - 0.25))
    assert [batch.time for batch in batches] == [NOW, NOW - 0.25] and not found.bad


BAD: dict[str, list[bytes]] = {
    "columns": [b"servers.a.x.y 1", b"servers.a.x.y", b"servers.a.x.y 1 2 3", b"GET / HTTP/1.1 x", b"\x00"],
    "value": [b"servers.a.x.y one 1795234980", b"servers.a.x.y inf 1795234980", b"servers.a.x.y 1_0 1795234980",
              b"servers.a.x.y 1,2 1795234980", b"servers.a.x.y 1e999 1795234980", b"servers.a.x.y [1] 1795234980",
              b"servers.a.x.y " + 500 * b"9" + b" 1795234980"],
    "time": [b"servers.a.x.y 1 nan", b"servers.a.x.y 1 -5", b"servers.a.x.y 1 now", b"servers.a.x.y 1 0",
             b"servers.a.x.y 1 1795235981", b"servers.a.x.y 1 179523498", b"servers.a.x.y 1 inf"],
    "pattern": [b"other.a.x.y 1 1795234980", b"y 1 1795234980"],
    "path": [b"servers..x.y 1 1795234980", b"servers.a.x." + 300 * b"y" + b" 1 1795234980"],
    "utf8": [b"servers.\xff.x.y 1 1795234980"],
    "tags": [b"x.y;cpu=0 1 1795234980"],
    "line": [b"servers.a.x." + 65536 * b"y" + b" 1 1795234980"],
}  # fmt: skip


@pytest.mark.parametrize(("reason", "bad"), [(reason, bad) for reason, lines in BAD.items() for bad in lines])
def test_a_bad_line_is_counted_and_its_neighbours_are_kept(reason: str, bad: bytes) -> None:
    batches, found = read(line("a.x.before") + bad + b"\n" + line("a.x.after"))
    assert found.bad == {reason: 1} and found.lines == 3
    assert found.first[reason] == bad[:120]
    assert [batch.values for batch in batches] == [{"before": 1, "after": 1}]


def test_bad_lines_among_many_cost_none_of_them() -> None:
    lines = [line(f"h{number // 50}.app.n{number % 50}", number) for number in range(5000)]
    for at in range(0, 5000, 700):
        lines.insert(at, b"bad\n")
    batches, found = read(b"".join(lines))
    assert sum(len(batch.values) for batch in batches) == 5000 and found.bad == {"columns": 8}


@pytest.mark.parametrize("change", [lambda data: data.replace(b"\n", b"\r\n"), lambda data: data.replace(b" ", b"\t"),
                                    lambda data: data.replace(b" ", b"  "), lambda data: b"\n\n" + data])  # fmt: skip
def test_other_blanks_and_ends_of_lines_are_read_alike(change: Callable[[bytes], bytes]) -> None:
    data = line("a.x.y", 1.5) + line("a.x.z", 2)
    batches, found = read(change(data))
    assert [batch.values for batch in batches] == [{"y": 1.5, "z": 2}] and not found.bad


def test_a_source_has_so_many_new_names_in_a_minute() -> None:
    reader = Reader(PATHS, Bounds(names=100))
    batches, found = read(b"".join(line(f"a.x.n{number}") for number in range(1000)), reader)
    assert len(batches[0].values) == 100 and found.bad == {"names": 900}
    later = Lines()
    for _ in reader.read(line("a.x.m1", 1, NOW + 60), NOW + 60, later):
        pass
    assert later.lines == 1 and not later.bad


def test_what_is_remembered_of_paths_can_be_forgotten() -> None:
    reader = Reader(PATHS, Bounds(paths=10))
    read(b"".join(line(f"a.x.n{number}") for number in range(20)), reader)
    assert reader.full
    reader.forget()
    batches, _ = read(line("b.x.y"), reader)
    assert not reader.full and batches[0].source == Source("b", "x")


def test_limits_are_set_by_a_pattern() -> None:
    reader = Reader(PATHS, Bounds(limits=[("cpu.*", Limits(0, 100))]))
    batches, _ = read(line("a.cpu.user") + line("a.mem.free"), reader)
    assert [batch.limits for batch in batches] == [{"user": Limits(0, 100)}, {}]


def one_by_one(data: bytes) -> dict[tuple[Source, float, str], float]:
    """What the lines say, each read alone."""
    found: dict[tuple[Source, float, str], float] = {}
    for one in data.split(b"\n"):
        for batch in read(one + b"\n")[0]:
            found.update({(batch.source, batch.time, name): float(value) for name, value in batch.values.items()})
    return found


WORDS = st.sampled_from(
    ["servers.a.x.y", "servers.b.x.y", "servers.a.x.z", "x;host=a", "bad", "é", "1", "2.5", "nan", "-1", "1795234980",
     "1795234920", "9" * 50, "", "\r", "\t", "\x00", "\udc80"]
)  # fmt: skip
LINES = st.lists(st.lists(WORDS, max_size=4).map(" ".join), max_size=80).map(
    lambda lines: "\n".join(lines).encode("utf-8", "surrogateescape") + b"\n"
)


@settings(max_examples=60, deadline=None)
@given(LINES | st.binary(max_size=300).map(lambda data: data + b"\n"))
@example(b"servers.a.x.y 1 1795234980\nservers.a.x.y 2 1795234920\n")
def test_any_bytes_give_what_each_line_gives_alone(data: bytes) -> None:
    batches, found = read(data)
    together = {
        (batch.source, batch.time, name): float(value) for batch in batches for name, value in batch.values.items()
    }
    assert str(sorted(together.items())) == str(sorted(one_by_one(data).items()))
    # A NUL or another control character within a line is no blank of Graphite's.
    assert found.lines == sum(bool(one.strip()) for one in data.split(b"\n"))


POINTS = [("servers.a.x.y", (1795234980, 1.5)), ("servers.é.x.y", (1795234980.5, 2**40)), ("x", (0, "7"))]


@pytest.mark.parametrize("protocol", range(6))
def test_points_are_read_of_pickles_of_all_protocols(protocol: int) -> None:
    data = pickle.dumps(POINTS[:1] + POINTS[2:] if protocol == 0 else POINTS, protocol=protocol)
    found = [
        (point[0].decode() if isinstance(point[0], bytes) else point[0], point[1]) for point in points(data) if point
    ]
    assert found == [(path, stamp) for path, (stamp, _) in (POINTS[:1] + POINTS[2:] if protocol == 0 else POINTS)]


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch executed",)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_execute_something_is_refused(protocol: int) -> None:
    for evil in (Evil(), [Evil()], [("servers.a.x.y", (1, Evil()))], [os.getcwd], {"a": 1}, "text", 5):
        with pytest.raises(PickleError):
            list(points(pickle.dumps(evil, protocol=protocol)))
    assert not Path("executed").exists()


BOMBS = [
    b"\x80\x02]r" + struct.pack("<I", 0xFFFFFFF0) + b".",
    b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
    b"\x80\x02X" + struct.pack("<I", 0xFFFFFFF0) + b".",
    b"\x80\x02\x8b" + struct.pack("<I", 0x7FFFFFF0) + b".",
    b"I" + 5000 * b"9" + b"\n.",
    b"\x80\x02cos\nsystem\n.",
    b"(lp0\n(S'a'\n",
    b"a.", b".", b"", b"\x80", b"t.", b"q", b"h\x05.", b"p\xff\n.", b"F\n.", b"\x86.",
]  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_pickle_that_would_take_memory_or_is_none_is_refused_at_once(bomb: bytes) -> None:
    if bomb == BOMBS[0]:
        assert list(points(bomb)) == []
    else:
        with pytest.raises(PickleError):
            list(points(bomb))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 100))
def test_any_bytes_are_points_or_a_pickle_error(noise: bytes, at: int) -> None:
    whole = pickle.dumps(POINTS, protocol=2)
    for data in (noise, whole[:at] + noise + whole[at:], whole[:at] + noise):
        try:
            for point in points(data):
                assert point is None or len(point) == 3
        except PickleError:
            pass


def test_points_become_batches_and_bad_ones_are_counted() -> None:
    reader, found = Reader(PATHS), Lines()
    given = [
        (b"servers.a.x.y", int(NOW), 1.5), (b"servers.a.x.z", NOW, b"2"), ("servers.a.x.t", NOW, 3),
        (b"bad", NOW, 1), (b"servers.a.x.v", NOW, None), (b"servers.a.x.v", None, 1), (5, NOW, 1),
        (b"servers.a.x.v", NOW, 10**400), (b"servers.a.x.v", NOW, True), (b"servers.a.x.n", -1, 4),
    ]  # fmt: skip
    for _ in reader.points(given, NOW, found):
        pass
    batches = [batch for some in reader.batches(found) for batch in some]
    assert [(batch.time, batch.values) for batch in batches] == [(NOW, {"y": 1.5, "z": 2, "t": 3, "n": 4})]
    assert found.bad == {"pattern": 1, "value": 3, "time": 1, "path": 1}
