"""What can be read of a source, from fine to coarse: its collected rows, then its tiers."""

from __future__ import annotations

from dataclasses import dataclass

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

    def reaches(self, start: float, now: float) -> bool:
        """Tell whether everything since `start` is kept."""
        return now - self.keep <= start


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
