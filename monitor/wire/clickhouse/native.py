"""Native: blocks of columns, each with its name, its type and its values.

https://clickhouse.com/docs/interfaces/formats/Native
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np

from monitor.wire.clickhouse import cells
from monitor.wire.clickhouse.cells import refusal
from monitor.wire.clickhouse.names import Names
from monitor.wire.clickhouse.rowbinary import cell, letter, short, string, varint
from monitor.wire.clickhouse.rows import Piece, assembled
from monitor.wire.clickhouse.types import Column, Type

MOST = 10_000_000
"""Rows in a block."""
MOST_COLUMNS = 4096
SLICE = 4096
PAUSE = Piece(0, b"")


def read(body: bytes, columns: Sequence[Column]) -> Generator[Piece, None, Sequence[Column]]:
    """Yield the rows, canonical, and return the columns of the first block, which all of them have.

    A column may be of another type than ours; one that is none of ours is not `known`.
    """
    at = 0
    names = Names(columns)
    given: dict[str, Column] = {}
    while at < len(body):
        count, rows, at = _block(body, at)
        found: dict[str, list[bytes]] = {}
        for _ in range(count):
            name, type, at = _column(body, at)
            column = names.find(name) or Column(name, type, known=False)
            if column.name in found:
                raise refusal(15, f"Duplicate column {name[:80]} in a block of Native")
            values, at = _values(body, at, type, rows)
            found[column.name] = _texts(values, type, given.setdefault(column.name, column).type)
            yield PAUSE
        if not count:
            continue
        if len(found) < len(given):
            missing = [name for name in given if name not in found]
            raise refusal(8, f"There is no column {missing[0][:80]} in a block of Native")
        for begin in range(0, rows, SLICE):
            part = [found[name][begin : begin + SLICE] for name in given]
            yield Piece(len(part[0]), assembled(part))
    return list(given.values()) or columns


def _block(body: bytes, at: int) -> tuple[int, int, int]:
    count, at = varint(body, at)
    rows, at = varint(body, at)
    if count > MOST_COLUMNS or rows > MOST:
        raise refusal(117, f"Suspiciously many columns or rows in a block of Native: {count}, {rows}")
    return count, rows, at


def _column(body: bytes, at: int) -> tuple[str, Type, int]:
    name, at = string(body, at)
    type, at = string(body, at)
    text = type.decode("utf-8", "replace")
    if "LowCardinality(" in text:
        raise refusal(48, f"Columns of type {text[:80]} are not read in Native here")
    return name.decode("utf-8", "replace"), Type.parse(text), at


def _values(body: bytes, at: int, type: Type, rows: int) -> tuple[list[Any], int]:
    """Return the values of a column, None where they are NULL, and where it ends."""
    nulls = None
    if type.nullable:
        if rows > len(body) - at:
            raise short(body, at, rows)
        nulls = body[at : at + rows]
        at += rows
    values: list[Any]
    if type.kind == "string":
        values = []
        append = values.append
        size = len(body)
        for _ in range(rows):
            length = body[at] if at < size else 0x80
            if length < 0x80:
                begin = at + 1
                at = begin + length
                if at > size:
                    raise short(body, begin, length)
                append(body[begin:at])
            else:
                data, at = string(body, at)
                append(data)
    else:
        one = letter(type)
        if not one:
            raise refusal(48, f"Columns of type {type.name} are not read here")
        end = at + rows * type.size
        if end > len(body):
            raise short(body, at, rows * type.size)
        values = np.frombuffer(body[at:end], f"<{'u4' if one == 'I' else one}").tolist()
        at = end
    if nulls and any(nulls):
        values = [None if null else value for value, null in zip(values, nulls, strict=True)]
    return values, at


def _texts(values: list[Any], given: Type, wanted: Type) -> list[bytes]:
    """Return the canonical cells of values of a type in a column of maybe another."""
    way = _way(given, wanted)
    if given.nullable:
        default = wanted.default
        return [default if value is None else way(value) for value in values]
    if given.kind == "integer" and wanted.kind == "integer" and given.name == wanted.name:
        return (b"%d\n" * len(values) % tuple(values)).split(b"\n")[:-1]
    if given.kind == "string" and wanted.kind == "string":
        return list(map(way, values)) if cells.SPECIAL.search(b"".join(values)) else values
    if given.kind == "float":
        return list(map(way, values))
    known = {value: way(value) for value in set(values)}
    return [known[value] for value in values]


def _way(given: Type, wanted: Type) -> Callable[[Any], bytes]:
    same = cell(given) or (lambda value: b"%d" % value)
    if (given.kind, given.size, given.signed) == (wanted.kind, wanted.size, wanted.signed):
        return same
    if wanted.kind == "string":
        return lambda value: cells.escaped(same(value))
    if given.kind == "string":
        return cells.converter(wanted)
    if wanted.kind == "integer" and given.kind in ("integer", "bool"):
        low, whole = wanted.low, 1 << 8 * wanted.size
        return lambda value: b"%d" % ((value - low) % whole + low)
    if wanted.kind == "ipv4" and given.kind == "integer":
        return lambda value: cells.address(value & 0xFFFF_FFFF)
    if wanted.kind == "bool" and given.kind == "integer":
        return lambda value: b"true" if value else b"false"
    if wanted.kind == "float" and given.kind in ("integer", "float", "bool"):
        single = wanted.size == 4
        return lambda value: cells.number(float(value), single)
    raise refusal(53, f"Cannot convert a column of type {given.name} to type {wanted.name}")
