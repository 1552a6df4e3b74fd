"""Rows as they are posted over HTTP: lines or JSON as Diamond posted them, or batches as the appliance takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import orjson

from monitor.batch import Block, Layout, Source
from monitor.wire.graphite import clean
from monitor.wire.numbers import texts

Format = Literal["PLAIN", "JSON", "BATCHES"]

ENDS = {"PLAIN": (b"", b"", b""), "JSON": (b'{"metric":[', b",", b"]}"), "BATCHES": (b'{"batches":[', b",", b"]}")}
"""What stands before, between and after the rows."""
TYPES = {"PLAIN": "text/plain; charset=utf-8", "JSON": "application/json", "BATCHES": "application/json"}
TTL = 2
"""Diamond's ttl_multiplier: a value lives for so many intervals."""


class Row(NamedTuple):
    """One batch of a source: what tells it from others, how it is called, its body and how many values that holds."""

    key: tuple[Source, float, float, Layout]
    shown: str
    body: bytes
    values: int


class RowEncoder:
    """Encodes blocks row by row; unknown values are left out, of a batch they are null."""

    def __init__(self, form: Format, path: Callable[[Source], str], hostname: Callable[[str], str]) -> None:
        self._path = path
        self._hostname = hostname
        self._made = {"PLAIN": self._lines, "JSON": self._metrics, "BATCHES": self._batch}[form]

    def rows(self, block: Block) -> Iterator[Row]:
        """Yield the rows of a block that hold anything."""
        times, since = block.times.tolist(), block.since.tolist()
        for at, source in enumerate(block.sources):
            body = self._made(block, at)
            if body:
                key = (source, times[at], since[at], block.layout)
                yield Row(key, f"{':'.join(source)} at {times[at]:.3f}", body, len(block.layout.names))

    def _lines(self, block: Block, at: int) -> bytes:
        path, time = clean(self._path(block.sources[at])), int(block.times[at])
        known = np.isfinite(block.rates[at]).tolist()
        values = texts(block.rates[at])
        found = [
            f"{path}.{clean(name)} {value} {time}\n"
            for name, value, there in zip(block.layout.names, values, known, strict=True)
            if there
        ]
        return "".join(found).encode()

    def _metrics(self, block: Block, at: int) -> bytes:
        source = block.sources[at]
        path, time = clean(self._path(source)), int(block.times[at])
        host, ttl = _text(self._hostname(source.host)), block.intervals[at] * TTL
        known = np.isfinite(block.rates[at]).tolist()
        found: list[dict[str, Any]] = [
            {
                "path": f"{path}.{clean(name)}", "value": value, "timestamp": time, "precision": 0, "host": host,
                "ttl": float(ttl),
            }
            for name, value, there in zip(block.layout.names, block.rates[at].tolist(), known, strict=True)
            if there
        ]  # fmt: skip
        return orjson.dumps(found)[1:-1]

    def _batch(self, block: Block, at: int) -> bytes:
        source = block.sources[at]
        found: dict[str, Any] = {
            "host": _text(source.host), "collector": _text(source.collector), "instance": _text(source.instance),
            "time": float(block.times[at]), "interval": float(block.intervals[at]),
            "values": dict(zip(map(_text, block.layout.names), block.rates[at].tolist(), strict=True)),
        }  # fmt: skip
        if found["interval"] <= 0:
            del found["interval"]
        if meta := block.meta.get(at):
            found["meta"] = {_text(name): _text(text) for name, text in meta.items()}
        return orjson.dumps(found)


def body(form: Format, rows: Iterable[Row]) -> bytes:
    """Return what is posted of these rows."""
    before, between, after = ENDS[form]
    return b"%b%b%b" % (before, between.join([row.body for row in rows]), after)


def _text(text: str) -> str:
    """Return a text that has a form in UTF-8."""
    return text.encode("utf-8", "replace").decode()
