"""/api/v1/pause: begins, ends and shows the maintenance pause."""

from __future__ import annotations

import math
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from monitor.pause import LONGEST
from monitor.web.answers import JSON, answer
from monitor.web.problem import ProblemError, bad
from monitor.web.services import Services
from monitor.web.status import FORM, form

SMALL = 64 << 10


class Pausing:
    def __init__(self, services: Services) -> None:
        self.services = services

    async def show(self, request: web.Request) -> web.Response:
        return self._answer()

    async def begin(self, request: web.Request) -> web.Response:
        """Pause storing for `seconds`, 300 if they are not given and at most; 0 ends it."""
        own_site(request)
        self.services.parts.pause.begin(seconds(await given(request)))
        return self._answer()

    async def end(self, request: web.Request) -> web.Response:
        own_site(request)
        self.services.parts.pause.begin(0)
        return self._answer()

    def _answer(self) -> web.Response:
        pause = self.services.parts.pause
        left = pause.left()
        body = {"paused": left > 0, "seconds": round(left, 1), "file": str(pause.file) if pause.by_file else None}
        return answer(body, headers={"Cache-Control": "no-store"})


async def given(request: web.Request) -> object:
    """Return what stands for `seconds` in the query, the form or the JSON; None when it is not given."""
    if "seconds" in request.query:
        return request.query["seconds"]
    if not request.can_read_body:
        return None
    if request.content_type == FORM:
        return dict(await form(request)).get("seconds")
    if request.content_type != JSON:
        detail = f"expected the header Content-Type: {JSON} or {FORM}, got {request.content_type[:80]!r}"
        raise ProblemError(415, detail, headers={"Accept-Post": f"{JSON}, {FORM}"})
    if (request.content_length or 0) > SMALL:
        raise ProblemError(413, f"expected a body of at most {SMALL} bytes")
    try:
        members = orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise ProblemError(400, f"expected JSON: {str(error)[:200]}") from None
    if not isinstance(members, dict):
        raise ProblemError(400, 'expected an object such as {"seconds": 60}')
    return members.get("seconds")


def seconds(text: object) -> float:
    """Return how long to pause."""
    if text is None or text == "":
        return LONGEST
    try:
        number = float(text) if isinstance(text, str | int | float) and not isinstance(text, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not 0 <= number <= LONGEST:
        raise bad("seconds", f"expected 0 to {LONGEST:g}, got {str(text)[:40]!r}")
    return number


def own_site(request: web.Request) -> None:
    """Refuse what a page of another site sends through a visitor's browser: a form needs no leave to be sent."""
    origin = request.headers.get("Origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("Host")
    if foreign or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise ProblemError(403, "this was sent by a page of another site")
