"""What is the same for all batches of one layout and the same limits, worked out once."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.batch import REAL, SIGNED, UNKNOWN, UNSIGNED, Floats, Kind, Layout, Limits

MAX_NAME = 255
"""The most characters that a name may have."""
FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of characters, which no text can be stored with."""

EXACT = 2.0**53
"""Below it every integer has its own float; one above it may be rounded to it."""


class Plan:
    """A layout with the limits of its columns."""

    __slots__ = ("absolute", "bounded", "counted", "high", "layout", "low", "problem", "uptime", "wrapping")

    def __init__(self, layout: Layout, limits: Mapping[str, Limits]) -> None:
        def columns(kind: Kind) -> NDArray[np.intp]:
            return np.array([i for i, other in enumerate(layout.kinds) if other is kind], dtype=np.intp)

        self.layout = layout
        self.problem = next((problem for name in layout.names if (problem := wrong_text("a name", name))), None)
        """Why no batch of this layout can be taken; None when it can."""
        self.counted = layout.counted
        self.absolute = columns(Kind.ABSOLUTE)
        self.wrapping: NDArray[np.intp] = np.searchsorted(layout.counted, columns(Kind.COUNTER)).astype(np.intp)
        """Places within `counted` whose fall is a wrap."""
        least = Limits(0.0, math.inf)
        bounds = [
            limits.get(name, least if kind is Kind.DERIVE else Limits())
            for name, kind in zip(layout.names, layout.kinds, strict=True)
        ]
        self.low: Floats = np.array([bound.min for bound in bounds], dtype=np.float64)
        self.high: Floats = np.array([bound.max for bound in bounds], dtype=np.float64)
        self.bounded = bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())
        self.uptime = layout.column.get("uptime", -1) if self.wrapping.size else -1
        """The column whose fall says that the source was restarted; -1 when there is none, or no use for it."""

    def read(self, rows: Sequence[Collection[float | None]]) -> tuple[Floats, NDArray[np.uint64], NDArray[np.uint8]]:
        """Return the values of rows as floats, and the counted ones as exact words with their tags."""
        shape = (len(rows), len(self.layout.names))
        arrays = [row for row in rows if isinstance(row, np.ndarray)]
        flat: Sequence[Any] | Floats
        if arrays and len(arrays) == len(rows):
            flat = values = np.concatenate(arrays)
        else:
            flat = list(chain.from_iterable(rows))
            try:
                values = np.fromiter(flat, dtype=np.float64, count=len(flat))
            except (TypeError, OverflowError):
                values = np.array([believable(value) for value in flat], dtype=np.float64)
        values = values.reshape(shape)
        if np.isinf(values).any():
            values[np.isinf(values)] = np.nan
        counts = values[:, self.counted] if self.counted.size else np.empty((len(rows), 0))
        with np.errstate(invalid="ignore"):
            whole = counts.astype(np.int64)
        tags = np.full(counts.shape, SIGNED, dtype=np.uint8)
        words = whole.view(np.uint64)
        plain = (whole == counts) & (np.abs(counts) < EXACT)
        if not plain.all():
            odd_rows, odd_columns = np.nonzero(~plain)
            for i, j in zip(odd_rows.tolist(), odd_columns.tolist(), strict=True):
                words[i, j], tags[i, j] = exact(flat[i * shape[1] + int(self.counted[j])])
        return values, words, tags


def believable(value: float | None) -> float:
    """Return a value as a float; NaN for None and for what lies beyond the floats."""
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        return math.nan


def exact(value: int | float | None) -> tuple[int, int]:
    """Return a value as an 8-byte word and its tag; an integer of more than 64 bits is unknown."""
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return value % 2**64, SIGNED
        return (value, UNSIGNED) if 0 < value < 2**64 else (0, UNKNOWN)
    if value is None or not math.isfinite(value):
        return 0, UNKNOWN
    return int(np.float64(value).view(np.uint64)), REAL


def wrong_text(what: str, text: object, *, most: int = MAX_NAME, empty: bool = False) -> str | None:
    """Return why a text cannot be a name, None when it can."""
    if not isinstance(text, str):
        return f"expected {what}, got {type(text).__name__}"
    if len(text) > most:
        return f"expected {what} of at most {most} characters, got {len(text)}: {text[:40]!r}"
    if not text and not empty:
        return f"expected {what}, got an empty text"
    if FORBIDDEN.search(text):
        return f"expected {what} without control characters, got {text[:80]!r}"
    return None
