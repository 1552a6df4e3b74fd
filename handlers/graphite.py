"""Graphite: carbon's plaintext protocol over TCP, under Diamond's metric paths.

    [server]
    handlers = GraphiteHandler
    [handlers]
    [[GraphiteHandler]]
    host = graphite.example.com
    port = 2003

carbon answers nothing, so a write counts as delivered when the other end's kernel has confirmed every byte (Linux;
elsewhere: when our kernel has taken them). What carbon took and lost by ending is sent again: after a lost connection
the next one begins with the lines of the last `resend` seconds. Repeated points overwrite themselves. An aggregator or
relay that sums what it receives wants `resend = 0`, and may then miss what it was reading when it ended.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Literal

from monitor.handler import Block, Bytes, Cursor, DeliveryError, Handler, Refused, Seconds, option
from monitor.wire.graphite import GraphiteEncoder

FAMILIES = {"tcp": socket.AF_UNSPEC, "tcp4": socket.AF_INET, "tcp6": socket.AF_INET6}
SIOCOUTQ = 0x5411
"""Asks for the bytes that the other end has not confirmed: tcp(7)."""


class GraphiteHandler(Handler):
    host: str = option("localhost", "where carbon listens")
    port: int = option(2003, "carbon's port for plaintext lines", min=1, max=65535)
    proto: Literal["tcp", "tcp4", "tcp6"] = option("tcp", "TCP over any IP version, or over that one only")
    keepalive: bool = option(True, "let the kernel notice a connection that died silently")
    keepaliveinterval: int = option(10, "seconds between two keepalive probes", min=1, max=3600)
    reconnect_interval: Seconds = option(
        Seconds(0), "connect anew after this long, so that a load balancer can move us; 0 never", min=0
    )
    resend: Seconds = option(
        Seconds(60), "after a lost connection, send the last so many seconds of it again", min=0, max=3600
    )
    resend_bytes: Bytes = option(Bytes(16 << 20), "keep at most about this much for sending again", min=0, max=1 << 30)

    _encoder: GraphiteEncoder
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter | None = None
    _connected_at: float = 0.0
    _again: bool = False

    async def open(self) -> None:
        self._encoder = GraphiteEncoder(self.naming.path)
        self._sent: deque[tuple[float, bytes]] = deque()
        self._sent_bytes = 0
        await self._connect()

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            await self._writer.wait_closed()
            self._writer = None

    async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
        refused: list[Refused] = []
        pieces: list[bytes] = []
        try:
            writer = await self._connection()
            for block in blocks:
                for lines in self._encoder.encode(block):
                    refused += (Refused(path, "the path is too long for carbon") for path in lines.too_long)
                    if piece := lines.text.encode():
                        pieces.append(piece)
                        writer.write(piece)
                        await writer.drain()
                    await asyncio.sleep(0)
            await self._confirmed(writer)
        except BaseException:
            self._abort()
            raise
        self._remember(pieces)
        return refused

    async def _connection(self) -> asyncio.StreamWriter:
        """Return the connection, a new one where the last is gone or has served its time."""
        if self._writer is not None:
            if self._ended():
                self._abort()
            elif self.reconnect_interval and time.monotonic() - self._connected_at >= self.reconnect_interval:
                await self.close()
        if self._writer is None:
            await self._connect()
        assert self._writer is not None
        if self._again:
            for _, piece in self._sent:
                self._writer.write(piece)
                await self._writer.drain()
            await self._confirmed(self._writer)
            self._again = False
        return self._writer

    async def _connect(self) -> None:
        try:
            family = FAMILIES[self.proto]
            self._reader, self._writer = await asyncio.open_connection(self.host, self.port, family=family)
        except OSError as error:
            reason = error.strerror or str(error)
            raise DeliveryError(f"cannot connect to {self.host}:{self.port}: {reason}") from error
        self._connected_at = time.monotonic()
        if self.keepalive:
            connection: socket.socket = self._writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if sys.platform == "linux":
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, self.keepaliveinterval)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, self.keepaliveinterval)

    def _ended(self) -> bool:
        """Whether the other end has closed; it never sends anything."""
        return self._reader.at_eof() or self._writer is None or self._writer.is_closing()

    def _abort(self) -> None:
        """Drop a connection that ended or holds half a line; the next one begins with what may be lost."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None
            self._again = True

    async def _confirmed(self, writer: asyncio.StreamWriter) -> None:
        """Wait until the other end's kernel has everything; the outlet's timeout bounds it."""
        pause = 0.0
        while True:
            if self._ended():
                raise DeliveryError(f"{self.host}:{self.port} closed the connection")
            if not writer.transport.get_write_buffer_size() and not unconfirmed(writer):
                return
            await asyncio.sleep(pause)
            pause = min(0.05, pause + 0.001)

    def _remember(self, pieces: list[bytes]) -> None:
        now = time.monotonic()
        self._sent += ((now, piece) for piece in pieces)
        self._sent_bytes += sum(map(len, pieces))
        while self._sent and (self._sent[0][0] <= now - self.resend or self._sent_bytes > self.resend_bytes):
            self._sent_bytes -= len(self._sent.popleft()[1])


def unconfirmed(writer: asyncio.StreamWriter) -> int:
    """Return how many bytes the other end's kernel has not confirmed; 0 where that cannot be known."""
    if sys.platform != "linux":
        return 0
    answer = fcntl.ioctl(writer.get_extra_info("socket").fileno(), SIOCOUTQ, struct.pack("i", 0))
    return int(struct.unpack("i", answer)[0])
