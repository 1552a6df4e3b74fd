"""What ClickHouse's clients send: every format gives the same rows, and odd input gets the engine's own verdict."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from clickhouse_engine import canonical

from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.formats import read, reading, write
from monitor.wire.clickhouse.rows import Rows
from monitor.wire.clickhouse.tables import EXTRA
from monitor.wire.clickhouse.types import Column, Type, columns

PAYLOADS: dict[str, Any] = json.loads((Path(__file__).parent / "cases" / "clickhouse" / "payloads.json").read_text())[
    "tables"
]
FORMATS = (
    "TabSeparated", "JSONEachRow", "JSONEachRow_quoted64", "JSONCompactEachRow", "Values", "CSV", "RowBinary_b64",
    "RowBinaryWithNamesAndTypes_b64", "Native_b64",
)  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("table", PAYLOADS)
def test_a_payload_gives_the_same_rows_in_every_format(table: str, format: str) -> None:
    payload = PAYLOADS[table]
    name, _, encoded = format.removesuffix("_quoted64").partition("_")
    body = base64.b64decode(payload[format]) if encoded else payload[format].encode()
    rows = read(name, body, columns(map(tuple, payload["columns"])))
    assert rows.body == canonical(payload["TabSeparated"].encode())
    assert rows.count == payload["rows"]
    assert rows.columns == [name for name, _ in payload["columns"]]


STREAM = columns(map(tuple, PAYLOADS["StreamEvent"]["columns"]))
PAIR = columns([("name", "String"), ("size", "UInt32"), ("ip", "IPv4")])


def stream_rows(count: int) -> bytes:
    return b"".join(
        b"%d\t192.0.2.%d\t/203.0.113.77:51734\t5f3b9e5a-0c1d\troom%d\t%d\t{}\n" % (10**12 + n, n % 250, n, n % 31)
        for n in range(count)
    )


def test_rows_that_are_canonical_already_pass_as_they_came() -> None:
    body = stream_rows(300)
    assert read("TabSeparated", body, STREAM).body is body


def test_rows_without_a_last_newline_get_one() -> None:
    assert read("TSV", b"a\t1\t1.2.3.4", PAIR) == Rows(["name", "size", "ip"], 1, b"a\t1\t1.2.3.4\n")


ODD = [b"it\\'s", b"\\x41", b"a\rb", b"\\v", b"\\\t", b"\\\n", b"\\N", b"\0", b"\\\\N", b"\\Nx"]


@pytest.mark.parametrize("odd", ODD)
def test_one_odd_row_among_many_is_made_canonical_and_the_others_stay(odd: bytes) -> None:
    plain = b"x\\t\\\\\t7\t10.0.0.1\n" * 20000
    body = plain + odd + b"\t007\t010.0.0.1\n" + plain
    rows = read("TSV", body, PAIR)
    made = read("TSV", odd + b"\t007\t010.0.0.1\n", PAIR)
    assert rows.count == 40001
    assert rows.body == plain + made.body + plain
    assert made.body.endswith(b"\t7\t10.0.0.1\n")


@pytest.mark.parametrize("format", ["TSV", "CSV", "JSONEachRow", "JSONCompactEachRow", "Values"])
def test_an_error_tells_the_row_and_the_column(format: str) -> None:
    good, bad = (
        write(format, PAIR, [(f"n{number}", number, "1.2.3.4") for number in range(3000)]),
        write(format, columns([("name", "String"), ("size", "String"), ("ip", "IPv4")]), [("x", "5x", "1.2.3.4")]),
    )
    between = b"," if format == "Values" else b""
    with pytest.raises(ClickHouseError, match=r"\(at row 3001, column size\)"):
        read(format, good + between + bad, PAIR)


@pytest.mark.parametrize(
    "format",
    [
        "TSV", "TSVWithNames", "TSVWithNamesAndTypes", "CSV", "CSVWithNames", "CSVWithNamesAndTypes", "JSONEachRow",
        "JSONCompactEachRow", "Values", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "Native",
    ],
)  # fmt: skip
def test_many_rows_are_read_in_slices_and_come_back_as_they_were_written(format: str) -> None:
    values = [(10**12 + n, f"10.0.{n % 256}.1", "s\té'\\", "", f"room\n{n}", n, "x" * 150) for n in range(3000)]
    body = write(format, STREAM, values)
    slices = 0
    work = reading(format, body, STREAM)
    while True:
        try:
            next(work)
            slices += 1
        except StopIteration as done:
            rows = done.value
            break
    assert slices > 3
    assert rows.count == 3000
    assert rows.body == write("TSV", STREAM, values).replace(b"\\'", b"'")


def test_names_give_the_order_and_what_has_no_column_is_left_out_or_kept() -> None:
    body = b"ip\tspeed\tname\n1.2.3.4\t1.25\ta\n1.2.3.5\tx\\ty\tb\n"
    assert read("TSVWithNames", body, PAIR) == Rows(["ip", "name"], 2, b"1.2.3.4\ta\n1.2.3.5\tb\n")
    kept = read("TSVWithNames", body, PAIR, unknown=True)
    assert kept.columns == ["ip", "name", EXTRA]
    assert kept.body == b'1.2.3.4\ta\t{"speed":"1.25"}\n1.2.3.5\tb\t{"speed":"x\\\\ty"}\n'


@pytest.mark.parametrize("format", ["RowBinaryWithNamesAndTypes", "Native"])
def test_what_has_no_column_is_kept_by_its_type_where_formats_tell_types(format: str) -> None:
    sent = columns([("speed", "Float32"), ("size", "UInt32"), ("gap", "Bool"), ("name", "String"), ("n", "Int64")])
    body = write(format, sent, [(1.25, 7, True, "a", -5), (0.1, 8, False, "b", 2**62)])
    assert read(format, body, PAIR).body == b"7\ta\n8\tb\n"
    kept = read(format, body, PAIR, unknown=True)
    assert kept.columns == ["size", "name", EXTRA]
    cells = [json.loads(line.split(b"\t")[2]) for line in kept.body.splitlines()]
    assert cells == [{"speed": 1.25, "gap": True, "n": -5}, {"speed": 0.1, "gap": False, "n": 2**62}]


def test_a_column_of_the_statement_that_the_table_does_not_have_is_kept_too() -> None:
    given = [*PAIR[:2], Column("speed", Type.parse("String"), known=False)]
    for format, body in (
        ("TSV", b"a\t1\tfast\n"),
        ("Values", b"('a', 1, 'fast')"),
        ("JSONCompactEachRow", b'["a",1,"fast"]'),
    ):
        assert read(format, body, given, unknown=True) == Rows(["name", "size", EXTRA], 1, b'a\t1\t{"speed":"fast"}\n')
        assert read(format, body, given) == Rows(["name", "size"], 1, b"a\t1\n")


@pytest.mark.parametrize("end", [b"", b";"])
def test_keys_of_json_that_have_no_column_are_kept_with_their_values(end: bytes) -> None:
    plain = b'{"name":"a","size":1,"ip":"1.2.3.4"}\n' * 3000
    odd = b'{"NAME":"b","speed":1.5,"more":{"x":[1,"\\u00e9"]},"big":18446744073709551615}' + end
    rows = read("JSONEachRow", plain + odd, PAIR, unknown=True)
    assert rows.columns == ["name", "size", "ip", EXTRA]
    lines = rows.body.split(b"\n")
    assert lines[0] == b"a\t1\t1.2.3.4\t"
    name, size, ip, extra = lines[3000].split(b"\t")
    assert (name, size, ip) == (b"b", b"0", b"0.0.0.0")
    assert json.loads(extra) == {"speed": 1.5, "more": {"x": [1, "é"]}, "big": 2**64 - 1}
    assert read("JSONEachRow", plain + odd, PAIR).columns == ["name", "size", "ip"]


def test_json_that_is_no_utf8_keeps_its_bytes() -> None:
    assert read("JSONEachRow", b'{"name":"\xff\xc3","size":1}\n', PAIR).body == b"\xff\xc3\t1\t0.0.0.0\n"
    assert read("JSONCompactEachRow", b'["\xff",1,"1.2.3.4"]', PAIR).body == b"\xff\t1\t1.2.3.4\n"


def test_an_address_that_a_function_cannot_read_is_refused_rather_than_made_zero() -> None:
    with pytest.raises(ClickHouseError) as caught:
        read("Values", b"('a', 1, toIPv4('nonsense'))", PAIR)
    assert caught.value.code == 675


def test_an_expression_is_not_computed() -> None:
    for cells in (b"'a', 1 + 1, ''", b"'a', now(), ''", b"'a' || 'b', 1, ''", b"(SELECT 1), 1, ''", b"f('a'), 1, ''"):
        with pytest.raises(ClickHouseError) as caught:
            read("Values", b"(%b)" % cells, PAIR)
        assert caught.value.code in (46, 62)


def test_a_format_that_is_none_is_refused() -> None:
    with pytest.raises(ClickHouseError) as caught:
        read("Nonsense" * 100, b"", PAIR)
    assert (caught.value.code, caught.value.status) == (73, 404)
    assert len(caught.value.text) < 200


def test_a_type_that_has_no_place_in_a_row_is_refused() -> None:
    for format in ("TSV", "RowBinary", "Native", "JSONEachRow", "Values", "CSV"):
        body = write("Native", columns([("d", "Date")]), [(1,)]) if format == "Native" else b"1\n"
        with pytest.raises(ClickHouseError) as caught:
            read(format, body, columns([("d", "Date")]))
        assert caught.value.code == 48


def test_sizes_that_were_only_claimed_take_no_memory() -> None:
    huge = b"\xff\xff\xff\xff\x7f"
    for format, body in (
        ("RowBinary", huge),
        ("RowBinaryWithNamesAndTypes", huge),
        ("Native", b"\1" + huge),
        ("Native", huge + b"\1"),
        ("Native", b"\1\x80\x80\x40\4name\6String"),
        ("Native", b"\1\xff\xff\x7f\4size\6UInt32"),
    ):
        with pytest.raises(ClickHouseError):
            read(format, body, PAIR)


@pytest.mark.parametrize("format", ["RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "Native", "TSV"])
def test_rows_of_no_column_come_to_an_end(format: str) -> None:
    with pytest.raises(ClickHouseError):
        read(format, b"\0\0abc", PAIR)
    with pytest.raises(ClickHouseError):
        read(format, b"abc", [])
