"""Whatever comes is refused in ClickHouse's manner, or becomes rows that are canonical; nothing else ever happens."""

from __future__ import annotations

import math
import re
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from monitor.wire.clickhouse.errors import ERRORS, ClickHouseError
from monitor.wire.clickhouse.formats import read, write
from monitor.wire.clickhouse.statement import Facts, parse
from monitor.wire.clickhouse.tables import EXTRA
from monitor.wire.clickhouse.types import Column, Type, columns

KINDS = columns([("n", "UInt64"), ("ip", "IPv4"), ("s", "String"), ("b", "Bool"), ("f", "Float32"), ("i", "Int8")])
STRING = Type.parse("String")
FORMATS = (
    "TSV", "TSVRaw", "TSVWithNames", "TSVWithNamesAndTypes", "CSV", "CSVWithNames", "CSVWithNamesAndTypes",
    "JSONEachRow", "JSONCompactEachRow", "Values", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes",
    "Native",
)  # fmt: skip
ROWS: list[list[Any]] = [
    [2**64 - 1, "192.0.2.1", 'it\'s "x",\t\n\r\\ \0 é', True, 1.5, -128],
    [0, "0.0.0.0", "", False, float("nan"), 127],
    [7, "255.255.255.255", "NULL", True, -0.0, 0],
]
SIGNS = rb"""\t|\n|\r\n|\\|\N|\x|'|"|,|(|)|{|}|[|]|:|;|null|true|1.2.3.4|-1|1e9|toIPv4('1.2.3.4')| |n|"n"|''"""
PIECES = st.sampled_from([b"\t", b"\n", b"\r\n", b"\xff", b"\0", b"\x80", *SIGNS.split(b"|")])
TEXTS = st.lists(PIECES, max_size=20).map(b"".join)
CANONICAL = re.compile(rb"(?:(?:[^\\\t\n\r\x08\x0c\0]|\\[\\tnrbf0])*[\t\n])*")

fuzzed = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(format: str, body: bytes, kinds: list[Column], unknown: bool) -> None:
    try:
        rows = read(format, body, kinds, unknown=unknown)
    except ClickHouseError as error:
        assert ERRORS[error.code][0] == error.name
        assert len(error.text) < 1000
        return
    assert rows.count == rows.body.count(b"\n")
    assert CANONICAL.fullmatch(rows.body)
    types = {column.name: column.type for column in kinds}
    given = [Column(name, types.get(name, STRING)) for name in rows.columns]
    if unknown or EXTRA not in rows.columns:
        assert not rows.body or read("TSV", rows.body, given).body is rows.body


@pytest.mark.parametrize("format", FORMATS)
@fuzzed
@given(data=st.data())
def test_a_body_that_was_damaged_is_refused_or_read(format: str, data: st.DataObject) -> None:
    body = write(format.replace("TSVRaw", "TSV"), KINDS, ROWS)
    at = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(at, min(at + 8, len(body))))
    damaged = body[:at] + data.draw(st.binary(max_size=4) | PIECES) + body[end:]
    check(format, damaged, KINDS, data.draw(st.booleans()))


@pytest.mark.parametrize("format", FORMATS)
@fuzzed
@given(body=st.binary(max_size=60) | TEXTS, unknown=st.booleans(), width=st.integers(1, 6))
def test_any_bytes_are_refused_or_read(format: str, body: bytes, unknown: bool, width: int) -> None:
    check(format, body, [*KINDS[:width], Column("new", STRING, known=False)], unknown)


VALUES = st.tuples(
    st.integers(0, 2**64 - 1),
    st.ip_addresses(v=4),
    st.binary(max_size=12) | st.text(max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.booleans(),
    st.floats(width=32).map(lambda value: value or 0.0),  # JSON has no -0 that is no integer
    st.integers(-128, 127),
)
LOSSLESS = [format for format in FORMATS if format != "TSVRaw"]


@fuzzed
@given(rows=st.lists(VALUES, max_size=5))
def test_rows_are_the_same_in_whatever_format_they_come(rows: list[tuple[Any, ...]]) -> None:
    wanted = read("RowBinary", write("RowBinary", KINDS, rows), KINDS)
    assert wanted.count == len(rows)
    for format in LOSSLESS:
        body = write(format, KINDS, rows)
        if "JSON" in format:
            # which has no number for these
            assume(all(math.isfinite(row[4]) for row in rows))
        assert read(format, body, KINDS).body == wanted.body


MANY = 30_000
FACTS = Facts(user="wcs", database="wcs", version="24.8.1.1", timezone="UTC")


@pytest.mark.parametrize(
    "query, body",
    [
        ("SELECT 1 " + "/**/" * MANY + "~", b""),
        ("SELECT 1 " + "-- " * MANY, b"\n~"),
        ("INSERT INTO StreamEvent (" + "/**/" * MANY, b""),
        ("SELECT {x:" + " " * MANY + "!", b""),
        ("SELECT {x:Float64}", b""),
        ("SELECT 1 WHERE '" + "''" * MANY, b""),
    ],
)
def test_a_statement_is_looked_at_in_a_time_that_grows_with_its_length_alone(query: str, body: bytes) -> None:
    began = time.process_time()
    with suppress(ClickHouseError):
        parse(query.encode(), body, FACTS, parameters={"x": "1" * MANY + "x"})
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "cell", [b"1" * MANY + b"x", b"1." + b"1" * MANY + b"x", b"1" * MANY + b"e" + b"1" * MANY + b"x"]
)
def test_numbers_of_any_length_are_looked_at_once(cell: bytes) -> None:
    began = time.process_time()
    for kind in KINDS:
        for format, body in (("Values", b"(%b)"), ("TSV", b"%b\n"), ("CSV", b"%b\n"), ("JSONEachRow", b'{"x":"%b"}')):
            with suppress(ClickHouseError):
                read(format, body % cell, [Column("x", kind.type)])
    assert time.process_time() - began < 1
