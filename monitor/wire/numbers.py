"""Numbers as text, many at once: the part of a line that costs most."""

from __future__ import annotations

import numpy as np
import orjson

from monitor.batch import Floats

MISSING = "null"
"""Stands where a value is NaN or infinite."""


def texts(values: Floats) -> list[str]:
    """Return every value, row by row, in the fewest digits that read back as the same float; whole ones without `.0`.

    Keep `values` below some 10,000: this is one uninterrupted step.
    """
    if not values.size:
        return []
    flat = np.ascontiguousarray(values).reshape(-1)
    dumped = orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)
    return dumped[1:-1].decode().replace(".0,", ",").removesuffix(".0").split(",")


def slices(rows: int, columns: int, values: int) -> list[tuple[int, int]]:
    """Cut rows into pieces of about that many values, at least one row each."""
    step = max(1, values // max(1, columns))
    return [(start, min(start + step, rows)) for start in range(0, rows, step)]
