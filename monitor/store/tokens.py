"""Unsigned integers of 64 bits as one byte each, which an entropy coder shortens, and the bits that it would not.

A token is the number itself where it is small, else its highest bit's place with the bit below it; the bits still lower
follow each other unchanged, the highest first. How much a token says is a table's choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Tokens = NDArray[np.uint8]

ONE = np.uint64(1)
SPECIAL = 248
"""Tokens from here on are free for the caller."""


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """Numbers below 2^direct are tokens themselves; of larger ones the token holds `kept` bits below the highest."""

    direct: int
    kept: int
    least: Words
    """The least number of each token."""
    below: NDArray[np.int64]
    """How many bits follow a token."""

    @classmethod
    def make(cls, direct: int, kept: int) -> Table:
        least, below = list(range(1 << direct)), [0] * (1 << direct)
        for place in range(direct, 64):
            least += [(1 << place) + (step << (place - kept)) for step in range(1 << kept)]
            below += [place - kept] * (1 << kept)
        assert len(least) <= SPECIAL
        return cls(direct, kept, np.array(least, dtype=np.uint64), np.array(below, dtype=np.int64))


TABLES = tuple(Table.make(direct, kept) for direct, kept in ((0, 0), (4, 1)))


def places(words: Words) -> NDArray[np.int64]:
    """Return the place of the highest bit of each word, -1 of 0."""
    # without the bit below the highest one no rounding reaches the next power of two
    rounded = (words & ~(words >> ONE)).astype(np.float64).view(np.int64)
    found: NDArray[np.int64] = np.maximum((rounded >> 52) - 1023, -1)
    return found


def tokens_of(words: Words, at: NDArray[np.int64], table: Table) -> Tokens:
    """Return the tokens of words whose highest bits have these places."""
    shift = np.maximum(at - table.kept, 0)
    tokens = (words >> shift.view(np.uint64)).view(np.int64)
    tokens += (at - table.direct) << table.kept
    tokens += (1 << table.direct) - (1 << table.kept)
    if table.direct:
        np.copyto(tokens, words.view(np.int64), where=at < table.direct)
    else:
        np.maximum(tokens, 0, out=tokens)
    return tokens.astype(np.uint8)


def best_table(words: Words, at: NDArray[np.int64], scale: float) -> int:
    """Return which of TABLES makes words like these shortest, if there are `scale` times as many."""
    most, found = math.inf, 0
    for number, table in enumerate(TABLES):
        count = np.bincount(tokens_of(words, at, table))
        used = count[count > 0]
        bits = len(words) * math.log2(len(words)) - float((used * np.log2(used)).sum())
        bits += float(count @ table.below[: len(count)])
        if (size := bits * scale + 5 * len(used)) < most:
            most, found = size, number
    return found


def low_bits(words: Words, tokens: Tokens, table: Table) -> bytes:
    """Return the bits that the tokens do not hold, one after the other."""
    index = tokens.astype(np.intp)
    below = table.below.take(index)
    ends = below.cumsum()
    total = int(ends[-1]) if len(ends) else 0
    if not total:
        return b""
    begins = ends - below
    value = words - table.least.take(index)
    at = begins >> 6
    room = 64 - (begins & 63) - below  # bits left in the word, negative when a part goes to the next one
    first = value << np.maximum(room, 0).view(np.uint64)
    split = np.flatnonzero(room < 0)
    over = room.take(split)
    first[split] = value.take(split) >> (-over).view(np.uint64)
    heads = np.flatnonzero(np.concatenate(([True], at[1:] != at[:-1])))
    out = np.zeros((total >> 6) + 2, dtype=np.uint64)
    out[at.take(heads)] = np.bitwise_or.reduceat(first, heads)
    # only one value goes beyond the end of a word
    out[at.take(split) + 1] |= value.take(split) << (64 + over).view(np.uint64)
    return out.astype(">u8").tobytes()[: (total + 7) >> 3]


def join(tokens: Tokens, bits: bytes, table: Table) -> tuple[Words, bytes]:
    """Return the words, and what is left of the bits; ValueError when there are too few."""
    index = tokens.astype(np.intp)
    least, below = table.least.take(index), table.below.take(index)
    ends = below.cumsum()
    size = (int(ends[-1]) + 7) >> 3 if len(ends) else 0
    if size > len(bits):
        raise ValueError(f"expected {size} bytes of bits, got {len(bits)}")
    if not size:
        return least, bits
    buffer = bits[:size] + bytes(9)
    windows = np.ndarray((size + 2,), dtype=">u8", buffer=buffer, strides=(1,))
    begins = ends - below
    at = begins >> 3
    begins &= 7
    offset = begins.view(np.uint64)
    value = windows.take(at).astype(np.uint64)
    value <<= offset
    if int(below.max()) > 57:
        rest = np.frombuffer(buffer, np.uint8).take(at + 8).astype(np.uint64)
        value |= rest >> (np.uint64(8) - offset)
    value >>= (64 - below).view(np.uint64)
    value += least
    return value, bits[size:]
