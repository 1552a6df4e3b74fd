"""The HTTP client that all collectors share: connections are kept, time and size are bounded."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from functools import lru_cache
from ssl import SSLContext, SSLError
from typing import Any

import aiohttp
from yarl import URL

from monitor.collector import CollectError, Response
from monitor.options import masked

LONGEST = 30.0
LARGE = 2 << 20
MOST_URLS = 20_000
"""So many stay parsed: more than there are pages that are asked again and again."""


class HttpClient:
    """Owns the connections. `bound` gives a view for one collector, with its own limits."""

    def __init__(self, *, connections: int = 1000, keepalive: float = 75.0) -> None:
        """Have at most so many requests at a time; keep an idle connection for `keepalive` seconds.

        That is more than the usual interval, so that most collections find their connection open.
        """
        self.connections = connections
        self.keepalive = keepalive
        self._session: aiohttp.ClientSession | None = None
        self.parsed = lru_cache(maxsize=MOST_URLS)(_parsed)

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.connections, ttl_dns_cache=60, keepalive_timeout=self.keepalive),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "monitor"},
            trust_env=False,
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def bound(self, *, timeout: float = LONGEST, max_size: int = 4 << 20) -> Bound:
        """Return a client whose requests take at most `timeout` seconds and answers `max_size` bytes."""
        return Bound(self, timeout, max_size)

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None, "the client is not open"
        return self._session


class Bound:
    """The client of one collector (`collector.Http`)."""

    def __init__(self, client: HttpClient, timeout: float, max_size: int) -> None:
        self._client = client
        self._timeout = timeout
        self._max_size = max_size

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """Return the answer whatever its status; CollectError when there is none, or it is too large."""
        return await self._ask("GET", url, headers=headers)

    async def post(
        self, url: str, body: bytes, *, headers: Mapping[str, str] | None = None, tls: SSLContext | None = None
    ) -> Response:
        """Send a body; else as `get`. `tls` is how an https address is met, where that is not the usual way."""
        skip = () if body else ("Content-Type",)  # of nothing no type is told
        how = True if tls is None else tls
        return await self._ask("POST", url, headers=headers, data=body, skip_auto_headers=skip, ssl=how)

    async def _ask(self, method: str, url: str, **request: Any) -> Response:
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.session.request(
                    method, self._client.parsed(url), allow_redirects=False, **request
                ) as answer,
            ):
                return Response(answer.status, answer.headers, await self._body(url, answer))
        except TimeoutError:
            raise CollectError(f"{masked(url)}: no answer within {self._timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CollectError(f"{masked(url)}: {_reason(error)}") from error

    async def text(self, url: str, *, headers: Mapping[str, str] | None = None) -> str:
        """Return the body of a 200 answer; CollectError otherwise."""
        answer = await self.get(url, headers=headers)
        if answer.status != 200:
            raise CollectError(f"{masked(url)}: status {answer.status} instead of 200")
        return answer.text()

    async def _body(self, url: str, answer: aiohttp.ClientResponse) -> bytes:
        parts, size = [], 0
        while part := await answer.content.readany():
            size += len(part)
            if size > self._max_size:
                raise CollectError(f"{masked(url)}: the answer is larger than {self._max_size} bytes")
            parts.append(part)
        # To put large parts together takes milliseconds, which the loop need not wait for.
        return await asyncio.to_thread(b"".join, parts) if size > LARGE else b"".join(parts)


def _parsed(url: str) -> URL:
    try:
        return URL(url)
    except ValueError:
        raise aiohttp.InvalidURL(url) from None


def _reason(error: Exception) -> str:
    """Return in a few words why there is no answer."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name is not known"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
    if isinstance(cause, SSLError):  # whose numbers are no errno
        return f"TLS: {' '.join(str(cause.strerror or cause.reason or cause).split())[:200]}"
    if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
        return os.strerror(cause.errno).lower()
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection without an answer"
    if isinstance(error, aiohttp.InvalidURL):
        return "not a URL"
    return f"{' '.join(str(cause).split())[:200] or type(error).__name__}"
