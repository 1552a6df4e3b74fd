"""InfluxDB 1.x (`/write`) and 2.x (`/api/v2/write`): line protocol over HTTP.

    [server]
    handlers = InfluxDBHandler
    [handlers]
    [[InfluxDBHandler]]
    url = http://influx.example.com:8086
    database = graphite            # 1.x; for 2.x: bucket, org and token instead

One line per batch: the measurement is the collector, the tags are host, collector and instance, the fields its values.
A repeated point overwrites itself. A line that InfluxDB refuses is looked for by halving, so that all others arrive.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from io import BytesIO
from time import time
from typing import Literal
from urllib.parse import unquote, urlsplit

import aiohttp
import orjson
from isal import igzip

from monitor.handler import Block, Cursor, DeliveryError, Handler, Refused, Seconds, option
from monitor.wire.influx import InfluxEncoder

PRECISIONS = {"ns": "ns", "us": "u", "ms": "ms", "s": "s"}
BAD_LINE = (400, 413, 422)


class InfluxDBHandler(Handler):
    aliases = ("InfluxdbHandler",)

    batch: int = option(250_000, "deliver at most about this many values at once", min=1, max=5_000_000)
    flush_interval: Seconds = option(Seconds(2), "wait at most this long for more to deliver together", min=0, max=600)
    url: str = option("", "address of InfluxDB; by default made of hostname, port and ssl")
    hostname: str = option("localhost", "Diamond's way to say where InfluxDB is")
    port: int = option(8086, "InfluxDB's port", min=1, max=65535)
    ssl: bool = option(False, "whether to speak HTTPS")
    username: str = option("", "user of 1.x; empty where it asks for none")
    password: str = option("", "the user's password", secret=True)
    database: str = option("graphite", "database of 1.x")
    retention_policy: str = option("", "retention policy of 1.x; empty is the database's own")
    create_database: bool = option(False, "create the database of 1.x when it is missing")
    bucket: str = option("", "bucket of 2.x; where it is given, 2.x is spoken")
    org: str = option("", "organisation of 2.x")
    token: str = option("", "token of 2.x", secret=True)
    gzip: bool = option(True, "compress what is sent")
    lines: int = option(5000, "send at most this many lines in one request", min=1, max=100_000)
    precision: Literal["ns", "us", "ms", "s"] = option("ns", "unit of the points' time")
    host_tag: Literal["host", "hostname"] = option(
        "host", "what the tag `host` holds: the host's identity, or the name that people know it by"
    )
    max_halvings: int = option(200, "send at most so many requests per write to find lines that are refused", min=0)

    _session: aiohttp.ClientSession

    async def open(self) -> None:
        host = self.naming.hostname if self.host_tag == "hostname" else str
        self._encoder = InfluxEncoder(host=host, precision=self.precision)
        self._base, user, password = self._address()
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self.token:
            headers["Authorization"] = f"Token {self.token}"
        elif user:
            headers["Authorization"] = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
        self._session = aiohttp.ClientSession(
            headers=headers, timeout=aiohttp.ClientTimeout(total=self.timeout), trust_env=True
        )

    def _address(self) -> tuple[str, str, str]:
        """Return the address without a user in it, and the user and password of either place."""
        url = self.url or f"{'https' if self.ssl else 'http'}://{self.hostname}:{self.port}"
        try:
            place = urlsplit(url)
            whole = place.scheme in ("http", "https") and bool(place.hostname) and place.port != 0
        except ValueError:
            whole = False
        if not whole:
            raise DeliveryError("url is no address of the form http://HOST:PORT")
        user, password = self.username, self.password
        if not user and place.username:
            user, password = unquote(place.username), unquote(place.password or "")
        bare = place._replace(netloc=place.netloc.rpartition("@")[2], query="", fragment="")
        return bare.geturl().rstrip("/"), user, password

    async def close(self) -> None:
        await self._session.close()

    async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
        refused: list[Refused] = []
        parts: list[bytes] = []
        count = 0
        for block in blocks:
            for lines in self._encoder.encode(block):
                at = 0
                while at < len(lines):
                    some = lines[at : at + self.lines - count]
                    parts.append("\n".join(some).encode())
                    at += len(some)
                    count += len(some)
                    if count >= self.lines:
                        refused += await self._deliver(parts)
                        parts, count = [], 0
                await asyncio.sleep(0)
        if parts:
            refused += await self._deliver(parts)
        return refused

    async def _deliver(self, parts: list[bytes]) -> list[Refused]:
        """Send one request; where lines of it are refused, send ever smaller ones so that the others arrive."""
        refused: list[Refused] = []
        status, reason = await self._send(parts)
        if status not in BAD_LINE:
            return refused
        lines = b"\n".join(parts).split(b"\n")
        pieces = [(lines, status, reason)]
        halvings = 0
        while pieces:
            piece, status, reason = pieces.pop()
            if len(piece) == 1:
                refused.append(Refused(piece[0].partition(b" ")[0][:200].decode("utf-8", "replace"), reason[:200]))
            elif halvings >= self.max_halvings and status != 413:
                refused += self._given_up(piece, reason)
            else:
                halvings += 1
                middle = len(piece) // 2
                for half in (piece[:middle], piece[middle:]):
                    status, reason = await self._send(half)
                    if status in BAD_LINE:
                        pieces.append((half, status, reason))
        return refused

    def _given_up(self, part: list[bytes], reason: str) -> Iterator[Refused]:
        """Refuse what need not be looked for any longer: of a partial write the rest was taken."""
        count = len(part)
        if reason.startswith("partial write") and (dropped := reason.rpartition("dropped=")[2]).isdigit():
            count = min(count, max(1, int(dropped)))
        for _ in range(count):
            yield Refused(f"one of {len(part)} lines", reason[:200])

    async def _send(self, parts: list[bytes]) -> tuple[int, str]:
        """Return the status and, where that is one of BAD_LINE, the reason; raise where it is not about the lines."""
        body = await asyncio.to_thread(pack, parts, self.gzip)
        status, reason, headers = await self._post(self._target(), body, gzipped=self.gzip)
        if status == 404 and self.create_database and not self.bucket and "database not found" in reason:
            await self._create()
            status, reason, headers = await self._post(self._target(), body, gzipped=self.gzip)
        if status in (200, 204) or status in BAD_LINE:
            return status, reason
        raise DeliveryError(f"InfluxDB answered {status}: {reason or 'without a reason'}", retry_after(headers))

    async def _create(self) -> None:
        name = self.database.replace("\\", "\\\\").replace('"', '\\"')
        status, reason, headers = await self._post(("/query", {"q": f'CREATE DATABASE "{name}"'}), b"")
        if status != 200:
            text = f"InfluxDB answered {status} to CREATE DATABASE: {reason or 'without a reason'}"
            raise DeliveryError(text, retry_after(headers))

    def _target(self) -> tuple[str, dict[str, str]]:
        if self.bucket:
            return "/api/v2/write", {"bucket": self.bucket, "org": self.org, "precision": self.precision}
        query = {"db": self.database, "precision": PRECISIONS[self.precision]}
        return "/write", query | ({"rp": self.retention_policy} if self.retention_policy else {})

    async def _post(
        self, target: tuple[str, dict[str, str]], body: bytes, *, gzipped: bool = False
    ) -> tuple[int, str, dict[str, str]]:
        path, query = target
        headers = {"Content-Encoding": "gzip"} if gzipped else {}
        try:
            async with self._session.post(
                self._base + path, params=query, data=BytesIO(body), headers=headers, allow_redirects=False
            ) as answer:
                text = await answer.content.read(64 << 10)
                return answer.status, reason_of(text), {key.lower(): value for key, value in answer.headers.items()}
        except aiohttp.ClientError as error:
            raise DeliveryError(f"no answer from {self._base}: {type(error).__name__}: {error}") from error


def pack(parts: list[bytes], gzip: bool) -> bytes:
    """Return the body of a request; made in a thread, for it may be some MB."""
    body = b"\n".join(parts) + b"\n"
    return igzip.compress(body, compresslevel=1) if gzip else body


def reason_of(body: bytes) -> str:
    """Return what an answer says went wrong, in one line: 1.x has `error`, 2.x `message`."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return " ".join(body.decode("utf-8", "replace").split())[:300]
    text = (found.get("message") or found.get("error") or "") if isinstance(found, dict) else ""
    return " ".join(str(text).split())[:500]


def retry_after(headers: dict[str, str]) -> float:
    """Return the seconds that the server asks to wait: a number, or a date (RFC 9110, 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except ValueError:
        return 0.0
