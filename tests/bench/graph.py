"""A cold graph: query, layout, rendering and PNG of 2 series over a day, each for the first time, beside rrdtool.

    python tests/bench/graph.py [--hosts 12]

Ours reads its database (yesterday from the tier of 5 minutes, today from the rows); rrdtool draws in its own process
from a file of the same data with the same tiers. CPU ms; the database server's is shown apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import uvloop

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

from blocks import DiamondNaming  # noqa: E402
from build import servers  # noqa: E402
from history import NOW, load, minutes  # noqa: E402
from render import RRDTOOL  # noqa: E402

from handlers.postgresql import PostgreSQLHandler  # noqa: E402
from monitor.batch import Series, Source  # noqa: E402
from monitor.graph.layout import layout  # noqa: E402
from monitor.graph.model import Area, Graph, Line  # noqa: E402
from monitor.graph.render import render  # noqa: E402
from monitor.query import Query  # noqa: E402
from monitor.store.trees import DAY  # noqa: E402

NAMES = 10
GRAPH = Graph("g", "Requests", Area("v0", "in", "00cc00b4"), Line("v1", "out", "0000ffb4"))


async def ours(hosts: int, directory: Path) -> tuple[list[float], list[float], float, int]:
    """Return the CPU ms of each graph's query and picture, the server's of one, and the PNG's bytes."""
    store = PostgreSQLHandler(
        "PostgreSQLHandler", DiamondNaming(), database="embedded", data_dir=directory, clock=lambda: NOW
    )
    store.builder.rest = 0.0
    await store.open()
    for task in store._tasks:
        task.cancel()
    for host in range(hosts):
        await load(store, host, 5, NAMES)
    await store.build()
    query = Query(store, clock=lambda: NOW)
    asked, drawn, png = [], [], b""
    before = servers()
    for host in range(hosts):
        for pair in range(NAMES // 2):
            began = time.process_time()
            series = [Series(Source(f"host{host:03d}", "app"), f"v{2 * pair + i}") for i in range(2)]
            found = await query.fetch_graph(series, NOW - DAY, NOW, step=300, cf="AVERAGE")
            got = time.process_time()
            values = dict(zip(("v0", "v1"), (one.values for one in found.series), strict=True))
            title = f"Requests {host} {pair}"
            png = render(
                layout(
                    GRAPH, values, start=found.start, end=found.end, step=found.step, width=580, height=203, title=title
                )
            )
            asked.append((got - began) * 1e3)
            drawn.append((time.process_time() - got) * 1e3)
    server = (servers() - before) * 1e3 / len(asked)
    store._tasks = []
    await store.close()
    return asked[5:], drawn[5:], server, len(png)


def theirs(directory: Path) -> tuple[float, int]:
    """Return rrdtool's CPU ms and PNG bytes."""
    path = directory / "g.rrd"
    ends, values = minutes(0, 2, 2)
    archives = [f"RRA:{cf}:0.5:{n}:{rows}" for n, rows in ((1, 2880), (5, 25920)) for cf in ("AVERAGE", "MIN", "MAX")]
    sources = [f"DS:v{i}:GAUGE:120:U:U" for i in range(2)]
    start = ["--start", str(ends[0] - 60), "--step", "60"]
    subprocess.run(["rrdtool", "create", str(path), *start, *sources, *archives], check=True)
    rows = [f"{end}:{a}:{b}" for end, (a, b) in zip(ends.tolist(), values.tolist(), strict=True)]
    for i in range(0, len(rows), 500):
        subprocess.run(["rrdtool", "update", str(path), *rows[i : i + 500]], check=True)
    items = json.dumps([("AREA", "00cc00b4", "in"), ("LINE1", "0000ffb4", "out")])
    words = [str(path), str(NOW - DAY), str(NOW), "20", "Requests", items, "203"]
    done = subprocess.run(
        ["/usr/bin/python3", "-c", RRDTOOL, *words], input="\n" * 6, capture_output=True, text=True, check=True
    )
    rounds = [json.loads(line) for line in done.stdout.splitlines()][1:]
    return statistics.median(spent for spent, _ in rounds) * 1e3, rounds[-1][1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=12)
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        peer, size = theirs(Path(directory))
        asked, drawn, server, png = uvloop.run(ours(parser.parse_args().hosts, Path(directory)))
    query, picture = statistics.median(asked), statistics.median(drawn)
    print("2 series over a day at 580 x 203, nothing cached for the graph")
    print("| | CPU ms | of rrdtool's | PNG bytes |\n|---|---|---|---|")
    print(f"| query | {query:.2f} | {query / peer:.2f} | |")
    print(f"| layout, rendering, PNG | {picture:.2f} | {picture / peer:.2f} | |")
    print(f"| together | {query + picture:.2f} | {(query + picture) / peer:.2f} | {png} |")
    print(f"| the database server's beside | {server:.2f} | {server / peer:.2f} | |")
    print(f"| rrdtool in its process | {peer:.2f} | 1 | {size}, ours is {png / size:.2f} of it |")
    assert np.isfinite(query)


if __name__ == "__main__":
    main()
