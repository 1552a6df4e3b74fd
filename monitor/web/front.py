"""Where connections come in. What is no HTTP at all is answered and counted here, and fills no log."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from monitor.web.problem import ProblemError
from monitor.web.routes import ANSWERS, PROBLEM, SECURITY

log = logging.getLogger("monitor.web")

QUIET = 600.0
"""Seconds without one after which the next request that cannot be read is logged again."""
UNREADABLE = "unreadable"
"""The route under which they are counted in /metrics."""


class Front:
    """Serves an application on a socket that listens already."""

    def __init__(
        self, app: web.Application, *, grace: float, longest_line: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Give running requests `grace` seconds at the end; a request's first line has at most so many bytes."""
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=grace)
        self._answers = app[ANSWERS]
        self._longest_line = longest_line
        self._clock = clock
        self._last = -QUIET
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        await self._runner.setup()
        self._server = await asyncio.get_running_loop().create_server(self._connection, sock=listening)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _connection(self) -> asyncio.Protocol:
        assert self._runner.server is not None
        return Connection(
            self, self._runner.server, loop=asyncio.get_running_loop(), access_log=None,
            max_line_size=self._longest_line,
        )  # fmt: skip

    def unreadable(self, peer: str | None, reason: str) -> web.Response:
        """Answer a request that cannot be read; only the first for a while is logged."""
        key = (UNREADABLE, 400)
        self._answers[key] = self._answers.get(key, 0) + 1
        now = self._clock()
        if now - self._last >= QUIET:
            fields = {
                "peer": peer,
                "reason": reason,
                "more": f'none for {QUIET:g} s; /metrics counts them as "{UNREADABLE}"',
            }
            log.warning("web.unreadable", extra={"fields": fields})
        self._last = now
        request_id = secrets.token_hex(8)
        problem = ProblemError(400, f"expected a request of HTTP/1.1: {reason}")
        headers = {**SECURITY, "Cache-Control": "no-store", "X-Request-ID": request_id}
        response = web.Response(body=problem.body(request_id), status=400, content_type=PROBLEM, headers=headers)
        response.force_close()
        return response


class Connection(web.RequestHandler):
    """One connection."""

    __slots__ = ("_front",)

    def __init__(self, front: Front, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._front = front

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp's parser refuses; what else fails outside of the application stays aiohttp's."""
        if isinstance(exc, HttpProcessingError) and request.writer.output_size == 0:
            return self._front.unreadable(request.remote, (message or "").partition("\n")[0][:100].rstrip(": "))
        return super().handle_error(request, status, exc, message)
