"""The cells of all series of a source together: made from its rows, or from finer cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from monitor.batch import Kind, Layout
from monitor.consolidate import Cells, gather, join, of_pdps
from monitor.pdp import pdps
from monitor.store import copying
from monitor.store.chunk import Rows
from monitor.store.interning import MAX_NAMES

Table = tuple[Layout, Rows]


@dataclass(frozen=True, slots=True)
class Wide:
    """Cells of the series of one layout, a column each."""

    layout: Layout
    cells: Cells


def of_rows(
    tables: Sequence[Table], *, pdp_step: int, heartbeat: float, step: int, start: int, end: int, until: float
) -> list[Wide]:
    """Return the cells that end behind `start` and not behind `end`; `until` is when the source was last seen."""
    first, over = start // step * step, -(-end // step) * step
    found = []
    for layout, rows in _together(tables):
        ends, values = pdps(
            copying.seconds(rows.time), copying.seconds(rows.since), rows.values, step=pdp_step, heartbeat=heartbeat,
            start=first // pdp_step * pdp_step, end=-(-over // pdp_step) * pdp_step, until=until,
        )  # fmt: skip
        cells = of_pdps(ends, values, pdp_step)
        if step > pdp_step:
            cells = gather(cells.after(first), step)
        found.append(Wide(layout, _ending(cells, start, end)))
    return side_by_side(found)


def of_cells(wides: Sequence[Wide], *, step: int, start: int, end: int) -> list[Wide]:
    """Return coarser cells from finer ones, sorted by time: those that end behind `start` and not behind `end`."""
    by_layout: dict[Layout, list[Cells]] = {}
    for one in wides:
        by_layout.setdefault(one.layout, []).append(one.cells)
    if len(by_layout) > 1 or not all(map(_follow, by_layout.values())):
        # a name of several layouts is one series: its parts have to follow each other
        by_layout = {wide.layout: [wide.cells] for wide in side_by_side(wides)}
    first = start // step * step
    found = []
    for layout, parts in by_layout.items():
        cells = join(parts).after(first)
        coarser = len(cells) and bool((cells.ends - cells.begins < step).any())
        found.append(Wide(layout, _ending(gather(cells, step) if coarser else cells, start, end)))
    return [wide for wide in found if len(wide.cells)]


def thinned(wide: Wide, *, least: bool, most: bool, last: bool) -> Wide:
    """Return the cells without what no function asks for."""
    cells = wide.cells
    none = np.full(cells.mean.shape, np.nan)
    return Wide(
        wide.layout,
        Cells(
            cells.begins, cells.ends, cells.known, cells.mean, cells.min if least else none,
            cells.max if most else none, cells.last if last else none,
        ),
    )  # fmt: skip


def _follow(parts: Sequence[Cells]) -> bool:
    """Tell whether these cells follow each other; those of a former class may stand beside them."""
    return all(one.ends[-1] < two.ends[0] for one, two in pairwise(part for part in parts if len(part)))


def _ending(cells: Cells, start: int, end: int) -> Cells:
    first, over = np.searchsorted(cells.ends, [start, end], "right").tolist()
    return cells.take(slice(first, over))


def _together(tables: Sequence[Table]) -> Iterator[Table]:
    """Yield rows whose names are in no other table; what is in several layouts is put together by name."""
    if len({layout for layout, _ in tables}) == 1:
        layout = tables[0][0]
        yield layout, _sorted([rows for _, rows in tables])
        return
    where: dict[str, list[int]] = {}
    kinds: dict[str, Kind] = {}
    for number, (layout, _) in enumerate(tables):
        for name, kind in zip(layout.names, layout.kinds, strict=True):
            where.setdefault(name, []).append(number)
            kinds[name] = kind
    alike: dict[tuple[int, ...], list[str]] = {}
    for name, numbers in where.items():
        alike.setdefault(tuple(numbers), []).append(name)
    for places, names in alike.items():
        parts = []
        for layout, rows in (tables[number] for number in places):
            columns = [layout.column[name] for name in names]
            parts.append(Rows(rows.time, rows.since, rows.values[:, columns]))
        yield Layout(tuple(names), tuple(kinds[name] for name in names)), _sorted(parts)


def _sorted(parts: Sequence[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    time, since, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((since, time))
    return Rows(time[order], since[order], values[order])


def side_by_side(wides: Sequence[Wide]) -> list[Wide]:
    """Return cells of one axis for all names, or for as many as a layout may have.

    Of a name that has several cells of one end the one that knows most stands; of equal ones the first.
    """
    wides = [wide for wide in wides if len(wide.cells)]
    if len(wides) < 2:
        return wides
    kinds = {name: kind for wide in wides for name, kind in zip(wide.layout.names, wide.layout.kinds, strict=True)}
    ends, first = np.unique(np.concatenate([wide.cells.ends for wide in wides]), return_index=True)
    begins = np.concatenate([wide.cells.begins for wide in wides])[first]
    names = list(kinds)
    made = []
    for some in (names[at : at + MAX_NAMES] for at in range(0, len(names), MAX_NAMES)):
        layout = Layout(tuple(some), tuple(kinds[name] for name in some))
        parts = [np.zeros((len(ends), len(some))), *(np.full((len(ends), len(some)), np.nan) for _ in range(4))]
        for wide in wides:
            here = [name for name in wide.layout.names if name in layout.column]
            rows = np.searchsorted(ends, wide.cells.ends)
            to = np.array([layout.column[name] for name in here], dtype=np.int64)
            columns = [wide.layout.column[name] for name in here]
            more = wide.cells.known[:, columns] > parts[0][rows[:, None], to]
            for part, values in zip(parts, wide.cells.parts, strict=True):
                part[rows[:, None], to] = np.where(more, values[:, columns], part[rows[:, None], to])
        made.append(Wide(layout, Cells(begins, ends, *parts)))
    return made
