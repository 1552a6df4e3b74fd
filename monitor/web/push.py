"""POST /api/v1/push: reads the body within its bounds, and answers when the journal has the batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from monitor.batch import Batch
from monitor.pipeline import Busy
from monitor.receivers.push import BodyError, Bounds, parse
from monitor.web.answers import JSON, answer
from monitor.web.problem import ProblemError
from monitor.web.services import Services

SLICE = 0.003
"""Seconds of work before the loop gets its turn."""
AT_ONCE = 4
"""Bodies of the largest size that may be read at the same time."""


@dataclass(slots=True)
class PushStats:
    requests: int = 0
    accepted: int = 0
    rejected: int = 0


class Push:
    def __init__(self, services: Services, *, timeout: float = 60.0) -> None:
        self.services = services
        self.timeout = timeout
        self.stats = PushStats()
        self._reading = 0

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Take batches, as JSON."""
        json_only(request)
        self.stats.requests += 1
        batches: list[Batch] = []
        places: list[int] = []
        rejected: list[tuple[int, str]] = []
        async with self.body(request) as body:
            await self._parse(body, batches, places, rejected)
            del body
            try:
                reasons = await self.services.parts.pipeline.accept(batches)
            except Busy as error:
                raise ProblemError(503, f"send all of it again: {error}", headers={"Retry-After": "5"}) from None
        refused = zip(places, reasons, strict=True)
        rejected += [(index, reason) for index, reason in refused if reason is not None]
        accepted = reasons.count(None)
        self.stats.accepted += accepted
        self.stats.rejected += len(rejected)
        return answer(
            {"accepted": accepted, "rejected": [{"index": i, "error": reason} for i, reason in sorted(rejected)]}
        )

    async def _parse(
        self, body: bytes, batches: list[Batch], places: list[int], rejected: list[tuple[int, str]]
    ) -> None:
        push = self.services.config.push
        bounds = Bounds(float(push.past), float(push.ahead))
        began = time.perf_counter()
        index = 0
        try:
            for part in parse(body, now=self.services.clock(), bounds=bounds):
                for one in part:
                    if isinstance(one, Batch):
                        batches.append(one)
                        places.append(index)
                    else:
                        rejected.append((index, one))
                    index += 1
                if time.perf_counter() - began > SLICE:
                    await asyncio.sleep(0)
                    began = time.perf_counter()
        except BodyError as error:
            raise ProblemError(400, str(error)) from None

    @asynccontextmanager
    async def body(self, request: web.Request) -> AsyncIterator[bytes]:
        """Give the body, unpacked, within the bounds of one and of all that are worked on."""
        given = [await self._body(request)]
        held = len(given[0])
        try:
            # Whoever takes it can let it go before all is done.
            yield given.pop()
        finally:
            self._reading -= held

    async def _body(self, request: web.Request) -> bytes:
        """Return the body, unpacked; its size is added to what is being read."""
        most = int(self.services.config.push.max_body)
        encoding = request.headers.get("Content-Encoding", "identity").lower()
        if encoding not in ("identity", "gzip"):
            raise ProblemError(415, f"expected Content-Encoding: gzip or none, got {encoding[:40]!r}")
        if (request.content_length or 0) > most:
            raise too_large(most)
        body = bytearray()
        try:
            async with asyncio.timeout(self.timeout):
                async for piece in request.content.iter_any():
                    self._add(body, piece, most)
        except TimeoutError:
            self._reading -= len(body)
            raise ProblemError(408, f"expected the whole body within {self.timeout:g} s") from None
        except BaseException:
            self._reading -= len(body)
            raise
        return bytes(body)

    def _add(self, body: bytearray, piece: bytes, most: int) -> None:
        if len(body) + len(piece) > most:
            raise too_large(most)
        if self._reading + len(piece) > AT_ONCE * most:
            raise ProblemError(503, "too many large bodies at the same time", headers={"Retry-After": "1"})
        body += piece
        self._reading += len(piece)


def json_only(request: web.Request) -> None:
    """Refuse other types: JSON no web site can send through a visitor's browser without being allowed to.

    A browser can send a body without a type, but always says with it where that comes from.
    """
    if "Content-Type" not in request.headers:
        by_browser = "Origin" in request.headers or "Sec-Fetch-Site" in request.headers
        got = "none, from a web page" if by_browser else ""
    else:
        got = "" if request.content_type == JSON else repr(request.content_type[:80])
    if got:
        detail = f"expected the header Content-Type: {JSON}, got {got}; with curl: -H 'Content-Type: {JSON}'"
        raise ProblemError(415, detail, headers={"Accept-Post": JSON})


def too_large(most: int) -> ProblemError:
    return ProblemError(413, f"expected a body of at most {most} bytes")
