"""How many hosts each service has, as a table that stays aligned where letters are two columns wide."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator

from monitor.inventory import Inventory


def lines(inventory: Inventory) -> Iterator[str]:
    """Yield the table, services by name; nothing where no host is watched but the own one."""
    counts = Counter(spec.service for spec in inventory.hosts.values() if not spec.local)
    if not counts:
        return
    rows = [(name or "(none)", str(number)) for name, number in sorted(counts.items(), key=lambda one: _order(one[0]))]
    rows = [("service", "hosts"), *rows, ("total", str(counts.total()))]
    widths = [max(width(row[column]) for row in rows) for column in (0, 1)]
    yield "Hosts by service:"
    for name, number in rows:
        yield f"  {name}{' ' * (widths[0] - width(name))}  {number:>{widths[1]}}"


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    marks = sum(1 for char in text if unicodedata.combining(char))
    return len(text) - marks + sum(1 for char in text if unicodedata.east_asian_width(char) in "WF")


def _order(service: str) -> tuple[bool, str, str]:
    return not service, service.casefold(), service
