"""Makes pages of templates, in the reader's language. They need no JavaScript."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
from aiohttp import web
from jinja2.runtime import Context

from monitor import __version__
from monitor.graph.model import Graph
from monitor.web.draw import height_of
from monitor.web.health import Health
from monitor.web.languages import CATALOGUES, language, translator
from monitor.web.png import HEIGHT, WIDTH
from monitor.web.services import Services
from monitor.web.statics import Statics, packed

SLICE = 0.002
"""Seconds for which a page is made before others get their turn."""
MOST_HEIGHTS = 10_000
VARY = "Accept-Encoding, Accept-Language"
Translate = Callable[..., str]


class Pages:
    def __init__(self, services: Services, health: Health, statics: Statics) -> None:
        self.services = services
        self.health = health
        self._heights: dict[tuple[object, ...], int] = {}
        self._environment = environment()
        self._said = {name: self._words(name, statics) for name in CATALOGUES}

    def _words(self, language: str, statics: Statics) -> Mapping[str, Any]:
        translate = translator(language)
        return {
            "lang": language, "t": translate, "times": Times(self.services, translate), "link": statics.link,
            "version": __version__,
        }  # fmt: skip

    def problem(self, request: web.Request, members: Mapping[str, Any]) -> str:
        """Return the page that shows a problem."""
        template = self._environment.get_template("problem.html")
        return template.render(self._said[spoken(request)], problem=members, zone="", trouble=None, **self._offers())

    def _offers(self) -> dict[str, Any]:
        """Return what the head of all pages leads to."""
        return {"events": bool(self.services.config.rels.listen)}

    def height(self, graph: Graph, width: int = WIDTH, height: int = HEIGHT) -> int:
        """Return how high the picture of a graph becomes."""
        key: tuple[object, ...] = (len(graph.items), graph.legend)
        if graph.written:
            key = tuple((type(one), one.ending, *map(vars(one).get, ("legend", "text", "form"))) for one in graph.items)
        key = (width, height, *key)
        if key not in self._heights:
            if len(self._heights) >= MOST_HEIGHTS:
                self._heights.clear()
            self._heights[key] = height_of(graph, width, height)
        return self._heights[key]

    async def page(self, request: web.Request, name: str, **values: Any) -> web.Response:
        """Answer with a page made from the template of this name."""
        language = spoken(request)
        template = self._environment.get_template(name)
        parts: list[str] = []
        values |= self._offers()
        values |= {"trouble": await self.health.database(), "paused": self.services.parts.pause.left()}
        began = time.perf_counter()
        for part in template.generate(self._said[language], zone=self.services.timezone, **values):
            parts.append(part)
            if time.perf_counter() - began > SLICE:
                await asyncio.sleep(0)
                began = time.perf_counter()
        body, headers = await packed(request, "".join(parts).encode("utf-8", "replace"))
        headers |= {"Cache-Control": "no-store", "Content-Language": language, "Vary": VARY}
        return web.Response(body=body, content_type="text/html", charset="utf-8", headers=headers)


@dataclass(frozen=True, slots=True)
class Times:
    """Times in words."""

    services: Services
    translate: Translate

    def ago(self, at: float) -> str:
        """Return how long ago (or ahead) a time is."""
        if not at:
            return self.translate("never")
        seconds = self.services.clock() - at
        if -1 < seconds < 1:
            return self.translate("now")
        if seconds < 0:
            return self.translate("in {span}", span=self.span(-seconds))
        return self.translate("{span} ago", span=self.span(seconds))

    def clock(self, at: float) -> str:
        return clock(int(at), self.services.timezone) if at else ""

    def span(self, seconds: float) -> str:
        """Return a length of time in one unit."""
        for size, text in ((86400, "{n} d"), (3600, "{n} h"), (60, "{n} min")):
            if seconds >= 2 * size:
                return self.translate(text, n=f"{seconds / size:.0f}")
        if seconds >= 1 or seconds == 0:
            return self.translate("{n} s", n=f"{seconds:.0f}")
        return self.translate("{n} ms", n=math.ceil(seconds * 1000))


@lru_cache(maxsize=4096)
def clock(at: int, tz: str) -> str:
    """Return a time as a clock there shows it."""
    return datetime.fromtimestamp(at, ZoneInfo(tz)).strftime("%Y-%m-%d %H:%M:%S")


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Return the templates, compiled: compiling one later would hold the loop up."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, auto_reload=False, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    env.filters.update(ago=_ago, clock=_clock, stamp=stamp, span=_span)
    for name in env.list_templates():
        env.get_template(name)
    return env


@jinja2.pass_context
def _ago(context: Context, at: float) -> str:
    return of(context).ago(at)


@jinja2.pass_context
def _clock(context: Context, at: float) -> str:
    return of(context).clock(at)


@jinja2.pass_context
def _span(context: Context, seconds: float) -> str:
    return of(context).span(seconds)


def of(context: Context) -> Times:
    """Return the words for times of the page that is made."""
    found = context["times"]
    assert isinstance(found, Times)
    return found


def spoken(request: web.Request) -> str:
    return language(request.headers.get("Accept-Language", ""))


def stamp(at: float) -> str:
    """Return a time for machines."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds") if at else ""
