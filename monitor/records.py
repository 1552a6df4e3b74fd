"""Records as they lie in a row of the journal: their heads as one JSON line, then each one's body, compressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import orjson
from isal import igzip_lib, isal_zlib

from monitor.batch import Records, Source

UNPACKING = cast("type[Exception]", igzip_lib.IsalError)  # which its types take for an instance
SMALL = 256
"""Bytes from which on a body is compressed."""
MOST_HEAD = 65536
"""Bytes of JSON that the head of records may take."""


def check(one: Records) -> None:
    """Raise ValueError where the journal could not keep the records."""
    try:
        head = orjson.dumps([one.table, list(one.source), dict(one.head), one.id])
    except TypeError as error:
        raise ValueError(f"expected a head that is JSON, got one of {one.table[:80]!r} where {error}") from error
    if len(head) > MOST_HEAD:
        raise ValueError(f"expected a head of at most {MOST_HEAD} bytes, got {len(head)} of {one.table[:80]!r}")


def encode(records: Sequence[Records]) -> bytes:
    heads, bodies = [], []
    for one in records:
        packed = len(one.body) >= SMALL
        body = isal_zlib.compress(one.body, level=1) if packed else one.body
        bodies.append(body)
        heads.append([one.table, list(one.source), one.time, one.count, dict(one.head), one.id, len(body), packed])
    return b"\n".join([orjson.dumps(heads), b"".join(bodies)])


def decode(body: bytes, tables: tuple[str, ...]) -> list[Records]:
    """Return those whose table begins with one of `tables`; the others are not looked at.

    ValueError when the body is damaged.
    """
    heads, newline, _ = body.partition(b"\n")
    at = len(heads) + len(newline)
    found = []
    try:
        for table, source, time, count, head, id, size, packed in orjson.loads(heads):
            if table.startswith(tables):
                piece = body[at : at + size]
                whole = isal_zlib.decompress(piece) if packed else piece
                found.append(Records(table, Source(*source), time, count, whole, head, id))
            at += size
    except (TypeError, AttributeError, UNPACKING) as error:
        raise ValueError(f"expected records, got {type(error).__name__}") from error
    return found
