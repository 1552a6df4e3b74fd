"""One column of packed history as bytes: integers, marks and literals, row by row.

A column begins with one byte (mode, order, table, whether the tokens are deflated) and numbers, each as its length and
its bytes. It goes on with the tokens of its rows (`tokens`), the bits below them, and the literals. What a mode's
integers mean is known where they are made (`packing`); the order says what was taken from each before it was written.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from monitor.store.tokens import (
    SPECIAL,
    TABLES,
    Tokens,
    Words,
    best_table,
    join,
    low_bits,
    places,
    tokens_of,
)

Integers = NDArray[np.int64]
Places = NDArray[np.intp]

MOST_ROWS = 1 << 17
"""A column of more rows is neither packed nor believed."""
LITERAL = SPECIAL + 4
"""The token of a value that stands behind the others, as 8 bytes; those from SPECIAL up to it are marks."""
MASK = (1 << 64) - 1
SAMPLE = 384
"""The choices are made by so many rows in the middle."""


class Mode(IntEnum):
    """How the values of a column become integers."""

    CONSTANT = 0
    SAME = 1
    FLOATS = 2
    """The bits of the float, so ordered that greater values have greater integers."""
    DECIMALS = 3
    """The value times a power of ten."""
    COUNTS = 4
    """The value times the row's seconds and a power of ten."""
    INTEGERS = 5
    """They are integers (times)."""


class Order(IntEnum):
    """What is taken from an integer: the least of all, the one before and a step, or its place on a straight line."""

    LEAST = 0
    STEP = 1
    GRID = 2


@dataclass(frozen=True, eq=False, slots=True)
class Column:
    """What a column is made of: the tokens of all rows, the integers of those below SPECIAL, literals as 8 bytes each.

    `power` is for the mode's use.
    """

    mode: Mode
    power: int
    tokens: Tokens
    integers: Integers
    literals: bytes = b""


def write(column: Column, regular: Places) -> bytes:
    """Return a column's bytes; the tokens at `regular`, where the integers belong, are filled in."""
    integers, tokens = column.integers, column.tokens
    base = int(integers.min()) if len(integers) else 0
    words = (integers - np.int64(base)).view(np.uint64)
    unit = _unit(words)
    if unit > 1:
        words //= np.uint64(unit)
    order, first, step, words = _reduce(words, lines=column.mode is Mode.INTEGERS)
    at, some = places(words), _sample(words)
    which = best_table(words[some], at[some], max(1.0, len(words) / SAMPLE)) if len(words) else 0
    table = TABLES[which]
    own = tokens_of(words, at, table)
    tokens[regular] = own
    body = tokens.tobytes()
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15, 8, zlib.Z_RLE)  # as short as the others, and twice as quick
    deflated = deflate.compress(body) + deflate.flush()
    if short := len(deflated) < len(body):
        body = deflated
    head = bytes([column.mode | order << 3 | which << 5 | short << 7])
    numbers = (len(tokens), column.power, base & MASK, unit, first, step, len(body))
    return b"".join([head, *map(number, numbers), body, low_bits(words, own, table), column.literals])


def read(data: bytes) -> Column:
    """Return what `write` was given; ValueError when the bytes are no column."""
    form = data[0] >> 3 & 15
    if form % 4 >= len(Order) or form // 4 >= len(TABLES):
        raise ValueError(f"expected a form of a column that is known, got {form}")
    order, table = Order(form % 4), TABLES[form // 4]
    at, numbers = 1, []
    for _ in range(7):
        one, at = read_number(data, at)
        numbers.append(one)
    rows, power, base, unit, first, step, size = numbers
    check_rows(rows)
    body = data[at : at + size]
    if data[0] & 128:
        body = _inflate(body, rows)
    if len(body) != rows:
        raise ValueError(f"expected {rows} tokens, got {len(body)}")
    tokens = np.frombuffer(body, dtype=np.uint8)
    regular, odd, greatest = tokens, 0, int(tokens.max(initial=0))
    if greatest >= SPECIAL:
        regular = tokens[tokens < SPECIAL]
        odd = int((tokens == LITERAL).sum())
    if greatest > LITERAL or (len(regular) and int(regular.max()) >= len(table.least)):
        raise ValueError(f"expected tokens below {len(table.least)}, or marks up to {LITERAL}, got others")
    words, literals = join(regular, data[at + size :], table)
    if len(literals) != 8 * odd:
        raise ValueError(f"expected {odd} literals behind the bits of a column, got {len(literals)} bytes")
    if order is not Order.LEAST:
        words = (words >> np.uint64(1)) ^ (np.uint64(0) - (words & np.uint64(1)))
        if order is Order.STEP:
            words = words.cumsum()
        words += np.arange(len(words), dtype=np.uint64) * np.uint64(step) + np.uint64(first)
    if unit != 1:
        words = words * np.uint64(unit)
    return Column(Mode(data[0] & 7), power, tokens, (words + np.uint64(base)).view(np.int64), literals)


def number(value: int) -> bytes:
    size = (value.bit_length() + 7) >> 3
    return bytes([size]) + value.to_bytes(size, "little")


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at a place, and where it ends."""
    end = at + 1 + data[at] if at < len(data) else 0
    if not at < end <= min(len(data), at + 9):
        raise ValueError(f"expected a number at byte {at} of a column, got {data[at : at + 10]!r}")
    return int.from_bytes(data[at + 1 : end], "little"), end


def check_rows(rows: int) -> None:
    if rows > MOST_ROWS:
        raise ValueError(f"expected at most {MOST_ROWS} rows, got {rows}")


def _inflate(body: bytes, size: int) -> bytes:
    expander = zlib.decompressobj(-15)
    try:
        out = expander.decompress(body, size + 1)
    except zlib.error as error:
        raise ValueError(f"expected {size} deflated tokens: {error}") from error
    if len(out) != size or not expander.eof or expander.unused_data:
        raise ValueError(f"expected {size} tokens, got {len(out)}, or more")
    return out


def _unit(words: Words) -> int:
    """Return the greatest common divisor of the words."""
    some = int(np.gcd.reduce(words[:16])) if len(words) else 0
    return 1 if some == 1 else int(np.gcd.reduce(words)) or 1


def _zigzag(words: Words) -> Words:
    signed = words.view(np.int64)
    return ((signed << 1) ^ (signed >> 63)).view(np.uint64)


def _reduce(words: Words, *, lines: bool) -> tuple[Order, int, int, Words]:
    """Return how the words become small: the order, its first and step, and what is left of them."""
    if len(words) < 4:
        return Order.LEAST, 0, 0, words
    sample = words[_sample(words)]
    steps = {Order.LEAST: 0, Order.STEP: _middle(sample[1:] - sample[:-1])}
    if lines:
        steps[Order.GRID] = (int(words[-1]) - int(words[0])) // (len(words) - 1) & MASK
    order = min(steps, key=lambda order: int(places(_reduced(sample, order, steps[order])).sum()))
    if order is Order.LEAST:
        return order, 0, 0, words
    return order, int(words[0]), steps[order], _reduced(words, order, steps[order])


def _sample(words: Words) -> slice:
    begin = max(0, (len(words) - SAMPLE) // 2)
    return slice(begin, begin + SAMPLE)


def _reduced(words: Words, order: Order, step: int) -> Words:
    if order is Order.LEAST:
        return words
    left = np.zeros_like(words)
    if order is Order.STEP:
        np.subtract(words[1:], words[:-1], out=left[1:])
        left[1:] -= np.uint64(step)
    else:
        left += words - words[:1] - np.arange(len(words), dtype=np.uint64) * np.uint64(step)
    return _zigzag(left)


def _middle(words: Words) -> int:
    half = len(words) // 2
    return int(np.partition(words.view(np.int64), half).view(np.uint64)[half])
