"""JSON as leniently as ClickHouse reads it, value by value as the text that it was sent as.

Strings may hold bytes that are no UTF-8, numbers may begin with zeros, and nothing between values needs to be apart by
lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from monitor.wire.clickhouse import cells
from monitor.wire.clickhouse.cells import refusal, shown
from monitor.wire.clickhouse.types import Type

TOKEN = re.compile(rb'(?s)\s*+(?:("(?:[^"\\]++|\\.)*+")|([{}\[\],:;])|([^\s{}\[\],:;"]++)|(\Z))')
BETWEEN = re.compile(rb"[\s,;]*+")
ESCAPE = re.compile(rb"(?s)\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))")
MEANING = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


class Scanner:
    def __init__(self, body: bytes, at: int = 0) -> None:
        self.body = body
        self.at = at

    def token(self) -> bytes:
        """Return the next string, sign or word and step over it; empty at the end."""
        found = TOKEN.match(self.body, self.at)
        if found is None:
            raise refusal(27, f"Cannot parse input: expected '\"' at the end of {shown(self.body[self.at :])}")
        self.at = found.end()
        return found[found.lastindex or 0]

    def need(self, sign: bytes) -> None:
        before = self.at
        found = self.token()
        if found != sign:
            if not found:
                raise refusal(33, "Cannot read all data: unexpected end of stream while parsing JSON")
            self.at = before
            raise refusal(27, f"Cannot parse input: expected '{sign.decode()}' before: {self.rest()}")

    def take(self, sign: bytes) -> bool:
        before = self.at
        if self.token() == sign:
            return True
        self.at = before
        return False

    def rest(self) -> str:
        return shown(self.body[self.at : self.at + 60].lstrip())

    def more(self) -> bool:
        """Step over what may stand between rows, and tell whether there is another one."""
        found = BETWEEN.match(self.body, self.at)
        assert found is not None
        self.at = found.end()
        return self.at < len(self.body)

    def value(self) -> bytes:
        """Return the text of a value and step over it."""
        first = self.token()
        if first not in (b"{", b"["):
            if not first:
                raise refusal(33, "Cannot read all data: unexpected end of stream while parsing JSON")
            if first in b"]},:;":
                self.at -= 1
                raise refusal(27, f"Cannot parse input: expected a value before: {self.rest()}")
            return first
        begin = self.at - 1
        depth = 1
        while depth:
            sign = self.token()
            if not sign:
                raise refusal(33, "Cannot read all data: unexpected end of stream while parsing JSON")
            depth += (sign in (b"{", b"[")) - (sign in (b"}", b"]"))
        return self.body[begin : self.at]

    def row(self) -> dict[str, bytes]:
        """Return the texts of an object's values."""
        self.need(b"{")
        found: dict[str, bytes] = {}
        if self.take(b"}"):
            return found
        while True:
            key = self.token()
            if key[:1] != b'"':
                if not key:
                    raise refusal(33, "Cannot read all data: unexpected end of stream while parsing JSON")
                raise refusal(26, f"Cannot parse JSON string: expected opening quote, got {shown(key)}")
            name = unquoted(key).decode("utf-8", "replace")
            if name in found:
                raise refusal(117, f"Duplicate field found while parsing JSONEachRow format: {name[:80]}")
            self.need(b":")
            found[name] = self.value()
            if self.take(b"}"):
                return found
            self.need(b",")

    def array(self, width: int) -> list[bytes]:
        """Return the texts of an array's values."""
        self.need(b"[")
        found = [self.value()]
        while len(found) < width:
            self.need(b",")
            found.append(self.value())
        self.need(b"]")
        return found


def unquoted(text: bytes) -> bytes:
    """Return the bytes that a JSON string means."""
    inner = text[1:-1]
    return ESCAPE.sub(_meant, inner) if b"\\" in inner else inner


def _meant(found: re.Match[bytes]) -> bytes:
    high, low, unit, one = found.groups()
    if one is not None:
        return MEANING.get(one, one)
    if unit is None:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF)).encode()
    if 0xD800 <= (code := int(unit, 16)) < 0xE000:
        raise refusal(25, "Cannot parse escape sequence: missing second part of surrogate pair")
    return chr(code).encode()


def converter(type: Type) -> Callable[[bytes], bytes]:
    """Return what makes the canonical cell of the text of a JSON value."""
    default = type.default
    plain = cells.converter(type)
    words = {b"null": default}
    match type.kind:
        case "string":

            def convert(text: bytes) -> bytes:
                return cells.escaped(unquoted(text) if text[:1] == b'"' else text)

        case "bool":
            words |= {b"true": b"true", b"false": b"false", b"1": b"true", b"0": b"false"}

            def convert(text: bytes) -> bytes:
                raise refusal(467, f"Invalid boolean value, should be true/false, 1/0, got {shown(text)}")

        case "ipv4":

            def convert(text: bytes) -> bytes:
                if text[:1] != b'"':
                    raise refusal(27, f"Cannot parse input: expected '\"' before: {shown(text)}")
                return plain(unquoted(text))

        case _:
            words |= {b"true": b"1", b"false": b"0"}
            unsigned = type.kind == "integer" and not type.signed

            def convert(text: bytes) -> bytes:
                if text[:1] == b'"':
                    text = unquoted(text)
                if unsigned and text[:1] == b"-":
                    raise refusal(72, f"Unsigned type must not contain '-' symbol: {shown(text)}")
                return plain(text)

    return lambda text: words[text] if text in words else convert(text)
