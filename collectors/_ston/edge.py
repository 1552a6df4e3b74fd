"""STON Edge Server's tree in the terms of a Media Server's: HTTP is its only protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SAME = ("Name", "Version", "State", "Uptime", "Memory", "Disk", "System")
TALLIES = ("Session", "ActiveSession", "Inbound", "Outbound")
CLASSES = ("ResTotal", "Res2xx", "Res3xx", "Res4xx", "Res5xx")
MEANS = {"TimeRes": "Count", "TimeComplete": "Completed"}


def is_edge(host: Mapping[str, Any]) -> bool:
    return "ClientSession" in host and "AllClientSession" not in host


def as_media(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return a host or virtual host of Edge as Media Server would tell it."""
    made = {key: one[key] for key in SAME if key in one}
    for side in ("Client", "Origin"):
        for tally in TALLIES:
            if side + tally in one:
                made[f"All{side}{tally}"] = made[f"Http{side}{tally}"] = one[side + tally]
        entries = _entries(one.get(f"{side}Traffic"))
        traffic = _together(entries) if entries else _flat(one, side)
        if traffic:
            made[f"{side}Traffics"] = {"Http": traffic}
    return made


def _entries(found: Any) -> list[Mapping[str, Any]]:
    """Return the parts that together are the traffic of one side: directories of clients, origins by name."""
    if isinstance(found, dict) and "Traffic" in found:
        parts = found["Traffic"]
        if found.get("Accum") == "ON" and isinstance(parts, list):
            # A directory then holds those below it.
            top = [part for part in parts if isinstance(part, dict) and part.get("Path") == "/"]
            parts = top or parts
        found = parts
    if isinstance(found, dict):
        found = [found]
    return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []


def _together(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sum of traffics; mean times are weighted by what they are the means of."""
    parts = [{key.removeprefix("Http"): value for key, value in entry.items()} for entry in entries]
    if len(parts) == 1:
        return parts[0]
    made: dict[str, Any] = {}
    for key in ("ReqCount", "ReqCountSum"):
        _add(made, parts, key)
    for group in ("RequestHit", "RequestHitSum"):
        groups = [part[group] for part in parts if isinstance(part.get(group), dict)]
        if groups:
            made[group] = {}
            for key in dict.fromkeys(key for one in groups for key in one):
                _add(made[group], groups, key)
    answers = [part["Response"] for part in parts if isinstance(part.get("Response"), dict)]
    response: dict[str, Any] = {}
    made["Response"] = response
    for name in CLASSES:
        classes = [answer[name] for answer in answers if isinstance(answer.get(name), dict)]
        if not classes:
            continue
        total: dict[str, Any] = {}
        response[name] = total
        for key in ("Count", "CountSum", "Completed", "CompletedSum"):
            _add(total, classes, key)
        for mean, count in MEANS.items():
            weights = [_number(one.get(f"{count}Sum")) or _number(one.get(count)) or 0.0 for one in classes]
            times = [_number(one.get(mean)) or 0.0 for one in classes]
            whole = sum(weights)
            total[mean] = sum(map(float.__mul__, weights, times)) / whole if whole else 0.0
    return made


def _add(made: dict[str, Any], parts: Iterable[Mapping[str, Any]], key: str) -> None:
    """Add up a field that at least one part has; unknown where one is."""
    values = [part[key] for part in parts if key in part]
    numbers = [_number(value) for value in values]
    if values:
        made[key] = None if None in numbers else sum(number for number in numbers if number is not None)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _flat(one: Mapping[str, Any], side: str) -> dict[str, Any]:
    """Return the traffic of one side by the fields of versions that tell no more."""
    sums = one.get("HttpCountSum")
    made: dict[str, Any] = {}

    def take(into: dict[str, Any], key: str, field: str) -> None:
        if field in one:
            into[key] = one[field]
        if isinstance(sums, dict) and field in sums:
            into[f"{key}Sum"] = sums[field]

    take(made, "ReqCount", f"{side}ReqCount")
    response: dict[str, Any] = {}
    for name in CLASSES:
        total: dict[str, Any] = {}
        take(total, "Count", f"{side}{name}Count")
        take(total, "TimeRes", f"{side}{name}TimeRes")
        if total:
            response[name] = total
    if response:
        made["Response"] = response
    if side == "Client" and isinstance(one.get("HttpRequestHitSum"), dict):
        made["RequestHitSum"] = one["HttpRequestHitSum"]
    return made
