"""Three years of many hosts: how long it takes to load them, what they take on the disk, how fast their graphs draw.

    python tests/bench/history.py [--hosts 100] [--names 10] [--days 1100]

Every minute of every series is made up and consolidated by the product's own code into its default tiers; the last two
days go in as rows. Then a day is packed as the appliance does it, and graphs of every span are queried, laid out and
drawn, each series for the first time. rrdtool's file for the same tiers and data is measured beside it.
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
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from blocks import DiamondNaming, block

from handlers.postgresql import PostgreSQLHandler
from monitor.batch import Cursor, Kind, Layout, Series, Source
from monitor.consolidate import gather, of_pdps
from monitor.graph.layout import layout
from monitor.graph.model import Area, Graph, Line
from monitor.graph.render import render
from monitor.query import Query, auto_step
from monitor.retention import RetentionClass
from monitor.store import chunk, chunks, wide
from monitor.store.chunks import Chunk
from monitor.store.trees import DAY
from monitor.store.wide import Wide

NOW = 1_795_003_200 // DAY * DAY + 15 * 3600
SPANS = {
    "hour": 3600, "4 hours": 4 * 3600, "day": DAY, "week": 7 * DAY, "month": 31 * DAY, "3 months": 92 * DAY,
    "year": 366 * DAY, "3 years": 1098 * DAY,
}  # fmt: skip


def minutes(host: int, days: int, names: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends and values of every minute: a daily wave with noise, some of it in whole numbers."""
    chance = np.random.default_rng(host)
    count = days * 1440 + 15 * 60
    ends = NOW - 60 * np.arange(count - 1, -1, -1, dtype=np.int64)
    wave = 50 + 40 * np.sin(ends * (2 * np.pi / DAY) + host)[:, None]
    values = wave * (1 + np.arange(names)) + chance.normal(0, 5, (count, names))
    values[:, ::2] = np.rint(values[:, ::2])
    return ends, values


async def load(store: PostgreSQLHandler, host: int, days: int, names: int) -> None:
    """Put a host's years into the tiers, and its last two days into the rows."""
    source = Source(f"host{host:03d}", "app")
    words = tuple(f"v{i}" for i in range(names))
    ends, values = await asyncio.to_thread(minutes, host, days, names)
    first = np.searchsorted(ends, (NOW - 2 * DAY) // DAY * DAY, "right")
    for at in range(int(first), len(ends), 1440):
        part = slice(at, at + 1440)
        rows = block(
            *((source, float(end), row) for end, row in zip(ends[part], values[part].tolist(), strict=True)),
            names=words,
        )
        await store.write([rows], Cursor(host + 1, at))
    known = store.known
    slot = known.slots[source]
    known.first[slot] = float(ends[0]) - 60
    one = RetentionClass()
    cells = await asyncio.to_thread(of_pdps, ends, values, 60)
    shape = Layout(words, (Kind.GAUGE,) * names)
    for tier in one.stored:
        cells = await asyncio.to_thread(gather, cells, tier.step)
        tree = store.partitions.trees[1, tier.step]
        length = tree.period * DAY
        start = tree.begin(NOW - min(tier.keep, days * DAY))
        async with store._writing() as connection:
            while start + length <= NOW - 4200:
                made = wide.of_cells(
                    [Wide(shape, cells.between(start, start + length))], step=tier.step, start=start, end=start + length
                )
                if made:
                    packed = await asyncio.to_thread(chunk.of_cells, made[0].cells, names)
                    leaf = tree.leaf(start)
                    await store.partitions.make(connection, leaf)
                    place = Chunk(known.layout_ids[shape], start, packed)
                    await chunks.replace(connection, leaf, int(known.ids[slot]), (start, start + length), [place])
                start += length
            if host == 0:
                await store.classes.set_built(connection, 1, tier.step, start)


async def drawn(store: PostgreSQLHandler, hosts: int, names: int) -> dict[str, list[tuple[float, float]]]:
    """Return, by span, how long each graph took to be queried and to be drawn, in ms."""
    query = Query(store, clock=lambda: NOW)
    graph = Graph("g", "Requests", Area("v0", "in", "00cc00b4"), Line("v1", "out", "0000ffb4"), unit="requests/s")
    took: dict[str, list[tuple[float, float]]] = {}
    for number, (span, seconds) in enumerate(SPANS.items()):
        for host in range(min(hosts, 25)):
            source = Source(f"host{host:03d}", "app")
            series = [Series(source, f"v{(2 * number + i) % names}") for i in range(2)]
            start = NOW - seconds
            began = time.perf_counter()
            found = await query.fetch_graph(series, start, NOW, step=auto_step(start, NOW, 580), cf="AVERAGE")
            asked = time.perf_counter()
            values = dict(zip(("v0", "v1"), (one.values for one in found.series), strict=True))
            assert sum(np.isfinite(one).sum() for one in values.values()) > 50, span
            render(layout(graph, values, start=found.start, end=found.end, step=found.step, width=580, height=203))
            ended = time.perf_counter()
            took.setdefault(f"{span} ({found.tier}, {found.step} s)", []).append(
                ((asked - began) * 1e3, (ended - asked) * 1e3)
            )
    return took


async def reads(store: PostgreSQLHandler, hosts: int) -> list[tuple[str, float, float]]:
    """Return how long a cold and a warm read of one series over a packed day and over unpacked rows takes, in ms."""
    today = NOW // DAY * DAY
    found = []
    for what, start, end in (("packed, 2 days", today - 2 * DAY, today - 600), ("rows, 15 hours", today + 60, NOW)):
        cold, warm = [], []
        for host in range(min(hosts, 40)):
            source = Source(f"host{host:03d}", "app")
            for took in (cold, warm, warm, warm):
                began = time.perf_counter()
                points = await store.read(source, ["v3"], start, end)
                took.append((time.perf_counter() - began) * 1e3)
            assert len(points["v3"].time) > 800
        found.append((what, statistics.median(cold), statistics.median(warm)))
    return found


def rrd_bytes(directory: Path) -> int:
    """Return the size of rrdtool's file for one series in the same tiers."""
    path = directory / "one.rrd"
    archives = [
        f"RRA:{cf}:0.5:{step // 60}:{int(keep // step)}"
        for cf in ("AVERAGE", "MIN", "MAX")
        for step, keep in [(60, 2 * DAY), *((tier.step, tier.keep) for tier in RetentionClass().tiers)]
    ]
    subprocess.run(["rrdtool", "create", str(path), "--step", "60", "DS:n:GAUGE:120:U:U", *archives], check=True)
    return path.stat().st_size


async def measure(asked: argparse.Namespace, directory: Path) -> None:
    store = PostgreSQLHandler(
        "PostgreSQLHandler", DiamondNaming(), database="embedded", data_dir=directory, clock=lambda: NOW
    )
    store.builder.rest = 0.0
    await store.open()
    for task in store._tasks:
        task.cancel()
    try:
        began, spent = time.perf_counter(), time.process_time()
        for host in range(asked.hosts):
            await load(store, host, asked.days, asked.names)
        loaded, cpu = time.perf_counter() - began, time.process_time() - spent
        began, spent = time.perf_counter(), time.process_time()
        await store.build()
        packing, packing_cpu = time.perf_counter() - began, time.process_time() - spent
        await store.maintain()
        series = asked.hosts * asked.names
        minutes_made = asked.days * 1440 * series / 1e6
        print(f"\n{asked.hosts} hosts x {asked.names} series x {asked.days} days: {minutes_made:.0f} million minutes")
        print(f"loaded in {loaded:.0f} s ({cpu:.0f} s CPU of ours); the closed days of the rows packed in")
        print(f"{packing:.1f} s ({packing_cpu:.1f} s CPU of ours, {packing_cpu / series * 1e3:.1f} ms per series)")
        print("\n| tier | MB | bytes a series |\n|---|---|---|")
        for (_, tier), size in store.sizes.items():
            print(f"| {tier} | {size / 1e6:.1f} | {size / series:.0f} |")
        total, peer = sum(store.sizes.values()) / series, rrd_bytes(directory)
        print(f"| all | {total * series / 1e6:.1f} | {total:.0f} |")
        print(
            f"| rrdtool's file, the same tiers | {peer * series / 1e6:.1f} | {peer}, ours is {total / peer:.2f} of it |"
        )
        print("\n| read of one series | first, ms | again, ms |\n|---|---|---|")
        for what, cold, warm in await reads(store, asked.hosts):
            print(f"| {what} | {cold:.2f} | {warm:.2f} |")
        print("\n| graph of 2 new series | query ms | picture ms | together, worst |\n|---|---|---|---|")
        for span, took in (await drawn(store, asked.hosts, asked.names)).items():
            query, picture = (statistics.median(column) for column in zip(*took, strict=True))
            print(f"| {span} | {query:.1f} | {picture:.1f} | {max(map(sum, took)):.1f} |")
    finally:
        store._tasks = []
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--names", type=int, default=10)
    parser.add_argument("--days", type=int, default=1100)
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        uvloop.run(measure(parser.parse_args(), Path(directory)))


if __name__ == "__main__":
    main()
