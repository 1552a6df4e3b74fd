"""Sora's answers: a large list is cut into its elements, which are parsed one by one, so that nothing else waits."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from monitor.collector import CollectError

LARGE = 262144
"""One call on more bytes than this would hold up all threads for too long."""
TURN = 0.002
"""Seconds of work after which the loop gets its turn."""
BETWEEN = re.compile(rb"[\s,]{1,4096}|null")
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}"]', re.DOTALL)
BOM = b"\xef\xbb\xbf"


class Turn:
    """Gives the loop its turn when enough was done since the last one."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    async def pause(self) -> None:
        if time.perf_counter() - self._began > TURN:
            await asyncio.sleep(0)
            self._began = time.perf_counter()


def mapping(data: bytes, what: str) -> dict[str, Any]:
    """Return the object that an answer is; CollectError for any other answer."""
    if len(data) > LARGE:
        raise CollectError(f"expected {what} of at most {LARGE} bytes, got {len(data)}")
    try:
        found = orjson.loads(data.removeprefix(BOM))
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise CollectError(f"expected {what}, got {_shown(data)}")
    return found


async def each(data: bytes, what: str, take: Callable[[dict[str, Any]], None]) -> None:
    """Call `take` with each object of the list that an answer is; nulls in it, or in its place, are none."""
    data = data.removeprefix(BOM)
    if data[:64].strip() == b"null":
        return
    turn = Turn()
    for found in _elements(data, what):
        take(found)
        await turn.pause()


def _elements(data: bytes, what: str) -> Iterator[dict[str, Any]]:
    at = len(data) - len(data.lstrip()) if data[:1].isspace() else 0
    if data[at : at + 1] != b"[":
        raise CollectError(f"expected {what}, got {_shown(data)}")
    at += 1
    while True:
        while (gap := BETWEEN.match(data, at)) is not None:
            at = gap.end()
        if data[at : at + 1] != b"{":
            break
        at, found = _element(data, at, what)
        yield found
    if data[at : at + 1] != b"]" or data[at + 1 : at + 64].strip():
        raise CollectError(f"expected {what} to its end, got {_shown(data[at:]) if at < len(data) else 'only a part'}")


def _element(data: bytes, begin: int, what: str) -> tuple[int, dict[str, Any]]:
    """Return where the object that begins here ends, and its value.

    Braces are counted without looking whether they stand in a text. One that does makes the piece no JSON; then texts
    are looked at.
    """
    for how in (_end, _careful_end):
        end = how(data, begin)
        if end is None:
            continue
        try:
            return end, orjson.loads(data[begin:end])
        except orjson.JSONDecodeError:
            continue
    raise CollectError(
        f"expected {what}, each of at most {LARGE} bytes of JSON, got {_shown(data[begin : begin + 200])}"
    )


def _end(data: bytes, begin: int) -> int | None:
    depth, at, limit = 0, begin, begin + LARGE
    while (close := data.find(b"}", at, limit)) >= 0:
        depth += data.count(b"{", at, close) - 1
        at = close + 1
        if depth == 0:
            return at
    return None


def _careful_end(data: bytes, begin: int) -> int | None:
    depth = 0
    for token in TOKEN.finditer(data, begin, begin + LARGE):
        word = token[0]
        if word == b"{":
            depth += 1
        elif word == b"}":
            depth -= 1
            if depth == 0:
                return token.end()
        elif word == b'"':  # a text without an end
            return None
    return None


def _shown(data: bytes) -> str:
    return repr(data[:80].decode("utf-8", "replace"))
