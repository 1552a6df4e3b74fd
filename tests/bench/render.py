"""Graphs: CPU and size beside rrdtool in its own process, and what drawing adds to the loop's lag.

    python tests/bench/render.py [--points 1440] [--rounds 7] [--seconds 5]

rrdtool is Debian's python3-rrdtool under /usr/bin/python3, over an RRD file with the same data; nothing of ours is
cached but the glyphs: title and numbers differ from graph to graph. CPU is the process' own, medians over rounds
that take turns. The cold graph is 2 lines over a day of minutes; the other one has 10 stacked areas.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import uvloop

from monitor.graph.layout import layout
from monitor.graph.model import Area, Graph, Line, Stack
from monitor.graph.render import render

START, STEP, WIDTH, HEIGHT = 1_795_000_200, 60, 580, 203
LINES = Graph("traffic", "Host 1 - traffic", Line("v0", "in", "3366cc"), Line("v1", "out", "dc3912"), lower=None)
FILLED = Graph("traffic", "Host 1 - traffic", Area("v0", "in", "3366cc"), Line("v1", "out", "dc3912"))
SHADES = ("0072b2", "e69f00", "009e73", "d55e00", "cc79a7", "56b4e9", "7f7f7f", "8c6d31", "44338a", "b0a800")
STACKED = Graph("parts", "Host 1 - parts", *(Stack(f"v{i}", f"part {i}", one) for i, one in enumerate(SHADES)))
REPEATS = 20

RRDTOOL = r"""
import json, sys, time
import rrdtool

path, start, end, repeats = sys.argv[1], *map(int, sys.argv[2:5])
title, items = sys.argv[5], json.loads(sys.argv[6])
words = ["--start", str(start), "--end", str(end), "--full-size-mode", "-w", "580", "-h", sys.argv[7]]
draw = ["DEF:v%d=%s:v%d:AVERAGE" % (i, path, i) for i in range(len(items))]
for i, (kind, colour, legend) in enumerate(items):
    draw.append("%s:v%d#%s:%-8s%s" % (kind.rstrip("+"), i, colour, legend, ":STACK" if kind[-1] == "+" else ""))
    for word, cf, ending in (("Cur", "LAST", ""), ("Ave", "AVERAGE", ""), ("Max", "MAX", ""), ("Min", "MIN", "\n")):
        draw.append("GPRINT:v%d:%s:%s\: %%7.2lf%%s%s" % (i, cf, word, ending))
for line in sys.stdin:
    began = time.process_time()
    for i in range(repeats):
        made = rrdtool.graphv("-", "-t", "%s %d" % (title, i), *words, *draw)
    spent = (time.process_time() - began) / repeats
    print(json.dumps([spent, len(made["image"])]), flush=True)
"""


def data(points: int, count: int = 2) -> dict[str, np.ndarray]:
    source = np.random.default_rng(1)
    turn = np.arange(points)
    made = {}
    for i in range(count):
        slow = 50 - 20 * (i % 2) + (30 - 18 * (i % 2)) * np.sin(turn / (60 + 30 * i) + i)
        made[f"v{i}"] = np.abs(slow + source.normal(0, 6, points).cumsum() * 0.1 + source.normal(0, 4, points))
    return made


def write_rrd(path: Path, series: dict[str, np.ndarray]) -> None:
    rows = np.array(list(series.values())).T
    sources = [f"DS:{name}:GAUGE:120:U:U" for name in series]
    create = ["rrdtool", "create", str(path), "--start", str(START), "--step", str(STEP), *sources]
    subprocess.run([*create, f"RRA:AVERAGE:0.5:1:{len(rows) + 10}"], check=True)
    lines = [f"{START + STEP * (i + 1)}:" + ":".join(f"{value:.4f}" for value in row) for i, row in enumerate(rows)]
    for i in range(0, len(lines), 500):
        subprocess.run(["rrdtool", "update", str(path), *lines[i : i + 500]], check=True)


def draw(graph: Graph, series: dict[str, np.ndarray], i: int) -> bytes:
    end = START + STEP * len(series["v0"])
    title = f"{graph.title} {i}"
    return render(layout(graph, series, start=START, end=end, step=STEP, width=WIDTH, height=HEIGHT, title=title))


def ours(graph: Graph, series: dict[str, np.ndarray], began: int) -> tuple[float, int]:
    # values that were never drawn before, so that no text of the legend is found again
    changed = [{name: values * (1 + (began + i) / 999) for name, values in series.items()} for i in range(REPEATS)]
    start = time.process_time()
    for i, one in enumerate(changed):
        made = draw(graph, one, began + i)
    return (time.process_time() - start) / REPEATS, len(made)


def kind(item: object) -> str:
    return "LINE1" if isinstance(item, Line) else "AREA+" if isinstance(item, Stack) else "AREA"


def compare(graph: Graph, points: int, rounds: int) -> None:
    items = [(kind(one), str(one.colour), one.legend) for one in graph.items if isinstance(one, Area | Line)]
    series = data(points, len(items))
    high = layout(graph, series, start=START, end=START + STEP * points, step=STEP, width=WIDTH, height=HEIGHT).height
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "g.rrd")
        write_rrd(path, series)
        ends = [str(START), str(START + STEP * points), str(REPEATS)]
        command = ["/usr/bin/python3", "-c", RRDTOOL, str(path), *ends, graph.title, json.dumps(items), str(high)]
        measured: dict[str, list[tuple[float, int]]] = {"ours": [], "rrdtool": []}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as rrdtool:
            assert rrdtool.stdin
            assert rrdtool.stdout
            for i in range(rounds + 1):
                print(file=rrdtool.stdin, flush=True)
                spent, size = json.loads(rrdtool.stdout.readline())
                mine = ours(graph, series, i * REPEATS)
                if i:  # the first round warms up
                    measured["rrdtool"].append((spent, size))
                    measured["ours"].append(mine)
    middle = {name: statistics.median(spent for spent, _ in rows) * 1e3 for name, rows in measured.items()}
    size = {name: rows[-1][1] for name, rows in measured.items()}
    what = ", ".join(f"{[name for name, *_ in items].count(word)} {word}" for word in sorted({one[0] for one in items}))
    print(f"\n{what} x {points} points, {WIDTH} x {high}, {rounds} rounds of {REPEATS}")
    print("| | CPU ms (min..max) | to rrdtool | PNG bytes | to rrdtool |\n|---|---|---|---|---|")
    for name, rows in measured.items():
        spent = [one * 1e3 for one, _ in rows]
        print(
            f"| {name} | {middle[name]:.2f} ({min(spent):.2f}..{max(spent):.2f}) "
            f"| {middle[name] / middle['rrdtool']:.2f} | {size[name]} | {size[name] / size['rrdtool']:.2f} |"
        )


async def lag(seconds: float, rate: float, series: dict[str, np.ndarray]) -> list[float]:
    """Return how late a 1 ms beat of the loop came, in ms, while graphs are drawn in a thread."""
    loop = asyncio.get_running_loop()
    late: list[float] = []
    over = time.monotonic() + seconds

    async def beat() -> None:
        while time.monotonic() < over:
            began = time.monotonic()
            await asyncio.sleep(0.001)
            late.append((time.monotonic() - began - 0.001) * 1e3)

    async def graphs() -> None:
        due, i = time.monotonic(), 0
        while rate and due < over:
            await asyncio.to_thread(draw, LINES, series, i)
            due, i = due + 1 / rate, i + 1
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    await asyncio.gather(beat(), graphs())
    assert loop.is_running()
    return sorted(late)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", default="1440")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=5)
    asked = parser.parse_args()
    for points in map(int, asked.points.split(",")):
        for graph in (LINES, FILLED, STACKED):
            compare(graph, points, asked.rounds)
    sys.setswitchinterval(0.0005)
    print("\nlag of a uvloop loop, switch interval 0.5 ms, drawing in a thread")
    print("| graphs/s | p50 ms | p99 ms | max ms |\n|---|---|---|---|")
    for rate in (0, 20):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            late = runner.run(lag(asked.seconds, rate, data(600)))
        at = [late[min(len(late) - 1, int(len(late) * part))] for part in (0.5, 0.99, 1.0)]
        print(f"| {rate} | {at[0]:.2f} | {at[1]:.2f} | {at[2]:.2f} |")
    print(f"\nlargest RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
