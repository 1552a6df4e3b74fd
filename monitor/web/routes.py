"""The application: which path is answered by what, behind the gate, with every error contained in one place."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from monitor.attime import TimeError
from monitor.handler import StoreError
from monitor.query import QueryError
from monitor.web.answers import STARTED
from monitor.web.api import Api
from monitor.web.auth import Gate, Right
from monitor.web.calls import Calls
from monitor.web.collected import Collected
from monitor.web.compare import ComparePage
from monitor.web.draw import Drawer
from monitor.web.eventgraphs import TAKEN as EVENT_GRAPHS_TAKEN
from monitor.web.eventgraphs import EventGraphs
from monitor.web.events import TAKEN as EVENTS_TAKEN
from monitor.web.events import Events
from monitor.web.health import Health
from monitor.web.host import HostPage
from monitor.web.index import IndexPage
from monitor.web.influx import PATHS as INFLUX_PATHS
from monitor.web.influx import Influx, error_of
from monitor.web.lists import Lists
from monitor.web.pages import Pages
from monitor.web.params import known_only
from monitor.web.pause import Pausing
from monitor.web.png import Pictures
from monitor.web.problem import ProblemError, bad
from monitor.web.push import Push
from monitor.web.scrape import Scrape
from monitor.web.services import Services
from monitor.web.statics import Statics
from monitor.web.status import Status
from monitor.web.timeline import TimelinePage
from monitor.web.vhosts import VhostPages
from monitor.web.wcs import TAKEN as WCS_TAKEN
from monitor.web.wcs import WcsServers

log = logging.getLogger("monitor.web")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REQUEST_ID = web.RequestKey("request_id", str)
ANSWERS = web.AppKey("answers", dict[tuple[str, int], int])
"""How many answers there were by route and status."""
GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
PROBLEM = "application/problem+json"
SIZE = frozenset({"width", "height", "zoom", "only", "graph_only", "format"})
TAKEN: Mapping[str, frozenset[str]] = {
    "/graph": SIZE | {"address", "plugin_identifier", "graph", "term", "from", "to", "full"},
    "/graph_global": SIZE | {"target", "step", "start", "end", "host"},
    "/graph_vhost": SIZE | {"target", "step", "start", "end", "host", "vhost", "protocol"},
    "/graph/{name}.png": SIZE | {"host"},
    "/graph/vhost/{name}.png": SIZE | {"host", "vhost", "protocol"},
    "/graph/events/{name}.png": EVENT_GRAPHS_TAKEN,
    "/api/v1/{collector}/targets": frozenset(),
    "/api/v1/hosts": frozenset(),
    "/api/v1/hosts/{host}": frozenset(),
    "/api/v1/series": frozenset({"host", "collector", "instance", "name"}),
    "/api/v1/latest": frozenset({"host", "collector", "instance"}),
    "/api/v1/graphs": frozenset({"host", "collector", "instance"}),
    "/api/v1/instances": frozenset({"host", "collector", "vhost", "sort", "limit"}),
    "/api/v1/query": frozenset({"series", "start", "end", "step", "cf"}),
    "/api/v1/events/{table}": EVENTS_TAKEN,
    "/api/v1/events-servers": WCS_TAKEN,
    "/api/v1/pause": frozenset({"seconds"}),
    "/api/servers": frozenset({"service"}),
    "/metrics/collected": frozenset({"host", "collector"}),
}
"""The parameters of pictures and the API: misspelt ones and repeated ones are refused there."""
MANY = frozenset({"series", "ip", "session", "media_session", "stream", "type", "severity"})
RIGHTS: Mapping[tuple[str, str], Right] = {
    ("POST", "/api/host-status"): "read",
    ("POST", "/api/v1/pause"): "pause",
    ("DELETE", "/api/v1/pause"): "pause",
}
"""What else than reading and pushing is needed."""
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}


def make_app(services: Services) -> web.Application:
    """Return the application that serves pages, pictures and the API."""
    gate, health, drawer = Gate(services), Health(services), Drawer()
    statics = Statics()
    pages = Pages(services, health, statics)
    api, pictures, push = Api(services), Pictures(services, drawer), Push(services)
    calls, lists = Calls(pictures), Lists(pages)
    status, pausing = Status(services), Pausing(services)
    influx, wcs = Influx(services, push), WcsServers(pages)
    border = Border(gate, health, pages)
    scrape = Scrape(services, push.stats, influx.stats, drawer.stats, border.answers)
    app = web.Application(middlewares=[border.middleware])
    app[ANSWERS] = border.answers
    reading: dict[str, Handler] = {
        "/": IndexPage(pages).index,
        "/server": HostPage(pages).server,
        "/servers": ComparePage(pages).servers,
        "/vhost": VhostPages(pages).vhost,
        "/vhosts": lists.page,
        "/events": TimelinePage(pages).events,
        "/events/servers": wcs.page,
        "/static/{name}": statics.static,
        "/graph": pictures.graph,
        "/graph_global": calls.graph_global,
        "/graph_vhost": calls.graph_vhost,
        "/graph/{name}.png": calls.server_picture,
        "/graph/vhost/{name}.png": calls.instance_picture,
        "/graph/events/{name}.png": EventGraphs(pages, drawer).graph,
        "/api/v1/hosts": api.hosts,
        "/api/v1/hosts/{host}": api.host,
        "/api/v1/series": api.series,
        "/api/v1/latest": api.latest,
        "/api/v1/query": api.query,
        "/api/v1/graphs": api.graphs,
        "/api/v1/events/{table}": Events(services).events,
        "/api/v1/events-servers": wcs.api,
        "/api/v1/{collector}/targets": calls.targets,
        "/api/v1/instances": lists.api,
        "/api/v1/pause": pausing.show,
        "/api/host-status": status.host_status,
        "/api/servers": status.servers,
        "/healthz": health.healthz,
        "/readyz": health.readyz,
        "/ping": influx.ping,
        "/query": influx.query,
        "/version": health.version,
        "/metrics": scrape.metrics,
        "/metrics/collected": Collected(services).metrics,
    }
    for path, handler in reading.items():
        app.router.add_get(path, handler)
    app.router.add_post("/api/v1/push", push.post)
    app.router.add_post("/write", influx.write)
    app.router.add_post("/api/v2/write", influx.write_v2)
    app.router.add_post("/query", influx.query)
    app.router.add_post("/api/host-status", status.host_status)
    app.router.add_post("/api/v1/pause", pausing.begin)
    app.router.add_delete("/api/v1/pause", pausing.end)
    app.on_response_prepare.append(border.sign)
    app.on_cleanup.append(gate.close)

    async def close(_: web.Application) -> None:
        drawer.close()

    app.on_cleanup.append(close)
    return app


class Border:
    """What every request passes: the gate, and the one place where errors become answers."""

    def __init__(self, gate: Gate, health: Health, pages: Pages) -> None:
        self.gate = gate
        self.health = health
        self.pages = pages
        self.answers: dict[tuple[str, int], int] = {}

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("X-Request-ID", "")
        request[REQUEST_ID] = given if GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        try:
            await self.gate.admit(request, right_of(request))
            if (taken := TAKEN.get(canonical(request))) is not None:
                known_only(request, taken, MANY)
            response = await handler(request)
        except Exception as error:
            # The one place: nobody sees a traceback, and what nobody expected is logged once.
            response = await self._failed(request, error)
        key = (canonical(request), response.status)
        self.answers[key] = self.answers.get(key, 0) + 1
        return response

    async def sign(self, request: web.Request, response: web.StreamResponse) -> None:
        """Give an answer the headers that all have, just before it is sent."""
        response.headers.update({**SECURITY, "X-Request-ID": request.get(REQUEST_ID, "")})

    async def _failed(self, request: web.Request, error: Exception) -> web.StreamResponse:
        started = request.get(STARTED)
        gone = request.transport is None or request.transport.is_closing()
        if started is not None or gone:
            if not gone and request.transport is not None:
                # Too late for a problem: what was sent of the answer must not look whole.
                fields = {"path": request.path, "request_id": request[REQUEST_ID], "reason": str(error)[:200]}
                log.warning("web.cut_short", extra={"fields": fields})
                request.transport.abort()
            return started if started is not None else web.Response(status=503)
        if isinstance(error, ProblemError):
            return self._problem(request, error)
        if isinstance(error, QueryError | TimeError):
            reason = error.reason if isinstance(error, TimeError) else str(error)
            return self._problem(request, bad(error.parameter, reason))
        if isinstance(error, web.HTTPException):
            return self._problem(request, of_http(request, error))
        if isinstance(error, web.RequestPayloadError):
            response = self._problem(request, ProblemError(400, f"the body cannot be read: {str(error)[:200]}"))
            # There is no next request behind a body that cannot be read, and nothing more of it to wait for.
            response.force_close()
            request.content.feed_eof()
            return response
        return self._problem(request, await self._unexpected(request, error))

    async def _unexpected(self, request: web.Request, error: Exception) -> ProblemError:
        """Return the problem of an error that nobody expected: the store's, when that is away, else our own."""
        away = str(error) if isinstance(error, StoreError) else await self.health.database()
        if away:
            return ProblemError(503, away, headers={"Retry-After": "10"})
        fields = {"method": request.method, "path": request.path, "request_id": request[REQUEST_ID]}
        log.error("web.failed", extra={"fields": fields}, exc_info=error)
        return ProblemError(500, "something went wrong here; the log has it under this request_id")

    def _problem(self, request: web.Request, problem: ProblemError) -> web.Response:
        request_id = request[REQUEST_ID]
        if request.path in INFLUX_PATHS:
            return error_of(request.path, problem)
        headers = {**problem.headers, "Cache-Control": "no-store"}
        if wants_page(request):
            text = self.pages.problem(request, problem.members(request_id))
            return web.Response(text=text, status=problem.status, content_type="text/html", headers=headers)
        return web.Response(body=problem.body(request_id), status=problem.status, content_type=PROBLEM, headers=headers)


def canonical(request: web.Request) -> str:
    """Return the path of the route, as it stands in `make_app`."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "other"


def right_of(request: web.Request) -> Right:
    reading = request.method in ("GET", "HEAD", "OPTIONS")
    return RIGHTS.get((request.method, canonical(request)), "read" if reading else "push")


def wants_page(request: web.Request) -> bool:
    """Tell whether a browser asks for something to read."""
    return not request.path.startswith("/api/") and "text/html" in request.headers.get("Accept", "")


def of_http(request: web.Request, error: web.HTTPException) -> ProblemError:
    """Return the problem for what aiohttp raises."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = sorted(error.allowed_methods)
        detail = f"{request.method} is not allowed here; allowed: {', '.join(allowed)}"
        return ProblemError(405, detail, allowed=allowed, headers={"Allow": ", ".join(allowed)})
    if isinstance(error, web.HTTPNotFound):
        return ProblemError(404, f"there is nothing at {request.path[:200]!r}; begin at / or /api/v1/hosts")
    return ProblemError(error.status, error.text or error.reason)
