"""What flows: a batch is one collection of one source; a block is many batches after their rates were made.

What is no numbers over time, such as RELS' events or the documents of Sora's connections, flows beside them as records.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, NamedTuple
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FORGET_AFTER = "forget_after"
"""The meta of a source that is not kept for its retention: the seconds after which it goes, once it is not seen."""


class Kind(StrEnum):
    """What a value means, as RRDtool defines it (rrdcreate(1), data source types)."""

    GAUGE = "gauge"
    COUNTER = "counter"
    DERIVE = "derive"
    ABSOLUTE = "absolute"


class Source(NamedTuple):
    """One place that numbers come from, e.g. ('ston1', 'ston', 'www.example.com/bar')."""

    host: str
    collector: str
    instance: str = ""


class Series(NamedTuple):
    """One named value of a source over time."""

    source: Source
    name: str

    def __str__(self) -> str:
        """Return the series key: host:collector:instance:name, `:` and `%` percent-encoded within the parts."""
        return ":".join(part.replace("%", "%25").replace(":", "%3A") for part in (*self.source, self.name))

    @classmethod
    def parse(cls, key: str) -> Series:
        """Read a series key; ValueError says what is wrong with it."""
        parts = key.split(":")
        if len(parts) != 4 or not (parts[0] and parts[1] and parts[3]):
            raise ValueError(f"expected HOST:COLLECTOR:INSTANCE:NAME, got {key[:80]!r}")
        host, collector, instance, name = map(unquote, parts)
        return cls(Source(host, collector, instance), name)


class Limits(NamedTuple):
    """The least and the greatest believable value (of a counter: rate) of a series; outside is unknown."""

    min: float = -math.inf
    max: float = math.inf


@dataclass(slots=True)
class Batch:
    """One collection of one source.

    A value is a number, NaN (reported as unknown) or absent (not reported). Integers are kept exact up to 64 bits.
    A name without a kind is a gauge. `time` is in epoch seconds, `interval` in seconds: 0 where the source does not
    tell it, -N where it is taken for N until its times show another.
    """

    source: Source
    time: float
    values: dict[str, float]
    kinds: dict[str, Kind] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)
    interval: float = 60.0
    limits: dict[str, Limits] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.values)

    @property
    def numbers(self) -> Collection[float]:
        """The values in the order of the names."""
        return self.values.values()


@dataclass(slots=True)
class Row:
    """A batch of gauges whose names many share, and whose values were read as numbers: nobody need check them."""

    source: Source
    time: float
    names: tuple[str, ...]
    values: Floats
    interval: float = 60.0
    kinds: ClassVar[dict[str, Kind]] = {}
    meta: ClassVar[dict[str, str]] = {}
    limits: ClassVar[dict[str, Limits]] = {}

    @property
    def numbers(self) -> Floats:
        return self.values


@dataclass(frozen=True)
class Layout:
    """The names and kinds that a row's values stand for, in order; shared by all sources that report the same."""

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]

    @cached_property
    def counted(self) -> NDArray[np.intp]:
        """The columns that hold counter or derive, whose raw value is not their rate."""
        counted = (Kind.COUNTER, Kind.DERIVE)
        return np.array([i for i, kind in enumerate(self.kinds) if kind in counted], dtype=np.intp)

    @cached_property
    def column(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def _hash(self) -> int:
        return hash((self.names, self.kinds))

    def __hash__(self) -> int:
        return self._hash


UNKNOWN, SIGNED, UNSIGNED, REAL = range(4)
"""How an 8-byte word of `Block.raw` is to be read."""


@dataclass(eq=False, slots=True)
class Block:
    """Rows of one layout: the form in which batches lie in the journal and reach the handlers.

    Row i is one batch of `sources[i]`, stamped `times[i]`, whose rates cover the seconds since `since[i]`.
    `rates` has the shape (rows, names); NaN is unknown. `raw` holds, for the columns `layout.counted` only, what the
    source reported as 8-byte words of the type that `raw_tags` gives (UNKNOWN, SIGNED, UNSIGNED, REAL).
    """

    layout: Layout
    sources: list[Source]
    times: Floats
    since: Floats
    intervals: Floats
    rates: Floats
    raw: NDArray[np.uint64]
    raw_tags: NDArray[np.uint8]
    meta: dict[int, dict[str, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def batches(self) -> int:
        return len(self.sources)

    @property
    def size(self) -> int:
        """How many values it holds."""
        return self.rates.size

    @property
    def newest(self) -> float | None:
        """The newest of the times."""
        return float(self.times.max()) if len(self.sources) else None

    def reported(self) -> Floats:
        """Return what the sources reported, shaped as `rates`: counters as they stood, all else as the rate."""
        values = self.rates.copy()
        words = np.where(self.raw_tags == SIGNED, self.raw.view(np.int64).astype(np.float64), np.nan)
        words = np.where(self.raw_tags == UNSIGNED, self.raw.astype(np.float64), words)
        values[:, self.layout.counted] = np.where(self.raw_tags == REAL, self.raw.view(np.float64), words)
        return values

    def exact(self, row: int) -> list[float]:
        """Return row's raw words as Python numbers in the order of `layout.counted`; integers stay exact."""
        words = np.ascontiguousarray(self.raw[row])
        signed, real = words.view(np.int64), words.view(np.float64)
        return [
            math.nan
            if tag == UNKNOWN
            else int((words if tag == UNSIGNED else signed)[i])
            if tag != REAL
            else float(real[i])
            for i, tag in enumerate(self.raw_tags[row].tolist())
        ]

    def take(self, rows: Sequence[int]) -> Block:
        """Return a block of these rows only."""
        at = np.asarray(rows, dtype=np.intp)
        return Block(
            self.layout, [self.sources[i] for i in rows], self.times[at], self.since[at], self.intervals[at],
            self.rates[at], self.raw[at], self.raw_tags[at],
            {new: self.meta[old] for new, old in enumerate(rows) if old in self.meta},
        )  # fmt: skip

    def samples(self) -> Iterator[tuple[Source, float, tuple[str, ...], list[float]]]:
        """Yield (source, time, names, rates) row by row: the simple way to read a block."""
        for source, time, rates in zip(self.sources, self.times.tolist(), self.rates.tolist(), strict=True):
            yield source, time, self.layout.names, rates


BYTES_A_VALUE = 16
"""What so many bytes of records take of the bounds that are told in values."""


@dataclass(frozen=True, slots=True)
class Records:
    """Rows that are no series, as one sender handed them over at `time`; they are delivered whole, or not at all.

    `table` says what they are ('wcs.StreamEvent', 'sora.connections') and thereby how the body is to be read. `head`
    is what belongs to all of them: little, and JSON. Where the same rows may be sent again, `id` tells it.
    """

    table: str
    source: Source
    time: float
    count: int
    body: bytes
    head: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""

    @property
    def batches(self) -> int:
        return 1

    @property
    def size(self) -> int:
        """What they take of bounds that are told in values."""
        return max(1, len(self.body) // BYTES_A_VALUE)

    @property
    def newest(self) -> float | None:
        return self.time


Entry = Block | Records
"""What the journal keeps, and hands to the handlers."""


class Cursor(NamedTuple):
    """A place in the journal; a later place compares greater."""

    segment: int
    row: int
