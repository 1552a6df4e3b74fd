"""STON's manager port, and what it means when it does not answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from monitor.collector import CollectError, Http

Read = TypeVar("Read")

PORTS = {"media": 20040, "edge": 10040}
FORMS = {"auto": ("JSON", "XML"), "json": ("JSON",), "xml": ("XML",)}
DENIED = ": the appliance's address may connect, but not with the role User (<Manager><Allow>)"
CLOSED = " (STON does so to an address that <Manager><Allow> does not name)"


async def get(http: Http, host: str, port: int, what: str) -> bytes:
    """Return the body of `/monitoring/` and what is asked for."""
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/monitoring/{what}"
    try:
        answer = await http.get(url)
    except CollectError as error:
        closed = "closed the connection" in str(error) or "connection reset" in str(error)
        raise CollectError(f"{error}{CLOSED if closed else ''}") from error
    if answer.status != 200:
        raise CollectError(f"{url}: status {answer.status} instead of 200{DENIED if answer.status == 401 else ''}")
    return answer.body


async def first(
    pages: Sequence[str], ask: Callable[[str], Awaitable[bytes]], read: Callable[[bytes], Awaitable[Read]]
) -> Read:
    """Return what is read of the first page that can be read; of several failures the first one is told."""
    failures: list[CollectError] = []
    for page in pages:
        body = await ask(page)
        try:
            return await read(body)
        except CollectError as error:
            failures.append(error)
    raise failures[0]
