"""carbon's pickle protocol: a list of (path, (timestamp, value)), pickled, behind its length in four bytes.

https://graphite.readthedocs.io/en/latest/feeding-carbon.html#the-pickle-protocol
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator

import numpy as np

from monitor.batch import Block
from monitor.wire.graphite import GraphiteEncoder
from monitor.wire.numbers import slices

Point = tuple[str, tuple[int, float]]

LENGTH = struct.Struct(">I")
LONGEST = 900_000
"""Bytes of a frame; carbon ends the connection on one above 1 MiB."""
PROTOCOL = 2
"""The newest that a carbon on Python 2 reads."""


class PickleEncoder(GraphiteEncoder):
    """Encodes blocks in frames of some 1,000 values."""

    def frames(self, block: Block, *, values: int = 1000) -> Iterator[tuple[bytes, tuple[str, ...]]]:
        """Yield frames, and the paths left out of each because of their length."""
        names, longest = self._names_of(block.layout)
        names = [name.rstrip() for name in names]
        times = block.times.astype(np.int64).tolist()
        for start, end in slices(len(block), len(names), values):
            points: list[Point] = []
            too_long: list[str] = []
            finite = np.isfinite(block.rates[start:end]).tolist()
            for row, rates, known in zip(range(start, end), block.rates[start:end].tolist(), finite, strict=True):
                path = self._path_of(block.sources[row])
                if len(path.encode()) + longest > self._max_path:
                    too_long += (path + name for name in names)
                    continue
                points += (
                    (path + name, (times[row], rate))
                    for name, rate, there in zip(names, rates, known, strict=True)
                    if there
                )
            yield b"".join(_framed(points)), tuple(too_long)


def _framed(points: list[Point]) -> Iterator[bytes]:
    if not points:
        return
    body = pickle.dumps(points, protocol=PROTOCOL)
    if len(body) > LONGEST and len(points) > 1:
        middle = len(points) // 2
        yield from _framed(points[:middle])
        yield from _framed(points[middle:])
    else:
        yield LENGTH.pack(len(body)) + body
