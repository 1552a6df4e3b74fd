"""POST /write and /api/v2/write as InfluxDB has them, and of /query and /ping what clients need before they write."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections import Counter
from dataclasses import dataclass, field

import orjson
from aiohttp import web

from monitor import __version__
from monitor.influx import Influx as Settings
from monitor.pipeline import Busy
from monitor.web.problem import ProblemError
from monitor.web.push import Push
from monitor.web.services import Services
from monitor.wire.influx_lines import FACTORS, Bounds, Reader, Written

SLICE = 0.003
"""Seconds of work before the loop gets its turn."""
PATHS = frozenset({"/write", "/api/v2/write", "/query"})
"""Where an error is told as InfluxDB tells it."""
VERSION = "1.8.10"
"""Of the protocol: clients ask for it to know what is understood."""
CREATE = re.compile(r"\s*(create|drop|alter)\s+(database|retention\s+policy)\s+\S[^;]*;?\s*", re.IGNORECASE)
SHOW = re.compile(r"\s*show\s+databases\s*;?\s*", re.IGNORECASE)
CODES = {400: "invalid", 401: "unauthorized", 403: "forbidden", 404: "not found", 413: "request too large",
         415: "unsupported media type", 429: "too many requests", 503: "unavailable"}  # fmt: skip


@dataclass(slots=True)
class InfluxStats:
    requests: int = 0
    lines: int = 0
    batches: int = 0
    """Made of them and in the journal."""
    bad: Counter[str] = field(default_factory=Counter)
    """Lines refused, by the reason."""
    refused: Counter[str] = field(default_factory=Counter)
    """Batches that the pipeline refused, by the first word of its reason."""


class Influx:
    def __init__(self, services: Services, push: Push) -> None:
        self.services = services
        self.stats = InfluxStats()
        self._push = push
        self._settings = services.config.influx
        self._reader = reader_of(self._settings)

    async def write(self, request: web.Request) -> web.Response:
        """Take lines, as InfluxDB 1 does."""
        if not request.query.get("db"):
            raise ProblemError(400, "database is required")
        precision = request.query.get("precision", "") or "n"
        if precision not in FACTORS:
            raise ProblemError(400, f'invalid precision "{precision[:40]}" (use n, u, ms, s, m or h)')
        return await self._write(request, precision)

    async def write_v2(self, request: web.Request) -> web.Response:
        """Take lines, as InfluxDB 2 does."""
        precision = request.query.get("precision", "") or "ns"
        if precision not in ("ns", "us", "ms", "s"):
            raise ProblemError(400, f"precision: expected ns, us, ms or s, got {precision[:40]!r}")
        return await self._write(request, precision)

    async def _write(self, request: web.Request, precision: str) -> web.Response:
        if "Origin" in request.headers or "Sec-Fetch-Site" in request.headers:
            # What a page of another site can send through a visitor's browser without being allowed to.
            raise ProblemError(403, "lines are not taken from web pages")
        self.stats.requests += 1
        if (settings := self.services.config.influx) is not self._settings:
            self._settings, self._reader = settings, reader_of(settings)
        written = Written()
        async with self._push.body(request) as body:
            began = time.perf_counter()
            for _ in self._reader.read(body, precision, self.services.clock(), written):
                if time.perf_counter() - began > SLICE:
                    await asyncio.sleep(0)
                    began = time.perf_counter()
            batches = list(written.batches.values())
            try:
                reasons = await self.services.parts.pipeline.accept(batches) if batches else []
            except Busy as error:
                raise ProblemError(503, f"write it again: {error}", headers={"Retry-After": "5"}) from None
        refused = [reason for reason in reasons if reason is not None]
        self.stats.lines += written.lines
        self.stats.batches += len(batches) - len(refused)
        self.stats.bad.update(written.bad)
        self.stats.refused.update(reason.split(":")[0].split()[0] for reason in refused)
        if problem := problem_of(written, refused, len(batches)):
            raise ProblemError(400, problem)
        return web.Response(status=204, headers=HEADERS)

    async def query(self, request: web.Request) -> web.Response:
        """Answer what clients ask before they write: databases are there as soon as they are written to."""
        statement = request.query.get("q", "")
        if not statement and request.method == "POST":
            given = (await request.post()).get("q", "")
            statement = given if isinstance(given, str) else ""
        if not statement:
            raise ProblemError(400, 'missing required parameter "q"')
        result: dict[str, object] = {"statement_id": 0}
        if SHOW.fullmatch(statement):
            result["series"] = [{"name": "databases", "columns": ["name"], "values": [["monitor"]]}]
        elif not CREATE.fullmatch(statement):
            raise ProblemError(400, f"only CREATE DATABASE and SHOW DATABASES are answered, got {statement[:80]!r}")
        return web.Response(body=orjson.dumps({"results": [result]}), content_type="application/json", headers=HEADERS)

    async def ping(self, request: web.Request) -> web.Response:
        if request.query.get("verbose", "") not in ("", "0", "false"):
            return web.json_response({"version": VERSION}, headers=HEADERS)
        return web.Response(status=204, headers=HEADERS)


HEADERS = {"X-Influxdb-Version": VERSION, "X-Influxdb-Build": f"monitor {__version__}"}


def reader_of(settings: Settings) -> Reader:
    return Reader(
        Bounds(
            float(settings.past), float(settings.ahead), float(settings.interval), int(settings.max_line),
            tuple(settings.derive),
        )
    )  # fmt: skip


def problem_of(written: Written, refused: list[str], batches: int) -> str:
    """Return what InfluxDB would say of lines that were not taken; '' when all were."""
    errors = list(written.errors)
    if (more := sum(written.bad.values()) - written.outside - len(errors)) > 0:
        errors.append(f"and {more} more lines that cannot be parsed")
    dropped = written.outside + len(refused)
    if not dropped:
        text = "\n".join(errors)
        return f"partial write: {text} dropped=0" if errors and batches else text
    # First what was dropped whole, for clients look there whether a repeat could be of use.
    reasons = ["points beyond retention policy"] if written.outside else []
    reasons += [*dict.fromkeys(refused)][:5]
    return f"partial write: {'; '.join([*reasons, *errors])} dropped={dropped}"


def error_of(path: str, problem: ProblemError) -> web.Response:
    """Return a problem as InfluxDB tells errors."""
    headers = {**HEADERS, **problem.headers, "Cache-Control": "no-store"}
    if path == "/api/v2/write":
        members = {"code": CODES.get(problem.status, "internal error"), "message": problem.detail}
    else:
        members = {"error": problem.detail}
        headers["X-Influxdb-Error"] = re.sub(r"[^\x20-\x7e]", " ", problem.detail)[:500]
    body = orjson.dumps(members, option=orjson.OPT_APPEND_NEWLINE)
    return web.Response(body=body, status=problem.status, content_type="application/json", headers=headers)


def authorization(request: web.Request) -> str:
    """Return the Authorization header; of InfluxDB's ways, `Token`, `u` and `p`, the one that they stand for."""
    given = request.headers.get("Authorization", "")
    scheme, _, rest = given.partition(" ")
    if scheme.lower() == "token":
        return basic(rest.strip()) if ":" in rest else f"Bearer {rest}"
    if not given and request.path in ("/write", "/query") and "u" in request.query:
        return basic(f"{request.query['u']}:{request.query.get('p', '')}")
    return given


def basic(credentials: str) -> str:
    return "Basic " + base64.b64encode(credentials.encode("utf-8", "surrogatepass")).decode()
