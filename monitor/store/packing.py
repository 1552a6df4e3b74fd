"""Packs the rows of one source and one layout, or its cells of a tier, so that one column can be read by its bytes.

Every bit of a float64 comes back. Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitor.batch import Floats
from monitor.store.column import (
    LITERAL,
    Column,
    Integers,
    Mode,
    Places,
    check_rows,
    number,
    read,
    read_number,
    write,
)
from monitor.store.tokens import SPECIAL, Tokens

MARKS = (0x7FF8 << 48, 0xFFF8 << 48, 0x7FF8_0000_0000_DEAD)
"""The NaNs that are one token: unknown, what processors make, not reported."""
ZERO = LITERAL - 1
"""The token of 0.0 among floats: so far from all others that it would make their range large."""
EXACT = 2.0**53
POWERS = 10.0 ** np.arange(10)


@dataclass(frozen=True, slots=True)
class Packed:
    """Column i is data[offsets[i] : offsets[i + 1]]."""

    data: bytes
    offsets: list[int]


def pack(columns: Sequence[Floats] | Floats, *, seconds: Floats | None = None) -> Packed:
    """Pack columns of equal length, at most 131,072 rows: a sequence of them, or an array of shape (rows, columns).

    `seconds` is what the rows' counts were divided by. `unpack` must get the same, bit for bit, or it gives other
    values. Rates get short only by the very float64 that they were made with, which in monitor.rates is the difference
    of the two stamps as floats: of whole microseconds time_us / 1e6 - since_us / 1e6, not (time_us - since_us) / 1e6.
    """
    if isinstance(columns, np.ndarray):
        columns = list(np.ascontiguousarray(columns.T))
    rows = {len(column) for column in columns} | ({len(seconds)} if seconds is not None else set())
    if len(rows) > 1:
        raise ValueError(f"expected columns and seconds of one length, got {sorted(rows)}")
    parts: list[bytes] = []
    seen: dict[bytes, int] = {}
    for place, column in enumerate(columns):
        values = np.ascontiguousarray(column, dtype=np.float64)
        before = seen.setdefault(values.tobytes(), place)
        own = before == place or len(parts[before]) <= 4
        parts.append(_pack(values, seconds) if own else bytes([Mode.SAME]) + number(before))
    offsets = [0, *np.cumsum([len(part) for part in parts]).tolist()]
    return Packed(b"".join(parts), offsets)


def refers(column: bytes) -> int | None:
    """Return the number of the earlier column that this one is equal to, which refers to none; else None.

    Such a column takes a few bytes; give `unpack` those of the other instead.
    """
    if column[:1] != bytes([Mode.SAME]):
        return None
    found, at = read_number(column, 1)
    if at != len(column):
        raise ValueError(f"expected the number of a column, got {column[:40]!r}")
    return found


def unpack(column: bytes, *, seconds: Floats | None = None) -> Floats:
    """Return the values of one column that refers to no other; ValueError when the bytes are none."""
    if not column:
        raise ValueError("expected a column, got no bytes")
    mode = column[0] & 7
    if mode == Mode.CONSTANT:
        rows, at = read_number(column, 1)
        check_rows(rows)
        if len(column) - at > 8 or column[0]:
            raise ValueError(f"expected a constant column, got {column[:40]!r}")
        word = int.from_bytes(column[at:].ljust(8, b"\0"), "big")
        return np.full(rows, word, dtype=np.uint64).view(np.float64)
    if (other := refers(column)) is not None:
        raise ValueError(f"expected a column that stands for itself, got one that refers to column {other}")
    if mode not in (Mode.FLOATS, Mode.DECIMALS, Mode.COUNTS):
        raise ValueError(f"expected a column of floats, got mode {mode}")
    found = read(column)
    tokens, power, integers = found.tokens, found.power, found.integers
    if mode == Mode.FLOATS:
        values = _ordered(integers).view(np.float64)
    else:
        values = integers.astype(np.float64)
        if power >= len(POWERS):
            raise ValueError(f"expected a power of ten below {len(POWERS)}, got {power}")
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
    words[tokens == LITERAL] = np.frombuffer(found.literals, dtype="<u8")
    return out


def pack_times(times: Integers) -> bytes:
    """Pack integers, such as times in microseconds: short if each is near to the one before and a step.

    Of a row's `since` give the difference to the time of the row before, which is mostly 0.
    """
    values = np.ascontiguousarray(times, dtype=np.int64)
    check_rows(len(values))
    return write(Column(Mode.INTEGERS, 0, np.zeros(len(values), dtype=np.uint8), values), np.arange(len(values)))


def unpack_times(column: bytes) -> Integers:
    """Return what `pack_times` was given; ValueError when the bytes are none."""
    if not column or column[0] & 7 != Mode.INTEGERS:
        raise ValueError(f"expected a column of integers, got {column[:40]!r}")
    found = read(column)
    if len(found.integers) != len(found.tokens):
        raise ValueError(f"expected {len(found.tokens)} integers, got {len(found.integers)}")
    return found.integers


def _pack(values: Floats, seconds: Floats | None) -> bytes:
    """Return a column of these values, the shortest of the modes that fit."""
    check_rows(len(values))
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
            if column and not exceptions:
                break
    else:
        tokens[bits == 0] = ZERO
        regular = np.flatnonzero(tokens < SPECIAL)
        found.append(write(Column(Mode.FLOATS, 0, tokens, _ordered(bits[regular].view(np.int64))), regular))
    return min(filter(None, found), key=len)


def _scaled(mode: Mode, values: Floats, seconds: Floats | None, tokens: Tokens, regular: Places) -> tuple[bytes, int]:
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
            return write(Column(mode, power, tokens, integers), regular), 0
    odd = regular[~fits]
    if len(odd) * 8 > len(regular):
        return b"", len(odd)
    tokens = tokens.copy()
    tokens[odd] = LITERAL
    literals = values[odd].astype("<f8").tobytes()
    return write(Column(mode, power, tokens, integers[fits], literals), regular[fits]), len(odd)


def _power(sample: Floats, divisor: Floats) -> int:
    """Return the least power of ten that makes integers of most of the values; -1 if none does."""
    scaled = np.rint(sample * divisor * POWERS[:, None])
    fits = ((scaled / POWERS[:, None] / divisor) == sample) & (np.abs(scaled) <= EXACT)
    shares = fits.sum(axis=1).tolist()
    return next((power for power, share in enumerate(shares) if share * 8 >= len(sample) * 7 and share), -1)


def _ordered(bits: Integers) -> Integers:
    """Turn the bits of floats into integers of the same order; its own inverse."""
    return bits ^ ((bits >> 63) & np.int64(0x7FFF_FFFF_FFFF_FFFF))
