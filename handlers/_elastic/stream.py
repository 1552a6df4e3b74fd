"""A TCP connection to one of several addresses."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

from handlers._graphite.connection import unconfirmed
from monitor.handler import DeliveryError


class Stream:
    """Connects when it is needed: to the address that was met last, and to the others in turn where that is away."""

    def __init__(self, hosts: Sequence[str], *, port: int, tls: ssl.SSLContext | None, patience: float = 10.0) -> None:
        if not hosts:
            raise DeliveryError("expected at least one host")
        self._places = [_place(host, port) for host in hosts]
        self._tls = tls
        self._patience = patience
        self._at = 0
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def shown(self) -> str:
        host, port = self._places[self._at]
        return f"{host}:{port}"

    async def send(self, data: bytes) -> None:
        writer = await self._connection()
        try:
            writer.write(data)
            await writer.drain()
        except OSError as error:
            raise self._ended(error) from error

    async def read(self, count: int) -> bytes:
        assert self._reader is not None, "what is read answers what was sent"
        try:
            return await self._reader.readexactly(count)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise self._ended(error) from error

    async def confirmed(self) -> None:
        """Wait until the other end's kernel has everything that was sent (Linux; elsewhere: until our own has)."""
        assert self._reader is not None and self._writer is not None, "what is confirmed was sent"
        pause = 0.0
        while self._writer.transport.get_write_buffer_size() or unconfirmed(self._writer):
            if self._reader.at_eof() or self._writer.is_closing():
                raise self._ended(None)
            await asyncio.sleep(pause)
            pause = min(0.05, pause + 0.001)

    def abort(self) -> None:
        """Drop the connection, which may hold half a message."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._reader = self._writer = None

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            try:
                await self._writer.wait_closed()
            except OSError:
                self.abort()
            self._reader = self._writer = None

    async def _connection(self) -> asyncio.StreamWriter:
        if self._reader is not None and self._reader.at_eof():
            self.abort()
        if self._writer is not None:
            return self._writer
        failures = []
        for _ in self._places:
            host, port = self._places[self._at]
            try:
                async with asyncio.timeout(self._patience):
                    self._reader, self._writer = await asyncio.open_connection(host, port, ssl=self._tls)
            except OSError as error:  # which a TimeoutError is
                failures.append(f"cannot connect to {host}:{port}: {error.strerror or error or 'no answer'}")
                self._at = (self._at + 1) % len(self._places)
            else:
                return self._writer
        raise DeliveryError("; ".join(failures))

    def _ended(self, error: Exception | None) -> DeliveryError:
        why = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        return DeliveryError(f"{self.shown} closed the connection{why}")


def _place(host: str, port: int) -> tuple[str, int]:
    try:
        place = urlsplit(host if "://" in host else f"tcp://{host}")
        if place.hostname and place.port != 0:
            return place.hostname, place.port or port
    except ValueError:
        pass
    raise DeliveryError(f"expected HOST or HOST:PORT, got {host.rpartition('@')[2][:80]!r}")
