"""Collect a STON server of 20 virtual hosts with 5 channels each, all protocols: CPU, the longest wait of the loop.

    python tests/bench/ston.py [--vhosts 20] [--channels 5] [--rounds 50] [--form JSON|XML] [--profile]

The stand-in's answer is served from memory: what is measured is reading it and making batches of it.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
from ston_server import Edge, Media, Server

from collectors.ston import STONCollector
from monitor.collector import Response, Target


class Answers:
    """Serves a server's answers without a network."""

    def __init__(self, server: Server, form: str) -> None:
        self.bodies = {"hwinfo": server.hwinfo(), "average": server.body(form)}

    async def get(self, url: str, *, headers: object = None) -> Response:
        return Response(200, {}, next(body for word, body in self.bodies.items() if word in url))


async def longest_wait(stop: asyncio.Event) -> float:
    """Return the longest time that the loop took for one turn."""
    longest, before = 0.0, time.perf_counter()
    while not stop.is_set():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return longest


async def measure(one: STONCollector, rounds: int) -> Iterator[str]:
    batches = await one.run(0)
    times = []
    for _ in range(rounds):
        began = time.process_time()
        batches = await one.run(0)
        times.append(time.process_time() - began)
    stop = asyncio.Event()
    waiting = asyncio.create_task(longest_wait(stop))
    for _ in range(rounds):
        await one.run(0)
    stop.set()
    wait = await waiting
    values = sum(len(batch.values) for batch in batches)
    return iter([
        f"{len(batches)} sources, {values} values",
        f"CPU of a collection: {statistics.median(times) * 1e3:.1f} ms median, {min(times) * 1e3:.1f} least,"
        f" {max(times) * 1e3:.1f} most",
        f"longest turn of the loop: {wait * 1e3:.1f} ms",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vhosts", type=int, default=20)
    parser.add_argument("--channels", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--form", choices=("JSON", "XML"), default="JSON")
    parser.add_argument("--edge", action="store_true")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    channels = [f"/channel{i}" for i in range(given.channels)]
    server = (Edge if given.edge else Media)({f"vhost{i}.example.com": channels for i in range(given.vhosts)})
    answers = Answers(server, given.form)
    print(f"{len(answers.bodies['average']):,} bytes of {given.form}")
    one = STONCollector(Target("ston1", "127.0.0.1", "ston1"), answers)  # type: ignore[arg-type]
    gc.freeze()
    sys.setswitchinterval(0.0005)  # as the appliance does
    if given.profile:
        with cProfile.Profile() as profile:
            asyncio.run(measure(one, given.rounds))
        profile.print_stats("tottime")
        return
    for line in asyncio.run(measure(one, given.rounds)):
        print(line)


if __name__ == "__main__":
    main()
