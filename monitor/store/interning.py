"""Gives numbers to sources and layouts, writes down who was seen when, and lets go of who was not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence

import asyncpg
import numpy as np

from monitor.batch import Layout, Source
from monitor.store.classes import Classes
from monitor.store.identities import Identities, Known, News

AT_ONCE = 2000
MAX_NAMES = 4096
MAX_SOURCE = 2000
"""Bytes of a source's parts together: PostgreSQL indexes at most about 2,700."""

ADD_SOURCES = """
INSERT INTO source (host, collector, instance, interval, first_seen, last_seen, class)
SELECT h, c, i, n, to_timestamp(t), to_timestamp(t), k
FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::float8[], $6::smallint[]) AS new (h, c, i, n, t, k)
ON CONFLICT (host, collector, instance) DO UPDATE SET interval = excluded.interval
RETURNING id, host, collector, instance, interval, extract(epoch FROM first_seen)::float8 AS first,
    extract(epoch FROM last_seen)::float8 AS last, meta, class, was
"""
SET_CLASS = """
UPDATE source SET class = n.class, was = n.was::smallint[]
FROM unnest($1::int[], $2::smallint[], $3::text[]) AS n (id, class, was) WHERE source.id = n.id
"""
ADD_LAYOUT = "INSERT INTO layout (digest, names, kinds) VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING"
ADD_LINKS = """
INSERT INTO source_layout SELECT s, l, to_timestamp(t)
FROM unnest($1::int[], $2::int[], $3::float8[]) AS new (s, l, t) ON CONFLICT DO NOTHING
"""
SET_META = """
UPDATE source SET meta = n.meta::jsonb FROM unnest($1::int[], $2::text[]) AS n (id, meta) WHERE source.id = n.id
"""
SET_SEEN = """
UPDATE source SET interval = n.interval, last_seen = to_timestamp(n.seen)
FROM unnest($1::int[], $2::float8[], $3::float8[]) AS n (id, interval, seen) WHERE source.id = n.id
"""
SET_LINKS = """
UPDATE source_layout SET last_seen = to_timestamp(n.seen)
FROM unnest($1::int[], $2::int[], $3::float8[]) AS n (source, layout, seen)
WHERE source_id = n.source AND layout_id = n.layout
"""
UNUSED = "SELECT id FROM layout l WHERE NOT EXISTS (SELECT FROM source_layout s WHERE s.layout_id = l.id) LIMIT $1"


def storable(text: str) -> bool:
    """Whether PostgreSQL can hold a text."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def source_problem(source: Source) -> str | None:
    """Return why a source cannot be stored."""
    if not all(map(storable, source)):
        return "its name holds a character that PostgreSQL cannot store"
    size = sum(len(part.encode()) for part in source)
    return f"its name has {size} bytes, at most {MAX_SOURCE} can be stored" if size > MAX_SOURCE else None


def layout_problem(layout: Layout) -> str | None:
    """Return why rows of a layout cannot be stored."""
    if not 1 <= len(layout.names) <= MAX_NAMES:
        return f"expected 1 to {MAX_NAMES} names in a batch, got {len(layout.names)}"
    return None if all(map(storable, layout.names)) else "a name holds a character that PostgreSQL cannot store"


def digest(layout: Layout) -> bytes:
    return hashlib.sha256(json.dumps([layout.names, layout.kinds]).encode()).digest()


async def add_layouts(connection: asyncpg.Connection, layouts: Collection[Layout], news: News) -> None:
    """Give numbers to layouts."""
    if not layouts:
        return
    by_digest = {digest(layout): layout for layout in layouts}
    rows = [(key, list(layout.names), list(layout.kinds)) for key, layout in by_digest.items()]
    await connection.executemany(ADD_LAYOUT, rows)
    found = await connection.fetch("SELECT id, digest FROM layout WHERE digest = ANY($1::bytea[])", list(by_digest))
    news.layouts.update((by_digest[row["digest"]], row["id"]) for row in found)


async def add_sources(
    connection: asyncpg.Connection, sources: Mapping[Source, tuple[float, float, int]], news: News
) -> None:
    """Give numbers to sources; `sources` holds the interval, the time of the first row and the class of each."""
    items = list(sources.items())
    for first in range(0, len(items), AT_ONCE):
        some = items[first : first + AT_ONCE]
        rows = await connection.fetch(
            ADD_SOURCES, *([source[part] for source, _ in some] for part in range(3)),
            *([what[part] for _, what in some] for part in range(3)),
        )  # fmt: skip
        news.sources += map(Known.of, rows)


async def add_links(connection: asyncpg.Connection, links: Sequence[tuple[int, int, float]], news: News) -> None:
    """Note that sources report in layouts that they did not report in before."""
    for first in range(0, len(links), AT_ONCE):
        await connection.execute(ADD_LINKS, *map(list, zip(*links[first : first + AT_ONCE], strict=True)))
    news.links += links


async def set_meta(
    connection: asyncpg.Connection, known: Identities, meta: dict[int, dict[str, str]], news: News
) -> None:
    """Write the meta of slots."""
    if meta:
        texts = [json.dumps(one) for one in meta.values()]
        await connection.execute(SET_META, [int(known.ids[slot]) for slot in meta], texts)
    news.meta.update(meta)


async def set_classes(connection: asyncpg.Connection, known: Identities, classes: Classes) -> None:
    """Put sources into the classes that the configuration has them in now; their old rows stay where they are."""
    slots = {slot: classes.of(source) for source, slot in known.slots.items()}
    moved = {slot: number for slot, number in slots.items() if number != known.kept[slot]}
    was = {slot: tuple(one for one in known.classes_of(slot) if one != number) for slot, number in moved.items()}
    items = list(moved.items())
    for some in (items[first : first + AT_ONCE] for first in range(0, len(items), AT_ONCE)):
        texts = ["{" + ",".join(map(str, was[slot])) + "}" for slot, _ in some]
        await connection.execute(
            SET_CLASS, [int(known.ids[slot]) for slot, _ in some], [number for _, number in some], texts
        )
    for slot, number in items:
        known.kept[slot], known.was[slot] = number, was[slot]


async def keep_seen(connection: asyncpg.Connection, known: Identities) -> None:
    """Write down who was seen since the last time."""
    slots = np.flatnonzero(known.touched[: len(known.sources)])
    links = {(int(slot), int(known.layout[slot])) for slot in slots} | known.touched_links
    for some in (slots[first : first + AT_ONCE] for first in range(0, len(slots), AT_ONCE)):
        columns = known.ids[some], known.interval[some], known.last[some]
        await connection.execute(SET_SEEN, *(column.tolist() for column in columns))
    rows = [(int(known.ids[slot]), layout, known.seen_in(slot, layout)) for slot, layout in links]
    for first in range(0, len(rows), AT_ONCE):
        await connection.execute(SET_LINKS, *map(list, zip(*rows[first : first + AT_ONCE], strict=True)))
    known.touched[slots] = False
    known.touched_links.clear()


async def forget_unseen(
    connection: asyncpg.Connection, known: Identities, now: float, longest: Mapping[int, float]
) -> int:
    """Let go of some of the sources and links of which nothing is kept, and of unused layouts; return how many went."""
    gone, links = known.unseen(now, longest)
    gone, links = gone[:AT_ONCE], links[:AT_ONCE]
    async with connection.transaction():
        await _delete(connection, known, gone, links)
        unused = [row["id"] for row in await connection.fetch(UNUSED, AT_ONCE)]
        if unused:
            await connection.execute("DELETE FROM layout WHERE id = ANY($1::int[])", unused)
    known.forget(gone, links, unused)
    return len(gone) + len(links)


async def _delete(
    connection: asyncpg.Connection, known: Identities, gone: Sequence[int], links: Iterable[tuple[int, int]]
) -> None:
    if gone:
        await connection.execute("DELETE FROM source WHERE id = ANY($1::int[])", known.ids[list(gone)].tolist())
    pairs = [(int(known.ids[slot]), layout) for slot, layout in links]
    if pairs:
        await connection.executemany("DELETE FROM source_layout WHERE source_id = $1 AND layout_id = $2", pairs)
