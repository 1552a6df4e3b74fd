"""A TCP connection, with or without TLS, to a receiver that answers nothing; and what may have been lost with it."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import ssl
import struct
import sys
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from handlers._graphite.tls import context
from monitor.handler import DeliveryError

SIOCOUTQ = 0x5411
"""Asks for the bytes that the other end has not confirmed: tcp(7)."""
TLS_GOODBYE = 1.0


class Sent:
    """What was sent lately, to be sent again after a connection was lost: the newest, bounded in age and bytes."""

    def __init__(self, seconds: float, most: int) -> None:
        self.seconds = seconds
        self.most = most
        self.pieces: deque[tuple[float, bytes]] = deque()
        self._bytes = 0

    def add(self, pieces: Iterable[bytes]) -> None:
        now = time.monotonic()
        for piece in pieces:
            self.pieces.append((now, piece))
            self._bytes += len(piece)
        while self.pieces and (self.pieces[0][0] <= now - self.seconds or self._bytes > self.most):
            self._bytes -= len(self.pieces.popleft()[1])


class Tcp(NamedTuple):
    """How to connect; `probes` are the seconds between two of the kernel's probes, `moves` those until a new one."""

    probes: int = 0
    moves: float = 0.0
    tls: bool = False
    verify: bool = True
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


class Connection:
    """One at a time, opened anew after it was closed or dropped."""

    def __init__(self, host: str, port: int, family: socket.AddressFamily, tcp: Tcp) -> None:
        self._place = host, port
        self._family = family
        self._tcp = tcp
        self._tls: ssl.SSLContext | None = None
        self._reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None
        self._since = 0.0

    @property
    def shown(self) -> str:
        host, port = self._place
        return f"{host}:{port}"

    @property
    def opened(self) -> bool:
        return self.writer is not None

    @property
    def ended(self) -> bool:
        """Whether the other end has closed; it never sends anything."""
        return self._reader is None or self.writer is None or self._reader.at_eof() or self.writer.is_closing()

    @property
    def served(self) -> bool:
        """Whether it is time for a new connection."""
        return self._tcp.moves > 0 and time.monotonic() - self._since >= self._tcp.moves

    async def open(self) -> None:
        host, port = self._place
        tcp = self._tcp
        if tcp.tls and self._tls is None:
            self._tls = await context(verify=tcp.verify, ca=tcp.ca, cert=tcp.cert, key=tcp.key)
        more: dict[str, Any] = {"ssl": self._tls, "ssl_shutdown_timeout": TLS_GOODBYE} if tcp.tls else {}
        try:
            self._reader, self.writer = await asyncio.open_connection(host, port, family=self._family, **more)
        except OSError as error:
            raise DeliveryError(f"cannot connect to {self.shown}: {error.strerror or error}") from error
        self._since = time.monotonic()
        if tcp.probes:
            connection: socket.socket = self.writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if sys.platform == "linux":
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, tcp.probes)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, tcp.probes)

    async def close(self) -> None:
        if self.writer is not None:
            writer, self.writer = self.writer, None
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                writer.transport.abort()

    def abort(self) -> None:
        """Drop a connection that ended or holds half of something."""
        if self.writer is not None:
            self.writer.transport.abort()
            self.writer = None

    async def send(self, piece: bytes) -> None:
        assert self.writer is not None, "what is sent needs a connection"
        self.writer.write(piece)
        await self.writer.drain()

    async def confirmed(self) -> None:
        """Wait until the other end's kernel has everything; the outlet's timeout bounds it."""
        pause = 0.0
        while True:
            if self.ended:
                raise DeliveryError(f"{self.shown} closed the connection")
            assert self.writer is not None
            if not self.writer.transport.get_write_buffer_size() and not unconfirmed(self.writer):
                return
            await asyncio.sleep(pause)
            pause = min(0.05, pause + 0.001)


def unconfirmed(writer: asyncio.StreamWriter) -> int:
    """Return how many bytes the other end's kernel has not confirmed; 0 where that cannot be known."""
    if sys.platform != "linux":
        return 0
    answer = fcntl.ioctl(writer.get_extra_info("socket").fileno(), SIOCOUTQ, struct.pack("i", 0))
    return int(struct.unpack("i", answer)[0])
