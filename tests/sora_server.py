"""A stand-in for Sora's API: POST / with the header x-sora-target, in the shapes of several years.

It replays the answers in tests/cases/sora. Counters grow with every `step`, connections come and go by `churn`, and
attributes say what goes wrong.
"""

from __future__ import annotations

import asyncio
import copy
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

CASES = Path(__file__).resolve().parent / "cases/sora"
OPERATIONS = {
    "Sora_20171010.GetStatsReport": "GetStatsReport",
    "Sora_20171101.GetStatsAllConnections": "GetStatsAllConnections",
    "Sora_20171218.GetLicense": "GetLicense",
    "Sora_20211215.ListClusterNodes": "ListClusterNodes",
}
Fault = bytes | int | float | Callable[[bytes], bytes]
"""A body to send instead, a status to refuse with, seconds to hang for, or what spoils the right body."""


def case(year: str, operation: str) -> Any:
    file = CASES / year / operation
    return json.loads(file.read_text()) if file.exists() else None


def grown(tree: Any, by: int, counting: bool = False) -> Any:
    """Return an answer whose totals are greater."""
    if isinstance(tree, dict):
        return {
            key: grown(value, by, (counting or key.startswith("total_")) and key != "total_ongoing_connections")
            for key, value in tree.items()
        }
    return tree + by if counting and isinstance(tree, int) and not isinstance(tree, bool) else tree


class Sora:
    """One node. `connections` may be changed at any time."""

    def __init__(self, year: str = "2025") -> None:
        self.year = year
        self.answers = {operation: case(year, operation) for operation in OPERATIONS.values()}
        self.elsewhere: list[dict[str, Any]] = []
        """Connections of other nodes of the cluster."""
        self.faults: dict[str, Fault] = {}
        """What goes wrong, by operation."""
        self.token = ""
        """What a proxy before it wants to see in Authorization."""
        self.path = "/"
        self.asked: list[tuple[str, bytes, str | None]] = []
        """Operation, body and content type of every request."""
        self.url = ""
        self.made = 0

    @property
    def connections(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.answers["GetStatsAllConnections"]
        return found

    @connections.setter
    def connections(self, found: list[dict[str, Any]]) -> None:
        self.answers["GetStatsAllConnections"] = found

    def step(self, by: int = 1000) -> None:
        """Have every count grow by so much."""
        self.answers["GetStatsReport"] = grown(self.answers["GetStatsReport"], by)
        self.connections = [grown(one, by) for one in self.connections]

    def connection(self, channel: str = "room-a", **more: str) -> dict[str, Any]:
        """Return a new connection, whose counts are those of the first one in the year's case."""
        made: dict[str, Any] = copy.deepcopy(case(self.year, "GetStatsAllConnections")[0])
        self.made += 1
        id = f"{self.made:026d}"
        key = {"connection_id": id, "bundle_id": id} if "connection_id" in made else {"client_id": id}
        return made | key | {"channel_id": channel} | more

    def churn(self, count: int, channels: int) -> None:
        """Replace all connections by so many new ones, spread over channels."""
        self.connections = [self.connection(f"room-{i % channels}") for i in range(count)]

    def body(self, operation: str, whole: bool = False) -> bytes:
        answer = self.answers[operation]
        if whole:
            answer = [*answer, *self.elsewhere]
        return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        kind = request.headers.get("Content-Type")
        operation = OPERATIONS.get(request.headers.get("x-sora-target", ""), "")
        self.asked.append((operation, body, kind))
        if self.token and request.headers.get("Authorization") != self.token:
            return self.refusal(401, "UNAUTHORIZED")
        try:
            wanted = json.loads(body) if body else {}
        except ValueError:
            return self.refusal(400, "INVALID-JSON")
        if not operation or self.answers[operation] is None:
            return self.refusal(400, "INVALID-TARGET")
        made = self.body(operation, whole=wanted.get("local", True) is False)
        match self.faults.get(operation):
            case int(status):
                return self.refusal(status, "INTERNAL-ERROR")
            case float(seconds):
                await asyncio.sleep(seconds)
            case bytes(spoilt):
                made = spoilt
            case None:
                pass
            case spoil:
                made = spoil(made)
        return web.Response(body=made, content_type="application/json", headers={"Server": "Cowboy"})

    @staticmethod
    def refusal(status: int, kind: str) -> web.Response:
        return web.json_response({"error_type": kind}, status=status, headers={"Server": "Cowboy"})

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Sora]:
        app = web.Application()
        app.router.add_post(self.path, self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
            await site.start()
            port = runner.addresses[0][1]
            self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}{self.path}"
            yield self
        finally:
            await runner.cleanup()
