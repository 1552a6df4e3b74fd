"""Reads the parameters of requests; what cannot be read is a 400 that names the parameter."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import partial
from itertools import product
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

from aiohttp import web

from monitor.attime import UNITS as TIME_UNITS
from monitor.attime import TimeError, resolve
from monitor.web.dates import epoch_of
from monitor.web.problem import bad
from monitor.web.services import Services

DURATION = re.compile(r"(\d{1,9})(s|m|min|h|d|w)?", re.ASCII)
UNITS = {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
LONGEST_TIME = 200
LATEST = 4_102_444_799
"""The last second of 2099."""
SIGN = re.compile(rf"\+(?=\d+(?:[+_,]|%20|%2C)*(?:{'|'.join(TIME_UNITS)})(?![a-z]))", re.IGNORECASE)
"""A + in a query string that stands before a number with a unit."""


def known_only(request: web.Request, known: Collection[str], many: Collection[str]) -> None:
    """Refuse what is given twice but for `many`, and names that are a slip away from a known one.

    Other unknown names are let through: scripts add some so that nothing on the way answers from its cache, or know
    parameters of other programs.
    """
    for name in dict.fromkeys(request.query):
        if name in known:
            if name not in many and len(request.query.getall(name)) > 1:
                raise bad(name, f"expected once, got {len(request.query.getall(name))} times")
            continue
        like = [one for one in sorted(known) if misspelt(name, one)]
        if near := min(like, key=partial(distance, name), default=""):
            raise bad(name, f"there is no such parameter; did you mean {near}?", known)


def misspelt(name: str, known: str) -> bool:
    """Tell whether a name is a known one in other case, or with a letter wrong that is not the first (of 6, two)."""
    name, most = name[:50].lower(), 2 if len(known) >= 6 else 1
    return name == known or (len(name) >= 3 and name[0] == known[0] and distance(name, known) <= most)


def distance(one: str, other: str) -> int:
    """Return how many letters are added, left out, changed or swapped with the next."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one):
        last, row = row, [i + 1]
        for j, there in enumerate(other):
            cost = min(last[j] + (letter != there), last[j + 1] + 1, row[j] + 1)
            if i and j and letter == other[j - 1] and one[i - 1] == there:
                cost = min(cost, before[j - 1] + 1)
            row.append(cost)
        before = last
    return row[-1]


def required(request: web.Request, name: str) -> str:
    text = request.query.get(name, "")
    if not text:
        raise bad(name, "is required")
    return text


class Times(NamedTuple):
    """Both ends in epoch seconds, and the expressions that they were read from."""

    start: int
    end: int
    texts: tuple[str, str]


def times(
    request: web.Request, services: Services, start: str = "start", end: str = "end", before: str = "end-1d"
) -> tuple[int, int]:
    """Return both ends in epoch seconds; by default from `before` to now."""
    return read_times(request, services, start, end, before)[:2]


def read_times(request: web.Request, services: Services, start: str, end: str, before: str) -> Times:
    """Read both ends. The end may lie in the future, where there is no data yet; the start may not."""
    now = services.clock()
    wrong: TimeError | None = None
    tz = services.timezone
    for texts in product(readings(request, start, tz) or [before], readings(request, end, tz) or ["now"]):
        try:
            since, until = resolve(*texts, now=now, tz=services.timezone)
        except TimeError as error:
            wrong = wrong or error
            continue
        for name, at in ((start, since), (end, until)):
            if not 0 <= at <= LATEST:
                raise bad(name, f"expected a time from 1970 to 2099, that is 0 to {LATEST}, got {at}")
        if until <= since:
            raise bad(end, f"expected a time after {start} ({since}), got {until}")
        if since > now:
            raise bad(start, f"expected a time up to now ({now:.0f}), got {since}")
        return Times(since, until, texts)
    assert wrong is not None
    raise bad({"start": start, "end": end}.get(wrong.parameter, wrong.parameter), wrong.reason)


def readings(request: web.Request, name: str, tz: str) -> list[str]:
    """Return what a time in the query string may mean, the likeliest first; none where it is not given.

    A date is given back as epoch seconds, anything else as it stands.

    A `+` there is a blank for whoever fills in a form, and a plus for who writes `-1d+2h` into an address: it is taken
    for a plus before a number with a unit, then everywhere, then nowhere, whichever makes a time first.
    """
    text = request.query.get(name)
    if not text:
        return []
    if len(text) > LONGEST_TIME:
        raise bad(name, f"expected at most {LONGEST_TIME} characters")
    parts = (part.partition("=") for part in request.rel_url.raw_query_string.split("&"))
    raw = next((value for key, _, value in parts if unquote_plus(key) == name), text)
    found = dict.fromkeys((unquote_plus(SIGN.sub("%2B", raw)), unquote(raw), text))
    return list(dict.fromkeys(epoch_of(one, tz) or one for one in found))


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
