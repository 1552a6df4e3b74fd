"""What Kurado's agents push, `address TAB key TAB value TAB time` line by line, as batches.

A payload that looks like the one before, which is nearly every one, is read as columns; any other line by line.
Both give the same. A bad line is counted by the reason, and the others are kept.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from operator import itemgetter

import orjson

from monitor.batch import Batch, Limits, Source
from monitor.wire.kurado_key import COUNTED, Key, meta_of, number, read_key, stamp

TOGETHER = 10.0
"""Lines whose times are this close, and within half an interval, are of one time."""
ROW = b"\t\t\t\n"
NO_SEPARATOR = bytes(set(range(256)) - set(b"\t\n"))
WHOLE, REAL = b"0123456789,", b"0123456789.eE+-,"
KEPT_KEYS, LONGEST_KEPT = 50_000, 400
KEPT_NAMES = 200_000
"""Lines of all payloads whose order is remembered together."""

Admit = Callable[[bytes], tuple[str, str]]
"""Tells the host that an address stands for, or a word why its lines are refused."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a line may be, and how many there may be in a payload and of a plugin."""

    past: float = 86400.0
    ahead: float = 600.0
    interval: float = 60.0
    lines: int = 10_000
    line: int = 8192
    names: int = 4096
    limits: Sequence[tuple[str, Limits]] = ()
    """By a pattern of PLUGIN.NAME.KIND; the first that fits counts."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a payload says of a plugin of a host, beside its numbers."""

    host: str
    plugin: str
    meta: Mapping[str, str]
    warnings: Mapping[str, str]


@dataclass(slots=True)
class Payload:
    """What a payload holds. `bad` counts its bad lines by the reason, `first` shows the first of each."""

    batches: list[Batch] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    lines: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    first: dict[str, bytes] = field(default_factory=dict)

    def refuse(self, reason: str, line: bytes, count: int = 1) -> None:
        self.bad[reason] += count
        self.first.setdefault(reason, line[:120])


def pick(places: Sequence[int]) -> Callable[[list[bytes]], Sequence[bytes]]:
    """Return what takes these of a list."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda flat: [flat[place] for place in places]


class Group:
    """The lines of one plugin in payloads whose keys are the same."""

    def __init__(self, plugin: str, keys: Mapping[int, Key], bounds: Bounds) -> None:
        self.plugin = plugin
        self.source = source_of(plugin)
        metrics = sorted((key.place, place, key) for place, key in keys.items() if key.kind is not None)
        named = names_of(key for _, _, key in metrics)
        self.names = tuple(named[key] for _, _, key in metrics)
        self.kinds = {named[key]: key.kind for _, _, key in metrics if key.kind is not None}
        self.limits = limits_of(named, bounds.limits)
        self.gauges = pick([place for _, place, key in metrics if key.kind not in COUNTED])
        self.counts = pick([place for _, place, key in metrics if key.kind in COUNTED])
        self.meta = [(key.name, place) for place, key in keys.items() if key.what == "meta"]
        self.warn = [(key.name, place) for place, key in keys.items() if key.what == "warn"]

    def numbers(self, flat: list[bytes]) -> dict[str, float] | None:
        """Return the values by name; None when one of them is not plainly a number."""
        gauges, counts = b",".join(self.gauges(flat)), b",".join(self.counts(flat))
        if counts.translate(None, WHOLE) or gauges.translate(None, REAL):
            return None
        try:
            # As JSON it takes a third of the time of float() and int() one by one.
            found = orjson.loads(b"[%b]" % counts)
            if float in set(map(type, found)):
                return None
            return dict(zip(self.names, orjson.loads(b"[%b]" % gauges) + found, strict=True))
        except ValueError:
            return None


class Parser:
    """Reads payloads, and remembers what most of them have in common. Threads may share it."""

    def __init__(self, bounds: Bounds = Bounds()) -> None:
        self.bounds = bounds
        self.together = min(bounds.interval / 2, TOGETHER)
        self._keys: dict[bytes, Key | str] = {}
        self._plans: dict[tuple[bytes, ...], list[Group]] = {}
        self._planned = 0

    def parse(self, payload: bytes, now: float, admit: Admit) -> Payload:
        """Return what the payload holds; its last line need not be ended."""
        found = self._columns(payload, now, admit)
        if found is None:
            found = Payload()
            self._by_line(payload, now, admit, found)
        return found

    def _columns(self, payload: bytes, now: float, admit: Admit) -> Payload | None:
        """Read a payload of one address, whose lines are all good and of one time; None when it is none."""
        bounds, lines = self.bounds, payload.count(b"\n")
        if not 0 < lines <= bounds.lines or payload.translate(None, NO_SEPARATOR) != ROW * lines:
            return None
        flat = payload.replace(b"\n", b"\t").split(b"\t")
        address = flat[0]
        if payload.count(b"\n%b\t" % address) != lines - 1 or address[:1] in (b"", b"#", b"/", b" "):
            return None
        if len(payload) > bounds.line and max(map(len, flat)) > bounds.line // 4:
            return None
        host, refused = admit(address)
        found = Payload(lines=lines)
        if refused:
            found.refuse(refused, payload, lines)
            return found
        keys = tuple(flat[1::4])
        groups = self._plans.get(keys)
        if groups is None:
            groups = self._plan(keys)
        time = self._time(payload, flat, lines, now)
        if not groups or time is None:
            return None
        interval = -bounds.interval
        for group in groups:
            values = group.numbers(flat)
            if values is None:
                return None
            meta = {name: meta_of(flat[place]) for name, place in group.meta}
            if values or meta:
                source = Source(host, *group.source)
                found.batches.append(Batch(source, time, values, group.kinds, meta, interval, group.limits))
            found.said.append(Said(host, group.plugin, meta, {n: meta_of(flat[i]) for n, i in group.warn}))
        return found

    def _time(self, payload: bytes, flat: list[bytes], lines: int, now: float) -> float | None:
        """Return the time of all lines; None when they are not of one, or it is out of bounds."""
        text = flat[3]
        stamps = {text} if payload.count(b"\t%b\n" % text) == lines else set(flat[3::4])
        if not all(map(bytes.isdigit, stamps)) or max(map(len, stamps)) > 12:
            return None
        times = set(map(float, stamps))
        newest, oldest = max(times), min(times)
        fits = now - self.bounds.past <= oldest and newest <= now + self.bounds.ahead
        return newest if fits and newest - oldest <= self.together else None

    def _plan(self, keys: tuple[bytes, ...]) -> list[Group]:
        """Return how payloads with these keys are read; nothing when they are not all good and different."""
        read = [self._key(key) for key in keys]
        groups: list[Group] = []
        if all(isinstance(key, Key) for key in read) and len(set(read)) == len(read):
            plugins: dict[str, dict[int, Key]] = {}
            for number_of_line, key in enumerate(read):
                assert isinstance(key, Key)
                plugins.setdefault(key.plugin, {})[4 * number_of_line + 2] = key
            if all(len(plugin) <= self.bounds.names for plugin in plugins.values()):
                groups = [Group(plugin, lines, self.bounds) for plugin, lines in plugins.items()]
        self._planned += len(keys)
        if self._planned > KEPT_NAMES:
            self._plans.clear()
            self._planned = len(keys)
        self._plans[keys] = groups
        return groups

    def _key(self, text: bytes) -> Key | str:
        key = self._keys.get(text)
        if key is None:
            key = read_key(text)
            if len(text) <= LONGEST_KEPT:
                if len(self._keys) >= KEPT_KEYS:
                    self._keys.clear()
                self._keys[text] = key
        return key

    def _by_line(self, payload: bytes, now: float, admit: Admit, found: Payload) -> None:
        bounds = self.bounds
        hosts: dict[str, Host] = {}
        rows = payload.split(b"\n", bounds.lines)
        if len(rows) > bounds.lines and (rest := rows.pop()):
            found.refuse("lines", rest, rest.count(b"\n") + (not rest.endswith(b"\n")))
        for line in rows:
            start = line.lstrip()
            if not start or start.startswith((b"#", b"//")):
                continue
            found.lines += 1
            if reason := self._line(line, now, admit, hosts):
                found.refuse(reason, line)
        for name, host in hosts.items():
            host.into(found, name, now, self)

    def _line(self, line: bytes, now: float, admit: Admit, hosts: dict[str, Host]) -> str:
        """Note what a line says, or return why it is refused."""
        bounds = self.bounds
        if len(line) > bounds.line:
            return "line"
        columns = line.split(b"\t")
        if len(columns) != 4:
            return "columns"
        address, text, value, moment = columns
        name, refused = admit(address.strip())
        if refused:
            return refused
        key = self._key(text)
        if isinstance(key, str):
            return key
        host = hosts.setdefault(name, Host())
        plugin = host.plugins.setdefault(key.plugin, Plugin())
        time = stamp(moment)
        fits = time is not None and now - bounds.past <= time <= now + bounds.ahead
        if fits and time is not None:
            host.stamps.add(time)
        if key.kind is None:
            if fits and time is not None:
                plugin.told = max(plugin.told, time)
            if len(plugin.meta) + len(plugin.warn) >= bounds.names:
                return "names"
            (plugin.meta if key.what == "meta" else plugin.warn)[key.name] = meta_of(value)
            return ""
        if not fits or time is None:
            return "time"
        read = number(value, key.kind)
        if read is None:
            return "value"
        if len(plugin.reports) >= bounds.names:
            return "names"
        plugin.reports.append((time, key, read))
        return ""


@dataclass(slots=True)
class Plugin:
    """The good lines of a plugin."""

    reports: list[tuple[float, Key, float]] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)
    warn: dict[str, str] = field(default_factory=dict)
    told: float = -math.inf
    """The latest time of the texts."""


@dataclass(slots=True)
class Host:
    """The good lines of a host, and their times."""

    stamps: set[float] = field(default_factory=set)

    plugins: dict[str, Plugin] = field(default_factory=dict)

    def into(self, found: Payload, name: str, now: float, parser: Parser) -> None:
        """Add the batches of the host to what was found."""
        shared = shared_times(self.stamps, parser.together)
        for identifier, plugin in self.plugins.items():
            source = Source(name, *source_of(identifier))
            batches: dict[float, dict[Key, tuple[float, float]]] = {}
            for time, key, value in plugin.reports:
                values = batches.setdefault(shared[time], {})
                if key in values:
                    found.refuse("repeated", key.name.encode())
                if key not in values or time > values[key][0]:
                    values[key] = (time, value)
            made = [_batch(source, time, values, parser.bounds) for time, values in sorted(batches.items())]
            if plugin.meta:
                if not made:
                    made.append(Batch(source, shared.get(plugin.told, now), {}, interval=-parser.bounds.interval))
                made[-1].meta = plugin.meta
            found.batches += made
            found.said.append(Said(name, identifier, plugin.meta, plugin.warn))


def _batch(source: Source, time: float, values: Mapping[Key, tuple[float, float]], bounds: Bounds) -> Batch:
    keys = sorted(values, key=lambda key: key.place)
    named = names_of(keys)
    kinds = {named[key]: key.kind for key in keys if key.kind is not None}
    return Batch(
        source,
        time,
        {named[key]: values[key][1] for key in keys},
        kinds,
        {},
        -bounds.interval,
        limits_of(named, bounds.limits),
    )


def source_of(plugin: str) -> tuple[str, str]:
    """Return the collector and the instance that a plugin's identifier stands for."""
    collector, _, instance = plugin.partition(":")
    return collector, instance


def names_of(keys: Iterable[Key]) -> dict[Key, str]:
    """Return the names of keys: without the kind, but for those whose name another has too.

    Of these the gauge goes without, else the counter, the derive, the absolute: the agent has no order of its own.
    """
    found: dict[Key, str] = {}
    taken: set[str] = set()
    for key in sorted(keys, key=lambda key: (key.name, key.place)):
        found[key] = f"{key.name}.{key.kind}" if key.name in taken else key.name
        taken.add(key.name)
    return found


def limits_of(named: Mapping[Key, str], rules: Sequence[tuple[str, Limits]]) -> dict[str, Limits]:
    """Return the limits that the rules set, by name."""
    found = {}
    for key, name in named.items() if rules else ():
        whole = f"{key.plugin}.{key.name}.{key.kind}"
        limits = next((limits for pattern, limits in rules if fnmatchcase(whole, pattern)), None)
        if limits is not None:
            found[name] = limits
    return found


def shared_times(stamps: Iterable[float], together: float) -> dict[float, float]:
    """Return for each time the one that it shares with those close to it, which is the latest of them."""
    found: dict[float, float] = {}
    start, same = -math.inf, list[float]()
    for time in sorted(stamps):
        if time - start > together:
            start, same = time, []
        same.append(time)
        found.update(dict.fromkeys(same, time))
    return found
