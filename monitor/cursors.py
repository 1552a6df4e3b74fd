"""How far each handler has read in the journal, and what was dropped from the journal's old end."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Cursor

log = logging.getLogger("monitor.journal")

DROPPED = 32
"""Of how many dropped segments is known how much a cursor within them missed."""

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS cursor (name TEXT PRIMARY KEY, segment INTEGER NOT NULL, row INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS dropped (segment INTEGER PRIMARY KEY, numbers BLOB NOT NULL);
"""


class Cursors:
    """A small SQLite file beside the journal. All calls but `passed` come from one thread."""

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self.dropped: dict[int, NDArray[np.int64]] = {}
        """Of every dropped segment: the number of batches before its first group, and up to each of its groups."""

    def open(self, path: Path) -> None:
        """Open the file; one that cannot be read is put aside, and its handlers start where new ones do."""
        try:
            self._open(path)
        except sqlite3.DatabaseError as error:
            self.close()
            aside = path.with_suffix(".damaged")
            path.rename(aside)
            log.error("journal.damaged", extra={"fields": {"file": aside.name, "reason": str(error)}})
            self._open(path)

    def _open(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.executescript(SCHEMA)
        rows = self._execute("SELECT segment, numbers FROM dropped ORDER BY segment")
        self.dropped = {segment: np.frombuffer(numbers, dtype="<i8") for segment, numbers in rows}

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, name: str) -> Cursor | None:
        rows = self._execute("SELECT segment, row FROM cursor WHERE name = ?", name)
        return Cursor(*rows[0]) if rows else None

    def save(self, name: str, cursor: Cursor) -> None:
        self._execute("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?)", name, *cursor)

    def keep(self, names: Collection[str]) -> None:
        """Forget the cursors of all but these."""
        for (name,) in self._execute("SELECT name FROM cursor"):
            if name not in names:
                self._execute("DELETE FROM cursor WHERE name = ?", name)

    def drop(self, segment: int, numbers: NDArray[np.int64]) -> None:
        """Note that a segment is no more."""
        self.dropped = dict([*list(self.dropped.items())[1 - DROPPED :], (segment, numbers)])
        self._execute("INSERT OR REPLACE INTO dropped VALUES (?, ?)", segment, numbers.astype("<i8").tobytes())
        self._execute("DELETE FROM dropped WHERE segment < ?", next(iter(self.dropped)))

    def passed(self, cursor: Cursor, otherwise: int) -> int:
        """Return how many batches lie before the cursor; `otherwise` when nothing was dropped behind it."""
        behind = [segment for segment in self.dropped if segment >= cursor.segment]
        if not behind:
            return otherwise
        numbers = self.dropped[min(behind)]
        return int(numbers[min(cursor.row, len(numbers) - 1)] if min(behind) == cursor.segment else numbers[0])

    def _execute(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        if self._connection is None:
            raise RuntimeError("the journal is not open")
        return self._connection.execute(sql, args).fetchall()
