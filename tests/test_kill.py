"""kill -9 at any moment loses nothing that was acknowledged, and stores nothing twice."""

from __future__ import annotations

import asyncio
import http.client
import random
import threading
import time
import urllib.error
from pathlib import Path

import asyncpg
import pytest
from appliance import Appliance, appliance, wait_for

PUSHES = 1000
KILLS, MANY_KILLS = 8, 20
"""By default, and with --slow."""
NO_COLLECTORS = "".join(
    f"[[{name}Collector]]\nenabled = False\n"
    for name in ("CPU", "Memory", "LoadAverage", "DiskUsage", "DiskSpace", "Network", "TCP", "VMStat")
)


class Pusher(threading.Thread):
    """Pushes value n at second n after `start`, again and again until it is acknowledged."""

    def __init__(self, one: Appliance, start: int) -> None:
        super().__init__()
        self.one, self.first = one, start
        self.acknowledged = 0

    def run(self) -> None:
        for n in range(PUSHES):
            batch = {
                "host": "h",
                "collector": "app",
                "time": self.first + n,
                "interval": 1,
                "values": {"n": n, "c": 7 * n},
            }
            while True:
                try:
                    answer = self.one.push([{**batch, "kinds": {"c": "counter"}}])
                except (urllib.error.URLError, OSError, http.client.HTTPException):
                    time.sleep(0.02)
                    continue
                # A push whose acknowledgement the kill cut off may come again: it is a repeat, not a second value.
                assert answer == {"accepted": 1, "rejected": []}, answer
                self.acknowledged += 1
                break


def test_every_acknowledged_value_is_stored_once(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kills = MANY_KILLS if request.config.getoption("--slow") else KILLS
    rng = random.Random(20)
    start = int(time.time()) - PUSHES - 60
    with appliance(tmp_path / "a", f"[collectors]\n{NO_COLLECTORS}") as one:
        pusher = Pusher(one, start)
        pusher.start()
        for kill in range(1, kills + 1):
            wait_for(lambda kill=kill: pusher.acknowledged >= kill * PUSHES // (kills + 1), 60, 0.002)
            time.sleep(rng.random() * 0.1)
            one.kill()
            one.start()
        pusher.join(120)
        assert pusher.acknowledged == PUSHES
        whole = {"start": start - 1, "end": start + PUSHES - 1, "step": 1}
        wanted = list(range(PUSHES))
        wait_for(lambda: one.values("h:app::n", **whole)[-1:] == [PUSHES - 1], 30)
        assert one.values("h:app::n", **whole) == wanted
        # A counter that goes on over every restart has one rate throughout: nothing missing, nothing twice.
        assert one.values("h:app::c", **whole)[1:] == [7.0] * (PUSHES - 1)
        assert rows(one) == PUSHES


def rows(one: Appliance) -> int:
    """Return how many rows lie in the embedded database, asked over its own socket."""
    socket = (one.directory / "data/postgres/data/postmaster.pid").read_text().splitlines()[4]

    async def count() -> int:
        connection = await asyncpg.connect(host=socket, user="monitor", database="postgres")
        try:
            return int(await connection.fetchval("SELECT count(*) FROM metric WHERE host = 'h' AND name = 'n'"))
        finally:
            await connection.close()

    return asyncio.run(count())
