"""CSV: cells by comma, in double quotes where they hold one.

https://clickhouse.com/docs/interfaces/formats/CSV
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from monitor.wire.clickhouse import cells
from monitor.wire.clickhouse.cells import refusal, shown
from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.rows import SLICE, Piece, Pieces, assembled, at_row, located
from monitor.wire.clickhouse.types import Column, Type

BOM = b"\xef\xbb\xbf"
PIECE = 64 << 10
QUOTED = re.compile(rb'(?s)[ \t]*+"((?:[^"]++|"")*+)"[ \t]*+')
SINGLE = re.compile(rb"(?s)[ \t]*+'((?:[^']++|'')*+)'[ \t]*+")
BARE = re.compile(rb"[^,\r\n]*+")
END = re.compile(rb"\r\n|\n\r?|\Z")
NULL = b"\\N"


def read(body: bytes, columns: Sequence[Column], at: int = 0) -> Pieces:
    """Yield the rows from byte `at` on, canonical."""
    ways = [converter(column.type) for column in columns]
    width = len(columns)
    count = 0
    while at < len(body):
        end = _end(body, at)
        lines = body[at:end].split(b"\n") if not _special(body, at, end) else []
        if lines and not lines[-1]:
            del lines[-1]
        rows = [line.split(b",") for line in lines]
        if b" " in body[at:end] or b"\t" in body[at:end]:
            rows = [[cell.strip(b" \t") for cell in row] for row in rows]
        if rows and set(map(len, rows)) == {width}:
            columns_of_cells = list(zip(*rows, strict=True))
            made = []
            for way, given, column in zip(ways, columns_of_cells, columns, strict=True):
                try:
                    made.append(list(map(way, given)))
                except ClickHouseError as error:
                    raise located(error, given, way, column, count) from None
            yield Piece(len(rows), assembled(made))
            count += len(rows)
            at = end
            continue
        slow: list[list[bytes]] = []
        while at < len(body) and len(slow) < SLICE and at < end:
            row, at = _row(body, at, columns, ways, count + len(slow) + 1)
            slow.append(row)
        yield Piece(len(slow), assembled(list(zip(*slow, strict=True))))
        count += len(slow)


def _special(body: bytes, at: int, end: int) -> bool:
    return any(body.find(sign, at, end) >= 0 for sign in (b'"', b"'", b"\r"))


def _end(body: bytes, at: int) -> int:
    if len(body) - at <= PIECE:
        return len(body)
    return body.rfind(b"\n", at, at + PIECE) + 1 or body.find(b"\n", at) + 1 or len(body)


def names(body: bytes, at: int = 0) -> tuple[list[str], int]:
    """Return the texts of the line at byte `at`, and where the next one begins."""
    if not at and body.startswith(BOM):
        at = len(BOM)
    found: list[str] = []
    while at < len(body):
        text, _, at = _cell(body, at, strings=True)
        found.append(text.decode("utf-8", "replace"))
        if body[at : at + 1] == b",":
            at += 1
            continue
        ending = END.match(body, at)
        if ending is None:
            raise refusal(117, f"Expected end of line: (while reading header) {shown(body[at:])}")
        return found, ending.end()
    return found, at


def _row(
    body: bytes, at: int, columns: Sequence[Column], ways: Sequence[Callable[[bytes], bytes]], number: int
) -> tuple[list[bytes], int]:
    row = []
    last = len(columns) - 1
    for index, (column, way) in enumerate(zip(columns, ways, strict=True)):
        try:
            text, quoted, at = _cell(body, at, strings=column.type.kind in ("string", "bool"))
            if quoted and column.type.kind == "string":
                row.append(cells.escaped(text))
            elif quoted and column.type.kind == "bool":
                raise refusal(467, f"Cannot parse boolean value here: {shown(text)}, should be 'true' or 'false'")
            else:
                row.append(way(text))
        except ClickHouseError as error:
            raise at_row(error, column.name, number) from None
        if index < last:
            if body[at : at + 1] != b",":
                raise refusal(27, f"Cannot parse input: expected ',' before: {shown(body[at:])}: (at row {number})")
            at += 1
    if body[at : at + 1] == b",":  # one comma more is nothing
        at += 1
    ending = END.match(body, at)
    if ending is None:
        raise refusal(117, f"Expected end of line: (at row {number}), got {shown(body[at:])}")
    return row, ending.end()


def _cell(body: bytes, at: int, *, strings: bool) -> tuple[bytes, bool, int]:
    """Return a cell, whether it stood in quotes, and where it ends."""
    if found := QUOTED.match(body, at):
        return found[1].replace(b'""', b'"'), True, found.end()
    if not strings and (found := SINGLE.match(body, at)):
        return found[1].replace(b"''", b"'"), True, found.end()
    bare = BARE.match(body, at)
    assert bare is not None
    text = bare[0].strip(b" \t")
    if text.startswith(b'"'):
        raise refusal(27, f"Cannot parse input: expected '\"' before the end of {shown(text)}")
    return text, False, bare.end()


def converter(type: Type) -> Callable[[bytes], bytes]:
    """Return what makes the canonical cell of a text without quotes."""
    default = type.default
    plain = cells.converter(type)
    unsigned = type.kind == "integer" and not type.signed

    def convert(text: bytes) -> bytes:
        if not text or text == NULL:
            return default
        if unsigned and text[:1] == b"-":
            raise refusal(72, f"Unsigned type must not contain '-' symbol: {shown(text)}")
        return plain(text)

    return convert
