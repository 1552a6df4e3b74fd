"""Graphs: CPU and size beside rrdtool in its own process, and what drawing adds to the loop's lag.

    python tests/bench/render.py [--points 600] [--rounds 7] [--seconds 5]

rrdtool is Debian's python3-rrdtool under /usr/bin/python3, over an RRD file with the same data; nothing of ours is
cached but the glyphs: title and numbers differ from graph to graph. CPU is the process' own, medians over rounds
that take turns.
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
from monitor.graph.model import Graph, Line
from monitor.graph.render import render

START, STEP, WIDTH, HEIGHT = 1_795_000_200, 60, 580, 203
GRAPH = Graph("traffic", "Host 1 - traffic", Line("a", "in", "3366cc"), Line("b", "out", "dc3912"), lower=None)
REPEATS = 20

RRDTOOL = r"""
import json, sys, time
import rrdtool

path, start, end, repeats = sys.argv[1], *map(int, sys.argv[2:5])
words = ["--start", str(start), "--end", str(end), "--full-size-mode", "-w", "580", "-h", "203"]
draw = ["DEF:a=%s:v0:AVERAGE" % path, "DEF:b=%s:v1:AVERAGE" % path]
for name, colour, legend in (("a", "3366cc", "in"), ("b", "dc3912", "out")):
    draw.append("LINE1:%s#%s:%-8s" % (name, colour, legend))
    for word, cf, ending in (("Cur", "LAST", ""), ("Ave", "AVERAGE", ""), ("Max", "MAX", ""), ("Min", "MIN", "\\n")):
        draw.append("GPRINT:%s:%s:%s\\: %%7.2lf%%s%s" % (name, cf, word, ending))
for line in sys.stdin:
    began = time.process_time()
    for i in range(repeats):
        made = rrdtool.graphv("-", "-t", "Host 1 - traffic %d" % i, *words, *draw)
    spent = (time.process_time() - began) / repeats
    print(json.dumps([spent, len(made["image"])]), flush=True)
"""


def data(points: int) -> dict[str, np.ndarray]:
    source = np.random.default_rng(1)
    turn = np.arange(points)
    a = 50 + 30 * np.sin(turn / 60) + source.normal(0, 6, points).cumsum() * 0.2 + source.normal(0, 4, points)
    b = 30 + 12 * np.cos(turn / 90) + source.normal(0, 3, points)
    return {"a": np.abs(a), "b": np.abs(b)}


def write_rrd(path: Path, series: dict[str, np.ndarray]) -> None:
    points = len(series["a"])
    sources = [f"DS:v{i}:GAUGE:120:U:U" for i in range(2)]
    create = ["rrdtool", "create", str(path), "--start", str(START), "--step", str(STEP), *sources]
    subprocess.run([*create, f"RRA:AVERAGE:0.5:1:{points + 10}"], check=True)
    rows = [f"{START + STEP * (i + 1)}:{a:.4f}:{b:.4f}" for i, (a, b) in enumerate(zip(*series.values(), strict=True))]
    for i in range(0, points, 500):
        subprocess.run(["rrdtool", "update", str(path), *rows[i : i + 500]], check=True)


def draw(series: dict[str, np.ndarray], i: int) -> bytes:
    end = START + STEP * len(series["a"])
    return render(
        layout(
            GRAPH, series, start=START, end=end, step=STEP, width=WIDTH, height=HEIGHT, title=f"Host 1 - traffic {i}"
        )
    )


def ours(series: dict[str, np.ndarray], began: int) -> tuple[float, int]:
    # values that were never drawn before, so that no text of the legend is found again
    changed = [{name: values * (1 + (began + i) / 999) for name, values in series.items()} for i in range(REPEATS)]
    start = time.process_time()
    for i, one in enumerate(changed):
        made = draw(one, began + i)
    return (time.process_time() - start) / REPEATS, len(made)


def compare(points: int, rounds: int) -> None:
    series = data(points)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "g.rrd")
        write_rrd(path, series)
        command = ["/usr/bin/python3", "-c", RRDTOOL, str(path), str(START), str(START + STEP * points), str(REPEATS)]
        measured: dict[str, list[tuple[float, int]]] = {"ours": [], "rrdtool": []}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as rrdtool:
            assert rrdtool.stdin
            assert rrdtool.stdout
            for i in range(rounds + 1):
                print(file=rrdtool.stdin, flush=True)
                spent, size = json.loads(rrdtool.stdout.readline())
                mine = ours(series, i * REPEATS)
                if i:  # the first round warms up
                    measured["rrdtool"].append((spent, size))
                    measured["ours"].append(mine)
    middle = {name: statistics.median(spent for spent, _ in rows) * 1e3 for name, rows in measured.items()}
    size = {name: rows[-1][1] for name, rows in measured.items()}
    print(f"\n2 series x {points} points, {WIDTH} x {HEIGHT}, {rounds} rounds of {REPEATS}")
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
            await asyncio.to_thread(draw, series, i)
            due, i = due + 1 / rate, i + 1
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    await asyncio.gather(beat(), graphs())
    assert loop.is_running()
    return sorted(late)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", default="600,2880")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=5)
    asked = parser.parse_args()
    for points in map(int, asked.points.split(",")):
        compare(points, asked.rounds)
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
