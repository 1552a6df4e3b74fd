"""Rates of many rows at once: differences of 64-bit words, wraps and limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.batch import REAL, SIGNED, UNKNOWN, UNSIGNED, Floats
from monitor.rates.plan import Plan

Words = NDArray[np.uint64]
Tags = NDArray[np.uint8]
Flags = NDArray[np.bool_]

WRAP32 = 2.0**32
MAX32 = 2.0**32 / 60
"""The greatest believable rate of a counter that wrapped at 2^32: all of it in a minute."""
MAX64 = 1e11


def difference(words: Words, tags: Tags, before: Words, before_tags: Tags) -> Floats:
    """Return words - before, exact for integers before the division makes a float of it; NaN where one is unknown."""
    if (tags == SIGNED).all() and (before_tags == SIGNED).all():
        new, old = words.view(np.int64), before.view(np.int64)
        gap = new - old
        if not (((new ^ old) & (new ^ gap)) < 0).any():
            return gap.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        new_real, old_real = as_floats(words, tags), as_floats(before, before_tags)
        # an unsigned word is at least 2^63, so a signed one below it has the same bits unless it is negative
        whole = (tags != REAL) & (before_tags != REAL)
        whole &= (tags == before_tags) | ((words.view(np.int64) >= 0) | (tags == UNSIGNED)) & (
            (before.view(np.int64) >= 0) | (before_tags == UNSIGNED)
        )
        signed = (tags == SIGNED) & (before_tags == SIGNED)
        fell = np.where(signed, words.view(np.int64) < before.view(np.int64), words < before)
        gap_float = np.where(fell, -(before - words).astype(np.float64), (words - before).astype(np.float64))
        gap_float = np.where(whole, gap_float, new_real - old_real)
    gap_float[(tags == UNKNOWN) | (before_tags == UNKNOWN)] = np.nan
    return gap_float


def as_floats(words: Words, tags: Tags) -> Floats:
    """Return what the words mean, rounded to floats."""
    values = words.view(np.int64).astype(np.float64)
    values = np.where(tags == UNSIGNED, words.astype(np.float64), values)
    values = np.where(tags == REAL, words.view(np.float64), values)
    values[tags == UNKNOWN] = np.nan
    return values


def rate(
    plan: Plan, values: Floats, words: Words, tags: Tags, before: Words, before_tags: Tags,
    elapsed: Floats, rebooted: Flags | None,
) -> Floats:  # fmt: skip
    """Return the rates of rows; `elapsed` has the shape (rows, 1) or (rows, names). It overwrites `values`."""
    if plan.absolute.size:
        values[:, plan.absolute] /= elapsed if elapsed.shape[1] == 1 else elapsed[:, plan.absolute]
    if plan.counted.size:
        seconds = elapsed if elapsed.shape[1] == 1 else elapsed[:, plan.counted]
        gap = difference(words, tags, before, before_tags)
        fell: Flags | None = None
        if plan.wrapping.size:
            fell = gap[:, plan.wrapping] < 0
            if fell.any():
                unwrap(plan, gap, fell, words, tags, before, before_tags, seconds, rebooted)
        gap /= seconds
        values[:, plan.counted] = gap
    if plan.bounded:
        outside = (values < plan.low) | (values > plan.high)
        if outside.any():
            values[outside] = np.nan
    return values


def unwrap(
    plan: Plan, gap: Floats, fell: Flags, words: Words, tags: Tags, before: Words, before_tags: Tags,
    seconds: Floats, rebooted: Flags | None,
) -> None:  # fmt: skip
    """Replace the negative gaps of counters by what they are after a wrap, or NaN where that cannot be believed."""
    rows, at = np.nonzero(fell)
    columns = plan.wrapping[at]
    fall = -gap[rows, columns]
    small = fall <= WRAP32
    whole = (tags[rows, columns] != REAL) & (before_tags[rows, columns] != REAL)
    modulo = (words[rows, columns] - before[rows, columns]).astype(np.float64)
    grown = np.where(small, WRAP32 - fall, np.where(whole, modulo, 2.0**64 - fall))
    high = plan.high[plan.counted[columns]]
    limit = np.where(np.isinf(high), np.where(small, MAX32, MAX64), high)
    per_second = grown / np.broadcast_to(seconds, gap.shape)[rows, columns]
    grown[per_second > limit] = np.nan
    if rebooted is not None:
        grown[rebooted[rows]] = np.nan
    gap[rows, columns] = grown
