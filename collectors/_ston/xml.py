"""STON's XML as the tree that its JSON would be: attributes, and elements that hold text only, are fields.

Read by hand, not by a parser of XML: a closing tag of another name than the opening one, which the manual shows, is
forgiven, and a document cannot declare anything.
"""

from __future__ import annotations

import asyncio
import re
from html import unescape
from typing import Any

from monitor.collector import CollectError

TAG = re.compile(r"""<(/?)([\w:.-]+)((?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(/?)>([^<]*)""")
ATTRIBUTE = re.compile(r"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
SLICE = 200
"""Tags that are read at a time: about a millisecond."""
LISTS = {"VirtualHost", "View", "Channel", "Disk", "Traffic", "PortBypass"}
TEXTS = {"Name", "Version", "State", "Type", "Path", "Status"}
KNOWN_AS = {"ClientTraffic": "ClientTraffics", "OriginTraffic": "OriginTraffics"}


async def loads(data: bytes) -> dict[str, Any]:
    """Return the tree of a document, read in slices so that the loop goes on; CollectError says what is wrong with it.

    A thread would not do: it is Python that reads, and so the loop would wait for the interpreter.
    """
    text = data.decode("utf-8-sig", "replace")
    root: dict[str, Any] = {}
    stack: list[tuple[str, dict[str, Any], str]] = [("", root, "")]
    for number, tag in enumerate(TAG.finditer(text), 1):
        if number % SLICE == 0:
            await asyncio.sleep(0)
        closing, name, attributes, empty, after = tag.groups()
        if closing:
            if len(stack) == 1:
                raise CollectError(f"expected no </{name}> in the XML")
            _put(stack.pop(), stack[-1][1])
            continue
        fields = {key: _value(key, one or other) for key, one, other in ATTRIBUTE.findall(attributes)}
        opened = (name, fields, after.strip())
        if empty:
            _put((name, fields, ""), stack[-1][1])
        else:
            stack.append(opened)
    if len(stack) > 1 or not root:
        raise CollectError(f"expected XML to its end, got only a part, which ends in {text[-80:]!r}")
    return root


def _value(name: str, text: str) -> str | int:
    """Return a whole number as one, which is much quicker to reckon with, but none of a name."""
    if name not in TEXTS and text.isascii() and text.isdigit() and len(text) < 20:
        return int(text)
    return unescape(text)


def _put(element: tuple[str, dict[str, Any], str], parent: dict[str, Any]) -> None:
    name, fields, text = element
    if text and fields.keys() <= {"Sum"}:
        parent[name] = _value(name, text)
        if "Sum" in fields:
            parent[f"{name}Sum"] = fields["Sum"]
        return
    # Of a Media Server the manual writes ClientTraffics in JSON and ClientTraffic in XML; Edge's holds other things.
    if name in KNOWN_AS and fields.keys() & {"Http", "Hls", "MpegDash", "Rtmp"}:
        name = KNOWN_AS[name]
    if name in LISTS and not (name == "Disk" and "Distribution" in fields):
        parent.setdefault(name, []).append(fields)
    else:
        parent[name] = fields
