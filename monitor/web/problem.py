"""Answers to what went wrong, as RFC 9457's problem+json (or as a page to who asks for one)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import orjson

SHOWN = 50
"""So many allowed names are listed."""


class ProblemError(Exception):
    """A request that cannot be answered as it is: the status and, in `detail`, what was expected.

    `parameter` is what is wrong with it, `allowed` what may stand there.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        parameter: str = "",
        allowed: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.parameter = parameter
        self.allowed = list(allowed)
        self.headers = dict(headers or {})

    def members(self, request_id: str) -> dict[str, Any]:
        """Return the members of the problem object."""
        found: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.parameter:
            found["parameter"] = self.parameter
        if self.allowed:
            found["allowed"] = self.allowed[:SHOWN]
        return {**found, "request_id": request_id}

    def body(self, request_id: str) -> bytes:
        return orjson.dumps(self.members(request_id), option=orjson.OPT_APPEND_NEWLINE)


def bad(parameter: str, detail: str, allowed: Iterable[str] = ()) -> ProblemError:
    """Return the problem of a parameter that cannot be read."""
    return ProblemError(400, f"{parameter}: {detail}", parameter=parameter, allowed=allowed)


def unknown(parameter: str, what: str, given: str, known: Iterable[str]) -> ProblemError:
    """Return the problem of a name that does not exist: it says which ones do."""
    names = sorted(known)
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return ProblemError(
        404, f"no {what} {given[:80]!r}; there are: {shown or 'none'}", parameter=parameter, allowed=names
    )


@asynccontextmanager
async def patience(seconds: float) -> AsyncIterator[None]:
    """Wait so long for the store and no longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        text = f"the database did not answer within {seconds:g} s"
        raise ProblemError(503, text, headers={"Retry-After": "10"}) from None
