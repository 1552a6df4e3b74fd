"""What stands in for a network and a clock where Diamond's collectors are run over tests/cases."""

from __future__ import annotations

import json
from typing import Any

import collectors.http
import collectors.ntpd
import collectors.ping
import collectors.websitemonitor
from monitor.collector import Collector


class Page(collectors.http.HttpCollector):
    """Every answer takes a millisecond."""

    seconds = 0.0

    def clock(self) -> float:
        self.seconds += 0.001
        return self.seconds


class Site(collectors.websitemonitor.WebsiteMonitorCollector):
    """Every answer takes a quarter of a second."""

    seconds = 0.0

    def clock(self) -> float:
        self.seconds += 0.25
        return self.seconds


class Ping(collectors.ping.PingCollector):
    """Hosts answer after as long as the case's trips.json says."""

    async def ask(self, target: str) -> float:
        trips: dict[str, float] = json.loads((self.proc / "trips.json").read_text())
        if target not in trips:
            raise TimeoutError
        return trips[target]


class Ntpd(collectors.ntpd.NtpdCollector):
    """The server answers with the case's packet, 40 ms after it was asked."""

    async def exchange(self, token: bytes) -> tuple[bytes, bytes, float, float]:
        return (self.proc / "packet").read_bytes(), b"token..8", 1_700_000_000.0, 1_700_000_000.04

    def kernel(self) -> collectors.ntpd.Kernel | None:
        file = self.proc / "kernel.json"
        return collectors.ntpd.Kernel(*json.loads(file.read_text())) if file.exists() else None

    def now(self) -> float:
        return 1_700_000_000.0


STANDING_IN: dict[str, type[Collector]] = {"http": Page, "websitemonitor": Site, "ping": Ping, "ntpd": Ntpd}
FOLDER_OPTIONS = {"textfiles": {"dir": "dir"}, "userscripts": {"scripts_path": "scripts"}}
"""Options that name a folder of the case, by collector."""
NEEDS: dict[str, dict[str, Any]] = {"process": {"selfmon": True}}
"""Options without which a collector has nothing to read."""
