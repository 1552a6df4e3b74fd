"""A large JSON text in pieces: its list of virtual hosts cut out and parsed one by one, so that nothing else waits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from collectors._ston import xml
from collectors._ston.lenient import LARGE, loads
from monitor.collector import CollectError

Made = TypeVar("Made")

SMALL = 65536
"""What is larger is cut, and read in a thread where it cannot be."""
LISTS = {name: re.compile(rb'"%s"\s*:\s*\[' % name.encode()) for name in ("VirtualHost", "View", "Channel")}
SEAM = re.compile(rb"\}\s*(?:,\s*)?([{\]])")
OPENED, CLOSED = re.compile(rb"<VirtualHost\s"), b"</VirtualHost>"
EMPTY = re.compile(rb"\s*\]")
BOM = b"\xef\xbb\xbf"


def cut(data: bytes, name: str) -> tuple[bytes, list[bytes]]:
    """Return a text without the elements of its list of this name, and those; the text as it is where that fails.

    Braces are counted without looking whether they stand in a name: the pieces that come of one that does are no JSON.
    """
    found = LISTS[name].search(data)
    if found is None or EMPTY.match(data, found.end()):
        return data, []
    pieces: list[bytes] = []
    begin = at = found.end()
    depth = 0
    for seam in SEAM.finditer(data, begin):
        end = seam.start() + 1
        depth += data.count(b"{", at, end) - data.count(b"}", at, end)
        at = end
        if depth == 0:
            pieces.append(data[begin:end])
            begin = seam.end() - 1
            if seam[1] == b"]":
                return data[: found.end()] + data[begin:], pieces
        elif depth < 0:
            break
    return data, []


async def read(data: bytes, take: Callable[[Any], Made]) -> tuple[dict[str, Any], list[Made]]:
    """Return the `Host` of an answer without its virtual hosts, and what `take` makes of each of those."""
    data = data.removeprefix(BOM)
    if data.lstrip()[:1] == b"<":
        return await _of_xml(data, take)
    head, pieces = await asyncio.to_thread(cut, data, "VirtualHost") if len(data) > LARGE else cut(data, "VirtualHost")
    if len(head) > SMALL:
        head, _ = cut(head, "View")
    try:
        found = host(await parsed(head))
        made = []
        for piece in pieces:
            made.append(take(await _vhost(piece)))
            await asyncio.sleep(0)
    except CollectError:
        if not pieces:
            raise
    else:
        if pieces:
            return found, made
    return await _taken(host(await parsed(data)) if pieces else found, take)


async def _of_xml(data: bytes, take: Callable[[Any], Made]) -> tuple[dict[str, Any], list[Made]]:
    """Read virtual hosts one by one: the tree of all of them would be so large that freeing it is felt."""
    head, pieces = cut_xml(data) if len(data) > SMALL else (data, [])
    made: list[Made] = []
    try:
        found = host(await xml.loads(head)) if pieces else {}
        for piece in pieces:
            tree = await xml.loads(piece)
            (vhost,) = listed(tree.get("VirtualHost"))
            made.append(take(vhost))
    except (CollectError, ValueError):
        pieces = []  # tags that do not match: where all is read together that is forgiven
    return (found, made) if pieces else await _taken(host(await xml.loads(data)), take)


def cut_xml(data: bytes) -> tuple[bytes, list[bytes]]:
    """Return a document without its virtual hosts, and those."""
    rest, pieces, at = [], [], 0
    while found := OPENED.search(data, at):
        end = data.find(CLOSED, found.end()) + len(CLOSED)
        if end < len(CLOSED):
            break
        rest.append(data[at : found.start()])
        pieces.append(data[found.start() : end])
        at = end
    return b"".join((*rest, data[at:])), pieces


async def _taken(found: dict[str, Any], take: Callable[[Any], Made]) -> tuple[dict[str, Any], list[Made]]:
    made = []
    for one in listed(found.pop("VirtualHost", None)):
        made.append(take(one))
        await asyncio.sleep(0)
    return found, made


async def parsed(data: bytes) -> Any:
    """Return the value of a text; a large or faulty one is read in a thread."""
    if len(data) <= SMALL:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            pass
    return await asyncio.to_thread(loads, data)


async def _vhost(data: bytes) -> dict[str, Any]:
    head, pieces = cut(data, "Channel") if len(data) > SMALL else (data, [])
    found = await parsed(head)
    if not isinstance(found, dict):
        raise CollectError(f"expected a virtual host, got {str(found)[:80]!r}")
    if pieces:
        found["Channel"] = channels = []
        for piece in pieces:
            await asyncio.sleep(0)
            channels.append(await parsed(piece))
    return found


def host(tree: Any) -> dict[str, Any]:
    found = tree.get("Host") if isinstance(tree, dict) else None
    if not isinstance(found, dict):
        raise CollectError(f"expected STON's statistics, got {str(tree)[:80]!r}")
    return found


def listed(value: Any) -> list[Any]:
    """Return a list as it is, one alone as a list of it, and of all else an empty one."""
    return value if isinstance(value, list) else [value] if isinstance(value, dict) else []
