"""Values as they stand in canonical rows: TabSeparated with few escapes, without NULL, and one text for one value."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from decimal import Decimal

import numpy as np

from monitor.wire.clickhouse.errors import ERRORS, ClickHouseError
from monitor.wire.clickhouse.types import Type

Convert = Callable[[bytes], bytes]

SPECIAL = re.compile(rb"[\\\t\n\r\x08\x0c\0]")
ESCAPED = {
    b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n", b"\r": b"\\r", b"\b": b"\\b", b"\f": b"\\f", b"\0": b"\\0",
}  # fmt: skip
MEANING = {
    b"a": b"\a", b"b": b"\b", b"e": b"\x1b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v",
    b"0": b"\0", b"N": b"",
}  # fmt: skip
ESCAPE = re.compile(rb"(?s)\\(x..|.)")
BARE = b"\\`\"'/"
"""Before what else a backslash falls away; before control characters it does, too."""

INTEGER = re.compile(rb"\+?(\d*)")
SIGNED = re.compile(rb"([+-]?)(\d*)")
FLOAT = re.compile(rb"(?i)[+-]?(?:(?:\d++(?:\.\d*+)?|\.\d++)(?:e[+-]?\d++)?|nan|inf(?:inity)?)")
DOTTED = re.compile(rb"(\d{1,4})\.(\d{1,4})\.(\d{1,4})\.(\d{1,4})")
BOOLS = {
    **dict.fromkeys((b"1", b"true", b"t", b"yes", b"y", b"on", b"enable", b"enabled"), b"true"),
    **dict.fromkeys((b"0", b"false", b"f", b"no", b"n", b"off", b"disable", b"disabled"), b"false"),
}
LONGEST_FLOAT = 128


def refusal(code: int, text: str) -> ClickHouseError:
    """Return the error of this code with its name."""
    return ClickHouseError(code, ERRORS[code][0], text)


def shown(data: bytes) -> str:
    """Return the beginning of what was sent, as an error quotes it."""
    return repr(data[:60])[1:]


def escaped(data: bytes) -> bytes:
    """Return the bytes of a String as they stand in a row."""
    return SPECIAL.sub(lambda found: ESCAPED[found[0]], data) if SPECIAL.search(data) else data


def meant(escape: bytes) -> bytes:
    """Return what ClickHouse takes an escape for; `escape` is without its backslash."""
    if escape[:1] == b"x" and len(escape) == 3:
        # what is no digit counts as 255, as there
        high, low = (int(chr(one), 16) if chr(one) in "0123456789abcdefABCDEF" else 255 for one in escape[1:])
        return bytes([(high * 16 + low) & 255])
    if escape in MEANING:
        return MEANING[escape]
    return escape if escape in BARE or escape < b" " else b"\\" + escape


def unescaped(data: bytes) -> bytes:
    """Return the bytes that a text with escapes means."""
    return ESCAPE.sub(lambda found: meant(found[1]), data) if b"\\" in data else data


def converter(type: Type) -> Convert:
    """Return what makes the canonical cell of a text of this type, its escapes undone.

    It raises ClickHouseError where the text is no value of the type.
    """
    match type.kind:
        case "string":
            return escaped
        case "integer":
            return _signed(type) if type.signed else _unsigned(type)
        case "float":
            single = type.size == 4
            return lambda text: floating(text, single)
        case "bool":
            return boolean
        case "ipv4":
            return dotted
    raise refusal(48, f"Rows with values of type {type.name} are not read here")


def _unsigned(type: Type) -> Convert:
    top = type.high

    def convert(text: bytes) -> bytes:
        found = INTEGER.fullmatch(text)
        if found is None or text == b"+":
            raise unexpected(text, type.name)
        # ClickHouse reads on when a number grows too large for its type, and keeps the low bits.
        return b"%d" % (int(found[1][-80:] or b"0") & top)

    return convert


def _signed(type: Type) -> Convert:
    low, high, whole = type.low, type.high, 1 << 8 * type.size

    def convert(text: bytes) -> bytes:
        found = SIGNED.fullmatch(text)
        if found is None or text == b"+":
            raise unexpected(text, type.name)
        number = int(found[2][-80:] or b"0")
        if found[1] == b"-":
            number = -number
        return b"%d" % (number if low <= number <= high else (number - low) % whole + low)

    return convert


def unexpected(text: bytes, type: str) -> ClickHouseError:
    if text == b"+":
        return refusal(72, f"Cannot parse number with a sign character but without any digits: {shown(text)}")
    return refusal(27, f"Cannot parse input: expected a value of type {type}, got {shown(text)}")


def boolean(text: bytes) -> bytes:
    try:
        return BOOLS[text if text in BOOLS else text.lower()]
    except KeyError:
        raise refusal(467, f"Cannot parse boolean value here: {shown(text)}, should be 'true' or 'false'") from None


def dotted(text: bytes) -> bytes:
    found = DOTTED.match(text)
    parts = [int(part) for part in found.groups()] if found else [256]
    if max(parts) > 255:
        raise refusal(675, f"Cannot parse IPv4 {shown(text)}")
    if found and found.end() < len(text):
        raise unexpected(text, "IPv4")
    return b"%d.%d.%d.%d" % tuple(parts)


def address(number: int) -> bytes:
    """Return the IPv4 address of this number."""
    return b"%d.%d.%d.%d" % (number >> 24 & 255, number >> 16 & 255, number >> 8 & 255, number & 255)


def floating(text: bytes, single: bool) -> bytes:
    found = FLOAT.match(text)
    if found and found.end() < len(text) and text[found.end()] != 0x2E:
        raise unexpected(text, "Float32" if single else "Float64")
    if len(text) > LONGEST_FLOAT or found is None or found.end() < len(text):
        raise refusal(72, f"Cannot read floating point value here: {shown(text)}")
    return number(float(text), single)


def number(value: float, single: bool) -> bytes:
    """Return the shortest text of a number that is read as the same, in ClickHouse's manner."""
    if single:
        value = ctypes.c_float(value).value
    if value != value:
        return b"nan"
    if value in (float("inf"), float("-inf")):
        return b"inf" if value > 0 else b"-inf"
    if value == 0:
        return b"-0" if str(value)[0] == "-" else b"0"
    text = np.format_float_scientific(np.float32(value), trim="-") if single else repr(value)
    sign, all_digits, power = Decimal(text).as_tuple()
    assert isinstance(power, int)
    digits = "".join(map(str, all_digits))
    point = len(digits) + power
    digits = digits.rstrip("0")
    if 0 < point <= 21:
        plain = digits[:point].ljust(point, "0") + ("." + digits[point:] if len(digits) > point else "")
    elif -6 < point <= 0:
        plain = "0." + "0" * -point + digits
    else:
        plain = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{point - 1}"
    return ("-" * sign + plain).encode()
