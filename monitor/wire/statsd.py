"""statsd's protocol: `path:value|g` sets a gauge, `path:value|c` adds to a counter; one line each.

https://github.com/statsd/statsd/blob/master/docs/metric_types.md
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np

from monitor.batch import Block, Kind, Layout, Source
from monitor.wire.graphite import Lines, clean
from monitor.wire.numbers import slices, texts

ILLEGAL = re.compile(r"[:|@#,]")


class StatsdEncoder:
    """Encodes blocks in slices. What is counted goes as what came since the report before, all else as a gauge."""

    def __init__(
        self,
        path: Callable[[Source], str],
        *,
        slice_values: int = 2000,
        max_path: int = 1000,
        max_sources: int = 100_000,
        max_layouts: int = 10_000,
    ) -> None:
        self._path = path
        self._slice = slice_values
        self._max_path = max_path
        self._max_sources = max_sources
        self._max_layouts = max_layouts
        self._paths: dict[Source, str] = {}
        self._names: dict[Layout, list[tuple[str, bool]]] = {}

    def encode(self, block: Block) -> Iterator[Lines]:
        """Yield the lines of a block; what is unknown has none."""
        names = self._names_of(block.layout)
        counted = np.array([counted for _, counted in names], dtype=bool)
        for start, end in slices(len(block), len(names), self._slice):
            numbers = block.rates[start:end].copy()
            numbers[:, counted] = _whole(numbers[:, counted] * (block.times - block.since)[start:end, None])
            known = np.isfinite(numbers).reshape(-1).tolist()
            values = texts(numbers)
            out: list[str] = []
            too_long: list[str] = []
            at = 0
            for row in range(start, end):
                path = self._path_of(block.sources[row])
                for name, is_counted in names:
                    value = values[at]
                    if known[at] and len(path) + len(name) > self._max_path:
                        too_long.append(path + name)
                    elif known[at] and is_counted:
                        out.append(f"{path}{name}:{value}|c\n")
                    elif known[at]:
                        # A sign would change the gauge instead of setting it.
                        zero = f"{path}{name}:0|g\n" if value[0] == "-" else ""
                        out.append(f"{zero}{path}{name}:{value}|g\n")
                    at += 1
            yield Lines("".join(out), tuple(too_long))

    def _path_of(self, source: Source) -> str:
        path = self._paths.get(source)
        if path is None:
            if len(self._paths) >= self._max_sources:
                self._paths.clear()
            path = self._paths[source] = _clean(self._path(source)) + "."
        return path

    def _names_of(self, layout: Layout) -> list[tuple[str, bool]]:
        found = self._names.get(layout)
        if found is None:
            if len(self._names) >= self._max_layouts:
                self._names.clear()
            found = [
                (_clean(name), kind is not Kind.GAUGE) for name, kind in zip(layout.names, layout.kinds, strict=True)
            ]
            self._names[layout] = found
        return found


def _clean(path: str) -> str:
    return clean(ILLEGAL.sub("_", path))


def _whole(deltas: np.ndarray) -> np.ndarray:
    """Return whole numbers where only the division by the seconds has kept them from being whole."""
    nearest = np.round(deltas)
    return np.where(np.abs(deltas - nearest) <= 1e-9 * np.maximum(1e3, np.abs(deltas)), nearest, deltas)
