"""3,000 hosts with 4 sources of 40 values each, pushed every minute as agents do, spread over the minute.

    python tests/bench/hosts.py [--hosts 3000] [--minutes 3]

Prints the CPU seconds that each minute cost, PostgreSQL's apart, memory, the loop's lag, and how long the pages take.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from appliance import Appliance, appliance
from ingest import cpu_of, own_cpu, post, rss, tree

SOURCES, GAUGES, COUNTERS = 4, 20, 20
PAGES = ["/", "/server?address=host0001", "/api/v1/hosts", "/api/v1/latest?host=host0001", "/api/v1/latest", "/metrics"]


class Agents:
    """All hosts' counters, which go on from minute to minute."""

    def __init__(self, hosts: int) -> None:
        self.rng = random.Random(3)
        self.sources = [(f"host{i:04d}", f"app{n}") for i in range(hosts) for n in range(SOURCES)]
        self.counts = {source: [0] * COUNTERS for source in self.sources}
        self.kinds = {f"count{i}": "counter" for i in range(COUNTERS)}

    def body(self, second: int, now: float) -> bytes:
        """Return the push of those whose turn it is in this second of the minute."""
        batches = []
        for host, collector in self.sources[second::60]:
            counts = self.counts[host, collector] = [
                count + self.rng.randrange(1000) for count in self.counts[host, collector]
            ]
            values = {f"gauge{i}": round(self.rng.random() * 100, 2) for i in range(GAUGES)}
            values |= {f"count{i}": count for i, count in enumerate(counts)}
            batches.append({"host": host, "collector": collector, "time": now, "values": values, "kinds": self.kinds})
        return json.dumps({"batches": batches}).encode()


def minute(one: Appliance, agents: Agents) -> None:
    began = time.time()
    for second in range(60):
        post(f"{one.url}/api/v1/push", agents.body(second, time.time()), "application/json")
        time.sleep(max(0.0, began + second + 1 - time.time()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=3000)
    parser.add_argument("--minutes", type=int, default=3)
    options = parser.parse_args()
    agents = Agents(options.hosts)
    with (
        tempfile.TemporaryDirectory(prefix="bench", dir="/tmp") as directory,
        appliance(Path(directory)) as one,
    ):
        pid = one.process.pid
        print(f"{'minute':>8}{'CPU s':>8}{'% core':>8}{'PostgreSQL s':>14}{'RSS MB':>8}")
        for number in range(options.minutes):
            cpu, server = own_cpu(pid), sum(map(cpu_of, tree(pid)))
            minute(one, agents)
            cpu, server = own_cpu(pid) - cpu, sum(map(cpu_of, tree(pid))) - server
            print(f"{number:>8}{cpu:>8.2f}{cpu / 0.6:>8.2f}{server:>14.2f}{rss(pid):>8.0f}", flush=True)
        for line in one.get("/metrics")[1].decode().splitlines():
            if line.startswith("monitor_loop_lag"):
                print(line)
        for page in PAGES:
            began = time.monotonic()
            status, body = one.get(page)
            print(f"{page:30} {status} {len(body):>10,} bytes {1000 * (time.monotonic() - began):>8.0f} ms")


if __name__ == "__main__":
    main()
