"""How long this machine has been up, from /proc/uptime; the name is that of Diamond's UptimeCollector."""

from __future__ import annotations

import math
from typing import Literal

from monitor.collector import Area, CollectError, Collector, Gauge, Graph, option

SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}


def parse(text: str) -> float:
    """Return the seconds since the start."""
    word = text.partition(" ")[0].strip()
    try:
        seconds = float(word)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise CollectError(f"expected '350735.47 234388.90' in uptime, got {text[:80]!r}")
    return seconds


class UptimeCollector(Collector):
    path = "uptime"
    local = True
    needs_enabling = True

    metric_name: Literal["seconds", "minutes", "hours", "days"] = option(
        "minutes", "what the uptime is counted in, which is also its name"
    )

    seconds = Gauge("seconds", "since the start, with metric_name = seconds", min=0)
    minutes = Gauge("minutes", "since the start", min=0)
    hours = Gauge("hours", "since the start, with metric_name = hours", min=0)
    days = Gauge("days", "since the start, with metric_name = days", min=0)

    graphs = (
        Graph("uptime", "Uptime", Area(minutes, "up", "b2df8a"), unit="minutes"),
        Graph("uptime_seconds", "Uptime in seconds", Area(seconds, "up", "b2df8a"), unit="seconds"),
        Graph("uptime_hours", "Uptime in hours", Area(hours, "up", "b2df8a"), unit="hours"),
        Graph("uptime_days", "Uptime in days", Area(days, "up", "b2df8a"), unit="days"),
    )

    async def collect(self) -> None:
        seconds = parse((self.proc / "uptime").read_text())
        metric = {
            "seconds": self.seconds,
            "minutes": self.minutes,
            "hours": self.hours,
            "days": self.days,
        }[self.metric_name]
        self.publish(metric, seconds / SECONDS[self.metric_name])
