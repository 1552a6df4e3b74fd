"""ClickHouse's types, as far as events and answers need them, and columns of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from monitor.wire.clickhouse.errors import ClickHouseError

Kind = Literal[
    "integer", "float", "bool", "string", "fixed", "ipv4", "ipv6", "uuid", "date", "time", "time64", "decimal", "array",
    "nothing",
]  # fmt: skip

INTEGER = re.compile(r"(U?)Int(8|16|32|64|128|256)")
WRAPPED = re.compile(r"(Nullable|LowCardinality|Array)\((.+)\)")
TIME = re.compile(r"DateTime(?:\('[^']*'\))?")
TIME64 = re.compile(r"DateTime64\((\d)(?:,\s*'[^']*')?\)")
DECIMAL = re.compile(r"Decimal\((\d+),\s*(\d+)\)")
FIXED = re.compile(r"FixedString\((\d{1,6})\)")
PLAIN: dict[str, tuple[str, Kind, int]] = {
    "Float32": ("Float32", "float", 4), "Float64": ("Float64", "float", 8), "Bool": ("Bool", "bool", 1),
    "String": ("String", "string", 0), "IPv4": ("IPv4", "ipv4", 4), "IPv6": ("IPv6", "ipv6", 16),
    "UUID": ("UUID", "uuid", 16), "Date": ("Date", "date", 2), "Date32": ("Date32", "date", 4),
    "Nothing": ("Nothing", "nothing", 1),
}  # fmt: skip
# What other databases call them; ClickHouse takes these in any case.
ALIASES = {
    "DOUBLE": "Float64", "DOUBLE PRECISION": "Float64", "FLOAT": "Float32", "REAL": "Float32", "BOOL": "Bool",
    "BOOLEAN": "Bool", "TEXT": "String", "VARCHAR": "String", "BIGINT": "Int64", "INT": "Int32", "INTEGER": "Int32",
    "SMALLINT": "Int16", "TINYINT": "Int8", "INET4": "IPv4",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Type:
    """A type. `size` is the bytes of a value in binary formats, 0 where values differ in length."""

    name: str
    kind: Kind
    size: int = 0
    signed: bool = False
    nullable: bool = False
    scale: int = 0
    """Digits after the point."""
    inner: Type | None = None
    """Of what an array is."""

    @staticmethod
    def parse(text: str) -> Type:
        """Return the type of this name; ClickHouseError where it is none that is known here."""
        return _parse(text.strip(), 0)

    @property
    def low(self) -> int:
        """The smallest integer."""
        return -(1 << (8 * self.size - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest integer."""
        return (1 << (8 * self.size - self.signed)) - 1

    @property
    def default(self) -> bytes:
        """What stands in a canonical row for a value that was not given."""
        return DEFAULTS.get(self.kind, b"0")


DEFAULTS: dict[Kind, bytes] = {
    "string": b"", "fixed": b"", "bool": b"false", "ipv4": b"0.0.0.0", "ipv6": b"::", "date": b"1970-01-01",
    "time": b"1970-01-01 00:00:00", "time64": b"1970-01-01 00:00:00", "array": b"[]",
    "uuid": b"00000000-0000-0000-0000-000000000000",
}  # fmt: skip


@lru_cache(maxsize=256)
def _parse(text: str, depth: int) -> Type:
    text = ALIASES.get(text.upper(), text)
    if text in PLAIN:
        return Type(*PLAIN[text])
    if found := INTEGER.fullmatch(text):
        return Type(text, "integer", int(found[2]) // 8, signed=not found[1])
    if (found := WRAPPED.fullmatch(text)) and depth < 8:
        inner = _parse(found[2].strip(), depth + 1)
        if found[1] == "Array":
            return Type(f"Array({inner.name})", "array", inner=inner)
        if found[1] == "LowCardinality":
            return inner  # which only Native writes differently, where a reader is told the plain type
        return Type(f"Nullable({inner.name})", inner.kind, inner.size, inner.signed, True, inner.scale, inner.inner)
    if TIME.fullmatch(text):
        return Type(text, "time", 4)
    if found := TIME64.fullmatch(text):
        return Type(text, "time64", 8, signed=True, scale=int(found[1]))
    if found := FIXED.fullmatch(text):
        return Type(text, "fixed", int(found[1]))
    if (found := DECIMAL.fullmatch(text)) and int(found[2]) <= int(found[1]) <= 38:
        digits = int(found[1])
        size = 4 if digits <= 9 else 8 if digits <= 18 else 16
        return Type(text, "decimal", size, signed=True, scale=int(found[2]))
    raise ClickHouseError(50, "UNKNOWN_TYPE", f"Unknown data type family: {text[:80]}")


@dataclass(frozen=True, slots=True)
class Column:
    """A column. One that is not `known` to the table is folded into the column of what else was sent."""

    name: str
    type: Type
    known: bool = True


def columns(pairs: Iterable[tuple[str, str]]) -> list[Column]:
    """Return the columns of pairs of a name and a type's name."""
    return [Column(name, Type.parse(type)) for name, type in pairs]
