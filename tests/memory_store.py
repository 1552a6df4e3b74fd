"""A store that keeps its rows in memory: all that `Store` promises, without a database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from monitor.handler import Block, Cursor, Handler, Heard, Kind, Points, Refused, Series, Source, SourceInfo, Store


class Names:
    """Names of sources as they are, for handlers in tests."""

    def path(self, source: Source) -> str:
        return ".".join(filter(None, ("servers", *source)))

    def hostname(self, host: str) -> str:
        return host


class MemoryStore(Store):
    """Counts its reads, and how many were under way at once."""

    def __init__(self, name: str = "MemoryStore", naming: Names | None = None) -> None:
        Handler.__init__(self, name, naming or Names())
        self.reads = 0
        self.most_at_once = 0
        self._reading = 0
        self._cursor: Cursor | None = None
        self._sources: dict[Source, SourceInfo] = {}
        self._hosts: dict[str, set[Source]] = {}
        self._rows: dict[Source, dict[tuple[float, float], dict[str, float]]] = {}
        self._heard: dict[tuple[str, str], Heard] = {}

    async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
        for block in blocks:
            kinds = dict(zip(block.layout.names, block.layout.kinds, strict=True))
            for i, (source, time, names, rates) in enumerate(block.samples()):
                values = dict(zip(names, rates, strict=True))
                self.add(source, time, float(block.since[i]), values, float(block.intervals[i]), kinds)
        self._cursor = cursor
        return ()

    def add(
        self,
        source: Source,
        time: float,
        since: float,
        values: dict[str, float],
        interval: float = 60.0,
        kinds: dict[str, Kind] | None = None,
        meta: dict[str, str] | None = None,
    ) -> None:
        """Store one row; of values with the same source, time and since the first stands."""
        row = self._rows.setdefault(source, {}).setdefault((time, since), {})
        row.update({name: value for name, value in values.items() if name not in row})
        before = self._sources.get(source)
        self._hosts.setdefault(source.host, set()).add(source)
        self._sources[source] = SourceInfo(
            source,
            interval,
            min(before.first_seen, time) if before else time,
            max(before.last_seen, time) if before else time,
            {**(before.kinds if before else {}), **(kinds or dict.fromkeys(values, Kind.GAUGE))},
            {**(before.meta if before else {}), **(meta or {})},
        )

    async def cursor(self) -> Cursor | None:
        return self._cursor

    async def sources(
        self, *, host: str | None = None, collector: str | None = None, instance: str | None = None
    ) -> list[SourceInfo]:
        asked = (host, collector, instance)
        return [
            self._sources[source]
            for source in sorted(self._sources if host is None else self._hosts.get(host, ()))
            if all(word is None or word == part for word, part in zip(asked, source, strict=True))
        ]

    async def read(self, source: Source, names: Sequence[str], start: float, end: float) -> dict[str, Points]:
        self.reads += 1
        self._reading += 1
        self.most_at_once = max(self.most_at_once, self._reading)
        await asyncio.sleep(0)
        rows = sorted((key, row) for key, row in self._rows.get(source, {}).items() if key[0] > start and key[1] < end)
        points = {}
        for name in names:
            mine = [(time, since, row[name]) for (time, since), row in rows if name in row]
            if mine:
                points[name] = Points(*np.array(mine, dtype=np.float64).T)
        self._reading -= 1
        return points

    def seen(self, source: Source) -> dict[str, float]:
        return {name: time for (time, _), row in sorted(self._rows.get(source, {}).items()) for name in row}

    async def latest(self, sources: Sequence[Source]) -> dict[Series, tuple[float, float]]:
        newest = {}
        for source in sources:
            for time, since in sorted(self._rows.get(source, {})):
                for name, value in self._rows[source][time, since].items():
                    newest[Series(source, name)] = (time, value)
        return newest

    async def keep_heard(self, rows: Sequence[Heard]) -> None:
        self._heard.update(((row.host, row.plugin), row) for row in rows)

    async def heard(self, after: tuple[str, str], limit: int) -> list[Heard]:
        return [self._heard[key] for key in sorted(self._heard) if key > after][:limit]

    async def healthy(self) -> str | None:
        return None

    async def check_schema(self) -> str:
        return "in memory"
