"""Which numbers documents of Sora hold, by the answers of all years in tests/cases: what Kibana's objects are made of.

PYTHONPATH=.:tests python -m sora_fields > handlers/_elastic/fields.py
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from sora_server import CASES

from collectors._sora.walk import kind, statistics
from monitor.batch import Kind

YEARS = ("2017", "2018", "2025")
HEAD = '''\
"""The numbers of Sora's documents, by metricset and what they stand below: made by tests/sora_fields.py."""

from __future__ import annotations

from collections.abc import Mapping

'''


def names(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the names of numbers, those that are added to lists included."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from names(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and all(type(one) in (int, float) for one in value):
            yield from (f"{prefix}{key}_{word}" for word in statistics(value))
        elif isinstance(value, int | float):
            yield prefix + key


def found(*years: str) -> dict[str, set[str]]:
    """Return the names in the answers of some years (all), by metricset."""
    told: dict[str, set[str]] = {"stats": set(), "connections": set()}
    for operation, metricset in (("GetStatsReport", "stats"), ("GetStatsAllConnections", "connections")):
        for year in years or YEARS:
            answer = json.loads((CASES / year / operation).read_text())
            for tree in answer if isinstance(answer, list) else [answer]:
                told[metricset].update(names(tree))
    return told


def module() -> str:
    """Return the text of handlers/_elastic/fields.py."""
    text = HEAD
    for title, doc, kinds in (
        ("COUNTERS", "What counts since a connection, or Sora, began.", (Kind.DERIVE,)),
        ("GAUGES", "What is as it is.", (Kind.GAUGE,)),
    ):
        text += f"{title}: Mapping[str, str] = {{\n"
        for metricset, told in found().items():
            groups: dict[str, list[str]] = {}
            for name in sorted(told):
                if kind(name) in kinds:
                    group, _, leaf = f"sora.{metricset}.{name}".rpartition(".")
                    groups.setdefault(group, []).append(leaf)
            for group, leaves in sorted(groups.items()):
                lines = textwrap.wrap(" ".join(leaves), 104, break_long_words=False)
                if len(lines) == 1 and len(group) + len(lines[0]) < 108:
                    text += f'    "{group}": "{lines[0]}",\n'
                else:
                    text += f'    "{group}": (\n'
                    text += "".join(f'        "{line} "\n' for line in lines[:-1])
                    text += f'        "{lines[-1]}"\n    ),\n'
        text += f'}}\n"""{doc}"""\n'
    return text


if __name__ == "__main__":
    print(module(), end="")
