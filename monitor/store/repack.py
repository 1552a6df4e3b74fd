"""Rows of several origins as one: of rows with the same time and since the first known value of each name stands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.batch import Layout
from monitor.store.chunk import Rows
from monitor.store.wide import Table


def merged(tables: Sequence[Table]) -> list[Table]:
    """Return one table per layout, its rows sorted by time and since; of tables the earlier goes first."""
    by_layout: dict[Layout, list[Rows]] = {}
    for layout, rows in tables:
        if len(rows.time):
            by_layout.setdefault(layout, []).append(rows)
    return [(layout, _merged(parts)) for layout, parts in by_layout.items()]


def _merged(parts: Sequence[Rows]) -> Rows:
    time, since, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    if len(time) > 1 and not ((time[1:] > time[:-1]) | ((time[1:] == time[:-1]) & (since[1:] > since[:-1]))).all():
        order = np.lexsort((since, time))  # stable: of equal rows the earlier comes first
        time, since, values = time[order], since[order], values[order]
        first = np.concatenate(([True], (time[1:] != time[:-1]) | (since[1:] != since[:-1])))
        heads = np.flatnonzero(first)
        for row in np.flatnonzero(~first).tolist():
            head = int(heads[np.searchsorted(heads, row, "right") - 1])
            unknown = np.isnan(values[head])
            values[head, unknown] = values[row, unknown]
        time, since, values = time[first], since[first], values[first]
    return Rows(time, since, values)
