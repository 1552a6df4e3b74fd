"""The formats in which rows come and go: what each name stands for.

    read(format, body, columns)   ->  Rows
    reading(…)                        the same in slices: `yield` where others may work
    write(format, columns, rows)  ->  bytes
    writing(…)                        the same in pieces

Every reader raises ClickHouseError with the code that ClickHouse has for what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from monitor.wire.clickhouse import csv_rows, json_rows, native, rowbinary, tsv, values
from monitor.wire.clickhouse.cells import refusal
from monitor.wire.clickhouse.names import Names
from monitor.wire.clickhouse.rows import Piece, Rows, fold
from monitor.wire.clickhouse.tables import EXTRA
from monitor.wire.clickhouse.types import Column
from monitor.wire.clickhouse.writers import write, writing

__all__ = ["read", "reading", "write", "writing"]

Given = Generator[Piece, None, Sequence[Column]]
"""Pieces of rows; at last, the columns that they are of."""
Reader = Callable[[bytes, Sequence[Column], bool], Given]


def read(format: str, body: bytes, columns: Sequence[Column], *, unknown: bool = False) -> Rows:
    """Return the rows of a body, canonical.

    `columns` are those that the rows are of, in the order of formats without names. Formats with names may leave some
    out, and then the rows are without them; JSONEachRow fills them in. `unknown` keeps what belongs to no column of the
    table as JSON in EXTRA; otherwise it is left out, as ClickHouse does.
    """
    work = reading(format, body, columns, unknown=unknown)
    while True:
        try:
            next(work)
        except StopIteration as done:
            rows: Rows = done.value
            return rows


def reading(
    format: str, body: bytes, columns: Sequence[Column], *, unknown: bool = False
) -> Generator[None, None, Rows]:
    """Do as `read` does, in slices of about a millisecond; the rows are the generator's return value."""
    reader = READERS.get(format) or READERS.get(LOWER.get(format.lower(), ""))
    if reader is None:
        raise refusal(73, f"Unknown format {format[:80]}")
    if not columns:
        raise refusal(8, "There is no column in the list of columns")
    pieces: list[Piece] = []
    source = reader(body, columns, unknown)
    while True:
        try:
            piece = next(source)
        except StopIteration as done:
            given: Sequence[Column] = done.value
            break
        if piece.count:
            pieces.append(piece)
        yield
    if not all(column.known for column in given):
        for index, piece in enumerate(pieces):
            pieces[index] = fold(piece, given, unknown=unknown)
            yield
        given = [column for column in given if column.known]
    return _whole(pieces, [column.name for column in given])


def _whole(pieces: Sequence[Piece], names: list[str]) -> Rows:
    count = sum(piece.count for piece in pieces)
    bodies = [piece.body for piece in pieces]
    if any(piece.extra for piece in pieces):
        # A raw newline is always the end of a row.
        bodies = [piece.body if piece.extra else piece.body.replace(b"\n", b"\t\n") for piece in pieces]
        names = [*names, EXTRA]
    elif not names and count:
        raise refusal(8, "There is no column of the table in the rows")
    return Rows(names, count, bodies[0] if len(bodies) == 1 else b"".join(bodies))


def _tab_separated(body: bytes, columns: Sequence[Column], unknown: bool) -> Given:
    yield from tsv.read(body, columns)
    return columns


def _tab_separated_raw(body: bytes, columns: Sequence[Column], unknown: bool) -> Given:
    yield from tsv.read(tsv.of_raw(body), columns)
    return columns


def _tab_separated_with(names: int) -> Reader:
    def reader(body: bytes, columns: Sequence[Column], unknown: bool) -> Given:
        header, at = tsv.header(body, names)
        given = _named(columns, header)
        yield from tsv.read(body[at:], given, begin=names)
        return given

    return reader


def _csv(body: bytes, columns: Sequence[Column], unknown: bool) -> Given:
    names, at = csv_rows.names(body)
    if names == [column.name for column in columns]:  # which ClickHouse finds, too
        yield from csv_rows.read(body, columns, at)
        return columns
    yield from csv_rows.read(body, columns, len(csv_rows.BOM) if body.startswith(csv_rows.BOM) else 0)
    return columns


def _csv_with(lines: int) -> Reader:
    def reader(body: bytes, columns: Sequence[Column], unknown: bool) -> Given:
        header = []
        at = 0
        for _ in range(lines):
            names, at = csv_rows.names(body, at)
            header.append(names)
        given = _named(columns, header)
        yield from csv_rows.read(body, given, at)
        return given

    return reader


def _json_each_row(body: bytes, columns: Sequence[Column], unknown: bool) -> Given:
    known = [column for column in columns if column.known]
    yield from json_rows.each_row(body, known, unknown=unknown)
    return known


def _json_compact_each_row(body: bytes, columns: Sequence[Column], unknown: bool) -> Given:
    yield from json_rows.compact(body, columns)
    return columns


def _values(body: bytes, columns: Sequence[Column], unknown: bool) -> Given:
    yield from values.read(body, columns)
    return columns


def _row_binary(body: bytes, columns: Sequence[Column], unknown: bool) -> Given:
    yield from rowbinary.read(body, columns)
    return columns


def _row_binary_with(lines: int) -> Reader:
    def reader(body: bytes, columns: Sequence[Column], unknown: bool) -> Given:
        names, types, at = rowbinary.header(body, types=lines == 2)
        if lines == 1 and any(Names(columns).find(name) is None for name in names):
            raise refusal(117, "Unknown field found in RowBinary header: without types it cannot be skipped")
        given = Names(columns).header(names, types if lines == 2 else None, binary=True)
        yield from rowbinary.read(body, given, at)
        return given

    return reader


def _native(body: bytes, columns: Sequence[Column], unknown: bool) -> Given:
    return (yield from native.read(body, columns))


def _named(columns: Sequence[Column], header: Sequence[Sequence[str]]) -> Sequence[Column]:
    if not header[0]:
        return columns
    return Names(columns).header(header[0], header[1] if len(header) > 1 else None)


READERS: dict[str, Reader] = {
    "TabSeparated": _tab_separated,
    "TabSeparatedRaw": _tab_separated_raw,
    "TabSeparatedWithNames": _tab_separated_with(1),
    "TabSeparatedWithNamesAndTypes": _tab_separated_with(2),
    "JSONEachRow": _json_each_row,
    "JSONCompactEachRow": _json_compact_each_row,
    "Values": _values,
    "CSV": _csv,
    "CSVWithNames": _csv_with(1),
    "CSVWithNamesAndTypes": _csv_with(2),
    "RowBinary": _row_binary,
    "RowBinaryWithNames": _row_binary_with(1),
    "RowBinaryWithNamesAndTypes": _row_binary_with(2),
    "Native": _native,
}
ALIASES = {
    "TSV": "TabSeparated",
    "TSVRaw": "TabSeparatedRaw",
    "Raw": "TabSeparatedRaw",
    "TSVWithNames": "TabSeparatedWithNames",
    "TSVWithNamesAndTypes": "TabSeparatedWithNamesAndTypes",
    "JSONLines": "JSONEachRow",
    "NDJSON": "JSONEachRow",
}
"""Other names of the same formats; names are the same in any case."""
LOWER = {name.lower(): ALIASES.get(name, name) for name in (*READERS, *ALIASES)}
