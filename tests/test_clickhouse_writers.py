"""Answers are, byte for byte, those of ClickHouse's engine for the same rows."""

from __future__ import annotations

import ipaddress
import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from clickhouse_engine import Engine

from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.types import Type, columns
from monitor.wire.clickhouse.writers import ALIASES, WRITERS, content_type, write, writing

TEXT = 'it\'s "x", \t\n\r\b\f\\ / \0 \x01\x7f é <%s> \u2028日本'
SQL = "unhex('" + TEXT.encode().hex() + "')"
VALUES: list[tuple[str, str, Any]] = [
    ("UInt64", "18446744073709551615", 2**64 - 1),
    ("UInt64", "toUInt64(7)", Decimal(7)),
    ("Int64", "toInt64('-9223372036854775808')", -(2**63)),
    ("UInt8", "200", 200),
    ("Int16", "-300", -300),
    ("String", SQL, TEXT),
    ("String", SQL, TEXT.encode()),
    ("String", "''", ""),
    ("IPv4", "toIPv4('192.0.2.10')", ipaddress.ip_address("192.0.2.10")),
    ("IPv4", "toIPv4('192.0.2.10')", "192.0.2.10/32"),
    ("IPv6", "toIPv6('2001:db8::1')", "2001:db8::1"),
    ("Float32", "0.1", 0.1),
    ("Float64", "123456789012345678", 123456789012345678),
    ("Float64", "1e-7", 1e-7),
    ("Float64", "nan", float("nan")),
    ("Float64", "-inf", float("-inf")),
    ("Bool", "true", True),
    ("Nullable(String)", "NULL", None),
    ("Nullable(String)", "'x'", "x"),
    ("Nullable(UInt32)", "NULL", None),
    ("DateTime", "1704164645", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
    (
        "DateTime64(3, 'UTC')",
        "toDateTime64('2024-01-02 03:04:05.120', 3, 'UTC')",
        datetime(2024, 1, 2, 3, 4, 5, 120000),
    ),
    ("Date", "toDate('2024-01-02')", date(2024, 1, 2)),
    ("Decimal(10, 3)", "toDecimal64('-1.50', 3)", Decimal("-1.5")),
    ("UUID", "toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')", uuid.UUID("61f0c404-5cb3-11e7-907b-a6006ad3dba0")),
    ("FixedString(4)", "toFixedString('ab', 4)", "ab"),
]
ARRAYS: list[tuple[str, str, Any]] = [
    ("Array(UInt8)", "[1, 2]", [1, 2]),
    ("Array(String)", "['a\\'b', '']", ["a'b", ""]),
    ("Array(Nullable(Float64))", "[1.5, NULL]", [1.5, None]),
]
SIMPLE: list[tuple[str, str, Any]] = [
    ("UInt32", "number", 0),
    ("String", "repeat('é', number)", ""),
    ("Int8", "toInt8(number) - 5", 0),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    found = Engine(tmp_path_factory.mktemp("chdb"))
    yield found
    found.close()


def select(values: list[tuple[str, str, Any]]) -> str:
    return ", ".join(f"CAST({sql} AS {type}) AS `c {index}`" for index, (type, sql, _) in enumerate(values))


def timeless(answer: bytes) -> bytes:
    """Return an answer without how long it took."""
    return re.sub(rb'"statistics":.*', b"", answer, flags=re.DOTALL)


@pytest.mark.parametrize("format", [name for name in WRITERS if "Pretty" not in name and name != "Vertical"])
def test_values_of_every_type_are_written_as_the_engine_does(engine: Engine, format: str) -> None:
    values = VALUES if format == "Native" else VALUES + ARRAYS
    names = columns((f"c {index}", type) for index, (type, _, _) in enumerate(values))
    row = [value for _, _, value in values]
    for count in (0, 1, 3):
        wanted = engine.query(f"SELECT {select(values)} FROM numbers({count})", format)
        got = write(format, names, [row] * count)
        if format == "Native" and not count:
            assert wanted in (b"", got)
        else:
            assert timeless(got) == timeless(wanted)


@pytest.mark.parametrize("format", ["Pretty", "PrettyCompact", "PrettySpace", "Vertical"])
@pytest.mark.parametrize("count", [0, 1, 9, 11])
def test_tables_for_people_look_like_the_engines(engine: Engine, format: str, count: int) -> None:
    names = columns((f"c {index}", type) for index, (type, _, _) in enumerate(SIMPLE))
    rows = [(number, "é" * number, number - 5) for number in range(count)]
    wanted = engine.query(f"SELECT {select(SIMPLE)} FROM numbers({count})", format)
    assert write(format, names, rows).decode() == wanted.decode()


def test_an_answer_of_many_rows_comes_in_pieces() -> None:
    names = columns([("n", "UInt64"), ("s", "String")])
    rows = [(number, "x") for number in range(5000)]
    for format in WRITERS:
        pieces = list(writing(format, names, rows))
        assert b"".join(pieces) == write(format, names, rows)
    assert len(list(writing("TSV", names, rows))) > 5
    assert len(json.loads(write("JSON", names, rows))["data"]) == 5000
    assert write("Values", names, rows).count(b"),(") == 4999


def test_integers_of_64_bits_stand_in_quotes_where_that_is_asked(engine: Engine) -> None:
    names = columns([("n", "UInt64"), ("s", "UInt32")])
    sql = "SELECT toUInt64(5) AS n, toUInt32(6) AS s SETTINGS output_format_json_quote_64bit_integers = 1"
    for format in ("JSON", "JSONCompact", "JSONEachRow", "JSONCompactEachRow"):
        assert timeless(write(format, names, [(5, 6)], quote64=True)) == timeless(engine.query(sql, format))


def test_bytes_that_are_no_utf8_are_kept_except_in_json_that_is_checked(engine: Engine) -> None:
    names = columns([("s", "String")])
    for format in ("TSV", "CSV", "RowBinary", "Native", "Values", "JSONEachRow", "JSON", "JSONCompact"):
        wanted = engine.query("SELECT unhex('61ff62') AS s", format)
        assert timeless(write(format, names, [(b"a\xffb",)])) == timeless(wanted)
        assert timeless(write(format, names, [("a\udcffb",)])) == timeless(wanted)


def test_a_wrong_name_of_a_format_is_refused() -> None:
    with pytest.raises(ClickHouseError, match="Unknown format Nonsense") as caught:
        write("Nonsense", [], [])
    assert caught.value.code == 73


def test_names_of_formats_are_known_in_any_case_and_by_their_other_names() -> None:
    names = columns([("a", "UInt8")])
    assert write("tsvwithnames", names, [(1,)]) == b"a\n1\n"
    assert all(name in WRITERS for name in ALIASES.values())
    assert content_type("JSON").startswith("application/json")
    assert content_type("PrettyCompactMonoBlock").startswith("text/plain")


@pytest.mark.parametrize(
    ("type", "value"),
    [("UInt64", "x"), ("UInt64", float("inf")), ("IPv4", "nonsense"), ("DateTime", "x"), ("UInt8", None)],
)
def test_a_value_that_is_none_of_its_type_is_refused_or_zero(type: str, value: Any) -> None:
    names = columns([("a", type)])
    for format in ("TSV", "RowBinary"):
        try:
            answer = write(format, names, [(value,)])
        except ClickHouseError as error:
            assert error.code == 53
        else:
            assert value is None
            assert answer == {"TSV": b"\\N\n", "RowBinary": b"\0"}[format]


def test_what_is_too_large_for_its_type_wraps_as_in_the_engine() -> None:
    assert write("RowBinary", columns([("a", "UInt8"), ("b", "Int8")]), [(300, 200)]) == bytes([44, 200])
    assert write("RowBinary", columns([("a", "Float32")]), [(1e300,)]) == b"\0\0\x80\x7f"


@pytest.mark.parametrize(
    "name",
    [
        "UInt7",
        "",
        "Nullable(",
        "Nullable(Nonsense)",
        "Array(" * 40 + "UInt8" + ")" * 40,
        "DateTime64(x)",
        "Decimal(3, 9)",
    ],
)
def test_a_type_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ClickHouseError) as caught:
        Type.parse(name)
    assert caught.value.code == 50


def test_a_type_knows_its_range_and_its_name() -> None:
    assert (Type.parse("UInt64").high, Type.parse("Int8").low) == (2**64 - 1, -128)
    assert Type.parse("DOUBLE").name == "Float64"
    assert Type.parse("LowCardinality(Nullable(String))").name == "Nullable(String)"
    assert Type.parse("Nullable(UInt8)").nullable
