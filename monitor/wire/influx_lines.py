"""InfluxDB's line protocol as batches: the tag host, the measurement, the other tags as instance, the fields as names.

https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/
Lines without escapes and texts, which are nearly all, are read as JSON, and where many have the same fields, these
together (`monitor.wire.influx_layout`); any other token by token, with the same result.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import groupby

import orjson

from monitor.batch import Batch, Kind, Row, Source
from monitor.wire.influx_layout import FieldNames, integers
from monitor.wire.paths import FORBIDDEN as ILLEGAL
from monitor.wire.paths import MAX_TEXT, instance_of

PIECE = 32 << 10
"""Bytes that are read in one step."""
FACTORS = {"ns": 1e9, "n": 1e9, "us": 1e6, "u": 1e6, "µ": 1e6, "ms": 1e3, "s": 1.0, "m": 1 / 60, "h": 1 / 3600}
"""Units of a stamp in a second, by the word of `precision`."""
HEADS = 200_000
"""Measurements with their tags that are remembered."""
STAMPS = 10_000
LAYOUTS = 10_000
"""Measurements whose last fields are remembered."""
ERRORS = 20
"""Lines whose errors are told; all are counted."""
LONGEST_TEXT = 4096
FEW = 8
"""Lines of a measurement one after another that are not worth being read together."""

MEASUREMENT = re.compile(rb"((?:[^, \\]|\\[, ]?)*+)")
TAG = re.compile(rb",((?:[^,= \\]|\\[,= ]?)*+)=((?:[^,= \\]|\\[,= ]?)*+)")
FIELD = re.compile(rb'((?:[^,= \\]|\\[,= ]?)*+)=("(?:[^"\\]|\\.)*+"|[^, "]*+)', re.DOTALL)
HEAD = re.compile(rb"(?:[^ \\]|\\.?)*+ ", re.DOTALL)
QUOTES = re.compile(rb'\\.|"', re.DOTALL)
ESCAPED, QUOTED = re.compile(r"\\([,= ])"), re.compile(r'\\(["\\])')
NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
INTEGER = re.compile(rb"([-+]?\d+)([iu])")
BOOLEANS = {
    **dict.fromkeys((b"t", b"T", b"true", b"True", b"TRUE"), 1.0),
    **dict.fromkeys((b"f", b"F", b"false", b"False", b"FALSE"), 0.0),
}
NUMBERS = frozenset({int, float})
SPECIAL = (b'"', b"\\", b"\r", b"\t")
"""What JSON reads in another way."""
NO_KINDS: dict[str, Kind] = {}


class LineError(ValueError):
    """A line is refused; the first word is the kind of reason, under which it is counted."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Bounds:
    past: float = 2 * 86400.0
    ahead: float = 600.0
    interval: float = 60.0
    line: int = 64 << 10
    derive: Sequence[str] = ()
    """Patterns of MEASUREMENT.FIELD that are totals, of which the rate is kept."""


@dataclass(slots=True)
class Written:
    """What a body holds. `errors` says of the first bad lines why, `outside` counts those too old or in the future."""

    batches: dict[tuple[Source, float], Batch | Row] = field(default_factory=dict)
    lines: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    outside: int = 0

    def refuse(self, kind: str, line: bytes, reason: str) -> None:
        self.bad[kind] += 1
        if len(self.errors) < ERRORS:
            self.errors.append(f"unable to parse '{line[:200].decode('utf-8', 'replace')}': {reason}")


class Clock:
    """Reads stamps of one precision."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.known: dict[bytes, float] = {}

    def read(self, text: bytes) -> float:
        """Return epoch seconds."""
        if len(text) > 20 or not text.removeprefix(b"-").isdigit():
            raise LineError("time", "bad timestamp")
        if len(self.known) >= STAMPS:
            self.known.clear()
        moment = self.known[text] = int(text) / self.factor
        return moment


class Reader:
    """Remembers what the beginnings of lines stand for."""

    def __init__(self, bounds: Bounds = Bounds()) -> None:
        self.bounds = bounds
        self._heads: dict[bytes, Source] = {}
        self._clocks = {precision: Clock(factor) for precision, factor in FACTORS.items()}
        self._kinds: dict[str, dict[str, Kind]] = {}
        self._layouts: dict[bytes, FieldNames] = {}
        self._derived = tuple(pattern.partition(".")[0] for pattern in bounds.derive)

    def read(self, body: bytes, precision: str, now: float, written: Written) -> Iterator[None]:
        """Add the lines of a body, step by step. `precision` is a key of FACTORS."""
        clock, at, end = self._clocks[precision], 0, len(body)
        opened: list[bytes] = []
        size = 0
        while at < end:
            cut = end
            if end - at > PIECE:
                cut = body.rfind(b"\n", at, at + PIECE) + 1 or body.find(b"\n", at) + 1 or end
            piece = body[at:cut].removesuffix(b"\n")
            plain = not opened and not any(byte in piece for byte in SPECIAL)
            if plain:
                for measurement, lines in groupby(piece.split(b"\n"), measurement_of):
                    self._alike(measurement, list(lines), clock, now, written)
            for line in () if plain else piece.split(b"\n"):
                if opened or is_open(line):
                    # A text may hold the ends of lines.
                    closed = bool(opened) and has_odd_quotes(line)
                    opened.append(line)
                    size += len(line)
                    if closed or size > self.bounds.line:
                        self._line(b"\n".join(opened), clock, now, written)
                        opened.clear()
                        size = 0
                else:
                    self._line(line, clock, now, written)
            at = cut
            yield
        if opened:
            self._line(b"\n".join(opened), clock, now, written)

    def _alike(self, measurement: bytes, lines: list[bytes], clock: Clock, now: float, written: Written) -> None:
        """Read lines of one measurement without escapes and texts."""
        if len(lines) >= FEW and self._together(measurement, lines, clock, now, written):
            return
        values: dict[str, float] | None = None
        for line in lines:
            values = self._plain(line, clock, now, written)
            if values is None:
                self._line(line, clock, now, written)
        if values and len(lines) >= FEW and self._kinds_of(measurement.decode(), values) is NO_KINDS:
            if len(self._layouts) >= LAYOUTS:
                self._layouts.clear()
            self._layouts[measurement] = FieldNames(tuple(values))

    def _together(self, measurement: bytes, lines: list[bytes], clock: Clock, now: float, written: Written) -> bool:
        """Read lines whose fields are those seen last of their measurement; False when not all are, or are good."""
        layout = self._layouts.get(measurement)
        if layout is None or max(map(len, lines)) > self.bounds.line:
            return False
        try:
            heads, fields, stamps = zip(*[line.split(b" ") for line in lines], strict=True)
            rows = layout.read(fields)
            if rows is None:
                return False
            known = self._heads.get
            sources = [known(head) or self._head(line)[0] for head, line in zip(heads, lines, strict=True)]
            moments = [clock.known.get(stamp) or clock.read(stamp) for stamp in stamps]
        except ValueError:
            return False
        written.lines += len(lines)
        for source, moment, row in zip(sources, moments, rows, strict=True):
            self._add(Row(source, moment, layout.names, row, -self.bounds.interval), now, written)
        return True

    def _plain(self, line: bytes, clock: Clock, now: float, written: Written) -> dict[str, float] | None:
        """Read a line without escapes and texts; None when it is not that plain, or is not good."""
        words = line.split(b" ")
        if len(words) != 3 or len(line) > self.bounds.line:
            return None
        head, fields, stamp = words
        text = fields.replace(b"=", b'":').replace(b",", b',"')
        if b"i" in fields:
            if not integers(fields):
                return None
            text = text.replace(b'i,"', b',"').removesuffix(b"i")
        try:
            values: dict[str, float] = orjson.loads(b'{"%b}' % text)
            source = self._heads.get(head) or self._head(line)[0]
            moment = clock.known.get(stamp) or clock.read(stamp)
        except ValueError:
            return None
        if not NUMBERS.issuperset(map(type, values.values())) or "" in values:
            return None
        written.lines += 1
        self._add(Batch(source, moment, values, NO_KINDS, {}, -self.bounds.interval), now, written)
        return values

    def _line(self, line: bytes, clock: Clock, now: float, written: Written) -> None:
        """Read a line token by token."""
        line = line.strip(b" \r\t\0")
        if not line or line.startswith(b"#"):
            return
        written.lines += 1
        try:
            if len(line) > self.bounds.line:
                raise LineError("line", f"expected at most {self.bounds.line} bytes")
            source, at = self._head(line)
            values, meta, at = fields_of(line, at)
            stamp = line[at:].strip(b" ")
            moment = clock.read(stamp) if stamp else now
        except LineError as error:
            written.refuse(error.kind, line, str(error))
        except UnicodeDecodeError:
            written.refuse("utf8", line, "expected UTF-8")
        else:
            self._add(Batch(source, moment, values, NO_KINDS, meta, -self.bounds.interval), now, written)

    def _head(self, line: bytes) -> tuple[Source, int]:
        """Return the source, and where the fields begin."""
        found = MEASUREMENT.match(line)
        assert found is not None
        measurement, at = unescaped(found[1]), found.end()
        if not measurement or line.startswith(b"#"):
            raise LineError("measurement", "missing measurement")
        tags: dict[str, str] = {}
        while at < len(line) and line[at : at + 1] == b",":
            tag = TAG.match(line, at)
            if tag is None or not tag[1] or not tag[2]:
                raise LineError("tag", "missing tag value" if tag is None or tag[1] else "missing tag key")
            name = unescaped(tag[1])
            if name in tags:
                raise LineError("tag", "duplicate tags")
            tags[name] = unescaped(tag[2])
            at = tag.end()
        if line[at : at + 1] != b" ":
            raise LineError("tag" if at < len(line) else "fields", "missing fields")
        head = line[:at]
        while line[at : at + 1] == b" ":
            at += 1
        source = Source(tags.pop("host", ""), measurement, instance_of(tags))
        if not source.host:
            raise LineError("host", "expected a tag host, which says whose values these are")
        for word in source:
            if len(word) > MAX_TEXT or ILLEGAL.search(word.replace(" ", "")):
                reason = f"expected names and tags of at most {MAX_TEXT} characters without control characters"
                raise LineError("text", reason)
        if len(self._heads) >= HEADS:
            self._heads.clear()
        self._heads[head] = source
        return source, at

    def _add(self, batch: Batch | Row, now: float, written: Written) -> None:
        if not now - self.bounds.past <= batch.time <= now + self.bounds.ahead:
            written.bad["time"] += 1
            written.outside += 1
            return
        place = batch.source, batch.time
        before = written.batches.setdefault(place, batch)
        if before is not batch:
            written.batches[place] = before = whole(before)
            batch = whole(batch)
            before.values.update(batch.values)
            before.meta.update(batch.meta)
        if self._derived and isinstance(before, Batch) and isinstance(batch, Batch):
            before.kinds = self._kinds_of(batch.source.collector, batch.values)

    def _kinds_of(self, measurement: str, values: Mapping[str, float]) -> dict[str, Kind]:
        """Return which fields are totals; all batches of a measurement share it."""
        known = self._kinds.get(measurement)
        if known is None:
            known = {} if any(fnmatchcase(measurement, first) for first in self._derived) else NO_KINDS
            if len(self._kinds) >= STAMPS:
                self._kinds.clear()
            self._kinds[measurement] = known
        if known is NO_KINDS:
            return known
        if not known.keys() >= values.keys():
            known = dict(known) if len(known) < STAMPS else {}
            for name in values:
                total = any(fnmatchcase(f"{measurement}.{name}", pattern) for pattern in self.bounds.derive)
                known[name] = Kind.DERIVE if total else Kind.GAUGE
            self._kinds[measurement] = known
        return known


def whole(batch: Batch | Row) -> Batch:
    """Return a batch to which other values can be added."""
    if isinstance(batch, Batch):
        return batch
    values = dict(zip(batch.names, batch.values.tolist(), strict=True))
    return Batch(batch.source, batch.time, values, NO_KINDS, {}, batch.interval)


def measurement_of(line: bytes) -> bytes:
    return line.partition(b",")[0]


def fields_of(line: bytes, at: int) -> tuple[dict[str, float], dict[str, str], int]:
    """Return the numbers and the texts of the fields, and where they end."""
    values: dict[str, float] = {}
    meta: dict[str, str] = {}
    if at >= len(line):
        raise LineError("fields", "missing fields")
    while True:
        found = FIELD.match(line, at)
        if found is None:
            raise LineError("fields", "invalid field format")
        name, text = unescaped(found[1]), found[2]
        if not name:
            raise LineError("fields", "missing field key")
        if not text:
            raise LineError(
                "fields", "missing field value" if line[found.end() : found.end() + 1] != b'"' else "unbalanced quotes"
            )
        if text.startswith(b'"'):
            meta[name] = QUOTED.sub(r"\1", text[1:-1].decode())[:LONGEST_TEXT]
        else:
            values[name] = number_of(text)
        at = found.end()
        after = line[at : at + 1]
        if after == b",":
            at += 1
            continue
        if after not in (b" ", b""):
            raise LineError("fields", "invalid field format")
        return values, {name: text for name, text in meta.items() if fits(text)}, at


def fits(text: str) -> bool:
    return not ILLEGAL.search(re.sub(r"[ \n\t]", "", text))


def number_of(text: bytes) -> float:
    if (boolean := BOOLEANS.get(text)) is not None:
        return boolean
    if whole := INTEGER.fullmatch(text):
        low, high = (-(2**63), 2**63) if whole[2] == b"i" else (0, 2**64)
        if len(whole[1]) > 20 or not low <= (value := int(whole[1])) < high:
            raise LineError("value", "value out of range")
        return value
    if len(text) > 400 or not NUMBER.fullmatch(text):
        raise LineError("value", "invalid number")
    read = float(text)
    if math.isinf(read):
        raise LineError("value", "value out of range")
    return read


def unescaped(text: bytes) -> str:
    decoded = text.decode()
    return ESCAPED.sub(r"\1", decoded) if "\\" in decoded else decoded


def is_open(line: bytes) -> bool:
    """Tell whether a text begins in a line that does not end in it."""
    if b'"' not in line or line.startswith(b"#"):
        return False
    head = HEAD.match(line)
    return head is not None and has_odd_quotes(line[head.end() :])


def has_odd_quotes(text: bytes) -> bool:
    return b'"' in text and sum(found[0] == b'"' for found in QUOTES.finditer(text)) % 2 == 1
