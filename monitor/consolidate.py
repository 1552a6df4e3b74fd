"""PDPs to coarser cells and buckets, as rrdtool consolidates: AVERAGE, MIN, MAX and LAST.

A cell keeps what every function needs (known seconds, mean, min, max, last), also where too much is unknown to show,
so that coarser cells are made from finer ones without a loss. What is too unknown is decided on reading (`value`).
Cells and buckets end at multiples of their step in UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from monitor.batch import Floats
from monitor.pdp import Ends


class CF(StrEnum):
    """How a bucket is made from its PDPs."""

    AVERAGE = "AVERAGE"
    MIN = "MIN"
    MAX = "MAX"
    LAST = "LAST"


@dataclass(frozen=True, slots=True)
class Cells:
    """Spans of time that do not overlap, sorted; what lies between them is unknown.

    Arrays are as long as `ends`, with one column per series where the PDPs had columns. `known` counts the seconds
    whose PDP is known, `mean`, `min` and `max` are over these (NaN without any); `last` is the PDP at the very end, NaN
    if unknown.
    """

    begins: Ends
    ends: Ends
    known: Floats
    mean: Floats
    min: Floats
    max: Floats
    last: Floats

    def __len__(self) -> int:
        return len(self.ends)

    def between(self, start: int, end: int) -> Cells:
        """Return the cells that have a part in start .. end."""
        first, over = np.searchsorted(self.ends, start, "right"), np.searchsorted(self.begins, end, "left")
        return self.take(slice(first, over))

    def after(self, time: int) -> Cells:
        """Return what lies behind a time; of a cell around it the seconds that are behind."""
        first = int(np.searchsorted(self.ends, time, "right"))
        cells = self.take(slice(first, None)) if first else self
        if not len(cells) or cells.begins[0] >= time:
            return cells
        begins, known = cells.begins.copy(), cells.known.copy()
        known[0] *= (cells.ends[0] - time) / (cells.ends[0] - begins[0])
        begins[0] = time
        return Cells(begins, cells.ends, known, *cells.parts[1:])

    def take(self, rows: slice | Ends) -> Cells:
        return Cells(self.begins[rows], self.ends[rows], *(part[rows] for part in self.parts))

    def column(self, number: int) -> Cells:
        """Return the cells of one series."""
        return Cells(self.begins, self.ends, *(part[:, number] for part in self.parts))

    @property
    def parts(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        return self.known, self.mean, self.min, self.max, self.last


def of_pdps(ends: Ends, values: Floats, step: int) -> Cells:
    """Return PDPs (sorted, NaN is unknown) as cells."""
    known = np.where(np.isnan(values), 0.0, float(step))
    return Cells(ends - step, ends, known, values, values, values, values)


def join(parts: Sequence[Cells]) -> Cells:
    """Return cells that follow each other as one."""
    if len(parts) == 1:
        return parts[0]
    columns = zip(*((one.begins, one.ends, *one.parts) for one in parts), strict=True)
    return Cells(*map(np.concatenate, columns))


def gather(cells: Cells, step: int) -> Cells:
    """Return cells that end at every multiple of `step` where there is one.

    A cell that reaches over such a multiple counts on either side with the seconds that it has there.
    """
    cells = _cut(cells, step)
    if not len(cells):
        return cells
    bucket = -(-cells.ends // step) * step
    heads = np.flatnonzero(np.concatenate(([True], bucket[1:] != bucket[:-1])))
    bucket, lasts = bucket[heads], np.append(heads[1:], len(cells)) - 1
    if len(heads) == len(cells) and (cells.ends == bucket).all() and (cells.begins == bucket - step).all():
        return cells
    known = np.add.reduceat(cells.known, heads, axis=0)
    weighed = np.where(cells.known > 0, cells.mean * cells.known, 0.0)
    least, most = np.fmin.reduceat(cells.min, heads, axis=0), np.fmax.reduceat(cells.max, heads, axis=0)
    mean = np.divide(np.add.reduceat(weighed, heads, axis=0), known, out=np.full(known.shape, np.nan), where=known > 0)
    mean = np.where(least == most, least, mean)  # what never changed is exactly that
    at_end = cells.ends[lasts] == bucket
    last = np.where(at_end[:, None] if known.ndim > 1 else at_end, cells.last[lasts], np.nan)
    return Cells(bucket - step, bucket, known, mean, least, most, last)


def value(cells: Cells, cf: CF, *, xff: float = 0.5) -> Floats:
    """Return one number per cell; NaN where more than the part `xff` of it is unknown."""
    shown = {CF.AVERAGE: cells.mean, CF.MIN: cells.min, CF.MAX: cells.max, CF.LAST: cells.last}[cf]
    seconds = (cells.ends - cells.begins).astype(np.float64)
    if shown.ndim > 1:
        seconds = seconds[:, None]
    return np.where(seconds - cells.known > xff * seconds, np.nan, shown)


def buckets(cells: Cells, *, step: int, start: int, end: int, cf: CF, xff: float = 0.5) -> Floats:
    """Return the consolidated value of every bucket of `step` from `start` to `end`, NaN where nothing is known.

    A cell longer than `step` repeats its value.
    """
    wanted = np.arange(start + step, end + 1, step, dtype=np.int64)
    coarse = gather(cells.between(start, end), step)
    return _at(coarse.ends, value(coarse, cf, xff=xff), wanted)


def _cut(cells: Cells, step: int) -> Cells:
    """Return the cells cut at the multiples of `step`."""
    if not len(cells):
        return cells
    first = cells.begins // step
    pieces = -(-cells.ends // step) - first
    if pieces.max() == 1:
        return cells
    row = np.repeat(np.arange(len(cells)), pieces)
    number = np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    edge = (first[row] + number) * step
    begins, ends = np.maximum(cells.begins[row], edge), np.minimum(cells.ends[row], edge + step)
    lengths, whole = ends - begins, (cells.ends - cells.begins)[row]
    if cells.known.ndim > 1:
        lengths, whole = lengths[:, None], whole[:, None]
    return Cells(begins, ends, cells.known[row] * lengths / whole, *(part[row] for part in cells.parts[1:]))


def _at(ends: Ends, values: Floats, wanted: Ends) -> Floats:
    """Return the values that stand at the wanted ends, NaN where none does."""
    if not len(ends):
        return np.full((len(wanted), *values.shape[1:]), np.nan)
    place = np.minimum(np.searchsorted(ends, wanted), len(ends) - 1)
    there = ends[place] == wanted
    return np.where(there[:, None] if values.ndim > 1 else there, values[place], np.nan)
