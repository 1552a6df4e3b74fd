"""Logstash: the documents of ElasticsearchHandler, through the http, the beats or the tcp input.

    [server]
    handlers = LogstashHandler
    [handlers]
    [[LogstashHandler]]
    hosts = http://logstash.example.com:8080

    input { http { port => 8080 } }
    output { elasticsearch { action => "create" document_id => "%{[@metadata][_id]}" } }

With `protocol = beats` it takes Sorabeat's place at `input { beats { port => 5044 } }`: [@metadata][beat] and
[@metadata][version] are Sorabeat's. Either way what Logstash does not acknowledge is sent again; the document_id above
makes one that arrives twice be there once. Over tcp Logstash acknowledges nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from isal import igzip

from handlers._elastic.delivery import CONFIGURATION, DocumentHandler, Item, shown
from handlers._elastic.stream import Stream
from handlers._elastic.urls import Urls
from monitor.handler import DeliveryError, option
from monitor.wire.document import Document
from monitor.wire.lumberjack import ACK, acknowledged, window

PORTS = {"http": 8080, "beats": 5044, "tcp": 5000}


class LogstashHandler(DocumentHandler):
    hosts: list[str] = option(
        ["localhost"], "HOST, HOST:PORT or, for http, URL; where one does not answer, the next is asked"
    )
    protocol: Literal["http", "beats", "tcp"] = option(
        "http",
        "Logstash's input: http (port 8080) and beats (5044) acknowledge what they took; tcp (5000, codec json_lines)"
        " acknowledges nothing, so that what Logstash had read and not yet handled when it ends is lost unseen",
    )
    tls: bool = option(False, "speak TLS over beats and tcp; http does with https URLs")
    beat: str = option("sorabeat", "what [@metadata][beat] says, of which pipelines make the name of the index")
    compression_level: int = option(3, "compress what goes to beats; 0 not at all", min=0, max=9)
    gzip: bool = option(False, "compress what goes to http")

    id_name: ClassVar[str] = "@metadata._id"
    _urls: Urls | None = None
    _stream: Stream | None = None

    async def open(self) -> None:
        await super().open()
        port = PORTS[self.protocol]
        if self.protocol == "http":
            tls = await self.context() if any(host.startswith("https:") for host in self.hosts) else None
            headers = {"Content-Type": "application/json"} | ({"Content-Encoding": "gzip"} if self.gzip else {})
            self._urls = Urls(
                self.hosts, headers, port=port, timeout=self.timeout, tls=tls,
                username=self.username, password=self.password,
            )  # fmt: skip
        else:
            self._stream = Stream(self.hosts, port=port, tls=await self.context() if self.tls else None)

    async def close(self) -> None:
        if self._urls is not None:
            await self._urls.close()
        if self._stream is not None:
            await self._stream.close()

    def more(self) -> Mapping[str, str]:
        return {"@metadata.beat": self.beat, "@metadata.type": "doc", "@metadata.version": self.beat_version}

    def item(self, document: Document) -> Item:
        return Item(document.id, shown(document), document.json)

    async def send(self, items: Sequence[Item]) -> bool:
        if self._urls is not None:
            return await self._post(self._urls, items)
        assert self._stream is not None, "open comes before write"
        try:
            await (self._window if self.protocol == "beats" else self._lines)(self._stream, items)
        except BaseException:
            self._stream.abort()
            raise
        return True

    async def _post(self, urls: Urls, items: Sequence[Item]) -> bool:
        body = await asyncio.to_thread(array, items, self.gzip)
        answer = await urls.post("", body, query={}, headers={})
        if answer.status == 413:
            return False
        if not 200 <= answer.status < 300:
            why = " ".join(answer.body[:300].decode("utf-8", "replace").split())
            text = f"Logstash answered {answer.status}: {why or 'without a reason'}"
            if answer.status == 400:
                raise ValueError(text)
            raise DeliveryError(text, max(answer.retry_after, CONFIGURATION if answer.status in (401, 403) else 0.0))
        for item in items:
            self.settle(item)
        return True

    async def _window(self, stream: Stream, items: Sequence[Item]) -> None:
        """Send a window of events, and settle them as they are acknowledged."""
        body = await asyncio.to_thread(window, [item.body for item in items], self.compression_level)
        await stream.send(body)
        done = 0
        while done < len(items):
            frame = await stream.read(ACK.size)
            try:
                number = acknowledged(frame, len(items))
            except ValueError as error:
                raise DeliveryError(f"{stream.shown}: {error}") from error
            for item in items[done:number]:
                self.settle(item)
            done = max(done, number)

    async def _lines(self, stream: Stream, items: Sequence[Item]) -> None:
        await stream.send(b"".join([b"%b\n" % item.body for item in items]))
        await stream.confirmed()
        for item in items:
            self.settle(item)


def array(items: Sequence[Item], gzip: bool) -> bytes:
    """Return a JSON array; made in a thread, for it may be some MB."""
    body = b"[%b]" % b",".join([item.body for item in items])
    return igzip.compress(body, compresslevel=1) if gzip else body
