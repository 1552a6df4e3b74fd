"""The real rrdtool's graph language: the same data in files of its own and in ours, and what both make of a text."""

from __future__ import annotations

import json
import math
import random
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from debian import need

from monitor.graph.data import Data, Read, Track
from monitor.graph.model import Graph, Line
from monitor.graph.printing import words
from monitor.graph.rrd import parse

START = 1_699_999_200  # a multiple of 3600
ROWS = 60
STEPS = {"a": 60, "b": 60, "c": 300, "u": 60}


def values(seed: int) -> dict[str, list[float]]:
    """Return numbers with gaps by name; all are multiples of 1/8, so that sums of them are exact."""
    source = random.Random(seed)

    def some(gaps: float, low: int, high: int, count: int) -> list[float]:
        return [math.nan if source.random() < gaps else source.randint(low, high) / 8 for _ in range(count)]

    return {
        "a": some(0, 1, 800, ROWS),
        "b": some(0.2, -8000, 8000, ROWS),
        "c": some(0.1, -80, 80, ROWS // 5),
        "u": [math.nan] * ROWS,
    }


class Peer:
    """One set of data, for rrdtool and for us."""

    def __init__(self, folder: Path, data: Mapping[str, Sequence[float]], *, tz: str = "UTC") -> None:
        self.folder, self.data, self.tz = folder, data, tz
        self._process = subprocess.Popen(
            [need("rrdtool"), "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"TZ": tz, "LC_ALL": "C"}, cwd=folder,
        )  # fmt: skip
        for name, numbers in data.items():
            step = STEPS[name]
            self.ask(
                f"create {name}.rrd --start {START} --step {step} DS:n:GAUGE:{2 * step}:U:U RRA:AVERAGE:0.5:1:{ROWS}"
            )
            rows = [f"{START + (i + 1) * step}:{'U' if x != x else repr(x)}" for i, x in enumerate(numbers)]
            self.ask(f"update {name}.rrd {' '.join(rows)}")

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate(timeout=10)

    def ask(self, command: str) -> list[str]:
        assert self._process.stdin
        assert self._process.stdout
        print(command, file=self._process.stdin, flush=True)
        lines = []
        for line in self._process.stdout:
            if line.startswith("OK "):
                return lines
            if line.startswith("ERROR"):
                raise ValueError(line.strip())
            lines.append(line.rstrip("\n"))
        raise EOFError(command[:200])

    @property
    def span(self) -> str:
        return f"--start {START} --end {START + 60 * ROWS - 1}"

    def definitions(self, names: Sequence[str]) -> list[str]:
        return [f"DEF:{name}={name}.rrd:n:AVERAGE" for name in names]

    def ours(self) -> Data:
        tracks = {Read(f"{name}.rrd"): Track(START, STEPS[name], np.array(x)) for name, x in self.data.items()}
        return Data({}, start=START, end=START + 60 * ROWS, step=60, tz=self.tz, tracks=tracks)

    def rrdtool_values(self, *lines: str, names: Sequence[str] = ("a", "b", "c", "u"), x: str = "x") -> np.ndarray:
        """Return what rrdtool makes of `x`, in its own steps; it exports no infinite values, so these are asked for."""
        more = [f"CDEF:{x}_1={x},INF,EQ", f"CDEF:{x}_2={x},NEGINF,EQ", f"XPORT:{x}", f"XPORT:{x}_1", f"XPORT:{x}_2"]
        text = " ".join([*self.definitions(names), *lines, *more])
        answer = "\n".join(self.ask(f"xport {self.span} --json -m 100000 {text}"))
        rows = json.loads(answer[answer.index('"data"') + 7 : answer.rindex("]") + 1])
        found = np.array([[math.nan if one is None else one for one in row] for row in rows], dtype=float)
        found[found[:, 1] == 1, 0] = math.inf
        found[found[:, 2] == 1, 0] = -math.inf
        return found[:, 0]

    def our_values(self, *lines: str, names: Sequence[str] = ("a", "b", "c", "u"), x: str = "x") -> np.ndarray:
        graph = parse("\n".join([*self.definitions(names), *lines, f"LINE1:{x}#ff0000"]))
        drawn = graph.items[-1]
        assert isinstance(drawn, Line)
        return np.array(drawn.value.evaluate(self.ours()))

    def rrdtool_words(self, *lines: str, options: str = "") -> list[str]:
        """Return what rrdtool prints of lines; those with blanks are quoted for it."""
        text = " ".join(f'"{line}"' for line in [*self.definitions(("a", "b", "c", "u")), *lines])
        return self.ask(f"graph /dev/null {self.span} -w {ROWS} {options} {text}")[1:]

    def our_words(self, *lines: str, options: str = "") -> list[str]:
        return words(self.graph(*lines, options=options), self.ours())

    def graph(self, *lines: str, options: str = "") -> Graph:
        return parse("\n".join([options, *self.definitions(("a", "b", "c", "u")), *lines]))
