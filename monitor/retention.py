"""How long what is kept: collected rows, and tiers of coarser cells, by classes of sources."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from monitor.batch import Source
from monitor.consolidate import CF

DAY = 86400


def label(step: int) -> str:
    """Return a step as people write it: 5m, 1h, 1d."""
    for unit, seconds in (("d", DAY), ("h", 3600), ("m", 60)):
        if step % seconds == 0:
            return f"{step // seconds}{unit}"
    return f"{step}s"


@dataclass(frozen=True, slots=True)
class Tier:
    """Cells of `step` seconds, kept for `keep` seconds, that can answer these functions."""

    step: int
    keep: float
    functions: frozenset[CF] = frozenset({CF.AVERAGE, CF.MIN, CF.MAX})

    @property
    def label(self) -> str:
        """The step as people write it: 5m, 1h, 1d."""
        return label(self.step)

    def cell(self, pdp_step: int) -> int:
        """Return the step that its cells have of a source: never finer than its PDPs."""
        return max(self.step, pdp_step)

    def answers(self, cf: CF, pdp_step: int) -> bool:
        """Tell whether it can answer a function; cells of a single PDP can answer all."""
        return cf in self.functions or pdp_step >= self.step


def _default() -> tuple[Tier, ...]:
    days = {300: 90, 1800: 120, 3600: 180, 21600: 365, 86400: 1100}
    return tuple(Tier(step, float(kept * DAY)) for step, kept in days.items())


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """What is kept of the sources that a pattern matches.

    The pattern (`*`, `?`, `[seq]`) is compared with a source's host, with its collector, and with these two, and
    these and its instance, joined by `:`. `pack` says whether the rows of days that are over are packed.
    """

    name: str = "default"
    pattern: str = "*"
    collected: float = 2.0 * DAY
    tiers: tuple[Tier, ...] = field(default_factory=_default)
    """Sorted by step."""
    pack: bool = True

    @property
    def stored(self) -> tuple[Tier, ...]:
        """The tiers that are stored; one that is kept no longer than the rows is made from these."""
        return tuple(tier for tier in self.tiers if tier.keep > self.collected)

    @property
    def longest(self) -> float:
        """Seconds after which nothing is left of a source that reports no more."""
        return max([self.collected, *(tier.keep for tier in self.tiers)])

    def matches(self, source: Source) -> bool:
        names = (source.host, source.collector, ":".join(source[:2]), ":".join(source))
        return any(fnmatch.fnmatchcase(name, self.pattern) for name in names)


class Retention:
    """The classes of sources, the default last: the first that matches a source is its class."""

    def __init__(self, classes: Sequence[RetentionClass] = (RetentionClass(),)) -> None:
        self.classes = tuple(classes)
        self.of = lru_cache(maxsize=100_000)(self._of)

    def _of(self, source: Source) -> RetentionClass:
        """Return the class of a source."""
        return next((one for one in self.classes[:-1] if one.matches(source)), self.classes[-1])
