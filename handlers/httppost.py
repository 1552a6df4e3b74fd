"""Posts over HTTP: lines or JSON as Diamond's handler of this name, or batches as another appliance takes them.

    [server]
    handlers = HttpPostHandler
    [handlers]
    [[HttpPostHandler]]
    url = https://monitor.example.com/api/v1/push
    format = BATCHES
    token_file = /run/secrets/token

PLAIN is one `path value time` a line. JSON is {"metric": [{"path", "value", "timestamp", "precision", "host", "ttl"}]}.
BATCHES is what `POST /api/v1/push` of an appliance takes: those that it rejects are refused, the others are there.
An answer of 2xx delivers a request. What was delivered is not sent again while the rest of a write is tried again; an
answer that got lost, and a crash, are the times when something arrives twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import orjson
from isal import igzip

from handlers._elastic.urls import Answer, Urls
from handlers._graphite.tls import CONFIGURATION, context
from monitor.handler import Block, Bytes, Cursor, DeliveryError, Handler, Refused, Seconds, option
from monitor.wire.posted import TYPES, Row, RowEncoder, body

LONGEST = 1 << 20
ROWS = 1000
"""Rows of a request, so that an answer that rejects all of them stays small."""
TOGETHER = 2000
"""Values that are encoded before others get their turn."""


class HttpPostHandler(Handler):
    batch: int = option(5000, "send about this many values in a request", min=1, max=1_000_000)
    timeout: Seconds = option(Seconds(60), "give up a delivery after this long, and try again", min=0.1, max=600)
    url: str = option(help="address to post to")
    format: Literal["PLAIN", "JSON", "BATCHES"] = option("PLAIN", "what is posted")
    size: Bytes = option(Bytes(4 << 20), "send at most about this much in a request, uncompressed", min=1024)
    gzip: bool = option(False, "compress what is sent")
    username: str = option("", "user for basic authentication; empty where none is asked for")
    password: str = option("", "the user's password", secret=True)
    token: str = option("", "bearer token", secret=True)
    tls_verify: bool = option(True, "whether the other end's certificate is checked")
    tls_ca: Path | None = option(None, "file of the certificates to trust; by default the system's")
    tls_cert: Path | None = option(None, "file of the appliance's own certificate")
    tls_key: Path | None = option(None, "file of its key, where it is not in the same one")

    _urls: Urls | None = None

    async def open(self) -> None:
        headers = {"Content-Type": TYPES[self.format], "Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token.strip()}"
        secure = self.url.lower().startswith("https:")
        tls = None
        if secure:
            tls = await context(verify=self.tls_verify, ca=self.tls_ca, cert=self.tls_cert, key=self.tls_key)
        self._urls = Urls(
            [self.url], headers, port=443 if secure else 80, timeout=self.timeout, tls=tls, username=self.username,
            password=self.password,
        )  # fmt: skip
        self._query = dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))
        self._encoder = RowEncoder(self.format, self.naming.path, self.naming.hostname)
        self._settled: dict[object, Refused | None] = {}
        self._size = int(self.size)

    async def close(self) -> None:
        if self._urls is not None:
            await self._urls.close()

    async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
        """Deliver what is not settled yet."""
        rows: list[Row] = []
        keys: list[object] = []
        values = size = encoded = 0
        for block in blocks:
            for row in self._encoder.rows(block):
                keys.append(row.key)
                if row.key not in self._settled:
                    full = values + row.values > self.batch or size + len(row.body) > self._size or len(rows) >= ROWS
                    if rows and full:
                        await self._deliver(rows)
                        rows, values, size = [], 0, 0
                    rows.append(row)
                    values += row.values
                    size += len(row.body) + 1
                encoded += row.values
                if encoded >= TOGETHER:
                    encoded = 0
                    await asyncio.sleep(0)
        if rows:
            await self._deliver(rows)
        found = [self._settled.pop(key, None) for key in keys]
        return [one for one in found if one is not None]

    async def _deliver(self, rows: list[Row]) -> None:
        """Send a request; where it is too large, send ever smaller ones."""
        pieces = [rows]
        while pieces:
            piece = pieces.pop()
            answer = await self._post(piece)
            if answer.status == 413:
                if len(piece) == 1:
                    self._settled[piece[0].key] = Refused(piece[0].shown, f"{len(piece[0].body)} bytes are too large")
                else:
                    middle = len(piece) // 2
                    self._size = max(1024, min(self._size, sum(len(row.body) for row in piece) // 2))
                    pieces += (piece[middle:], piece[:middle])
                continue
            rejected = self._checked(answer, len(piece))
            for number, row in enumerate(piece):
                why = rejected.get(number)
                self._settled[row.key] = None if why is None else Refused(row.shown, why[:200])

    async def _post(self, rows: Sequence[Row]) -> Answer:
        assert self._urls is not None, "open comes before write"
        data = body(self.format, rows)
        headers = {}
        if self.gzip:
            data = await asyncio.to_thread(igzip.compress, data, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        return await self._urls.post("", data, query=self._query, headers=headers)

    def _checked(self, answer: Answer, count: int) -> dict[int, str]:
        """Return the rows that were rejected, by number; raise where nothing is said about rows."""
        if 200 <= answer.status < 300:
            return rejected(answer.body, count) if self.format == "BATCHES" else {}
        why = " ".join(answer.body[:300].decode("utf-8", "replace").split())
        text = f"{answer.url} answered {answer.status}: {why or 'without a reason'}"
        if answer.status in (400, 422):
            raise ValueError(text)
        wait = CONFIGURATION if 300 <= answer.status < 500 and answer.status not in (408, 429) else 0.0
        raise DeliveryError(text, max(wait, answer.retry_after))


def rejected(answer: bytes, count: int) -> dict[int, str]:
    """Return the reasons in an answer to batches, by the batch's number; DeliveryError where it is no such answer."""
    try:
        found = orjson.loads(answer[:LONGEST])
        reasons = {int(one["index"]): str(one["error"]) for one in found["rejected"]}
    except (ValueError, TypeError, KeyError) as error:
        raise DeliveryError(f"expected an answer to batches, got {answer[:80]!r}", CONFIGURATION) from error
    if wrong := [number for number in reasons if not 0 <= number < count]:
        raise DeliveryError(f"expected numbers of {count} batches in the answer, got {wrong[0]}", CONFIGURATION)
    return reasons
