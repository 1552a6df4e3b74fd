"""Rows to PDPs (primary data points): the one place where a source's own stamps become even steps of time.

A PDP covers the seconds `end - step .. end`, `end` being a multiple of `step` in UTC. The rules are rrdtool's:

- A row spreads its value over the seconds `since .. time`. A row longer than the heartbeat is unknown as a whole.
- Seconds that no row covers are unknown: those before the first row in its PDP, and those between two rows.
- A PDP is the sum of value x seconds over its known seconds. It is unknown when none is known, or when more than half
  a step is unknown before its last piece. The last piece is not counted (rrdtool does not either).
- Times count in whole microseconds. Unknown pieces count in whole seconds, rounded down, but for the last one: as
  rrdtool, which is therefore up to a second off beside an unknown piece with a fraction. Of PDPs shorter than a minute,
  where a constant would begin with a false dip, they count exactly. Not taken over either: that rrdtool
  moves up to a second of a row that begins at a fraction and crosses two edges from its first PDP to the next.

Rows come as rrdtool would have had to see them, in order of time:

- A row begins no earlier than the row before it ended. So a late row inside the interval of another takes its own
  part of it, and the other keeps, and is measured by, what lies behind the late one.
- Of rows with the same time the first known one stands.
- A row whose `since` is not before its `time`, or that has no time (NaN, infinite), covers nothing and is left out.
- A value that is not finite is unknown.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.batch import Floats

Ends = NDArray[np.int64]

SECOND = 1_000_000  # microseconds
ROUNDED = 60
"""PDPs at least this long count unknown pieces in whole seconds, as rrdtool; of shorter ones that would be too much."""
FARTHEST = 1e11  # seconds either side of 1970 that a time may lie


def pdps(
    time: ArrayLike,
    since: ArrayLike,
    value: ArrayLike,
    *,
    step: int,
    heartbeat: float,
    start: int | None = None,
    end: int | None = None,
    until: float | None = None,
) -> tuple[Ends, Floats]:
    """Return (ends, values) of every complete PDP from the first row to the last, without a hole; NaN is unknown.

    `value` is one series, or one column per series that shares all rows. `start` and `end` keep only the PDPs that
    lie wholly in start .. end. `until` says that the rows are all there is up to then, so that PDPs behind the last
    row are complete, too.
    """
    if step < 1 or step != int(step):
        raise ValueError(f"expected a step of whole seconds, at least 1, got {step!r}")
    times, sinces = _microseconds(time, since)
    values = np.asarray(value, dtype=np.float64)
    if not len(times) == len(sinces) == len(values):
        raise ValueError(f"expected rows of one length, got {len(times)} times, {len(sinces)} since, {len(values)}")
    times, sinces, values = _ordered(times, sinces, values)
    if not len(times):
        return np.empty(0, np.int64), np.empty((0, *values.shape[1:]))
    width = int(step) * SECOND
    begins, ends, values = _without_holes(times, sinces, values, width, until)
    far = ends - begins > heartbeat * SECOND
    if far.any():
        values = values.copy()
        values[far] = np.nan
    return _spread(begins, ends, values, width, start, end)


def _microseconds(*columns: ArrayLike) -> list[Ends]:
    """Cut times to microseconds as rrdtool does; what is no time becomes the greatest integer."""
    cut = []
    for column in columns:
        seconds = np.asarray(column, dtype=np.float64)
        usable = np.abs(seconds) < FARTHEST
        if not usable.all():
            seconds = np.where(usable, seconds, 0.0)
        whole = np.floor(seconds)
        exact = whole.astype(np.int64) * SECOND + ((seconds - whole) * SECOND).astype(np.int64)
        cut.append(exact if usable.all() else np.where(usable, exact, np.iinfo(np.int64).max))
    return cut


def _ordered(times: Ends, sinces: Ends, values: Floats) -> tuple[Ends, Ends, Floats]:
    """Return the rows that cover something, by time, each beginning no earlier than the one before it ended."""
    usable = (sinces < times) & (times < FARTHEST * SECOND)
    if not usable.all():
        times, sinces, values = times[usable], sinces[usable], values[usable]
    if not (times[1:] > times[:-1]).all():
        unknown = np.all(~np.isfinite(values), axis=tuple(range(1, values.ndim)))
        order = np.lexsort((unknown, times))
        order = order[np.concatenate(([True], times[order[1:]] != times[order[:-1]]))]
        times, sinces, values = times[order], sinces[order], values[order]
    overlaps = sinces[1:] < times[:-1]
    if overlaps.any():
        sinces = sinces.copy()
        np.maximum(sinces[1:], times[:-1], out=sinces[1:])
    return times, sinces, values


def _without_holes(
    times: Ends, sinces: Ends, values: Floats, width: int, until: float | None
) -> tuple[Ends, Ends, Floats]:
    """Return intervals that follow each other from the start of a PDP on: holes become unknown intervals."""
    before = np.concatenate((sinces[:1] // width * width, times[:-1]))
    begins, ends = sinces, times
    if (before < sinces).any():
        begins = np.column_stack((before, sinces)).ravel()
        ends = np.column_stack((sinces, times)).ravel()
        filled = np.full((2 * len(values), *values.shape[1:]), np.nan)
        filled[1::2] = values
        there = begins < ends
        begins, ends, values = begins[there], ends[there], filled[there]
    if until is not None and until * SECOND > ends[-1]:
        begins = np.append(begins, ends[-1])
        ends = np.append(ends, int(until * SECOND))
        values = np.concatenate((values, np.full((1, *values.shape[1:]), np.nan)))
    return begins, ends, values


def _spread(
    begins: Ends, ends: Ends, values: Floats, width: int, start: int | None, end: int | None
) -> tuple[Ends, Floats]:
    """Cut the intervals at the PDPs' edges and weigh the pieces of each PDP."""
    complete = int(ends[-1]) // width
    if end is not None:
        complete = min(complete, end * SECOND // width)
    first = begins // width
    behind = np.minimum(-(-ends // width), complete)
    if start is not None:
        first = np.maximum(first, -(-start * SECOND // width))
    pieces = np.maximum(behind - first, 0)
    total = int(pieces.sum())
    if not total:
        return np.empty(0, np.int64), np.empty((0, *values.shape[1:]))
    row = np.repeat(np.arange(len(pieces)), pieces)
    pdp = np.arange(total) + np.repeat(first - np.cumsum(pieces) + pieces, pieces)
    edge = pdp * width
    length = np.minimum(ends[row], edge + width) - np.maximum(begins[row], edge)
    heads = np.flatnonzero(np.concatenate(([True], pdp[1:] != pdp[:-1])))
    seconds = length / SECOND
    value = values[row]
    if value.ndim > 1:
        seconds, length = seconds[:, None], length[:, None]
    step = width // SECOND
    known = np.isfinite(value)
    if known.all():
        return (pdp[heads] + 1) * step, np.add.reduceat(value * seconds, heads, axis=0) / step
    lasts = np.append(heads[1:], total) - 1
    sums = np.add.reduceat(np.where(known, value, 0.0) * seconds, heads, axis=0)
    covered = np.add.reduceat(known * seconds, heads, axis=0)
    missing = ~known * (length // SECOND if step >= ROUNDED else seconds)
    missing[lasts] = 0
    unknown = np.add.reduceat(missing, heads, axis=0)
    rest = step - unknown - ~known[lasts] * seconds[lasts]
    good = (covered > 0) & (unknown <= step / 2)
    return (pdp[heads] + 1) * step, np.divide(sums, rest, out=np.full(sums.shape, np.nan), where=good)
