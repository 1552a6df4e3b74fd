"""What Kurado's agents push: a folder of tests/cases/kurado is a push, and what has to come of it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.batch import Kind, Limits, Source
from monitor.wire.kurado import Bounds, Parser, Payload

NOW = 1795234980
BOUNDS = Bounds()
SAMPLE = 1404873350
"""The time of the user's document."""
CASES = Path(__file__).resolve().parent / "cases/kurado"
KNOWN = {b"10.0.0.1": "10.0.0.1", b"10.0.0.2": "10.0.0.2", b"2001:db8::1": "six", b"2001:DB8:0::1": "six"}


def admit(address: bytes) -> tuple[str, str]:
    if address in KNOWN:
        return KNOWN[address], ""
    return "", "host" if address == b"10.0.0.9" else "address"


def read(push: bytes | str, now: float = NOW, bounds: Bounds = BOUNDS) -> Payload:
    return Parser(bounds).parse(push.encode() if isinstance(push, str) else push, now, admit)


def shown(found: Payload, now: float) -> str:
    """Return what was found as text: `name value kind` per line, below its source and its time beside now."""
    lines = []
    for batch in found.batches:
        assert batch.interval == -60
        lines.append(f"[{' '.join(batch.source).strip()}] {batch.time - now:+g}")
        lines += [f"{name} {value!r} {batch.kinds[name]}" for name, value in batch.values.items()]
        lines += [f"meta {name} = {text}" for name, text in batch.meta.items()]
    for said in found.said:
        lines += [f"warning {said.host} {said.plugin} {name} = {text}" for name, text in said.warnings.items()]
    lines.append("said " + ", ".join(f"{said.host} {said.plugin}" for said in found.said))
    lines += [f"bad {reason} {count}: {found.first[reason]!r}" for reason, count in sorted(found.bad.items())]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("folder", sorted(CASES.glob("*/")), ids=lambda folder: folder.name)
def test_a_push_gives_the_series_meta_and_warnings_expected(folder: Path, golden: bool) -> None:
    now = SAMPLE if folder.name.startswith("sample") else NOW
    text = shown(read((folder / "push.txt").read_bytes(), now), now)
    if golden:
        (folder / "expected.txt").write_text(text)
    assert text == (folder / "expected.txt").read_text()


def test_the_sample_of_the_document_is_read_whole_with_its_misprint_as_derive() -> None:
    found = read((CASES / "sample_of_46_lines/push.txt").read_bytes(), SAMPLE)
    (batch,) = found.batches
    assert not found.bad
    assert batch.source == Source("10.0.0.1", "base", "")
    assert len(batch.values) == 40
    assert batch.kinds["disk-io-sda-write-sectors"] is Kind.DERIVE
    assert batch.meta["disk-usage-mapper_VolGroup-lv_root-mount"] == "/"


def test_a_payload_of_the_usual_shape_is_read_as_columns_and_gives_the_same_by_line() -> None:
    for name in ("agent_of_today", "sample_of_46_lines", "plain_line_becomes_a_gauge", "meta_of_a_plugin"):
        push = (CASES / name / "push.txt").read_bytes()
        now = SAMPLE if name.startswith("sample") else NOW
        assert Parser()._columns(push, now, admit) is not None
        assert same(push, now)


def same(push: bytes, now: float = NOW, bounds: Bounds = BOUNDS) -> bool:
    """Compare both ways of reading; True when there were two."""
    parser = Parser(bounds)
    fast = parser._columns(push, now, admit)
    slow = Payload()
    parser._by_line(push, now, admit, slow)
    if fast is None:
        return False
    assert (fast.bad, fast.lines, fast.said) == (slow.bad, slow.lines, slow.said)
    assert str(fast.batches) == str(slow.batches)
    return True


KEYS = st.sampled_from(
    ["base.metrics.a.gauge", "base.metrics.a.derive", "base.metrics.b.counter", "base.metrics.c.absolute",
     "base.meta.m", "base.warn.w", "http%3A80.metrics.a.gauge", "http%3A80.meta.m", "x.metrics.e.device",
     "x.metrics.bad.kind", "x.nothing"]
)  # fmt: skip
VALUES = st.sampled_from(
    [
        "0",
        "1",
        "12.5",
        "1e3",
        "-4",
        "U",
        "",
        "text",
        "007",
        "18446744073709551616",
        "1,2",
        "+1",
        ".5",
        "5.",
        "\r",
        "日本",
    ]
)
TIMES = st.sampled_from([str(NOW), str(NOW), str(NOW), str(NOW - 5), str(NOW - 61), "0", "x", str(NOW) + ".5"])
LINES = st.lists(
    st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.9"]), KEYS, VALUES, TIMES),
    max_size=12,
)


@settings(max_examples=133, deadline=None)
@given(LINES, st.booleans())
def test_both_ways_of_reading_give_the_same(lines: list[tuple[str, ...]], one_host: bool) -> None:
    push = "".join("\t".join(("10.0.0.1" if one_host else line[0], *line[1:])) + "\n" for line in lines)
    same(push.encode())


@settings(max_examples=133, deadline=None)
@given(st.text("10.0.0.1\t\n basemetricgu%3A/#-U5é\r\0", max_size=120))
def test_any_text_is_read_or_its_lines_are_counted_as_bad(text: str) -> None:
    found = read(text)
    good = sum(len(batch.values) for batch in found.batches)
    assert good + sum(len(said.meta) + len(said.warnings) for said in found.said) + found.bad.total() <= found.lines
    assert not any("/" in batch.source.host or "/" in batch.source.collector for batch in found.batches)


def push_of(*lines: str) -> str:
    return "".join(f"10.0.0.1\t{line}\n" for line in lines)


def test_lines_in_any_order_make_the_same_layout() -> None:
    lines = [f"p.metrics.{name}\t1\t{NOW}" for name in ("b.gauge", "a.derive", "a.gauge", "c.counter", "a.counter")]
    orders = [lines, lines[::-1], lines[2:] + lines[:2]]
    found = [read(push_of(*order)).batches[0] for order in orders]
    assert {(tuple(batch.values), tuple(batch.kinds.items())) for batch in found} == {
        (("a", "b", "a.counter", "a.derive", "c"),
         (("a", Kind.GAUGE), ("b", Kind.GAUGE), ("a.counter", Kind.COUNTER), ("a.derive", Kind.DERIVE),
          ("c", Kind.COUNTER)))
    }  # fmt: skip


def test_lines_within_ten_seconds_share_the_latest_time() -> None:
    lines = [f"p.metrics.a.gauge\t1\t{NOW}", f"q.metrics.b.gauge\t2\t{NOW + 9}", f"q.meta.m\tx\t{NOW + 10}"]
    assert {batch.time for batch in read(push_of(*lines)).batches} == {NOW + 10}
    lines[2] = f"q.meta.m\tx\t{NOW + 11}"
    assert {batch.time for batch in read(push_of(*lines)).batches} == {NOW + 9}
    short = read(push_of(*lines[:2]), bounds=Bounds(interval=10))
    assert {batch.time for batch in short.batches} == {NOW, NOW + 9}


def test_a_key_that_comes_twice_at_one_time_counts_once() -> None:
    found = read(
        push_of(f"p.metrics.a.gauge\t1\t{NOW}", f"p.metrics.a.gauge\t2\t{NOW}", f"p.metrics.a.gauge\t3\t{NOW + 1}")
    )
    assert [batch.values for batch in found.batches] == [{"a": 3.0}]
    assert found.bad == {"repeated": 2}


def test_what_is_beyond_the_bounds_is_counted_and_the_rest_is_kept() -> None:
    lines = [f"p.metrics.a{i}.gauge\t1\t{NOW}" for i in range(8)]
    found = read(push_of(*lines), bounds=Bounds(lines=5))
    assert (len(found.batches[0].values), found.bad) == (5, {"lines": 3})
    found = read(push_of(*lines), bounds=Bounds(names=5))
    assert (len(found.batches[0].values), found.bad) == (5, {"names": 3})
    long = [*lines, f"p.meta.m\t{'x' * 500}\t{NOW}", f"p.metrics.{'n' * 300}.gauge\t1\t{NOW}"]
    found = read(push_of(*long), bounds=Bounds(line=400))
    assert (len(found.batches[0].values), found.bad) == (8, {"line": 1, "key": 1})
    found = read(push_of(f"p.meta.m\t{'x' * 5000}\t{NOW}"))
    assert len(found.batches[0].meta["m"]) == 4096


def test_limits_are_set_by_the_first_pattern_that_fits() -> None:
    rules = (("base.traffic-*.derive", Limits(0.0, 1e9)), ("*.derive", Limits()), ("p.*", Limits(0.0, 5.0)))
    found = read(
        push_of(*(f"{key}\t1\t{NOW}" for key in
                  ("base.metrics.traffic-eth0-rxbytes.derive", "p.metrics.a.derive", "p.metrics.a.gauge",
                   "q.metrics.b.gauge"))),
        bounds=Bounds(limits=rules),
    )  # fmt: skip
    assert {batch.source.collector: batch.limits for batch in found.batches} == {
        "base": {"traffic-eth0-rxbytes": Limits(0.0, 1e9)},
        "p": {"a": Limits(0.0, 5.0), "a.derive": Limits(-math.inf, math.inf)},
        "q": {},
    }


def test_what_is_remembered_of_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.wire.kurado.KEPT_KEYS", 50)
    monkeypatch.setattr("monitor.wire.kurado.KEPT_NAMES", 100)
    parser = Parser()
    for number in range(300):
        found = parser.parse(push_of(f"p.metrics.a{number}.gauge\t1\t{NOW}").encode(), NOW, admit)
        assert found.batches[0].values == {f"a{number}": 1}
        assert len(parser._keys) <= 50
        assert len(parser._plans) <= 100
