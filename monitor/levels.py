"""What can be read of a source, from fine to coarse: its collected rows, then its tiers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from monitor.consolidate import CF
from monitor.handler import SourceInfo
from monitor.retention import RetentionClass

COLLECTED = "collected"


@dataclass(frozen=True, slots=True)
class Level:
    """Cells of `step` seconds, kept for `keep`; `tier` is the step that their tier is known by, 0 of the rows."""

    step: int
    keep: float
    tier: int = 0
    label: str = COLLECTED
    since: float = 0.0
    """It has nothing older than this, and a coarser one has."""

    def reaches(self, start: float, now: float) -> bool:
        """Tell whether everything since `start` is kept, up to the last cell that is over: RRDtool's rule."""
        return max(now // self.step * self.step - self.keep, self.since) <= start


def pdp_step(info: SourceInfo) -> int:
    return max(1, round(info.interval))


def levels(kept: RetentionClass, info: SourceInfo, cf: CF) -> list[Level]:
    """Return the levels that can answer a function, the finest first."""
    fine = pdp_step(info)
    found = [Level(fine, kept.collected)]
    found += (
        Level(tier.cell(fine), tier.keep, tier.step, tier.label) for tier in kept.stored if tier.answers(cf, fine)
    )
    return found


def with_begin(ladder: Sequence[Level], begun: Callable[[int], float], first: float) -> list[Level]:
    """Return levels that say since when they reach back, where a coarser one reaches back farther.

    `begun` tells it by the step of their tier; before `first` there is nothing of the source. A tier may be younger
    than coarser ones: it was added later, and cannot be made of these.
    """
    since, at = [], math.inf
    for level in ladder:
        # What is not in a tier yet is read from finer ones.
        at = min(at, begun(level.tier))
        since.append(max(at, first))
    return [
        replace(level, since=begin) if since[-1] < begin < math.inf else level
        for level, begin in zip(ladder, since, strict=True)
    ]
