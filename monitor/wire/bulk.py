"""Elasticsearch's `_bulk`: what is sent, and what its answer says of every item.

https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from monitor.wire.document import Document, Metricset
from monitor.wire.tree import text

ILLEGAL = re.compile(r'[\\/*?"<>| ,#:\x00-\x1f\x7f]|[\ud800-\udfff]')
PLACE = re.compile(r"\{(module|metricset)\}")
SHORT = "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason"
"""The parameter `filter_path` that makes an answer as short as it can be."""
BLOCKED = "cluster_block_exception"
"""An index that takes nothing for a while, as all do while the disk is full."""


class Index:
    """The index of a document: a pattern with strftime's words for its day (UTC), {module} and {metricset}.

    A name without any of these is an index, an alias or a data stream.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._names: dict[tuple[int, Metricset], str] = {}
        named = self.name(0.0, Metricset("module", "metricset"))
        if not named or ILLEGAL.search(named) or named[0] in "-_+" or named in (".", "..") or len(named) > 200:
            raise ValueError(f"expected the name of an index such as sorabeat-%Y.%m.%d, got {pattern[:80]!r}")

    def name(self, time: float, metricset: Metricset) -> str:
        hour = int(time // 3600)
        found = self._names.get((hour, metricset))
        if found is None:
            if len(self._names) >= 1000:
                self._names.clear()
            words = {"module": metricset.module, "metricset": metricset.name}
            name = datetime.fromtimestamp(hour * 3600, UTC).strftime(self._pattern)
            name = PLACE.sub(lambda match: ILLEGAL.sub("_", words[match[1]]), name)
            found = self._names[hour, metricset] = name.lower()
        return found


def item(document: Document, index: str) -> bytes:
    """Return the two lines that create a document, unless it is there already."""
    action = f'{{"create":{{"_index":{text(index)},"_id":"{document.id}"}}}}\n'
    return b"%b%b\n" % (action.encode(), document.json)


class Result(NamedTuple):
    """What became of an item."""

    status: int
    reason: str

    @property
    def done(self) -> bool:
        """Whether it is there: a repeat was there before (409)."""
        return self.status < 300 or self.status == 409

    @property
    def later(self) -> bool:
        """Whether it may be taken another time."""
        return self.status == 429 or self.status >= 500 or self.reason.startswith(BLOCKED)


DONE = Result(201, "")


def results(body: bytes, count: int) -> Sequence[Result]:
    """Return what became of each item; ValueError says why the answer is none."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("errors"), bool):
        raise ValueError(f"expected the results of a bulk request, got {body[:80].decode('utf-8', 'replace')!r}")
    if not found["errors"]:
        return [DONE] * count
    items = found.get("items")
    if not isinstance(items, list) or len(items) != count:
        raise ValueError(
            f"expected the results of {count} items, got {len(items) if isinstance(items, list) else 'none'}"
        )
    return [_result(one) for one in items]


def _result(one: Any) -> Result:
    told = next(iter(one.values()), None) if isinstance(one, dict) else None
    status = told.get("status") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(status, int):
        raise ValueError(f"expected the status of an item, got {str(one)[:80]!r}")
    return Result(status, reason(told.get("error")))


def reason(error: Any) -> str:
    """Return what an error says, in one line: it is an object, or a text."""
    if not isinstance(error, dict):
        return " ".join(str(error or "").split())[:500]
    cause = error.get("caused_by")
    words = [error.get("type"), error.get("reason"), cause.get("reason") if isinstance(cause, dict) else None]
    return ": ".join(" ".join(str(word).split()) for word in words if word)[:500]
