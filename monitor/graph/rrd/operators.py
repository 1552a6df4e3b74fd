"""What the operators of RPN compute: of whole arrays, and the same of one row where a result needs the one before."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

NAN = math.nan
DEGREE = 0.0174532952  # the digits that rrdtool has
RADIAN = 57.29577951


@dataclass(frozen=True, slots=True)
class Function:
    """A function of `count` values, or with 0 of as many as it is given."""

    count: int
    whole: Callable[..., Any]
    row: Callable[..., Any]


def _safe(row: Callable[..., float], whole: Callable[..., Any]) -> Callable[..., float]:
    """Return a function of Python's floats that never fails: what is undefined is what the array's function says."""

    def safe(*values: float) -> float:
        try:
            return float(row(*values))
        except (ArithmeticError, ValueError):
            return float(whole(*(np.float64(value) for value in values)))

    return safe


def _math(count: int, whole: Callable[..., Any], row: Callable[..., float]) -> Function:
    return Function(count, whole, _safe(row, whole))


def _compare(whole: Callable[[Any, Any], Any], row: Callable[[float, float], bool]) -> Function:
    def both(a: Any, b: Any) -> Any:
        return np.where(np.isnan(a) | np.isnan(b), NAN, whole(a, b))

    def one(a: float, b: float) -> float:
        return NAN if a != a or b != b else float(row(a, b))

    return Function(2, both, one)


def _add_known(a: Any, b: Any) -> Any:
    return np.where(np.isnan(a), b, np.where(np.isnan(b), a, a + b))


def _add_known_row(a: float, b: float) -> float:
    if a != a:
        return b
    return a if b != b else a + b


def _limit(value: Any, low: Any, high: Any) -> Any:
    return np.where((value >= low) & (value <= high), value, NAN)


def _limit_row(value: float, low: float, high: float) -> float:
    return value if low <= value <= high else NAN


def _choose(condition: Any, then: Any, other: Any) -> Any:
    return np.where(np.isnan(condition) | (condition == 0), other, then)


def _choose_row(condition: float, then: float, other: float) -> float:
    return other if condition != condition or condition == 0 else then


def _minimum_row(a: float, b: float) -> float:
    if a != a or b != b:
        return NAN
    return b if a > b else a


def _maximum_row(a: float, b: float) -> float:
    if a != a or b != b:
        return NAN
    return b if a < b else a


def _least_row(a: float, b: float) -> float:
    if a != a:
        return b
    return b if a > b else a


def _greatest_row(a: float, b: float) -> float:
    if a != a:
        return b
    return b if a < b else a


def half_away(value: Any) -> Any:
    """Round halves away from zero, as C does."""
    whole = np.trunc(value)
    return np.where(np.abs(value - whole) >= 0.5, whole + np.copysign(1.0, value), whole)


def half_away_row(value: float) -> float:
    if not math.isfinite(value):
        return value
    whole = math.trunc(value)
    return float(whole + math.copysign(1.0, value) if abs(value - whole) >= 0.5 else whole)


def table(values: Sequence[Any]) -> Any:
    """Return a row per value."""
    return np.stack(np.broadcast_arrays(*values))


def _average(*values: Any) -> Any:
    rows = table(values[::-1])  # added up from the top of the stack
    known = ~np.isnan(rows)
    return np.where(known, rows, 0.0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), NAN)


def _average_row(*values: float) -> float:
    known = [value for value in reversed(values) if value == value]
    return sum(known) / len(known) if known else NAN


def _deviation(*values: Any) -> Any:
    rows = table(values)
    known = ~np.isnan(rows)
    count = known.sum(axis=0)
    mean = np.where(known, rows, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = np.where(known, (rows - mean) ** 2, 0.0).sum(axis=0)
    return np.sqrt(squares / np.where(count < 2, NAN, count - 1))


def _deviation_row(*values: float) -> float:
    known = [value for value in values if value == value]
    if len(known) < 2:
        return NAN
    mean = sum(known) / len(known)
    return math.sqrt(sum((value - mean) ** 2 for value in known) / (len(known) - 1))


def _median(*values: Any) -> Any:
    rows = np.sort(table(values), axis=0)  # unknown ones last
    count = len(rows) - np.isnan(rows).sum(axis=0)
    high = np.take_along_axis(rows, np.atleast_1d(count // 2).reshape(1, *count.shape) % len(rows), axis=0)[0]
    low = np.take_along_axis(rows, np.maximum(count // 2 - 1, 0).reshape(1, *count.shape), axis=0)[0]
    return np.where(count == 0, NAN, np.where(count % 2 == 1, high, 0.5 * (high + low)))


def _median_row(*values: float) -> float:
    known = sorted(value for value in values if value == value)
    if not known:
        return NAN
    middle = len(known) // 2
    return known[middle] if len(known) % 2 else 0.5 * (known[middle] + known[middle - 1])


def _smallest(*values: Any) -> Any:
    return np.fmin.reduce(table(values), axis=0)


def _smallest_row(*values: float) -> float:
    return min((value for value in values if value == value), default=NAN)


def _largest(*values: Any) -> Any:
    return np.fmax.reduce(table(values), axis=0)


def _largest_row(*values: float) -> float:
    return max((value for value in values if value == value), default=NAN)


def _sorted(*values: Any) -> Any:
    """Return the rows in order: unknown, then from the smallest to the largest."""
    rows = np.sort(table(values), axis=0)
    count = len(rows)
    unknown = np.isnan(rows).sum(axis=0)
    places = np.arange(count).reshape(count, *([1] * unknown.ndim))
    return np.take_along_axis(rows, (places - unknown) % count, axis=0)


def _sorted_row(*values: float) -> list[float]:
    return sorted(values, key=lambda value: (value == value, value))


def _percent(percent: Any, *values: Any) -> Any:
    rows = _sorted(*values)
    wanted = half_away(percent * len(rows) / 100.0)
    valid = (percent >= 0) & (percent <= 100)
    place = np.where(valid, np.maximum(wanted, 1), 1).astype(np.int64) - 1
    shape = np.broadcast_shapes(place.shape, rows.shape[1:])
    found = np.take_along_axis(
        np.broadcast_to(rows, (len(rows), *shape)), np.broadcast_to(place, shape).reshape(1, *shape), axis=0
    )[0]
    return np.where(valid, found, NAN)


def _percent_row(percent: float, *values: float) -> float:
    if not 0 <= percent <= 100:
        return NAN
    return _sorted_row(*values)[max(1, int(half_away_row(percent * len(values) / 100.0))) - 1]


FUNCTIONS: Mapping[str, Function] = {
    "+": Function(2, np.add, lambda a, b: a + b),
    "-": Function(2, np.subtract, lambda a, b: a - b),
    "*": Function(2, np.multiply, lambda a, b: a * b),
    "/": _math(2, np.divide, lambda a, b: a / b),
    "%": _math(2, np.fmod, math.fmod),
    "POW": _math(2, np.power, math.pow),
    "ATAN2": _math(2, np.arctan2, math.atan2),
    "ADDNAN": Function(2, _add_known, _add_known_row),
    "MIN": Function(2, np.minimum, _minimum_row),
    "MAX": Function(2, np.maximum, _maximum_row),
    "MINNAN": Function(2, np.fmin, _least_row),
    "MAXNAN": Function(2, np.fmax, _greatest_row),
    "LT": _compare(np.less, lambda a, b: a < b),
    "LE": _compare(np.less_equal, lambda a, b: a <= b),
    "GT": _compare(np.greater, lambda a, b: a > b),
    "GE": _compare(np.greater_equal, lambda a, b: a >= b),
    "EQ": _compare(np.equal, lambda a, b: a == b),
    "NE": _compare(np.not_equal, lambda a, b: a != b),
    "UN": Function(1, lambda a: np.isnan(a).astype(np.float64), lambda a: float(a != a)),
    "ISINF": Function(1, lambda a: np.isinf(a).astype(np.float64), lambda a: float(math.isinf(a))),
    "IF": Function(3, _choose, _choose_row),
    "LIMIT": Function(3, _limit, _limit_row),
    "SIN": _math(1, np.sin, math.sin),
    "COS": _math(1, np.cos, math.cos),
    "LOG": _math(1, np.log, math.log),
    "EXP": _math(1, np.exp, math.exp),
    "SQRT": _math(1, np.sqrt, math.sqrt),
    "ATAN": _math(1, np.arctan, math.atan),
    "FLOOR": _math(1, np.floor, math.floor),
    "CEIL": _math(1, np.ceil, math.ceil),
    "ROUND": Function(1, half_away, half_away_row),
    "DEG2RAD": Function(1, lambda a: DEGREE * a, lambda a: DEGREE * a),
    "RAD2DEG": Function(1, lambda a: RADIAN * a, lambda a: RADIAN * a),
    "ABS": Function(1, np.abs, abs),
    "AVG": Function(0, _average, _average_row),
    "MEDIAN": Function(0, _median, _median_row),
    "STDEV": _math(0, _deviation, _deviation_row),
    "SMIN": Function(0, _smallest, _smallest_row),
    "SMAX": Function(0, _largest, _largest_row),
    "SORT": Function(0, _sorted, _sorted_row),
    "PERCENT": Function(0, _percent, _percent_row),
}
