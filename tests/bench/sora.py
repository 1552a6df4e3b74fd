"""Collect Sora with 2,000 connections of 255 numbers each: CPU, the longest wait of the loop, memory afterwards.

    python tests/bench/sora.py [--connections 2000] [--channels 200] [--rounds 10] [--documents] [--profile]

The answers come over HTTP from another process. The same body read with one json.loads and a loop over all of its
numbers, as a plain exporter would, is measured beside it; so is a loop that waits for nothing at all.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
import uvloop
from aiohttp import web
from sora_server import OPERATIONS, Sora, grown

from collectors.sora import SoraCollector
from monitor.collector import Target
from monitor.http import HttpClient
from monitor.wire.envelope import TABLE, Envelope

KEYS = 255


def numbers(tree: Any) -> Iterator[int]:
    if isinstance(tree, dict):
        for value in tree.values():
            yield from numbers(value)
    elif isinstance(tree, int):
        yield tree


def bodies(connections: int, channels: int) -> list[dict[str, bytes]]:
    """Return what two polls get; the second one's counts are greater."""
    server = Sora("2025")
    server.churn(connections, channels)
    for one in server.connections:
        more = KEYS - sum(1 for _ in numbers(one))
        one["ice_connection_state"] |= {f"total_of_a_long_name_number_{i}": 1_000_000 + i for i in range(more)}
    found = []
    for _ in range(2):
        found.append({operation: server.body(operation) for operation in OPERATIONS.values()})
        server.connections = [grown(one, 1000) for one in server.connections]
    return found


def serve(answers: list[dict[str, bytes]], port: Any) -> None:
    async def main() -> None:
        polls = dict.fromkeys(OPERATIONS.values(), 0)

        async def answer(request: web.Request) -> web.Response:
            operation = OPERATIONS[request.headers["x-sora-target"]]
            polls[operation] += 1
            return web.Response(body=answers[polls[operation] % 2][operation], content_type="application/json")

        app = web.Application()
        app.router.add_post("/", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


async def longest_wait(stop: asyncio.Event) -> float:
    """Return the longest time that the loop took for one turn."""
    longest, before = 0.0, time.perf_counter()
    while not stop.is_set():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, before = max(longest, now - before - 0.001), now
    return longest


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


async def waited(work: Any) -> float:
    stop = asyncio.Event()
    waiting = asyncio.create_task(longest_wait(stop))
    await asyncio.sleep(0.01)
    await work
    stop.set()
    return await waiting


async def measure(port: int, rounds: int, *, documents: bool) -> None:
    client = HttpClient()
    await client.open()
    http = client.bound(timeout=20, max_size=64 << 20)
    one = SoraCollector(Target("sora1", "127.0.0.1", "sora1"), http, url=f"127.0.0.1:{port}", timeout=20.0)
    one.recording = (TABLE,) if documents else ()
    envelope = Envelope()
    batches = await one.run(0)
    before, times, published, made = resident(), [], 0, 0
    for _ in range(rounds):
        began = time.process_time()
        batches = await one.run(0)
        for records in one.recorded():
            for some in envelope.documents(records):
                made += len(some)
                await asyncio.sleep(0)
        times.append(time.process_time() - began)
        published += len(batches)
    print(
        f"CPU of a collection: {statistics.median(times) * 1e3:.0f} ms median, {min(times) * 1e3:.0f} least,"
        f" {max(times) * 1e3:.0f} most; {published / rounds:.0f} sources, {made / rounds:.0f} documents"
    )
    waits = [await waited(one.run(0)) for _ in range(rounds)]
    idle = [await waited(asyncio.sleep(max(times))) for _ in range(rounds)]
    print(
        f"longest turn of the loop: {statistics.median(waits) * 1e3:.1f} ms median, {max(waits) * 1e3:.1f} most;"
        f" idle {statistics.median(idle) * 1e3:.1f} median, {max(idle) * 1e3:.1f} most"
    )
    del batches
    gc.collect()
    print(f"memory: {before:.0f} MB after the first collection, {resident():.0f} MB after {2 * rounds} more")
    await client.close()


def plain(body: bytes) -> float:
    began = time.process_time()
    flat = [list(numbers(one)) for one in json.loads(body)]
    assert all(len(one) == KEYS for one in flat)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--channels", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--documents", action="store_true", help="make the documents for Elasticsearch, too")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    answers = bodies(given.connections, given.channels)
    body = answers[0]["GetStatsAllConnections"]
    print(f"{given.connections} connections of {KEYS} numbers: {len(body):,} bytes")
    print(f"one json.loads and a loop, without HTTP: {min(plain(body) for _ in range(3)) * 1e3:.0f} ms")
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(answers, theirs), daemon=True)
    server.start()
    port = ours.recv()
    del answers, body
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(0.0005)  # as the appliance does
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if given.profile:
                with cProfile.Profile() as profile:
                    runner.run(measure(port, given.rounds, documents=given.documents))
                profile.print_stats("tottime")
            else:
                runner.run(measure(port, given.rounds, documents=given.documents))
    finally:
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()
