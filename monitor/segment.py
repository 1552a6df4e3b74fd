"""One file of the journal: an SQLite database in WAL mode whose rows are commit groups."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from monitor import records
from monitor.batch import Block, Cursor, Entry, Records
from monitor.group import Dictionary, Words, decode, encode
from monitor.merge import merge

VERSION = 1
APPLICATION = 0x4D4F4E4A
BLOCKS, RECORDS = 0, 1
"""The kind of a row: it holds blocks, or records."""
ALL = ("",)
"""The beginnings of all tables of records."""
GROUP_VALUES = 50_000
"""A row takes at most about so many values."""
ROWS_AT_ONCE = 64
"""A read takes at most so many rows, since each one passes the GIL."""

SCHEMA = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
CREATE TABLE IF NOT EXISTS dictionary (id INTEGER PRIMARY KEY, piece BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS groups (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    time REAL NOT NULL,
    number INTEGER NOT NULL,
    batches INTEGER NOT NULL,
    size INTEGER NOT NULL,
    total INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    body BLOB NOT NULL
);
"""
# number: batches of the whole journal up to and with this row; total: values of this segment up to and with this row


@dataclass(slots=True)
class Segment:
    """What is known of one file."""

    number: int
    path: Path
    rows: int = 0
    before: int = 0
    """Batches of the journal that lie before it."""
    batches: int = 0
    bytes: int = 0
    first: float = 0.0
    last: float = 0.0

    def remove(self) -> None:
        for path in (self.path, *(self.path.with_name(self.path.name + end) for end in ("-wal", "-shm"))):
            path.unlink(missing_ok=True)


class Group(NamedTuple):
    """Blocks, or records, that become one row."""

    kind: int
    entries: list[Entry]
    batches: int
    size: int

    def encode(self, dictionary: Dictionary) -> bytes:
        if self.kind == RECORDS:
            return records.encode([entry for entry in self.entries if isinstance(entry, Records)])
        return encode(merge([entry for entry in self.entries if isinstance(entry, Block)]), dictionary)


class Row(NamedTuple):
    """A row as it is read: what is wanted of it, and how many batches it holds."""

    id: int
    entries: list[Entry]
    batches: int

    def at(self, segment: int) -> Read:
        return Read(Cursor(segment, self.id), self.entries, self.batches)


class Read(NamedTuple):
    """A group as the journal gives it: the place behind it, what is wanted of it, how many batches it holds."""

    cursor: Cursor
    entries: list[Entry]
    batches: int


class Writer:
    """Writes one segment. All its calls come from one thread."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._dictionary = Dictionary()
        self._total = 0
        self.connection = sqlite3.connect(segment.path, isolation_level=None, check_same_thread=False)
        try:
            self.connection.execute("PRAGMA page_size = 8192")
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")
            self.connection.execute("PRAGMA wal_autocheckpoint = 512")
            self.connection.executescript(SCHEMA)
        except sqlite3.Error:
            self.connection.close()
            raise

    def write(self, groups: Sequence[Group], time: float) -> int:
        """Write the groups in one transaction; return the last row. When it raises, nothing was written."""
        segment = self.segment
        row, number, total, size = segment.rows, segment.before + segment.batches, self._total, 0
        rows = []
        for group in groups:
            row += 1
            number += group.batches
            total += group.size
            body = group.encode(self._dictionary)
            size += len(body)
            rows.append((row, group.kind, time, number, group.batches, group.size, total, zlib.crc32(body), body))
        piece = self._dictionary.piece()
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            if piece is not None:
                self.connection.execute("INSERT INTO dictionary VALUES (?, ?)", (segment.rows + 1, piece))
            self.connection.executemany("INSERT INTO groups VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self.connection.execute("COMMIT")
        except BaseException:
            self._dictionary.take_back()
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        self._dictionary.keep()
        segment.first = segment.first or time
        segment.last = time
        segment.rows, segment.batches, self._total = row, number - segment.before, total
        segment.bytes += size + len(piece or b"")
        return row

    def close(self) -> None:
        """Close the file, its log written back into it."""
        try:
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self.connection.close()


class Reader:
    """Reads one segment. All its calls come from one thread."""

    def __init__(self, path: Path) -> None:
        # mode=rw: a segment that was dropped meanwhile must not come back as an empty file
        name = f"file:{quote(str(path))}?mode=rw"
        self._connection = sqlite3.connect(name, uri=True, isolation_level=None, check_same_thread=False)
        # a file that is shorter than its header says is read as far as it goes
        self._connection.executescript("PRAGMA query_only = ON; PRAGMA writable_schema = ON")
        self._words = Words()
        self._pieces = 0

    def describe(self, segment: Segment) -> bool:
        """Fill in what is known of the segment; return whether all of it can be read.

        sqlite3.DatabaseError when nothing can; OSError when a newer version wrote it.
        """
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise OSError(f"expected a journal of version {VERSION}, got {version} in {segment.path}")
        segment.bytes = segment.path.stat().st_size
        asked = "SELECT id, number - batches, number, time FROM groups ORDER BY id"
        first = self._connection.execute(f"{asked} LIMIT 1").fetchone()
        if first is None:
            return True
        whole = True
        try:
            last = self._connection.execute(f"{asked} DESC LIMIT 1").fetchone()
        except sqlite3.DatabaseError:
            last, whole = self._last_readable(asked, first), False
        segment.rows, _, number, segment.last = last
        segment.before, segment.batches, segment.first = first[1], number - first[1], first[3]
        return whole

    def _last_readable(self, asked: str, first: tuple[int, int, int, float]) -> tuple[int, int, int, float]:
        last = first
        try:
            for last in self._connection.execute(asked):  # noqa: B007
                continue
        except sqlite3.DatabaseError:
            return last
        return last

    def numbers(self) -> NDArray[np.int64]:
        """Return the number of batches of the journal before the first row, and up to every row."""
        (listed,) = self._connection.execute("SELECT group_concat(number) FROM groups ORDER BY id").fetchone()
        (before,) = self._connection.execute("SELECT number - batches FROM groups ORDER BY id LIMIT 1").fetchone()
        return np.array([before, *map(int, listed.split(","))], dtype=np.int64)

    def read(
        self, after: int, limit: int, tables: tuple[str, ...] = ALL, at_once: int = ROWS_AT_ONCE
    ) -> tuple[list[Row], int]:
        """Return the rows behind `after`, of about `limit` values, and how many were unreadable.

        Of records only those are read whose table begins with one of `tables`.
        """
        body = "body" if tables else f"CASE WHEN kind = {BLOCKS} THEN body END"
        rows = self._connection.execute(
            f"SELECT id, kind, batches, crc, {body} FROM groups"  # noqa: S608 - our own words
            " WHERE id > :after AND id <= :after + :rows AND total - size < "
            ":limit + coalesce((SELECT total FROM groups WHERE id = :after), 0) ORDER BY id",
            {"after": after, "rows": at_once, "limit": limit},
        ).fetchall()
        if rows and rows[-1][0] > self._pieces:
            self._add_words(self._pieces, rows[-1][0])
            self._pieces = rows[-1][0]
        return self._decode(rows, tables)

    def _add_words(self, after: int, until: int) -> None:
        pieces = self._connection.execute(
            "SELECT piece FROM dictionary WHERE id > ? AND id <= ? ORDER BY id", (after, until)
        )
        for (piece,) in pieces.fetchall():
            self._words.add(piece)

    def salvage(self, after: int, until: int, tables: tuple[str, ...] = ALL) -> tuple[list[Row], int]:
        """Return what can be read of the rows after..until one by one, and how many could not be."""
        found, lost = [], 0
        for row in range(self._pieces, until):
            with suppress(sqlite3.DatabaseError, ValueError):  # its groups will be found not to be readable
                self._add_words(row, row + 1)
        self._pieces = until
        for row in range(after + 1, until + 1):
            try:
                groups, damaged = self.read(row - 1, 1, tables, 1)
            except (sqlite3.DatabaseError, ValueError):
                groups, damaged = [], 1
            found += groups
            lost += damaged
        return found, lost

    def _decode(
        self, rows: Sequence[tuple[int, int, int, int, bytes | None]], tables: tuple[str, ...]
    ) -> tuple[list[Row], int]:
        found: list[Row] = []
        damaged = 0
        for row, kind, batches, crc, body in rows:
            entries: list[Entry] = []
            if body is not None and zlib.crc32(body) != crc:
                damaged += 1
            elif body is not None and kind in (BLOCKS, RECORDS):
                try:
                    entries += decode(body, self._words) if kind == BLOCKS else records.decode(body, tables)
                except ValueError:
                    damaged += 1
            found.append(Row(row, entries, batches))
        return found, damaged

    def row_at(self, time: float) -> int:
        """Return the last row that is older than `time`, 0 when there is none."""
        (row,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM groups WHERE time < ?", (time,)).fetchone()
        return int(row)

    def close(self) -> None:
        self._connection.close()


def describe(segment: Segment) -> bool:
    """Fill in what is known of a segment by its file; return and raise as `Reader.describe`."""
    reader = Reader(segment.path)
    try:
        return reader.describe(segment)
    finally:
        reader.close()


def grouped(appended: Sequence[Sequence[Entry]]) -> list[Group]:
    """Return the rows that the appended entries make, each of about GROUP_VALUES values."""
    groups: list[Group] = []
    for kind, cls in ((BLOCKS, Block), (RECORDS, Records)):
        entries: list[Entry] = []
        batches = size = 0
        for entry in (entry for entries in appended for entry in entries if isinstance(entry, cls)):
            if not entry.batches:
                continue
            entries.append(entry)
            batches += entry.batches
            size += entry.size
            if size >= GROUP_VALUES:
                groups.append(Group(kind, entries, batches, size))
                entries, batches, size = [], 0, 0
        if entries:
            groups.append(Group(kind, entries, batches, size))
    return groups
