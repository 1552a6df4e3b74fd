"""An HTTP service at several addresses, of which any one will do."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

import aiohttp

from handlers.influxdb import retry_after
from monitor.handler import DeliveryError

AWAY = (502, 503, 504)
"""Answers of an address that cannot be used now, where another one may."""
LONGEST_ANSWER = 16 << 20


class Answer(NamedTuple):
    status: int
    body: bytes
    retry_after: float
    url: str


class Urls:
    """Asks the address that answered last, and the others in turn where that one is away."""

    def __init__(
        self, urls: Sequence[str], headers: Mapping[str, str], *, port: int, timeout: float,
        tls: ssl.SSLContext | None, username: str = "", password: str = "",
    ) -> None:  # fmt: skip
        if not urls:
            raise DeliveryError("expected at least one URL")
        places = [_place(url, port) for url in urls]
        self._urls = [
            place._replace(netloc=place.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")
            for place in places
        ]
        user = next((place for place in places if place.username), None)
        if user is not None and not username:
            username, password = unquote(user.username or ""), unquote(user.password or "")
        if username and "Authorization" not in headers:
            headers = {**headers, "Authorization": f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"}
        each = 0.9 * timeout / len(urls)
        self._at = 0
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(10.0, each), sock_read=each),
            connector=aiohttp.TCPConnector(ssl=tls if tls is not None else True),
            trust_env=True,
        )

    async def close(self) -> None:
        await self._session.close()

    def turn(self) -> None:
        """Ask the next address first from now on."""
        self._at = (self._at + 1) % len(self._urls)

    async def post(self, path: str, body: bytes, *, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Return the first answer of an address that is not away; DeliveryError where there is none."""
        failure: DeliveryError | None = None
        for _ in self._urls:
            url = self._urls[self._at]
            try:
                answer = await self._ask(url, path, body, query, headers)
            except aiohttp.ClientError as error:
                failure = DeliveryError(f"no answer from {url}: {type(error).__name__}: {error}")
                failure.__cause__ = error
            else:
                if answer.status not in AWAY:
                    return answer
                failure = DeliveryError(f"{url} answered {answer.status}", answer.retry_after)
            self.turn()
        assert failure is not None
        raise failure

    async def _ask(
        self, url: str, path: str, body: bytes, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Answer:
        async with self._session.post(
            url + path, params=query, data=BytesIO(body), headers=headers, allow_redirects=False
        ) as answer:
            found = bytearray()
            async for part in answer.content.iter_chunked(64 << 10):
                found += part
                if len(found) > LONGEST_ANSWER:
                    raise DeliveryError(f"{url} gave an answer of more than {LONGEST_ANSWER} bytes")
            told = {key.lower(): value for key, value in answer.headers.items()}
            return Answer(answer.status, bytes(found), retry_after(told), url)


def _place(url: str, port: int) -> SplitResult:
    """Return the parts of an address; one that is only HOST:PORT is http, and a port that is missing is `port`."""
    try:
        place = urlsplit(url if "://" in url else f"http://{url}")
        whole = place.scheme in ("http", "https") and bool(place.hostname) and place.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise DeliveryError(f"expected addresses of the form http://HOST:{port}, got one that is not")
    return place if place.port else place._replace(netloc=f"{place.netloc}:{port}")
