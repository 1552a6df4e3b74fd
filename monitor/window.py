"""The buckets that a question asks for, and how the rows and cells of a source fill them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monitor.consolidate import CF, Cells, buckets, join, of_pdps
from monitor.handler import Floats, Points, Series, Source, SourceInfo
from monitor.levels import Level, pdp_step
from monitor.pdp import pdps
from monitor.rates import heartbeat


@dataclass(frozen=True, slots=True)
class Window:
    """The buckets that are asked for, and the levels of each source to read, the coarsest first."""

    start: int
    end: int
    step: int
    cf: CF
    levels: Mapping[Source, Sequence[Level]]


def add(
    sums: dict[str, Floats],
    info: SourceInfo,
    names: Sequence[str],
    parts: Sequence[Mapping[str, Cells]],
    rows: tuple[int, Mapping[str, Points]],
    window: Window,
    now: float,
) -> None:
    """Add the buckets of one source's series to those of the same name, and count the known; runs in a thread."""
    for (_, name), values in consolidated(info, names, parts, rows, window, now).items():
        there = np.isfinite(values)
        both = sums.setdefault(name, np.zeros((2, len(values))))
        both += np.where(there, values, 0.0), there


def consolidated(
    info: SourceInfo,
    names: Sequence[str],
    parts: Sequence[Mapping[str, Cells]],
    rows: tuple[int, Mapping[str, Points]],
    window: Window,
    now: float,
) -> dict[Series, Floats]:
    """Return the buckets of one source's series; runs in a thread."""
    at, points = rows
    seen = max([info.last_seen, *(float(one.time[-1]) for one in points.values() if len(one.time))])
    over = max(0, int((min(seen, now) - window.start) // window.step))
    step = pdp_step(info)
    made = {}
    for name in names:
        pieces = [part[name] for part in parts if name in part]
        if name in points:
            ends, values = pdps(
                *points[name], step=step, heartbeat=heartbeat(info.interval), start=at // step * step,
                end=-(-window.end // step) * step, until=seen,
            )  # fmt: skip
            pieces.append(of_pdps(ends, values, step).after(at))
        shown = np.full((window.end - window.start) // window.step, np.nan)
        if pieces:
            shown = buckets(join(pieces), step=window.step, start=window.start, end=window.end, cf=window.cf)
        shown[over:] = np.nan
        made[Series(info.source, name)] = shown
    return made
