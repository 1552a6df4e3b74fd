"""InfluxDB's line protocol: one line per batch, `measurement,tag=… field=…,field=… time`.

https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import compress
from operator import add
from typing import Literal

import numpy as np

from monitor.batch import Block, Floats, Layout, Source
from monitor.wire.numbers import slices, texts

Precision = Literal["ns", "us", "ms", "s"]

# No escape stands for these; a backslash at the end would escape what follows.
ILLEGAL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|\\+$")
IN_MEASUREMENT = re.compile(r"([, ])")
IN_KEY = re.compile(r"([,= ])")


def measurement(name: str) -> str:
    """Return a measurement's name, escaped; a leading `#` would make the line a comment."""
    clean = IN_MEASUREMENT.sub(r"\\\1", ILLEGAL.sub("_", name))
    return f"_{clean[1:]}" if clean.startswith("#") else clean


def key(text: str) -> str:
    """Return a tag's key or value, or a field's key, escaped."""
    return IN_KEY.sub(r"\\\1", ILLEGAL.sub("_", text))


def stamps(times: Floats, precision: Precision) -> list[int]:
    """Return epoch seconds in whole units of the precision; finer than a microsecond a float knows nothing."""
    if precision == "ns":
        return [stamp * 1000 for stamp in stamps(times, "us")]
    units = {"us": 1e6, "ms": 1e3, "s": 1.0}[precision]
    return [int(stamp) for stamp in np.rint(times * units).astype(np.int64).tolist()]


class InfluxEncoder:
    """Encodes blocks in slices of some 4,000 values, so that nobody waits for a large one.

    The measurement is the collector; the tags are collector, host and, unless it is empty, instance; the fields are
    the names. NaN and infinite values are left out, and a batch of which nothing remains has no line.
    """

    def __init__(
        self,
        *,
        host: Callable[[str], str] = str,
        precision: Precision = "ns",
        slice_values: int = 4000,
        max_sources: int = 100_000,
        max_layouts: int = 10_000,
    ) -> None:
        self._host = host
        self._precision = precision
        self._slice = slice_values
        self._max_sources = max_sources
        self._max_layouts = max_layouts
        self._heads: dict[Source, str] = {}
        self._fields: dict[Layout, list[str]] = {}

    def encode(self, block: Block) -> Iterator[list[str]]:
        """Yield the lines of a block, without their newlines."""
        names = self._fields_of(block.layout)
        width = len(names)
        finite = np.isfinite(block.rates)
        whole: list[bool] = finite.all(axis=1).tolist()  # type: ignore[assignment]
        times = stamps(block.times, self._precision)
        for start, end in slices(len(block), width, self._slice):
            values = texts(block.rates[start:end])
            lines: list[str] = []
            for row, at in zip(range(start, end), range(0, len(values), max(1, width)), strict=False):
                fields: Iterable[str] = map(add, names, values[at : at + width])
                if not whole[row]:
                    fields = compress(fields, finite[row].tolist())
                if text := ",".join(fields):
                    lines.append(f"{self._head_of(block.sources[row])}{text} {times[row]}")
            yield lines

    def _head_of(self, source: Source) -> str:
        head = self._heads.get(source)
        if head is None:
            if len(self._heads) >= self._max_sources:
                self._heads.clear()
            tags = {"collector": source.collector, "host": self._host(source.host), "instance": source.instance}
            pairs = "".join(f",{name}={key(value)}" for name, value in tags.items() if value)
            head = self._heads[source] = f"{measurement(source.collector)}{pairs} "
        return head

    def _fields_of(self, layout: Layout) -> list[str]:
        found = self._fields.get(layout)
        if found is None:
            if len(self._fields) >= self._max_layouts:
                self._fields.clear()
            found = self._fields[layout] = [f"{key(name)}=" for name in layout.names]
        return found
