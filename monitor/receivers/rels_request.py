"""A request as it came: the parameters of its URL, and its body, which is read and unpacked within bounds."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import lz4.frame
import zstandard
from aiohttp import web

from monitor.wire.clickhouse import framing
from monitor.wire.clickhouse.errors import ClickHouseError

MOST_PARAMETERS = 500
IN_A_THREAD = 256 << 10
"""Bytes of a body from which on unpacking is a thread's work."""
LARGE = 4 << 20
"""Bytes that take so long to copy that a thread does it."""
PIECE = 64 << 10
OLD_DRIVER = "Apache-HttpClient/"


@dataclass(frozen=True, slots=True)
class Request:
    """What the URL and the headers say."""

    method: str
    path: str
    headers: Mapping[str, str]
    values: Mapping[str, str] = field(default_factory=dict)
    """The parameters of the URL; bytes that are not UTF-8 are kept as surrogates."""

    @staticmethod
    def of(request: web.BaseRequest) -> Request:
        """Read it; ClickHouseError where the URL holds too many parameters."""
        path, _, text = request.raw_path.partition("?")
        try:
            pairs = parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=MOST_PARAMETERS)
        except ValueError:
            raise ClickHouseError(36, "BAD_ARGUMENTS", f"expected at most {MOST_PARAMETERS} parameters") from None
        return Request(request.method, path, request.headers, dict(pairs))

    def on(self, name: str) -> bool:
        return self.values.get(name, "") in ("1", "true")

    @property
    def query(self) -> bytes:
        return self.values.get("query", "").encode("utf-8", "surrogateescape")

    @property
    def query_id(self) -> str:
        """What names the request; '' where nothing does."""
        given = self.values.get("query_id") or self.headers.get("X-ClickHouse-Query-Id", "")
        return given[:200].encode("utf-8", "replace").decode()

    @property
    def database(self) -> str:
        return self.values.get("database") or self.headers.get("X-ClickHouse-Database") or "default"

    @property
    def format(self) -> str:
        """The format of answers to statements that name none."""
        return self.values.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated"

    @property
    def parameters(self) -> dict[str, str]:
        """The values for `{name:Type}` in the statement."""
        return {name[6:]: value for name, value in self.values.items() if name.startswith("param_")}

    @property
    def framed(self) -> bool:
        """Whether the answer is to be in compressed blocks."""
        return self.on("compress")

    @property
    def zipped(self) -> bool:
        """Whether the answer may be compressed as a whole."""
        return self.on("enable_http_compression") and "gzip" in self.headers.get("Accept-Encoding", "").lower()

    @property
    def old(self) -> bool:
        """Whether a driver asks that finds the code of an error only before a comma."""
        return self.headers.get("User-Agent", "").startswith(OLD_DRIVER) and "X-ClickHouse-User" not in self.headers


async def body_of(request: web.BaseRequest, asked: Request, *, most: int, hold: Callable[[int], None]) -> bytes:
    """Return the body, unpacked. `hold` is told what it takes while it comes, and may raise.

    ClickHouseError where it is too large or damaged.
    """
    if (request.content_length or 0) > most:
        raise too_large(most)
    pieces: list[bytes] = []
    size = 0
    while piece := await request.content.readany():
        size += len(piece)
        hold(len(piece))
        if size > most:
            raise too_large(most)
        pieces.append(piece)
    body = await asyncio.to_thread(b"".join, pieces) if size > LARGE else b"".join(pieces)
    encoding = asked.headers.get("Content-Encoding", "").strip().lower()
    if not body or (encoding in ("", "identity") and not asked.on("decompress")):
        return body
    if len(body) > IN_A_THREAD:
        unpacked = await asyncio.to_thread(unpack, body, encoding, asked.on("decompress"), most)
    else:
        unpacked = unpack(body, encoding, asked.on("decompress"), most)
    hold(len(unpacked))
    return unpacked


def too_large(most: int) -> ClickHouseError:
    return ClickHouseError(307, "TOO_MANY_BYTES", f"expected a request of at most {most} bytes: see [[rels]] max_body")


def unpack(body: bytes, encoding: str, blocks: bool, most: int) -> bytes:
    """Undo Content-Encoding, then ClickHouse's own blocks; ClickHouseError where that is not possible."""
    if encoding not in ("", "identity"):
        if encoding not in DECODERS:
            known = ", ".join(DECODERS)
            raise ClickHouseError(48, "NOT_IMPLEMENTED", f"Content-Encoding {encoding[:40]!r}: expected one of {known}")
        try:
            body = DECODERS[encoding](body, most)
        except (zlib.error, RuntimeError, zstandard.ZstdError, EOFError) as error:
            raise ClickHouseError(271, "CANNOT_DECOMPRESS", f"Content-Encoding {encoding}: {error}") from None
    return framing.unframed(body, limit=most) if blocks else body


def _inflate(body: bytes, most: int, bits: int = 31) -> bytes:
    done: list[bytes] = []
    size = 0
    while body:
        inflater = zlib.decompressobj(bits)
        done.append(inflater.decompress(body, most - size + 1))
        size += len(done[-1])
        if size > most:
            raise too_large(most)
        if not inflater.eof:
            raise EOFError("the data end too early")
        body = inflater.unused_data
    return b"".join(done)


def _deflate(body: bytes, most: int) -> bytes:
    return _inflate(body, most, 15 if body[0] & 15 == 8 else -15)


def _lz4(body: bytes, most: int) -> bytes:
    done: list[bytes] = []
    size = 0
    while body:
        frame = lz4.frame.LZ4FrameDecompressor()
        done.append(frame.decompress(body, most - size + 1))
        size += len(done[-1])
        if size > most:
            raise too_large(most)
        if not frame.eof:
            raise EOFError("the data end too early")
        body = frame.unused_data or b""
    return b"".join(done)


def _zstd(body: bytes, most: int) -> bytes:
    done: list[bytes] = []
    size = 0
    with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(body, read_across_frames=True) as reader:
        while piece := reader.read(PIECE):
            size += len(piece)
            if size > most:
                raise too_large(most)
            done.append(piece)
    return b"".join(done)


DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _inflate,
    "x-gzip": _inflate,
    "deflate": _deflate,
    "lz4": _lz4,
    "zstd": _zstd,
}
