"""The y axis: its limits, its ticks on round numbers, and their labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from monitor.graph.units import scale

LARGEST = 1e200
SMALLEST = 1e-200
FINEST = 1e-3  # a range narrower than this part of its numbers is widened, or labels would not tell ticks apart
MARGIN = 1e-9
ROOM = 0.02  # of the range stays free beyond the data


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """From `low` to `high`; `ticks` are (value, label), `minor` are grid lines between them."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    minor: tuple[float, ...]


def value_axis(
    low: float,
    high: float,
    *,
    lower: float | None,
    upper: float | None,
    rigid: bool,
    base: int,
    unit: str,
    most: int,
    most_minor: int,
) -> ValueAxis:
    """Return the axis for data from `low` to `high`, both NaN without data.

    `lower` and `upper` are limits that data beyond them move, unless `rigid`. There are at most about `most` ticks
    and `most_minor` lines.
    """
    hard_low, hard_high = rigid and lower is not None, rigid and upper is not None
    low, high = _range(low, high, lower, upper, hard_low, hard_high)
    used = scale(max(abs(low), abs(high)), base, unit)
    shown = _step((high - low) / max(1, most) / used.divisor)
    step = shown * used.divisor
    fine = _minor(shown, (high - low) / max(1, most_minor) / used.divisor) * used.divisor
    if not hard_low:
        low = math.floor(low / fine + MARGIN) * fine
    if not hard_high:
        high = math.ceil(high / fine - MARGIN) * fine
    first, last = math.ceil(low / step - MARGIN), math.floor(high / step + MARGIN)
    values = [i * step for i in range(first, last + 1)]
    form = _form(shown, max(abs(low), abs(high)) / used.divisor)
    ticks = tuple(
        (value, f"{value / used.divisor:{form}} {used.prefix}".rstrip() if value else "0") for value in values
    )
    first, last = math.ceil(low / fine - MARGIN), math.floor(high / fine + MARGIN)
    known = set(values)
    return ValueAxis(low, high, ticks, tuple(y for i in range(first, last + 1) if (y := i * fine) not in known))


def _range(
    low: float, high: float, lower: float | None, upper: float | None, hard_low: bool, hard_high: bool
) -> tuple[float, float]:
    least, most = (math.nan if limit is None else limit for limit in (lower, upper))
    if math.isnan(low):
        low = least if not math.isnan(least) else min(0.0, most) if not math.isnan(most) else 0.0
        high = most if not math.isnan(most) else max(low + 1.0, 1.0)
    low = least if hard_low else min(low, least) if not math.isnan(least) else low
    high = most if hard_high else max(high, most) if not math.isnan(most) else high
    low, high = (max(-LARGEST, min(LARGEST, value)) for value in (low, high))
    size = max(abs(low), abs(high))
    if size < SMALLEST:
        low, high, size = min(low, 0.0), 0.0, 0.0
    if -size * MARGIN < low < 0:
        low = 0.0  # what arithmetic left below zero makes no axis below zero
    narrow = size * FINEST or 1.0
    if high - low < narrow:
        # the end that a limit holds stays where it is
        held_low, held_high = hard_low or low == least, hard_high or high == most
        room = narrow if size == 0 else max(narrow, size * 0.05)
        if not held_low and size:
            low = min(low, high) - room
        if not held_high or high <= low:
            high = max(high, low) + room
    else:
        room = (high - low) * ROOM
        low = low - room if not hard_low and low < min(0.0, math.inf if math.isnan(least) else least) else low
        high = high + room if not hard_high and not high <= most else high
    return low, high


def _step(least: float) -> float:
    """Return the smallest round number that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step for times in (1, 2, 2.5, 5, 10) if (step := times * power) >= least * (1 - MARGIN))


def _minor(step: float, least: float) -> float:
    """Return a round part of the step, at least `least`."""
    lead = round(step / 10.0 ** math.floor(math.log10(step) + MARGIN), 1)
    parts = (4, 2) if lead == 2 else (5, 2)
    return next((step / part for part in parts if step / part >= least), step)


def _form(step: float, size: float) -> str:
    """Return the format in which numbers up to `size` that lie `step` apart differ."""
    if step >= 1e-4 and size < 1e6:
        decimals = next((places for places in range(6) if abs(round(step, places) - step) < step * 1e-6), 6)
        return f".{decimals}f"
    return f".{max(0, math.floor(math.log10(size)) - math.floor(math.log10(step) + MARGIN)) + 2}g"
