"""Stand-ins for Logstash's http, beats and tcp inputs: what they take lies in `events`.

The beats input is checked with the package pylogbeat, a sender of its own, in test_logstash.py.
"""

from __future__ import annotations

import asyncio
import json
import struct
import zlib
from typing import Any

from aiohttp import web
from appliance import free_port


class HttpInput:
    def __init__(self, *, longest: int = 100 << 20) -> None:
        self.longest = longest
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.events: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []

    async def __aenter__(self) -> HttpInput:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.headers.append(dict(request.headers))
        if self.answers:
            status, headers = self.answers.pop(0)
            return web.Response(status=status, headers=headers, text="busy")
        if len(body) > self.longest:
            return web.Response(status=413, text="too large")
        assert request.method == "POST" and request.content_type == "application/json"
        told = json.loads(body)
        self.events += told if isinstance(told, list) else [told]
        return web.Response(text="ok")


class BeatsInput:
    """Takes windows; after `cut` more events it acknowledges those and ends the connection."""

    def __init__(self) -> None:
        self.port = free_port()
        self.events: list[dict[str, Any]] = []
        self.windows: list[int] = []
        self.cut: int | None = None
        self.keep_alive = False
        self.compressed = 0

    async def __aenter__(self) -> BeatsInput:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._window(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _window(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(2)
        assert head == b"2W", head
        (size,) = struct.unpack(">I", await reader.readexactly(4))
        self.windows.append(size)
        if self.keep_alive:
            writer.write(b"2A\0\0\0\0")
        found: list[tuple[int, bytes]] = []
        while len(found) < size:
            found += await self._frame(reader)
        for number, text in found:
            if self.cut is not None:
                if not self.cut:
                    self.cut = None
                    writer.write(b"2A" + struct.pack(">I", number - 1))
                    await writer.drain()
                    raise ConnectionError
                self.cut -= 1
            self.events.append(json.loads(text))
        writer.write(b"2A" + struct.pack(">I", found[-1][0]))
        await writer.drain()

    async def _frame(self, reader: asyncio.StreamReader) -> list[tuple[int, bytes]]:
        kind = await reader.readexactly(2)
        if kind == b"2J":
            number, length = struct.unpack(">II", await reader.readexactly(8))
            return [(number, await reader.readexactly(length))]
        assert kind == b"2C", kind
        self.compressed += 1
        (length,) = struct.unpack(">I", await reader.readexactly(4))
        inner = asyncio.StreamReader(limit=1 << 30)
        inner.feed_data(zlib.decompress(await reader.readexactly(length)))
        inner.feed_eof()
        found = []
        while not inner.at_eof():
            found += await self._frame(inner)
        return found


class LinesInput:
    def __init__(self) -> None:
        self.port = free_port()
        self.events: list[dict[str, Any]] = []

    async def __aenter__(self) -> LinesInput:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 24)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.events.append(json.loads(line))
        writer.close()
