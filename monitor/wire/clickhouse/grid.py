"""The cells of canonical TabSeparated rows as arrays: what is counted of millions of rows is counted with numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Floats

Words = NDArray[np.uint64]
Places = NDArray[np.int64]

PAD = bytes(24)
NINE, TWO_OF_THEM = np.uint8(9), np.uint8(2)
LONGEST = 256
"""Bytes of a cell that are looked at, to tell it from others, besides its length."""
MIX = np.uint64(0x9E3779B97F4A7C15)
SHIFT = np.uint64(32)
MASKS = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)
"""Those of the bytes of a word that belong to a cell with so many more."""
ABOVE = np.array([64 - 8 * size if size else 63 for size in range(9)], np.uint64)
DIGITS, PAIRS, FOURS = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
TENS, HUNDREDS, THOUSANDS = np.uint64(2561), np.uint64(6553601), np.uint64(42949672960001)
ONE, TWO, FOUR = np.uint64(8), np.uint64(16), np.uint64(32)


class Grid:
    """Rows of which each has a cell for every column; ValueError where they have not."""

    def __init__(self, body: bytes, columns: Sequence[str]) -> None:
        self._raw = np.frombuffer(PAD + body + PAD, np.uint8)
        bytes_ = self._raw[len(PAD) : len(PAD) + len(body)]
        # A tab and a newline within a text are escaped, so that all there are end a cell.
        ends = np.flatnonzero((bytes_ - NINE) < TWO_OF_THEM)
        if not columns or len(ends) % len(columns) or not body.endswith(b"\n"):
            raise ValueError(f"expected rows of {len(columns)} cells, got {len(ends)} cells")
        ends += len(PAD)
        starts = np.empty_like(ends)
        starts[0] = len(PAD)
        np.add(ends[:-1], 1, out=starts[1:])
        self._ends = ends.reshape(-1, len(columns))
        self._starts = starts.reshape(-1, len(columns))
        self._at = {name: number for number, name in enumerate(columns)}
        count = len(self._raw) - 7
        self._words = np.ndarray((count,), "<u8", self._raw.data, strides=(1,)).copy()
        """The eight bytes from each byte on."""

    def __len__(self) -> int:
        return len(self._ends)

    def __contains__(self, column: str) -> bool:
        return column in self._at

    def text(self, column: str, row: int) -> str:
        """Return a cell as it stands."""
        at = self._at[column]
        cell = self._raw[self._starts[row, at] : self._ends[row, at]].tobytes()
        return cell.decode("utf-8", "replace")

    def filled(self, column: str) -> NDArray[np.bool_]:
        """Tell which cells hold anything."""
        at = self._at[column]
        return self._ends[:, at] > self._starts[:, at]

    def true(self, column: str) -> NDArray[np.bool_]:
        """Tell which cells of a Bool say true."""
        first = self._raw[self._starts[:, self._at[column]]]
        found: NDArray[np.bool_] = (first == ord("t")) | (first == ord("1"))
        return found

    def marks(self, column: str) -> Words:
        """Return a number for each cell: the same for the same text, and another one for any other, as good as ever."""
        at = self._at[column]
        starts = np.ascontiguousarray(self._starts[:, at])
        sizes = self._ends[:, at] - starts
        made: Words = (sizes + 1).astype(np.uint64) * MIX
        longest = int(sizes.max(initial=0))
        shortest = int(sizes.min(initial=0))
        for done in range(0, min(longest, LONGEST), 8):
            if done < shortest:
                words = self._words[starts + done]
                if shortest - done < 8:
                    words &= MASKS[np.minimum(sizes - done, 8)]
                made = mixed(made ^ words)
            else:
                some = np.flatnonzero(sizes > done)
                words = self._words[starts[some] + done] & MASKS[np.minimum(sizes[some] - done, 8)]
                made[some] = mixed(made[some] ^ words)
        return made

    def numbers(self, column: str) -> Floats:
        """Return whole numbers; what has more than 24 digits loses the first ones."""
        at = self._at[column]
        starts, ends = self._starts[:, at], np.ascontiguousarray(self._ends[:, at])
        below = self._raw[starts] == ord("-")
        sizes = ends - starts - below
        found = self._eight(ends, sizes).astype(np.float64)
        for size, times in ((8, 1e8), (16, 1e16)):
            if int(sizes.max(initial=0)) > size:
                some = np.flatnonzero(sizes > size)
                found[some] += self._eight(ends[some] - size, sizes[some] - size).astype(np.float64) * times
        if below.any():
            found[below] *= -1
        return found

    def _eight(self, ends: Places, sizes: Places) -> Words:
        """Return what the last eight digits before `ends` say, or as many as there are."""
        words = self._words[ends - 8]
        above = ABOVE[np.minimum(sizes, 8)]
        words = (words >> above << above) & DIGITS
        words = (words * TENS) >> ONE
        words = ((words & PAIRS) * HUNDREDS) >> TWO
        found: Words = ((words & FOURS) * THOUSANDS) >> FOUR
        return found


def mixed(words: Words) -> Words:
    words = words * MIX
    words ^= words >> SHIFT
    return words


def distinct(marks: Words) -> Places:
    """Return places that hold every mark at least once; most of those that come again are left out."""
    count = len(marks)
    bits = max(8, count.bit_length() + 1)
    slots = (marks >> np.uint64(64 - bits)).astype(np.int64)
    last = np.empty(1 << bits, np.int64)
    places = np.arange(count)
    last[slots] = places
    chosen = last[slots]
    return np.flatnonzero((chosen == places) | (marks[chosen] != marks))
