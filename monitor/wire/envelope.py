"""Documents that come ready, as records of tables `documents/MODULE.METRICSET`, in the envelope of all documents.

The body of such records is one JSON object a line; their head may tell `rtt` (µs that the answer took), `host` (what
was asked, in metricset.host) and `error` (why there is none: one document, without any of the module's own fields).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import Any

import orjson

from monitor.batch import Records
from monitor.wire.document import NO_META, Document, Metricset, stamp
from monitor.wire.tree import text

TABLE = "documents/"
SLICE_BYTES = 1 << 20
LONGEST_ERROR = 1000


class Envelope:
    """`more` are texts in every document, by dotted name; where `id_name` is given, its id has that name."""

    def __init__(
        self, *, hostname: Callable[[str], str] = str, version: str = "6.0.0", more: Mapping[str, str] = NO_META,
        id_name: str = "",
    ) -> None:  # fmt: skip
        self._hostname = hostname
        self._version = version
        self._more = more
        self._id_name = id_name

    def documents(self, records: Records) -> Iterator[list[Document]]:
        """Yield the documents of records in slices of about a megabyte. Their ids are the same every time."""
        module, _, name = records.table.removeprefix(TABLE).partition(".")
        metricset = Metricset(module, name)
        mark = _mark(records)
        head = self._head(records, metricset, mark)
        error = records.head.get("error")
        if isinstance(error, str):
            head["error"] = {"message": error[:LONGEST_ERROR]}
            begin, within = orjson.dumps(head)[:-1], b""
        else:
            begin = orjson.dumps(head)[:-1]
            within = b",%b:{%b:" % (text(module).encode(), text(name).encode())
        first, middle, last = begin.partition(mark.encode()) if self._id_name else (b"", b"", begin)
        found: list[Document] = []
        size = 0
        for number, line in enumerate(records.body.splitlines() if within else [b""]):
            if not line and within:
                continue
            id = f"{mark}-{number}"
            json = b"%b%b%b%b%b%b" % (
                first,
                id.encode() if middle else b"",
                last,
                within,
                line,
                b"}}" if within else b"}",
            )
            found.append(Document(id, records.time, metricset, json))
            size += len(line)
            if size >= SLICE_BYTES:
                yield found
                found, size = [], 0
        yield found

    def _head(self, records: Records, metricset: Metricset, mark: str) -> dict[str, Any]:
        host = self._hostname(records.source.host)
        asked, rtt = records.head.get("host"), records.head.get("rtt")
        told: dict[str, Any] = {"module": metricset.module, "name": metricset.name}
        told["host"] = asked if isinstance(asked, str) else records.source.host
        if isinstance(rtt, int):
            told["rtt"] = rtt
        head: dict[str, Any] = {
            "@timestamp": stamp(records.time),
            "metricset": told,
            "beat": {"name": host, "hostname": host, "version": self._version},
        }
        for name, value in (*self._more.items(), *([(self._id_name, mark)] if self._id_name else [])):
            *path, leaf = name.split(".")
            within = head
            for word in path:
                within = within.setdefault(word, {})
            within[leaf] = value
        return head


def _mark(records: Records) -> str:
    parts = "\0".join((*records.source, records.table, str(round(records.time * 1000))))
    return blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
