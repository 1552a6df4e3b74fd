"""A collector of virtual hosts for the tests of /graph_vhost: its file, and a store filled with what it would say."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from web_parts import Parts

from monitor.batch import Source

FILE = '''
"""A media server."""

from monitor.collector import Area, Collector, Graph, Line, Stack, expr

COLUMNS = ("Max", "Average", "Current")
PROTOCOLS = ("all", "rtmp", "http")


def ratio(p):
    return 100 * expr(f"{p}.hits") / expr(f"{p}.requests")


class MediaCollector(Collector):
    path = "media"
    targets = {
        "cpu": Graph("cpu", "CPU", Area("cpu.used", "User + System", "00cc00b4"), unit="%", upper=100, legend=COLUMNS),
        "memory": Graph("memory", "Memory", Area("memory.used", "Used", "00cc00b4"), unit="B", legend=COLUMNS),
    }
    instance_targets = {
        "traffic": {
            p: Graph("traffic", "Traffic", Area(8 * expr(f"{p}.out"), "Outbound", "00cc00b4"),
                     Line(8 * expr(f"{p}.in"), "Inbound", "0000ffb4"), unit="bps", legend=COLUMNS)
            for p in PROTOCOLS
        },
        "hitratio": {
            p: Graph("hitratio", "Hit ratio", Area(ratio(p), "Request Hit Ratio", "00cc00b4"), unit="%", legend=COLUMNS)
            for p in PROTOCOLS
        },
        "rtmp_detail": {"rtmp": Graph("rtmp_detail", "RTMP", Stack("rtmp.play", "Play", "00cc00b4"),
                                      Stack("rtmp.seek", "Seek", "ff0000b4"), legend=COLUMNS)},
        "files": {"": Graph("files", "Files", *(Stack(f"files.{i}", f"~{i}KB") for i in range(26)), legend=COLUMNS)},
    }
    target_aliases = {"mem": "memory", "http_traffic": "traffic/http"}
    whole_targets = frozenset({"files"})
    mean_targets = frozenset({"cpu"})
    thumbnails = ("traffic", "hitratio")
'''
ONE = """
[roles]
[[media]]
collectors = MediaCollector
[hosts]
[[10.0.0.8]]
hostname = media1
role = media
"""
TWO = (
    ONE
    + """
[[10.0.0.9]]
hostname = media2
role = media
"""
)
FIRST, SECOND = "10.0.0.8", "10.0.0.9"
VHOST, LIVE, CHANNEL = "www.example.com", "www.example.com/bar", "/myLiveStream"
ODD = "한국.example.com/100% a?b&c+d"


def with_media(directory: Path, text: str = ONE) -> str:
    """Return a configuration that has the collector."""
    more = directory / "more"
    more.mkdir(exist_ok=True)
    (more / "media.py").write_text(FILE)
    return f"[server]\ndata_dir = {directory}\ntimezone = UTC\ncollectors_path = {more}\n{text}"


def fill(
    parts: Parts, host: str, vhost: str, channel: str, values: dict[str, Callable[[int], float]], rows: int = 600,
    now: float | None = None,
) -> None:  # fmt: skip
    """Store a row every five minutes up to now."""
    source = Source(host, "media", vhost + channel)
    meta = {"vhost": vhost} if vhost else {"version": "1.0"}
    if channel:
        meta["channel"] = channel
    end = int(now if now is not None else parts.clock()) // 300 * 300
    for i in range(rows):
        at = end - (rows - 1 - i) * 300
        parts.store.add(source, at, at - 300, {name: one(i) for name, one in values.items()}, 300.0, meta=meta)


def steady(**values: float) -> dict[str, Callable[[int], float]]:
    return {name.replace("_", "."): lambda i, value=value: value for name, value in values.items()}


def of_vhost(size: float, hits: float = 0.5) -> dict[str, Callable[[int], float]]:
    """Return the series of a virtual host: `size` requests a second, of which so many are hits."""
    found = {"rtmp.play": size / 10, "rtmp.seek": size / 20} | {f"files.{i}": size * i for i in range(26)}
    for protocol in ("all", "rtmp", "http"):
        found |= {f"{protocol}.requests": size, f"{protocol}.hits": size * hits}
        found |= {f"{protocol}.out": 1000 * size, f"{protocol}.in": 10 * size}
    return {name: lambda i, value=value: value for name, value in found.items()}


def of_channel(size: float) -> dict[str, Callable[[int], float]]:
    return {name: one for name, one in of_vhost(size).items() if not name.startswith("files.")}


def wave(size: float) -> dict[str, Callable[[int], float]]:
    made = of_vhost(size)
    return {name: lambda i, one=one: one(i) * (1.2 + math.sin(i / 40)) for name, one in made.items()}
