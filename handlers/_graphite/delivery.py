"""What the handlers have in common that speak to carbon, which answers nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from handlers._graphite.connection import Connection, Sent, Tcp
from handlers._graphite.datagrams import Datagrams
from monitor.handler import Block, Bytes, Cursor, Handler, Refused, Seconds, option

FAMILIES = {"": socket.AF_UNSPEC, "4": socket.AF_INET, "6": socket.AF_INET6}


class CarbonOptions(Handler):
    """What every handler that speaks to carbon is told, but whereto."""

    keepalive: bool = option(True, "let the kernel notice a connection that died silently")
    keepaliveinterval: int = option(10, "seconds between two keepalive probes", min=1, max=3600)
    reconnect_interval: Seconds = option(
        Seconds(0), "connect anew after this long, so that a load balancer can move us; 0 never", min=0
    )
    resend: Seconds = option(
        Seconds(60), "after a lost connection, send the last so many seconds of it again", min=0, max=3600
    )
    resend_bytes: Bytes = option(Bytes(16 << 20), "keep at most about this much for sending again", min=0, max=1 << 30)
    tls: bool = option(False, "speak TLS over TCP, to a relay or a proxy that does")
    tls_verify: bool = option(True, "whether the other end's certificate is checked")
    tls_ca: Path | None = option(None, "file of the certificates to trust; by default the system's")
    tls_cert: Path | None = option(None, "file of the appliance's own certificate")
    tls_key: Path | None = option(None, "file of its key, where it is not in the same one")


class LineOptions(CarbonOptions):
    """The same of those that can send lines, which may go in datagrams too."""

    port: int = option(2003, "carbon's port for plaintext lines", min=1, max=65535)
    proto: Literal["tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"] = option(
        "tcp", "TCP or UDP, over any IP version or over that one only"
    )
    udp_size: int = option(1400, "bytes of lines in one datagram", min=100, max=65_000)
    udp_rate: Bytes = option(
        Bytes(1 << 20), "send at most this much in a second over UDP, lest the receiver's buffer overflow", min=1024
    )


class PickleOptions(CarbonOptions):
    """The same of those that send pickles."""

    port: int = option(2004, "carbon's port for pickles", min=1, max=65535)
    proto: Literal["tcp", "tcp4", "tcp6"] = option("tcp", "TCP over any IP version, or over that one only")


class CarbonHandler(CarbonOptions):
    """Delivers to one carbon; a subclass says in what form."""

    host: str = option("localhost", "where carbon listens")
    port: int
    proto: Any  # what it may be, a subclass says

    _way: Connection | Datagrams
    _again: bool = False

    def encoded(self, block: Block) -> Iterator[tuple[bytes, Sequence[str]]]:
        """Yield pieces to send, and the paths in each that are too long for carbon."""
        raise NotImplementedError

    def way(self, family: socket.AddressFamily) -> Connection | Datagrams:
        tcp = Tcp(
            self.keepaliveinterval if self.keepalive else 0, float(self.reconnect_interval), self.tls, self.tls_verify,
            self.tls_ca, self.tls_cert, self.tls_key,
        )  # fmt: skip
        return Connection(self.host, self.port, family, tcp)

    async def open(self) -> None:
        self._sent = Sent(float(self.resend), int(self.resend_bytes))
        self._way = self.way(FAMILIES[self.proto[3:]])
        await self._way.open()

    async def close(self) -> None:
        await self._way.close()

    async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
        refused: list[Refused] = []
        pieces: list[bytes] = []
        try:
            await self._ready()
            for block in blocks:
                for piece, too_long in self.encoded(block):
                    refused += (Refused(path, "the path is too long for carbon") for path in too_long)
                    if piece:
                        pieces.append(piece)
                        await self._way.send(piece)
                    await asyncio.sleep(0)
            await self._way.confirmed()
        except BaseException:
            self._drop()
            raise
        self._sent.add(pieces)
        return refused

    async def _ready(self) -> None:
        """Have a connection, a new one where the last is gone or has served its time."""
        way = self._way
        if way.opened:
            if way.ended:
                self._drop()
            elif way.served:
                await way.close()
        if not way.opened:
            await way.open()
        if self._again:
            for _, piece in self._sent.pieces:
                await way.send(piece)
            await way.confirmed()
            self._again = False

    def _drop(self) -> None:
        """Drop a connection that ended or holds half a line; the next one begins with what may be lost."""
        if self._way.opened:
            self._way.abort()
            self._again = True
