"""The newest row of every series, from the rows or from where they are packed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import asyncpg
import numpy as np

from monitor.batch import Series, Source
from monitor.store import chunk, chunks, copying
from monitor.store.identities import Identities
from monitor.store.partitions import Partitions
from monitor.store.reader import ABSENT
from monitor.store.trees import PACKED

AT_ONCE = 50
"""Sources whose newest rows are unpacked in one go: the loop is never held long."""

LATEST = """
SELECT pair.source_id, pair.layout_id, extract(epoch FROM newest.time)::float8 AS time, newest.values
FROM unnest($1::int[], $2::int[]) AS pair (source_id, layout_id)
CROSS JOIN LATERAL (
    SELECT time, values FROM sample_{kept}
    WHERE source_id = pair.source_id AND layout_id = pair.layout_id AND time > to_timestamp($3::float8)
    ORDER BY time DESC, since DESC LIMIT 1
) newest
"""

Pair = tuple[int, int]
Newest = dict[Series, tuple[float, float]]


async def latest(
    connection: asyncpg.Connection,
    known: Identities,
    partitions: Partitions,
    sources: Sequence[Source],
    after: Mapping[int, float],
) -> Newest:
    """Return (time, value) of the newest row of every series; `after` says since when rows of a class are kept."""
    found: Newest = {}
    for first in range(0, len(sources), AT_ONCE):
        by_id: dict[int, Source] = {}
        pairs: dict[int, list[Pair]] = {}
        for source in sources[first : first + AT_ONCE]:
            slot = known.slots.get(source)
            if slot is None:
                continue
            number = int(known.ids[slot])
            by_id[number] = source
            for kept in known.classes_of(slot):
                since = after.get(kept, 0.0)
                there = (layout for layout in known.held[slot] if known.seen_in(slot, layout) > since)
                pairs.setdefault(kept, []).extend((number, layout) for layout in there)
        for kept, some in pairs.items():
            for at in range(0, len(some), AT_ONCE):
                part = some[at : at + AT_ONCE]
                missing = await _of_rows(connection, known, by_id, kept, part, after.get(kept, 0.0), found)
                if missing and (kept, PACKED) in partitions.trees:
                    await _of_chunks(connection, known, partitions, by_id, kept, missing, found)
        await asyncio.sleep(0)
    return found


async def _of_rows(
    connection: asyncpg.Connection, known: Identities, by_id: Mapping[int, Source], kept: int, pairs: Sequence[Pair],
    after: float, found: Newest,
) -> set[Pair]:  # fmt: skip
    """Add the newest rows that are not packed; return for what there are none."""
    missing = set(pairs)
    query = LATEST.format(kept=kept)
    rows = await connection.fetch(query, [one[0] for one in pairs], [one[1] for one in pairs], after)
    for row in rows:
        missing.discard((row["source_id"], row["layout_id"]))
        layout = known.layouts.get(row["layout_id"])
        for name, value in zip(layout.names if layout else (), row["values"], strict=False):
            if value is not None:
                _add(found, Series(by_id[row["source_id"]], name), row["time"], value)
    return missing


async def _of_chunks(
    connection: asyncpg.Connection, known: Identities, partitions: Partitions, by_id: Mapping[int, Source], kept: int,
    pairs: set[Pair], found: Newest,
) -> None:  # fmt: skip
    for number, layout_id in sorted(pairs):
        packed = await chunks.newest(connection, partitions.trees[kept, PACKED], number, layout_id)
        layout = known.layouts.get(layout_id)
        if packed is None or layout is None:
            continue
        rows = await asyncio.to_thread(chunk.read_rows, packed.data, packed.offsets)
        time = float(copying.seconds(rows.time[-1:])[0])
        last = np.ascontiguousarray(rows.values[-1])
        for name, value, bits in zip(layout.names, last.tolist(), last.view(np.uint64).tolist(), strict=True):
            if bits != ABSENT:
                _add(found, Series(by_id[number], name), time, value)


def _add(found: Newest, series: Series, time: float, value: float) -> None:
    if series not in found or found[series][0] < time:
        found[series] = time, value
