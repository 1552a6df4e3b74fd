"""JSONEachRow and JSONCompactEachRow: an object or an array for each row, one to the line or several in one array.

https://clickhouse.com/docs/interfaces/formats/JSONEachRow

What is strict JSON and one to the line is read by orjson; anything else that ClickHouse takes, by a slower reader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from monitor.wire.clickhouse import cells
from monitor.wire.clickhouse.cells import refusal
from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.json_scan import Scanner, converter
from monitor.wire.clickhouse.names import Names
from monitor.wire.clickhouse.rows import SLICE, Piece, Pieces, assembled, at_row, folded
from monitor.wire.clickhouse.types import Column, Type

PIECE = 64 << 10
"""Bytes that are read at once."""
BOM = b"\xef\xbb\xbf"
Way = Callable[[list[Any]], list[bytes]]


class UnusualError(Exception):
    """A value that the fast reader leaves to the slow one."""


def each_row(body: bytes, columns: Sequence[Column], *, unknown: bool) -> Pieces:
    """Yield the rows of objects, canonical, with the column EXTRA where `unknown` found something."""
    reader = Objects(columns, unknown=unknown)
    return _read(body, reader.fast, reader.slow, begins=b"{")


def compact(body: bytes, columns: Sequence[Column]) -> Pieces:
    """Yield the rows of arrays, canonical."""
    reader = Arrays(columns)
    return _read(body, reader.fast, reader.slow, begins=b"[")


def _read(
    body: bytes,
    fast: Callable[[list[Any]], Piece],
    slow: Callable[[Scanner, int, int], Piece],
    *,
    begins: bytes,
) -> Pieces:
    scanner = Scanner(body, len(BOM) if body.startswith(BOM) else 0)
    count = 0
    array = begins == b"{" and scanner.take(b"[")
    if array and scanner.take(b"]"):
        array = False
        _over(scanner)
        return
    while scanner.more():
        end = _end(body, scanner.at)
        piece = None
        if not array and body[scanner.at : scanner.at + 1] == begins:
            try:
                rows = orjson.loads(b"[%b]" % body[scanner.at : end].strip().replace(b"\n", b","))
                # As many as there are lines, or a newline stood within a row.
                if len(rows) == body.count(b"\n", scanner.at, end) + (body[end - 1 : end] != b"\n"):
                    piece = fast(rows)
                    scanner.at = end
            except (ValueError, UnusualError):
                piece = None
        if piece is None:
            piece = slow(scanner, end, count)
        count += piece.count
        yield piece
        if array and scanner.take(b"]"):
            _over(scanner)
            return
    if array:
        raise refusal(27, f"Cannot parse input: expected ']' at end of stream, after row {count}")


def _over(scanner: Scanner) -> None:
    scanner.take(b";")
    if scanner.body[scanner.at :].strip():
        raise refusal(27, f"Cannot parse input: expected 'eof' before: {scanner.rest()}")


def _end(body: bytes, at: int) -> int:
    if len(body) - at <= PIECE:
        return len(body)
    return body.rfind(b"\n", at, at + PIECE) + 1 or body.find(b"\n", at) + 1 or len(body)


class Objects:
    def __init__(self, columns: Sequence[Column], *, unknown: bool) -> None:
        self.columns = columns
        self.unknown = unknown
        self.names = Names(columns)
        self.known = {column.name for column in columns if column.known}
        self.ways = [way(column.type) for column in columns]
        self.slow_ways = [converter(column.type) for column in columns]
        self.defaults = [column.type.default for column in columns]

    def fast(self, rows: list[Any]) -> Piece:
        if set(map(type, rows)) != {dict}:
            raise UnusualError
        extra = None
        shapes = set(map(tuple, rows))
        if not all(self.known.issuperset(shape) for shape in shapes):
            shapes = {shape for shape in shapes if not self.known.issuperset(shape)}
            extra = [self._fold(row, shapes) for row in rows]
        columns = [
            way([row.get(column.name) for row in rows]) for column, way in zip(self.columns, self.ways, strict=True)
        ]
        if extra is not None and any(extra):
            return Piece(len(rows), assembled([*columns, extra]), extra=True)
        return Piece(len(rows), assembled(columns))

    def _fold(self, row: dict[str, Any], shapes: set[tuple[str, ...]]) -> bytes:
        """Return the cell of what is known to no column; names of another case become those of their columns."""
        if tuple(row) not in shapes:
            return b""
        rest = {}
        for name in [name for name in row if name not in self.known]:
            value = row[name]
            column = self.names.find(name)
            if column is None or not column.known:
                rest[name] = value
            elif column.name in row:
                raise UnusualError
            else:
                row[column.name] = value
        return folded(rest) if self.unknown else b""

    def slow(self, scanner: Scanner, end: int, before: int) -> Piece:
        made: list[list[bytes]] = []
        extras = False
        while (
            len(made) < SLICE and scanner.more() and scanner.at < end and not scanner.body.startswith(b"]", scanner.at)
        ):
            row = list(self.defaults)
            rest: dict[str, Any] = {}
            number = before + len(made) + 1
            texts = _located(scanner.row, number)
            found = {}
            for name, text in texts.items():
                column = self.names.find(name)
                if column is None or not column.known:
                    rest[name] = _loose(text)
                elif column.name in found:
                    raise refusal(117, f"Duplicate field found while parsing JSONEachRow format: {name[:80]}")
                else:
                    found[column.name] = text
            for index, column in enumerate(self.columns):
                if column.name in found:
                    row[index] = _cell(self.slow_ways[index], found[column.name], column.name, number)
            extra = folded(rest) if self.unknown else b""
            extras = extras or bool(extra)
            made.append([*row, extra])
        if not made:
            raise refusal(27, f"Cannot parse input: expected '{{' before: {scanner.rest()}: (at row {before + 1})")
        width = len(self.columns) + extras
        return Piece(len(made), assembled([list(column) for column in zip(*made, strict=True)][:width]), extra=extras)


class Arrays:
    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.ways = [way(column.type) for column in columns]
        self.slow_ways = [converter(column.type) for column in columns]

    def fast(self, rows: list[Any]) -> Piece:
        if set(map(type, rows)) != {list} or set(map(len, rows)) != {len(self.columns)}:
            raise UnusualError
        columns = [way(list(values)) for way, values in zip(self.ways, zip(*rows, strict=True), strict=True)]
        return Piece(len(rows), assembled(columns))

    def slow(self, scanner: Scanner, end: int, before: int) -> Piece:
        made: list[list[bytes]] = []
        while len(made) < SLICE and scanner.more() and scanner.at < end:
            number = before + len(made) + 1
            texts = _located(lambda: scanner.array(len(self.columns)), number)
            made.append(
                [
                    _cell(convert, text, column.name, number)
                    for convert, text, column in zip(self.slow_ways, texts, self.columns, strict=True)
                ]
            )
        return Piece(len(made), assembled([list(column) for column in zip(*made, strict=True)]))


def _located(read: Callable[[], Any], number: int) -> Any:
    try:
        return read()
    except ClickHouseError as error:
        raise ClickHouseError(error.code, error.name, f"{error.text}: (at row {number})") from None


def _cell(convert: Callable[[bytes], bytes], text: bytes, name: str, number: int) -> bytes:
    try:
        return convert(text)
    except ClickHouseError as error:
        raise at_row(error, name, number) from None


def _loose(text: bytes) -> Any:
    """Return the value of a text, for the column of what else was sent."""
    try:
        return orjson.loads(text)
    except ValueError:
        return text.decode("utf-8", "replace")


def way(type: Type) -> Way:
    """Return what makes the cells of a column of values that orjson read."""
    default = type.default
    match type.kind:
        case "string":
            return _strings
        case "integer":
            return lambda values: _integers(values, type)
        case "float":
            single = type.size == 4
            return lambda values: [
                cells.number(value, single) if value.__class__ in (float, int) else _default(value, default)
                for value in values
            ]
        case "bool":
            return lambda values: [_default(value, default) if value is None else _bool(value) for value in values]
    convert = cells.converter(type)

    def memoized(values: list[Any]) -> list[bytes]:
        try:
            known = {
                value: _default(value, default) if value is None else convert(value.encode()) for value in set(values)
            }
        except (TypeError, AttributeError, ClickHouseError):
            raise UnusualError from None
        return [known[value] for value in values]

    return memoized


def _strings(values: list[Any]) -> list[bytes]:
    try:
        whole = "\0".join(values)
    except TypeError:
        try:
            whole = "\0".join(["" if value is None else value for value in values])
        except TypeError:
            raise UnusualError from None
    data = whole.encode()
    found = data.split(b"\0")
    if len(found) != len(values):
        return [cells.escaped(value.encode()) if value else b"" for value in values]
    if cells.SPECIAL.search(data.replace(b"\0", b"")):
        return list(map(cells.escaped, found))
    return found


def _integers(values: list[Any], type: Type) -> list[bytes]:
    low, high = type.low, type.high
    if set(map(_class, values)) == {int} and low <= min(values) and max(values) <= high:
        return (b"%d\n" * len(values) % tuple(values)).split(b"\n")[:-1]
    convert = converter(type)
    found = []
    for value in values:
        if value.__class__ is int and low <= value <= high:
            found.append(b"%d" % value)
        elif value.__class__ is str and value.isascii() and value.isdigit():
            found.append(convert(value.encode()))
        else:
            found.append(_default(value, type.default))
    return found


def _class(value: object) -> type:
    return value.__class__


def _bool(value: Any) -> bytes:
    if value.__class__ not in (bool, int) or value not in (0, 1):
        raise UnusualError
    return b"true" if value else b"false"


def _default(value: Any, default: bytes) -> bytes:
    if value is not None:
        raise UnusualError
    return default
