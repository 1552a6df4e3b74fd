"""Graphite's plaintext protocol: `path value timestamp`, one line per value.

https://graphite.readthedocs.io/en/latest/feeding-carbon.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import compress
from operator import add
from typing import NamedTuple

import numpy as np

from monitor.batch import Block, Layout, Source
from monitor.wire.numbers import slices, texts

# Blanks and control characters end a field or the line, `;` begins tags, slashes make directories, the others are
# patterns in Graphite's queries; lone surrogates have no UTF-8 form.
ILLEGAL = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff;/\\*?\[\]{}]")
DOTS = re.compile(r"\.{2,}")


def clean(path: str) -> str:
    """Return a path or a part of one that Graphite takes: dots stay, whatever it has no place for becomes `_`."""
    return DOTS.sub(".", ILLEGAL.sub("_", path)).strip(".") or "_"


class Lines(NamedTuple):
    """A slice of the encoding, and the paths in it that no receiver would take because of their length."""

    text: str
    too_long: tuple[str, ...] = ()


class GraphiteEncoder:
    """Encodes blocks in slices of some 4,000 values, so that nobody waits for a large one.

    `path` gives the path of a source, without the metric's name. NaN and infinite values have no line. carbon closes
    the connection on a line above 16 kB, hence `max_path`, in bytes.
    """

    def __init__(
        self,
        path: Callable[[Source], str],
        *,
        slice_values: int = 4000,
        max_path: int = 4000,
        max_sources: int = 100_000,
        max_layouts: int = 10_000,
    ) -> None:
        self._path = path
        self._slice = slice_values
        self._max_path = max_path
        self._max_sources = max_sources
        self._max_layouts = max_layouts
        self._paths: dict[Source, str] = {}
        self._names: dict[Layout, tuple[list[str], int]] = {}

    def encode(self, block: Block) -> Iterator[Lines]:
        """Yield the lines of a block."""
        names, longest = self._names_of(block.layout)
        width = len(names)
        finite = np.isfinite(block.rates)
        whole: list[bool] = finite.all(axis=1).tolist()  # type: ignore[assignment]
        times = block.times.astype(np.int64).tolist()
        for start, end in slices(len(block), width, self._slice):
            values = texts(block.rates[start:end])
            out: list[str] = []
            too_long: list[str] = []
            for row, at in zip(range(start, end), range(0, len(values), max(1, width)), strict=False):
                path = self._path_of(block.sources[row])
                fields: Iterable[str] = map(add, names, values[at : at + width])
                if not whole[row]:
                    fields = compress(fields, finite[row].tolist())
                if len(path.encode()) + longest > self._max_path:
                    too_long += (path + name.rstrip() for name in names)
                    continue
                # A line's end and the next line's beginning are one separator.
                tail = f" {times[row]}\n"
                if text := f"{tail}{path}".join(fields):
                    out += (path, text, tail)
            yield Lines("".join(out), tuple(too_long))

    def _path_of(self, source: Source) -> str:
        path = self._paths.get(source)
        if path is None:
            if len(self._paths) >= self._max_sources:
                self._paths.clear()
            path = self._paths[source] = clean(self._path(source)) + "."
        return path

    def _names_of(self, layout: Layout) -> tuple[list[str], int]:
        found = self._names.get(layout)
        if found is None:
            if len(self._names) >= self._max_layouts:
                self._names.clear()
            names = [clean(name) + " " for name in layout.names]
            found = self._names[layout] = names, max((len(name.encode()) for name in names), default=0)
        return found
