"""The whole appliance in front of stand-ins for STON, at a clock that jumps from one collection to the next."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from appliance import Appliance, appliance, wait_for
from set_clock import SetClock
from ston_server import Edge, Server, serving

NOW = 1_795_000_000 // 86400 * 86400
"""A midnight in UTC, on a Wednesday in November 2026."""
NOTICED = 1.1
"""Seconds within which the scheduler notices that a clock was set."""
HEAD = """[collectors]
[[default]]
enabled = False
[roles]
[[ston]]
collectors = STONCollector
[hosts]
"""
HOST = """[[{host}]]
hostname = {name}
role = ston
[[[STONCollector]]]
server = {server}
req_host = 127.0.0.1
req_port = {port}
timeout = 1
"""


class Stand:
    """A stand-in that answers from a thread, and that can be taken away from its port and brought back."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.port = 0
        self._end: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        begun = threading.Event()

        async def run() -> None:
            self._end, self._loop = asyncio.Event(), asyncio.get_running_loop()
            async with serving(self.server, self.port):
                self.port = int(self.server.url.rpartition(":")[2])
                begun.set()
                await self._end.wait()

        self._thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        self._thread.start()
        assert begun.wait(10)

    def stop(self) -> None:
        if self._thread is not None and self._loop is not None and self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(10)
        self._thread = None


class Site:
    """An appliance with its stand-ins, by the hosts' names: host `192.0.2.N` is that of number N, `stonN`."""

    def __init__(self, one: Appliance, clock: SetClock, stands: list[Stand]) -> None:
        self.appliance = one
        self.clock = clock
        self.stands = stands

    def job(self, number: int = 1) -> dict[str, Any]:
        found = self.appliance.json(f"/api/v1/hosts/192.0.2.{number}")
        return next(part for part in found["collectors"] if part["collector"] == "ston")

    def poll(self, times: int = 1) -> None:
        """Set the clock to the next collections and wait until every server has been asked that often."""
        numbers = range(1, len(self.stands) + 1)
        for _ in range(times):
            wait_for(lambda: all(0 < self.job(n)["next_run"] - self.clock.now() < 331 for n in numbers), 10, 0.02)
            jobs = {n: self.job(n) for n in numbers}
            for number in sorted(numbers, key=lambda n: jobs[n]["next_run"]):
                runs, due = jobs[number]["runs"], jobs[number]["next_run"]
                if due > self.clock.now() + NOTICED:
                    self.clock.set(due - NOTICED)
                wait_for(lambda: self.job(number)["runs"] > runs, 20, 0.02)  # noqa: B023

    def figures(self, path: str = "/graph_vhost", **query: Any) -> list[list[float]]:
        """Return the known values of each line of a graph of all that was collected."""
        since = {"start": NOW, "end": math.ceil(self.clock.now() / 300) * 300}
        lines = self.appliance.json(path, **{**since, **query, "format": "json"})["lines"]
        return [[value for value in line["values"] if value is not None] for line in lines]

    def page(self, path: str, **query: Any) -> str:
        text = f"{path}?{urllib.parse.urlencode(query)}"
        status, body = self.appliance.get(text)
        assert status == 200, (text, status, body[:500])
        return body.decode()

    def problem(self, path: str, status: int, **query: Any) -> Mapping[str, Any]:
        got, body = self.appliance.get(f"{path}?{urllib.parse.urlencode(query)}")
        assert got == status, (query, got, body[:500])
        found: dict[str, Any] = json.loads(body)
        return found

    def complaints(self) -> list[str]:
        """Return what the log says that only a fault of the program writes."""
        return re.findall(r"Traceback.*|level=error.*|ERROR.*", self.appliance.log.read_text())


@contextlib.contextmanager
def site(directory: Path, *servers: Server) -> Iterator[Site]:
    """A running appliance that watches these servers; its clock stands shortly before `NOW`."""
    stands = [Stand(server) for server in servers]
    with contextlib.ExitStack() as stack:
        text = HEAD
        for number, stand in enumerate(stands, 1):
            stand.start()
            stack.callback(stand.stop)
            kind = "edge" if isinstance(stand.server, Edge) else "media"
            text += HOST.format(host=f"192.0.2.{number}", name=f"ston{number}", server=kind, port=stand.port)
        clock = SetClock(directory / "clock", NOW - 400)
        yield Site(stack.enter_context(appliance(directory / "appliance", text, clock.env)), clock, stands)
