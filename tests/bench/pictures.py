"""The same definitions over the same data, drawn by rrdtool and by us, and graphs of STON: pictures of the README.

    python tests/bench/pictures.py [DIRECTORY]

Writes cpu_rrdtool.png, cpu_ours.png, traffic_rrdtool.png and traffic_ours.png, where both read one text, in which
rrdtool finds its files and we our series, and ston_traffic.png and ston_hits.png.
"""

from __future__ import annotations

import math
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from collectors.ston import STONCollector
from monitor.graph.data import Track
from monitor.graph.layout import layout
from monitor.graph.render import render
from monitor.graph.rrd import parse

END = 1_795_230_000 // 300 * 300
START = END - 33 * 3600
CPU = r"""
--lower-limit 0
--upper-limit 100
DEF:user=<%RRD_FOR user.gauge %>:n:AVERAGE
DEF:system=<%RRD_FOR system.gauge %>:n:AVERAGE
DEF:wait=<%RRD_FOR wait.gauge %>:n:AVERAGE
AREA:user#a9a9a9:User   
GPRINT:user:LAST:Cur\:%6.1lf%%
GPRINT:user:AVERAGE:Ave\:%6.1lf%%
GPRINT:user:MAX:Max\:%6.1lf%%\l
STACK:system#008080:System 
GPRINT:system:LAST:Cur\:%6.1lf%%
GPRINT:system:AVERAGE:Ave\:%6.1lf%%
GPRINT:system:MAX:Max\:%6.1lf%%\l
STACK:wait#f00000:Wait   
GPRINT:wait:LAST:Cur\:%6.1lf%%
GPRINT:wait:AVERAGE:Ave\:%6.1lf%%
GPRINT:wait:MAX:Max\:%6.1lf%%\l
"""
TRAFFIC = r"""
--lower-limit 0
DEF:rx=<%RRD_FOR rx.gauge %>:n:AVERAGE
DEF:tx=<%RRD_FOR tx.gauge %>:n:AVERAGE
CDEF:in=rx,8,*
CDEF:out=tx,8,*
AREA:in#00c000:Inbound  
GPRINT:in:LAST:Cur\:%6.1lf%sbps
GPRINT:in:AVERAGE:Ave\:%6.1lf%sbps
GPRINT:in:MAX:Max\:%6.1lf%sbps\l
LINE1:out#0000ff:Outbound 
GPRINT:out:LAST:Cur\:%6.1lf%sbps
GPRINT:out:AVERAGE:Ave\:%6.1lf%sbps
GPRINT:out:MAX:Max\:%6.1lf%sbps\l
"""


def data() -> dict[str, list[float]]:
    """Return made-up values of every minute: a day's wave with noise, and a gap in the traffic."""
    chance = random.Random(4)
    found: dict[str, list[float]] = {name: [] for name in ("user", "system", "wait", "rx", "tx")}
    last = dict.fromkeys(found, 0.0)
    for i in range((END - START) // 60):
        day = 0.5 - 0.5 * math.cos((i / 60 + 3) / 24 * 2 * math.pi)
        new = {
            "user": 5 + 45 * day + chance.gauss(0, 8), "system": 2 + 14 * day + chance.gauss(0, 3),
            "wait": 1 + chance.expovariate(1 / 3), "rx": (30e6 + 900e6 * day * chance.uniform(0.8, 1.2)) / 8,
            "tx": (8e6 + 160e6 * day * chance.uniform(0.7, 1.3)) / 8,
        }  # fmt: skip
        for name, value in new.items():
            last[name] = max(0.1, 0.87 * last[name] + 0.13 * value)
            gap = name in ("rx", "tx") and 600 < i < 640
            found[name].append(math.nan if gap else last[name])
    return found


def theirs(path: Path, definition: str, title: str, unit: str, values: dict[str, list[float]]) -> None:
    with tempfile.TemporaryDirectory() as directory:

        def file(match: re.Match[str]) -> str:
            name = match[1]
            where = Path(directory, f"{name}.rrd")
            create = ["--start", str(START), "--step", "60", "DS:n:GAUGE:120:U:U", "RRA:AVERAGE:0.5:1:4000"]
            subprocess.run(["rrdtool", "create", str(where), *create], check=True)
            rows = [f"{START + 60 * (i + 1)}:{'U' if math.isnan(v) else repr(v)}" for i, v in enumerate(values[name])]
            for i in range(0, len(rows), 500):
                subprocess.run(["rrdtool", "update", str(where), *rows[i : i + 500]], check=True)
            return str(where)

        text = re.sub(r"<%RRD_FOR (\w+)\.gauge %>", file, definition)
        lines = [
            word
            for line in text.strip("\n").split("\n")
            for word in (line.split(" ", 1) if line[:2] == "--" else [line])
        ]
        looks = ["--color", "BACK#F3F3F3", "--border", "1", "--disable-rrdtool-tag", "-w", "497", "-h", "120"]
        words = ["-s", str(START), "-e", str(END), "-t", title, "-v", unit, *looks, *lines]
        subprocess.run(["rrdtool", "graph", str(path), *words], check=True, stdout=subprocess.DEVNULL)


def ours(path: Path, definition: str, title: str, unit: str, values: dict[str, list[float]]) -> None:
    step = 300  # as rrdtool does, more values than pixels are averaged
    with np.errstate(all="ignore"):
        found = {name: np.array(one).reshape(-1, step // 60).mean(axis=1) for name, one in values.items()}
    graph = parse(unit + definition)
    tracks = {read: Track(START, step, found[read.name]) for read in graph.reads()}
    path.write_bytes(
        render(
            layout(
                graph,
                {},
                tracks=tracks,
                start=START,
                end=END,
                step=step,
                width=497,
                height=120,
                whole=False,
                title=title,
            )
        )
    )


def ston(path: Path, target: str, protocol: str) -> None:
    """Draw a target of /graph_vhost over two days that are made up."""
    graph = STONCollector.instance_targets[target][protocol]
    turn = np.arange(576)
    wave = 0.55 - 0.45 * np.cos((turn / 12 + 3) / 24 * 2 * np.pi)
    chance = np.random.default_rng(3)
    series = {}
    for number, name in enumerate(graph.names()):
        size = 4e7 / (1 + number) if name.endswith("bound") else 900 / (1 + number) ** 1.5
        noise = np.convolve(chance.normal(0, 0.12, 580), np.full(5, 0.2), "valid")
        series[name] = size * wave * (1 + noise)
    hits = [values for name, values in series.items() if ".hit." in name]
    series |= {name: np.sum(hits, axis=0) for name in series if hits and name.endswith("requests")}
    end = END // 300 * 300
    title = f"{graph.title}, www.example.com/bar, 2 days"
    path.write_bytes(
        render(layout(graph, series, start=end - 576 * 300, end=end, step=300, width=580, height=203, title=title))
    )


def main() -> None:
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    directory.mkdir(exist_ok=True)
    values = data()
    for name, definition, title, unit in (
        ("cpu", CPU, "Day www1", "CPU usage [%]"), ("traffic", TRAFFIC, "Day www1 eth0", "Throughput"),
    ):  # fmt: skip
        theirs(directory / f"{name}_rrdtool.png", definition, title, unit, values)
        ours(directory / f"{name}_ours.png", definition, title, unit, values)
    ston(directory / "ston_traffic.png", "client_traffic", "http")
    ston(directory / "ston_hits.png", "client_res_hit", "http")


if __name__ == "__main__":
    main()
