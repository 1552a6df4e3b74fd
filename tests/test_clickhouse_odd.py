"""Odd input gets the verdict of ClickHouse's engine: the same rows, or an error of the same code."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clickhouse_engine import Engine, canonical

from monitor.wire.clickhouse.errors import ERRORS, ClickHouseError
from monitor.wire.clickhouse.formats import read
from monitor.wire.clickhouse.types import columns

INTEGERS = [
    "", "+5", "007", "-0", "-1", "18446744073709551615", "18446744073709551616", "9" * 26, "1.5", "1e3", " 1", "1 ",
    "0x10", "\\N", "5a", "'5'", '"5"', "true", "256", "300", "1000000", "9223372036854775808", "-9223372036854775809",
    "--3", "-", "+", "128", "-129",
]  # fmt: skip
TABBED: dict[str, list[str]] = {
    "UInt64": INTEGERS,
    "UInt8": INTEGERS,
    "Int64": INTEGERS,
    "Int8": INTEGERS,
    "Float32": [
        "1", "1.5", "1e5", "nan", "NaN", "inf", "-inf", "Inf", "INFINITY", "", "+1", ".5", "5.", "1e400", "-", "0.1",
        "16777217", "1e-50", "3.4e38", "1_0", "0x1p3", "123456789.123", "infinity", "-0", "1E5", "e5", " 1", "1.2.3",
    ],
    "Float64": ["1e308", "0.1", "1e400", "1e22", "1e21", "1e20", "1e-6", "1e-7", "123456789012345678", "1e15", "1e16"],
    "Bool": [
        "1", "0", "true", "false", "True", "TRUE", "t", "f", "T", "yes", "no", "y", "n", "on", "off", "", "2", "Y",
        "On", "oN", "enable", "disabled", "ENABLE", "\\N", "tr", "01",
    ],
    "IPv4": [
        "1.2.3.4", "", "01.2.3.4", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", " 1.2.3.4", "123", "\\N", "1.2.3.4a",
        "::1", "::ffff:1.2.3.4", "001.002.003.004", "0001.2.3.4", "1..2.3",
    ],
    "String": [
        "a\\N", "\\N", "\\Nb", "\\\\N", "\\x41\\x4a", "\\xZZ", "\\a\\b\\e\\f\\v\\0\\'\\\"\\/\\q", "\\\\", "\x00",
        "'", "a\rb", "\\\t", "é", "\\\nx", "\\x09\\x0a\\x5c", "\b\f", "\\", "\\x4",
    ],
}  # fmt: skip
IN_JSON: dict[str, list[str]] = {
    "UInt64": [
        "1", '"1"', '""', "-1", '"-1"', "1.0", "1.5", "1e3", '"1e3"', "true", "null", "18446744073709551616",
        '"18446744073709551616"', '" 1"', '"a"', "[]", "{}", "007", '"+5"', '"007"', "1 ",
    ],
    "UInt8": ["256", "300", '"300"', "true", "false"],
    "Int64": ["-9223372036854775809", "-5", '"-5"', "-5.0", "1e2"],
    "Float32": ["1", '"1.5"', '"nan"', '"inf"', "null", "1e400", "true", '""', "NaN", "inf"],
    "Bool": ["true", "false", "1", "0", "2", '"true"', '"1"', '"yes"', "null", '""'],
    "IPv4": ['"1.2.3.4"', '""', "123", "null", '"01.2.3.4"', "true"],
    "String": [
        '"a"', "1", "-1", "1.50", "true", "null", "[1,2]", '{"a": 1}', '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud800"',
        '"\\x"', '"\\/"', "1e5", "18446744073709551616", "1.0", "1e400", '"\ttab"', '"a\nb"', "[1 ,\n{}]", '"\\u00e9"',
    ],
}  # fmt: skip
IN_VALUES: dict[str, list[str]] = {
    "UInt64": [
        "1", "'1'", "-1", "1.0", "1e3", "NULL", "DEFAULT", "true", "18446744073709551616", "0x10", "toUInt64(5)", "''",
        " 1 ", "+1", "'a'", "007",
    ],
    "UInt8": ["300", "true"],
    "Float32": ["1", "'1.5'", "nan", "inf", "-inf", "NULL", "1e400", "NaN"],
    "Bool": ["true", "false", "1", "0", "'true'", "TRUE", "2", "NULL"],
    "IPv4": [
        "'1.2.3.4'", "toIPv4('1.2.3.4')", "IPv4StringToNum('1.2.3.4')", "123", "NULL", "''", "IPv4NumToString(1)",
        "toIPv4 ( '1.2.3.4' )", "TOIPV4('1.2.3.4')", "toIPv4(16909060)",
    ],
    "String": [
        "'a'", "'it''s'", "'it\\'s'", "1", "NULL", "'\\x41\\q\\n'", "toString(1)", "'a\nb'", "true", "null", "''",
        "1.50", "'\\'''", "'a\\\\'", "'''a'",
    ],
}  # fmt: skip
IN_CSV: dict[str, list[str]] = {
    "UInt64": ["1", '"1"', "'1'", "", " 1 ", "\\N", "-1", '" 1"', '""', "+1"],
    "Float32": ["1.5", "", '"1.5"', "nan"],
    "Bool": ["true", "", "1", '"true"', "T"],
    "IPv4": ["1.2.3.4", '"1.2.3.4"', "", "'1.2.3.4'", " 1.2.3.4"],
    "String": [
        "a", '"a,b"', '"a""b"', "'a''b'", "", '""', "\\N", "NULL", '"\\N"', "a\\tb", " a ", ' "a" ', 'a"b', '"a"b',
        "'a'b", "a'b", '"a\nb"', "\\", '"é"', '"a\rb"',
    ],
}  # fmt: skip
WHOLE: dict[str, list[bytes]] = {
    "TabSeparated": [
        b"", b"\n", b"1\t2", b"1\t2\n\n", b"1\t2\n\n3\t4\n", b"\xef\xbb\xbf1\t2\n", b"1\t2\n3\t4\r\n", b"1\t2\t\n",
        b"1\n", b"1\t2\t3\n", b"1\t2\r\n", b"1\t2\n3\n",
    ],
    "TSVRaw": [b"1\t2\n", b"\\N\t2\n"],
    "JSONEachRow": [
        b'{"c0":1,"c1":2},{"c0":3,"c1":4}', b'[{"c0":1,"c1":2}]', b'[{"c0":1,"c1":2},\n{"c0":3}]\n',
        b' \n{"c0":1}\n\n{"c1":3}\n', b'{"c0":1,"zz":{"a":[1,2]}}', b"{}", b"", b"[]", b'{"c0":1', b'{"c0":1}x',
        b'{"c0" 1}', b"[1]", b"1", b'\xef\xbb\xbf{"c0":1}', b'{"c0":1}{"c0":2}', b'{"c0":1};', b'{"c0":1},',
        b'{"c0":1,}', b'{"C0":1}', b'[{"c0":1}] x', b'{"c0":1}\r\n{"c0":2}\r\n', b'{"c0":1,\n"c1":2}\n{"c0":3}',
        b'{"c0":1\n"c1":2}', b"{1:2}",
    ],
    "JSONCompactEachRow": [
        b"[1,2]\n[3,4]", b"[1]", b"[1,2,3]", b"[[1,2],[3,4]]", b"[1,2],[3,4]", b'["1",null]', b"", b"[]", b"[1 2]",
        b"[1,2]x", b'{"c0":1}', b'[null,"2"]\r\n',
    ],
    "Values": [
        b"(1,2)(3,4)", b"(1,2),(3,4);", b"(1,2), (3,4)\n(5,6)", b"", b"(1,2", b"(1)", b"(1,2,3)", b"(1,2);x", b"(1,2),",
        b",(1,2)", b"(1,2,)", b"(1 2)", b"x", b"(1,2);(3,4)", b"(1,2) ;\n", b"()", b"(1,2)-- c\n,(3,4)", b"(1,2)\x00",
        b"\n (1,2)",
    ],
    "CSV": [
        b"1,2\r\n3,4\r\n", b"1,2", b"1,2\n\n3,4\n", b"1\n", b"1,2,3\n", b"1,2,\n", b"", b"\n", b"1;2\n", b'"1","2"\n',
        b"\xef\xbb\xbf1,2\n", b"c0,c1\n1,2\n", b'1,"2\n', b"1,2\r3,4\r", b" 1 , 2 \n", b"1\t,2\n",
    ],
    "CSVWithNames": [b"c0,c1\n1,2\n", b"", b"c0,c0\n1,2\n", b'"c0","c1"\r\n1,2\r\n'],
    "CSVWithNamesAndTypes": [b"c0,c1\nUInt8,UInt8\n1,2\n", b"c0,c1\nUInt16,UInt8\n1,2\n"],
    "TSVWithNames": [b"c0\tc1", b"", b"c1\tc1\n1\t2\n", b"c1\tc0\r\n1\t2\r\n", b"c0\tc1\n1\t2\n"],
    "TSVWithNamesAndTypes": [b"c1\tc0\nUInt8\tString\n1\t2\n", b"c1\tc0\nUInt8\n1\t2\n",
        b"c0\tc1\nUInt8\tUInt8\n1\t2\n"],
    "RowBinary": [b"", b"\1\2", b"\1\2\3", b"\1"],
    "RowBinaryWithNames": [b"\2\2c0\2c1\1\2"],
    "RowBinaryWithNamesAndTypes": [
        b"", b"\2\2c0\2c1\5UInt8\5UInt8\1\2", b"\2\2c0\2c1\6UInt16\5UInt8\1\2", b"\2\2c0\2c0\5UInt8\5UInt8\1\2",
        b"\2\2c0", b"\2\2c0\2c1\5UInt8\5UInt8\1",
    ],
    "Native": [
        b"", b"\2\1\2c0\5UInt8\1\2c1\5UInt8\2", b"\2\1\2c0\6UInt16\1\1\2c1\5UInt8\2", b"\2\2\2c0\5UInt8\1",
        b"\2\1\2c0\6String\1\x37\2c1\5UInt8\2", b"\2\0\2c0\5UInt8\2c1\5UInt8",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    found = Engine(tmp_path_factory.mktemp("chdb"))
    yield found
    found.close()


def verdict(format: str, types: list[str], body: bytes) -> bytes | int:
    try:
        return read(format, body, columns((f"c{index}", type) for index, type in enumerate(types))).body
    except ClickHouseError as error:
        assert error.name == ERRORS[error.code][0]
        assert len(error.text) < 500
        return error.code


def differing(engine: Engine, format: str, bodies: list[tuple[list[str], bytes]]) -> list[str]:
    found = []
    for types, body in bodies:
        wanted = engine.insert(format, types, body)
        wanted = canonical(wanted) if isinstance(wanted, bytes) else wanted
        if (got := verdict(format, types, body)) != wanted:
            found.append(f"{types} {body!r}: the engine says {wanted!r}, we {got!r}")
    return found


def around(format: str, cell: str) -> list[tuple[bytes, bool]]:
    """Return a body with the cell first, and one with it last if that is another thing there."""
    data = cell.encode()
    match format:
        case "TabSeparated":
            return [(data + b"\t7\n", True), (b"7\t" + data + b"\n", False)]
        case "CSV":
            return [(data + b",7\n", True), (b"7," + data + b"\n", False)]
        case "Values":
            return [(b"(" + data + b",7)", True)]
    return [(b'{"c0":' + data + b',"c1":7}\n', True)]


@pytest.mark.parametrize(
    ("format", "type", "cells"),
    [
        (format, type, cells)
        for format, kinds in (
            ("TabSeparated", TABBED), ("JSONEachRow", IN_JSON), ("Values", IN_VALUES), ("CSV", IN_CSV),
        )
        for type, cells in kinds.items()
    ],
)  # fmt: skip
def test_an_odd_value_is_what_the_engine_takes_it_for(engine: Engine, format: str, type: str, cells: list[str]) -> None:
    bodies = [
        ([type, "UInt8"] if first else ["UInt8", type], body) for cell in cells for body, first in around(format, cell)
    ]
    assert not differing(engine, format, bodies)


@pytest.mark.parametrize("format", WHOLE)
def test_an_odd_body_is_what_the_engine_takes_it_for(engine: Engine, format: str) -> None:
    assert not differing(engine, format, [(["UInt8", "UInt8"], body) for body in WHOLE[format]])
