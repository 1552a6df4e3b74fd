"""Values: rows as SQL writes them, `(1, 'text', toIPv4('192.0.2.1')), (…)`.

https://clickhouse.com/docs/interfaces/formats/Values

Expressions are not computed: a cell is a number, a text, a word for a value, or a text in a conversion.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from monitor.wire.clickhouse import cells
from monitor.wire.clickhouse.cells import refusal, shown
from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.rows import SLICE, Piece, Pieces, assembled, at_row, joined, matched
from monitor.wire.clickhouse.types import Column, Type

CELL = re.compile(
    rb"""(?xs) \s*+ (?:
      ' (?P<text> (?: [^'\\]++ | \\. | '' )*+ ) '
    | (?P<bare> [+-]?[\w.]++ (?: (?<=[eE]) [+-]\d++ )? )
    ) \s*+ (?P<after> [,)] )"""
)
CALL = re.compile(
    rb"""(?xs) \s*+ (?P<name> \w++ ) \s*+ \( \s*+ (?:
      ' (?P<text> (?: [^'\\]++ | \\. | '' )*+ ) ' | (?P<bare> [+-]?[\w.]++ ) )
    \s*+ \) \s*+ (?P<after> [,)] )"""
)
BEFORE = re.compile(rb"\s*+(?:(;)|(\()|(\Z))")
BETWEEN = re.compile(rb"\s*+,?\s*+(?:(;)|(\()|(\Z))")
PLAIN = rb"('(?:[^'\\]++|\\.|'')*+'|[+-]?[\w.]++)"
"""A cell as drivers write it; others are read one by one."""
NUMBER = re.compile(rb"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?")
HEX = re.compile(rb"([+-]?)0[xX]([0-9a-fA-F]{1,32})")
WHOLE = re.compile(rb"[+-]?\d{1,80}")
CONVERSIONS = (
    rb"toIPv4|IPv4StringToNum|toIPv4OrDefault|toString|toU?Int(?:8|16|32|64)|toFloat(?:32|64)|toBool|IPv4NumToString"
)
KNOWN = re.compile(CONVERSIONS)
WORDS = (b"null", b"default", b"true", b"false")
Convert = Callable[[bytes, bool], bytes]


def read(body: bytes, columns: Sequence[Column]) -> Pieces:
    """Yield the rows, canonical."""
    ways = [converter(column.type) for column in columns]
    plain = re.compile(rb"\s*+,\s*+".join([PLAIN] * len(columns)).join((rb"(?s)\s*+,?\s*+\(\s*+", rb"\s*+\)")))
    at = count = slow = 0
    while True:
        rows, end = matched(plain, body, at, len(body), SLICE) if count and at >= slow else ([], at)
        if rows:
            try:
                made = list(map(_column, zip(*rows, strict=True), ways))
            except ClickHouseError:
                slow = end  # row by row, which tells the one that is wrong
                continue
            yield Piece(len(rows), assembled(made))
            count += len(rows)
            at = end
            continue
        found = (BETWEEN if count else BEFORE).match(body, at)
        if found is None:
            raise refusal(27, f"Cannot parse input: expected '(' before: {shown(body[at:])}: (at row {count + 1})")
        if not found[2]:
            return
        row, at = _row(body, found.end(), columns, ways, count + 1)
        yield Piece(1, joined([row]))
        count += 1


def _column(given: Sequence[bytes], way: Convert) -> list[bytes]:
    """Return the canonical cells of a column."""
    known = {cell: way(_text(cell[1:-1]), True) if cell[:1] == b"'" else way(cell, False) for cell in set(given)}
    return [known[cell] for cell in given]


def _row(
    body: bytes, at: int, columns: Sequence[Column], ways: Sequence[Convert], number: int
) -> tuple[list[bytes], int]:
    """Return the cells of a row, and where it ends."""
    row = []
    last = len(columns) - 1
    for index, (column, way) in enumerate(zip(columns, ways, strict=True)):
        found = CELL.match(body, at) or CALL.match(body, at)
        if found is None:
            raise refusal(
                62, f"Cannot parse expression of type {column.type.name} here: {shown(body[at:])}: (at row {number})"
            )
        quoted = found["text"] is not None
        try:
            if found.re is CALL and not KNOWN.fullmatch(found["name"]):
                raise refusal(46, f"Function with name `{found['name'].decode()[:80]}` does not exist")
            row.append(way(_text(found["text"]) if quoted else found["bare"], quoted))
        except ClickHouseError as error:
            raise at_row(error, column.name, number) from None
        at = found.end()
        if (found["after"] == b")") != (index == last):
            wanted = "')'" if index == last else "','"
            # one comma more is nothing
            if index == last and (end := re.compile(rb"\s*+\)").match(body, at)):
                at = end.end()
                continue
            raise refusal(
                62,
                f"Expected {wanted} after the value of column `{column.name}` of type {column.type.name} here: "
                f"{shown(body[at - 1 :])}: (at row {number})",
            )
    return row, at


def _text(text: bytes) -> bytes:
    if b"''" in text:
        # a quote that is escaped does not begin a pair
        text = re.sub(rb"(?s)(\\.)|''", lambda found: found[1] or b"'", text)
    return cells.unescaped(text)


def converter(type: Type) -> Convert:
    """Return what makes the canonical cell of a text and whether it stood in quotes."""
    default = type.default
    plain = cells.converter(type)

    def convert(text: bytes, quoted: bool) -> bytes:
        if quoted:
            if not text and type.kind == "integer":
                raise refusal(32, f"Attempt to read after eof: Cannot parse {type.name} from String")
            try:
                return plain(text)
            except ClickHouseError as error:
                if type.kind != "integer":
                    raise
                raise refusal(6, f"Cannot parse string {shown(text)} as {type.name}") from error
        word = text.lower()
        if word in (b"null", b"default"):
            return default
        if word in (b"true", b"false"):
            return _boolean(word, type)
        return _bare(text, type, plain)

    return convert


def _boolean(word: bytes, type: Type) -> bytes:
    if type.kind in ("bool", "string"):
        return word
    if type.kind == "ipv4":
        raise refusal(53, f"Cannot convert {word.decode()} to type {type.name}")
    return b"1" if word == b"true" else b"0"


def _bare(text: bytes, type: Type, plain: Callable[[bytes], bytes]) -> bytes:
    if type.kind == "float" and text.lstrip(b"+-").lower() in (b"nan", b"inf", b"infinity"):
        return plain(text)
    if found := HEX.fullmatch(text):
        text = b"%b%d" % (found[1], int(found[2], 16))
    if not NUMBER.fullmatch(text):
        raise refusal(47, f"Unknown expression identifier `{text.decode('utf-8', 'replace')[:80]}`")
    match type.kind:
        case "float":
            return plain(text)
        case "string":
            return text.removeprefix(b"+") if WHOLE.fullmatch(text) else cells.number(float(text), False)
        case "bool":
            return b"true" if float(text) else b"false"
    if WHOLE.fullmatch(text):
        whole = int(text)
    elif abs(real := float(text)) < 1 << 64:
        whole = int(real)
    else:
        raise refusal(69, f"Value {shown(text)} does not fit in type {type.name}")
    bits = 8 * type.size
    if type.kind == "ipv4":
        return cells.address(whole % (1 << bits))
    return b"%d" % ((whole - type.low) % (1 << bits) + type.low)
