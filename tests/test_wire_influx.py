"""InfluxDB's line protocol."""

from __future__ import annotations

import math
import re

import pytest
from blocks import block
from hypothesis import given
from hypothesis import strategies as st

from monitor.batch import Block, Source
from monitor.wire.influx import InfluxEncoder, Precision, key, measurement

WEB1 = Source("web1", "nginx")
TIME = 1795234980.0


def encode(*blocks: Block, precision: Precision = "ns", slice_values: int = 4000) -> list[str]:
    encoder = InfluxEncoder(precision=precision, slice_values=slice_values)
    return [line for one in blocks for lines in encoder.encode(one) for line in lines]


def split(text: str, separator: str) -> list[str]:
    """Split at a separator that no backslash escapes."""
    return re.split(rf"(?<!\\){separator}", text)


def plain(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text)


def read(line: str) -> tuple[str, dict[str, str], dict[str, float], int]:
    """Read a line as the protocol's reference describes it."""
    head, fields, time = split(line, " ")
    name, *tags = split(head, ",")
    pairs = [split(tag, "=") for tag in tags]
    values = [split(field, "=") for field in split(fields, ",")]
    return (
        plain(name),
        {plain(tag): plain(value) for tag, value in pairs},
        {plain(field): float(value) for field, value in values},
        int(time),
    )


def test_a_batch_is_one_line_with_all_its_fields() -> None:
    one = block((WEB1, TIME, [3, 0.25]), (Source("web1", "disk", "sda"), TIME, [1e20, -7.5]), names=["x", "y"])
    assert encode(one) == [
        "nginx,collector=nginx,host=web1 x=3,y=0.25 1795234980000000000",
        "disk,collector=disk,host=web1,instance=sda x=1e+20,y=-7.5 1795234980000000000",
    ]


def test_unknown_values_are_left_out_and_a_batch_of_nothing_else_has_no_line() -> None:
    one = block(
        (WEB1, TIME, [math.nan, 1, math.inf]), (WEB1, TIME + 60, [math.nan, -math.inf, math.nan]), names=["x", "y", "z"]
    )
    assert encode(one) == ["nginx,collector=nginx,host=web1 y=1 1795234980000000000"]


def test_special_characters_are_escaped_and_what_cannot_be_is_an_underscore() -> None:
    one = block((Source("a,b =c", "my disk,x=1", "C:\\"), TIME, [1, 2]), names=["free space", "a=b,c\nd"])
    (line,) = encode(one)
    assert line == (
        r"my\ disk\,x=1,collector=my\ disk\,x\=1,host=a\,b\ \=c,instance=C:_ free\ space=1,a\=b\,c_d=2"
        " 1795234980000000000"
    )


def test_a_measurement_that_would_make_a_comment_is_changed() -> None:
    assert measurement("#x") == "_x"
    assert key("\udc80") == "_"


@pytest.mark.parametrize(
    ("precision", "stamp"),
    [("ns", 1795234980123456000), ("us", 1795234980123456), ("ms", 1795234980123), ("s", 1795234980)],
)
def test_the_precision_is_that_of_the_stamps(precision: Precision, stamp: int) -> None:
    (line,) = encode(block((WEB1, 1795234980.123456, [1])), precision=precision)
    assert line.endswith(f" {stamp}")


def test_a_large_block_comes_in_slices_with_nothing_lost() -> None:
    rows = [(Source(f"h{i}", "c"), TIME, [i, i / 7]) for i in range(501)]
    encoder = InfluxEncoder(slice_values=100)
    pieces = list(encoder.encode(block(*rows, names=["x", "y"])))
    assert len(pieces) == 11
    found = [read(line) for piece in pieces for line in piece]
    assert [(tags["host"], fields) for _, tags, fields, _ in found] == [
        (f"h{i}", {"x": i, "y": i / 7}) for i in range(501)
    ]


def test_the_host_tag_may_hold_another_name() -> None:
    encoder = InfluxEncoder(host=str.upper)
    ((line,),) = encoder.encode(block((WEB1, TIME, [1])))
    assert read(line)[1]["host"] == "WEB1"


@given(st.lists(st.lists(st.floats(), min_size=3, max_size=3), min_size=1, max_size=5), st.integers(1, 20))
def test_every_finite_float_reads_back_as_itself(rows: list[list[float]], slice_values: int) -> None:
    one = block(*((WEB1, TIME, row) for row in rows), names=["x", "y", "z"])
    found = [value for line in encode(one, slice_values=slice_values) for value in read(line)[2].values()]
    assert found == [value for row in rows for value in row if math.isfinite(value)]


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\"), min_size=1)


@given(WORDS, WORDS, WORDS, WORDS)
def test_names_read_back_as_they_were(host: str, collector: str, instance: str, name: str) -> None:
    (line,) = encode(block((Source(host, collector, instance), TIME, [5]), names=[name]))
    found = read(line)
    assert found[1] == {"collector": collector, "host": host, "instance": instance}
    assert found[2] == {name: 5}
    assert found[0] == (f"_{collector[1:]}" if collector.startswith("#") else collector)
