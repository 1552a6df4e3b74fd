"""What agents last said of hosts beside numbers: text facts, warnings, and when anything came at all.

It is known at once, in memory and within bounds, and written to the store within seconds, so that a restart keeps it.
The store being away delays the writing only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from monitor.facts import KEPT, META_EXPIRES, SLICE, WARNING_EXPIRES, Bounds, Fact, Facts, Host
from monitor.handler import DeliveryError, Heard, Store, StoreError
from monitor.retry import describe
from monitor.task import begin, end

log = logging.getLogger("monitor.liveness")

BASE = "base"
"""The plugin of which silence is critical."""
SILENT = 300.0
"""Seconds without a push after which a plugin that only pushes counts as silent."""
OK, WARNED, CRITICAL = 0, 1, 2
FLUSH = 2.0
SWEEP = 60.0
LAST = 2.0
"""Seconds that writing may take at the end."""
ROWS = 1000
"""Plugins of hosts that are written at once."""


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


@dataclass(slots=True)
class LivenessStats:
    """Counts since the start of the process."""

    reports: int = 0
    written: int = 0
    failed: int = 0


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
        self.facts = Facts(bounds)
        self._store = store
        self._expected = expected
        self._mirrors = mirrors
        self._paused = paused
        self._clock = clock
        self._flush = flush
        self._changed: dict[tuple[str, str], None] = {}
        self._writing = 0
        self._loaded = store is None
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many plugins of hosts have news that are not stored yet."""
        return len(self._changed) + self._writing

    def report(self, reports: Sequence[Report]) -> None:
        """Take what was pushed; it is known when this returns, and stored within seconds."""
        self.stats.reports += len(reports)
        for one in reports:
            if self.facts.learn(one.host, one.plugin, one.at, one.meta, one.warnings) is not None:
                self._changed[one.host, one.plugin] = None
        for mirror in self._mirrors:
            mirror(reports)

    def status(self, host: str) -> int:
        """Return 0 when all is well, 1 for a warning, 2 when nothing of the base came for 300 s or nobody knows it."""
        now, known, expected = self._clock(), self.facts.hosts.get(host), self._expected(host)
        if expected is None:
            if known is None:
                return CRITICAL
            expected = [BASE] if BASE in known.plugins else []
        silent = [name for name in expected if _silent(known, name, now)]
        if BASE in silent:
            return CRITICAL
        return WARNED if silent or (known is not None and now - known.warned < WARNING_EXPIRES) else OK

    def silent(self, host: str) -> list[tuple[str, float | None]]:
        """Return the plugins of a host that ought to push and did not for 300 s, each with when it last did."""
        now, known = self._clock(), self.facts.hosts.get(host)
        silent = [name for name in self._expected(host) or () if _silent(known, name, now)]
        return [(name, self.last(host, name)) for name in silent]

    def warnings(self, host: str) -> list[Warning]:
        """Return what was warned of within 5 minutes, by plugin and key."""
        now, known = self._clock(), self.facts.hosts.get(host)
        if known is None or now - known.warned >= WARNING_EXPIRES:
            return []
        return sorted(
            Warning(name, key, at, text)
            for name, plugin in known.plugins.items()
            for key, (at, text) in plugin.warnings.items()
            if now - at < WARNING_EXPIRES
        )

    def meta(self, host: str, plugin: str) -> Mapping[str, str]:
        """Return the text facts that were reported within an hour."""
        now, known = self._clock(), self.facts.find(host, plugin)
        return {key: text for key, (at, text) in known.meta.items() if now - at < META_EXPIRES} if known else {}

    def last(self, host: str, plugin: str) -> float | None:
        """Return when anything of a plugin was last received."""
        known = self.facts.find(host, plugin)
        return known.last if known else None

    def plugins(self, host: str) -> list[str]:
        """Return the plugins that a host was ever heard of with, in order."""
        known = self.facts.hosts.get(host)
        return sorted(known.plugins) if known else []

    async def open(self) -> None:
        """Load what the store has and begin to write; when the store is away, both are tried again."""
        if self._store is not None:
            await self.flush()
            self._task = begin(self._run(), "liveness")

    async def close(self) -> None:
        """Write what is not written yet, if that works at once."""
        if self._task is None:
            return
        await end(self._task)
        self._task = None
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST):
                await self.flush()

    async def _run(self) -> None:
        swept = self._clock()
        while True:
            await asyncio.sleep(self._flush)
            await self.flush()
            if abs(self._clock() - swept) >= SWEEP:
                swept = self._clock()
                await self.facts.sweep(swept)

    async def flush(self) -> None:
        """Load once, then write what changed; a failure is logged when it begins and ends."""
        store = self._store
        if store is None or self._paused():
            return
        try:
            if not self._loaded:
                await self._load(store)
            while self._changed and not self._paused():
                await self._write(store)
        except (StoreError, DeliveryError, TimeoutError) as error:
            self.stats.failed += 1
            if not self._failing:
                log.warning("liveness.failing", extra={"fields": {"reason": describe(error, float(store.timeout))}})
            self._failing = True
            return
        if self._failing:
            log.warning("liveness.recovered")
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
        self.facts.learn(row.host, row.plugin, row.last, {}, {})
        meta, warnings = orjson.loads(row.meta), orjson.loads(row.warnings)
        for key, (at, text) in meta.items():
            self.facts.learn(row.host, row.plugin, at, {key: text}, {})
        for key, (at, text) in warnings.items():
            self.facts.learn(row.host, row.plugin, at, {}, {key: text})

    async def _write(self, store: Store) -> None:
        """Write plugins that changed, as many as go at once; when that fails they stay to be written."""
        keys = list(self._changed)[:ROWS]
        rows: list[Heard] = []
        self._writing = len(keys)
        try:
            for number, key in enumerate(keys):
                del self._changed[key]
                if (plugin := self.facts.find(*key)) is not None:
                    rows.append(Heard(*key, plugin.last, _json(plugin.meta), _json(plugin.warnings)))
                if number % SLICE == SLICE - 1:
                    await asyncio.sleep(0)
            async with asyncio.timeout(float(store.timeout)):
                await store.keep_heard(rows)
        except BaseException:
            self._changed.update(dict.fromkeys(keys))
            raise
        finally:
            self._writing = 0
        self.stats.written += len(rows)


def _silent(known: Host | None, name: str, now: float) -> bool:
    plugin = known.plugins.get(name) if known else None
    return plugin is None or now - plugin.last >= SILENT


def _json(facts: Mapping[str, Fact]) -> str:
    return orjson.dumps(facts).decode() if facts else "{}"
