"""Graphite's plaintext protocol, as carbon's own receiver reads it."""

from __future__ import annotations

import math

import pytest
from blocks import DiamondNaming, block
from hypothesis import given
from hypothesis import strategies as st

from monitor.batch import Block, Source
from monitor.wire.graphite import GraphiteEncoder, clean

WEB1 = Source("web1", "nginx")
TIME = 1795234980.0


def encode(*blocks: Block, **options: int) -> str:
    encoder = GraphiteEncoder(DiamondNaming().path, **options)
    return "".join(lines.text for one in blocks for lines in encoder.encode(one))


def read(text: str) -> list[tuple[str, float, float]]:
    """Read lines as carbon does (MetricLineReceiver.lineReceived)."""
    assert text == "" or text.endswith("\n")
    found = []
    for line in text.split("\n")[:-1]:
        path, value, time = line.strip().split()
        found.append((path, float(value), float(time)))
    return found


def test_every_value_has_a_line_with_diamonds_path() -> None:
    one = block(
        (WEB1, TIME, [3, 0.25]), (Source("a.example.com", "nginx"), TIME + 60.7, [1e20, -7.5]), names=["x", "y"]
    )
    assert encode(one) == (
        "servers.web1.nginx.x 3 1795234980\n"
        "servers.web1.nginx.y 0.25 1795234980\n"
        "servers.a_example_com.nginx.x 1e+20 1795235040\n"
        "servers.a_example_com.nginx.y -7.5 1795235040\n"
    )


def test_unknown_and_infinite_values_have_no_line() -> None:
    one = block(
        (WEB1, TIME, [math.nan, 1, math.inf]), (WEB1, TIME + 60, [math.nan, -math.inf, math.nan]), names=["x", "y", "z"]
    )
    assert encode(one) == "servers.web1.nginx.y 1 1795234980\n"


def test_a_dotted_name_stays_dotted_and_what_carbon_cannot_take_becomes_an_underscore() -> None:
    names = ["eth0.rx_byte", "a b", "c;d=e", "line\nend", "../../etc", ".x..y.", "\udc80", "温度", "\u2028"]
    paths = [path for path, _, _ in read(encode(block((WEB1, TIME, range(len(names))), names=names)))]
    assert paths == [
        f"servers.web1.nginx.{name}"
        for name in ["eth0.rx_byte", "a_b", "c_d=e", "line_end", "_._etc", "x.y", "_", "温度", "_"]
    ]


@pytest.mark.parametrize(("path", "expected"), [("", "_"), ("...", "_"), ("a.b", "a.b"), ("*?[]{}", "______")])
def test_a_path_is_never_empty_and_holds_no_pattern(path: str, expected: str) -> None:
    assert clean(path) == expected


def test_a_path_too_long_for_a_receiver_is_told_and_left_out() -> None:
    encoder = GraphiteEncoder(DiamondNaming().path, max_path=30)
    one = block((Source("h" * 30, "nginx"), TIME, [1]), (WEB1, TIME, [2]))
    (lines,) = encoder.encode(one)
    assert lines.text == "servers.web1.nginx.a 2 1795234980\n"
    assert lines.too_long == (f"servers.{'h' * 30}.nginx.a",)


def test_a_large_block_comes_in_slices_with_nothing_lost() -> None:
    rows = [(Source(f"h{i}", "c"), TIME, [i, i / 7]) for i in range(501)]
    encoder = GraphiteEncoder(DiamondNaming().path, slice_values=100)
    pieces = list(encoder.encode(block(*rows, names=["x", "y"])))
    assert len(pieces) == 11
    found = read("".join(piece.text for piece in pieces))
    assert found == [
        (f"servers.h{i}.c.{name}", value, TIME) for i in range(501) for name, value in (("x", i), ("y", i / 7))
    ]


def test_a_block_without_names_or_rows_has_no_lines() -> None:
    assert encode(block((WEB1, TIME, []), names=[])) == ""
    assert encode(block(names=["x"])) == ""


def test_what_is_remembered_of_sources_is_bounded() -> None:
    rows = [(Source(f"h{i}", "c"), TIME, [1]) for i in range(10)]
    assert encode(block(*rows), max_sources=3) == encode(block(*rows))


@given(st.lists(st.lists(st.floats(), min_size=3, max_size=3), min_size=1, max_size=5), st.integers(1, 20))
def test_every_finite_float_reads_back_as_itself(rows: list[list[float]], slice_values: int) -> None:
    one = block(*((WEB1, TIME, row) for row in rows), names=["x", "y", "z"])
    found = [value for _, value, _ in read(encode(one, slice_values=slice_values))]
    assert found == [value for row in rows for value in row if math.isfinite(value)]


@given(st.text(), st.text(), st.text())
def test_no_name_breaks_a_line(host: str, instance: str, name: str) -> None:
    ((path, value, time),) = read(encode(block((Source(host, "c", instance), TIME, [5]), names=[name])))
    assert (value, time) == (5, TIME)
    assert path.encode() and all(path.split("."))
