"""The formats in which answers go.

    write(format, columns, rows)    ->  bytes
    writing(…)                          the same in pieces

`rows` are sequences of values, one for each column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from monitor.wire.clickhouse import pretty, texts
from monitor.wire.clickhouse.cells import refusal
from monitor.wire.clickhouse.types import Column

Rows = Sequence[Sequence[Any]]
Writer = Callable[[Sequence[Column], Rows], Iterator[bytes]]

SLICE = 512
"""Rows of a piece."""
NULL = b"\\N"

TEXT = "text/plain; charset=UTF-8"
TAB_SEPARATED = "text/tab-separated-values; charset=UTF-8"
JSON = "application/json; charset=UTF-8"
LINES = "application/x-ndjson; charset=UTF-8"
CSV = "text/csv; charset=UTF-8; header="
BINARY = "application/octet-stream"


def write(format: str, columns: Sequence[Column], rows: Rows, *, quote64: bool = False) -> bytes:
    """Return an answer in this format; ClickHouseError (73) where it is none that is written."""
    return b"".join(writing(format, columns, rows, quote64=quote64))


def writing(format: str, columns: Sequence[Column], rows: Rows, *, quote64: bool = False) -> Iterator[bytes]:
    """Yield an answer in pieces. `quote64` puts integers of 64 bits in quotes, as old servers do in JSON."""
    known = name(format)
    if quote64 and known in QUOTING:
        return QUOTING[known](columns, rows)
    return WRITERS[known][0](columns, rows)


def name(format: str) -> str:
    """Return the name of a format that is written; ClickHouseError where it is none."""
    found = LOWER.get(format.lower())
    if found is None:
        raise refusal(73, f"Unknown format {format[:80]}")
    return found


def content_type(format: str) -> str:
    return WRITERS[name(format)][1]


def _parts(rows: Rows) -> Iterator[Rows]:
    for at in range(0, len(rows), SLICE):
        yield rows[at : at + SLICE]


def _lines(
    header: Sequence[bytes], writes: Sequence[texts.Write], between: bytes, rows: Rows, *, around: bytes = b""
) -> Iterator[bytes]:
    begin, end = around[:1], around[1:] + b"\n"
    for line in header:
        yield line + b"\n"
    for part in _parts(rows):
        yield b"".join(
            [
                begin + between.join([write(value) for write, value in zip(writes, row, strict=True)]) + end
                for row in part
            ]
        )


def _header(columns: Sequence[Column], lines: int, form: Callable[[bytes], bytes], between: bytes) -> list[bytes]:
    both = [[column.name for column in columns], [column.type.name for column in columns]]
    return [between.join([form(texts.raw(text)) for text in line]) for line in both[:lines]]


def _tab_separated(lines: int, form: Callable[[bytes], bytes] | None) -> Writer:
    def writer(columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
        header = _header(columns, lines, form or bytes, b"\t")
        # texts of arrays have escapes of their own
        writes = [texts.text(column.type, NULL, None if column.type.kind == "array" else form) for column in columns]
        return _lines(header, writes, b"\t", rows)

    return writer


def _in_csv(data: bytes) -> bytes:
    return b'"%b"' % data.replace(b'"', b'""')


def _csv(lines: int) -> Writer:
    def writer(columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
        writes = [texts.text(column.type, NULL, _in_csv) for column in columns]
        return _lines(_header(columns, lines, _in_csv, b","), writes, b",", rows)

    return writer


def _values(columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
    writes = [
        texts.text(column.type, b"NULL", None if column.type.kind == "array" else texts.quoted) for column in columns
    ]
    for index, part in enumerate(_parts(rows)):
        yield b"," * bool(index) + b",".join(
            [b"(%b)" % b",".join([write(value) for write, value in zip(writes, row, strict=True)]) for row in part]
        )


def _json_writes(columns: Sequence[Column], *, quote64: bool, strict: bool) -> list[texts.Write]:
    return [texts.json(column.type, quote64=quote64, strict=strict) for column in columns]


def _json(*, compact: bool, quote64: bool = False) -> Writer:
    def writer(columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
        writes = _json_writes(columns, quote64=quote64, strict=True)
        names = [texts.in_json(texts.raw(column.name)) for column in columns]
        meta = b",\n".join(
            b'\t\t{\n\t\t\t"name": %b,\n\t\t\t"type": %b\n\t\t}' % (name, texts.in_json(column.type.name.encode()))
            for name, column in zip(names, columns, strict=True)
        )
        yield b'{\n\t"meta":\n\t[\n%b\n\t],\n\n\t"data":\n\t[\n' % meta
        for index, part in enumerate(_parts(rows)):
            yield b",\n" * bool(index) + b",\n".join(_json_row(names, writes, row, compact) for row in part)
        count = len(rows)
        yield b'\n\t],\n\n\t"rows": %d,\n\n\t"statistics":\n\t{\n' % count
        yield b'\t\t"elapsed": 0,\n\t\t"rows_read": %d,\n\t\t"bytes_read": 0\n\t}\n}\n' % count

    return writer


def _json_row(names: Sequence[bytes], writes: Sequence[texts.Write], row: Sequence[Any], compact: bool) -> bytes:
    cells = [write(value) for write, value in zip(writes, row, strict=True)]
    if compact:
        return b"\t\t[%b]" % b", ".join(cells)
    pairs = [b"\t\t\t%b: %b" % pair for pair in zip(names, cells, strict=True)]
    return b"\t\t{\n%b\n\t\t}" % b",\n".join(pairs)


def _json_each_row(*, quote64: bool = False) -> Writer:
    def writer(columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
        writes = _json_writes(columns, quote64=quote64, strict=False)
        names = [texts.in_json(texts.raw(column.name)).replace(b"%", b"%%") for column in columns]
        line = b"{%b}\n" % b",".join(name + b":%b" for name in names)
        for part in _parts(rows):
            yield b"".join(
                [line % tuple([write(value) for write, value in zip(writes, row, strict=True)]) for row in part]
            )

    return writer


def _json_compact_each_row(lines: int, *, quote64: bool = False) -> Writer:
    def writer(columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
        writes = _json_writes(columns, quote64=quote64, strict=False)
        header = [b"[%b]" % line for line in _header(columns, lines, texts.in_json, b", ")]
        return _lines(header, writes, b", ", rows, around=b"[]")

    return writer


def _row_binary(lines: int) -> Writer:
    def writer(columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
        writes = [texts.nullable(column.type) for column in columns]
        if lines:
            yield texts.varint(len(columns)) + b"".join(_header(columns, lines, texts.sized, b""))
        for part in _parts(rows):
            yield b"".join([write(value) for row in part for write, value in zip(writes, row, strict=True)])

    return writer


NATIVE = 65536
"""Rows of a block of Native."""


def _native(columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
    for at in range(0, max(len(rows), 1), NATIVE):
        part = rows[at : at + NATIVE]
        yield texts.varint(len(columns)) + texts.varint(len(part))
        for index, column in enumerate(columns):
            type = column.type
            yield texts.sized(texts.raw(column.name)) + texts.sized(type.name.encode())
            if type.kind == "array":
                raise refusal(48, f"Columns of type {type.name} are not written in Native here")
            values = [row[index] for row in part]
            if type.nullable:
                yield bytes([value is None for value in values])
            one, default = texts.binary(type), texts.zero(type)
            yield b"".join([default if value is None else one(value) for value in values])


WRITERS: dict[str, tuple[Writer, str]] = {
    "TabSeparated": (_tab_separated(0, texts.escaped), TAB_SEPARATED),
    "TabSeparatedWithNames": (_tab_separated(1, texts.escaped), TAB_SEPARATED),
    "TabSeparatedWithNamesAndTypes": (_tab_separated(2, texts.escaped), TAB_SEPARATED),
    "TabSeparatedRaw": (_tab_separated(0, None), TAB_SEPARATED),
    "TabSeparatedRawWithNames": (_tab_separated(1, None), TAB_SEPARATED),
    "TabSeparatedRawWithNamesAndTypes": (_tab_separated(2, None), TAB_SEPARATED),
    "CSV": (_csv(0), CSV + "absent"),
    "CSVWithNames": (_csv(1), CSV + "present"),
    "CSVWithNamesAndTypes": (_csv(2), CSV + "present"),
    "JSON": (_json(compact=False), JSON),
    "JSONCompact": (_json(compact=True), JSON),
    "JSONEachRow": (_json_each_row(), LINES),
    "JSONCompactEachRow": (_json_compact_each_row(0), LINES),
    "JSONCompactEachRowWithNames": (_json_compact_each_row(1), LINES),
    "JSONCompactEachRowWithNamesAndTypes": (_json_compact_each_row(2), LINES),
    "Values": (_values, TEXT),
    "Vertical": (pretty.vertical, TEXT),
    "Pretty": (pretty.boxed, TEXT),
    "PrettyCompact": (pretty.compact, TEXT),
    "PrettySpace": (pretty.spaced, TEXT),
    "RowBinary": (_row_binary(0), BINARY),
    "RowBinaryWithNames": (_row_binary(1), BINARY),
    "RowBinaryWithNamesAndTypes": (_row_binary(2), BINARY),
    "Native": (_native, BINARY),
}
"""Writers of formats and what their answers are said to be."""
QUOTING: dict[str, Writer] = {
    "JSON": _json(compact=False, quote64=True),
    "JSONCompact": _json(compact=True, quote64=True),
    "JSONEachRow": _json_each_row(quote64=True),
    "JSONCompactEachRow": _json_compact_each_row(0, quote64=True),
    "JSONCompactEachRowWithNames": _json_compact_each_row(1, quote64=True),
    "JSONCompactEachRowWithNamesAndTypes": _json_compact_each_row(2, quote64=True),
}
ALIASES = {
    "TSV": "TabSeparated",
    "TSVWithNames": "TabSeparatedWithNames",
    "TSVWithNamesAndTypes": "TabSeparatedWithNamesAndTypes",
    "TSVRaw": "TabSeparatedRaw",
    "Raw": "TabSeparatedRaw",
    "TSVRawWithNames": "TabSeparatedRawWithNames",
    "TSVRawWithNamesAndTypes": "TabSeparatedRawWithNamesAndTypes",
    "JSONLines": "JSONEachRow",
    "NDJSON": "JSONEachRow",
    **{f"{name}NoEscapes": name for name in ("Pretty", "PrettyCompact", "PrettySpace")},
    **{f"{name}MonoBlock": name for name in ("Pretty", "PrettyCompact", "PrettySpace")},
    **{f"{name}NoEscapesMonoBlock": name for name in ("Pretty", "PrettyCompact", "PrettySpace")},
}
"""Other names of the same formats; names are the same in any case."""
LOWER = {name.lower(): ALIASES.get(name, name) for name in (*WRITERS, *ALIASES)}
