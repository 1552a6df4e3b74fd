"""Asks Elasticsearch, OpenSearch or their Kibana once each: for commands that somebody waits for."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import aiohttp
import orjson

from monitor.handler import SetupAwayError, SetupError
from monitor.wire.bulk import reason

LONGEST = 32 << 20


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    json: Any
    """None where it is no JSON."""
    text: str

    @property
    def why(self) -> str:
        """What it says is wrong, in one line."""
        found = self.json
        if isinstance(found, dict):
            error = found.get("error")
            text = reason(error) if isinstance(error, dict) else ": ".join(
                str(found[name]) for name in ("error", "message") if found.get(name)
            )  # fmt: skip
            if text:
                return text[:500]
        return " ".join(self.text.split())[:200] or "without a reason"


def authorization(*, username: str, password: str, api_key: str, token: str) -> dict[str, str]:
    """Return the header that says who asks; none where nobody is named."""
    if api_key:
        key = api_key.strip()
        return {"Authorization": f"ApiKey {b64encode(key.encode()).decode() if ':' in key else key}"}
    if token:
        return {"Authorization": f"Bearer {token.strip()}"}
    if username:
        return {"Authorization": f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"}
    return {}


class Client:
    """Asks the first of several addresses that answers."""

    def __init__(
        self, urls: Sequence[str], *, port: int, headers: Mapping[str, str], tls: ssl.SSLContext | None, timeout: float
    ) -> None:
        self._places = [_place(url, port) for url in urls]
        if not self._places:
            raise SetupError("expected at least one URL")
        self._headers = headers
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(10.0, timeout))

    async def __aenter__(self) -> Client:
        self._session = aiohttp.ClientSession(
            timeout=self._timeout, trust_env=True,
            connector=aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True),
        )  # fmt: skip
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    @property
    def url(self) -> str:
        """The address in use, without secrets."""
        return self._places[0][0]

    async def ask(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:  # fmt: skip
        """Return an answer, whatever its status; `body` is JSON, or a form. SetupAwayError where there is none."""
        failures = []
        for _ in range(len(self._places)):
            url, own = self._places[0]
            try:
                return await self._ask(method, url + path, body, query, {**own, **self._headers, **(headers or {})})
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failures.append(f"{url}: {_said(error)}")
                self._places.append(self._places.pop(0))
        raise SetupAwayError(f"no answer from {'; '.join(failures)}")

    async def _ask(
        self, method: str, url: str, body: Any, query: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> Reply:
        data = body
        if body is not None and not isinstance(body, aiohttp.MultipartWriter):
            data, headers = orjson.dumps(body), {"Content-Type": "application/json", **headers}
        async with self._session.request(
            method, url, data=data, params=query, headers=headers, allow_redirects=False
        ) as answer:
            found = bytearray()
            async for part in answer.content.iter_chunked(64 << 10):
                found += part
                if len(found) > LONGEST:
                    raise SetupError(f"{url} gave an answer of more than {LONGEST} bytes")
            try:
                told = orjson.loads(bytes(found))
            except orjson.JSONDecodeError:
                told = None
            lower = {key.lower(): value for key, value in answer.headers.items()}
            return Reply(answer.status, lower, told, bytes(found[:2000]).decode("utf-8", "replace"))


def checked(reply: Reply, what: str, *good: int) -> Reply:
    """Return an answer of one of these statuses (200); SetupError says what the others mean."""
    if reply.status in (good or (200,)):
        return reply
    hint = {401: "; check the credentials", 403: "; these credentials lack the right to it"}.get(reply.status, "")
    raise SetupError(f"{what}: status {reply.status}: {reply.why}{hint}")


def _said(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {error.certificate_error}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _place(url: str, port: int) -> tuple[str, dict[str, str]]:
    """Return an address without its user, and the header that the user stands for."""
    try:
        place = urlsplit(url if "://" in url else f"http://{url}")
        whole = place.scheme in ("http", "https") and bool(place.hostname) and place.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise SetupError(f"expected addresses of the form http://HOST:{port}, got one that is not")
    shown = place.netloc.rpartition("@")[2]
    shown = shown if place.port else f"{shown}:{port}"
    own = authorization(
        username=unquote(place.username or ""), password=unquote(place.password or ""), api_key="", token=""
    )
    return place._replace(netloc=shown, query="", fragment="").geturl().rstrip("/"), own
