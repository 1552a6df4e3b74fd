"""Reads all rows of a source whole, as the database has them or packed."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable, Mapping

import asyncpg
import numpy as np

from monitor.batch import Floats, Layout
from monitor.store import chunk, chunks
from monitor.store.chunk import Rows
from monitor.store.identities import Identities
from monitor.store.partitions import Partitions
from monitor.store.reader import ABSENT
from monitor.store.trees import DAY, PACKED, Leaf
from monitor.store.wide import Table

HEAD = 20
"""Bytes before the elements of an array: dimensions, flags, type, length, lower bound."""
ELEMENT = np.dtype([("size", ">i4"), ("value", ">f8")])
FROM_LEAF = """
SELECT layout_id, string_agg(timestamptz_send(time), ''), string_agg(timestamptz_send(since), ''),
    string_agg(array_send(values), '')
FROM (SELECT layout_id, time, since, values FROM {table} WHERE source_id = $1 {and_when} ORDER BY time, since) rows
GROUP BY layout_id ORDER BY layout_id
"""
WHEN = "AND time > to_timestamp($2::float8) AND since < to_timestamp($3::float8)"


async def of_leaf(connection: asyncpg.Connection, known: Identities, leaf: Leaf, source_id: int) -> list[Table]:
    """Return the rows of a source in one partition, by layout."""
    query = FROM_LEAF.format(table=leaf.name, and_when="")
    return await asyncio.to_thread(_tables, known.layouts, await connection.fetch(query, source_id))


async def read(
    connection: asyncpg.Connection, known: Identities, partitions: Partitions, slot: int, start: float, end: float
) -> list[Table]:
    """Return all rows of a source that touch start..end, by layout; those of one layout may be in several parts."""
    number, reach = int(known.ids[slot]), end + 2 * float(known.interval[slot])
    found: list[Table] = []
    for kept in known.classes_of(slot):
        if partitions.touched(kept, PACKED, start, reach):
            tree = partitions.trees[kept, PACKED]
            for one in await chunks.whole(connection, tree, number, start // DAY * DAY, reach):
                if one.layout_id in known.layouts:
                    rows = await asyncio.to_thread(chunk.read_rows, one.packed.data, one.packed.offsets)
                    found.append((known.layouts[one.layout_id], rows))
        if partitions.touched(kept, None, start, reach):
            query = FROM_LEAF.format(table=f"sample_{kept}", and_when=WHEN)
            sent = await connection.fetch(query, number, start, end)
            found += await asyncio.to_thread(_tables, known.layouts, sent)
    return found


def _tables(layouts: Mapping[int, Layout], rows: Iterable[tuple[int, bytes, bytes, bytes]]) -> list[Table]:
    found = []
    for layout_id, time, since, values in rows:
        layout = layouts.get(layout_id)
        if layout is not None:
            times, sinces = (_times(one) for one in (time, since))
            found.append((layout, Rows(times, sinces, _values(values, len(times), layout))))
    return found


def _times(sent: bytes) -> chunk.Ints:
    return np.frombuffer(sent, ">i8").astype(np.int64)


def _values(sent: bytes, count: int, layout: Layout) -> Floats:
    width = len(layout.names)
    if len(sent) == count * (HEAD + 12 * width):
        rows = np.frombuffer(sent, np.dtype([("head", "V20"), ("elements", ELEMENT, (width,))]))
        return rows["elements"]["value"].astype(np.float64)
    values = np.full((count, width), ABSENT, dtype=np.uint64).view(np.float64)
    at = 0
    for row in values:
        (length,) = struct.unpack_from(">i", sent, at + 12)
        at += HEAD
        for column in range(length):
            (size,) = struct.unpack_from(">i", sent, at)
            if size == 8 and column < width:
                (row[column],) = struct.unpack_from(">d", sent, at + 4)
            at += 4 + max(0, size)
    return values
