"""Lines in UDP datagrams, sent no faster than their receiver's buffer is emptied."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

from monitor.handler import DeliveryError

BURST = 0.02
"""Seconds' worth of bytes that go at once: some 20 kB at the default rate, a tenth of Linux' usual buffer."""
HEARD = 0.005
"""Seconds in which a host nearby says that nobody takes what was sent."""


class Datagrams:
    """A socket that is connected, so that the other host's refusal (ICMP) is heard; made anew after one."""

    def __init__(self, host: str, port: int, *, family: socket.AddressFamily, size: int, rate: float) -> None:
        self._place = host, port
        self._family = family
        self._size = size
        self._rate = rate
        self._due = 0.0
        self._refusals = 0
        self._socket: socket.socket | None = None

    @property
    def shown(self) -> str:
        host, port = self._place
        return f"{host}:{port}"

    @property
    def opened(self) -> bool:
        return self._socket is not None

    @property
    def ended(self) -> bool:
        """Whether the other host has said that nobody takes what was sent; it says so once."""
        return self._error() != 0

    @property
    def served(self) -> bool:
        return False

    async def open(self) -> None:
        """Find the address; nothing is sent, so that nothing tells whether anybody is there."""
        try:
            found = await self.addresses()
            kind, where = found[self._refusals % len(found)]
            self._socket = socket.socket(kind, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.connect(where)
        except OSError as error:
            self.abort()
            self._refusals += 1
            raise DeliveryError(f"cannot send to {self.shown}: {error.strerror or error}") from error

    async def addresses(self) -> list[tuple[int, Any]]:
        """Return the families and addresses of the host, IPv4 first.

        carbon and statsd listen there, and what nobody takes elsewhere may be lost unseen.
        """
        host, port = self._place
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=self._family, type=socket.SOCK_DGRAM)
        return sorted(((one[0], one[4]) for one in found), key=lambda one: one[0] != socket.AF_INET)

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def send(self, lines: bytes) -> None:
        """Send whole lines, as many in a datagram as it holds."""
        for datagram in packed(lines, self._size):
            await self._one(datagram)
            now = time.monotonic()
            self._due = max(now, self._due) + len(datagram) / self._rate
            if self._due - now > BURST:
                await asyncio.sleep(self._due - now)

    async def confirmed(self) -> None:
        """Raise when the other host has said that nobody takes it; a silent one confirms nothing."""
        await asyncio.sleep(HEARD)
        if code := self._error():
            raise self._refused(os.strerror(code))

    def _error(self) -> int:
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if self._socket is not None else 0
        # The next socket is for the next address of the host.
        self._refusals += code != 0
        return code

    async def _one(self, datagram: bytes) -> None:
        assert self._socket is not None, "what is sent needs a socket"
        while True:
            try:
                self._socket.send(datagram)
            except BlockingIOError:
                await asyncio.sleep(0.001)
            except OSError as error:
                self._refusals += 1
                raise self._refused(error.strerror or str(error)) from error
            else:
                return

    def _refused(self, reason: str) -> DeliveryError:
        return DeliveryError(f"{self.shown} does not take datagrams: {reason}")


def packed(lines: bytes, size: int) -> Iterator[bytes]:
    """Yield the lines in pieces of at most `size` bytes, a longer line as a piece of its own."""
    start = 0
    while start < len(lines):
        end = len(lines)
        if end - start > size:
            end = lines.rfind(b"\n", start, start + size) + 1 or lines.find(b"\n", start) + 1 or end
        yield lines[start:end]
        start = end
