"""Play thousands of Kurado's agents, each pushing 36 lines a minute on a connection of its own.

    python tests/bench/kurado.py [--hosts 3000] [--minutes 2] [--burst 5] [--parse]

First the agents push jittered over each minute, then once all within the seconds of --burst, and at the end it is
looked whether the store has all of it. CPU is that of our process alone and, beside it, PostgreSQL's, less what both
take when nobody pushes. The lag of the loop is what /metrics says. --parse measures the parser alone.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from appliance import Appliance, appliance, free_port, wait_for
from ingest import cpu_of, own_cpu, rss, tree

from monitor.wire.kurado import Parser
from monitor.wire.resp import command

STATES = ("guest-nice", "guest", "idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user")
DISKS = ("read-ios", "read-sectors", "write-ios", "write-sectors")
MEMORY = ("buffers", "cached", "free", "swap-total", "swap-used", "total", "used")
VERSION = "Linux version 6.18.5 (builder@host) (gcc (Debian 12.2.0-14) 12.2.0) #1 SMP PREEMPT_DYNAMIC"


def payload(host: str, tick: int, at: int) -> bytes:
    """36 lines: 16 counters, 14 gauges, 6 texts."""
    rng = random.Random(f"{host}{tick}")
    counts = {f"cpu-{state}.derive": 6000 * tick + rng.randrange(600) for state in STATES}
    counts |= {f"disk-io-vda-{what}.derive": 9000 * tick + rng.randrange(900) for what in DISKS}
    gauges: dict[str, object] = {f"disk-usage-vda-{what}.gauge": 24107312 + tick for what in ("available", "used")}
    gauges |= {f"loadavg-{n}.gauge": f"{rng.random() * 4:.2f}" for n in (1, 15, 5)}
    gauges |= {f"memory-{what}.gauge": rng.randrange(1 << 33) for what in MEMORY}
    gauges |= {"processors.gauge": 4, "tcp-established.gauge": rng.randrange(99)}
    traffic = {f"traffic-eth0-{way}bytes.derive": 10**7 * tick + rng.randrange(10**6) for way in ("rx", "tx")}
    meta = {
        "disk-io-devices": "vda", "disk-usage-devices": "vda", "disk-usage-vda-mount": "/",
        "traffic-interfaces": "eth0", "uptime": 60 * tick + 837, "version": VERSION,
    }  # fmt: skip
    lines = [f"{host}\tbase.metrics.{key}\t{value}\t{at}\n" for key, value in (counts | gauges | traffic).items()]
    lines += [f"{host}\tbase.meta.{key}\t{value}\t{at}\n" for key, value in meta.items()]
    return "".join(lines).encode()


def address(number: int) -> str:
    return f"10.{20 + number // 62500}.{number // 250 % 250}.{number % 250}"


class Agents:
    def __init__(self, port: int, hosts: int) -> None:
        self.port = port
        self.hosts = hosts
        self.tick = 0
        self.answers: dict[bytes, int] = {}
        self.slowest = 0.0

    async def open(self) -> None:
        self.streams = []
        for _ in range(self.hosts):
            self.streams.append(await asyncio.open_connection("127.0.0.1", self.port))
            if len(self.streams) % 500 == 0:
                await asyncio.sleep(0.1)

    async def round(self, seconds: float) -> float:
        """Push of all agents within so many seconds; return how long it took until the last answer."""
        self.tick += 1
        at = int(time.time())
        moments = sorted((random.random() * seconds, number) for number in range(self.hosts))
        began = time.monotonic()
        tasks = []
        for moment, number in moments:
            data = command("RPUSH", "kurado-update", payload(address(number), self.tick, at))
            await asyncio.sleep(max(0.0, began + moment - time.monotonic()))
            tasks.append(asyncio.create_task(self._push(number, data)))
        await asyncio.gather(*tasks)
        return time.monotonic() - began

    async def _push(self, number: int, data: bytes) -> None:
        reader, writer = self.streams[number]
        began = time.monotonic()
        writer.write(data)
        line = await reader.readline()
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.answers[line[:10]] = self.answers.get(line[:10], 0) + 1

    async def ping(self) -> None:
        for reader, writer in self.streams:
            writer.write(command("PING"))
            await reader.readline()


def metrics(one: Appliance) -> dict[str, float]:
    with urllib.request.urlopen(f"{one.url}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


async def play(one: Appliance, port: int, hosts: int, minutes: int, burst: float, period: float) -> None:
    assert one.process is not None
    pid = one.process.pid

    def used() -> tuple[float, float]:
        return own_cpu(pid), sum(map(cpu_of, tree(pid)))

    agents = Agents(port, hosts)
    await agents.open()
    await agents.round(10.0)
    await asyncio.sleep(5)
    start = used()
    await asyncio.sleep(20)
    idle = [(after - before) / 20 for before, after in zip(start, used(), strict=True)]
    print(f"idle with {hosts} connections: ours {100 * idle[0]:.2f} %, PostgreSQL {100 * idle[1]:.2f} % of a core")
    for number in range(minutes):
        start, began = used(), time.monotonic()
        await agents.round(period - 1)
        await asyncio.sleep(max(0.0, began + period - time.monotonic()))
        cpu = [(after - before) / period for before, after in zip(start, used(), strict=True)]
        less = [100 * (a - b) for a, b in zip(cpu, idle, strict=True)]
        print(
            f"minute {number + 1}: ours {100 * cpu[0]:.2f} % of a core ({less[0]:.2f} % more than idle), PostgreSQL "
            f"{100 * cpu[1]:.2f} % ({less[1]:.2f} %), slowest answer {1000 * agents.slowest:.0f} ms,"
            f" RSS {rss(pid):.0f} MB"
        )
        agents.slowest = 0.0
    start = used()
    took = await agents.round(burst)
    await asyncio.sleep(3)
    cpu = [after - before for before, after in zip(start, used(), strict=True)]
    found = metrics(one)
    lag = [1000 * found[f'monitor_loop_lag_seconds{{percentile="{part}"}}'] for part in (99, 100)]
    print(
        f"burst of {hosts} in {burst:g} s: answered after {took:.1f} s, slowest answer {1000 * agents.slowest:.0f} ms, "
        f"CPU ours {cpu[0]:.2f} s, PostgreSQL {cpu[1]:.2f} s; loop lag of the last minute p99 {lag[0]:.1f} ms, "
        f"max {lag[1]:.1f} ms"
    )
    print(f"answers: {agents.answers}; RSS {rss(pid):.0f} MB")
    last = address(hosts - 1)

    def stored() -> bool:
        return metrics(one)['monitor_outlet_lag_batches{handler="PostgreSQLHandler"}'] == 0

    wait_for(stored, 60, 0.5)
    found = metrics(one)
    pushed = hosts * (minutes + 2)
    print(f"pushed {pushed}, batches accepted {found['monitor_kurado_batches_total']:.0f}, bad lines "
          f"{sum(v for k, v in found.items() if k.startswith('monitor_kurado_bad_lines')):.0f}; {last} has "
          f"{len(one.json('/api/v1/latest', host=last)['series'])} series")  # fmt: skip


def parse() -> None:
    pushes = [payload(address(number), 1, 1795234980) for number in range(3000)]
    parser = Parser()
    best = 1e9
    for _ in range(5):
        began = time.process_time()
        for push in pushes:
            found = parser.parse(push, 1795234980.0, lambda address: (address.decode(), ""))
        best = min(best, time.process_time() - began)
    assert len(found.batches[0].values) == 30
    rate, each = len(pushes) * 36 / best, 1e6 * best / len(pushes)
    print(f"parse: {rate:,.0f} lines/s per core, {each:.1f} µs per push of 36 lines")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=3000)
    parser.add_argument("--minutes", type=int, default=2)
    parser.add_argument("--period", type=float, default=60, help="seconds of a minute, for a brief run")
    parser.add_argument("--burst", type=float, default=5)
    parser.add_argument("--parse", action="store_true", help="the parser alone")
    options = parser.parse_args()
    parse()
    if options.parse:
        return
    port = free_port()
    config = f"[receivers]\n[[kurado]]\nlisten = 127.0.0.1:{port}\nhosts = any\n"
    config += "[collectors]\n[[default]]\nenabled = False\n"
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with (
        tempfile.TemporaryDirectory(prefix="bench", dir="/tmp") as directory,
        appliance(Path(directory), config) as one,
    ):
        asyncio.run(play(one, port, options.hosts, options.minutes, options.burst, options.period))


if __name__ == "__main__":
    main()
