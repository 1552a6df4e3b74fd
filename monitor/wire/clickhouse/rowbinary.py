"""RowBinary: values one after the other, little endian, strings with their length before them.

https://clickhouse.com/docs/interfaces/formats/RowBinary
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from monitor.wire.clickhouse import cells
from monitor.wire.clickhouse.cells import refusal
from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.rows import SLICE, Piece, Pieces
from monitor.wire.clickhouse.types import Column, Type

LONGEST = 1 << 30
"""Bytes of a String."""
LETTERS = {
    ("integer", False): {1: "B", 2: "H", 4: "I", 8: "Q"},
    ("integer", True): {1: "b", 2: "h", 4: "i", 8: "q"},
    ("float", False): {4: "f", 8: "d"},
    ("bool", False): {1: "B"},
    ("ipv4", False): {4: "I"},
    ("date", False): {2: "H", 4: "i"},
    ("time", False): {4: "I"},
    ("time64", True): {8: "q"},
}
Step = struct.Struct | Type
"""Values of fixed size that stand side by side, or one that is a String or may be NULL."""


def letter(type: Type) -> str:
    """Return the struct module's letter of a type; '' where there is none."""
    return LETTERS.get((type.kind, type.signed), {}).get(type.size, "")


def varint(body: bytes, at: int) -> tuple[int, int]:
    """Return a number of seven bits to the byte, and where it ends."""
    number = shift = 0
    while True:
        if at >= len(body) or shift > 63:
            raise refusal(33, f"Cannot read all data: a length that ends at byte {len(body)} of {len(body)}")
        byte = body[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def string(body: bytes, at: int) -> tuple[bytes, int]:
    """Return the bytes of a String, and where it ends."""
    size, at = varint(body, at)
    if size > LONGEST:
        raise refusal(131, f"Too large string size: {size}")
    if size > len(body) - at:
        raise short(body, at, size)
    return body[at : at + size], at + size


def short(body: bytes, at: int, size: int) -> ClickHouseError:
    return refusal(33, f"Cannot read all data. Bytes read: {max(len(body) - at, 0)}. Bytes expected: {size}.")


def header(body: bytes, *, types: bool) -> tuple[list[str], list[str], int]:
    """Return the names, the types' names if they are there, and where the rows begin."""
    texts = []
    try:
        count, at = varint(body, 0)
        if count > len(body):
            raise short(body, at, count)
        for _ in range(count * (1 + types)):
            data, at = string(body, at)
            texts.append(data.decode("utf-8", "replace"))
    except ClickHouseError as error:
        raise refusal(32, f"Attempt to read after eof: {error.text} (while reading header)") from None
    return texts[:count], texts[count:], at


def read(body: bytes, columns: Sequence[Column], at: int = 0) -> Pieces:
    """Yield the rows from byte `at` on, canonical; ClickHouseError where they end too early."""
    if not columns and at < len(body):
        raise refusal(117, "Rows of no column: the header names none")
    types = [column.type for column in columns]
    steps = _steps(types)
    line = b"\t".join(b"%d" if type.kind == "integer" else b"%b" for type in types) + b"\n"
    finish = finisher(types)
    end = len(body)
    while at < end:
        flat: list[Any] = []
        count = 0
        while at < end and count < SLICE:
            try:
                at = _row(body, at, steps, flat)
            except struct.error:
                raise short(body, at, end - at + 1) from None
            count += 1
        finish(flat)
        yield Piece(count, line * count % tuple(flat))


def _steps(types: Sequence[Type]) -> list[Step]:
    steps: list[Step] = []
    letters = ""
    for type in types:
        one = letter(type)
        if one and not type.nullable:
            letters += one
            continue
        if letters:
            steps.append(struct.Struct("<" + letters))
            letters = ""
        steps.append(type)
        if type.kind != "string" and not one:
            cells.converter(type)  # which refuses it
    if letters:
        steps.append(struct.Struct("<" + letters))
    return steps


def _row(body: bytes, at: int, steps: Sequence[Step], flat: list[Any]) -> int:
    """Append the values of a row, and return where it ends."""
    for step in steps:
        if isinstance(step, struct.Struct):
            flat += step.unpack_from(body, at)
            at += step.size
            continue
        if step.nullable:
            if at >= len(body):
                raise short(body, at, 1)
            at += 1
            if body[at - 1]:
                flat.append(None)
                continue
        if step.kind == "string":
            size = body[at] if at < len(body) else 0x80
            if size < 0x80:
                at += 1
                if size > len(body) - at:
                    raise short(body, at, size)
                flat.append(body[at : at + size])
                at += size
            else:
                data, at = string(body, at)
                flat.append(data)
        else:
            one = struct.Struct("<" + letter(step))
            flat += one.unpack_from(body, at)
            at += one.size
    return at


def finisher(types: Sequence[Type]) -> Callable[[list[Any]], None]:
    """Return what makes values of rows, one after the other, such that `%d` and `%b` write their cells."""
    width = len(types)
    texts = [index for index, type in enumerate(types) if type.kind == "string"]
    others = {
        index: way for index, type in enumerate(types) if (way := cell(type)) is not None and type.kind != "string"
    }
    nullable = [index for index, type in enumerate(types) if type.nullable]

    def finish(flat: list[Any]) -> None:
        for index in nullable:
            zero: Any = b"" if types[index].kind == "string" else 0
            flat[index::width] = [zero if value is None else value for value in flat[index::width]]
        for index in texts:
            column = flat[index::width]
            if cells.SPECIAL.search(b"".join(column)):
                flat[index::width] = map(cells.escaped, column)
        for index, way in others.items():
            column = flat[index::width]
            if types[index].kind == "float":  # 0 and -0 are equal, and not the same
                flat[index::width] = map(way, column)
            else:
                known = {value: way(value) for value in set(column)}
                flat[index::width] = [known[value] for value in column]

    return finish


def cell(type: Type) -> Callable[[Any], bytes] | None:
    """Return what makes the canonical cell of a value of this type; None where `%d` does."""
    match type.kind:
        case "integer":
            return None
        case "string":
            return cells.escaped
        case "bool":
            return lambda value: b"true" if value else b"false"
        case "ipv4":
            return cells.address
        case "float":
            single = type.size == 4
            return lambda value: cells.number(value, single)
    raise refusal(48, f"Rows with values of type {type.name} are not read here")
