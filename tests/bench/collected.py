"""Answer /metrics/collected with thousands of hosts: seconds, CPU, the longest wait of the loop.

    python tests/bench/collected.py [--hosts 3000] [--names 100] [--rounds 3]

The client reads in another process. What the loop waits while it answers nothing is measured beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
import uvloop
from web_parts import serving

from monitor.batch import Batch, Kind, Source

ON = "[server]\ndata_dir = {directory}\nmetrics_collected = True\n"
READ = """
import sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=60) as answer:
    print(sum(len(part) for part in iter(lambda: answer.read(1 << 20), b"")))
"""


class Watch:
    """Measures how late a timer of 1 ms is."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            due = time.perf_counter() + 0.001
            await asyncio.sleep(0.001)
            self.late.append(time.perf_counter() - due)

    def end(self) -> str:
        self._task.cancel()
        late = sorted(self.late)
        return f"loop late: 99 % {late[int(0.99 * len(late))] * 1000:.1f} ms, worst {late[-1] * 1000:.1f} ms"


async def bench(options: argparse.Namespace, directory: Path) -> None:
    async with serving(directory, ON.format(directory=directory)) as (client, parts):
        parts.runner.jobs.clear()
        names = {f"group{number % 10}.value{number}": float(number) for number in range(options.names)}
        kinds = {name: Kind.DERIVE if number % 2 else Kind.GAUGE for number, name in enumerate(names)}
        for first in range(0, options.hosts, 50):
            rows = range(first, min(first + 50, options.hosts))
            sources = [Source(f"10.0.{n // 250}.{n % 250}", "app") for n in rows]
            await parts.pipeline.accept([Batch(one, time.time(), names, kinds, {}, 3600) for one in sources])
        await parts.stored()
        gc.collect()
        gc.freeze()  # as the appliance does
        watch = Watch()
        await asyncio.sleep(2)
        print(f"idle: {watch.end()}")
        for _ in range(options.rounds):
            watch, began, cpu = Watch(), time.perf_counter(), time.process_time()
            reader = await asyncio.create_subprocess_exec(
                sys.executable, "-c", READ, str(client.make_url("/metrics/collected")), stdout=subprocess.PIPE
            )
            told, _ = await reader.communicate()
            spent = time.process_time() - cpu
            size, whole = int(told) / 1e6, time.perf_counter() - began
            series = options.hosts * options.names
            print(f"{series} series, {size:.1f} MB: {whole:.2f} s, CPU {spent:.2f} s, {watch.end()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=3000)
    parser.add_argument("--names", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    with tempfile.TemporaryDirectory() as directory:
        uvloop.run(bench(parser.parse_args(), Path(directory)))
