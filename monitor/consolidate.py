"""PDPs to coarser buckets, as rrdtool consolidates: AVERAGE, MIN, MAX and LAST over cells.

A cell keeps what every function needs (sum, known count, min, max, last), also where too much is unknown to show, so
that coarser cells are built from finer ones without a loss. What is too unknown is decided on reading (`value`).
Cells and buckets end at multiples of their step in UTC.
"""

from __future__ import annotations

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
    """Buckets of `step` seconds that hold at least one PDP, sorted; each would hold `pdps` of them.

    Arrays are as long as `ends`, with one column per series where the PDPs had columns. `sum` and `count` are over
    the known PDPs, `min` and `max` too (NaN without any); `last` is the PDP at the bucket's very end, NaN if unknown.
    """

    ends: Ends
    step: int
    pdps: float
    sum: Floats
    count: Floats
    min: Floats
    max: Floats
    last: Floats


def cells(ends: Ends, values: Floats, *, pdp_step: int, step: int) -> Cells:
    """Gather PDPs (sorted, NaN is unknown) into cells of `step`, a multiple of the PDPs' step."""
    if step % pdp_step:
        raise ValueError(f"expected a multiple of the PDP step {pdp_step}, got {step}")
    return _cells(ends, values, np.ones(len(ends)), step, step // pdp_step)


def merge(cells: Cells, step: int) -> Cells:
    """Gather cells into coarser ones; the same as making those from the PDPs."""
    if step % cells.step:
        raise ValueError(f"expected a multiple of the cells' step {cells.step}, got {step}")
    if not len(cells.ends):
        return Cells(cells.ends, step, cells.pdps * (step // cells.step), *_parts(cells))
    bucket, heads, lasts = _groups(cells.ends, step)
    return Cells(
        bucket,
        step,
        cells.pdps * (step // cells.step),
        np.add.reduceat(cells.sum, heads, axis=0),
        np.add.reduceat(cells.count, heads, axis=0),
        np.fmin.reduceat(cells.min, heads, axis=0),
        np.fmax.reduceat(cells.max, heads, axis=0),
        _at_the_end(cells.ends[lasts], bucket, cells.last[lasts]),
    )


def value(cells: Cells, cf: CF, *, xff: float = 0.5) -> Floats:
    """Return one number per cell; NaN where more than the part `xff` of its PDPs is unknown."""
    if cf is CF.AVERAGE:
        shown = np.divide(cells.sum, cells.count, out=np.full(cells.sum.shape, np.nan), where=cells.count > 0)
    else:
        shown = {CF.MIN: cells.min, CF.MAX: cells.max, CF.LAST: cells.last}[cf]
    return np.where(cells.pdps - cells.count > xff * cells.pdps, np.nan, shown)


def buckets(
    ends: Ends, values: Floats, *, pdp_step: int, step: int, start: int, end: int, cf: CF, xff: float = 0.5
) -> Floats:
    """Return the consolidated value of every bucket of `step` from `start` to `end`, NaN where nothing is known.

    A PDP step that is a multiple of `step` repeats its value. Where neither is a multiple of the other a PDP counts
    in a bucket with the seconds that it has there.
    """
    wanted = np.arange(start + step, end + 1, step, dtype=np.int64)
    if pdp_step % step == 0:
        return _at(ends, values, -(-wanted // pdp_step) * pdp_step)
    if step % pdp_step == 0:
        coarse = cells(ends, values, pdp_step=pdp_step, step=step)
    else:
        edges = np.union1d(np.append(wanted, start), np.concatenate((ends, ends[:1] - pdp_step)))
        pieces = edges[1:]
        cut = _at(ends, values, -(-pieces // pdp_step) * pdp_step)
        coarse = _cells(pieces, cut, np.diff(edges).astype(np.float64), step, step)
    return _at(coarse.ends, value(coarse, cf, xff=xff), wanted)


def _cells(ends: Ends, values: Floats, weight: Floats, step: int, pdps: float) -> Cells:
    if not len(ends):
        return Cells(ends, step, pdps, values, values, values, values, values)
    bucket, heads, lasts = _groups(ends, step)
    known = ~np.isnan(values)
    if values.ndim > 1:
        weight = weight[:, None]
    return Cells(
        bucket,
        step,
        pdps,
        np.add.reduceat(np.where(known, values, 0.0) * weight, heads, axis=0),
        np.add.reduceat(known * weight, heads, axis=0),
        np.fmin.reduceat(values, heads, axis=0),
        np.fmax.reduceat(values, heads, axis=0),
        _at_the_end(ends[lasts], bucket, values[lasts]),
    )


def _parts(cells: Cells) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    return cells.sum, cells.count, cells.min, cells.max, cells.last


def _groups(ends: Ends, step: int) -> tuple[Ends, Ends, Ends]:
    """Return the ends of the buckets of `step` that these ends lie in, and where each begins and where it stops."""
    bucket = -(-ends // step) * step
    heads = np.flatnonzero(np.concatenate(([True], bucket[1:] != bucket[:-1])))
    return bucket[heads], heads, np.append(heads[1:], len(ends)) - 1


def _at_the_end(ends: Ends, bucket: Ends, last: Floats) -> Floats:
    there = ends == bucket
    return np.where(there[:, None] if last.ndim > 1 else there, last, np.nan)


def _at(ends: Ends, values: Floats, wanted: Ends) -> Floats:
    """Return the values that stand at the wanted ends, NaN where none does."""
    if not len(ends):
        return np.full((len(wanted), *values.shape[1:]), np.nan)
    place = np.minimum(np.searchsorted(ends, wanted), len(ends) - 1)
    there = ends[place] == wanted
    return np.where(there[:, None] if values.ndim > 1 else there, values[place], np.nan)
