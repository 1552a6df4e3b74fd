"""Values of answers as text and as bytes, by the types of their columns.

A value may be what the database gives: int, float, Decimal, bool, str, bytes, an address, a date, a time, a UUID, a
list, or None for NULL.
"""

from __future__ import annotations

import ipaddress
import math
import re
import struct
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from monitor.wire.clickhouse import cells
from monitor.wire.clickhouse.cells import refusal
from monitor.wire.clickhouse.rowbinary import letter
from monitor.wire.clickhouse.types import Type

Write = Callable[[Any], bytes]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = date(1970, 1, 1)
SPECIAL = re.compile(rb"[\\'\t\n\r\x08\x0c\0]")
ESCAPED = {**cells.ESCAPED, b"'": b"\\'"}
IN_JSON = re.compile(rb'["\\/\x00-\x1f]|\xe2\x80[\xa8\xa9]')
JSON_ESCAPES = {
    **{bytes([code]): b"\\u%04x" % code for code in range(32)},
    b'"': b'\\"', b"\\": b"\\\\", b"/": b"\\/", b"\b": b"\\b", b"\f": b"\\f", b"\n": b"\\n", b"\r": b"\\r",
    b"\t": b"\\t", b"\xe2\x80\xa8": b"\\u2028", b"\xe2\x80\xa9": b"\\u2029",
}  # fmt: skip
BARE = ("integer", "float", "bool", "decimal")
"""Kinds whose texts stand without quotes."""


def raw(value: Any) -> bytes:
    """Return the bytes of a String."""
    if value.__class__ is bytes:
        return bytes(value)
    return str(value).encode("utf-8", "surrogateescape")


def escaped(data: bytes) -> bytes:
    """Return a text with ClickHouse's escapes."""
    return SPECIAL.sub(lambda found: ESCAPED[found[0]], data) if SPECIAL.search(data) else data


def quoted(data: bytes) -> bytes:
    return b"'%b'" % escaped(data)


def in_json(data: bytes) -> bytes:
    return b'"%b"' % IN_JSON.sub(lambda found: JSON_ESCAPES[found[0]], data)


def number(value: Any) -> int:
    """Return an integer; what cannot be one is refused, as are addresses as numbers."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise refusal(53, f"Expected an integer in the answer, got {str(value)[:40]!r}") from None


def moment(value: Any) -> datetime:
    """Return a time in UTC; a number is seconds since 1970."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, int | float | Decimal):
        return EPOCH + timedelta(seconds=float(value))
    raise refusal(53, f"Expected a time in the answer, got {str(value)[:40]!r}")


def _day(value: Any) -> date:
    if isinstance(value, datetime):
        return moment(value).date()
    if isinstance(value, date):
        return value
    return DAY + timedelta(days=number(value))


def _address(value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if isinstance(value, int | ipaddress.IPv4Address | ipaddress.IPv6Address):
        return ipaddress.ip_address(value)
    try:
        return ipaddress.ip_address(str(value).partition("/")[0])
    except ValueError:
        raise refusal(53, f"Expected an address in the answer, got {str(value)[:40]!r}") from None


def _decimal(value: Any) -> bytes:
    text = f"{Decimal(value):f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).encode()


def plain(type: Type) -> Write:
    """Return what writes a value as text, without quotes and escapes."""
    match type.kind:
        case "string":
            return raw
        case "integer":
            return lambda value: b"%d" % number(value)
        case "float":
            single = type.size == 4
            return lambda value: cells.number(float(value), single)
        case "bool":
            return lambda value: b"true" if value else b"false"
        case "ipv4" | "ipv6":
            return lambda value: str(_address(value)).encode()
        case "date":
            return lambda value: _day(value).isoformat().encode()
        case "time":
            return lambda value: moment(value).strftime("%Y-%m-%d %H:%M:%S").encode()
        case "time64":
            return _time64(type.scale)
        case "decimal":
            return _decimal
        case "uuid":
            return lambda value: str(value).encode()
        case "fixed":
            size = type.size
            return lambda value: raw(value)[:size].ljust(size, b"\0")
        case "array":
            assert type.inner is not None
            return _array(_within(type.inner))
    return lambda value: b""


def _time64(scale: int) -> Write:
    def write(value: Any) -> bytes:
        at = moment(value)
        part = f"{at.microsecond:06d}".ljust(scale, "0")[:scale]
        return (at.strftime("%Y-%m-%d %H:%M:%S") + ("." + part if scale else "")).encode()

    return write


def _within(type: Type) -> Write:
    """Return what writes a value within an array."""
    write = plain(type)
    if type.kind not in (*BARE, "array"):
        plainly = write

        def write(value: Any) -> bytes:
            return quoted(plainly(value))

    return lambda value: b"NULL" if value is None else write(value)


def _array(write: Write) -> Write:
    return lambda value: b"[%b]" % b",".join(map(write, value))


def text(type: Type, null: bytes, form: Callable[[bytes], bytes] | None = None) -> Write:
    """Return what writes a value as text in a form; NULL is `null`."""
    write = plain(type)
    if form is None or type.kind in BARE:
        return lambda value: null if value is None else write(value)
    return lambda value: null if value is None else form(write(value))


def json(type: Type, *, quote64: bool, strict: bool) -> Write:
    """Return what writes a value as JSON.

    `quote64` puts integers of 64 bits in quotes, `strict` replaces what is no UTF-8.
    """
    write = plain(type)
    match type.kind:
        case "float":
            return lambda value: b"null" if value is None or not math.isfinite(value) else write(value)
        case "array":
            assert type.inner is not None
            array = _array(json(type.inner, quote64=quote64, strict=strict))
            return lambda value: b"null" if value is None else array(value)
        case "integer" if quote64 and type.size >= 8:
            return lambda value: b"null" if value is None else b'"%b"' % write(value)
        case kind if kind in BARE:
            return lambda value: b"null" if value is None else write(value)
    if strict and type.kind in ("string", "fixed"):
        plainly = write

        def write(value: Any) -> bytes:
            return plainly(value).decode("utf-8", "replace").encode()

    return lambda value: b"null" if value is None else in_json(write(value))


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def sized(data: bytes) -> bytes:
    """Return a String as binary formats have it."""
    size = len(data)
    return bytes((size,)) + data if size < 0x80 else varint(size) + data


def binary(type: Type) -> Write:
    """Return what writes a value, not NULL, as bytes."""
    match type.kind:
        case "string":
            return lambda value: sized(raw(value))
        case "fixed":
            return plain(type)
        case "integer":
            return _integer(type)
        case "float":
            # what a Float32 cannot hold is infinite there
            single = struct.Struct("<" + letter(type))
            return lambda value: single.pack(float(cells.number(float(value), type.size == 4)))
        case "bool":
            return lambda value: b"\1" if value else b"\0"
        case "ipv4":
            return lambda value: int(_address(value)).to_bytes(4, "little")
        case "ipv6":
            return lambda value: _address(value).packed.rjust(16, b"\0")
        case "date":
            return lambda value: (_day(value) - DAY).days.to_bytes(type.size, "little", signed=type.size == 4)
        case "time":
            return lambda value: int((moment(value) - EPOCH).total_seconds()).to_bytes(4, "little")
        case "time64":
            scale = 10**type.scale
            return lambda value: ((moment(value) - EPOCH) // timedelta(microseconds=1) * scale // 1_000_000).to_bytes(
                8, "little", signed=True
            )
        case "decimal":
            return lambda value: int(Decimal(value).scaleb(type.scale)).to_bytes(type.size, "little", signed=True)
        case "uuid":
            return _uuid
        case "array":
            assert type.inner is not None
            inner = nullable(type.inner)
            return lambda value: varint(len(value)) + b"".join(map(inner, value))
    return lambda value: b""


def _integer(type: Type) -> Write:
    size, signed, low, high = type.size, type.signed, type.low, type.high

    def write(value: Any) -> bytes:
        found = number(value)
        if not low <= found <= high:
            found = (found - low) % (1 << 8 * size) + low
        return found.to_bytes(size, "little", signed=signed)

    return write


def _uuid(value: Any) -> bytes:
    whole = value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))
    return whole.bytes[7::-1] + whole.bytes[:7:-1]


def nullable(type: Type) -> Write:
    """Return what writes a value as bytes, with the byte before it that says whether it is NULL if it may be."""
    write = binary(type)
    if not type.nullable:
        default = zero(type)
        return lambda value: default if value is None else write(value)
    return lambda value: b"\1" if value is None else b"\0" + write(value)


def zero(type: Type) -> bytes:
    """Return the bytes that stand for no value."""
    return bytes(type.size or 1)
