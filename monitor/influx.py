"""[receivers] [[influx]]: how lines of InfluxDB's protocol, as Telegraf writes them, are read."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.options import Bytes, Seconds, option
from monitor.settings import Settings

TOTALS = [
    "net.bytes_*", "net.packets_*", "net.err_*", "net.drop_*", "diskio.reads", "diskio.writes", "diskio.*_bytes",
    "diskio.*_time", "diskio.merged_*", "kernel.context_switches", "kernel.interrupts", "kernel.processes_forked",
    "swap.in", "swap.out", "nginx.accepts", "nginx.handled", "nginx.requests",
]  # fmt: skip
"""Totals of Telegraf's common inputs; its lines do not tell them from other numbers."""


class Influx(Settings):
    """What POST /write and POST /api/v2/write take, on the port of the pages."""

    derive: list[str] = option(TOTALS, "patterns of MEASUREMENT.FIELD that are totals, of which the rate is kept")
    interval: Seconds = option(Seconds(60), "how often clients write, until stamps show another", min=1, max=86400)
    past: Seconds = option(Seconds(2 * 86400), "refuse points that are older", min=1)
    ahead: Seconds = option(Seconds(600), "refuse points that are further in the future", min=0)
    max_line: Bytes = option(Bytes(64 << 10), "refuse longer lines", min=1024, max=1 << 20)

    def check(self) -> Iterator[tuple[str, str]]:
        for pattern in self.derive:
            if not pattern.partition(".")[2]:
                yield "derive", f"expected MEASUREMENT.FIELD such as net.bytes_*, got {pattern[:80]!r}"
