"""/api/host-status and /api/servers, as Kurado answers them: 0 ok, 1 warning, 2 critical; hosts as lines of text."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from aiohttp import web

from monitor.handler import SourceInfo
from monitor.inventory import HostSpec
from monitor.liveness import CRITICAL, OK, WARNED
from monitor.runner import Job
from monitor.web.answers import answer
from monitor.web.hosts import HostView, of_agent
from monitor.web.problem import ProblemError, bad, unknown
from monitor.web.services import Services

MOST = 500
LONGEST_BODY = 256 << 10
BODY_WAIT = 20.0
FORM = "application/x-www-form-urlencoded"
NUMBERS: Mapping[str, int] = {"ok": OK, "warning": WARNED, "critical": CRITICAL, "unknown": WARNED}
SLICE = 50
JOBS_AT_ONCE = 2000


class Status:
    def __init__(self, services: Services) -> None:
        self.services = services

    async def host_status(self, request: web.Request) -> web.Response:
        """Answer the status of every `address`; a host that nobody knows is critical."""
        names = request.query.getall("address", [])
        if request.method == "POST":
            names = [*names, *(text for key, text in await form(request) if key == "address")]
        if not 1 <= len(names) <= MOST:
            raise bad("address", f"expected 1 to {MOST} times, got {len(names)}")
        if len(set(names)) < len(names):
            twice = next(name for number, name in enumerate(names) if name in names[:number])
            raise bad("address", f"expected each once, got {twice[:80]!r} again")
        return answer(await statuses(self.services, names), headers={"Cache-Control": "no-store"})

    async def servers(self, request: web.Request) -> web.Response:
        """Answer `address hostname comments` of every configured host, or of those of a service."""
        services: dict[str, dict[str, list[HostSpec]]] = {}
        for spec in self.services.inventory.hosts.values():
            if not spec.local or spec.service or spec.label or spec.role or spec.comment:
                services.setdefault(spec.service, {}).setdefault(spec.label, []).append(spec)
        wanted = request.query.get("service")
        if wanted and wanted not in services:
            raise unknown("service", "service", wanted, services)
        lines = [
            f"{spec.address} {spec.hostname} {spec.comment}\n"
            for service in ([wanted] if wanted else sorted(services, key=str.casefold))
            for specs in services[service].values()
            for spec in specs
        ]
        return web.Response(text="".join(lines), content_type="text/plain", charset="utf-8")


async def statuses(services: Services, names: Sequence[str]) -> dict[str, int]:
    """Return the status of hosts by the names that are given: identities, hostnames or addresses.

    A host with plugins that its agent is to push is judged by them, and by its collectors to a warning at most;
    another by its collectors, or by what else is pushed for it.
    """
    specs = {name: services.inventory.find(name) for name in names}
    jobs: dict[str, list[Job]] = {spec.host: [] for spec in specs.values() if spec}
    for number, job in enumerate(list(services.parts.runner.jobs.values())):
        if (mine := jobs.get(job.target.host)) is not None:
            mine.append(job)
        if number % JOBS_AT_ONCE == JOBS_AT_ONCE - 1:
            await asyncio.sleep(0)
    found: dict[str, int] = {}
    for number, (name, spec) in enumerate(specs.items()):
        host = spec.host if spec else name
        if spec and spec.pushed:
            found[name] = of_agent(services, spec, jobs[host])
        else:
            sources = await services.store.sources(host=host)
            found[name] = of_others(services, spec, host, jobs.get(host, []), sources)
        if number % SLICE == SLICE - 1:
            await asyncio.sleep(0)
    return found


def of_others(services: Services, spec: HostSpec | None, host: str, jobs: list[Job], sources: list[SourceInfo]) -> int:
    """Return the status of a host that no agent has to push for."""
    liveness = services.parts.liveness
    if spec is None and liveness.plugins(host):
        return liveness.status(host)
    if spec is None and not sources:
        return CRITICAL
    view = HostView(spec or HostSpec(host, "", host), jobs, sources)
    view.judge(services.clock(), services.config.registry.quiet)
    return max(NUMBERS[view.state], WARNED if liveness.warnings(host) else OK)


async def form(request: web.Request) -> list[tuple[str, str]]:
    """Return the fields of a form that was posted."""
    if request.can_read_body and request.content_type != FORM:
        raise ProblemError(415, f"expected the header Content-Type: {FORM}, got {request.content_type[:80]!r}")
    body = b""
    try:
        async with asyncio.timeout(BODY_WAIT):
            while len(body) <= LONGEST_BODY and (more := await request.content.read(LONGEST_BODY + 1 - len(body))):
                body += more
    except TimeoutError:
        raise ProblemError(408, f"expected the whole body within {BODY_WAIT:g} s") from None
    if len(body) > LONGEST_BODY:
        raise ProblemError(413, f"expected a body of at most {LONGEST_BODY} bytes")
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=2 * MOST, errors="strict")
    except (UnicodeDecodeError, ValueError) as error:
        raise ProblemError(400, f"the form cannot be read: {str(error)[:200]}") from None
