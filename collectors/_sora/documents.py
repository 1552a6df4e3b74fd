"""What Sora says as documents, one a line, with all its fields and Sorabeat's additions, for those who search them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from collectors._sora.walk import LISTS, statistics

TABLE = "documents/sora."
"""With the metricset's name it is the table of its records."""
MOST = 1 << 63


def connection(tree: Mapping[str, Any]) -> bytes:
    """Return the document of a connection: all that is told of it, and `channel_client_id`."""
    ids = [found if isinstance(found := tree.get(name), str) else "" for name in ("channel_id", "client_id")]
    return _dumped({**tree, "channel_client_id": "/".join(ids)})


def stats(tree: Mapping[str, Any]) -> bytes:
    """Return the document of an object, with the statistics of the lists below erlang_vm beside them."""
    return _dumped(_enriched(tree, ""))


def _dumped(tree: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(tree, option=orjson.OPT_STRICT_INTEGER)
    except TypeError:  # a number of more than 53 bits
        return orjson.dumps(_fitting(tree))


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
