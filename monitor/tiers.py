"""Tier lines of [retention]: `5m = 90d, AVERAGE, MIN, MAX`."""

from __future__ import annotations

from monitor.ini import Problem, Section
from monitor.options import MISSING, Field, Option, Seconds
from monitor.settings import FUNCTIONS, TIER, TIER_FIELD
from monitor.values import parse

Tiers = dict[float, tuple[float, tuple[str, ...]]]
STEP = Field("step", Seconds, Option(MISSING, min=1, max=86400 * 7))
KEEP = Field("retention", Seconds, Option(MISSING, min=60))


def tiers(section: Section, problems: list[Problem]) -> Tiers:
    """Return the tiers that a section names: by step, how long they are kept and which functions they hold."""
    found: Tiers = {}
    for key, entry in section.entries.items():
        if not TIER.fullmatch(key):
            continue
        try:
            step = float(parse(STEP, key, literal=True))
            words = parse(TIER_FIELD, entry.text, literal=entry.literal)
            if not words:
                raise ValueError("expected RETENTION, then some of AVERAGE, MIN, MAX, LAST")
            keep = float(parse(KEEP, words[0], literal=True))
            functions = tuple(word.upper() for word in words[1:])
            wrong = [word for word in functions if word not in FUNCTIONS]
            if wrong or not functions:
                raise ValueError(f"expected some of {', '.join(FUNCTIONS)} after the retention, got {words[1:]}")
            if keep < step:
                raise ValueError(f"expected a retention of at least the step, got {words[0]}")
        except ValueError as error:
            problems.append(section.problem(str(error), key))
        else:
            found[step] = keep, functions
    return found
