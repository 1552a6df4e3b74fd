"""Answers SELECTs of ClickHouse's dialect over the tables of events: as a role that may read nothing else, in a
transaction that cannot write, for a limited time."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import asyncpg

from monitor.handler import DeliveryError, StoreError
from monitor.store.events.cells import WRAP, restored
from monitor.store.events.dialect import Translated, translate
from monitor.store.events.others import NO_OTHERS, Given
from monitor.store.events.selected import Item
from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.tables import DATABASE

ROLE = "wcs_reader"
TIMEOUT = 30.0
AT_ONCE = 2
"""Readings at the same time: the pages need connections too."""
WAIT = 10.0
SLICE = 500
TYPES = {
    "int2": "Int16", "int4": "Int32", "int8": "Int64", "float4": "Float32", "float8": "Float64", "text": "String",
    "bool": "UInt8", "timestamptz": "DateTime", "date": "Date", "inet": "IPv4", "varchar": "String", "jsonb": "String",
}  # fmt: skip
FITTING = {
    "String": ("text", "varchar", "jsonb"), "IPv4": ("inet",), "Bool": ("bool",), "DateTime": ("timestamptz",),
    "Date": ("date",), "Float32": ("float4",), "Float64": ("float4", "float8", "numeric"),
}  # fmt: skip
WHOLE = ("int2", "int4", "int8", "numeric", "bool")
"""What may be shown as an integer."""
SETTINGS = (
    f"SET LOCAL ROLE {ROLE}; SET LOCAL search_path = wcs, pg_catalog; SET LOCAL jit = off;"
    " SET LOCAL statement_timeout = {milliseconds}"
)
Readers = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]
Columns = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Result:
    """`columns` are pairs of a name and ClickHouse's type."""

    columns: Columns
    rows: list[Sequence[Any]]


class Reading:
    def __init__(self, readers: Readers, *, timeout: float = TIMEOUT) -> None:
        self.timeout = timeout
        self._readers = readers
        self._places = asyncio.Semaphore(AT_ONCE)

    async def select(
        self, sql: str, *, max_rows: int, database: str = DATABASE, others: Mapping[str, Given] = NO_OTHERS
    ) -> Result:
        """Return what a statement selects; ClickHouseError when it is refused, or selects more than `max_rows` rows.

        `others` are the columns of tables that are none of WCS's.
        """
        found = translate(sql, database, others)
        async with self._place(), self._reader() as connection:
            with_limits = SETTINGS.format(milliseconds=int(self.timeout * 1000))
            async with connection.transaction(readonly=True):
                await connection.execute(with_limits)
                prepared = await connection.prepare(found.sql)
                names = [(one.name, one.type.name) for one in prepared.get_attributes()]
                columns = _columns(names, found)
                cursor = await prepared.cursor()
                rows: list[Sequence[Any]] = []
                while some := await cursor.fetch(SLICE):
                    rows += [tuple(one) for one in some]
                    if len(rows) > max_rows:
                        raise ClickHouseError(
                            158, "TOO_MANY_ROWS", f"Limit for result exceeded, max rows: {max_rows}; add LIMIT"
                        )
        return await _typed(columns, rows)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(WAIT):
                await self._places.acquire()
        except TimeoutError:
            raise ClickHouseError(
                202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"Too many simultaneous queries. Maximum: {AT_ONCE}"
            ) from None
        try:
            yield
        finally:
            self._places.release()

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection to read with; what the database says becomes what ClickHouse would say."""
        try:
            async with self._readers() as connection:
                yield connection
        except asyncpg.PostgresError as error:
            raise said(error) from error
        except (StoreError, DeliveryError) as error:
            raise ClickHouseError(209, "SOCKET_TIMEOUT", str(error)) from error


def said(error: asyncpg.PostgresError) -> ClickHouseError:
    """Return ClickHouse's error for one of PostgreSQL's."""
    text = str(getattr(error, "message", None) or error)[:300]
    if isinstance(error, asyncpg.UndefinedObjectError | asyncpg.InvalidParameterValueError) and ROLE in text:
        return ClickHouseError(
            497, "ACCESS_DENIED", f"the database has no role {ROLE} to read with: its administrator has to make it"
        )
    for kind, code, name in SAID:
        if isinstance(error, kind):
            return ClickHouseError(code, name, text)
    return ClickHouseError(1002, "UNKNOWN_EXCEPTION", text)


SAID: tuple[tuple[type[asyncpg.PostgresError], int, str], ...] = (
    (asyncpg.UndefinedColumnError, 47, "UNKNOWN_IDENTIFIER"),
    (asyncpg.AmbiguousColumnError, 207, "AMBIGUOUS_IDENTIFIER"),
    (asyncpg.InvalidSchemaNameError, 47, "UNKNOWN_IDENTIFIER"),
    (asyncpg.UndefinedTableError, 60, "UNKNOWN_TABLE"),
    (asyncpg.UndefinedFunctionError, 43, "ILLEGAL_TYPE_OF_ARGUMENT"),
    (asyncpg.AmbiguousFunctionError, 43, "ILLEGAL_TYPE_OF_ARGUMENT"),
    (asyncpg.DatatypeMismatchError, 53, "TYPE_MISMATCH"),
    (asyncpg.GroupingError, 215, "NOT_AN_AGGREGATE"),
    (asyncpg.CardinalityViolationError, 125, "INCORRECT_RESULT_OF_SCALAR_SUBQUERY"),
    (asyncpg.FeatureNotSupportedError, 48, "NOT_IMPLEMENTED"),
    (asyncpg.QueryCanceledError, 159, "TIMEOUT_EXCEEDED"),
    (asyncpg.InsufficientPrivilegeError, 497, "ACCESS_DENIED"),
    (asyncpg.ReadOnlySQLTransactionError, 164, "READONLY"),
    (asyncpg.DataError, 6, "CANNOT_PARSE_TEXT"),
    (asyncpg.SyntaxOrAccessError, 62, "SYNTAX_ERROR"),
    (asyncpg.InsufficientResourcesError, 241, "MEMORY_LIMIT_EXCEEDED"),
)


def _columns(names: Sequence[tuple[str, str]], found: Translated) -> Columns:
    items = found.items
    if items is None or len(items) != len(names):
        items = [Item(name, found.types.get(name, "")) for name, _ in names]
    for name, type in names:
        if type not in TYPES and type != "numeric":
            raise ClickHouseError(
                48, "NOT_IMPLEMENTED", f"{name[:80]!r} is of the type {type}, which is not shown here"
            )
    return [
        (item.name, item.type if type in FITTING.get(item.type, WHOLE) and item.type else TYPES.get(type, ""))
        for item, (_, type) in zip(items, names, strict=True)
    ]


async def _typed(columns: Columns, rows: list[Sequence[Any]]) -> Result:
    """Return the result with values as their types have them."""
    seen = [Seen() for _ in columns]
    for first in range(0, len(rows), SLICE):
        for one, cells in zip(seen, zip(*rows[first : first + SLICE], strict=True), strict=False):
            one.look(cells)
        await asyncio.sleep(0)
    types = [type or one.type for (_, type), one in zip(columns, seen, strict=True)]
    ways = [_way(type) for type in types]
    made: list[Sequence[Any]] = []
    for first in range(0, len(rows), SLICE):
        made += [
            [None if cell is None else way(cell) for way, cell in zip(ways, row, strict=True)]
            for row in rows[first : first + SLICE]
        ]
        await asyncio.sleep(0)
    names = [name for name, _ in columns]
    shown = [f"Nullable({type})" if one.null else type for type, one in zip(types, seen, strict=True)]
    return Result(list(zip(names, shown, strict=True)), made)


class Seen:
    """What the values of a column show of its type."""

    def __init__(self) -> None:
        self.null = False
        self.numbers = Decimal(0), Decimal(0)
        self.whole = True

    def look(self, cells: Sequence[Any]) -> None:
        self.null = self.null or None in cells
        if isinstance(next((one for one in cells if one is not None), None), Decimal):
            known = [one for one in cells if one is not None]
            self.numbers = min(self.numbers[0], *known), max(self.numbers[1], *known)
            self.whole = self.whole and all(one == one.to_integral_value() for one in known)

    @property
    def type(self) -> str:
        """The type of what PostgreSQL only calls numeric."""
        least, most = self.numbers
        if not self.whole or most >= WRAP or least < -WRAP // 2 or (least < 0 and most >= WRAP // 2):
            return "Float64"
        return "Int64" if least < 0 else "UInt64"


def _way(type: str) -> Callable[[Any], Any]:
    """Return what makes a value of the database one of a type."""
    if type in WAYS:
        return WAYS[type]
    if type.startswith("UInt"):
        bits = int(type[4:])
        return lambda value: int(value) % (1 << bits)
    return int if type.startswith("Int") else lambda value: value


def _text(value: Any) -> str | bytes:
    return restored(str(value))


def _address(value: Any) -> str:
    return str(value.ip if isinstance(value, ipaddress.IPv4Interface | ipaddress.IPv6Interface) else value)


def _moment(value: Any) -> datetime.datetime:
    return (
        value if isinstance(value, datetime.datetime) else datetime.datetime.fromtimestamp(float(value), datetime.UTC)
    )


WAYS: dict[str, Callable[[Any], Any]] = {
    "String": _text, "IPv4": _address, "Float32": float, "Float64": float, "Bool": bool, "DateTime": _moment,
}  # fmt: skip
