"""The numbers that sources and layouts have in the database, and when each was last seen, held in memory.

The arrays are indexed by slot, a source's place in memory, so that a write of thousands of rows is a few operations of
numpy. `layout` is the one in which the source's newest row is, whose time is `last`; the times of its others are in
`older`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import asyncpg
import numpy as np
from numpy.typing import NDArray

from monitor.batch import FORGET_AFTER, Floats, Kind, Layout, Source
from monitor.handler import SourceInfo
from monitor.store.order import Order

Slots = NDArray[np.int64]
UNKNOWN = -1

SOURCES = """
SELECT id, host, collector, instance, interval, extract(epoch FROM first_seen)::float8 AS first,
    extract(epoch FROM last_seen)::float8 AS last, meta, class, was FROM source
"""
LINKS = "SELECT source_id, layout_id, extract(epoch FROM last_seen)::float8 AS last FROM source_layout"
# Who was seen when is written every few minutes only: after a crash the rows themselves know better.
NEWEST = """
SELECT o.id, extract(epoch FROM newest.time)::float8 AS last, newest.layout_id FROM source o
CROSS JOIN LATERAL (
    SELECT time, layout_id FROM sample WHERE class = o.class AND source_id = o.id AND time > o.last_seen
    ORDER BY time DESC LIMIT 1
) newest
WHERE o.last_seen >= (SELECT max(last_seen) FROM source) - interval '1 hour'
"""


class Known(NamedTuple):
    """A source as the database has it; `kept` is the class that its rows go to, `was` are those before."""

    number: int
    source: Source
    interval: float
    first: float
    last: float
    meta: dict[str, str]
    kept: int
    was: tuple[int, ...]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Known:
        source = Source(row["host"], row["collector"], row["instance"])
        return cls(
            row["id"], source, row["interval"], row["first"], row["last"], json.loads(row["meta"]), row["class"],
            tuple(row["was"]),
        )  # fmt: skip


@dataclass(slots=True)
class News:
    """What a transaction adds; it is known only once that is committed. Links are (source id, layout id, time)."""

    sources: list[Known] = field(default_factory=list)
    layouts: dict[Layout, int] = field(default_factory=dict)
    links: list[tuple[int, int, float]] = field(default_factory=list)
    meta: dict[int, dict[str, str]] = field(default_factory=dict)


class Identities:
    """What is known of sources and layouts; `monitor.store.interning` writes it to the tables."""

    def __init__(self) -> None:
        self.slots: dict[Source, int] = {}
        self.layouts: dict[int, Layout] = {}
        self.layout_ids: dict[Layout, int] = {}
        self.sources: list[Source | None] = []
        self.held: list[tuple[int, ...]] = []
        """The layouts in which a source reported, by slot."""
        self.meta: dict[int, dict[str, str]] = {}
        self.was: dict[int, tuple[int, ...]] = {}
        """The classes that a source was of before, where there are any."""
        self.older: dict[tuple[int, int], float] = {}
        self.ids = np.zeros(64, dtype=np.int64)
        self.kept = np.ones(64, dtype=np.int64)
        """The class that a source's rows go to."""
        self.layout = np.full(64, UNKNOWN, dtype=np.int64)
        self.interval, self.first, self.last = (np.zeros(64) for _ in range(3))
        self.touched = np.zeros(64, dtype=np.bool_)
        self.touched_links: set[tuple[int, int]] = set()
        self._by_id: dict[int, int] = {}
        self._order = Order()
        self._stale = np.ones(64, dtype=np.bool_)
        self._infos: list[SourceInfo | None] = []
        self._kinds: dict[tuple[int, ...], Mapping[str, Kind]] = {}
        self._free: list[int] = []

    @classmethod
    async def load(cls, connection: asyncpg.Connection) -> Identities:
        """Return what the database knows."""
        made, news = cls(), News()
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            async for row in connection.cursor("SELECT id, names, kinds FROM layout", prefetch=500):
                news.layouts[Layout(tuple(row["names"]), tuple(map(Kind, row["kinds"])))] = row["id"]
            async for row in connection.cursor(SOURCES, prefetch=1000):
                news.sources.append(Known.of(row))
            async for row in connection.cursor(LINKS, prefetch=1000):
                news.links.append((row["source_id"], row["layout_id"], row["last"]))
            async for row in connection.cursor(NEWEST, prefetch=1000):
                news.links.append((row["id"], row["layout_id"], row["last"]))
        made.apply(news)
        return made

    def apply(self, news: News) -> None:
        """Know what was committed."""
        for layout, number in news.layouts.items():
            self.layouts[number] = layout
            self.layout_ids[layout] = number
        for one in news.sources:
            slot = self._slot(one.source, one.number)
            self.interval[slot], self.first[slot], self.last[slot] = one.interval, one.first, one.last
            self.kept[slot] = one.kept
            if one.meta:
                self.meta[slot] = one.meta
            if one.was:
                self.was[slot] = one.was
        for number, layout_id, time in news.links:
            self._link(self._by_id[number], layout_id, time)
        for slot, meta in news.meta.items():
            self.meta[slot] = meta
            self._stale[slot] = True

    def _slot(self, source: Source, number: int) -> int:
        """Return the slot of a source, a new one for one that has none."""
        slot = self.slots.get(source)
        if slot is not None:
            del self._by_id[int(self.ids[slot])]
        elif self._free:
            slot = self._free.pop()
            self.sources[slot], self.held[slot] = source, ()
        else:
            slot = len(self.sources)
            self.sources.append(source)
            self.held.append(())
            self._infos.append(None)
            if slot == len(self.ids):
                for name in ("ids", "kept", "layout", "interval", "first", "last", "touched", "_stale"):
                    array = getattr(self, name)
                    setattr(self, name, np.concatenate([array, np.zeros_like(array)]))
        self.slots[source] = slot
        self._order.add(source)
        self._by_id[number] = slot
        self.ids[slot], self.layout[slot], self.touched[slot], self._stale[slot] = number, UNKNOWN, False, True
        return slot

    def _link(self, slot: int, layout_id: int, time: float) -> None:
        """Remember the time of a row; it must not be older than what is remembered of its layout."""
        self._stale[slot] = True
        if layout_id not in self.held[slot]:
            self.held[slot] = (*self.held[slot], layout_id)
        now = int(self.layout[slot])
        if now == layout_id:
            self.last[slot] = max(self.last[slot], time)
        elif time >= self.last[slot]:
            if now != UNKNOWN:
                self.older[slot, now] = float(self.last[slot])
                self.touched_links.add((slot, now))
            self.older.pop((slot, layout_id), None)
            self.layout[slot], self.last[slot] = layout_id, time
        else:
            self.older[slot, layout_id] = max(time, self.older.get((slot, layout_id), time))
            self.touched_links.add((slot, layout_id))

    def slot_of(self, number: int) -> int | None:
        """Return the slot of a source by its number in the database."""
        return self._by_id.get(number)

    def resolve(self, sources: Sequence[Source]) -> Slots:
        """Return the slots of sources; UNKNOWN where there is none."""
        return np.fromiter(map(self.slots.get, sources, itertools.repeat(UNKNOWN)), np.int64, len(sources))

    def unlinked(self, slots: Slots, layouts: Slots) -> Iterator[int]:
        """Yield the rows whose source has not reported in their layout yet."""
        for row in np.flatnonzero(self.layout[slots] != layouts).tolist():
            if int(layouts[row]) not in self.held[slots[row]]:
                yield row

    def seen(self, slots: Slots, layouts: Slots, times: Floats, intervals: Floats) -> None:
        """Remember rows that were stored."""
        usual = self.layout[slots] == layouts
        np.maximum.at(self.last, slots[usual], times[usual])
        for row in np.flatnonzero(~usual).tolist():
            self._link(int(slots[row]), int(layouts[row]), float(times[row]))
        self.interval[slots] = intervals
        self.touched[slots] = True
        self._stale[slots] = True

    def info(self, slot: int) -> SourceInfo:
        """Return what is known of a source; the same object for as long as that is the same."""
        info, source = self._infos[slot], self.sources[slot]
        if info is None or self._stale[slot]:
            assert source is not None
            interval, first, last = (float(array[slot]) for array in (self.interval, self.first, self.last))
            info = SourceInfo(source, interval, first, last, self._kinds_of(slot), self.meta.get(slot, {}))
            self._infos[slot], self._stale[slot] = info, False
        return info

    def _kinds_of(self, slot: int) -> Mapping[str, Kind]:
        """Return the kinds of a source's series, of layouts last used in that order one object."""
        held = self.held[slot]
        if len(held) > 1:
            held = tuple(sorted(held, key=lambda number: self.seen_in(slot, number)))
        kinds = self._kinds.get(held)
        if kinds is None:
            made: dict[str, Kind] = {}
            for layout in (self.layouts[number] for number in held):
                made.update(zip(layout.names, layout.kinds, strict=True))
            if len(self._kinds) > 2 * len(self.sources):
                self._kinds.clear()
            kinds = self._kinds[held] = made
        return kinds

    def seen_in(self, slot: int, layout_id: int) -> float:
        """Return when a source last reported in a layout."""
        return float(self.older.get((slot, layout_id), self.last[slot]))

    def seen_names(self, source: Source) -> dict[str, float]:
        """Return when a source last reported each of its series."""
        found: dict[str, float] = {}
        slot = self.slots.get(source)
        for layout_id in self.held[slot] if slot is not None else ():
            last = self.seen_in(slot, layout_id) if slot is not None else 0.0
            found.update((name, last) for name in self.layouts[layout_id].names if last > found.get(name, 0.0))
        return found

    def find(self, host: str | None, collector: str | None, instance: str | None) -> Iterator[int | None]:
        """Yield the slots of the sources in order, narrowed by what is given; None for one that is left out."""
        if host is not None and collector is not None and instance is not None:
            yield self.slots.get(Source(host, collector, instance))
            return
        every = collector is None and instance is None
        for source in self._order if host is None else self._order.of_host(host):
            if every or (collector in (None, source.collector) and instance in (None, source.instance)):
                yield self.slots.get(source)
            else:
                yield None

    def classes_of(self, slot: int) -> tuple[int, ...]:
        """Return the classes in whose partitions rows of a source may lie, the present one first."""
        return (int(self.kept[slot]), *self.was.get(slot, ()))

    def unseen(self, now: float, longest: Mapping[int, float]) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the slots of sources of which nothing is left, and the (slot, layout id) of such links of the others.

        `longest` says how long anything of a class is kept.
        """
        used = np.fromiter(self.slots.values(), np.int64, len(self.slots))
        before = np.zeros(len(used))
        for number in np.unique(self.kept[used]).tolist():
            before[self.kept[used] == number] = now - longest.get(number, 0.0)
        limit = dict(zip(used.tolist(), before.tolist(), strict=True))
        for slot, seconds in self._fleeting():
            limit[slot] = max(limit[slot], now - seconds)
        gone = [slot for slot, least in limit.items() if self.last[slot] < least]
        without = set(gone)
        return gone, [link for link, at in self.older.items() if link[0] not in without and at < limit[link[0]]]

    def _fleeting(self) -> Iterator[tuple[int, float]]:
        """Yield the slots of sources that are to be forgotten so many seconds after they were last seen."""
        for slot, meta in self.meta.items():
            text = meta.get(FORGET_AFTER, "")
            if text.isascii() and text.isdigit() and len(text) < 12:
                yield slot, float(text)

    def forget(self, slots: Iterable[int], links: Iterable[tuple[int, int]], layouts: Iterable[int]) -> None:
        for slot, layout_id in links:
            self.older.pop((slot, layout_id), None)
            self.touched_links.discard((slot, layout_id))
            self.held[slot] = tuple(number for number in self.held[slot] if number != layout_id)
            self._stale[slot] = True
        for slot in slots:
            source = self.sources[slot]
            assert source is not None
            for number in self.held[slot]:
                self.older.pop((slot, number), None)
                self.touched_links.discard((slot, number))
            del self.slots[source], self._by_id[int(self.ids[slot])]
            self._order.remove(source)
            self.meta.pop(slot, None)
            self.was.pop(slot, None)
            self.sources[slot], self.held[slot], self._infos[slot] = None, (), None
            self.touched[slot], self.layout[slot] = False, UNKNOWN
            self._free.append(slot)
        gone = set(layouts)
        if gone:
            self._kinds = {held: kinds for held, kinds in self._kinds.items() if gone.isdisjoint(held)}
        for number in gone:
            layout = self.layouts.pop(number, None)
            if layout is not None and self.layout_ids.get(layout) == number:
                del self.layout_ids[layout]

    def merged_meta(self, slot: int, more: Mapping[str, str]) -> dict[str, str] | None:
        """Return a source's meta with more of it; None where that changes nothing."""
        old = self.meta.get(slot, {})
        return None if more.items() <= old.items() else {**old, **more}
