"""/: all hosts with their state, by service and label."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from aiohttp import web

from monitor.web import hosts
from monitor.web.hosts import HostView
from monitor.web.pages import Pages
from monitor.web.problem import unknown

ORDER = ("critical", "warning", "unknown", "ok")
SLICE = 500


class Section(NamedTuple):
    """A service, and its hosts by label."""

    service: str
    labels: list[tuple[str, list[HostView]]]

    @property
    def total(self) -> int:
        return sum(len(views) for _, views in self.labels)


class IndexPage:
    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.services = pages.services

    async def index(self, request: web.Request) -> web.Response:
        """Show the hosts; `service`, `state` and the words of `q` leave some out."""
        views = await hosts.views(self.services)
        services = Counter(view.spec.service for view in views)
        wanted, state = request.query.get("service"), request.query.get("state")
        if wanted is not None and wanted not in services:
            raise unknown("service", "service", wanted, services)
        if state is not None and state not in ORDER:
            raise unknown("state", "state", state, ORDER)
        words = request.query.get("q", "")[:200].casefold().split()
        some = [view for view in views if wanted is None or view.spec.service == wanted]
        states = Counter[str](view.state for view in some)
        shown = []
        for number, view in enumerate(some):
            if state in (None, view.state) and (not words or matches(view, words)):
                shown.append(view)
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        return await self.pages.page(
            request, "index.html", services=sorted(services.items(), key=lambda one: one[0].casefold()),
            total=len(views), there=len(some), shown=len(shown), states=[(name, states[name]) for name in ORDER],
            wanted=wanted, state=state, words=" ".join(words), sections=sections(shown), to=to,
        )  # fmt: skip


def matches(view: HostView, words: Sequence[str]) -> bool:
    """Tell whether all words stand somewhere in what the page says of a host."""
    spec = view.spec
    text = "\n".join((spec.hostname, spec.address, spec.comment, spec.role, spec.service, spec.label)).casefold()
    return all(word in text for word in words)


def to(service: str | None, state: str | None) -> str:
    """Return the address of the page with what is given."""
    query = [(name, value) for name, value in (("service", service), ("state", state)) if value is not None]
    return f"/?{urlencode(query)}" if query else "/"


def sections(views: Sequence[HostView]) -> list[Section]:
    """Return hosts by service (in order of name), then by label (none first, then in the configuration's order)."""
    found: dict[str, dict[str, list[HostView]]] = {}
    for view in views:
        found.setdefault(view.spec.service, {}).setdefault(view.spec.label, []).append(view)
    services = sorted(found.items(), key=lambda one: one[0].casefold())
    return [Section(service, sorted(labels.items(), key=lambda one: one[0] != "")) for service, labels in services]
