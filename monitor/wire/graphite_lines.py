"""Graphite's lines, `path value timestamp`, as batches: read as columns, and only what is odd line by line.

https://graphite.readthedocs.io/en/latest/feeding-carbon.html
A bad line is counted by the reason, and the others are kept. A value `nan` is one that is unknown; the stamp -1 is now.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np
import orjson
from numpy.typing import NDArray

from monitor.batch import Batch, Kind, Limits, Source
from monitor.wire.paths import LONGEST, Paths

PIECE = 24 << 10
"""Bytes that are read in one step: about 0.2 ms, and where all paths are new 3 ms."""
ROW = b"  \n"
NO_SEPARATOR = bytes(set(range(256)) - set(b" \n\t\r\v\f\x1c\x1d\x1e\x1f"))
REAL = b"0123456789.eE+-,"
FEW = 32
"""Lines that are read one by one where they are not all good."""
STAMPS = 10_000
"""Texts of stamps whose numbers are remembered."""
RUNS = 2_000_000
"""Paths of all runs that are remembered together."""
AT_ONCE = 4000
"""Values in the batches of one step."""
NO_KINDS: dict[str, Kind] = {}
NO_LIMITS: dict[str, Limits] = {}
NO_META: dict[str, str] = {}
REASONS = ("path", "utf8", "pattern", "tags", "names")
"""Why a path is refused."""

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Point = tuple[object, object, object]
"""Path, stamp and value, as a pickle holds them."""


@dataclass(frozen=True, slots=True)
class Bounds:
    past: float = 86400.0
    ahead: float = 600.0
    interval: float = 60.0
    line: int = 8192
    names: int = 4096
    paths: int = 1_000_000
    """Paths that are remembered."""
    limits: Sequence[tuple[str, Limits]] = ()
    """By a pattern of COLLECTOR.NAME; the first that fits counts."""


@dataclass(slots=True)
class Lines:
    """What was read so far, in columns. `bad` counts bad lines by the reason, `first` shows the first of each."""

    ids: list[Integers] = field(default_factory=list)
    times: list[Floats] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    lines: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    first: dict[str, bytes] = field(default_factory=dict)

    def refuse(self, reason: str, line: bytes, count: int = 1) -> None:
        self.bad[reason] += count
        self.first.setdefault(reason, line[:120])


class Reader:
    """Remembers what paths stand for. Not to be shared by threads."""

    def __init__(self, paths: Paths, bounds: Bounds = Bounds()) -> None:
        self.bounds = bounds
        self.together = min(bounds.interval / 2, 10.0)
        self._paths = paths
        self._stamps: dict[bytes, float] = {}
        self.forget()

    def forget(self) -> None:
        """Forget all paths: what was read of lines must have been made batches before."""
        self._ids: dict[bytes, int] = {}
        self._sources: dict[Source, int] = {}
        self._known: list[Source] = []
        self._name_of: list[str] = []
        self._source_of = np.empty(1024, dtype=np.int64)
        self._names: dict[str, str] = {}
        self._layouts: dict[tuple[str, ...], tuple[tuple[str, ...], dict[str, Limits]]] = {}
        self._runs: dict[bytes, tuple[tuple[str, ...], dict[str, Limits]]] = {}
        self._kept = 0
        self._minute = -math.inf
        self._new: Counter[int] = Counter()

    @property
    def full(self) -> bool:
        """Whether it is time to forget."""
        return len(self._ids) > self.bounds.paths

    def read(self, data: bytes, now: float, found: Lines) -> Iterator[None]:
        """Add whole lines to what was found, step by step."""
        at, end = 0, len(data)
        while at < end:
            cut = data.rfind(b"\n", at, at + PIECE) + 1 or data.find(b"\n", at) + 1 or end
            yield from self._piece(data[at:cut] if (at, cut) != (0, end) else data, now, found)
            yield
            at = cut

    def _piece(self, data: bytes, now: float, found: Lines) -> Iterator[None]:
        if self._columns(data, now, found):
            return
        if data.count(b"\n") <= FEW:
            for line in data.split(b"\n"):
                if line.strip():
                    self._line(line, now, found)
            return
        middle = data.find(b"\n", len(data) // 2) + 1
        if not 0 < middle < len(data):
            middle = data.rfind(b"\n", 0, len(data) // 2) + 1
        for part in (data[:middle], data[middle:]):
            yield from self._piece(part, now, found)
            yield

    def _columns(self, data: bytes, now: float, found: Lines) -> bool:
        """Read lines that are all good; nothing is added where one is not."""
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        separators = data.translate(None, NO_SEPARATOR)
        lines = len(separators) // len(ROW)
        if not lines or separators != ROW * lines:
            return False
        flat = data.split()
        if len(flat) != 3 * lines:
            return False
        text = b",".join(flat[1::3])
        if text.translate(None, REAL) or text.count(b",") != lines - 1:
            return False
        stamps = flat[2::3]
        same = stamps.count(stamps[0]) == lines
        try:
            values: list[float] = orjson.loads(b"[%b]" % text)
            if same:
                moment = self._stamp(stamps[0], now)
                times = np.full(lines, moment)
                fits = now - self.bounds.past <= moment <= now + self.bounds.ahead
            else:
                times = np.fromiter([self._stamp(stamp, now) for stamp in stamps], np.float64, lines)
                fits = bool(((times >= now - self.bounds.past) & (times <= now + self.bounds.ahead)).all())
        except ValueError:
            return False
        if not fits:
            return False
        paths = flat[0::3]
        try:
            ids = np.fromiter(map(self._ids.__getitem__, paths), np.int64, lines)
        except KeyError:
            ids = np.fromiter([self._id(path, now) for path in paths], np.int64, lines)
        if ids.min() < 0:
            return False
        found.ids.append(ids)
        found.times.append(times)
        found.values += values
        found.lines += lines
        return True

    def _line(self, line: bytes, now: float, found: Lines) -> None:
        found.lines += 1
        if len(line) > self.bounds.line:
            found.refuse("line", line)
            return
        words = line.split()
        if len(words) != 3:
            found.refuse("columns", line)
            return
        path, value, stamp = words
        number = self._id(path, now)
        if number < 0:
            found.refuse(REASONS[-number - 1], line)
            return
        try:
            read = number_of(value)
        except ValueError:
            found.refuse("value", line)
            return
        try:
            moment = self._stamp(stamp, now)
        except ValueError:
            moment = math.nan
        self._add(number, moment, read, now, line, found)

    def _add(self, number: int, moment: float, value: float, now: float, line: bytes, found: Lines) -> None:
        if not now - self.bounds.past <= moment <= now + self.bounds.ahead:
            found.refuse("time", line)
            return
        found.ids.append(np.array([number], dtype=np.int64))
        found.times.append(np.array([moment]))
        found.values.append(value)

    def points(self, points: Sequence[Point], now: float, found: Lines) -> Iterator[None]:
        """Add points of a pickle to what was found, step by step."""
        for at in range(0, len(points), FEW):
            for point in points[at : at + FEW]:
                self._point(point, now, found)
            yield

    def _point(self, point: Point, now: float, found: Lines) -> None:
        found.lines += 1
        path, stamp, value = point
        shown = repr(point).encode("utf-8", "replace")[:120]
        text = (
            path if isinstance(path, bytes) else path.encode("utf-8", "surrogatepass") if isinstance(path, str) else b""
        )
        number = self._id(text, now)
        if number < 0:
            found.refuse(REASONS[-number - 1], shown)
            return
        try:
            read = value_of(value)
        except (ValueError, OverflowError):
            found.refuse("value", shown)
            return
        try:
            moment = value_of(stamp)
        except (ValueError, OverflowError):
            moment = math.nan
        self._add(number, now if moment == -1 else moment, read, now, shown, found)

    def _stamp(self, text: bytes, now: float) -> float:
        """Return the number of a stamp; ValueError where it is none."""
        moment = self._stamps.get(text)
        if moment is None:
            moment = number_of(text)
            if len(self._stamps) >= STAMPS:
                self._stamps.clear()
            self._stamps[text] = moment
        return now if moment == -1 else moment

    def _id(self, path: bytes, now: float) -> int:
        """Return the number of a path; below 0 where it is refused."""
        number = self._ids.get(path)
        if number is not None:
            return number
        place = self._paths.place(path)
        if isinstance(place, str):
            number = -1 - REASONS.index(place)
        else:
            if not 0 <= now - self._minute < 60:
                self._minute = now
                self._new.clear()
            source = self._sources.setdefault(place[0], len(self._sources))
            if source == len(self._known):
                self._known.append(place[0])
            if self._new[source] >= self.bounds.names:
                return -1 - REASONS.index("names")
            self._new[source] += 1
            number = len(self._name_of)
            self._name_of.append(self._names.setdefault(place[1], place[1]))
            if number >= len(self._source_of):
                self._source_of = np.concatenate([self._source_of, np.empty_like(self._source_of)])
            self._source_of[number] = source
        if len(path) <= LONGEST:
            self._ids[path] = number
        return number

    def batches(self, found: Lines) -> Iterator[list[Batch]]:
        """Yield what was found as batches, some at a time; those of a source in the order of their times."""
        if not found.ids:
            return
        ids, times, values = np.concatenate(found.ids), np.concatenate(found.times), found.values
        sources = self._source_of[ids]
        cuts = np.flatnonzero((sources[1:] != sources[:-1]) | (times[1:] != times[:-1])) + 1
        if 4 * len(cuts) > len(ids):
            # The lines of a source lie apart: bring them together.
            yield []
            order = np.lexsort((times, sources))
            ids, times, sources = ids[order], times[order], sources[order]
            values = list(map(values.__getitem__, order.tolist()))
            cuts = np.flatnonzero((sources[1:] != sources[:-1]) | (times[1:] != times[:-1])) + 1
            yield []
        starts = [0, *cuts.tolist()]
        made: list[Batch] = []
        last: dict[int, tuple[float, Batch]] = {}
        several: set[int] = set()
        done = 0
        for start, end, source, time in zip(
            starts, [*starts[1:], len(ids)], sources[starts].tolist(), times[starts].tolist(), strict=True
        ):
            names, limits = self._run(ids[start:end], source)
            one = dict(zip(names, values[start:end], strict=True))
            if len(one) < end - start:
                found.refuse("repeated", names[0].encode(), end - start - len(one))
            before = last.get(source)
            if before is not None and self._together(*before, time, one):
                self._merge(before[1], one, limits, time)
            else:
                if before is not None:
                    several.add(source)
                batch = Batch(self._known[source], time, one, NO_KINDS, NO_META, -self.bounds.interval, limits)
                last[source] = time, batch
                made.append(batch)
            done += end - start + 10
            if done > AT_ONCE:
                done = 0
                yield []
        if several:
            yield []
            made.sort(key=lambda batch: batch.time)
        for at in range(0, len(made), FEW):
            yield [self._narrow(batch, found) for batch in made[at : at + FEW]]

    def _together(self, start: float, batch: Batch, time: float, values: Mapping[str, float]) -> bool:
        """Tell whether values are of the collection that a batch, whose first line was of `start`, holds already.

        A name that is in it with another time is of another collection, as an agent sends them after an outage.
        """
        if time == batch.time:
            return True
        return abs(time - start) <= self.together and batch.values.keys().isdisjoint(values)

    @staticmethod
    def _merge(batch: Batch, values: Mapping[str, float], limits: Mapping[str, Limits], time: float) -> None:
        batch.time = max(batch.time, time)
        batch.values.update(values)
        if limits:
            batch.limits = {**batch.limits, **limits}

    def _narrow(self, batch: Batch, found: Lines) -> Batch:
        """Return a batch without the names that are too many."""
        if len(batch.values) > self.bounds.names:
            found.refuse("names", batch.source.host.encode(), len(batch.values) - self.bounds.names)
            batch.values = dict(list(batch.values.items())[: self.bounds.names])
        return batch

    def _run(self, ids: Integers, source: int) -> tuple[tuple[str, ...], dict[str, Limits]]:
        """Return the names of paths of one source, and their limits."""
        key = ids.tobytes()
        run = self._runs.get(key)
        if run is None:
            numbers = ids.tolist()
            names = tuple(map(self._name_of.__getitem__, numbers))
            # Sources that report the same share the names, and so the text of a layout is compared by identity.
            shared = (self._known[source].collector, *names) if self.bounds.limits else names
            run = self._layouts.get(shared)
            if run is None:
                run = self._layouts[shared] = names, limits_of(shared[0], names, self.bounds.limits)
            self._kept += len(names)
            if self._kept > RUNS:
                self._runs.clear()
                self._layouts.clear()
                self._kept = len(names)
            self._runs[key] = run
        return run


def number_of(text: bytes) -> float:
    """Return the number that a text is, NaN included; ValueError where it is none."""
    if b"_" in text:
        raise ValueError(f"expected a number, got {text[:40]!r}")
    read = float(text)
    if math.isinf(read):
        raise ValueError(f"expected a number, got {text[:40]!r}")
    return read


def value_of(value: object) -> float:
    """Return the number that a pickle gives, as a number or as its text."""
    if isinstance(value, str | bytes):
        return number_of(value.encode() if isinstance(value, str) else value)
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isinf(float(value)):
        raise ValueError(f"expected a number, got {type(value).__name__}")
    return float(value)


def limits_of(collector: str, names: Iterable[str], rules: Sequence[tuple[str, Limits]]) -> dict[str, Limits]:
    """Return the limits that the rules set, by name."""
    found = {}
    for name in names if rules else ():
        limits = next((limits for pattern, limits in rules if fnmatchcase(f"{collector}.{name}", pattern)), None)
        if limits is not None:
            found[name] = limits
    return found or NO_LIMITS
