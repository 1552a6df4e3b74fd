"""Sums over windows of a series: TREND and PREDICT with their kin, in a time that grows little with the window."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Floats
from monitor.graph.rrd.operators import half_away

Places = NDArray[np.int64]
MOST = 50_000_000  # values that percentiles of one expression are taken from
AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """The values that windows are over; `after[i]` is the place behind the value that belongs to row i."""

    values: Floats
    step: int
    after: Places


def sums(values: Floats, last: Places, length: Places) -> Floats:
    """Return for every row the sum of the `length` values that end at `last`; all must lie within the values.

    Sums of 2, 4, 8 ... values are made one from the other, so that nothing is added and then taken away again.
    """
    total = np.zeros(len(last))
    at, left, level, width = last.copy(), length.copy(), values, 1
    while left.any():
        odd = (left & 1).astype(bool)
        total[odd] += level[at[odd]]
        at[odd] -= width
        left >>= 1
        if width >= len(level):
            break
        level = np.concatenate((level[:width], level[width:] + level[:-width]))
        width *= 2
    return total


def trend(window: Window, seconds: Floats, *, known: bool) -> Floats:
    """Return the average of the values of the last `seconds` of every row, of the `known` ones only or of all."""
    rows = len(window.after)
    wanted = np.broadcast_to(np.ceil(np.trunc(seconds) / window.step), rows)
    valid = (np.arange(1, rows + 1) >= wanted) & np.isfinite(wanted)
    length = np.where(valid, np.maximum(wanted, 1), 1).astype(np.int64)
    last = window.after - 1
    valid &= (last >= 0) & (last < len(window.values)) & (last - length + 1 >= 0)
    last, length = last[valid], length[valid]
    found = np.full(rows, math.nan)
    if known:
        there = ~np.isnan(window.values)
        count = sums(there.astype(np.float64), last, length)
        total = sums(np.where(there, window.values, 0.0), last, length)
        found[valid] = np.where(count > 0, total, math.nan) / np.maximum(count, 1)
    else:
        found[valid] = sums(window.values, last, length) / length
    return found


def _spans(window: Window, shifts: Sequence[int], seconds: int) -> Iterator[tuple[Places, Places]]:
    """Yield per shift the last place of every row's window and how many values it has.

    As rrdtool counts, row i reaches back less than i values, and a shift of 0 begins with the value after it.
    """
    longest = math.ceil(seconds / window.step)
    rows = np.arange(len(window.after))
    for shift in shifts:
        first = math.ceil(shift / window.step)
        if first > len(window.values) or longest < 0:
            continue
        last = window.after - first
        length = np.minimum(first + longest, rows - 1) - first + 1
        beyond = np.maximum(last - (len(window.values) - 1), 0)
        last, length = last - beyond, length - beyond
        yield last, np.maximum(np.minimum(length, last + 1), 0)


def _totals(window: Window, spans: Sequence[tuple[Places, Places]], values: Floats) -> Floats:
    total = np.zeros(len(window.after))
    for last, length in spans:
        total += sums(values, np.where(length > 0, last, 0), length)
    return total


def predict(window: Window, shifts: Sequence[int], seconds: int) -> Floats:
    """Return the average of the known values of all windows."""
    spans = list(_spans(window, shifts, seconds))
    known = ~np.isnan(window.values)
    count = _totals(window, spans, known.astype(np.float64))
    total = _totals(window, spans, np.where(known, window.values, 0.0))
    return np.where(count > 0, total, math.nan) / np.maximum(count, 1)


def sigma(window: Window, shifts: Sequence[int], seconds: int) -> Floats:
    """Return the standard deviation of the known values of all windows."""
    spans = list(_spans(window, shifts, seconds))
    known = ~np.isnan(window.values)
    finite = window.values[np.isfinite(window.values)]
    # a deviation is the same around any value; near zero its squares keep their digits
    values = np.where(known, window.values - (finite.mean() if len(finite) else 0.0), 0.0)
    count = _totals(window, spans, known.astype(np.float64))
    total = _totals(window, spans, values)
    squares = np.maximum(count * _totals(window, spans, values * values) - total * total, 0.0)
    return np.sqrt(squares / np.where(count > 1, count * (count - 1), math.nan))


def percentile(window: Window, shifts: Sequence[int], seconds: int, percent: float) -> Floats:
    """Return a percentile of the known values of all windows, between two values, or of a negative one the nearest."""
    spans = list(_spans(window, shifts, seconds))
    longest = [int(length.max(initial=0)) for _, length in spans]
    rows, width = len(window.after), sum(longest)
    found = np.full(rows, math.nan)
    if rows * width > MOST:
        raise ValueError(f"expected a percentile of at most {MOST} values, got {rows} times {width}")
    if not width:
        return found
    part = percent / 100
    some = max(1, AT_ONCE // width)
    for begin in range(0, rows, some):
        piece = slice(begin, begin + some)
        sets = []
        for (last, length), most in zip(spans, longest, strict=True):
            back = np.arange(most)
            there = back < length[piece, None]
            place = np.where(there, last[piece, None] - back, 0)
            sets.append(np.where(there, window.values[place], math.nan))
        ordered = np.sort(np.concatenate(sets, axis=1), axis=1)  # unknown ones last
        count = width - np.isnan(ordered).sum(axis=1)
        place = part * (count - 1.0)
        low = np.maximum(half_away(np.abs(place)) if part < 0 else np.floor(place), 0).astype(np.int64)
        high = np.minimum(low + 1, np.maximum(count - 1, 0))
        each = np.arange(len(ordered))
        value, rest = ordered[each, low], place - low
        between = (ordered[each, high] - value) * rest
        found[piece] = value if part < 0 else np.where(rest > 0, value + between, value)
    return found
