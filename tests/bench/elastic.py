"""What 2,000 documents of 255 values cost until Elasticsearch's `_bulk` has answered for all of them.

    python tests/bench/elastic.py

The stand-in runs in a process of its own and only counts lines. Naive is a dict per document and json.dumps of it,
without sending or compressing. Batches are numbers that become documents here; ready documents are those that Sora's
collector hands on as they came.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from appliance import free_port, wait_for
from blocks import DiamondNaming

from handlers.elasticsearch import ElasticsearchHandler
from handlers.logstash import LogstashHandler
from monitor.batch import SIGNED, Block, Cursor, Entry, Kind, Layout, Records, Source
from monitor.handler import Handler
from monitor.wire.document import DocumentEncoder, Places
from monitor.wire.envelope import TABLE

DOCUMENTS, VALUES, ROUNDS = 2000, 255, 9
PLACES = ["sora/*/*=sora.connections"]


def block(stamp: float) -> Block:
    """Connections as Sora tells them: counters of up to seven digits in groups, and ids."""
    groups = ("rtp", "rtcp", "turn", "simulcast.r0.rtp", "simulcast.r1.rtp")
    names = [f"{group}.total_{way}_{i}_count" for group in groups for way in ("received", "sent") for i in range(26)]
    layout = Layout(tuple(names[:VALUES]), (Kind.DERIVE,) * VALUES)
    words = np.random.default_rng(1).integers(0, 10_000_000, (DOCUMENTS, VALUES))
    sources = [Source("sora1", "sora", f"room{i % 50}/{i:026d}") for i in range(DOCUMENTS)]
    ids = ("channel_id", "client_id", "connection_id", "bundle_id", "session_id", "channel_client_id")
    meta = {i: dict.fromkeys(ids, f"{i:026d}") for i in range(DOCUMENTS)}
    at = np.full(DOCUMENTS, stamp)
    tags = np.full(words.shape, SIGNED, dtype=np.uint8)
    return Block(layout, sources, at, at - 5, np.full(DOCUMENTS, 5.0), words / 5, words.astype(np.uint64), tags, meta)


def ready(at: float) -> Records:
    """Return the same as Sora's collector hands it on: documents that are ready."""
    one = block(at)
    lines = []
    for row in range(len(one)):
        values = dict(zip(one.layout.names, one.exact(row), strict=True))
        lines.append(json.dumps({**one.meta[row], **values}, separators=(",", ":")).encode())
    head = {"rtt": 1200, "host": "127.0.0.1:3000"}
    return Records(f"{TABLE}sora.connections", Source("sora1", "sora"), at, len(lines), b"\n".join(lines), head)


def naive(one: Block) -> int:
    """Encode as one would without caring."""
    size = 0
    names = [name.split(".") for name in one.layout.names]
    for row, source in enumerate(one.sources):
        inner: dict[str, object] = dict(one.meta[row])
        for path, value in zip(names, one.exact(row), strict=True):
            at = inner
            for word in path[:-1]:
                at = at.setdefault(word, {})  # type: ignore[assignment]
            at[path[-1]] = value
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(float(one.times[row])))
        metricset = {"module": "sora", "name": "connections", "host": source.host}
        size += len(json.dumps({"@timestamp": stamp, "metricset": metricset, "sora": {"connections": inner}}).encode())
    return size


def serve(port: int) -> None:
    async def bulk(request: web.Request) -> web.Response:
        count = (await request.read()).count(b"\n") // 2
        items = ",".join(['{"create":{"status":201}}'] * count)
        return web.Response(text=f'{{"errors":false,"items":[{items}]}}', content_type="application/json")

    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/{path:.*}", bulk)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


class Turns:
    """CPU seconds of each turn of the event loop, which no other process can lengthen."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            begin = time.thread_time()
            await asyncio.sleep(0)
            self.took.append(time.thread_time() - begin)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def run(handler: Any, made: Callable[[float], Entry]) -> tuple[float, float, float, float, float]:
    """Return the median CPU and wall ms of a write, p99 and longest of the loop's turns, and what memory grew by."""
    await handler.open()
    stamp = time.time() // 60 * 60
    took, wall = [], []
    await handler.write([made(stamp)], Cursor(1, 1))
    before = resident()
    for turn in range(ROUNDS):
        one = made(stamp + 5 * (turn + 1))
        begin, at = cpu(), time.perf_counter()
        refused = await handler.write([one], Cursor(1, 1))
        took.append(cpu() - begin)
        wall.append(time.perf_counter() - at)
        assert not refused
    grew = resident() - before
    turns: list[float] = []
    for turn in range(ROUNDS):
        one = made(stamp + 5 * (ROUNDS + turn + 1))
        gc.collect()
        gc.freeze()
        watch = Turns()
        await handler.write([one], Cursor(1, 1))
        await watch.stop()
        turns += watch.took
    await handler.close()
    turns.sort()
    figures = statistics.median(took), statistics.median(wall), turns[len(turns) * 99 // 100], turns[-1]
    return *(figure * 1000 for figure in figures), grew  # type: ignore[return-value]


def main() -> None:
    # as the application sets it
    sys.setswitchinterval(0.0005)
    one = block(time.time() // 60 * 60)
    encoder = DocumentEncoder(places=Places(PLACES))
    figures: dict[str, list[float]] = {"ours": [], "naive": []}
    longest = 0.0
    for _ in range(ROUNDS):
        begin = at = time.process_time()
        for _ in encoder.encode([one]):
            longest, at = max(longest, time.process_time() - at), time.process_time()
        figures["ours"].append(time.process_time() - begin)
        begin = time.process_time()
        naive(one)
        figures["naive"].append(time.process_time() - begin)
    ours, plain = (statistics.median(figures[name]) * 1000 for name in ("ours", "naive"))
    print(f"{DOCUMENTS} documents of {VALUES} values; encoding alone:")
    print(f"ours {ours:.0f} ms CPU, longest slice {longest * 1000:.1f} ms; naive {plain:.0f} ms; {ours / plain:.2f}\n")
    port = free_port()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: uvloop.run(reachable(port)), 20, 0.05)
    print("| way | CPU ms | wall ms | turn's p99 ms CPU | longest | memory grew MB |\n|---|---|---|---|---|---|")
    for title, made in (("batches", block), ("ready documents", ready)):
        ways: dict[str, Handler] = {
            "_bulk, gzip": ElasticsearchHandler("e", DiamondNaming(), urls=[url], metricsets=PLACES),
            "_bulk": ElasticsearchHandler("e", DiamondNaming(), urls=[url], gzip=False, metricsets=PLACES),
            "Logstash, http": LogstashHandler("l", DiamondNaming(), hosts=[url], metricsets=PLACES),
        }
        for way, handler in ways.items():
            figures = " | ".join(f"{figure:.1f}" for figure in uvloop.run(run(handler, made)))
            print(f"| {title}: {way} | {figures} |")
    server.terminate()
    server.join()


async def reachable(port: int) -> bool:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    return True


if __name__ == "__main__":
    main()
