"""What PostgreSQL cannot hold as it came, and how it is held instead: nothing is lost, and nothing fails a batch.

Of a text a zero byte and what is no UTF-8 stand as U+10FF00 + the byte; so do the bytes of characters that would be
taken for such. A time from 2^63 on is the negative number of the same 64 bits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import orjson

from monitor.wire.clickhouse.tables import EXTRA, Table

FIRST = 0x10FF00
"""The character that stands for the byte 0."""
SUSPICIOUS = b"\xf4\x8f"
"""What UTF-8 of such characters begins with."""
STANDING = re.compile("[\U0010ff00-\U0010ffff]+")
ODD = re.compile("[\0\udc80-\udcff]")
ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
ZERO = chr(FIRST).encode()
WRAP = 1 << 64


def held(data: bytes) -> str:
    """Return the text that stands for these bytes."""
    text = data.decode("utf-8", "surrogateescape")
    if text.isascii() and "\0" not in text:
        return text
    # A lone surrogate is no UTF-8, so each one here is a byte that was none.
    text = STANDING.sub(lambda found: "".join(chr(FIRST + byte) for byte in found[0].encode()), text)
    return ODD.sub(lambda found: chr(FIRST + (ord(found[0]) & 0xFF)), text)


def restored(text: str) -> str | bytes:
    """Return what a text stands for: bytes where it is none itself."""
    if not STANDING.search(text):
        return text
    data = bytearray()
    for character in text:
        data += bytes([ord(character) - FIRST]) if ord(character) >= FIRST else character.encode()
    try:
        return data.decode()
    except UnicodeDecodeError:
        return bytes(data)


def suspicious(body: bytes) -> bool:
    """Tell whether a body could be stored, but would be read as another."""
    return SUSPICIOUS in body


def repaired(body: bytes, columns: Sequence[str], table: Table) -> bytes:
    """Return a canonical body with every cell such that PostgreSQL takes it."""
    types = dict(table.columns)
    times = {table.time, "responseTime"}
    ways = [_time if name in times else _extra if name == EXTRA else WAYS.get(types[name]) for name in columns]
    rows = []
    for row in body.split(b"\n")[:-1]:
        cells = row.split(b"\t")
        for place, way in enumerate(ways):
            if way is not None and place < len(cells):
                cells[place] = way(cells[place])
        rows.append(b"\t".join(cells))
    return b"".join(row + b"\n" for row in rows)


def _text(cell: bytes) -> bytes:
    if b"\\0" in cell:
        cell = ESCAPE.sub(lambda found: b"\0" if found[1] == b"0" else found[0], cell)
    return held(cell).encode()


def _time(cell: bytes) -> bytes:
    number = int(cell)
    return b"%d" % (number - WRAP) if number >= WRAP >> 1 else cell


def _single(cell: bytes) -> bytes:
    with np.errstate(over="ignore", under="ignore"):
        return str(float(np.float32(float(cell)))).encode()


def _double(cell: bytes) -> bytes:
    return str(float(cell)).encode()


def _extra(cell: bytes) -> bytes:
    """Return the cell of a JSON object; as a text of its own where it is none that can be kept."""
    if not cell:
        return cell
    plain = ESCAPE.sub(lambda found: b"\\" if found[1] == b"\\" else found[0], cell)
    try:
        found = orjson.loads(plain)
        made = orjson.dumps({held(key.encode()): _plain(one) for key, one in found.items()})
    except (ValueError, AttributeError):
        made = orjson.dumps({"": held(plain)})
    return made.replace(b"\\", b"\\\\")


def _plain(value: object) -> object:
    """Return a JSON value that jsonb can hold."""
    if isinstance(value, str):
        return held(value.encode())
    if isinstance(value, dict):
        return {held(key.encode()): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


WAYS = {"String": _text, "Float32": _single, "Float64": _double}
