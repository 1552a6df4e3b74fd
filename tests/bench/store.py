"""Store 3,000 rows x 50 float8: CPU of our process and of the server, per write, beside asyncpg's own records COPY.
Then read series back, and list 12,000 sources; `held` is the longest CPU time that the loop gave to nothing else.

    python tests/bench/store.py [--rounds 15]

Every variant takes turns within a round; medians. `merge` meets one row that is there already, `repeat` only such rows.
`naive` is copy_records_to_table with Python lists into a table of the same shape.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
import psutil
import uvloop

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from blocks import DiamondNaming  # noqa: E402

from handlers.postgresql import PostgreSQLHandler  # noqa: E402
from monitor.batch import Block, Cursor, Kind, Layout, Source  # noqa: E402

ROWS, NAMES = 3000, 50
LAYOUT = Layout(tuple(f"name_{i}" for i in range(NAMES)), (Kind.GAUGE,) * NAMES)
SOURCES = [Source(f"host{i:04d}", "cpu") for i in range(ROWS)]


def minute(at: float, layouts: int = 1) -> list[Block]:
    values = np.random.default_rng(int(at)).random((ROWS, NAMES)) * 1e6
    times = np.full(ROWS, at)
    none = np.zeros((ROWS, 0), dtype=np.uint64)
    whole = Block(LAYOUT, SOURCES, times, times - 60, np.full(ROWS, 60.0), values, none, none.astype(np.uint8))
    if layouts == 1:
        return [whole]
    parts = []
    for i in range(layouts):
        part = whole.take(range(i, ROWS, layouts))
        part.layout = Layout((*LAYOUT.names[:-1], f"own_{i}"), LAYOUT.kinds)
        parts.append(part)
    return parts


def server_cpu(pids: set[int]) -> float:
    """CPU seconds of the backends, of which none ends meanwhile."""
    spent = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(one.user + one.system for one in spent)


async def backends(store: PostgreSQLHandler) -> set[int]:
    assert store.server is not None and store.server.pid is not None
    return {
        child.pid for child in psutil.Process(store.server.pid).children() if "monitor" in " ".join(child.cmdline())
    }


async def main(rounds: int) -> None:
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    directory.chmod(0o755)
    store = PostgreSQLHandler("PostgreSQLHandler", DiamondNaming(), database="embedded", data_dir=directory)
    await store.open()
    assert store.server is not None
    plain = await asyncpg.connect(**store.server.connection)
    await plain.execute("CREATE TABLE naive (LIKE sample, PRIMARY KEY (source_id, time, since))")
    at = [time.time() // 60 * 60 - 86400]
    row = [0]

    async def write(blocks: list[Block]) -> None:
        row[0] += 1
        await store.write(blocks, Cursor(1, row[0]))

    def prepared(kind: str) -> list[Block]:
        if kind == "repeat":
            return last[0]
        at[0] += 60
        last[0] = minute(at[0], 300 if kind == "direct, 300 layouts" else 1)
        return last[0]

    last: list[list[Block]] = [[]]

    async def naive(blocks: list[Block]) -> None:
        block = blocks[0]
        time_, since = datetime.fromtimestamp(at[0], UTC), datetime.fromtimestamp(at[0] - 60, UTC)
        records = [(time_, since, i, 1, 1, values) for i, values in enumerate(block.rates.tolist())]
        await plain.copy_records_to_table("naive", records=records)

    kinds: dict[str, Callable[[list[Block]], Awaitable[None]]] = {
        "direct": write, "direct, 300 layouts": write, "merge": write, "repeat": write, "naive": naive,
    }  # fmt: skip
    found: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in kinds}
    for number in range(rounds + 2):
        for kind, do in kinds.items():
            blocks = prepared(kind)
            if kind == "merge":
                await write([blocks[0].take([7])])
            pids = await backends(store)
            before = time.perf_counter(), time.process_time(), server_cpu(pids)
            await do(blocks)
            after = time.perf_counter(), time.process_time()
            await asyncio.sleep(0.02)
            spent = after[0] - before[0], after[1] - before[1], server_cpu(pids) - before[2]
            if number >= 2:
                found[kind].append(spent)
    print(f"{ROWS} rows x {NAMES} float8, embedded PostgreSQL, median of {rounds}")
    print(f"{'':22}{'wall ms':>9}{'client CPU':>12}{'server CPU':>12}{'sum':>8}{'ratio':>7}{'rows/s':>10}")
    base = 0.0
    for kind, spent in found.items():
        wall, client, _ = (statistics.median(column) * 1e3 for column in zip(*spent, strict=True))
        server = statistics.mean(one[2] for one in spent) * 1e3  # ticks of 10 ms: only the mean tells
        base = base or client + server
        print(f"{kind:22}{wall:9.1f}{client:12.1f}{server:12.1f}{client + server:8.1f}"
              f"{(client + server) / base:7.2f}{ROWS / wall * 1e3:10.0f}")  # fmt: skip
    await reading(store)
    await listing(store)
    await plain.close()
    await store.close()
    shutil.rmtree(directory)


async def reading(store: PostgreSQLHandler) -> None:
    """Read series of 2,880 rows, written among 200 sources: 265 MB, of which the server's cache holds 64."""
    names = 200
    start = time.time() // 60 * 60 - 1.9 * 86400
    rng = np.random.default_rng(1)
    sources = [Source(f"reader{i}", "cpu") for i in range(names)]
    for first in range(0, 2880, 60):
        times = np.repeat(start + 55 * (first + np.arange(60.0)), names)
        count = len(times)
        none = np.zeros((count, 0), dtype=np.uint64)
        values = rng.random((count, NAMES))
        block = Block(
            LAYOUT, sources * 60, times, times - 55, np.full(count, 60.0), values, none, none.astype(np.uint8)
        )
        await store.write([block], Cursor(2, first))
    print(f"\n{'reading 2880 rows':32}{'wall ms':>8}{'client CPU':>12}{'held':>8}")
    for width, again in ((1, False), (1, True), (2, True), (8, True), (50, False), (50, True)):
        spent = []
        for i in range(24):
            before = time.perf_counter(), time.process_time()
            got = await store.read(sources[7 if again else i * 7], LAYOUT.names[:width], 0, time.time())
            spent.append((time.perf_counter() - before[0], time.process_time() - before[1]))
            assert len(got[LAYOUT.names[0]].time) == 2880
        wall, client = (statistics.median(column[4:]) * 1e3 for column in zip(*spent, strict=True))
        held = (await watched(store.read(sources[7], LAYOUT.names[:width], 0, time.time())))[1]
        title = f"{width} names, " + ("same source again" if again else "next source")
        print(f"{title:32}{wall:8.2f}{client:12.2f}{held:8.2f}")


async def watched(work: Coroutine[Any, Any, Any]) -> tuple[float, float, Any]:
    """Return the wall time and the longest CPU time between two turns of the loop, in ms, and what the work gave."""
    worst, done = 0.0, False

    async def probe() -> None:
        nonlocal worst
        last = time.thread_time()
        while not done:
            await asyncio.sleep(0)
            now = time.thread_time()
            worst, last = max(worst, now - last), now

    probing = asyncio.create_task(probe())
    await asyncio.sleep(0)
    before = time.perf_counter()
    found = await work
    wall = time.perf_counter() - before
    done = True
    await probing
    return wall * 1e3, worst * 1e3, found


async def listing(store: PostgreSQLHandler) -> None:
    """List 12,000 sources of 1,000 hosts, and read the newest of their 40 values in the parts that the API asks in."""
    sources, layout = [Source(f"many{i % 1000:04d}", f"job{i // 1000}") for i in range(12_000)], LAYOUT.names[:40]
    times, none = np.full(len(sources), time.time() // 60 * 60), np.zeros((len(sources), 0), dtype=np.uint64)
    block = Block(
        Layout(layout, (Kind.GAUGE,) * 40), sources, times, times - 60, np.full(len(sources), 60.0),
        np.random.default_rng(2).random((len(sources), 40)), none, none.astype(np.uint8),
    )  # fmt: skip
    await store.write([block], Cursor(3, 1))
    gc.collect()
    gc.freeze()
    print(f"\n{'listing of 12,000 sources':32}{'wall ms':>8}{'held':>12}{'found':>8}")
    exact = {"host": "many0500", "collector": "job1", "instance": ""}
    kinds: dict[str, dict[str, str]] = {
        "all, after a write": {}, "all, again": {}, "of one host": {"host": "many0500"}, "one exactly": exact,
        "of one collector": {"collector": "job1"},
    }  # fmt: skip
    for title, narrowed in kinds.items():
        wall, held, found = await watched(store.sources(**narrowed))
        print(f"{title:32}{wall:8.3f}{held:12.3f}{len(found):8}")
    rows = []
    for first in range(0, len(sources), 50):
        wall, held, found = await watched(store.latest(sources[first : first + 50]))
        rows.append((wall, held, len(found)))
    print(f"{'latest, in parts of 50 sources':32}{sum(row[0] for row in rows):8.1f}{max(row[1] for row in rows):12.3f}"
          f"{sum(row[2] for row in rows):8}")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    sys.setswitchinterval(0.0005)
    uvloop.run(main(parser.parse_args().rounds))
