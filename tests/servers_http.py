"""Receivers of posts over HTTP: strict about the form, what they took lies in `values`."""

from __future__ import annotations

import json
import re
from typing import Any

from aiohttp import web
from appliance import free_port

LINE = re.compile(r"([A-Za-z0-9_.-]+) (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?) (\d+)\n")
METRIC = {"path": str, "value": float, "timestamp": int, "precision": int, "host": str, "ttl": float}
BATCH = {"host": str, "collector": str, "instance": str, "time": float, "interval": float, "values": dict}


class Posted:
    """Starts on the same port again after `stop`; `answers` but None are given without looking at a request."""

    def __init__(self, form: str, longest: int = 100_000) -> None:
        self.form = form
        self.longest = longest
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/in?key=a%20b"
        self.values: list[tuple[str, int, float]] = []
        """(path, or host:collector:instance:name, time, value)"""
        self.requests = 0
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, dict[str, str], str] | None] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=self.longest)
        app.router.add_post("/in", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.Response:
        body = (await request.read()).decode()
        self.requests += 1
        self.headers.append(dict(request.headers))
        if self.answers and (answer := self.answers.pop(0)) is not None:
            status, headers, text = answer
            return web.Response(status=status, headers=headers, text=text)
        assert dict(request.query) == {"key": "a b"}
        if self.form == "PLAIN":
            found = [LINE.fullmatch(line) for line in body.splitlines(keepends=True)]
            if not all(found):
                return web.Response(status=400, text="a line is none")
            self.values += [(one[1], int(one[3]), float(one[2])) for one in found if one]
            return web.Response(status=204)
        told = json.loads(body)
        if self.form == "JSON":
            assert list(told) == ["metric"]
            for one in told["metric"]:
                _typed(one, METRIC)
                self.values.append((one["path"], one["timestamp"], one["value"]))
            return web.Response()
        assert list(told) == ["batches"]
        rejected = []
        for number, one in enumerate(told["batches"]):
            _typed(one, BATCH)
            if one["host"] == "strange":
                rejected.append({"index": number, "error": "no host of ours"})
                continue
            place = ":".join((one["host"], one["collector"], one["instance"]))
            self.values += [
                (f"{place}:{name}", int(one["time"]), value)
                for name, value in one["values"].items()
                if value is not None
            ]
        return web.json_response({"accepted": len(told["batches"]) - len(rejected), "rejected": rejected})


def _typed(one: dict[str, Any], fields: dict[str, type]) -> None:
    assert set(one) == set(fields), one
    for name, kind in fields.items():
        assert isinstance(one[name], kind), (name, one)
