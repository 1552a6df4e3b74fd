"""Reads the parameters of requests; what cannot be read is a 400 that names the parameter."""

from __future__ import annotations

import re

from aiohttp import web

from monitor.attime import TimeError, resolve
from monitor.web.problem import bad
from monitor.web.services import Services

DURATION = re.compile(r"(\d{1,9})(s|m|min|h|d|w)?", re.ASCII)
UNITS = {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
LONGEST_TIME = 200


def required(request: web.Request, name: str) -> str:
    text = request.query.get(name, "")
    if not text:
        raise bad(name, "is required")
    return text


def times(
    request: web.Request, services: Services, start: str = "start", end: str = "end", before: str = "end-1d"
) -> tuple[int, int]:
    """Return both ends in epoch seconds; by default from `before` to now."""
    given = {name: request.query.get(name) or text for name, text in ((start, before), (end, "now"))}
    for name, text in given.items():
        if len(text) > LONGEST_TIME:
            raise bad(name, f"expected at most {LONGEST_TIME} characters")
    try:
        since, until = resolve(given[start], given[end], now=services.clock(), tz=services.timezone)
    except TimeError as error:
        name = {"start": start, "end": end}.get(error.parameter, error.parameter)
        raise bad(name, str(error)) from None
    if until <= since:
        raise bad(end, f"expected a time after {start} ({since}), got {until}")
    return since, until


def duration(request: web.Request, name: str) -> int | None:
    """Return seconds, written as 300 or 5m; None when not given."""
    text = request.query.get(name)
    if not text:
        return None
    found = DURATION.fullmatch(text)
    if found is None or not int(found[1]):
        raise bad(name, f"expected seconds or a duration such as 5m, 1h or 1d, got {text[:40]!r}")
    return int(found[1]) * UNITS[found[2]]


def whole(request: web.Request, name: str, default: int, least: int, most: int) -> int:
    """Return a whole number within the bounds."""
    text = request.query.get(name)
    if not text:
        return default
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or not least <= int(text) <= most:
        raise bad(name, f"expected a whole number from {least} to {most}, got {text[:40]!r}")
    return int(text)
