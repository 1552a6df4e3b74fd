"""What an event holds beside its time, its names and its type, as pairs of a name and a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from monitor.graph.units import text as with_unit
from monitor.wire.clickhouse.tables import EXTRA, Table

LONGEST = 2000
"""Characters of a text that are shown."""
MOST = 40
"""Pairs of a payload that are shown."""
TEXTS = frozenset({"eventPayload", "message"})
NAMED = frozenset(
    {"streamName", "streamId", "mixerStreamName", "sessionId", "mediaSessionId", "mixerMediaSessionId", "server"}
)
"""What stands in places of its own."""
RATES = frozenset({"videoRate", "audioRate"})
BEHIND = frozenset(
    {
        "videoProfileId", "videoKframes", "videoPframes", "videoBframes", "videoSyncTime",
        "audioSyncTime", "videoTimestamp", "audioTimestamp", "lastKeyFrameSyncTime",
        "nextAudioDataTime", "nextVideoDataTime", "segmentStartPts", "videoStartPts", "audioStartPts",
    }
)  # fmt: skip
"""What says little to a reader: times of media, and counts of frames by their kind."""
PAIR = re.compile(r"\s*([A-Za-z_][\w.-]{0,39})\s*[=:]\s*(.*?)\s*", re.ASCII | re.DOTALL)


class Pair(NamedTuple):
    """`name` is empty where the text has none."""

    name: str
    text: str


class Payload(NamedTuple):
    """What is shown of an event, and all of its columns where that is not all."""

    pairs: list[Pair]
    rest: list[Pair]


def payload(table: Table, event: Mapping[str, Any]) -> Payload:
    """Return what an event holds, in order of its columns; zeros and empty texts are left out."""
    apart = {table.time, table.server, EXTRA, *NAMED, *table.kinds, *(f"{name}Name" for name in table.kinds)}
    pairs: list[Pair] = []
    left_out = False
    for name, value in event.items():
        if name in apart or value in ("", 0, None):
            continue
        if name in BEHIND:
            left_out = True
        elif name in TEXTS:
            pairs += parsed(str(value))
        elif name == "videoWidth" and event.get("videoHeight"):
            pairs.append(Pair("video", f"{value} × {event['videoHeight']}"))
        elif name != "videoHeight" or not event.get("videoWidth"):
            pairs.append(Pair(name, said(name, value)))
    extra = event.get(EXTRA)
    if isinstance(extra, dict):
        pairs += _members(extra)
    rest = [Pair(name, said("", value)) for name, value in event.items() if value not in ("", None)]
    return Payload(pairs[:MOST], rest[: 2 * MOST] if left_out or len(pairs) > MOST else [])


def parsed(text: str) -> list[Pair]:
    """Return a payload's members, if it is JSON or a list of `name=value`; else the text itself."""
    text = text.strip()
    if text[:1] == "{" and len(text) <= 100_000:
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            found = None
        if isinstance(found, dict):
            return list(_members(found))
    for mark in (";", "\n", ","):
        parts = [part for part in text[:LONGEST].split(mark) if part.strip()]
        matches = [found for part in parts if (found := PAIR.fullmatch(part))]
        if len(matches) == len(parts) and (len(parts) > 1 or "=" in text) and len(text) <= LONGEST:
            return [Pair(found[1], found[2]) for found in matches]
    return [Pair("", cut(text))] if text else []


def _members(found: Mapping[str, Any]) -> Iterator[Pair]:
    for name, value in list(found.items())[: MOST + 1]:
        yield Pair(name[:40], said("", value))


def said(name: str, value: Any) -> str:
    """Return a value in words."""
    if name in RATES and isinstance(value, int | float):
        return with_unit(float(value), 1000, "bit/s")
    if isinstance(value, bool):
        return "true" if value else "false"
    return cut(orjson.dumps(value).decode() if isinstance(value, dict | list) else str(value))


def cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
