"""What [retention] says is kept: a preset, lines such as `5m = 90d, AVERAGE, MIN, MAX`, and classes by patterns.

[retention] begins with the tiers of its preset, a sub-section with those of its own preset, or else with all that
[retention] has. Each line then replaces the tier of its step, adds one, or (`5m = off`) takes one away.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from monitor.consolidate import CF
from monitor.ini import Entry, Problem, Section, title
from monitor.options import MISSING, Field, Option, Seconds
from monitor.retention import DAY, RetentionClass, Tier
from monitor.settings import TIER, TIER_FIELD, RetentionSettings
from monitor.values import parse, render

STEP = Field("step", Seconds, Option(MISSING, min=1, max=7 * DAY))
KEEP = Field("retention", Seconds, Option(MISSING, min=60, max=36500 * DAY))
MOST_TIERS = 12
MOST_CLASSES = 32
SLACK = 7200.0
"""Seconds that cells may be late: a tier is made only when no more rows are expected."""
COLLECTED = 0
"""The place of the collected rows among the steps."""

LAST = frozenset({CF.LAST})
PRESETS: Mapping[str, tuple[Tier, ...]] = {
    "default": RetentionClass().tiers,
    "ston": (
        Tier(300, 90.0 * DAY, LAST), Tier(1800, 120.0 * DAY), Tier(3600, 180.0 * DAY), Tier(21600, 365.0 * DAY),
        Tier(86400, 730.0 * DAY),
    ),
    "kurado": (Tier(60, 2.0 * DAY), Tier(300, 10.0 * DAY), Tier(3600, 40.0 * DAY), Tier(86400, 1100.0 * DAY)),
    "none": (),
}  # fmt: skip


class Line(NamedTuple):
    """A tier that is kept, or None where one is not, and where that was said."""

    tier: Tier | None
    origin: str


@dataclass(frozen=True, slots=True)
class ClassSpec:
    """A retention class: what is kept, the settings of its section, and its lines by their steps."""

    kept: RetentionClass
    settings: RetentionSettings
    lines: Mapping[int, Line]


class Fault(NamedTuple):
    """What is wrong with a class, and the steps whose lines may have caused it, the likeliest first."""

    message: str
    steps: tuple[int, ...]
    grave: bool = True


def written(tier: Tier | None) -> str:
    """Return the value of a tier's line."""
    if tier is None:
        return "off"
    return ", ".join((render(Seconds, tier.keep), *(cf for cf in CF if cf in tier.functions)))


def label(step: int) -> str:
    """Return a step as its line's key."""
    return Tier(step, 0.0).label


def resolve(
    sections: Sequence[Section],
    settings: RetentionSettings,
    below: Mapping[str, RetentionSettings],
    problems: list[Problem],
    warnings: list[Problem],
) -> list[ClassSpec]:
    """Return the classes of [retention] and its sub-sections in their order, the default last.

    `sections` is [retention] as it stands in the files and in the environment, `below` has the settings of its
    sub-sections. What is wrong is added to `problems`, what is odd to `warnings`.
    """
    default = _Part("", sections, settings, None, problems).resolve(warnings)
    found: list[ClassSpec] = []
    for name, own in below.items():
        inner = [section.sections[name] for section in sections if name in section.sections]
        part = _Part(name, inner, own, default, problems)
        if not name.strip() or name == "default":
            part.problem("expected a pattern of hosts or collectors; what all others have stands in [retention] itself")
        elif len(found) == MOST_CLASSES:
            part.problem(f"expected at most {MOST_CLASSES} patterns")
        elif hiding := next((spec.kept.pattern for spec in found if _covers(spec.kept.pattern, name)), ""):
            warnings.append(inner[0].problem(f"never used, for [[{hiding}]] above it matches the same"))
        found.append(part.resolve(warnings))
    return [*found, default]


def _covers(earlier: str, later: str) -> bool:
    """Tell whether all that a pattern matches is matched by an earlier one, as far as that is easily told."""
    return not set(earlier) & set("?[") and fnmatch.fnmatchcase(later, earlier)


class _Part:
    """One section, which becomes a class."""

    def __init__(
        self,
        name: str,
        sections: Sequence[Section],
        settings: RetentionSettings,
        above: ClassSpec | None,
        problems: list[Problem],
    ) -> None:
        self.name = name
        self.sections = sections
        self.settings = settings
        self.above = above
        self.problems = problems
        self.keys: dict[int, tuple[Section, str]] = {}
        """Where a step, or how long the collected rows are kept, is written in this section itself."""

    def resolve(self, warnings: list[Problem]) -> ClassSpec:
        lines = self._begin()
        begun = set(lines)
        for section in self.sections:
            for step, (key, tier) in self._lines(section).items():
                if tier is None and (step not in lines or lines[step].tier is None):
                    there = ", ".join(label(each) for each, line in sorted(lines.items()) if line.tier) or "none"
                    self.problems.append(section.problem(f"no such tier to take away; there are: {there}", key))
                lines[step] = Line(tier, str(section.entries[key].place))
                self.keys[step] = section, key
            if "collected" in section.entries:
                self.keys[COLLECTED] = section, "collected"
        # What is taken away again says nothing, unless it was there to begin with.
        lines = {step: line for step, line in sorted(lines.items()) if line.tier or step in begun}
        self._inherit()
        kept = RetentionClass(
            self.name or "default", self.name or "*", float(self.settings.collected),
            tuple(line.tier for line in lines.values() if line.tier), self.settings.pack,
        )  # fmt: skip
        known = set(faults(self.above.kept)) if self.above else set()
        for fault in faults(kept):
            if fault not in known:
                (self.problems if fault.grave else warnings).append(self._placed(fault))
        return ClassSpec(kept, self.settings, lines)

    def problem(self, message: str) -> None:
        self.problems.append(self.sections[0].problem(message))

    def _begin(self) -> dict[int, Line]:
        """Return the lines to begin with."""
        given = self.settings.origins.get("preset")
        if given is None and self.above is not None:
            return {step: line for step, line in self.above.lines.items() if line.tier}
        origin = f"preset {self.settings.preset}" + (f" ({given})" if given else "")
        return {tier.step: Line(tier, origin) for tier in PRESETS[self.settings.preset]}

    def _inherit(self) -> None:
        if self.above is None:
            return
        for key in ("collected", "pack"):
            if key not in self.settings.origins:
                setattr(self.settings, key, getattr(self.above.settings, key))
                self.settings.origins[key] = self.above.settings.origins.get(key, "default")

    def _lines(self, section: Section) -> dict[int, tuple[str, Tier | None]]:
        """Return the tiers that a section names, each with its key; None is one to be taken away."""
        found: dict[int, tuple[str, Tier | None]] = {}
        for key, entry in section.entries.items():
            if not TIER.fullmatch(key):
                continue
            try:
                step, tier = _line(key, entry)
                first = section.entries[found[step][0]].place if step in found else None
                # Of two files the later counts, as with any other key.
                if first is not None and (first.file == entry.place.file or not entry.place.line):
                    raise ValueError(f"{label(step)} is given twice; first as {found[step][0]} in {first}")
            except ValueError as error:
                self.problems.append(section.problem(str(error), key))
            else:
                found[step] = key, tier
        return found

    def _placed(self, fault: Fault) -> Problem:
        """Return the problem at the first line of this section that is to blame."""
        for step in fault.steps:
            if step in self.keys:
                section, key = self.keys[step]
                return section.problem(fault.message, key)
        for section in reversed(self.sections):
            for key in ("preset", "collected"):
                if key in section.entries:
                    return section.problem(fault.message, key)
        if self.sections:
            return self.sections[0].problem(fault.message)
        return Problem("", 0, title(("retention",)), "", fault.message)


def _line(key: str, entry: Entry) -> tuple[int, Tier | None]:
    """Return a line's step and its tier, None for `off`."""
    step = int(parse(STEP, key, literal=True))
    words = parse(TIER_FIELD, entry.text, literal=entry.literal)
    if not words:
        raise ValueError("expected RETENTION, then some of AVERAGE, MIN, MAX, LAST, or off")
    if [word.lower() for word in words] == ["off"]:
        return step, None
    keep = float(parse(KEEP, words[0], literal=True))
    functions = [word.upper() for word in words[1:]]
    if not functions or not set(functions) <= set(CF):
        raise ValueError(f"expected some of {', '.join(CF)} after the retention, got {words[1:]}")
    if keep < step:
        raise ValueError(f"expected a retention of at least the step, got {words[0]}")
    return step, Tier(step, keep, frozenset(map(CF, functions)))


def faults(kept: RetentionClass) -> Iterator[Fault]:
    """Yield what is wrong with the tiers of a class: the grave ones cannot be made or kept."""
    if len(kept.tiers) > MOST_TIERS:
        steps = tuple(tier.step for tier in reversed(kept.tiers))
        yield Fault(f"expected at most {MOST_TIERS} tiers, got {len(steps)}", steps)
    if kept.tiers and kept.collected < DAY:
        got = render(Seconds, kept.collected)
        yield Fault(f"expected at least 1d, for tiers are made of whole days, got {got}", (COLLECTED,))
    finer: list[Tier] = []
    for tier in kept.stored:
        step, source, what = COLLECTED, kept.collected, "the collected rows"
        if finer:
            step, source, what = finer[-1].step, finer[-1].keep, f"the tier of {finer[-1].label}"
            if tier.step % step:
                yield Fault(
                    f"{tier.label} is no multiple of {label(step)}, the next finer tier, whose cells it is made of",
                    (tier.step, step),
                )  # fmt: skip
        needed = 2 * tier.step + SLACK
        if source < needed and (finer or source >= DAY):
            yield Fault(
                f"the tier of {tier.label} is made of {what}, which must be kept for at least twice its step"
                f" and 2 hours, {render(Seconds, needed)}; got {render(Seconds, source)}",
                (step, tier.step),
            )  # fmt: skip
        if longer := next((one for one in finer if one.keep > tier.keep and one.functions >= tier.functions), None):
            yield Fault(
                f"{tier.label} is kept for a shorter time than {longer.label}, which has all that it has:"
                " it only makes graphs of long spans quicker",
                (tier.step, longer.step),
                grave=False,
            )
        finer.append(tier)
