"""The beginning of an INSERT: what its rows are for, in which format they come, and where they begin."""

from __future__ import annotations

import re
from dataclasses import dataclass

from monitor.wire.clickhouse.catalogue import database_of
from monitor.wire.clickhouse.errors import ClickHouseError, syntax
from monitor.wire.clickhouse.tokens import Scanner

LONGEST = 64 << 10
"""Bytes of a statement, the rows of an INSERT not counted."""
BEGINNING = re.compile(rb"(?s)(?:\s|\x00|--[^\n]*\n|/\*.*?\*/)*+(\w*)")
FORMAT = re.compile(r"\s+([^\W\d]\w*)([ \t]+SETTINGS\s)?", re.IGNORECASE | re.ASCII)
FIRST = re.compile(rb"(?s)(?:[^';]++|'(?:[^'\\]++|\\.)*+')*+;")
"""Up to the first semicolon that is in no text."""
BLANK = re.compile(rb"[ \t\f]*;?[ \t\f]*\r?\n?")


@dataclass(frozen=True, slots=True)
class Insert:
    """Rows for a table. `columns` are those that it names, None where it names none."""

    table: str
    columns: tuple[str, ...] | None
    format: str
    data: bytes


def is_insert(query: bytes, body: bytes) -> bool:
    """Tell whether the statement is an INSERT."""
    found = BEGINNING.match(query, 0, LONGEST)
    if found is None or not found[1]:
        found = BEGINNING.match(body, 0, LONGEST)
    return found is not None and found[1].upper() == b"INSERT"


def insert(query: bytes, body: bytes, database: str) -> Insert:
    """Return what an INSERT brings; the statement may end in the URL or go on in the body."""
    head = (query + b"\n" if query else b"") + body[:LONGEST]
    # Bytes are taken as characters, so that places in the text are places in the bytes.
    reader = Head(head[:LONGEST].decode("latin-1"))
    within, table = reader.read(database)
    before = len(query) + 1 if query else 0
    at = reader.end
    if reader.format != "Values":
        at = _behind_format(head, at, len(query) if query else -1)
    data = body[at - before :] if at >= before else (head[at:before] + body if body else head[at : before - 1])
    database_of(within)
    return Insert(table, reader.columns, reader.format, data)


def _behind_format(head: bytes, at: int, end_of_query: int) -> int:
    """Return where the rows begin: behind blanks and one line end, or with the body."""
    if at <= end_of_query and not head[at:end_of_query].strip(b" \t\f\r\n;"):
        return end_of_query + 1
    blank = BLANK.match(head, at)
    assert blank is not None
    if b";" in blank[0]:
        raise syntax("You have excessive ';' symbol before data for INSERT, or more than one statement")
    return blank.end()


def single(values: bytes) -> None:
    """ClickHouseError where another statement stands behind the rows of VALUES, which would be passed over."""
    if b";" in values and (found := FIRST.match(values)) is not None:
        rest = values[found.end() : found.end() + LONGEST].strip(b" \t\r\n;")
        if rest:
            raise syntax(f"Multi-statements are not allowed, got {rest[:40]!r} behind the rows")


class Head(Scanner):
    """Reads the beginning."""

    def read(self, database: str) -> tuple[str, str]:
        """Return database and table; what else it says is in `columns`, `format` and `end`."""
        self.columns: tuple[str, ...] | None = None
        self.need("INSERT")
        self.need("INTO")
        self.take("TABLE")
        if self.here.says("FUNCTION"):
            raise ClickHouseError(48, "NOT_IMPLEMENTED", "INSERT INTO FUNCTION is not supported here")
        within, table = (_decoded(name) for name in self.table(database))
        if self.take("("):
            self._read_columns()
        self._skip_settings()
        self._read_format()
        return within, table

    def _read_format(self) -> None:
        self.format, self.end = "Values", self.here.end
        if self.here.says("VALUES"):
            return
        if self.here.says("SELECT", "WITH", "FROM", "WATCH", "("):
            what = self.here.text.upper()[:10]
            raise ClickHouseError(48, "NOT_IMPLEMENTED", f"INSERT with {what} is not supported here: expected rows")
        if not self.here.says("FORMAT"):
            raise self.wrong("VALUES or FORMAT")
        # Behind the format's name may be bytes of any kind: no token is read there.
        found = FORMAT.match(self.text, self.here.end)
        if found is None:
            raise syntax(f"expected the name of a format behind FORMAT, got {self.text[self.here.end :][:20]!r}")
        if found[2]:
            raise ClickHouseError(48, "NOT_IMPLEMENTED", "SETTINGS behind FORMAT are not supported: write them before")
        self.format, self.end = "Values" if found[1].lower() == "values" else found[1], found.end(1)

    def _read_columns(self) -> None:
        if self.take("*"):
            self.need(")")
            return
        names = [_decoded(self.identifier())]
        while not self.take(")"):
            self.need(",", ")")
            names.append(_decoded(self.identifier()))
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise ClickHouseError(15, "DUPLICATE_COLUMN", f"Column {name[:80]} specified more than once")
            seen.add(name)
        self.columns = tuple(names)

    def _skip_settings(self) -> None:
        if self.take("SETTINGS"):
            self._skip_setting()
            while self.take(","):
                self._skip_setting()

    def _skip_setting(self) -> None:
        self.identifier()
        self.need("=")
        if self.next().kind not in ("text", "number", "word"):
            raise self.wrong("the value of a setting")


def _decoded(name: str) -> str:
    return name.encode("latin-1", "replace").decode("utf-8", "replace")
