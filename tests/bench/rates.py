"""CPU of push -> rates -> journal per value, and the longest time that one slice of it holds the event loop.

python tests/bench/rates.py [BATCHES]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import uvloop

from monitor.batch import Batch, Kind, Source
from monitor.group import Dictionary, Words, decode, encode
from monitor.journal import Journal
from monitor.pipeline import Pipeline
from monitor.rates import Rates

NAMES = [f"metric_{i}" for i in range(50)]


def batches(count: int, turn: int, names: Sequence[str] = NAMES, hosts: int = 3000) -> list[Batch]:
    """Return batches of as many gauges as counters; a source comes again after `hosts`."""
    kinds = {name: (Kind.DERIVE, Kind.GAUGE)[i % 2] for i, name in enumerate(names)}
    return [
        Batch(
            Source(f"host{i % hosts}", "app"),
            60.0 * (turn + i // hosts) + i % 60,
            {name: (turn * j + i if j % 2 == 0 else 0.5 * j + i) for j, name in enumerate(names)},
            dict(kinds),
        )
        for i in range(count)
    ]


Traffic = Callable[[int, int], list[Batch]]
TRAFFIC: dict[str, Traffic] = {
    "3,000 sources in turn": lambda count, turn: batches(count, turn),
    "20 sources, backlog": lambda count, turn: batches(count, turn * (count // 20 + 1), hosts=20),
    "names that change": lambda count, turn: batches(count, turn, NAMES[turn % 2 :], hosts=count),
    "one value each": lambda count, turn: batches(count, turn, NAMES[:1], hosts=count),
    "4,096 names, changing": lambda count, turn: batches(
        max(1, count // 100), turn, [f"n{i + turn % 2}" for i in range(4096)], hosts=count
    ),
}


async def measure(traffic: Traffic, count: int, directory: Path) -> tuple[float, float, float, float]:
    """Return µs of CPU per batch and per value, and the p99 and longest ms that the loop was held."""
    journal = Journal(directory, max_wait=60)
    await journal.open()
    pipeline = Pipeline(Rates(), journal, new_sources=10**9)
    held: list[float] = []
    running = True

    async def beside() -> None:
        while running:
            before = time.perf_counter()
            await asyncio.sleep(0)
            held.append(time.perf_counter() - before)

    cpu, sent, values = [], 0, 0
    for turn in range(1, 7):
        load = traffic(count, turn)
        sent, values = len(load), sum(len(batch.values) for batch in load)
        running = True
        other = asyncio.create_task(beside())
        await asyncio.sleep(0)
        begun = time.process_time()
        parts = [load[i : i + 1000] for i in range(0, len(load), 1000)]
        for part in parts:
            reasons = await pipeline.accept(part)
            assert not any(reasons), next(filter(None, reasons))
        if turn > 1:
            cpu.append(time.process_time() - begun)
        running = False
        await other
    await journal.close()
    best = min(cpu)
    return best / sent * 1e6, best / values * 1e6, 1000 * float(np.quantile(held, 0.99)), 1000 * max(held)


def main() -> None:
    sys.setswitchinterval(0.0005)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    print(f"{'traffic':<24} {'µs/batch':>9} {'µs/value':>9} {'values/s':>10} {'held p99 ms':>12} {'max ms':>8}")
    for name, traffic in TRAFFIC.items():
        with tempfile.TemporaryDirectory() as directory:
            batch, value, p99, most = uvloop.run(measure(traffic, count, Path(directory)))
        print(f"{name:<24} {batch:>9.1f} {value:>9.3f} {1e6 / value:>10,.0f} {p99:>12.1f} {most:>8.1f}")
    blocks, _ = Rates().apply(batches(3000, 1))
    dictionary, words = Dictionary(), Words()
    body = encode(blocks, dictionary)
    words.add(dictionary.piece() or b"")
    begun = time.perf_counter()
    decode(body, words)
    print(f"decoding a group of 3,000 rows x 50: {1000 * (time.perf_counter() - begun):.2f} ms, {len(body):,} bytes")


if __name__ == "__main__":
    main()
