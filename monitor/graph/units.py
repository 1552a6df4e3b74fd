"""Numbers as people read them: `17.44 %`, `6.31 kbit/s`, `1.50 GiB`."""

from __future__ import annotations

import math
from typing import NamedTuple

LARGE = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
SMALL = ("", "m", "µ", "n", "p", "f")
SHORT = {"bytes": "B", "byte": "B", "bytes/s": "B/s", "bits/s": "bit/s", "bits": "bit", "seconds": "s", "percent": "%"}
SYMBOLS = frozenset({"%", "bit", "bit/s", "B", "B/s", "s", "ms", "µs", "Hz", "V", "A", "W", "J", "°C"})
UNSCALED = frozenset({"%", "ms", "µs", "°C"})
DIVIDED = frozenset({"s", "V", "A", "W"})  # 0.012 s is read as 12 ms, but 0.012 processes are not 12 m


class Scale(NamedTuple):
    """What numbers are divided by, and the prefix that says so."""

    divisor: float
    prefix: str


ONE = Scale(1.0, "")


def short(unit: str) -> str:
    """Return a unit as it stands behind a number: its symbol, or nothing when it is a word ("2.10 k" files)."""
    unit = SHORT.get(unit, unit)
    return unit if unit in SYMBOLS else ""


def scale(value: float, base: int, unit: str) -> Scale:
    """Return the scale in which a value has one to three digits (base 1024: four) before its point."""
    size = abs(value)
    if not math.isfinite(size) or size == 0 or SHORT.get(unit, unit) in UNSCALED:
        return ONE
    power = 0
    while power < len(LARGE) - 1 and round(size / base**power, 2) >= base:
        power += 1
    if round(size / base**power, 2) >= base:
        return ONE  # beyond all prefixes
    if power:
        return Scale(float(base**power), LARGE[power].upper() + "i" if base == 1024 else LARGE[power])
    if base == 1000 and size < 1 and SHORT.get(unit, unit) in DIVIDED:
        while power < len(SMALL) - 1 and round(size * 1000**power, 2) < 1:
            power += 1
    return Scale(1000.0**-power, SMALL[power])


def split(value: float, base: int, unit: str) -> tuple[str, str]:
    """Return a value as its number and what follows it, prefix and unit; an unknown one is `-`."""
    if not math.isfinite(value):
        return "-", ""
    used = scale(value, base, unit)
    number = value / used.divisor
    size = abs(number)
    if size >= 1e6 or 0 < size < 5e-5:
        digits = f"{number:.1e}"
    elif 0 < size < 0.05:
        digits = f"{number:.2g}"
    else:
        digits = f"{number:.2f}"
    return digits, used.prefix + short(unit)


def text(value: float, base: int, unit: str) -> str:
    """Return a value with its prefix and unit."""
    return " ".join(part for part in split(value, base, unit) if part)
