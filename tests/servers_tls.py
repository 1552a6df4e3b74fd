"""A relay in front of a port of the loopback that can be cut, with TLS where asked for, as a proxy before carbon."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from pathlib import Path

from appliance import free_port
from debian import need


def certificate(directory: Path) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1 and its key."""
    found, key = directory / "certificate.pem", directory / "key.pem"
    if not found.exists():
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        command = [need("openssl"), "req", "-x509", *curve, *subject, "-keyout", str(key), "-out", str(found)]
        subprocess.run(command, check=True, capture_output=True)
    return found, key


class Relay:
    """Starts on the same port again after `stop`, which ends its connections."""

    def __init__(self, behind: int, tls: tuple[Path, Path] | None = None) -> None:
        self.port = free_port()
        self._behind = behind
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        context = None
        if self._tls is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*self._tls)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            self._writers.clear()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, there = await asyncio.open_connection("127.0.0.1", self._behind)
        self._writers += (writer, there)
        for one in (self._pass(reader, there), self._pass(back, writer)):
            task = asyncio.create_task(one)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
