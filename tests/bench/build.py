"""What history costs: packing and all tiers of a day of many sources, as CPU per minute of the day.

    python tests/bench/build.py [--sources 60] [--names 50] [--rounds 2]

A day of rows is written, then built into five tiers, all of them for this one day (most are built more seldom, from
fewer cells). CPU is ours and the database server's, scaled to 3,000 sources and to one minute; beside it rrdtool's own
`update` of as many files with as many data sources and the same tiers, which is how it consolidates.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from blocks import DiamondNaming, block

from handlers.postgresql import PostgreSQLHandler
from monitor.app import SWITCH_INTERVAL
from monitor.batch import Cursor, Source
from monitor.retention import Retention, RetentionClass, Tier
from monitor.store.builder import REST
from monitor.store.trees import DAY

START = 1_795_003_200 // DAY * DAY
SCALE = 3000
STEPS = (300, 1800, 3600, 21600, 86400)
PEER = """
import pathlib, sys, time
import rrdtool
start, files, names, directory = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4])
steps = ((1, 2880), (5, 25920), (30, 5760), (60, 4320), (360, 1460), (1440, 1100))
archives = [f"RRA:{cf}:0.5:{n}:{rows}" for n, rows in steps for cf in ("AVERAGE", "MIN", "MAX")]
many = [str(directory / f"{i}.rrd") for i in range(files)]
for path in many:
    sources = [f"DS:v{i}:GAUGE:120:U:U" for i in range(names)]
    rrdtool.create(path, "--start", str(start), "--step", "60", *sources, *archives)
spent = []
for minute in range(1, 121):
    row = f"{start + 60 * minute}:" + ":".join(str(minute % 7 + i) for i in range(names))
    before = time.process_time()
    for path in many:
        rrdtool.update(path, row)
    spent.append(time.process_time() - before)
print(sum(spent) / len(spent))
"""


def servers() -> float:
    """Return the CPU seconds of the database server's processes."""
    spent = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent += times.user + times.system + times.children_user + times.children_system
    return spent


def rows(source: int, names: int) -> np.ndarray:
    """Return a day of values: a third constant, a third whole numbers, a third with all their digits."""
    chance = np.random.default_rng(source)
    values = chance.normal(100, 20, (1440, names))
    values[:, ::3] = 5.0
    values[:, 1::3] = np.rint(values[:, 1::3])
    return values


async def lag(store: PostgreSQLHandler) -> list[float]:
    """Return how late a 1 ms beat of the loop came, in ms, while everything is built once more at the usual pace."""
    store.classes.built = dict.fromkeys(store.classes.built, 0.0)
    store.builder.rest = REST
    late: list[float] = []
    building = asyncio.create_task(store.build())
    while not building.done():
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        late.append((time.perf_counter() - began - 0.001) * 1e3)
    await building
    return sorted(late)


async def day(sources: int, names: int, directory: Path) -> tuple[float, float, dict[str, int], list[float]]:
    """Return the CPU seconds of ours and of the server for a day, the bytes of every tier, and the loop's lag."""
    clock = START + 3600.0
    store = PostgreSQLHandler(
        "PostgreSQLHandler", DiamondNaming(), database="embedded", data_dir=directory, clock=lambda: clock
    )
    tiers = tuple(Tier(step, (3.0 + i / 10) * DAY) for i, step in enumerate(STEPS))
    store.keep(Retention((RetentionClass(tiers=tiers),)))
    store.builder.rest = 0.0
    await store.open()
    for task in store._tasks:
        task.cancel()
    words = tuple(f"v{i}" for i in range(names))
    chance = np.random.default_rng(7)
    for i in range(sources):
        source, values = Source(f"host{i}", "app"), rows(i, names)
        at = START + 60.0 * np.arange(1440) + np.rint(chance.uniform(1, 59, 1440) * 1e6) / 1e6
        one = block(*((source, float(t), row) for t, row in zip(at, values.tolist(), strict=True)), names=words)
        one.since[:] = np.append(START - 60.0, at[:-1])
        await store.write([one], Cursor(1, i + 1))
    clock = START + DAY + 5000.0
    last = block(*((Source(f"host{i}", "app"), clock, [1.0] * names) for i in range(sources)), names=words)
    await store.write([last], Cursor(2, 1))
    before = time.process_time(), servers()
    await store.build()
    spent = time.process_time() - before[0], servers() - before[1]
    assert store.history.packed_chunks == sources
    assert store.history.cells_chunks >= sources * len(STEPS), store.history
    await store.maintain()
    sizes = {tier: size for (_, tier), size in store.sizes.items()}
    late = await lag(store)
    store._tasks = []
    await store.close()
    return (*spent, sizes, late)


def rrdtool(files: int, names: int) -> float:
    with tempfile.TemporaryDirectory() as directory:
        command = ["/usr/bin/python3", "-c", PEER, str(START), str(files), str(names), directory]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=60)
    parser.add_argument("--names", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    sys.setswitchinterval(SWITCH_INTERVAL)
    ours, theirs, database, sizes, late = [], [], [], {}, [0.0]
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as directory:
            Path(directory).chmod(0o755)
            mine, server, sizes, late = uvloop.run(day(asked.sources, asked.names, Path(directory)))
        scale = SCALE / asked.sources / 1440
        ours.append(mine * scale)
        database.append(server * scale)
        theirs.append(rrdtool(asked.sources, asked.names) * SCALE / asked.sources)
    mine, server, peer = map(statistics.median, (ours, database, theirs))
    print(f"a minute of {SCALE} sources x {asked.names} values, all tiers and packing")
    print("| | CPU s a minute | of rrdtool's |\n|---|---|---|")
    print(f"| ours | {mine:.3f} | {mine / peer:.2f} |")
    print(f"| with the database server's | {mine + server:.3f} | {(mine + server) / peer:.2f} |")
    print(f"| rrdtool update, in its process | {peer:.3f} | 1 |")
    values = asked.sources * asked.names * 1440
    print(f"\nlag of the loop while it is built: p99 {late[int(len(late) * 0.99)]:.1f} ms, max {late[-1]:.1f} ms")
    print(f"bytes a value of the rows: packed {sizes['packed'] / values:.2f}, 5m cells {sizes['5m'] / values:.2f}")


if __name__ == "__main__":
    main()
