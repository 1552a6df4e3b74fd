"""Takes the rows of INSERTs: reads them whole, and answers when the journal has them; each batch once."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from monitor.batch import Records, Source
from monitor.pipeline import Busy
from monitor.receivers.rels_series import RelsSeries, split
from monitor.receivers.rels_tables import OtherTables
from monitor.rels import Rels
from monitor.wire.clickhouse.catalogue import LATER, known
from monitor.wire.clickhouse.create import Create
from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.formats import read, reading
from monitor.wire.clickhouse.insert import Insert, single
from monitor.wire.clickhouse.rows import Rows
from monitor.wire.clickhouse.tables import ALIASES, DATABASE, TABLES, TYPE_TABLES
from monitor.wire.clickhouse.types import Column, Type, columns

log = logging.getLogger("monitor.receivers.rels")

IN_A_THREAD = 1 << 20
"""Bytes of rows from which on they are read in a thread; fewer are read in slices."""
LARGE = 4 << 20
"""Bytes of rows from which on they are kept in several pieces, all in the same commit."""
MOST_KNOWN = 200_000
"""Batches that are remembered."""
TEXT = Type.parse("String")
BINARY = ("rowbinary", "native")
"""Formats whose rows cannot be told to be wider."""


@dataclass(slots=True)
class RelsStats:
    requests: int = 0
    batches: Counter[str] = field(default_factory=Counter)
    """INSERTs that the journal has, by table."""
    rows: Counter[str] = field(default_factory=Counter)
    """By table."""
    bytes: int = 0
    """Of these, as they are kept."""
    repeats: int = 0
    """Batches that were sent again, and answered as if they were new."""
    reads: int = 0
    """Readings answered."""
    busy: int = 0
    """Requests refused because the journal, or we, could not take them."""
    refused: Counter[str] = field(default_factory=Counter)
    """Requests refused, by the name of ClickHouse's error."""
    connections: int = 0
    opened: int = 0
    turned_away: Counter[str] = field(default_factory=Counter)
    """Connections refused, by the reason."""
    heard: dict[str, float] = field(default_factory=dict)
    """When each server sent its last batch, epoch seconds."""


class RelsIntake:
    def __init__(
        self, accept: Callable[[Sequence[Records]], Awaitable[None]], settings: Callable[[], Rels], *,
        clock: Callable[[], float] = time.time, series: RelsSeries | None = None, others: OtherTables | None = None,
    ) -> None:  # fmt: skip
        self.stats = RelsStats()
        self.others = others or OtherTables()
        """Tables that are none of WCS's."""
        self.series = series
        """What is told of what was kept."""
        self._accept = accept
        self._settings = settings
        self._clock = clock
        self._known = Known()
        self._run = secrets.token_hex(10)
        self._made = 0

    async def insert(self, found: Insert, query_id: str, peer: str, user: str) -> tuple[int, int]:
        """Return, after the commit, how many rows and bytes are kept.

        ClickHouseError where rows are wrong: nothing of the batch is kept. Busy: send it again.
        """
        settings = self._settings()
        other = self._is_other(found.table)
        name, expected = (found.table, await self.others.expected(found)) if other else columns_of(found)
        if len(expected) > settings.max_columns:
            raise ClickHouseError(36, "BAD_ARGUMENTS", f"expected at most {settings.max_columns} columns")
        rows = await _rows_of(name, found, expected)
        if rows.count > settings.max_rows:
            raise ClickHouseError(158, "TOO_MANY_ROWS", f"expected at most {settings.max_rows} rows, got {rows.count}")
        if other and rows.count:
            rows = await self.others.objects(name, rows)
        if name in TYPE_TABLES:
            _must_be_known(name, rows)
        elif rows.count:
            await self._once(name, rows, query_id, peer, user)
        return rows.count, len(rows.body)

    def _is_other(self, name: str) -> bool:
        """Tell whether rows are for a table that is none of WCS's, and such are taken."""
        return self._settings().unknown_tables == "create" and known(name) is None

    async def create(self, wanted: Create) -> None:
        """Make a table, if such are made; ClickHouseError otherwise."""
        if self._settings().unknown_tables != "create":
            raise ClickHouseError(
                48, "NOT_IMPLEMENTED", f"no tables are made here but those of WCS: {wanted.table[:80]}; see [[rels]]"
                " unknown_tables",
            )  # fmt: skip
        await self.others.create(wanted)

    async def _once(self, name: str, rows: Rows, query_id: str, peer: str, user: str) -> None:
        """Keep rows, unless they are known already; the same that come meanwhile wait for the same answer."""
        settings = self._settings()
        self._known.keep(float(settings.window), time.monotonic())
        parts = (name, user, peer, "\t".join(rows.columns), query_id if settings.deduplicate == "query_id" else "")
        if len(rows.body) > IN_A_THREAD:
            digest = await asyncio.to_thread(digest_of, parts, rows.body)
        else:
            digest = digest_of(parts, rows.body)
        again = settings.deduplicate == "digest" or (settings.deduplicate == "query_id" and query_id != "")
        if not again:
            # What was refused as busy may be kept all the same: sent again it has the same id.
            id = self._known.doubtful.pop(digest, None) or self._new_id()
            try:
                await self._keep(name, rows, peer, id if settings.deduplicate != "no" else "")
            except Busy:
                self._known.doubtful[digest] = id
                raise
            return
        if digest in self._known:
            self.stats.repeats += 1
            return
        if (running := self._known.running.get(digest)) is not None:
            await asyncio.shield(running)
            self.stats.repeats += 1
            return
        running = asyncio.ensure_future(self._keep(name, rows, peer, digest.hex()))
        self._known.running[digest] = running
        running.add_done_callback(lambda done: self._known.settle(digest, done))
        await asyncio.shield(running)

    def _new_id(self) -> str:
        self._made += 1
        return f"{self._run}{self._made:012x}"

    async def _keep(self, name: str, rows: Rows, peer: str, id: str) -> None:
        now = self._clock()
        source = Source(peer, "rels", "")
        head = {"columns": rows.columns}
        pieces = await asyncio.to_thread(split, rows.body, LARGE) if len(rows.body) > LARGE else [rows.body]
        counts = [rows.count] if len(pieces) == 1 else [piece.count(b"\n") for piece in pieces]
        records = [
            Records(
                f"{DATABASE}.{name}", source, now, count, piece, head, f"{id}.{number}" if id and number else id
            )
            for number, (piece, count) in enumerate(zip(pieces, counts, strict=True))
        ]  # fmt: skip
        await self._accept(records)
        if self.series is not None:
            self.series.count(name, rows, peer)
        stats = self.stats
        stats.batches[name] += 1
        stats.rows[name] += rows.count
        stats.bytes += len(rows.body)
        if peer in stats.heard or len(stats.heard) < MOST_KNOWN:
            stats.heard[peer] = now


class Known:
    """Batches that the journal has, for some time, and those that it may have."""

    def __init__(self) -> None:
        self.running: dict[bytes, asyncio.Future[None]] = {}
        self.doubtful: dict[bytes, str] = {}
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()
        self._since = 0.0

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._new or digest in self._old

    def keep(self, window: float, now: float) -> None:
        """Forget what was known for longer than `window` seconds, or twice as long at most."""
        if now - self._since > window or len(self._new) >= MOST_KNOWN // 2:
            self._old = self._new if now - self._since <= 2 * window else set()
            self._new = set()
            self._since = now
            self.doubtful.clear()

    def settle(self, digest: bytes, done: asyncio.Future[None]) -> None:
        """Know a batch from now on, if it was kept."""
        self.running.pop(digest, None)
        if not done.cancelled() and done.exception() is None:
            self._new.add(digest)


def digest_of(parts: Sequence[str], body: bytes) -> bytes:
    found = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16)
    found.update(b"\0")
    found.update(body)
    return found.digest()


def columns_of(found: Insert) -> tuple[str, list[Column]]:
    """Return the table's name and the columns that the rows are of; those that it does not have are kept apart."""
    name = ALIASES.get(found.table, found.table)
    table = TABLES.get(name) or TYPE_TABLES.get(name)
    if table is None:
        raise ClickHouseError(60, "UNKNOWN_TABLE", f"Table {DATABASE}.{name[:80]} does not exist")
    there = {column.name: column for column in columns(table.columns)}
    if found.columns is None:
        return name, list(there.values())
    later = {column.name: column for column in later_of(name)}
    return name, [
        there.get(column) or later.get(column) or Column(column, TEXT, known=False) for column in found.columns
    ]


def later_of(name: str) -> list[Column]:
    """Return the columns that later versions of WCS send behind those of a table."""
    return [Column(column.name, column.type, known=False) for column in columns(LATER.get(name, ()))]


async def _rows_of(name: str, found: Insert, expected: Sequence[Column]) -> Rows:
    """Read rows; those of a later version of WCS, which are wider and name no columns, are known by their width."""
    try:
        return await _rows(found, expected)
    except ClickHouseError as error:
        later = later_of(name) if found.columns is None and found.format.lower() not in BINARY else []
        if not later:
            raise
        try:
            return await _rows(found, [*expected, *later])
        except ClickHouseError:
            raise error from None


async def _rows(found: Insert, expected: Sequence[Column]) -> Rows:
    if found.format == "Values":
        if len(found.data) > IN_A_THREAD:
            await asyncio.to_thread(single, found.data)
        else:
            single(found.data)
    if len(found.data) > IN_A_THREAD:
        return await asyncio.to_thread(read, found.format, found.data, expected, unknown=True)
    work = reading(found.format, found.data, expected, unknown=True)
    while True:
        try:
            next(work)
        except StopIteration as done:
            rows: Rows = done.value
            return rows
        await asyncio.sleep(0)


def _must_be_known(name: str, rows: Rows) -> None:
    """ClickHouseError where a table of events' names gets others than it has."""
    words = TYPE_TABLES[name].words
    known = {f"{id}\t{word}".encode() for id, word in words.items()}
    for row in rows.body.splitlines():
        if rows.columns != ["id", "type"] or row not in known:
            raise ClickHouseError(
                48, "NOT_IMPLEMENTED", f"the names of events are fixed here: {name} gets no row {row[:80]!r}"
            )
