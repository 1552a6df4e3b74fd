"""Elasticsearch (7 and later) and OpenSearch: one document per batch, of Sorabeat's shape, over `_bulk`.

    [server]
    handlers = ElasticsearchHandler
    [handlers]
    [[ElasticsearchHandler]]
    urls = https://es1.example.com:9200, https://es2.example.com:9200
    api_key_file = /run/secrets/elasticsearch

Documents are created under ids made of source, metricset and time, so that one which is sent again is there once: in a
data stream, once per backing index. One that Elasticsearch refuses does not hold up the others.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Sequence

import orjson
from isal import igzip

from handlers._elastic.delivery import CONFIGURATION, DocumentHandler, Item, shown
from handlers._elastic.kibana_setup import KibanaSetup
from handlers._elastic.setups import ElasticsearchSetup
from handlers._elastic.urls import Answer, Urls
from monitor.handler import DeliveryError, option
from monitor.wire.bulk import BLOCKED, SHORT, Index, item, reason, results
from monitor.wire.document import Document

BLOCKED_PAUSE = 30.0


class ElasticsearchHandler(DocumentHandler):
    aliases = ("ElasticSearchHandler",)
    setups = {"elasticsearch": ElasticsearchSetup, "kibana": KibanaSetup}  # noqa: RUF012 - as Handler annotates it

    urls: list[str] = option(
        ["http://localhost:9200"], "addresses of the cluster; where one does not answer, the next is asked"
    )
    index: str = option(
        "sorabeat-%Y.%m.%d",
        "index, alias or data stream; with strftime's words for the document's day in UTC, {module} and {metricset}",
    )
    pipeline: str = option("", "ingest pipeline")
    api_key: str = option("", "API key: ID:KEY, or both as they are encoded", secret=True)
    token: str = option("", "bearer token", secret=True)
    gzip: bool = option(True, "compress what is sent")

    _urls: Urls | None = None

    async def open(self) -> None:
        await super().open()
        try:
            self._index = Index(self.index)
        except ValueError as error:
            raise DeliveryError(f"index: {error}", CONFIGURATION) from error
        headers = {"Content-Type": "application/x-ndjson", "Accept": "application/json"}
        if self.api_key:
            key = self.api_key.strip()
            headers["Authorization"] = f"ApiKey {b64encode(key.encode()).decode() if ':' in key else key}"
        elif self.token:
            headers["Authorization"] = f"Bearer {self.token.strip()}"
        tls = await self.context() if any(url.startswith("https:") for url in self.urls) else None
        self._urls = Urls(
            self.urls, headers, port=9200, timeout=self.timeout, tls=tls, username=self.username, password=self.password
        )
        self._query = {"filter_path": SHORT} | ({"pipeline": self.pipeline} if self.pipeline else {})

    async def close(self) -> None:
        if self._urls is not None:
            await self._urls.close()

    def item(self, document: Document) -> Item:
        index = self._index.name(document.time, document.metricset)
        return Item(document.id, shown(document), item(document, index))

    async def send(self, items: Sequence[Item]) -> bool:
        assert self._urls is not None, "open comes before write"
        headers = {"Content-Encoding": "gzip"} if self.gzip else {}
        body = await asyncio.to_thread(pack, items, self.gzip)
        answer = await self._urls.post("/_bulk", body, query=self._query, headers=headers)
        if answer.status == 413:
            return False
        if answer.status != 200:
            raise _failure(answer)
        self._settle(items, answer)
        return True

    def _settle(self, items: Sequence[Item], answer: Answer) -> None:
        """Settle every item that is there or never will be; DeliveryError where some have to wait."""
        try:
            found = results(answer.body, len(items))
        except ValueError as error:
            raise DeliveryError(f"{answer.url}: {error}") from error
        later = []
        for one, result in zip(items, found, strict=True):
            if result.done:
                self.settle(one)
            elif result.later:
                later.append(result)
            else:
                self.settle(one, f"{result.status} {result.reason}")
        if later:
            pause = BLOCKED_PAUSE if any(result.reason.startswith(BLOCKED) for result in later) else answer.retry_after
            text = f"Elasticsearch does not take {len(later)} of {len(items)} documents now"
            raise DeliveryError(f"{text}: {later[0].status} {later[0].reason}", pause)


def _failure(answer: Answer) -> Exception:
    """Return what an answer to a whole request means: 400 is about what is in it, all else about the target."""
    try:
        found = orjson.loads(answer.body[: 256 << 10])
    except orjson.JSONDecodeError:
        found = None
    why = (
        reason(found.get("error")) if isinstance(found, dict) else reason(answer.body[:300].decode("utf-8", "replace"))
    )
    text = f"Elasticsearch answered {answer.status}: {why or 'without a reason'}"
    if answer.status == 400:
        return ValueError(text)
    wait = CONFIGURATION if answer.status in (401, 403) else 0.0
    return DeliveryError(text, max(wait, answer.retry_after))


def pack(items: Sequence[Item], gzip: bool) -> bytes:
    """Return the body of a request; made in a thread, for it may be some MB."""
    body = b"".join([one.body for one in items])
    return igzip.compress(body, compresslevel=1) if gzip else body
