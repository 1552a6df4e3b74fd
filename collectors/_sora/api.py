"""Sora's API: every operation is a POST to one address, and a header says which one it is."""

from __future__ import annotations

import asyncio
import re
import ssl
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import orjson

from monitor.collector import CollectError, Http

OPERATIONS = {
    "stats": "Sora_20171010.GetStatsReport",
    "connections": "Sora_20171101.GetStatsAllConnections",
    "license": "Sora_20171218.GetLicense",
    "cluster": "Sora_20211215.ListClusterNodes",
}
"""The operations by metricset."""
JSON = {"Content-Type": "application/json"}


class Tls(NamedTuple):
    """How an https address is met."""

    verify: bool
    ca: Path | None
    cert: Path | None
    key: Path | None

    def context(self) -> ssl.SSLContext:
        """Return what the client needs; it reads files."""
        made = ssl.create_default_context(cafile=self.ca)
        if not self.verify:
            made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        if self.cert is not None:
            made.load_cert_chain(self.cert, self.key)
        return made


class Api:
    def __init__(self, url: str, headers: dict[str, str], tls: Tls) -> None:
        self.url = url
        self.shown = re.sub(r"//[^/]*@", "//", url)
        self.place = urlsplit(self.shown).netloc
        """HOST:PORT, as Sorabeat's documents call it."""
        self._headers = headers
        self._tls = tls
        self._context: ssl.SSLContext | None = None

    async def ask(self, http: Http, metricset: str, *, whole: bool = False) -> bytes:
        """Return the body of a metricset's operation; `whole` is of the whole cluster instead of this node."""
        if self._context is None and self.url.startswith("https:"):
            try:
                self._context = await asyncio.to_thread(self._tls.context)
            except OSError as error:  # which an ssl.SSLError is
                raise CollectError(f"expected usable TLS files: {error}") from error
        headers = {**self._headers, "x-sora-target": OPERATIONS[metricset], **(JSON if whole else {})}
        body = b'{"local":false}' if whole else b""
        answer = await http.post(self.url, body, headers=headers, tls=self._context)
        if answer.status != 200:
            raise CollectError(f"{self.shown}: status {answer.status} instead of 200{_why(answer.body)}")
        return answer.body


def _why(body: bytes) -> str:
    """Return the `error_type` of an answer that Sora gives when it refuses."""
    try:
        found = orjson.loads(body) if len(body) <= 4096 else None
    except orjson.JSONDecodeError:
        return ""
    kind = found.get("error_type") if isinstance(found, dict) else None
    return f" ({kind[:80]})" if isinstance(kind, str) else ""


def address(url: str, host: str, path: str) -> str:
    """Return the full address: the scheme may be missing, and `path` stands for one that is not there."""
    whole = url if "://" in url else f"http://{url or f'{host}:3000'}"
    try:
        parts = urlsplit(whole)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise CollectError(f"expected a URL such as http://127.0.0.1:3000/, got {url[:80]!r}")
    return parts._replace(path="/" + path.lstrip("/")).geturl() if parts.path in ("", "/") else whole


def header(lines: Sequence[str]) -> dict[str, str]:
    """Return headers that are written `NAME: VALUE`."""
    found = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or not (name + value).isprintable():
            raise CollectError(f"expected a header NAME: VALUE, got {name[:40]!r}")
        found[name.strip()] = value.strip()
    return found


def basic(user: str, password: str) -> str:
    """Return the header of basic authentication."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
