"""Numbers and texts of whatever Sora answers: names are paths, kinds follow from names, lists get their statistics."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.collector import Kind

GAUGES = {"total_ongoing_connections", "total_active_tasks", "total_active_tasks_all", "total_run_queue_lengths",
          "total_run_queue_lengths_all"}  # fmt: skip
"""What is called a total, but is what there is now."""
COUNTERS = {"context_switches", "number_of_gcs", "words_reclaimed", "raft_commit_index"}
COUNTING = ("erlang_vm.statistics.io.", "error.")
LABELS = ("node_name", "cluster_node_name")
"""What an object of a list is called by."""
LISTS = "erlang_vm."
DEEPEST = 12
LONGEST = 255
MOST = 4000
"""Names in one answer; what is more is left out."""


@dataclass(slots=True)
class Told:
    """What an answer says, by name."""

    values: dict[str, float] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


class Names:
    """Which names are wanted: those that match one of `include` (none: all), and none of `exclude`."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str] = ()) -> None:
        self._include = _either(include) if include else None
        self._exclude = _either(exclude) if exclude else None
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        found = self._known.get(name)
        if found is None:
            if len(self._known) >= 2 * MOST:
                self._known.clear()
            found = self._known[name] = self._wanted(name)
        return found

    def _wanted(self, name: str) -> bool:
        if len(name) > LONGEST or not name.isprintable():
            return False
        included = self._include is None or self._include.fullmatch(name) is not None
        return included and (self._exclude is None or self._exclude.fullmatch(name) is None)


def _either(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, patterns)))


def kind(name: str) -> Kind:
    """Return whether a number of this name counts. What is below a `total_` group counts as well."""
    leaf = name.rpartition(".")[2]
    if leaf in GAUGES:
        return Kind.GAUGE
    if leaf in COUNTERS or name.startswith(COUNTING) or name.startswith("total_") or ".total_" in name:
        return Kind.DERIVE
    return Kind.GAUGE


def statistics(numbers: Sequence[float]) -> dict[str, float]:
    """Return what is told of a list that is not empty."""
    most, least, mean = max(numbers), min(numbers), math.fsum(numbers) / len(numbers)
    return {
        "max": most,
        "min": least,
        "mean": mean,
        "stddev": math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / len(numbers)),
        "imbalance": most / max(least, 1),
    }


def walk(tree: Mapping[str, Any], wanted: Names, prefix: str = "", told: Told | None = None, deep: int = 0) -> Told:
    """Return the numbers, switches (as 0 and 1) and texts of an object and of all in it."""
    told = Told() if told is None else told
    for key, value in tree.items():
        name = prefix + key
        if isinstance(value, dict):
            if deep < DEEPEST:
                walk(value, wanted, f"{name}.", told, deep + 1)
        elif isinstance(value, list):
            _list(value, wanted, name, told, deep)
        elif value is None or len(told.values) >= MOST or name not in wanted:
            continue
        elif isinstance(value, str):
            told.texts[name] = value[:LONGEST]
        else:
            told.values[name] = int(value) if isinstance(value, bool) else value
            told.kinds[name] = kind(name)
    return told


def _list(found: list[Any], wanted: Names, name: str, told: Told, deep: int) -> None:
    if name.startswith(LISTS) and found and all(type(one) in (int, float) for one in found):
        for word, value in statistics(found).items():
            if f"{name}_{word}" in wanted:
                told.values[f"{name}_{word}"] = value
                told.kinds[f"{name}_{word}"] = Kind.GAUGE
        return
    for one in found if deep < DEEPEST else ():
        if isinstance(one, dict) and (label := labelled(one)):
            rest = {key: value for key, value in one.items() if key not in LABELS}
            walk(rest, wanted, f"{name}.{label}.", told, deep + 1)


def labelled(one: Mapping[str, Any]) -> str:
    """Return what an object of a list is called by in names: dots would part it."""
    label = next((one[key] for key in LABELS if isinstance(one.get(key), str)), "")
    return label.replace(".", "_")
