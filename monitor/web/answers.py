"""JSON answers of any length: made and sent in slices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson
from aiohttp import web

JSON = "application/json"
STARTED = web.RequestKey("started", web.StreamResponse)
"""Where a request keeps the answer of which a part was sent already."""
AT_ONCE = 256 << 10
"""A longer answer is sent while it is made."""
OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a short JSON answer; NaN is null."""
    body = orjson.dumps(data, option=OPTIONS | orjson.OPT_APPEND_NEWLINE)
    return web.Response(body=body, status=status, content_type=JSON, headers=headers)


async def listing(
    request: web.Request, key: str, slices: AsyncIterator[Sequence[Any]], **more: Any
) -> web.StreamResponse:
    """Answer `{…more, key: [all items of the slices]}`; the loop gets its turn between the slices."""
    head = orjson.dumps(more, option=OPTIONS)[:-1] + (b"," if more else b"") + b'"' + key.encode() + b'":['
    made, size = [head], len(head)
    response: web.StreamResponse | None = None
    first = True
    async for items in slices:
        if items:
            made.append((b"" if first else b",") + orjson.dumps(items, option=OPTIONS)[1:-1])
            size += len(made[-1])
            first = False
        if size > AT_ONCE and request.method != "HEAD":
            if response is None:
                response = web.StreamResponse(headers={"Content-Type": JSON})
                request[STARTED] = response
                await response.prepare(request)
            await response.write(b"".join(made))
            made, size = [], 0
        await asyncio.sleep(0)
    made.append(b"]}\n")
    if response is None:
        return web.Response(body=b"".join(made), content_type=JSON)
    await response.write_eof(b"".join(made))
    return response
