"""Values over time as columns of pixels: peaks are kept where there are more values than pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Floats


@dataclass(frozen=True, slots=True)
class Columns:
    """Where values stand: values of one group share the column from left[i] to right[i], in pixels.

    `first` holds the index of each group's first value; None says that every value has a column of its own.
    """

    left: Floats
    right: Floats
    first: NDArray[np.intp] | None

    @classmethod
    def of(cls, count: int, begin: float, width: int, seconds: float, step: float) -> Columns:
        """Return the columns of `count` values, `step` seconds each, where `seconds` take `width` from `begin`."""
        edges = begin + np.arange(count + 1) * (step * width / seconds)
        if count * step * width > count * seconds:
            edges = np.rint(edges)
            return cls(edges[:-1], edges[1:], None)
        pixels = np.floor((edges[:-1] + edges[1:]) / 2)
        first = np.flatnonzero(np.diff(pixels, prepend=-np.inf))
        return cls(pixels[first], pixels[first] + 1, first)

    def largest(self, values: Floats) -> Floats:
        """Return of each column the value farthest from zero; NaN where none is known."""
        if self.first is None:
            return values
        high, low = np.fmax.reduceat(values, self.first), np.fmin.reduceat(values, self.first)
        return np.where(-low > high, low, high)

    def ends(self, values: Floats) -> tuple[Floats, Floats]:
        """Return of each column the lowest and the highest value, in the order in which a line meets them."""
        if self.first is None:
            return values, values
        high, low = np.fmax.reduceat(values, self.first), np.fmin.reduceat(values, self.first)
        last = np.append(self.first[1:], len(values)) - 1
        falls = values[last] < values[self.first]
        return np.where(falls, high, low), np.where(falls, low, high)


def polygon(columns: Columns, top: Floats, bottom: Floats) -> Floats:
    """Return the area between two edges given per column; where they are equal it has no height."""
    count = len(top)
    points = np.empty((4 * count, 2))
    points[0 : 2 * count : 2, 0] = columns.left
    points[1 : 2 * count : 2, 0] = columns.right
    points[0 : 2 * count : 2, 1] = points[1 : 2 * count : 2, 1] = top
    back = points[2 * count :]
    back[0::2, 0] = columns.right[::-1]
    back[1::2, 0] = columns.left[::-1]
    back[0::2, 1] = back[1::2, 1] = bottom[::-1]
    return points


def polyline(columns: Columns, first: Floats, second: Floats, *, shortest: float) -> Floats:
    """Return the line through the columns. A point that stands alone is drawn at least `shortest` long."""
    known = np.isfinite(first)
    points = np.empty((len(first), 2, 2))
    if columns.first is None:
        points[:, 0, 0], points[:, 1, 0] = columns.left, columns.right
    else:
        points[:, :, 0] = (columns.left + 0.5)[:, None]
    points[:, 0, 1], points[:, 1, 1] = first, second
    points[~known] = np.nan
    around = np.concatenate(([False], known, [False]))
    alone = np.flatnonzero(known & ~around[:-2] & ~around[2:] & (points[:, 1, 0] - points[:, 0, 0] < shortest))
    if len(alone):
        middle = points[alone, :, 0].mean(axis=1)
        points[alone, 0, 0], points[alone, 1, 0] = middle - shortest / 2, middle + shortest / 2
    return points.reshape(-1, 2)


def marks(columns: Columns, shown: NDArray[np.bool_], top: float, bottom: float) -> Floats:
    """Return bars from `top` to `bottom` at the columns that are shown, each at least a pixel wide, as one area."""
    left = columns.left[shown]
    right = np.maximum(columns.right[shown], left + 1)
    points = np.empty((len(left), 4, 2))
    points[:, 0:2, 0], points[:, 2:4, 0] = left[:, None], right[:, None]
    points[:, 1:3, 1] = top
    points[:, 0, 1] = points[:, 3, 1] = bottom
    return points.reshape(-1, 2)
