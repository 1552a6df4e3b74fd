"""Style, scripts and pictures of the pages: read once, with a version in their address."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from monitor.resources import resource
from monitor.web.problem import unknown

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
SHORT = 1400
"""Bytes that fit into one packet anyway."""
LEVEL = 4
REFUSED = re.compile(r"\bgzip\s*;\s*q=0(\.0*)?\s*(,|$)")


class Static(NamedTuple):
    body: bytes
    packed: bytes
    type: str
    version: str


class Statics:
    def __init__(self) -> None:
        self.files = {path.name: _read(path) for path in sorted(resource("static").iterdir()) if path.is_file()}

    def link(self, name: str) -> str:
        """Return the address of a file, which changes with what is in it."""
        return f"/static/{name}?v={self.files[name].version}"

    async def static(self, request: web.Request) -> web.Response:
        found = self.files.get(request.match_info["name"])
        if found is None:
            raise unknown("name", "file", request.match_info["name"], self.files)
        fresh = request.query.get("v") == found.version
        age = "max-age=31536000, immutable" if fresh else "max-age=300"
        headers = {"Cache-Control": f"private, {age}", "ETag": f'"{found.version}"', "Vary": "Accept-Encoding"}
        body = found.body
        if takes_gzip(request) and len(found.packed) < len(body):
            body = found.packed
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, content_type=found.type, headers=headers)


def takes_gzip(request: web.Request) -> bool:
    """Tell whether an answer may be packed."""
    header = request.headers.get("Accept-Encoding", "").lower()
    return "gzip" in header and not REFUSED.search(header)


async def packed(request: web.Request, body: bytes) -> tuple[bytes, dict[str, str]]:
    """Return an answer's body, packed if that is worth it and wanted, and the headers that say so."""
    if len(body) <= SHORT or not takes_gzip(request):
        return body, {}
    return await asyncio.to_thread(gzip.compress, body, LEVEL), {"Content-Encoding": "gzip"}


def _read(path: Path) -> Static:
    body = path.read_bytes()
    kind = TYPES.get(path.suffix, "application/octet-stream")
    return Static(body, gzip.compress(body, 9, mtime=0), kind, hashlib.blake2b(body, digest_size=8).hexdigest())
