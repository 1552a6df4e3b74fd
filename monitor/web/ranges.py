"""Which time a page of graphs shows: the pictures of every graph side by side, how large, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aiohttp import web

from monitor.web.dates import epoch_of, quarter, shown
from monitor.web.params import read_times
from monitor.web.png import CUSTOM, HEIGHT, TERMS, WIDTH, term_of
from monitor.web.services import Services

BESIDE = 80
"""A picture is so much wider than its plot."""
LARGE_WIDTH, LARGE_HEIGHT = 1100 + BESIDE, 260
COMPARED_WIDTH = 420 + BESIDE
CUSTOM_SECONDS = 32 * 3600


class Look(NamedTuple):
    """The terms whose pictures stand side by side, and the size of each."""

    terms: tuple[str, ...]
    width: int
    height: int


LOOKS: Mapping[str, Look] = {
    "day": Look(("day", "week"), 500 + BESIDE, HEIGHT),
    "month": Look(("day", "week", "month", "year"), 400 + BESIDE, HEIGHT),
    "week": Look(("week",), WIDTH, HEIGHT),
    "year": Look(("year",), WIDTH, HEIGHT),
}
"""What a host's page shows; of other terms one large picture."""


class Range(NamedTuple):
    """What is shown: `ends` is what a picture's call says of a custom range, `fields` what stands in the form."""

    term: str
    look: Look
    since: float
    ends: Mapping[str, str]
    fields: tuple[str, str]


def range_of(request: web.Request, services: Services, *, compared: bool = False) -> Range:
    """Read `term`, `from` and `to`. A custom range without ends is the last 32 hours, in whole quarters of an hour."""
    term = term_of(request.query.get("term") or "day")
    look = LOOKS.get(term, Look((term,), LARGE_WIDTH, LARGE_HEIGHT))
    if compared:
        look = Look((term,), COMPARED_WIDTH, HEIGHT)
    now = services.clock()
    own = (quarter(now - CUSTOM_SECONDS), quarter(now))
    fields = (shown(own[0], services.timezone), shown(own[1], services.timezone))
    if term != CUSTOM:
        return Range(term, look, now - max(TERMS[one].seconds for one in look.terms), {}, fields)
    if not request.query.get("from") and not request.query.get("to"):
        return Range(term, look, own[0], {"from": str(own[0]), "to": str(own[1])}, fields)
    found = read_times(request, services, "from", "to", "end-32h")
    texts = (request.query.get("from") or "end-32h", request.query.get("to") or "now")
    fields = (field(texts[0], services.timezone), field(texts[1], services.timezone))
    return Range(term, look, found.start, dict(zip(("from", "to"), found.texts, strict=True)), fields)


def field(text: str, tz: str) -> str:
    """Return a time as the form has it: a date as dates are shown, an expression as it was written."""
    at = epoch_of(text, tz) or (text if text.isascii() and text.isdigit() and len(text) > 8 else "")
    return shown(float(at), tz) if at and float(at) % 60 == 0 else text
