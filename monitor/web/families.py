"""What series are called in /metrics/collected: by their collector's declaration, else by its word and their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from monitor.batch import Floats, Kind
from monitor.collector import Collector
from monitor.exported import Exported, Exports
from monitor.metric import Metric
from monitor.registry import Registry

ODD = re.compile(r"[^a-zA-Z0-9]+")
UNITS = {"bytes": "bytes", "bytes/s": "bytes", "seconds": "seconds", "seconds/s": "seconds"}
"""Units that names end with."""
COUNTED = (Kind.COUNTER, Kind.DERIVE)
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Chunk(NamedTuple):
    """Values of a family: of each row its labels, of all of them some more."""

    rows: list[str]
    labels: str
    values: Floats


@dataclass(slots=True)
class Family:
    """A metric with all its samples. A count whose name does not end so is no count to OpenMetrics."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    chunks: list[Chunk] = field(default_factory=list)
    origins: set[tuple[str, str]] = field(default_factory=set)

    def head(self, *, open_metrics: bool) -> str:
        name, kind = self.name, self.kind
        if open_metrics and kind == "counter":
            name, kind = (name[:-6], kind) if name.endswith("_total") else (name, "unknown")  # type: ignore[assignment]
        escapes = ESCAPES if open_metrics else {ord("\\"): r"\\", ord("\n"): r"\n"}
        return f"# HELP {name} {self.help.translate(escapes)}\n# TYPE {name} {kind}\n"


class Place(NamedTuple):
    """Where a series goes: its family, more labels, and how its value is turned.

    `each` is the label for an instance; `rule` is there where the row itself says more.
    """

    family: Family
    labels: str
    per: float = 1.0
    each: str = ""
    rule: Exported | None = None
    word: str = ""


def label(name: str, value: str) -> str:
    return f'{name}="{value.translate(ESCAPES)}"'


class Rules:
    """What a registry's collectors declare, looked through once."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.exports: dict[str, Exports] = {cls.path: cls.exports for cls in registry.collectors.values()}
        self._exact: dict[tuple[str, bool, str], Exported] = {}
        self._patterns: dict[tuple[str, bool], list[tuple[re.Pattern[str], Exported]]] = {}
        self._metrics: dict[tuple[str, str], Metric] = {}
        self._devices: dict[str, list[tuple[re.Pattern[str], Metric]]] = {}
        for cls in registry.collectors.values():
            self._declared(cls)
            for rule in (one for one in cls.exports.metrics if isinstance(one, Exported)):
                if "*" in rule.series:
                    self._patterns.setdefault((cls.path, bool(rule.each)), []).append((_pattern(rule.series), rule))
                else:
                    self._exact[cls.path, bool(rule.each), rule.series] = rule

    def _declared(self, cls: type[Collector]) -> None:
        for metric in (one for owner in cls.__mro__ for one in vars(owner).values() if isinstance(one, Metric)):
            if "*" in metric.name:
                self._devices.setdefault(cls.path, []).append((_pattern(metric.name), metric))
            else:
                self._metrics.setdefault((cls.path, metric.name), metric)

    def told(self, collector: str) -> Exports:
        return self.exports.get(collector, Exports())

    def rule(self, collector: str, name: str, *, instance: bool) -> tuple[Exported, str] | None:
        """Return how a series is called, and the word in place of the `*`."""
        exact = self._exact.get((collector, instance, name))
        if exact is not None:
            return exact, ""
        for pattern, rule in self._patterns.get((collector, instance), ()):
            if found := pattern.fullmatch(name):
                return rule, found[1]
        return None

    def metric(self, collector: str, name: str) -> tuple[Metric | None, str]:
        """Return what a series was declared as, and its device."""
        exact = self._metrics.get((collector, name))
        if exact is not None:
            return exact, ""
        for pattern, metric in self._devices.get(collector, ()):
            if found := pattern.fullmatch(name):
                return metric, found[1]
        return None, ""


class Families:
    """The metrics of one answer, by name."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.by_name: dict[str, Family] = {}
        self._bases: dict[str, Family] = {}
        self._places: dict[tuple[str, str, Kind, bool], Place] = {}
        # Declared names go first, whatever comes first: others make room for them.
        for exports in rules.exports.values():
            for one in exports.metrics:
                kind = one.kind if isinstance(one, Exported) else "gauge"
                self.family(one.name, kind, one.help)

    def family(self, name: str, kind: Literal["counter", "gauge"], help: str) -> Family:
        """Return the family of this name, made where there is none."""
        found = self.by_name.get(name)
        if found is None:
            found = self.by_name[name] = Family(name, kind, help)
            self._bases[name.removesuffix("_total")] = found
        return found

    def place(self, collector: str, name: str, kind: Kind, *, instance: bool) -> Place:
        """Return where a series of the service itself, or of one of its instances, goes."""
        key = (collector, name, kind, instance)
        if key not in self._places:
            self._places[key] = self._place(*key)
        return self._places[key]

    def _place(self, collector: str, name: str, kind: Kind, instance: bool) -> Place:
        if (found := self.rules.rule(collector, name, instance=instance)) is not None:
            rule, word = found
            family = self.family(rule.name, rule.kind, rule.help)
            family.origins.add((collector, rule.series))
            labels = dict(rule.labels)
            if rule.facts or rule.switch[0]:
                return Place(family, _joined(labels), rule.per, rule.each, rule, word)
            if rule.label:
                labels[rule.label] = rule.words.get(word, word)
            return Place(family, _joined(labels), rule.per, rule.each)
        metric, device = self.rules.metric(collector, name)
        text = metric.name.replace("*", "") if metric and device else name
        made = _sanitized(f"{collector}_{text}")
        unit = UNITS.get(metric.unit, "") if metric else ""
        if unit and not {unit, unit[:-1]} & set(made.split("_")):
            made = f"{made.removesuffix('_total')}_{unit}"
        labels = {"device": device} if device else {}
        help = metric.help if metric else f"{collector}: {text}"
        origin = (collector, text)
        counter: Literal["counter", "gauge"] = "counter" if kind in COUNTED else "gauge"
        made = f"{made.removesuffix('_total')}_total" if counter == "counter" else _no_count(made)
        other = self._bases.get(made.removesuffix("_total"))
        if other is not None and (other.name, other.kind) != (made, counter):
            made = f"{made.removesuffix('_total')}_series{'_total' if counter == 'counter' else ''}"
        family = self.family(made, counter, help)
        if family.origins and origin not in family.origins:
            labels["series"] = name
        family.origins.add(origin)
        return Place(family, _joined(labels))

    def filled(self) -> Iterator[Family]:
        """Yield those that have samples, by name."""
        for name in sorted(self.by_name):
            if self.by_name[name].chunks:
                yield self.by_name[name]


def of_row(place: Place, meta: Mapping[str, str], values: Mapping[str, float]) -> str:
    """Return the labels of a series that the row itself says more of."""
    rule = place.rule
    assert rule is not None
    found = {rule.label: rule.words.get(place.word, place.word)} if rule.label else {}
    for name, texts in rule.facts.items():
        told = [meta[text.replace("*", place.word)] for text in texts if text.replace("*", place.word) in meta]
        found[name] = told[0] if told else found.get(name, "")
    name, series, no, yes = rule.switch
    if name:
        found[name] = yes if values.get(series.replace("*", place.word)) == 1 else no
    return place.labels + _joined(found)


def _joined(labels: Mapping[str, str]) -> str:
    return "".join(f",{label(name, value)}" for name, value in labels.items())


def _pattern(name: str) -> re.Pattern[str]:
    before, _, after = name.partition("*")
    return re.compile(f"{re.escape(before)}(.+){re.escape(after)}", re.DOTALL)


def _sanitized(text: str) -> str:
    found = ODD.sub("_", text).strip("_").lower() or "unnamed"
    return f"_{found}" if found[0].isdigit() else found


def _no_count(name: str) -> str:
    """Return a gauge's name, which must not end as a count's."""
    return f"{name}_current" if name.endswith("_total") else name
