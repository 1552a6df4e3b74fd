"""Which of the values of a collection go on, as Diamond's options say: its two lists of names, its units, its time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from monitor.batch import Batch

TIME = "collector_time_ms"
BYTE = re.compile(r"(?<![A-Za-z])bytes?(?![A-Za-z])")
PREFIXES = ("", "kilo", "mega", "giga", "tera", "peta", "exa", "zetta", "yotta")
SHORT = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")


def _units() -> dict[str, float]:
    """Return how many bytes each of Diamond's units is; its steps are of 1024, those of bits too."""
    found = {"bit": 0.125, "b": 0.125, "byte": 1.0, "B": 1.0, "Mbyte": 1024.0**2}
    for power, (long, short) in enumerate(zip(PREFIXES, SHORT, strict=True)):
        if power:
            iec = short.upper()
            found |= dict.fromkeys((f"{long}bit", f"{short}bit", f"{iec}ibit"), 1024.0**power / 8)
            found |= dict.fromkeys((f"{long}byte", f"{short}B", f"{iec}iB"), 1024.0**power)
    return found


UNITS = _units()


def wrong(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (option, what is wrong with it) of the options that this module is about."""
    if options.get("metrics_whitelist") and options.get("metrics_blacklist"):
        yield "metrics_blacklist", "give metrics_whitelist or metrics_blacklist, not both"
    for key in ("metrics_whitelist", "metrics_blacklist"):
        for pattern in options.get(key) or ():
            try:
                re.compile(pattern)
            except re.error as error:
                yield key, f"expected regular expressions, got {pattern[:80]!r}: {error}"
    if unknown := [word for word in words(options.get("byte_unit") or ()) if word not in UNITS]:
        yield "byte_unit", f"expected units such as bit, byte, kilobyte, MB or GiB, got {unknown[0][:80]!r}"


def words(units: Iterable[str]) -> list[str]:
    """Return the units that are written with commas or blanks between them."""
    return [word for text in units for word in text.split()]


@lru_cache(maxsize=1024)
def _pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def select(batches: Iterable[Batch], whitelist: Sequence[str], blacklist: Sequence[str]) -> list[Batch]:
    """Drop the values whose names the whitelist does not match, or the blacklist does; and batches without any left.

    A pattern is matched with the beginning of a name (`re.match`), which is without the path before it.
    """
    if not (whitelist or blacklist):
        return list(batches)
    pattern, keep = _pattern(tuple(whitelist or blacklist)), bool(whitelist)
    kept = []
    for batch in batches:
        for name in [name for name in batch.values if bool(pattern.match(name)) is not keep]:
            del batch.values[name]
            batch.kinds.pop(name, None)
            batch.limits.pop(name, None)
        if batch.values:
            kept.append(batch)
    return kept


def convert(batch: Batch, units: Sequence[str]) -> None:
    """Put copies of the values in bytes beside them, under the unit's name: `root.byte_used`, `root.gigabyte_used`.

    Bytes are always there, since graphs are drawn of them. A percentage is of any unit the same.
    """
    for name in [name for name in batch.values if BYTE.search(name)]:
        for unit in units:
            copy = BYTE.sub(unit, name)
            if copy not in batch.values:
                value = batch.values[name]
                batch.values[copy] = value if "percent" in name else value / UNITS[unit]
                if name in batch.kinds:
                    batch.kinds[copy] = batch.kinds[name]
