"""JSON as STON sends it: strict where it can be, else with the faults forgiven that its servers are known for."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from monitor.collector import CollectError

TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|([{}\[\]])|[,:=]+|([^\s,:={}\[\]"]+))')
BLANK = re.compile(r"\s*")
DEEPEST = 50
LARGE = 262144
"""One call on more bytes than this would hold up all threads for too long."""


def loads(data: bytes) -> Any:
    """Return the value of a JSON text; CollectError says what is wrong with it."""
    try:
        if len(data) <= LARGE:
            return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    return forgiving(data.decode("utf-8-sig", "replace"))


def forgiving(text: str) -> Any:
    """Read JSON with commas or colons too many, missing or written as `=`; bare words but true and false are unknown.

    Braces have to match: what was cut off is refused. One is known to be lost before `RequestHit` after `NetStream`.
    """
    root: dict[str, Any] = {}
    stack: list[tuple[str, dict[str, Any] | list[Any]]] = [("", root)]
    key: str | None = "root"
    at, end = 0, len(text.rstrip())
    while at < end:
        found = TOKEN.match(text, at)
        if found is None:  # the last text has no end
            break
        at = found.end()
        string, brace, word = found.groups()
        name, inside = stack[-1]
        if brace in ("}", "]"):
            if len(stack) == 1 or key is not None or (brace == "]") != isinstance(inside, list):
                raise CollectError(
                    f"expected no {brace!r} at character {at} of the JSON: {text[max(0, at - 80) : at]!r}"
                )
            stack.pop()
            continue
        value: Any
        if brace is not None:
            value = {} if brace == "{" else []
        elif string is not None:
            value = _unquoted(string)
        elif word is not None:
            value = _number(word)
        else:
            continue
        if isinstance(inside, list):
            inside.append(value)
        elif key is None:
            if not isinstance(value, str) or (len(stack) == 1 and root):
                raise CollectError(f"expected a name at character {at} of the JSON: {text[max(0, at - 80) : at]!r}")
            key = value.rstrip("= ")
            if name == "NetStream" and key.startswith("RequestHit"):
                stack.pop()
            continue
        else:
            inside[key] = value
        if brace is not None:
            stack.append((key or "", value))
            if len(stack) > DEEPEST:
                raise CollectError(f"expected JSON of at most {DEEPEST} levels")
        key = None
    if at < end or len(stack) > 1 or key is not None:
        raise CollectError(f"expected JSON to its end, got only a part, which ends in {text[-80:]!r}")
    return root["root"]


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text, strict=False))
    except ValueError:
        return text[1:-1]


def _number(word: str) -> int | float | bool | None:
    for read in (int, float):
        try:
            return read(word)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(word)
