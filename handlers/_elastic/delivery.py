"""Delivering documents in requests of bounded size, none twice while the rest of a write is tried again."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from monitor.handler import Block, Bytes, Cursor, DeliveryError, Entry, Handler, Records, Refused, Seconds, option
from monitor.wire.document import SORA, Document, DocumentEncoder, Places
from monitor.wire.envelope import TABLE, Envelope

CONFIGURATION = 60.0
"""Seconds to wait at least where somebody has to change a setting first."""


class Item(NamedTuple):
    """A document as it is sent."""

    id: str
    shown: str
    body: bytes


class DocumentHandler(Handler):
    """Sends one document per batch, and those that come ready. A subclass makes items of them and sends those."""

    records: ClassVar[tuple[str, ...]] = (TABLE,)

    batch: int = option(500_000, "deliver at most about this many values at once", min=1, max=5_000_000)
    flush_interval: Seconds = option(Seconds(1), "wait at most this long for more to deliver together", min=0, max=600)
    timeout: Seconds = option(Seconds(90), "give up a delivery after this long, and try again", min=0.1, max=600)
    documents: int = option(1000, "send at most this many documents in one request", min=1, max=100_000)
    size: Bytes = option(Bytes(5 << 20), "send at most about this much in one request, uncompressed", min=1024)
    metricsets: list[str] = option(
        list(SORA),
        "COLLECTOR/INSTANCE=MODULE.METRICSET, in order, with * for anything: below which names values stand in a"
        " document (=- none); of other collectors it is COLLECTOR.COLLECTOR",
    )
    raw: list[str] = option(
        ["sora"], "collectors (* is all) whose counters are sent as they stand, as Sorabeat did, instead of as rates"
    )
    beat_version: str = option("6.0.0", "what documents say in beat.version; Sorabeat's own by default")
    username: str = option("", "user for basic authentication; empty where none is asked for")
    password: str = option("", "the user's password", secret=True)
    tls_verify: bool = option(True, "whether the other end's certificate is checked")
    tls_ca: Path | None = option(None, "file of the certificates to trust; by default the system's")
    tls_cert: Path | None = option(None, "file of the appliance's own certificate")
    tls_key: Path | None = option(None, "file of its key, where it is not in the same one")

    id_name: ClassVar[str] = ""
    """The dotted name under which documents tell their id."""
    _encoder: DocumentEncoder
    _envelope: Envelope

    async def open(self) -> None:
        try:
            places = Places(self.metricsets)
        except ValueError as error:
            raise DeliveryError(f"metricsets: {error}", CONFIGURATION) from error
        naming, version = self.naming.hostname, self.beat_version
        self._encoder = DocumentEncoder(
            places=places, hostname=naming, raw=self.raw, version=version, more=self.more(), id_name=self.id_name
        )
        self._envelope = Envelope(hostname=naming, version=version, more=self.more(), id_name=self.id_name)
        self._size = int(self.size)
        self._settled: dict[str, Refused | None] = {}

    def more(self) -> Mapping[str, str]:
        """Return the texts that every document has, by dotted name."""
        return {}

    async def context(self) -> ssl.SSLContext:
        """Return how TLS is spoken."""
        try:
            return await asyncio.to_thread(self._made_context)
        except OSError as error:  # which an ssl.SSLError is
            raise DeliveryError(f"expected usable TLS files: {error}", CONFIGURATION) from error

    def _made_context(self) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=self.tls_ca)
        if not self.tls_verify:
            made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        if self.tls_cert is not None:
            made.load_cert_chain(self.tls_cert, self.tls_key)
        return made

    async def write(self, blocks: Sequence[Entry], cursor: Cursor) -> Sequence[Refused]:
        """Deliver what is not settled yet: what was taken before an earlier try failed is not sent again."""
        items: list[Item] = []
        size = 0
        for documents in self._documents(blocks):
            for document in documents:
                if document.id in self._settled:
                    continue
                item = self.item(document)
                if items and (len(items) >= self.documents or size + len(item.body) > self._size):
                    await self._deliver(items)
                    items, size = [], 0
                items.append(item)
                size += len(item.body)
            await asyncio.sleep(0)
        if items:
            await self._deliver(items)
        refused = [found for found in self._settled.values() if found is not None]
        self._settled = {}
        return refused

    def _documents(self, entries: Sequence[Entry]) -> Iterator[list[Document]]:
        yield from self._encoder.encode([entry for entry in entries if isinstance(entry, Block)])
        for entry in entries:
            if isinstance(entry, Records):
                yield from self._envelope.documents(entry)

    def item(self, document: Document) -> Item:
        """Return what is sent of a document."""
        raise NotImplementedError

    async def send(self, items: Sequence[Item]) -> bool:
        """Send a request and settle what was decided by its answer; False where it is too large as a whole."""
        raise NotImplementedError

    def settle(self, item: Item, refused: str | None = None) -> None:
        """Say of an item that it is not to be sent again: it is taken, or refused for that reason."""
        self._settled[item.id] = None if refused is None else Refused(item.shown, refused[:200])

    async def _deliver(self, items: list[Item]) -> None:
        """Send a request; where it is too large, send ever smaller ones."""
        pieces = [items]
        while pieces:
            piece = pieces.pop()
            if await self.send(piece):
                continue
            if len(piece) == 1:
                self.settle(piece[0], f"a document of {len(piece[0].body)} bytes is too large")
                continue
            self._size = max(1024, min(self._size, sum(len(item.body) for item in piece) // 2))
            middle = len(piece) // 2
            pieces += (piece[middle:], piece[:middle])


def shown(document: Document) -> str:
    """Return how a document is called in messages."""
    return f"{document.metricset.module}.{document.metricset.name} at {document.time:.3f}"
