"""CSV: cells by comma, in double quotes where they hold one.

https://clickhouse.com/docs/interfaces/formats/CSV
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from monitor.wire.clickhouse import cells
from monitor.wire.clickhouse.cells import refusal, shown
from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.rows import SLICE, Piece, Pieces, assembled, at_row, joined, matched
from monitor.wire.clickhouse.types import Column, Type

BOM = b"\xef\xbb\xbf"
PLAIN = rb'("(?:[^"]++|"")*+"|[^"\',\r\n]*+)'
QUOTED = re.compile(rb'(?s)[ \t]*+"((?:[^"]++|"")*+)"[ \t]*+')
SINGLE = re.compile(rb"(?s)[ \t]*+'((?:[^']++|'')*+)'[ \t]*+")
BARE = re.compile(rb"[^,\r\n]*+")
END = re.compile(rb"\r\n|\n\r?|\Z")
NULL = b"\\N"


def read(body: bytes, columns: Sequence[Column], at: int = 0) -> Pieces:
    """Yield the rows from byte `at` on, canonical."""
    ways = [converter(column.type) for column in columns]
    plain = re.compile(rb"[ \t]*+,[ \t]*+".join([PLAIN] * len(columns)).join((rb"[ \t]*+", rb"[ \t]*+(?:\r?\n|\Z)")))
    count = slow = 0
    while at < len(body):
        rows, end = matched(plain, body, at, len(body), SLICE) if at >= slow else ([], at)
        if rows:
            try:
                made = list(map(_column, zip(*rows, strict=True), columns, ways))
            except ClickHouseError:
                slow = end  # row by row, which tells the one that is wrong
                continue
            yield Piece(len(rows), assembled(made))
            count += len(rows)
            at = end
        else:
            row, at = _row(body, at, columns, ways, count + 1)
            yield Piece(1, joined([row]))
            count += 1


def _column(cells_given: Sequence[bytes], column: Column, way: Callable[[bytes], bytes]) -> list[bytes]:
    """Return the canonical cells of a column, of cells that may stand in double quotes."""
    if column.type.kind == "string":
        return [
            cells.escaped(cell[1:-1].replace(b'""', b'"')) if cell[:1] == b'"' else way(cell.rstrip(b" \t"))
            for cell in cells_given
        ]
    known = {}
    for cell in set(cells_given):
        if cell[:1] == b'"' and column.type.kind == "bool":
            raise refusal(467, "Cannot parse boolean value in quotes")
        known[cell] = way(cell[1:-1] if cell[:1] == b'"' else cell.rstrip(b" \t"))
    return [known[cell] for cell in cells_given]


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
