"""One column of packed history: float64 values in as few bytes as they allow, every bit of them kept.

A column begins with one byte (mode, order, table, whether the tokens are deflated) and numbers, each as its length and
its bytes. It goes on with the tokens of its rows (`tokens`), the bits below them, and the values that fit no other way.
What the tokens stand for are integers: the mode says how the values become integers, the order what is taken from
each before it is written.
"""

from __future__ import annotations

import zlib
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Floats
from monitor.store.tokens import (
    SPECIAL,
    TABLES,
    Tokens,
    Words,
    best_table,
    join,
    low_bits,
    places,
    size_of_bits,
    tokens_of,
)

Integers = NDArray[np.int64]

MOST_ROWS = 1 << 17
"""A column of more rows is neither packed nor believed."""
MARKS = (0x7FF8 << 48, 0xFFF8 << 48, 0x7FF8_0000_0000_DEAD)
"""The NaNs that are one token: unknown, what processors make, not reported."""
ZERO = SPECIAL + len(MARKS)
"""0.0 among floats: so far from all other floats that it would make their range large."""
LITERAL = ZERO + 1
"""A value that stands behind the others, as it is."""
MASK = (1 << 64) - 1
SAMPLE = 384
EXACT = 2.0**53
POWERS = 10.0 ** np.arange(10)


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


def same(column: int) -> bytes:
    """Return a column that is equal to an earlier one."""
    return bytes([Mode.SAME]) + number(column)


def referred(column: bytes) -> int | None:
    """Return the number of the column that this one is equal to; None when it stands for itself."""
    if column[:1] != bytes([Mode.SAME]):
        return None
    found, at = read_number(column, 1)
    if at != len(column):
        raise ValueError(f"expected the number of a column, got {column[:40]!r}")
    return found


def pack_floats(values: Floats, seconds: Floats | None) -> bytes:
    """Return a column of these values, the shortest of the modes that fit."""
    _check_rows(len(values))
    bits = values.view(np.uint64)
    if not len(bits) or bool((bits == bits[0]).all()):
        word = int(bits[0]) if len(bits) else 0
        return bytes([Mode.CONSTANT]) + number(len(bits)) + word.to_bytes(8, "big").rstrip(b"\0")
    tokens = np.zeros(len(bits), dtype=np.uint8)
    for place, mark in enumerate(MARKS):
        tokens[bits == np.uint64(mark)] = SPECIAL + place
    regular = np.flatnonzero(tokens == 0)
    found = []
    for mode, divisor in ((Mode.DECIMALS, None), (Mode.COUNTS, seconds)):
        if mode is Mode.DECIMALS or divisor is not None:
            column, exceptions = _scaled(mode, values, divisor, tokens, regular)
            found.append(column)
            if not exceptions:
                break
    else:
        tokens[bits == 0] = ZERO
        regular = np.flatnonzero(tokens < SPECIAL)
        found.append(_column(Mode.FLOATS, 0, _ordered(bits[regular].view(np.int64)), tokens, regular, b""))
    return min(filter(None, found), key=len)


def pack_integers(values: Integers) -> bytes:
    _check_rows(len(values))
    tokens = np.zeros(len(values), dtype=np.uint8)
    return _column(Mode.INTEGERS, 0, values, tokens, np.arange(len(values)), b"")


def _check_rows(rows: int) -> None:
    if rows > MOST_ROWS:
        raise ValueError(f"expected at most {MOST_ROWS} rows, got {rows}")


def _scaled(
    mode: Mode, values: Floats, seconds: Floats | None, tokens: Tokens, regular: NDArray[np.intp]
) -> tuple[bytes, int]:
    """Return a column of integers, empty if too few values fit, and how many do not and are written as they are."""
    every = len(regular) // 16 + 1
    known = values[regular]
    divisor = np.ones(1) if seconds is None else seconds[regular]
    with np.errstate(all="ignore"):
        power = _power(known[::every], divisor[::every])
        if power < 0:
            return b"", len(regular)
        counts = known * divisor
        if power:
            counts *= POWERS[power]
        counts = np.rint(counts)
        integers = counts.astype(np.int64)  # which know no -0.0
        again = integers.astype(np.float64)
        if power:
            again /= POWERS[power]
        if seconds is not None:
            again /= divisor
        fits = (again.view(np.uint64) == known.view(np.uint64)) & (np.abs(counts) <= EXACT)
        if fits.all():
            return _column(mode, power, integers, tokens, regular, b""), 0
    odd = regular[~fits]
    if len(odd) * 8 > len(regular):
        return b"", len(odd)
    tokens = tokens.copy()
    tokens[odd] = LITERAL
    literals = values[odd].astype("<f8").tobytes()
    return _column(mode, power, integers[fits], tokens, regular[fits], literals), len(odd)


def _power(sample: Floats, divisor: Floats) -> int:
    """Return the least power of ten that makes integers of most of the values; -1 if none does."""
    scaled = np.rint(sample * divisor * POWERS[:, None])
    fits = ((scaled / POWERS[:, None] / divisor) == sample) & (np.abs(scaled) <= EXACT)
    shares = fits.sum(axis=1).tolist()
    return next((power for power, share in enumerate(shares) if share * 8 >= len(sample) * 7 and share), -1)


def _ordered(bits: Integers) -> Integers:
    """Turn the bits of floats into integers of the same order; its own inverse."""
    return bits ^ ((bits >> 63) & np.int64(0x7FFF_FFFF_FFFF_FFFF))


def _column(
    mode: Mode, power: int, integers: Integers, tokens: Tokens, regular: NDArray[np.intp], literals: bytes
) -> bytes:
    base = int(integers.min()) if len(integers) else 0
    words = (integers - np.int64(base)).view(np.uint64)
    unit = _unit(words)
    if unit > 1:
        words //= np.uint64(unit)
    order, first, step, words = _reduce(words, mode)
    at, some = places(words), _sample(words)
    which = best_table(words[some], at[some], max(1.0, len(words) / SAMPLE)) if len(words) else 0
    table = TABLES[which]
    own = tokens_of(words, at, table)
    tokens[regular] = own
    body = tokens.tobytes()
    deflated = compress(body)
    short = len(deflated) < len(body)
    head = bytes([mode | order << 3 | which << 5 | short << 7])
    numbers = [len(tokens), power, base & MASK, unit, first, step, len(deflated)]
    if not short:
        deflated = body
        numbers[-1] = len(body)
    return b"".join([head, *map(number, numbers), deflated, low_bits(words, own, table), literals])


def compress(body: bytes) -> bytes:
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15, 8, zlib.Z_FILTERED)
    return deflate.compress(body) + deflate.flush()


def decompress(body: bytes, size: int) -> bytes:
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


def _reduce(words: Words, mode: Mode) -> tuple[Order, int, int, Words]:
    """Return how the words become small: the order, its first and step, and what is left of them."""
    if len(words) < 4:
        return Order.LEAST, 0, 0, words
    steps = {Order.LEAST: 0, Order.STEP: _middle(words[1:] - words[:-1])}
    if mode is Mode.INTEGERS:
        steps[Order.GRID] = (int(words[-1]) - int(words[0])) // (len(words) - 1) & MASK
    sample = words[_sample(words)]
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


def number(value: int) -> bytes:
    size = (value.bit_length() + 7) >> 3
    return bytes([size]) + value.to_bytes(size, "little")


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at a place, and where it ends."""
    end = at + 1 + data[at] if at < len(data) else 0
    if not at < end <= min(len(data), at + 9):
        raise ValueError(f"expected a number at byte {at} of a column, got {data[at : at + 10]!r}")
    return int.from_bytes(data[at + 1 : end], "little"), end


def unpack_floats(column: bytes, seconds: Floats | None) -> Floats:
    """Return the values of a column that refers to no other."""
    if not column:
        raise ValueError("expected a column, got no bytes")
    mode = column[0] & 7
    if mode == Mode.CONSTANT:
        rows, at = read_number(column, 1)
        if rows > MOST_ROWS or len(column) - at > 8 or column[0]:
            raise ValueError(f"expected a constant column, got {column[:40]!r}")
        word = int.from_bytes(column[at:].ljust(8, b"\0"), "big")
        return np.full(rows, word, dtype=np.uint64).view(np.float64)
    if (other := referred(column)) is not None:
        raise ValueError(f"expected a column that stands for itself, got one that refers to column {other}")
    if mode not in (Mode.FLOATS, Mode.DECIMALS, Mode.COUNTS):
        raise ValueError(f"expected a column of floats, got mode {mode}")
    tokens, power, integers, literals = _integers(column)
    if mode == Mode.FLOATS:
        values = _ordered(integers).view(np.float64)
    else:
        values = integers.astype(np.float64)
        if power:
            values /= POWERS[power]
    special = len(integers) < len(tokens)
    regular = tokens < SPECIAL if special else slice(None)
    if mode == Mode.COUNTS:
        if seconds is None or len(seconds) != len(tokens):
            got = "none" if seconds is None else len(seconds)
            raise ValueError(f"expected the seconds of {len(tokens)} rows, got {got}")
        with np.errstate(all="ignore"):
            values /= seconds[regular]
    if not special:
        return values
    out = np.zeros(len(tokens))
    out[regular] = values
    words = out.view(np.uint64)
    for place, mark in enumerate(MARKS):
        words[tokens == SPECIAL + place] = mark
    words[tokens == LITERAL] = np.frombuffer(literals, dtype="<u8")
    return out


def unpack_integers(column: bytes) -> Integers:
    if not column or column[0] & 7 != Mode.INTEGERS:
        raise ValueError(f"expected a column of integers, got {column[:40]!r}")
    tokens, _, integers, _ = _integers(column)
    if len(integers) != len(tokens):
        raise ValueError(f"expected {len(tokens)} integers, got {len(integers)}")
    return integers


def _integers(column: bytes) -> tuple[Tokens, int, Integers, bytes]:
    """Return a column's tokens, power, the integers of its regular tokens, and its literals."""
    form = column[0] >> 3 & 15
    if form % 4 >= len(Order) or form // 4 >= len(TABLES):
        raise ValueError(f"expected a form of a column that is known, got {form}")
    order, table = Order(form % 4), TABLES[form // 4]
    at, numbers = 1, []
    for _ in range(7):
        one, at = read_number(column, at)
        numbers.append(one)
    rows, power, base, unit, first, step, size = numbers
    if rows > MOST_ROWS or power >= len(POWERS):
        raise ValueError(f"expected at most {MOST_ROWS} rows and the power {len(POWERS) - 1}, got {rows} and {power}")
    body = column[at : at + size]
    if column[0] & 128:
        body = decompress(body, rows)
    if len(body) != rows:
        raise ValueError(f"expected {rows} tokens, got {len(body)}")
    tokens = np.frombuffer(body, dtype=np.uint8)
    regular, odd = tokens, 0
    if rows and int(tokens.max()) >= SPECIAL:
        regular = tokens[tokens < SPECIAL]
        odd = int((tokens == LITERAL).sum())
    if len(regular) and int(regular.max()) >= len(table.least):
        raise ValueError(f"expected tokens below {len(table.least)}, got {int(regular.max())}")
    middle = at + size + size_of_bits(regular, table)
    if middle + 8 * odd != len(column):
        raise ValueError(f"expected a column of {middle + 8 * odd} bytes, got {len(column)}")
    words = join(regular, column[at + size : middle], table)
    if order is not Order.LEAST:
        words = (words >> np.uint64(1)) ^ (np.uint64(0) - (words & np.uint64(1)))
        if order is Order.STEP:
            words = words.cumsum()
        words += np.arange(len(words), dtype=np.uint64) * np.uint64(step) + np.uint64(first)
    if unit != 1:
        words = words * np.uint64(unit)
    return tokens, power, (words + np.uint64(base)).view(np.int64), column[middle:]
