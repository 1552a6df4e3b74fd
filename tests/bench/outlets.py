"""What delivering to Graphite and InfluxDB costs per million points: encoding alone, and into real servers.

    python tests/bench/outlets.py

Naive is one f-string per line or field; both run in the same process on the same blocks, alternately, five rounds.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from blocks import DiamondNaming, block
from servers_carbon import carbon
from servers_influx import influx

from handlers.graphite import GraphiteHandler
from handlers.influxdb import InfluxDBHandler
from monitor.batch import Block, Cursor, Source
from monitor.handler import Handler
from monitor.lag import Lag
from monitor.wire.graphite import GraphiteEncoder
from monitor.wire.influx import InfluxEncoder

ROUNDS = 5
NAMING = DiamondNaming()


def blocks(hosts: int, names: int, time: float) -> Block:
    """A collection of every host: a third of the values whole, a third with two decimals, a third with all digits."""
    random = np.random.default_rng(1)
    rates = random.uniform(0, 100_000, (hosts, names))
    rates[:, ::3] = np.floor(rates[:, ::3])
    rates[:, 1::3] = np.round(rates[:, 1::3], 2)
    rows = ((Source(f"web{i}.example.com", "cpu"), time, values) for i, values in enumerate(rates))
    return block(*rows, names=[f"total.metric{i}" for i in range(names)])


def naive_graphite(one: Block) -> int:
    size = 0
    for source, stamp, names, values in one.samples():
        lines = [
            f"{NAMING.path(source)}.{name} {value} {int(stamp)}\n" for name, value in zip(names, values, strict=True)
        ]
        size += len("".join(lines))
    return size


def naive_influx(one: Block) -> int:
    size = 0
    for source, stamp, names, values in one.samples():
        fields = ",".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
        size += len(f"{source.collector},collector={source.collector},host={source.host} {fields} {int(stamp * 1e9)}\n")
    return size


def alternately(one: Block, ways: Sequence[tuple[str, Callable[[Block], int]]]) -> Iterable[tuple[str, float]]:
    """Yield each way's CPU seconds per million points: the median of the rounds, the first one not counted."""
    took: dict[str, list[float]] = {name: [] for name, _ in ways}
    for turn in range(ROUNDS + 1):
        for name, way in ways:
            begin = time.process_time()
            way(one)
            if turn:
                took[name].append((time.process_time() - begin) / one.size * 1e6)
    return ((name, statistics.median(values)) for name, values in took.items())


async def into_server(handler: Handler, some: Sequence[Block]) -> tuple[float, float, float, float]:
    """Return CPU seconds per million points, points per second, and the p99 and the longest lag of the loop in ms."""
    await handler.open()
    await handler.write(some[:1], Cursor(1, 1))
    lag = Lag(interval=0.002)
    lag.start()
    await asyncio.sleep(0.2)
    points = sum(one.size for one in some)
    usage, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    refused = [item for one in some for item in await handler.write([one], Cursor(1, 1))]
    took, now = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF)
    assert not refused, refused[:3]
    lag.stop()
    await handler.close()
    cpu = now.ru_utime + now.ru_stime - usage.ru_utime - usage.ru_stime
    return cpu / points * 1e6, points / took, lag.quantile(0.99) * 1000, lag.worst * 1000


def main() -> None:
    now = time.time() // 60 * 60 - 3600
    print("| encoder | rows x values | ours CPU s/Mpt | naive CPU s/Mpt | ratio |\n|---|---|---|---|---|")
    for hosts, names in ((3000, 50), (20_000, 5)):
        one = blocks(hosts, names, now)
        graphite, line = GraphiteEncoder(NAMING.path), InfluxEncoder()
        for title, ours, naive in (
            ("graphite", lambda b, e=graphite: sum(len(lines.text.encode()) for lines in e.encode(b)), naive_graphite),
            ("influx", lambda b, e=line: sum(len("\n".join(lines).encode()) for lines in e.encode(b)), naive_influx),
        ):
            found = dict(alternately(one, [("ours", ours), ("naive", naive)]))
            ratio = found["ours"] / found["naive"]
            print(f"| {title} | {hosts} x {names} | {found['ours']:.3f} | {found['naive']:.3f} | {ratio:.2f} |")

    print("\n| into | CPU s/Mpt of our process | points/s | loop lag p99 ms | max ms |\n|---|---|---|---|---|")
    # as the application sets it
    sys.setswitchinterval(0.0005)
    some = [blocks(3000, 50, now + 60 * minute) for minute in range(4)]
    few = [blocks(100, 50, now + 60 * minute) for minute in range(60)]
    with tempfile.TemporaryDirectory() as place:
        with carbon(Path(place) / "carbon") as cache:
            handler: Handler = GraphiteHandler("g", NAMING, host="127.0.0.1", port=cache.port)
            report("carbon", uvloop.run(into_server(handler, few)))
        with influx(Path(place) / "influx") as server:
            server.query("CREATE DATABASE graphite")
            for gzip in (True, False):
                handler = InfluxDBHandler("i", NAMING, url=server.url, gzip=gzip)
                report(f"influxd{', gzip' if gzip else ''}", uvloop.run(into_server(handler, some)))


def report(title: str, figures: tuple[float, float, float, float]) -> None:
    print(f"| {title} | {figures[0]:.3f} | {figures[1]:,.0f} | {figures[2]:.1f} | {figures[3]:.1f} |")


if __name__ == "__main__":
    main()
