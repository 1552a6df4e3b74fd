"""TabSeparated: rows by newline, cells by tab.

https://clickhouse.com/docs/interfaces/formats/TabSeparated

Rows that stand in canonical form already pass as they came: numpy looks at the bytes of all of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.wire.clickhouse.cells import ESCAPED, converter, escaped, meant, refusal, shown, unescaped
from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.rows import Piece, Pieces, assembled, located
from monitor.wire.clickhouse.types import Column, Type

PIECE = 128 << 10
"""Bytes that are looked at at once."""
FEW = 16 << 10
"""Bytes of rows that are looked at by a regular expression."""
SLOW = 16 << 10
"""Of rows that have to be made anew."""
NULL = b"\\N"
NULL_OR_BACKSLASH = re.compile(rb"(?:(?<=[\t\n])|(?<![\s\S]))\\N(?=[\t\n]|\Z)|\\")
BOM = b"\xef\xbb\xbf"
ESCAPE = re.compile(rb"(?s)\\(?:N(?=[\t\n])|(x..|.))")
LETTERS = np.zeros(256, bool)
LETTERS[list(b"tnrbf0")] = True

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Check = Callable[[bytes, Bytes, Places, Places], bool]


def read(body: bytes, columns: Sequence[Column], *, begin: int = 0) -> Pieces:
    """Yield the rows, canonical; ClickHouseError where one is none of these columns.

    `begin` is how many lines stood before.
    """
    if body.startswith(BOM) and not begin:
        body = body[len(BOM) :]
    _carriage_return(body)
    checks = [_check(column.type) for column in columns]
    shape = _shape(tuple(column.type for column in columns))
    ways = [_way(column.type) for column in columns]
    at = count = 0
    while at < len(body):
        end = _end(body, at, PIECE)
        piece = body[at:end] if end - at < len(body) else body
        if not piece.endswith(b"\n"):
            piece += b"\n"
        if b"\\'" in piece and b"\\\\" not in piece:
            piece = piece.replace(b"\\'", b"'")  # which old drivers escape, too
        if rows := _few(piece, shape) or _canonical(piece, checks):
            yield Piece(rows, piece)
        else:
            start = 0
            while start < len(piece):
                part = _end(piece, start, SLOW)
                made = _made(piece[start:part], columns, ways, count + rows)
                yield made
                rows += made.count
                start = part
        count += rows
        at = end


def header(body: bytes, lines: int) -> tuple[list[list[str]], int]:
    """Return the cells of the first lines, and where the rows begin."""
    if body:
        _carriage_return(body)
    found = []
    at = len(BOM) if body.startswith(BOM) else 0
    for _ in range(lines):
        end = body.find(b"\n", at)
        line = body[at:] if end < 0 else body[at:end]
        at = len(body) if end < 0 else end + 1
        cells = line.split(b"\t") if line else []
        found.append([unescaped(cell).decode("utf-8", "replace") for cell in cells])
    return found, at


def of_raw(body: bytes) -> bytes:
    """Return rows of TabSeparatedRaw, where a backslash means itself, as TabSeparated."""
    if b"\\" not in body:
        return body
    return NULL_OR_BACKSLASH.sub(lambda found: found[0] if found[0] == NULL else b"\\\\", body)


def _end(body: bytes, at: int, size: int) -> int:
    """Return where rows end, about so many bytes after `at`; a backslash makes a newline part of a cell."""
    if len(body) - at <= size:
        return len(body)
    end = body.rfind(b"\n", at, at + size)
    if end < 0:
        end = body.find(b"\n", at + size)
    while end >= 0:
        run = end
        while run > at and body[run - 1] == 0x5C:
            run -= 1
        if (end - run) % 2 == 0:
            return end + 1
        end = body.find(b"\n", end + 1)
    return len(body)


def _carriage_return(body: bytes) -> None:
    first = body.find(b"\n")
    if first > 0 and body[first - 1] == 13:
        raise refusal(
            117,
            "You have carriage return (\\r, 0x0D, ASCII 13) at end of first row. It's like your input data has "
            "DOS/Windows style line separators, that are illegal in TabSeparated format",
        )


@lru_cache(maxsize=256)
def _shape(types: tuple[Type, ...]) -> re.Pattern[bytes] | None:
    """Return what canonical rows of few bytes match, their escapes apart; None where a type is too free for it."""
    cells = [_cell(type) for type in types]
    return re.compile(rb"(?:" + rb"\t".join(cells) + rb"\n)*+") if all(cells) else None


def _cell(type: Type) -> bytes:
    match type.kind:
        case "string":
            return rb"[^\t\n]*+"
        case "integer":
            # one digit less than the largest number has is never too large
            sign = b"-?" if type.signed else b""
            return b"(?:0|%b[1-9]\\d{0,%d}+)" % (sign, len(str(type.high)) - 2)
        case "ipv4":
            return rb"\.".join([rb"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"] * 4)
        case "bool":
            return rb"(?:true|false)"
    return b""


def _few(piece: bytes, shape: re.Pattern[bytes] | None) -> int:
    """Return how many rows these are, if few and canonical, else 0; numpy takes as long for few as for many."""
    if shape is None or len(piece) > FEW or not _escapes(piece) or shape.fullmatch(piece) is None:
        return 0
    return piece.count(b"\n")


def _escapes(piece: bytes) -> bool:
    """Tell whether there are canonical escapes only."""
    if b"\r" in piece or b"\0" in piece or b"\b" in piece or b"\f" in piece:
        return False
    if b"\\" in piece:
        rest = np.frombuffer(piece.replace(b"\\\\", b""), np.uint8)
        return bool(LETTERS[rest[1:][rest[:-1] == 0x5C]].all())
    return True


def _canonical(piece: bytes, checks: Sequence[Check | None]) -> int:
    """Return how many rows these are, if they are canonical, else 0."""
    if not _escapes(piece):
        return 0
    data = np.frombuffer(piece, np.uint8)
    ends = np.flatnonzero((data - 9) < 2)
    width = len(checks)
    if len(ends) % width:
        return 0
    grid = ends.reshape(-1, width)
    marks = data[grid]
    if not (marks[:, -1] == 10).all() or not (marks[:, :-1] == 9).all():
        return 0
    begin = np.empty_like(ends)
    begin[0] = 0
    begin[1:] = ends[:-1] + 1
    begins = begin.reshape(-1, width)
    for index, check in enumerate(checks):
        if check and not check(piece, data, begins[:, index], grid[:, index]):
            return 0
    return len(grid)


def _check(type: Type) -> Check | None:
    """Return what tells whether cells of this type are canonical; None where every one is."""
    match type.kind:
        case "string":
            return None
        case "integer":
            return lambda piece, data, begins, ends: _integers(type, piece, data, begins, ends)
    convert = converter(type)

    def check(piece: bytes, data: Bytes, begins: Places, ends: Places) -> bool:
        lengths = ends - begins
        size = int(lengths.max())
        if size > 32 or not int(lengths.min()):
            return False
        grid = data.take(begins[:, None] + np.arange(size), mode="clip")
        grid[np.arange(size) >= lengths[:, None]] = 0
        try:
            return all(convert(text) == text for text in set(grid.view(f"S{size}").ravel().tolist()))
        except ClickHouseError:
            return False

    return check


def _integers(type: Type, piece: bytes, data: Bytes, begins: Places, ends: Places) -> bool:
    negative = data[begins] == 45
    if type.signed:
        begins = begins + negative
    elif negative.any():
        return False
    lengths = ends - begins
    size = int(lengths.max())
    most = len(str(type.high))
    if size > most or not int(lengths.min()):
        return False
    first = data[begins] - 48
    if (first > 9).any() or ((first == 0) & ((lengths > 1) | negative)).any():
        return False
    for place in range(1, size):
        digit = data.take(begins + place, mode="clip") - 48
        if ((digit > 9) & (lengths > place)).any():
            return False
    if size < most:
        return True
    # Only with as many digits as the largest number has it can be too large.
    high = b"%d" % type.high
    low = b"%d" % -type.low
    return all(
        piece[begins[row] : ends[row]] <= (low if negative[row] else high) for row in np.flatnonzero(lengths == most)
    )


def _way(type: Type) -> Callable[[bytes], bytes] | None:
    """Return what makes a cell of this type canonical, its escapes being so already."""
    default = type.default
    if type.kind == "string":
        return None
    convert = converter(type)
    return lambda cell: default if cell == NULL else convert(cell)


def _escape(found: re.Match[bytes]) -> bytes:
    if found[1] is None:
        # A NULL where it is the whole cell; within one it is nothing.
        begin = found.start()
        return NULL if not begin or found.string[begin - 1] in b"\t\n" else b""
    one = meant(found[1])
    return ESCAPED[one] if one in ESCAPED else escaped(one)


def _made(
    piece: bytes, columns: Sequence[Column], ways: Sequence[Callable[[bytes], bytes] | None], before: int
) -> Piece:
    """Return the rows made canonical."""
    if b"\\" in piece:
        piece = ESCAPE.sub(_escape, piece)
        if not piece.endswith(b"\n"):
            piece += b"\n"
    for raw, written in ((b"\r", b"\\r"), (b"\0", b"\\0"), (b"\b", b"\\b"), (b"\f", b"\\f")):
        piece = piece.replace(raw, written)
    width = len(columns)
    rows = [line.split(b"\t") for line in piece[:-1].split(b"\n")]
    for index, row in enumerate(rows):
        if len(row) != width:
            raise _width(row, columns, before + index + 1)
    made: list[Any] = list(zip(*rows, strict=True))
    for place, way in enumerate(ways):
        if way is None:
            if NULL in piece:
                made[place] = [b"" if cell == NULL else cell for cell in made[place]]
            continue
        try:
            known = {cell: way(cell) for cell in set(made[place])}
            made[place] = [known[cell] for cell in made[place]]
        except ClickHouseError as error:
            raise located(error, made[place], way, columns[place], before) from None
    return Piece(len(rows), assembled(made))


def _width(row: Sequence[bytes], columns: Sequence[Column], number: int) -> ClickHouseError:
    wanted, got = len(columns), len(row)
    return refusal(
        27,
        f"Cannot parse input: expected {wanted} cells apart by '\\t', got {got}: "
        f"{shown(row[min(got, wanted) - 1])}: (at row {number})",
    )
