"""Tables that WCS did not have when this was written: made by CREATE TABLE, or by their first rows.

Their columns are kept in a file, for rows without names have to be understood while there is no database. A row is kept
as a JSON object of its cells.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from monitor.wire.clickhouse.catalogue import Columns, known
from monitor.wire.clickhouse.cells import unescaped
from monitor.wire.clickhouse.create import NAME, Create, must_be_name
from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.insert import Insert
from monitor.wire.clickhouse.rows import Rows, folded
from monitor.wire.clickhouse.tables import EXTRA
from monitor.wire.clickhouse.types import Column, Type, columns

log = logging.getLogger("monitor.receivers.rels")

FILE = "rels-tables.json"
MOST_TABLES, MOST_COLUMNS = 100, 500
SLICE = 500
TEXT = Type.parse("String")
WITH_NAMES = re.compile(r"(?i)(?:\w+WithNames(?:AndTypes)?|JSONEachRow|JSONLines|NDJSON|Native)")
TABBED = re.compile(r"(?i)(?:TabSeparated|TSV)")
LOST = re.compile("[\0\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Other:
    """A table. `columns` gives the type of each, in the order of rows without names."""

    columns: Mapping[str, str]
    created: bool = False
    """Whether CREATE TABLE said so; otherwise its first rows did."""

    def with_columns(self, wanted: Mapping[str, str]) -> Other:
        """Return it as CREATE TABLE has it. A column keeps its type, for there are rows of it."""
        if self.created:
            more = {name: type for name, type in wanted.items() if name not in self.columns}
            return Other({**self.columns, **more}, created=True)
        return Other({name: self.columns.get(name, type) for name, type in wanted.items()}, created=True)


class OtherTables:
    def __init__(self, directory: Path | None = None) -> None:
        self._file = directory / FILE if directory else None
        self._tables: dict[str, Other] = {}
        self._writing = asyncio.Lock()
        if self._file is not None and self._file.exists():
            self._tables = _read(self._file)

    @property
    def columns(self) -> Mapping[str, Columns]:
        return {name: tuple(one.columns.items()) for name, one in self._tables.items()}

    def known(self, name: str) -> Columns | None:
        """Return the columns of a table, of those of WCS or of these."""
        found = self._tables.get(name)
        return known(name) if found is None else tuple(found.columns.items())

    async def create(self, wanted: Create) -> None:
        """Make a table; one that is there gets the columns that it lacks. ClickHouseError where that is too much."""
        async with self._writing:
            there = self._tables.get(wanted.table)
            asked = Other(dict(wanted.columns), created=True)
            await self._keep(wanted.table, there.with_columns(asked.columns) if there else asked)

    async def expected(self, found: Insert) -> list[Column]:
        """Return the columns that rows for a table come as, known or not; ClickHouseError where nothing tells them."""
        there = {column.name: column for column in columns(self.columns.get(found.table, ()))}
        if found.columns is not None:
            return [there.get(name) or Column(name, TEXT) for name in found.columns]
        if WITH_NAMES.fullmatch(found.format):
            # Names that it does not know are found out by the reader, which needs some column.
            return list(there.values()) or [Column("", TEXT, known=False)]
        if there:
            return list(there.values())
        if TABBED.fullmatch(found.format) and found.data:
            width = found.data.partition(b"\n")[0].count(b"\t") + 1
            return [Column(f"c{number + 1}", TEXT) for number in range(min(width, MOST_COLUMNS + 1))]
        raise ClickHouseError(
            60, "UNKNOWN_TABLE", f"Table {found.table[:80]} does not exist, and nothing names its columns: send its"
            " CREATE TABLE first, or a list of columns with the rows",
        )  # fmt: skip

    async def objects(self, table: str, rows: Rows) -> Rows:
        """Return rows as objects of their cells, and know a table that is new from now on."""
        there = dict(self.columns.get(table, ()))
        ways = [(name, way(Type.parse(there.get(name, "String")))) for name in rows.columns if name != EXTRA]
        names = dict.fromkeys(name for name, _ in ways)
        made = []
        for number, line in enumerate(rows.body.split(b"\n")[:-1]):
            cells = line.split(b"\t")
            row = {name: value(cell) for (name, value), cell in zip(ways, cells, strict=False)}
            if rows.columns[-1] == EXTRA and cells[-1]:
                row |= orjson.loads(unescaped(cells[-1]))
            if not there and len(names) < MOST_COLUMNS:
                names |= dict.fromkeys(row)
            made.append(folded(row) or b"{}")
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        async with self._writing:
            if table not in self._tables:
                # What is no name stays in the rows.
                await self._keep(table, Other({name: "String" for name in names if NAME.fullmatch(name)}))
        return Rows([EXTRA], rows.count, b"\n".join([*made, b""]))

    async def _keep(self, table: str, wanted: Other) -> None:
        must_be_name("table", table)
        new = table not in self._tables
        if new and len(self._tables) >= MOST_TABLES:
            raise ClickHouseError(36, "BAD_ARGUMENTS", f"expected at most {MOST_TABLES} tables beside those of WCS")
        if len(wanted.columns) > MOST_COLUMNS:
            raise ClickHouseError(36, "BAD_ARGUMENTS", f"expected at most {MOST_COLUMNS} columns of {table}")
        if self._tables.get(table) == wanted:
            return
        everything = {**self._tables, table: wanted}
        if self._file is not None:
            await asyncio.to_thread(_write, self._file, everything)
        self._tables = everything
        if new:
            log.info("rels.table_made", extra={"fields": {"table": table, "columns": len(wanted.columns)}})


def way(type: Type) -> Callable[[bytes], Any]:
    """Return what makes a value for JSON of a canonical cell; what JSON has no number for becomes a text."""
    match type.kind:
        case "integer":
            return int
        case "float":
            return lambda cell: float(cell) if math.isfinite(float(cell)) else cell.decode()
        case "bool":
            return lambda cell: cell == b"true"
    return _text


def _text(cell: bytes) -> str:
    text = unescaped(cell).decode("utf-8", "surrogateescape")
    # As the store holds a zero byte and what is no UTF-8.
    return LOST.sub(lambda found: chr(0x10FF00 + (ord(found[0]) & 0xFF)), text)


def _read(file: Path) -> dict[str, Other]:
    """Return what a file holds; ValueError where it is none of ours."""
    try:
        return {
            table: Other({name: Type.parse(type).name for name, type in found["columns"]}, bool(found["created"]))
            for table, found in orjson.loads(file.read_bytes()).items()
        }
    except (ValueError, TypeError, KeyError, AttributeError, ClickHouseError) as error:
        raise ValueError(f"{file}: expected the tables that RELS made: {error}") from error


def _write(file: Path, tables: Mapping[str, Other]) -> None:
    """Have the file on the disk, whole."""
    half = file.with_suffix(".half")
    with half.open("wb") as target:
        found = {table: {"columns": list(one.columns.items()), "created": one.created} for table, one in tables.items()}
        target.write(orjson.dumps(found))
        target.flush()
        os.fsync(target.fileno())
    half.rename(file)
