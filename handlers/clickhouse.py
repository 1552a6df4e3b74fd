"""ClickHouse over HTTP: RELS' events into the tables of the same names, and by option numbers, one row a value.

    [server]
    handlers = ClickHouseHandler
    [handlers]
    [[ClickHouseHandler]]
    urls = http://ch1.example.com:8123, http://ch2.example.com:8123
    username = wcs
    password_file = /run/secrets/clickhouse

`monitor setup clickhouse` makes the tables. What came in many small batches goes in few inserts. Every insert has a
token that is the same whenever it is sent again, also after a crash: a table that was set up so, or is replicated, has
its rows once. Batches that ClickHouse refuses do not hold up the others.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import ClassVar

from isal import igzip

from handlers._clickhouse.notes import Notes
from handlers._clickhouse.pieces import PREFIX, Piece, lacking, packed, pieces, sent_columns
from handlers._clickhouse.setups import ClickHouseSetup
from handlers._clickhouse.target import Meaning, addresses, judged, literal, quoted, settings_of
from handlers._elastic.urls import Urls
from handlers._graphite.tls import CONFIGURATION
from monitor.handler import Block, Bytes, Cursor, DeliveryError, Entry, Handler, Records, Refused, Seconds, option
from monitor.wire.clickhouse.metric_rows import COLUMNS, TABLE, encode

FULL_PAUSE = 15.0
"""Seconds to wait at least where a table has too many parts: merging them takes its time."""
KNOWN_FOR = 60.0
"""Seconds after which it is looked again which columns there are."""
DOUBTED_AFTER = 5.0
"""The same before something is refused because of it."""
SETTINGS = (
    ("async_insert", "0"),
    ("insert_deduplicate", "1"),
    ("distributed_foreground_insert", "1"),
    ("insert_distributed_sync", "1"),
)
"""So that an answer means that the rows are there; sent as far as the server knows them."""
TOKEN = "insert_deduplication_token"  # noqa: S105 - a setting's name
Columns = Mapping[str, Mapping[str, str]]
"""The types of the columns, by table and name."""


class ClickHouseHandler(Handler):
    setups = {"clickhouse": ClickHouseSetup}  # noqa: RUF012 - as Handler annotates it
    records: ClassVar[tuple[str, ...]] = (PREFIX,)

    batch: int = option(2_000_000, "deliver at most about this many values at once", min=1, max=5_000_000)
    flush_interval: Seconds = option(Seconds(2), "wait at most this long for more to deliver together", min=0, max=600)
    timeout: Seconds = option(Seconds(120), "give up a delivery after this long, and try again", min=0.1, max=600)
    urls: list[str] = option(
        ["http://localhost:8123"], "addresses, each as good as the others; where one does not answer, the next is asked"
    )
    username: str = option("", "user; empty is the server's default user")
    password: str = option("", "the user's password", secret=True)
    database: str = option("wcs", "database with the tables")
    events: bool = option(True, "whether RELS' events are sent")
    metrics: bool = option(False, "whether numbers are sent")
    metrics_table: str = option(TABLE, "table of the numbers")
    host_name: bool = option(False, "name hosts in the numbers as people know them, instead of by their identity")
    rows: int = option(100_000, "put at most so many rows of events into one insert", min=1, max=1_000_000)
    size: Bytes = option(Bytes(16 << 20), "and at most about this much, uncompressed", min=1024, max=256 << 20)
    gzip: bool = option(True, "compress what is sent")
    settings: list[str] = option([], "more settings of ClickHouse for every insert, as NAME=VALUE")
    data_dir: Path | None = option(None, "where it is kept which inserts are under way; by default [server] data_dir")
    tls_verify: bool = option(True, "whether the other end's certificate is checked")
    tls_ca: Path | None = option(None, "file of the certificates to trust; by default the system's")
    tls_cert: Path | None = option(None, "file of the appliance's own certificate")
    tls_key: Path | None = option(None, "file of its key, where it is not in the same one")

    _urls: Urls | None = None

    async def open(self) -> None:
        try:
            self._settings = dict(settings_of(self.settings))
        except ValueError as error:
            raise DeliveryError(f"settings: {error}", CONFIGURATION) from error
        bare, headers = addresses(self.urls, self.username, self.password)
        tls = None
        if any(url.startswith("https:") for url in bare):
            try:
                tls = await asyncio.to_thread(self._made_context)
            except OSError as error:  # which an ssl.SSLError is
                raise DeliveryError(f"expected usable TLS files: {error}", CONFIGURATION) from error
        self._notes = Notes(self.data_dir, self.name)
        try:
            await asyncio.to_thread(self._notes.load)
        except OSError as error:
            raise DeliveryError(f"{self.data_dir} cannot be read: {error.strerror}", CONFIGURATION) from error
        self._settled: dict[str, Refused | None] = {}
        self._columns: Columns = {}
        self._looked: float | None = None
        self._urls = Urls(bare, headers, port=8123, timeout=self.timeout, tls=tls)

    def _made_context(self) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=self.tls_ca)
        if not self.tls_verify:
            made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        if self.tls_cert is not None:
            made.load_cert_chain(self.tls_cert, self.tls_key)
        return made

    async def close(self) -> None:
        if self._urls is not None:
            await self._urls.close()

    async def write(self, blocks: Sequence[Entry], cursor: Cursor) -> Sequence[Refused]:
        """Deliver what is not settled yet: what was taken before an earlier try failed is not sent again."""
        records = [one for one in blocks if isinstance(one, Records)] if self.events else []
        numbers = [one for one in blocks if isinstance(one, Block)] if self.metrics else []
        if not records and not numbers:
            return []
        await self._look()
        later = None
        todo = await self._planned(records)
        if any(lacking(self._columns.get(piece.table, {}), piece) for piece in todo):
            await self._look(DOUBTED_AFTER)
        for piece in todo:
            try:
                await self._deliver(piece)
            except _LaterError as error:  # which is about one table, and no reason to keep the others
                later = later or error
        async for rows, parts in self._encoded(numbers):
            await self._deliver_numbers(rows, parts)
        if later is not None:
            raise DeliveryError(str(later), later.retry_after)
        refused = [found for found in self._settled.values() if found is not None]
        self._settled = {}
        return refused

    async def _planned(self, records: Sequence[Records]) -> list[Piece]:
        """Return the inserts to make, which are on the disk from now on."""
        if not records:
            return []
        try:
            return await asyncio.to_thread(self._noted, records)
        except OSError as error:
            raise DeliveryError(f"{self.data_dir} cannot be written to: {error.strerror}") from error

    def _noted(self, records: Sequence[Records]) -> list[Piece]:
        fresh = self._notes.fresh(records)
        found = pieces(fresh, self._notes.inserts, rows=self.rows, size=int(self.size))
        if found:
            self._notes.keep(found)
        return found

    async def _deliver(self, piece: Piece) -> None:
        """Make an insert; where it is refused or too large, ever smaller ones, so that the others get there."""
        waiting = [piece]
        while waiting:
            piece = waiting.pop()
            settled = [key in self._settled for key in piece.keys]
            if all(settled):
                continue
            if any(settled):
                waiting += reversed(piece.halves())
                continue
            meaning, text = await self._insert(piece)
            if meaning is Meaning.TAKEN:
                self._settled.update(dict.fromkeys(piece.keys))
            elif len(piece.records) > 1:
                waiting += reversed(piece.halves())
            else:
                self._settled[piece.keys[0]] = Refused(piece.shown, text[:200])

    async def _insert(self, piece: Piece) -> tuple[Meaning, str]:
        """Return whether an insert is taken, refused or too large; raise where it has to wait."""
        there = self._columns.get(piece.table, {})
        if lack := lacking(there, piece):
            return Meaning.ROWS, f"there is no {lack if there else 'table'} in {self.database}.{piece.table}"
        columns = sent_columns(piece, there)
        body = await asyncio.to_thread(packed, piece, there, gzip=self.gzip)
        return await self._send(piece.table, columns, "TabSeparated", piece.token, body)

    async def _encoded(self, blocks: Sequence[Block]) -> AsyncIterator[tuple[int, list[bytes]]]:
        """Yield the rows of numbers in inserts of bounded size."""
        hostname = self.naming.hostname if self.host_name else str
        parts: list[bytes] = []
        rows = size = 0
        for block in blocks:
            for count, part in encode(block, hostname):
                if parts and (rows + count > self.rows or size + len(part) > self.size):
                    yield rows, parts
                    parts, rows, size = [], 0, 0
                parts.append(part)
                rows += count
                size += len(part)
                await asyncio.sleep(0)
        if parts:
            yield rows, parts

    async def _deliver_numbers(self, rows: int, parts: list[bytes]) -> None:
        token, body = await asyncio.to_thread(joined, parts, gzip=self.gzip)
        if token in self._settled:
            return
        shown = f"{self.metrics_table}: {rows} numbers"
        there = self._columns.get(self.metrics_table)
        if there is None:
            text = f"there is no table {self.metrics_table} in the database {self.database}"
            self._settled[token] = Refused(shown, text)
            return
        columns = [name for name, _ in COLUMNS]
        meaning, text = await self._send(self.metrics_table, columns, "RowBinary", token, body)
        self._settled[token] = None if meaning is Meaning.TAKEN else Refused(shown, text[:200])

    async def _send(
        self, table: str, columns: Sequence[str], format: str, token: str, body: bytes
    ) -> tuple[Meaning, str]:  # fmt: skip
        assert self._urls is not None, "open comes before write"
        into = f"{quoted(self.database)}.{quoted(table)}"
        query = {
            "query": f"INSERT INTO {into} ({', '.join(map(quoted, columns))}) FORMAT {format}",
            "database": self.database,
            **self._sent | ({TOKEN: token} if self._tokens else {}),
            **self._settings,
        }
        headers = {"Content-Encoding": "gzip"} if self.gzip else {}
        meaning, text = judged(await self._urls.post("/", body, query=query, headers=headers))
        match meaning:
            case Meaning.TAKEN | Meaning.ROWS | Meaning.LARGE:
                return meaning, text
            case Meaning.TABLE:
                self._looked = None
                raise _LaterError(text, 1.0)
            case Meaning.PARTS:
                raise _LaterError(text, FULL_PAUSE)
            case Meaning.SETTING:
                raise DeliveryError(text, CONFIGURATION)
        self._urls.turn()
        raise DeliveryError(text)

    async def _look(self, age: float = KNOWN_FOR) -> None:
        """Know which columns and settings there are, or were so many seconds ago."""
        now = asyncio.get_running_loop().time()
        if self._looked is not None and now - self._looked < age:
            return
        names = ", ".join(literal(name) for name, _ in (*SETTINGS, (TOKEN, "")))
        known = {name for (name,) in await self._ask(f"SELECT name FROM system.settings WHERE name IN ({names})")}  # noqa: S608 - texts in it are quoted
        self._sent = {name: value for name, value in SETTINGS if name in known}
        if "distributed_foreground_insert" in known:
            self._sent.pop("insert_distributed_sync", None)
        self._tokens = TOKEN in known
        columns: dict[str, dict[str, str]] = {}
        where = f"WHERE database = {literal(self.database)}"
        for table, name, type in await self._ask(f"SELECT table, name, type FROM system.columns {where}"):  # noqa: S608 - texts in it are quoted
            columns.setdefault(table, {})[name] = type
        if not columns:
            text = f"the database {self.database} has no tables for this user: `monitor setup clickhouse` makes them"
            raise DeliveryError(text, CONFIGURATION)
        self._columns = columns
        self._looked = now

    async def _ask(self, select: str) -> list[list[str]]:
        assert self._urls is not None, "open comes before write"
        body = f"{select} FORMAT TabSeparatedWithNames".encode()
        # With the settings, so that a wrong one is found here, where no rows are refused for it.
        answer = await self._urls.post("/", body, query=self._settings, headers={})
        if answer.status != 200 or not answer.body.endswith(b"\n"):
            meaning, text = judged(answer)
            raise DeliveryError(text, 0.0 if meaning is Meaning.LATER else CONFIGURATION)
        rows = [line.split("\t") for line in answer.body.decode("utf-8", "replace").split("\n")[:-1]]
        wanted = select.removeprefix("SELECT ").partition(" FROM")[0].split(", ")
        if rows[0] != wanted:
            raise DeliveryError(f"{answer.url} is no ClickHouse: it answered {answer.body[:80]!r}", CONFIGURATION)
        return rows[1:]


def joined(parts: list[bytes], *, gzip: bool) -> tuple[str, bytes]:
    """Return a token for these rows, and the body of their insert; made in a thread, for it may be some MB."""
    body = b"".join(parts)
    token = blake2b(body, digest_size=16).hexdigest()
    return token, igzip.compress(body, compresslevel=1) if gzip else body


class _LaterError(DeliveryError):
    """One table cannot take rows now."""
