"""What agents last said of hosts beside numbers: text facts, warnings, and when anything came at all.

It is known at once, in memory and within bounds, and written to the store within seconds, so that a restart keeps it.
The store being away delays the writing only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from monitor.handler import DeliveryError, Heard, Store, StoreError
from monitor.retry import describe
from monitor.task import begin

log = logging.getLogger("monitor.liveness")

BASE = "base"
"""The plugin of which silence is critical."""
META_EXPIRES = 3600.0
WARNING_EXPIRES = 300.0
SILENT = 300.0
"""Seconds without a push after which a plugin that only pushes counts as silent."""
KEPT = 365 * 86400.0
"""Seconds for which it is known when a plugin was last heard of."""
OK, WARNED, CRITICAL = 0, 1, 2

FLUSH = 2.0
SWEEP = 60.0
ROWS = 2000
"""Plugins of hosts that are written at once."""
SLICE = 200
LONGEST_NAME = 255

Fact = tuple[float, str]
"""When a text was reported, and the text."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one push said of one plugin of one host. `plugin` is its identifier, unescaped: base, redis:6379."""

    host: str
    plugin: str
    at: float
    meta: Mapping[str, str]
    warnings: Mapping[str, str]


class Warning(NamedTuple):
    """What an agent warned of, and when we received it."""

    plugin: str
    key: str
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is remembered at most."""

    hosts: int = 20_000
    plugins: int = 100
    """Of one host."""
    keys: int = 500
    """Texts of one plugin of one host, warnings and facts each."""
    text: int = 2_000
    """Characters; longer ones are cut."""
    characters: int = 64 << 20
    """Of all names and texts together."""


@dataclass(slots=True)
class LivenessStats:
    """Counts since the start of the process."""

    reports: int = 0
    refused: int = 0
    """Reports and texts for which there was no room."""
    cut: int = 0
    written: int = 0
    failed: int = 0
    hosts: int = 0
    characters: int = 0
    waiting: int = 0


@dataclass(slots=True)
class _Plugin:
    last: float = 0.0
    meta: dict[str, Fact] = field(default_factory=dict)
    warnings: dict[str, Fact] = field(default_factory=dict)


@dataclass(slots=True)
class _Host:
    plugins: dict[str, _Plugin] = field(default_factory=dict)
    warned: float = 0.0


class Liveness:
    """`expected` returns the plugins that only push among those that a host is configured to have, None for a host that
    is not configured. `mirrors` are told of every report too; they return at once."""

    def __init__(
        self,
        store: Store | None = None,
        *,
        expected: Callable[[str], Sequence[str] | None] = lambda host: None,
        mirrors: Sequence[Callable[[Sequence[Report]], None]] = (),
        paused: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.time,
        bounds: Bounds | None = None,
        flush: float = FLUSH,
    ) -> None:
        self.stats = LivenessStats()
        self._store = store
        self._expected = expected
        self._mirrors = mirrors
        self._paused = paused
        self._clock = clock
        self._bounds = bounds or Bounds()
        self._flush_every = flush
        self._hosts: dict[str, _Host] = {}
        self._changed: dict[tuple[str, str], None] = {}
        self._loaded = store is None
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    def report(self, reports: Sequence[Report]) -> None:
        """Take what was pushed; it is known when this returns, and stored within seconds."""
        for one in reports:
            self.stats.reports += 1
            plugin = self._plugin(one.host, one.plugin)
            if plugin is None:
                self.stats.refused += 1
                continue
            plugin.last = max(plugin.last, one.at)
            self._learn(plugin.meta, one.meta, one.at)
            if one.warnings:
                self._learn(plugin.warnings, one.warnings, one.at)
                host = self._hosts[one.host]
                host.warned = max(host.warned, one.at)
            self._changed[one.host, one.plugin] = None
        for mirror in self._mirrors:
            mirror(reports)

    def status(self, host: str) -> int:
        """Return 0 when all is well, 1 for a warning, 2 when nothing of the base came for 300 s or nobody knows it."""
        now, known, expected = self._clock(), self._hosts.get(host), self._expected(host)
        if expected is None:
            if known is None:
                return CRITICAL
            expected = [BASE] if BASE in known.plugins else []
        silent = [name for name in expected if self._silent(known, name, now)]
        if BASE in silent:
            return CRITICAL
        return WARNED if silent or (known is not None and now - known.warned < WARNING_EXPIRES) else OK

    def silent(self, host: str) -> list[tuple[str, float | None]]:
        """Return the plugins of a host that ought to push and did not for 300 s, each with when it last did."""
        now, known = self._clock(), self._hosts.get(host)
        silent = [name for name in self._expected(host) or () if self._silent(known, name, now)]
        return [(name, self.last(host, name)) for name in silent]

    def warnings(self, host: str) -> list[Warning]:
        """Return what was warned of within 5 minutes, by plugin and key."""
        since, known = self._clock() - WARNING_EXPIRES, self._hosts.get(host)
        if known is None or known.warned <= since:
            return []
        return sorted(
            Warning(name, key, at, text)
            for name, plugin in known.plugins.items()
            for key, (at, text) in plugin.warnings.items()
            if at > since
        )

    def meta(self, host: str, plugin: str) -> Mapping[str, str]:
        """Return the text facts that were reported within an hour."""
        since, known = self._clock() - META_EXPIRES, self._known(host, plugin)
        return {key: text for key, (at, text) in known.meta.items() if at > since} if known else {}

    def last(self, host: str, plugin: str) -> float | None:
        """Return when anything of a plugin was last received."""
        known = self._known(host, plugin)
        return known.last if known else None

    def plugins(self, host: str) -> list[str]:
        """Return the plugins that a host was ever heard of with, in order."""
        known = self._hosts.get(host)
        return sorted(known.plugins) if known else []

    async def open(self) -> None:
        """Load what the store has and begin to write; when the store is away, both are tried again."""
        if self._store is None:
            return
        await self._round()
        self._task = begin(self._run(), "liveness")

    async def close(self) -> None:
        """Write what is not written yet, if that works at once."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None
        await self._round()

    async def _run(self) -> None:
        swept = self._clock()
        while True:
            await asyncio.sleep(self._flush_every)
            await self._round()
            if self._clock() - swept >= SWEEP:
                await self.sweep()
                swept = self._clock()

    async def _round(self) -> None:
        """Load once, then write what changed; a failure is logged when it begins and ends."""
        assert self._store is not None
        if self._paused():
            return
        try:
            if not self._loaded:
                await self._load(self._store)
            while self._changed:
                await self._write(self._store)
        except (StoreError, DeliveryError, TimeoutError) as error:
            self.stats.failed += 1
            if not self._failing:
                log.warning("liveness.failing", extra={"fields": {"reason": describe(error, self._store.timeout)}})
            self._failing = True
            return
        if self._failing:
            log.info("liveness.recovered")
        self._failing = False

    async def _load(self, store: Store) -> None:
        """Take over what was known before; what was reported since counts more."""
        after = ("", "")
        oldest = self._clock() - KEPT
        while rows := await store.heard(after, ROWS):
            for number, row in enumerate(rows):
                after = (row.host, row.plugin)
                if row.last > oldest:
                    self._restore(row)
                if number % SLICE == SLICE - 1:
                    await asyncio.sleep(0)
        await store.forget_heard(oldest)
        self._loaded = True

    def _restore(self, row: Heard) -> None:
        plugin = self._plugin(row.host, row.plugin)
        if plugin is None:
            return
        plugin.last = max(plugin.last, row.last)
        for facts, text in ((plugin.meta, row.meta), (plugin.warnings, row.warnings)):
            for key, (at, told) in orjson.loads(text).items():
                if key not in facts:
                    self._learn(facts, {key: told}, at)
        host = self._hosts[row.host]
        host.warned = max([host.warned, *(at for at, _ in plugin.warnings.values())])

    async def _write(self, store: Store) -> None:
        """Write the plugins that changed, as many as go at once; they stay to be written when that fails."""
        keys = list(self._changed)[:ROWS]
        rows: list[Heard] = []
        for number, key in enumerate(keys):
            del self._changed[key]
            if (plugin := self._known(*key)) is not None:
                rows.append(Heard(*key, plugin.last, _json(plugin.meta), _json(plugin.warnings)))
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        try:
            async with asyncio.timeout(float(store.timeout)):
                await store.keep_heard(rows)
        except BaseException:
            self._changed.update(dict.fromkeys(keys))
            raise
        self.stats.written += len(rows)

    async def sweep(self) -> None:
        """Let go of what is over; with little room left also of who was silent for a day."""
        now = self._clock()
        full = len(self._hosts) > 0.9 * self._bounds.hosts or self.stats.characters > 0.9 * self._bounds.characters
        oldest = now - (86400.0 if full else KEPT)
        for number, (name, host) in enumerate(list(self._hosts.items())):
            for word, plugin in list(host.plugins.items()):
                self._drop(plugin.meta, now - META_EXPIRES)
                self._drop(plugin.warnings, now - WARNING_EXPIRES)
                if plugin.last <= oldest:
                    self.stats.characters -= len(word)
                    del host.plugins[word]
            if not host.plugins:
                self.stats.characters -= len(name)
                del self._hosts[name]
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        self.stats.hosts = len(self._hosts)

    def _known(self, host: str, plugin: str) -> _Plugin | None:
        known = self._hosts.get(host)
        return known.plugins.get(plugin) if known else None

    @staticmethod
    def _silent(known: _Host | None, name: str, now: float) -> bool:
        plugin = known.plugins.get(name) if known else None
        return plugin is None or now - plugin.last >= SILENT

    def _plugin(self, host: str, name: str) -> _Plugin | None:
        """Return a plugin of a host, made if there is room."""
        known = self._hosts.get(host)
        if known is None:
            if len(self._hosts) >= self._bounds.hosts or not (_is_name(host) and _is_name(name)):
                return None
            if not self._room(len(host) + len(name)):
                return None
            known = self._hosts[host] = _Host()
            self.stats.characters += len(host)
            self.stats.hosts = len(self._hosts)
        plugin = known.plugins.get(name)
        if plugin is None:
            if len(known.plugins) >= self._bounds.plugins or not (_is_name(name) and self._room(len(name))):
                return None
            plugin = known.plugins[name] = _Plugin()
            self.stats.characters += len(name)
        return plugin

    def _room(self, characters: int) -> bool:
        return self.stats.characters + characters <= self._bounds.characters

    def _learn(self, facts: dict[str, Fact], told: Mapping[str, str], at: float) -> None:
        for key, text in told.items():
            before = facts.get(key)
            if before is not None and before[1] == text:
                facts[key] = (max(at, before[0]), before[1])
                continue
            clean = self._clean(text)
            more = len(clean) - len(before[1]) if before else len(key) + len(clean)
            new = before is None and (len(facts) >= self._bounds.keys or not _is_name(key))
            if new or not self._room(more):
                self.stats.refused += 1
                continue
            self.stats.characters += more
            facts[key] = (at, clean)

    def _clean(self, text: str) -> str:
        """Return a text that can be stored, and is not too long."""
        if len(text) > self._bounds.text:
            self.stats.cut += 1
            text = text[: self._bounds.text - 1] + "…"
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode()
        return text.replace("\0", "�")

    def _drop(self, facts: dict[str, Fact], oldest: float) -> None:
        for key in [key for key, (at, _) in facts.items() if at <= oldest]:
            self.stats.characters -= len(key) + len(facts.pop(key)[1])


def _is_name(text: str) -> bool:
    return 0 < len(text) <= LONGEST_NAME and text.isprintable()


def _json(facts: Mapping[str, Fact]) -> str:
    return orjson.dumps(facts).decode() if facts else "{}"
