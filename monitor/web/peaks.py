"""Peaks of what a graph draws: the largest value within each bucket, of sums, ratios and differences too.

The largest value of one series is stored. That of an expression over several, or of several sources together, is not
what the expression makes of the largest values of each: it is worked out of finer values. Where these are too many, a
sum is taken to peak when all its parts do, and anything else to peak as far as the finer values show.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from monitor.batch import Floats
from monitor.graph.data import Data
from monitor.graph.expr import Constant, Expr, Name, Operation
from monitor.graph.model import Graph, Item
from monitor.graph.shapes import evaluate
from monitor.handler import SourceInfo
from monitor.metric import Metric
from monitor.query import Query, Total
from monitor.web.reading import Reading

MOST_POINTS = 9_000


async def with_peaks(
    query: Query, infos: Sequence[SourceInfo], graph: Graph, found: Reading, *, mean: bool
) -> tuple[Graph, Reading]:
    """Return the graph with its items worked out, and the reading with their values and peaks.

    Nothing changes where the reading has all that is needed: it is not a declared graph, or there is nothing finer.
    """
    if graph.written or not found.series or not all(read.plain for read in graph.reads()):
        return graph, found
    items = [one for one in graph.items if isinstance(one, Item)]
    names, alone = list(graph.names()), len(infos) == 1
    stored = [alone and _grows(item.value) and len(set(item.names())) < 2 for item in items]
    fine = None if all(stored) else await _finer(query, infos, names, found, mean)
    exact = fine is not None and fine.step <= max(info.interval for info in infos)
    most = None
    if any(one or (_grows(item.value) and not exact) for one, item in zip(stored, items, strict=True)):
        most = await query.fetch_sum(infos, names, found.start, found.end, step=found.step, cf="MAX", mean=mean)
        if (most.start, most.end, most.step) != (found.start, found.end, found.step):
            return graph, found

    def work_out() -> tuple[Graph, Reading]:
        series = _values(graph, found.series, found)
        peaks = _values(graph, most.values, most) if most else {}
        finer = _values(graph, fine.values, fine) if fine else {}
        for number, values in finer.items():
            item = items[int(number)]
            if not stored[int(number)] and (exact or not _grows(item.value)):
                assert fine is not None
                peaks[number] = np.fmax.reduce(values.reshape(-1, found.step // fine.step), axis=1)
        return graph.changed(items=tuple(_worked_out(items))), replace(found, series=series, peaks=peaks)

    return await asyncio.to_thread(work_out)


async def _finer(
    query: Query, infos: Sequence[SourceInfo], names: Sequence[str], found: Reading, mean: bool
) -> Total | None:
    """Return the finest values that fit, as averages; None if there are no finer ones that make whole buckets."""
    least = min(info.interval for info in infos)
    buckets = (found.end - found.start) // found.step
    parts = next(
        n for n in range(max(1, int(min(MOST_POINTS / buckets, found.step / least))), 0, -1) if found.step % n == 0
    )
    fine = await query.fetch_sum(
        infos, names, found.start, found.end, step=found.step // parts, cf="AVERAGE", mean=mean
    )
    fits = (fine.start, fine.end) == (found.start, found.end) and found.step % fine.step == 0
    return fine if fits and fine.step < found.step else None


def _values(graph: Graph, series: Mapping[str, Floats], at: Reading | Total) -> dict[str, Floats]:
    """Return the values of the items by their number."""
    with np.errstate(all="ignore"):
        drawn = evaluate(graph, Data(series, start=at.start, end=at.end, step=at.step), None)
    return {str(number): one.values for number, one in enumerate(drawn) if len(one.values)}


def _worked_out(items: Sequence[Item]) -> Iterator[Item]:
    for number, item in enumerate(items):
        made = copy.copy(item)
        made.value = Name(str(number))
        yield made


def _grows(value: Expr) -> bool:
    """Tell whether an expression is largest where its series are: sums of them, times numbers."""
    if isinstance(value, Name | Metric | Constant):
        return True
    if not isinstance(value, Operation):
        return False
    left, right = value.left, value.right
    if value.operator == "+":
        return _grows(left) and _grows(right)
    if value.operator == "*":
        return (_positive(left) and _grows(right)) or (_positive(right) and _grows(left))
    return value.operator == "/" and _positive(right) and _grows(left)


def _positive(value: Expr) -> bool:
    return isinstance(value, Constant) and value.value > 0
