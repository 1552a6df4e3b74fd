"""A real engine of ClickHouse within the process, to ask what it makes of the same bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from chdb import session


class Engine:
    """One database, one table at a time."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "body"
        self._session: Any = session.Session(str(directory / "data"))
        self._session.query("CREATE DATABASE odd")

    def close(self) -> None:
        self._session.close()

    def insert(self, format: str, types: list[str], body: bytes, settings: str = "") -> bytes | int:
        """Return the rows that the engine made of a body, as TabSeparated, or the code of its error."""
        columns = ", ".join(f"c{index} {type}" for index, type in enumerate(types))
        self._session.query("DROP TABLE IF EXISTS odd.rows")
        self._session.query(f"CREATE TABLE odd.rows ({columns}) ENGINE = Memory")
        self._file.write_bytes(body)
        try:
            self._session.query(
                f"INSERT INTO odd.rows FROM INFILE '{self._file}' COMPRESSION 'none' {settings} FORMAT {format}"
            )
        except (RuntimeError, UnicodeDecodeError) as error:
            found = re.search(r"Code: (\d+)", str(error))
            return int(found[1]) if found else -1
        return self.query("SELECT * FROM odd.rows", "TabSeparated")

    def query(self, sql: str, format: str) -> bytes:
        return bytes(self._session.query(sql, format).bytes())


def canonical(tsv: bytes) -> bytes:
    """Return the engine's own TabSeparated with the canonical escapes only."""
    return tsv.replace(b"\\\\", b"\0").replace(b"\\'", b"'").replace(b"\0", b"\\\\")
