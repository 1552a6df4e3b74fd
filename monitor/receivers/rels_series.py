"""Makes series of the events of WCS servers: what was counted of them becomes a batch of each server every minute.

Rows are counted beside their way into the journal, once they are there; nobody waits for it. What was counted of a
minute goes the way of all batches, so that a server is a host, configured or not.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import repeat

from monitor.batch import Batch, Source
from monitor.inventory import Inventory
from monitor.pipeline import Busy
from monitor.receivers.rels_plan import PLANS
from monitor.receivers.rels_tally import KEPT, ServerNumbers, Tally
from monitor.task import begin
from monitor.wire.clickhouse.rows import Rows
from monitor.wire.clickhouse.tables import TABLES

log = logging.getLogger("monitor.receivers.rels")

COLLECTOR, VERSION = "rels", "cdn_version"
MINUTE = 60.0
NEARLY = 2.0
"""So many seconds more or less are a minute too."""
LEAST = 10.0
"""Seconds of which events may be told as so many per minute."""
PIECE = 256 << 10
"""Bytes of rows that are counted at once: what is made of them stays near the processor."""
AT_ONCE = 1 << 20
"""Bytes of rows that are worth being counted before the second is over."""
SLICE = 200
"""Servers that are dealt with before the loop gets its turn."""
MOST_WAITING = 64 << 20
MOST_MINUTES = 10
"""Minutes that are kept while the journal cannot take them."""


@dataclass(slots=True)
class Server:
    """A WCS server, as it was heard since the start. Times are epoch seconds."""

    last: float
    rows: int = 0
    """Of the last whole minute."""
    total: int = 0
    """Until the last whole minute."""
    version: str = ""
    tables: dict[str, float] = field(default_factory=dict)
    """When rows of each table came last."""


@dataclass(slots=True)
class SeriesStats:
    rows: int = 0
    """Counted."""
    batches: int = 0
    """Made of them and in the journal."""
    uncounted: Counter[str] = field(default_factory=Counter)
    """Rows that were stored but not counted, by the reason."""
    refused: Counter[str] = field(default_factory=Counter)
    """Batches that the pipeline refused, by the first word of its reason."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a table that wait; `peer` is who sent them where they do not say whose they are themselves."""

    table: str
    columns: tuple[str, ...]
    peer: str

    @classmethod
    def of(cls, table: str, columns: Sequence[str], peer: str) -> Part:
        return cls(table, tuple(columns), "" if TABLES[table].server in columns else peer)


class RelsSeries:
    def __init__(
        self, accept: Callable[[Sequence[Batch]], Awaitable[list[str | None]]], inventory: Callable[[], Inventory], *,
        clock: Callable[[], float] = time.time, every: float = 1.0,
    ) -> None:  # fmt: skip
        self.stats = SeriesStats()
        self.servers: dict[str, Server] = {}
        """By address; those that are silent for an hour are not among them."""
        self._accept = accept
        self._inventory = inventory
        self._clock = clock
        self._every = every
        self._tally = Tally()
        self._waiting: dict[Part, list[bytes]] = {}
        self._rows = self._size = self._counted = 0
        self._made: deque[list[Batch]] = deque(maxlen=MOST_MINUTES)
        self._since = clock()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def count(self, table: str, rows: Rows, peer: str) -> None:
        """Take rows that the journal has."""
        if table not in PLANS or not rows.count:
            return
        if self._size + len(rows.body) > MOST_WAITING:
            self.stats.uncounted["too many waited"] += rows.count
            return
        self._waiting.setdefault(Part.of(table, rows.columns, peer), []).append(rows.body)
        self._rows += rows.count
        self._size += len(rows.body)
        if self._size >= AT_ONCE:
            self._more.set()
        if self._task is None:
            self._since = self._clock()
            self._task = begin(self._run(), "rels series")

    async def close(self) -> None:
        """Hand over what was counted of the minute that has begun."""
        self._closing = True
        self._more.set()
        if self._task is not None:
            await asyncio.wait([self._task])
            await self.turn(last=True)

    async def _run(self) -> None:
        while not self._closing:
            now = self._clock()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(self._every, MINUTE - now % MINUTE + 0.001)):
                    await self._more.wait()
            await self.turn()

    async def turn(self, *, last: bool = False) -> None:
        """Count what waits; hand over what was counted when the minute is over, or it is the `last` turn."""
        self._more.clear()
        now = self._clock()
        if self._size:
            waiting, self._waiting = self._waiting, {}
            rows, self._rows, self._size = self._rows, 0, 0
            for server, table in await asyncio.to_thread(self._count, waiting):
                self._server(server, now).tables[table] = now
            self.stats.rows += rows
        if last or now // MINUTE != self._since // MINUTE:
            await self._take(now, last=last)
        while self._made:
            try:
                reasons = await self._accept(self._made[0])
            except Busy:
                return
            self._told(self._made.popleft(), reasons)

    def _count(self, waiting: dict[Part, list[bytes]]) -> set[tuple[str, str]]:
        """Return which servers told something, and of which tables."""
        heard: set[tuple[str, str]] = set()
        for part, bodies in waiting.items():
            for body in pieces(bodies):
                try:
                    servers = self._tally.add(part.table, part.columns, part.peer, body)
                except ValueError as error:
                    # They are stored: what is wrong is how they are read here.
                    log.error("rels.uncounted", extra={"fields": {"table": part.table, "reason": str(error)}})
                    self.stats.uncounted["not readable"] += body.count(b"\n")
                else:
                    heard |= {(server, part.table) for server in servers}
        return heard

    def _server(self, address: str, now: float) -> Server:
        found = self.servers.setdefault(address, Server(now))
        found.last = now
        return found

    async def _take(self, now: float, *, last: bool) -> None:
        elapsed = now - self._since
        at = now if last else now // MINUTE * MINUTE
        self._since = now
        if self.stats.rows == self._counted if last else elapsed <= 0:
            return
        self._counted = self.stats.rows
        per = 1.0 if abs(elapsed - MINUTE) <= NEARLY else max(elapsed, LEAST) / MINUTE
        found = await asyncio.to_thread(self._tally.take, per)
        if self._tally.uncounted:
            self.stats.uncounted["too many servers"] = self._tally.uncounted
        told = {one.server: one for one in found}
        for number, (address, server) in enumerate(list(self.servers.items())):
            if now - server.last > KEPT * MINUTE:
                del self.servers[address]
            elif (one := told.get(address)) is not None:
                server.rows, server.version = round(one.values["events"]), one.version or server.version
                server.total += one.rows
            else:
                server.rows = 0
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        batches: list[Batch] = []
        for first in range(0, len(found), SLICE):
            batches += map(self._batch, found[first : first + SLICE], repeat(at))
            await asyncio.sleep(0)
        if batches:
            self._made.append(batches)

    def _batch(self, one: ServerNumbers, at: float) -> Batch:
        spec = self._inventory().find(one.server)
        meta = {VERSION: one.version} if one.version else {}
        return Batch(Source(spec.host if spec else one.server, COLLECTOR), at, one.values, {}, meta, MINUTE)

    def _told(self, batches: Sequence[Batch], reasons: Sequence[str | None]) -> None:
        for batch, reason in zip(batches, reasons, strict=True):
            if reason is None:
                self.stats.batches += 1
                continue
            word = reason.split(":")[0].split()[0]
            self.stats.refused[word] += 1
            if self.stats.refused[word] == 1:
                fields = {"host": batch.source.host, "reason": reason[:300]}
                log.warning("rels.series_refused", extra={"fields": fields})


def pieces(bodies: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same rows in pieces of about the same size."""
    some: list[bytes] = []
    size = 0
    for body in bodies:
        for piece in split(body, PIECE):
            some.append(piece)
            size += len(piece)
            if size >= PIECE:
                yield some[0] if len(some) == 1 else b"".join(some)
                some, size = [], 0
    if some:
        yield b"".join(some)


def split(body: bytes, size: int) -> list[bytes]:
    """Return the rows in pieces of about so many bytes."""
    if len(body) <= size:
        return [body]
    pieces = []
    at = 0
    while at < len(body):
        end = body.find(b"\n", at + size) + 1 or len(body)
        pieces.append(body[at:end])
        at = end
    return pieces
