"""SNMP v1 and v2c messages (RFC 1157, RFC 3416): requests to bytes, answers from bytes, no I/O.

Both libraries that were tried end in a Rust panic, which is no Exception, on a malformed datagram: aiosnmp 0.7.2 and
gufo_snmp 0.13 (which also takes an answer with an error status for a good one).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

Value = int | float | str | bytes | None
"""Octet strings are bytes; object identifiers and addresses are text; None is no such object, or the end."""

V1, V2C = 0, 1
GET, GET_NEXT, RESPONSE, GET_BULK = 0xA0, 0xA1, 0xA2, 0xA5
_INTEGER, _OCTETS, _NULL, _OID, _SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
_ADDRESS, _COUNTER32, _GAUGE32, _TICKS, _OPAQUE, _COUNTER64, _UNSIGNED32 = 0x40, 0x41, 0x42, 0x43, 0x44, 0x46, 0x47
_UNSIGNED = frozenset({_COUNTER32, _GAUGE32, _TICKS, _COUNTER64, _UNSIGNED32})
_NOTHING = frozenset({_NULL, 0x80, 0x81, 0x82})
LARGEST = (1 << 32) - 1
NONE_KNOWN: Mapping[bytes, str] = {}
_LONGEST_INTEGER = 9
_LONGEST_OID = 128 * 5
_FLOATS = {b"\x9f\x78\x04": ">f", b"\x9f\x79\x08": ">d"}

TOO_BIG, NO_SUCH_NAME = 1, 2
STATUS = (
    "no error", "too big", "no such name", "bad value", "read only", "general error", "no access", "wrong type",
    "wrong length", "wrong encoding", "wrong value", "no creation", "inconsistent value", "resource unavailable",
    "commit failed", "undo failed", "authorization error", "not writable", "inconsistent name",
)  # fmt: skip


class Answer(NamedTuple):
    number: int
    """The request's number, which it repeats."""
    status: int
    where: int
    """Which varbind the status is about, from 1."""
    varbinds: list[tuple[str, Value]]


def request(kind: int, number: int, oids: Sequence[str], *, version: int, community: bytes, rounds: int = 0) -> bytes:
    """Return the bytes of a request; `rounds` is what a GET_BULK asks for. ValueError names an OID that is none."""
    varbinds = b"".join([_asked(content(oid)) for oid in oids])
    pdu = _integer(number) + b"\x02\x01\x00" + _integer(rounds) + _tlv(_SEQUENCE, varbinds)
    return _tlv(_SEQUENCE, _integer(version) + _tlv(_OCTETS, community) + _tlv(kind, pdu))


def answer(data: bytes, *, most: int = 10_000, known: Mapping[bytes, str] = NONE_KNOWN) -> Answer:
    """Read an answer with at most so many varbinds; ValueError says what is wrong with it.

    `known` are texts of OIDs by their content, which need not be made again.
    """
    try:
        return _answer(data, most, known)
    except IndexError:
        raise ValueError("it ends too early") from None


def number_of(data: bytes) -> int | None:
    """Return the number of the request that a datagram answers, however the rest of it looks."""
    try:
        return _head(data)[0]
    except (ValueError, IndexError):
        return None


def _head(data: bytes) -> tuple[int, int]:
    at, end = _enter(data, 0, len(data), _SEQUENCE)
    version, at = _read_integer(data, at, end)
    if version not in (V1, V2C):
        raise ValueError(f"version {version} instead of 0 or 1")
    _, at = _enter(data, at, end, _OCTETS)
    at, _ = _enter(data, at, end, RESPONSE)
    return _read_integer(data, at, end)


def _answer(data: bytes, most: int, known: Mapping[bytes, str]) -> Answer:
    number, at = _head(data)
    end = len(data)
    status, at = _read_integer(data, at, end)
    where, at = _read_integer(data, at, end)
    at, end = _enter(data, at, end, _SEQUENCE)
    varbinds: list[tuple[str, Value]] = []
    while at < end:
        if len(varbinds) == most:
            raise ValueError(f"more than the {most} values asked for")
        at, stop = _enter(data, at, end, _SEQUENCE)
        at, middle = _enter(data, at, stop, _OID)
        name = known.get(oid := data[at:middle]) or _oid(oid)
        tag = data[middle]
        at, last = _enter(data, middle, stop, tag)
        varbinds.append((name, _value(tag, data[at:last])))
        at = stop
    return Answer(number, status, where, varbinds)


def _enter(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Return where the contents of the element at `at` begin and end."""
    if data[at] != tag:
        raise ValueError(f"tag 0x{data[at]:02x} instead of 0x{tag:02x} at byte {at}")
    size = data[at + 1]
    at += 2
    if size & 0x80:
        more = size & 0x7F
        if not 0 < more <= 4:
            raise ValueError(f"a length in {more} bytes at byte {at}")
        size = int.from_bytes(data[at : at + more], "big")
        at += more
    if at + size > end:
        raise ValueError(f"an element of {size} bytes at byte {at}, but only {max(end - at, 0)} are there")
    return at, at + size


def _read_integer(data: bytes, at: int, end: int) -> tuple[int, int]:
    at, stop = _enter(data, at, end, _INTEGER)
    return _number(data[at:stop], signed=True), stop


def _number(data: bytes, *, signed: bool) -> int:
    if not 0 < len(data) <= _LONGEST_INTEGER:
        raise ValueError(f"a number of {len(data)} bytes")
    return int.from_bytes(data, "big", signed=signed)


def _value(tag: int, data: bytes) -> Value:
    if tag == _OCTETS:
        return data
    if tag == _INTEGER:
        return _number(data, signed=True)
    if tag in _UNSIGNED:
        # Some agents leave the leading zero out: what cannot be negative is not read as negative.
        return _number(data, signed=False)
    if tag in _NOTHING:
        return None
    if tag == _OID:
        return _oid(data)
    if tag == _ADDRESS:
        return ".".join(map(str, data))
    if tag == _OPAQUE:
        form = _FLOATS.get(data[:3])
        if form is None or len(data) != 3 + struct.calcsize(form):
            return data
        (number,) = struct.unpack(form, data[3:])
        return float(number)
    raise ValueError(f"a value of the unknown type 0x{tag:02x}")


def _oid(data: bytes) -> str:
    """Return the dotted text. What OIDs of a table have in common is read once."""
    if len(data) > 2 and data[-1] < 0x80 and data[-2] < 0x80:
        return f"{_dotted(data[:-1])}.{data[-1]}"
    return _dotted(data)


@lru_cache(maxsize=8192)
def _dotted(data: bytes) -> str:
    if not 0 < len(data) <= _LONGEST_OID or data[-1] & 0x80:
        raise ValueError(f"an object identifier that is none: {data[:40].hex()}")
    arcs, arc = [], 0
    for octet in data:
        arc = arc << 7 | octet & 0x7F
        if octet < 0x80:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - first * 40, *arcs[1:])))


@lru_cache(maxsize=8192)
def content(oid: str) -> bytes:
    """Return the content of an OID's element; ValueError when it is none."""
    words = oid.removeprefix(".").split(".")
    try:
        return _begin(words[0], words[1]) + b"".join(map(_arc, words[2:]))
    except (IndexError, ValueError):
        raise ValueError(f"{oid[:80]!r} is no object identifier, such as 1.3.6.1.2.1.1.3.0") from None


def _asked(oid: bytes) -> bytes:
    """Return the varbind that asks for an OID."""
    size = len(oid)
    if size < 0x7C:
        return b"0%c\x06%c%b\x05\x00" % (size + 4, size, oid)
    return _tlv(_SEQUENCE, _tlv(_OID, oid) + b"\x05\x00")


@lru_cache(maxsize=16)
def _begin(first: str, second: str) -> bytes:
    number = _number_of(second)
    if first not in ("0", "1", "2") or (first != "2" and number >= 40):
        raise ValueError
    return _septets(int(first) * 40 + number)


@lru_cache(maxsize=4096)
def _arc(word: str) -> bytes:
    return _septets(_number_of(word))


def _number_of(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 10 and int(word) <= LARGEST):
        raise ValueError
    return int(word)


def _septets(number: int) -> bytes:
    septets = [number & 0x7F]
    while number := number >> 7:
        septets.append(0x80 | number & 0x7F)
    return bytes(reversed(septets))


def _integer(number: int) -> bytes:
    return _tlv(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def _tlv(tag: int, data: bytes) -> bytes:
    size = len(data)
    if size < 0x80:
        return bytes((tag, size)) + data
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + data
