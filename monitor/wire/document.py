"""Batches as documents of Sorabeat's shape: `@timestamp`, `metricset`, `beat`, and the values below their metricset.

    {"@timestamp": "2026-11-21T13:20:00.000Z",
     "metricset": {"module": "sora", "name": "stats", "host": "sora1", "rtt": 1200},
     "beat": {"name": "sora1", "hostname": "sora1", "version": "6.0.0"},
     "sora": {"stats": {"total_ongoing_connections": 3, "erlang_vm": {"memory": {"total": 1024}}}}}

- A dotted name is a path of objects. One that is a value and an object at once has its value in the member `value`
  there, a text in `text`.
- NaN and infinite values are left out, all others stay where they are then, too. A batch of which nothing remains has
  no document.
- Whole numbers are written as such; one beyond a signed 64-bit word has an exponent, which makes it a double.
- The names `metricset.…` and `error.message` (a text) stand at the top, in place of what else would stand there.
- A source's instance is `metricset.instance`; a connection of Sora is known by its own ids instead.
- What the journal keeps of one report in several rows (columns whose time spans differ) is one document again.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.batch import FORGET_AFTER, Block, Floats, Source
from monitor.wire.numbers import slices, texts
from monitor.wire.tree import Template, path_of, text

EXACT = float(1 << 53)
"""From here on a float does not hold every whole number."""
LONG = 1 << 63
DOCUMENT = 40
"""So many values take about as long as what each document costs beside its values."""
PLACE = re.compile(r"(?P<pattern>[^=]*/[^=]*)=(?:-|(?P<module>[^.=\s]+)\.(?P<metricset>[^.=\s]+))")
SORA = ("sora/=-", "sora/*/*=-", "sora/*=sora.channels")
"""Of Sora's statistics and connections the documents come ready (`monitor.wire.envelope`), with all that it says."""
TELLING = ("connection_id", "channel_id", "metricset.instance")
"""Where one of these texts is told, the instance says nothing more."""


class Metricset(NamedTuple):
    module: str
    name: str


class Document(NamedTuple):
    id: str
    """The same whenever the same report is sent again."""
    time: float
    metricset: Metricset
    json: bytes


class Places:
    """Which metricset a source belongs to: PATTERN=MODULE.METRICSET is matched with COLLECTOR/INSTANCE, in order.

    Of what matches PATTERN=- there are no documents.
    """

    def __init__(self, rules: Sequence[str]) -> None:
        self._rules: list[tuple[re.Pattern[str], Metricset | None]] = []
        for rule in rules:
            found = PLACE.fullmatch("".join(rule.split()))
            if found is None:
                raise ValueError(f"expected COLLECTOR/INSTANCE=MODULE.METRICSET (or =-), got {rule[:80]!r}")
            pattern = re.compile(fnmatch.translate(found["pattern"]))
            named = Metricset(found["module"], found["metricset"]) if found["module"] else None
            self._rules.append((pattern, named))

    def __call__(self, source: Source) -> Metricset | None:
        key = f"{source.collector}/{source.instance}"
        for pattern, metricset in self._rules:
            if pattern.match(key):
                return metricset
        word = source.collector.replace(".", "_") or "_"
        return Metricset(word, word)


class _Known(NamedTuple):
    metricset: Metricset
    wanted: bool
    raw: bool
    head: tuple[str, ...]
    """JSON of what stands at the top of every document of a source."""
    mark: bytes


class Row(NamedTuple):
    """A report, or the part of it that one row holds."""

    known: _Known
    source: Source
    time: float
    names: tuple[str, ...]
    values: Sequence[str | None]
    """JSON of the numbers; None where there is none."""
    whole: bool
    meta: Mapping[str, str]

    @property
    def tells(self) -> bool:
        return self.known.wanted and (bool(self.meta) or any(value is not None for value in self.values))


HEAD = ("@timestamp", "metricset.module", "metricset.name", "metricset.host", "beat.name", "beat.hostname",
        "beat.version")  # fmt: skip
NUMBERS_ON_TOP = re.compile(r"metricset\..+")
TEXTS_ON_TOP = re.compile(r"metricset\..+|error\.message")
NO_META: Mapping[str, str] = {}


class DocumentEncoder:
    """Encodes blocks in slices of some 4,000 values, so that nobody waits for a large one.

    `raw` are patterns of collectors whose counters are sent as they stood, instead of as rates.
    """

    def __init__(
        self,
        *,
        places: Callable[[Source], Metricset | None],
        hostname: Callable[[str], str] = str,
        raw: Sequence[str] = ("sora",),
        version: str = "6.0.0",
        slice_values: int = 4000,
        max_sources: int = 20_000,
        max_templates: int = 4000,
        more: Mapping[str, str] = NO_META,
        id_name: str = "",
    ) -> None:
        """`more` are texts in every document, by dotted name; where `id_name` is given, its id has that name."""
        self._places = places
        self._hostname = hostname
        self._raw = re.compile("|".join(map(fnmatch.translate, raw))) if raw else None
        self._version = text(version)
        self._slice = slice_values
        self._max_sources = max_sources
        self._max_templates = max_templates
        self._head = (*HEAD, *more, *([id_name] if id_name else []))
        self._more = tuple(map(text, more.values()))
        self._tells_id = bool(id_name)
        self._known: dict[Source, _Known] = {}
        self._templates: dict[tuple[Metricset, tuple[str, ...], tuple[str, ...]], Template] = {}
        self._stamp = (math.nan, "")

    def encode(self, blocks: Sequence[Block]) -> Iterator[list[Document]]:
        """Yield the documents of what is delivered together, slice by slice."""
        seen: set[tuple[Source, float]] = set()
        parted: set[tuple[Source, float]] = set()
        if len(blocks) > 1:
            for block, start, end in self._slices(blocks):
                here = set(zip(block.sources[start:end], block.times[start:end].tolist(), strict=True))
                parted |= seen & here
                seen |= here
                yield []
        parts: dict[tuple[Source, float], list[Row]] = {}
        for block, start, end in self._slices(blocks):
            found: list[Document] = []
            for row in self._rows(block, start, end):
                if (key := (row.source, row.time)) in parted:
                    parts.setdefault(key, []).append(row)
                elif row.tells:
                    found.append(self._document(row))
            yield found
        for rows in parts.values():
            whole = _joined(rows)
            yield [self._document(whole)] if whole.tells else []

    def _slices(self, blocks: Sequence[Block]) -> Iterator[tuple[Block, int, int]]:
        for block in blocks:
            for start, end in slices(len(block), len(block.layout.names) + DOCUMENT, self._slice):
                yield block, start, end

    def _rows(self, block: Block, start: int, end: int) -> Iterator[Row]:
        part = block if (start, end) == (0, len(block)) else _slice(block, start, end)
        known = [self._known_of(source) for source in part.sources]
        raw = np.array([one.raw for one in known], dtype=np.bool_)
        values = part.rates
        large: dict[tuple[int, int], str] = {}
        if raw.any() and part.layout.counted.size:
            values = np.where(raw[:, None], part.reported(), values)
            large = _large(part, values, raw)
        numbers = texts(values)
        for (row, column), number in large.items():
            numbers[row * values.shape[1] + column] = number
        finite = np.isfinite(values)
        whole: list[bool] = finite.all(axis=1).tolist()  # type: ignore[assignment]
        names, width = part.layout.names, len(part.layout.names)
        for i, source in enumerate(part.sources):
            meta = part.meta.get(i, NO_META)
            if FORGET_AFTER in meta:
                meta = {name: told for name, told in meta.items() if name != FORGET_AFTER}
            here: Sequence[str | None] = numbers[i * width : (i + 1) * width] if width else ()
            if not whole[i]:
                here = [number if good else None for number, good in zip(here, finite[i].tolist(), strict=True)]
            yield Row(known[i], source, float(part.times[i]), names, here, whole[i], meta)

    def _document(self, row: Row) -> Document:
        known, meta = row.known, row.meta
        milliseconds = str(round(row.time * 1000)).encode()
        mark = blake2b(b"%b\0%b" % (known.mark, milliseconds), digest_size=16).hexdigest()
        slots: list[Any] = [self._stamped(row.time), *known.head, *self._more]
        if self._tells_id:
            slots.append(f'"{mark}"')
        slots += row.values
        slots += map(text, meta.values())
        names = tuple(meta)
        if row.source.instance and not any(name in meta for name in TELLING):
            names += ("metricset.instance",)
            slots.append(text(row.source.instance))
        template = self._template(known.metricset, row.names, names)
        json = template.fill(slots) if row.whole else template.fill_some(slots)
        return Document(mark, row.time, known.metricset, json.encode())

    def _template(self, metricset: Metricset, names: tuple[str, ...], meta: tuple[str, ...]) -> Template:
        key = (metricset, names, meta)
        found = self._templates.get(key)
        if found is None:
            if len(self._templates) >= self._max_templates:
                self._templates.clear()
            told = {*names, *meta}
            slots = [([] if name in told else name.split("."), "value") for name in self._head]
            slots += [(_path(metricset, name, NUMBERS_ON_TOP), "value") for name in names]
            slots += [(_path(metricset, name, TEXTS_ON_TOP), "text") for name in meta]
            found = self._templates[key] = Template(slots)
        return found

    def _stamped(self, time: float) -> str:
        if self._stamp[0] != time:
            self._stamp = time, f'"{stamp(time)}"'
        return self._stamp[1]

    def _known_of(self, source: Source) -> _Known:
        found = self._known.get(source)
        if found is None:
            if len(self._known) >= self._max_sources:
                self._known.clear()
            place = self._places(source)
            metricset = place or Metricset("", "")
            name = text(self._hostname(source.host))
            head = (text(metricset.module), text(metricset.name), text(source.host), name, name, self._version)
            raw = self._raw is not None and self._raw.match(source.collector) is not None
            mark = "\0".join((*source, *metricset)).encode("utf-8", "surrogatepass")
            found = self._known[source] = _Known(metricset, place is not None, raw, head, mark)
        return found


def stamp(time: float) -> str:
    """Return a time as documents tell it: UTC with milliseconds."""
    moment = datetime.fromtimestamp(round(time * 1000) / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{round(moment.microsecond / 1000):03d}Z"


def _path(metricset: Metricset, name: str, on_top: re.Pattern[str]) -> list[str]:
    return path_of(name) if on_top.fullmatch(name) else [*metricset, *path_of(name)]


def _joined(rows: Sequence[Row]) -> Row:
    """Return a report of which there are several rows; of a name that is in two of them the last counts."""
    values: dict[str, str | None] = {}
    for row in rows:
        told = zip(row.names, row.values, strict=True)
        values |= {name: value for name, value in told if value is not None or name not in values}
    meta = {name: fact for row in rows for name, fact in row.meta.items()}
    whole = None not in values.values()
    return rows[0]._replace(names=tuple(values), values=list(values.values()), whole=whole, meta=meta)


def _slice(block: Block, start: int, end: int) -> Block:
    """Return some rows, without copying what they hold."""
    meta = block.meta
    return Block(
        block.layout, block.sources[start:end], block.times[start:end], block.since[start:end],
        block.intervals[start:end], block.rates[start:end], block.raw[start:end], block.raw_tags[start:end],
        {row - start: meta[row] for row in range(start, end) if row in meta} if meta else {},
    )  # fmt: skip


def _large(block: Block, values: Floats, raw: NDArray[np.bool_]) -> dict[tuple[int, int], str]:
    """Return the counters that a float does not hold exactly, as text, by row and column."""
    found: dict[tuple[int, int], str] = {}
    counted = block.layout.counted.tolist()
    for row in np.flatnonzero(raw & (np.abs(values) >= EXACT).any(axis=1)).tolist():
        for column, number in zip(counted, block.exact(row), strict=True):
            if isinstance(number, int) and abs(number) >= EXACT and number < LONG:
                found[row, column] = str(number)
    return found
