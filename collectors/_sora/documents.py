"""What Sora says as documents, one a line, with all its fields and Sorabeat's additions, for those who search them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from collectors._sora.walk import LISTS, statistics

TABLE = "documents/sora."
"""With the metricset's name it is the table of its records."""
DIGITS = bytes(ord("0") if chr(byte).isdecimal() else ord(" ") for byte in range(128)) + bytes(128)
LONG = b"0" * 19
"""A number of so many digits may not fit into 64 bits."""
MOST = 1 << 63


def connection(tree: Mapping[str, Any], piece: bytes) -> bytes:
    """Return the document of a connection, of which `piece` is the JSON: that and `channel_client_id`."""
    ids = [found if isinstance(found := tree.get(name), str) else "" for name in ("channel_id", "client_id")]
    added = orjson.dumps("/".join(ids))
    if not tree or b"\n" in piece or b"\r" in piece or "channel_client_id" in tree or LONG in piece.translate(DIGITS):
        return orjson.dumps(_fitting({**tree, "channel_client_id": "/".join(ids)}))
    return b'%b,"channel_client_id":%b}' % (piece[:-1], added)


def stats(tree: Mapping[str, Any]) -> bytes:
    """Return the document of an object, with the statistics of the lists below erlang_vm beside them."""
    return orjson.dumps(_fitting(_enriched(tree, "")))


def _fitting(value: Any) -> Any:
    """Return a value without whole numbers that a search engine's `long` cannot hold."""
    if isinstance(value, dict):
        return {key: _fitting(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_fitting(one) for one in value]
    return float(value) if type(value) is int and not -MOST <= value < MOST else value


def _enriched(tree: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found[key] = _enriched(value, f"{prefix}{key}.") if isinstance(value, dict) else value
        if (
            isinstance(value, list)
            and value
            and f"{prefix}{key}".startswith(LISTS)
            and all(type(one) in (int, float) for one in value)
        ):
            found |= {f"{key}_{word}": number for word, number in statistics(value).items()}
    return found
