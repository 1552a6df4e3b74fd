"""The numbers that sources and layouts have in the database, and when each was last seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg

from monitor.batch import Kind, Layout, Source


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def digest(layout: Layout) -> bytes:
    return hashlib.sha256(json.dumps([layout.names, layout.kinds]).encode("utf-8", "surrogateescape")).digest()


@dataclass(slots=True)
class Known:
    """A source of the database. Times are epoch seconds."""

    id: int
    source: Source
    interval: float
    first_seen: float
    last_seen: float
    meta: dict[str, str] = field(default_factory=dict)
    layouts: dict[int, float] = field(default_factory=dict)
    """When it last reported in each layout, by the layout's number."""


class Identities:
    """What is known of sources and layouts, held in memory and kept in the tables source, layout, source_layout."""

    def __init__(self) -> None:
        self.sources: dict[Source, Known] = {}
        self.layouts: dict[int, Layout] = {}
        self._layout_ids: dict[Layout, int] = {}
        self._touched: set[Source] = set()

    async def load(self, connection: asyncpg.Connection) -> None:
        self.__init__()  # type: ignore[misc]
        for row in await connection.fetch("SELECT id, names, kinds FROM layout"):
            self._know(row["id"], Layout(tuple(row["names"]), tuple(map(Kind, row["kinds"]))))
        known = {}
        for row in await connection.fetch(
            "SELECT id, host, collector, instance, interval, extract(epoch FROM first_seen)::float8 AS first,"
            " extract(epoch FROM last_seen)::float8 AS last, meta FROM source"
        ):
            source = Source(row["host"], row["collector"], row["instance"])
            meta = json.loads(row["meta"])
            known[row["id"]] = Known(row["id"], source, row["interval"], row["first"], row["last"], meta)
        for row in await connection.fetch(
            "SELECT source_id, layout_id, extract(epoch FROM last_seen)::float8 AS last FROM source_layout"
        ):
            known[row["source_id"]].layouts[row["layout_id"]] = row["last"]
        self.sources = {one.source: one for one in known.values()}

    def _know(self, number: int, layout: Layout) -> None:
        self.layouts[number] = layout
        self._layout_ids[layout] = number

    async def layout(self, connection: asyncpg.Connection, layout: Layout) -> int:
        """Return the layout's number; a new one gets it now."""
        number = self._layout_ids.get(layout)
        if number is None:
            number = await connection.fetchval(
                "INSERT INTO layout (digest, names, kinds) VALUES ($1, $2, $3)"
                " ON CONFLICT (digest) DO UPDATE SET digest = excluded.digest RETURNING id",
                digest(layout), list(layout.names), list(layout.kinds),
            )  # fmt: skip
            self._know(number, layout)
        return number

    async def add(self, connection: asyncpg.Connection, new: Mapping[Source, tuple[float, float]]) -> None:
        """Give numbers to sources; `new` holds the interval and the time of the first row of each."""
        missing = {source: what for source, what in new.items() if source not in self.sources}
        if not missing:
            return
        columns = list(zip(*missing, strict=True))
        rows = await connection.fetch(
            "INSERT INTO source (host, collector, instance, interval, first_seen, last_seen)"
            " SELECT h, c, i, n, t, t FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::timestamptz[])"
            " AS new (h, c, i, n, t)"
            " ON CONFLICT (host, collector, instance) DO UPDATE SET interval = excluded.interval"
            " RETURNING id, host, collector, instance",
            *columns, [interval for interval, _ in missing.values()], [moment(at) for _, at in missing.values()],
        )  # fmt: skip
        for row in rows:
            source = Source(row["host"], row["collector"], row["instance"])
            interval, time = missing[source]
            self.sources[source] = Known(row["id"], source, interval, time, time)

    async def link(self, connection: asyncpg.Connection, pairs: Iterable[tuple[Known, int, float]]) -> None:
        """Note that sources report in layouts that they did not report in before."""
        rows = list(pairs)
        if rows:
            await connection.executemany(
                "INSERT INTO source_layout VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                [(known.id, layout, moment(time)) for known, layout, time in rows],
            )
            for known, layout, time in rows:
                known.layouts[layout] = time

    def seen(self, known: Known, layout: int, time: float, interval: float, meta: Mapping[str, str] | None) -> None:
        """Remember a row; `keep` writes it."""
        known.last_seen = max(known.last_seen, time)
        known.layouts[layout] = max(known.layouts.get(layout, time), time)
        known.interval = interval
        if meta:
            known.meta.update(meta)
        self._touched.add(known.source)

    async def keep(self, connection: asyncpg.Connection) -> None:
        """Write what was seen since the last time."""
        touched = [self.sources[source] for source in self._touched if source in self.sources]
        self._touched.clear()
        if not touched:
            return
        await connection.execute(
            "UPDATE source SET interval = n.interval, last_seen = n.seen, meta = n.meta::jsonb"
            " FROM unnest($1::int[], $2::float8[], $3::timestamptz[], $4::text[]) AS n (id, interval, seen, meta)"
            " WHERE source.id = n.id",
            [one.id for one in touched], [one.interval for one in touched], [moment(one.last_seen) for one in touched],
            [json.dumps(one.meta) for one in touched],
        )  # fmt: skip
        pairs = [(one.id, layout, time) for one in touched for layout, time in one.layouts.items()]
        await connection.execute(
            "UPDATE source_layout SET last_seen = n.seen"
            " FROM unnest($1::int[], $2::int[], $3::timestamptz[]) AS n (source, layout, seen)"
            " WHERE source_id = n.source AND layout_id = n.layout",
            [pair[0] for pair in pairs], [pair[1] for pair in pairs], [moment(pair[2]) for pair in pairs],
        )  # fmt: skip

    async def forget(self, connection: asyncpg.Connection, before: float) -> int:
        """Let go of sources unseen since then, and of layouts that nobody uses; return how many sources went."""
        gone = [known for known in self.sources.values() if known.last_seen < before]
        old = [(k.id, layout) for k in self.sources.values() for layout, at in k.layouts.items() if at < before]
        await self._delete(connection, [known.id for known in gone], old)
        for known in gone:
            del self.sources[known.source]
        for known in self.sources.values():
            known.layouts = {layout: at for layout, at in known.layouts.items() if at >= before}
        used = {layout for known in self.sources.values() for layout in known.layouts}
        for number in [number for number in self.layouts if number not in used]:
            self._layout_ids.pop(self.layouts.pop(number), None)
        return len(gone)

    async def _delete(
        self, connection: asyncpg.Connection, sources: Collection[int], pairs: Collection[tuple[int, int]]
    ) -> None:
        async with connection.transaction():
            await connection.execute("DELETE FROM source WHERE id = ANY($1::int[])", list(sources))
            await connection.executemany(
                "DELETE FROM source_layout WHERE source_id = $1 AND layout_id = $2", list(pairs)
            )
            await connection.execute(
                "DELETE FROM layout l WHERE NOT EXISTS (SELECT FROM source_layout s WHERE s.layout_id = l.id)"
            )
