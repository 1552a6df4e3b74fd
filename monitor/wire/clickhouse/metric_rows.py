"""Batches as rows of a table of metrics, in RowBinary: one row a value, columns as in COLUMNS."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np

from monitor.batch import Block, Source
from monitor.wire.numbers import slices

TABLE = "metrics"
COLUMNS = (
    ("host", "LowCardinality(String)"),
    ("collector", "LowCardinality(String)"),
    ("instance", "LowCardinality(String)"),
    ("time", "DateTime64(3, 'UTC')"),
    ("name", "LowCardinality(String)"),
    ("value", "Float64"),
)
ORDER = ("collector", "name", "host", "instance", "time")
TOGETHER = 2000
"""Values that are encoded in one uninterrupted step."""
LONGEST = (1 << 63) - 1


def encode(block: Block, hostname: Callable[[str], str] = str) -> Iterator[tuple[int, bytes]]:
    """Yield a block's rows in pieces, each with how many there are; a value that is not known has none."""
    names = [_text(name) for name in block.layout.names]
    for start, end in slices(len(block), len(names), TOGETHER):
        values = block.rates[start:end].astype("<f8")
        known = np.isfinite(values)
        every = known.all(axis=1).tolist()
        parts: list[bytes] = []
        rows = 0
        for row, time in enumerate(block.times[start:end].tolist()):
            head = _head(block.sources[start + row], time, hostname)
            data = values[row].tobytes()
            cells = [data[at : at + 8] for at in range(0, len(data), 8)]
            if every[row]:
                some = zip(names, cells, strict=True)
                rows += len(names)
            else:
                places = np.flatnonzero(known[row]).tolist()
                some = zip([names[at] for at in places], [cells[at] for at in places], strict=True)
                rows += len(places)
            parts += chain.from_iterable((head, name, cell) for name, cell in some)
        if rows:
            yield rows, b"".join(parts)


def _head(source: Source, time: float, hostname: Callable[[str], str]) -> bytes:
    stamp = max(-LONGEST, min(LONGEST, round(time * 1000)))
    texts = (hostname(source.host), source.collector, source.instance)
    return b"".join(map(_text, texts)) + struct.pack("<q", stamp)


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    length, size = b"", len(data)
    while size >= 0x80:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return length + bytes([size]) + data
