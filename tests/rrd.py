"""The real rrdtool, to compare with: one file, fed and read over `rrdtool -`."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
from debian import need

FUNCTIONS = ("AVERAGE", "MIN", "MAX", "LAST")
Value = int | float


class Rrd:
    """An RRD file with one data source per kind and every consolidation function at each of `steps` (in PDPs)."""

    def __init__(
        self,
        path: Path,
        *,
        start: int,
        kinds: Sequence[str] = ("gauge",),
        step: int = 60,
        heartbeat: int = 120,
        steps: Sequence[int] = (1, 5, 30),
        rows: int = 5000,
        xff: float = 0.5,
    ) -> None:
        self.path, self.step = path, step
        self._process = subprocess.Popen(
            [need("rrdtool"), "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"TZ": "UTC"}
        )
        least = {"derive": "0"}
        sources = [
            f"DS:v{i}:{kind.upper()}:{heartbeat}:{least.get(kind, 'U')}:U"  # a derive of ours has min 0
            for i, kind in enumerate(kinds)
        ]
        archives = [f"RRA:{cf}:{xff}:{count}:{rows}" for cf in FUNCTIONS for count in steps]
        self.command("create", str(path), "--start", str(start), "--step", str(step), *sources, *archives)

    def __enter__(self) -> Rrd:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate(timeout=10)

    def command(self, *words: str) -> list[str]:
        """Run one rrdtool command; return its output's lines."""
        assert self._process.stdin
        assert self._process.stdout
        print(*words, file=self._process.stdin, flush=True)
        lines = []
        for line in self._process.stdout:
            if line.startswith("OK "):
                return lines
            if line.startswith("ERROR"):
                raise ValueError(line.strip())
            lines.append(line.rstrip("\n"))
        raise EOFError(f"rrdtool ended during {' '.join(words)[:80]}")

    def update(self, rows: Iterable[tuple[float, Sequence[Value]]]) -> None:
        """Feed (time, reported values); NaN is rrdtool's U."""
        words = [
            ":".join((f"{time:.6f}" if time % 1 else str(int(time)), *map(_word, values))) for time, values in rows
        ]
        for i in range(0, len(words), 50):
            self.command("update", str(self.path), *words[i : i + 50])

    def fetch(self, cf: str, step: int, start: int, end: int) -> np.ndarray:
        """Return the buckets that end at start + step, start + 2 step ... end: one row each, a column per source."""
        lines = self.command(
            "fetch", str(self.path), cf, "-r", str(step), "-s", str(start), "-e", str(end - step), "--align-start"
        )
        found = {}
        for line in lines:
            stamp, colon, values = line.partition(":")
            if colon and stamp.isdigit():
                found[int(stamp)] = [math.nan if "nan" in word else float(word) for word in values.split()]
        return np.array([found[bucket] for bucket in range(start + step, end + 1, step)])


def _word(value: Value) -> str:
    return "U" if math.isnan(value) else repr(value)


def microseconds(time: float) -> int:
    """Read a time as rrdtool does: cut, not rounded."""
    whole = math.floor(time)
    return whole * 1_000_000 + int((time - whole) * 1_000_000)


def rates(kind: str, times: Sequence[float], values: Sequence[Value]) -> list[float]:
    """Return the rate of every value but the first by exact arithmetic; `times` begins one before the first rate."""
    made = []
    for i in range(1, len(times)):
        value, before = values[i], values[i - 1]
        seconds = Fraction(microseconds(times[i]) - microseconds(times[i - 1]), 1_000_000)
        if math.isnan(value):
            made.append(math.nan)
        elif kind == "gauge":
            made.append(float(value))
        elif kind == "absolute":
            made.append(float(Fraction(value) / seconds))
        elif math.isnan(before):
            made.append(math.nan)
        else:
            difference = int(value) - int(before)
            if kind == "counter" and difference < 0:
                difference += 2**32 - 1  # rrdtool 1.7.2 is one short there
                if difference < 0:
                    difference += 2**64 - 2**32
            made.append(math.nan if difference < 0 else float(Fraction(difference) / seconds))
    return made


def equal(ours: np.ndarray, theirs: np.ndarray, *, relative: float = 1e-9) -> np.ndarray:
    """Say of every cell whether both have the same, unknown included."""
    return np.isclose(ours, theirs, rtol=relative, atol=1e-300, equal_nan=True)
