"""Push batches of 50 values over HTTP until they lie in the store; CPU per million values beside VictoriaMetrics'.

    python tests/bench/ingest.py [--hosts 1000] [--minutes 58]

VictoriaMetrics (Debian's victoria-metrics) gets the same points over the Influx line protocol, 50 fields a line.
Payloads are built before the clock starts, so that the sender's cost counts for neither. PostgreSQL's CPU is shown
apart.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from appliance import appliance, free_port, wait_for

TICK = 100


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and of its children that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / TICK


def tree(pid: int) -> list[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents.setdefault(int(stat.read_text().rsplit(")", 1)[1].split()[1]), []).append(int(stat.parent.name))
        except OSError:
            continue
    found, ahead = [], [pid]
    while ahead:
        one = ahead.pop()
        children = parents.get(one, [])
        found += children
        ahead += children
    return found


def own_cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def post(url: str, body: bytes, kind: str) -> None:
    request = urllib.request.Request(url, data=body, headers={"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def points(hosts: int, minutes: int) -> list[list[dict]]:
    """One list of batches per minute: half gauges with two decimals, half counters, as agents send them."""
    rng = random.Random(1)
    start = int(time.time()) // 60 * 60 - minutes * 60
    counters = [[rng.randrange(10**6) for _ in range(25)] for _ in range(hosts)]
    kinds = {f"count{i:02d}": "counter" for i in range(25)}
    out = []
    for minute in range(minutes):
        batches = []
        for host in range(hosts):
            row = counters[host] = [value + rng.randrange(5000) for value in counters[host]]
            values = {f"gauge{i:02d}": round(rng.random() * 1000, 2) for i in range(25)}
            values |= {f"count{i:02d}": value for i, value in enumerate(row)}
            batches.append(
                {"host": f"host{host:04d}", "collector": "app", "time": start + minute * 60, "interval": 60,
                 "values": values, "kinds": kinds}
            )  # fmt: skip
        out.append(batches)
    return out


def influx(batches: list[dict]) -> bytes:
    return "\n".join(
        f"app,host={b['host']} " + ",".join(f"{k}={v}" for k, v in b["values"].items()) + f" {b['time']}000000000"
        for b in batches
    ).encode()


def ours(minutes: list[list[dict]]) -> dict[str, float]:
    bodies = [json.dumps({"batches": batches}).encode() for batches in minutes]
    last = minutes[-1][-1]
    with (
        tempfile.TemporaryDirectory(prefix="bench", dir="/tmp") as directory,
        appliance(Path(directory), "[collectors]\n[[default]]\nenabled = False\n") as one,
    ):
        pid = one.process.pid
        post(
            f"{one.url}/api/v1/push",
            json.dumps({"batches": [{**b, "time": b["time"] - 60} for b in minutes[0]]}).encode(),
            "application/json",
        )
        time.sleep(3)
        idle = rss(pid)
        cpu, server = own_cpu(pid), sum(map(cpu_of, tree(pid)))
        began = time.monotonic()
        for body in bodies:
            post(f"{one.url}/api/v1/push", body, "application/json")
        accepted = time.monotonic() - began

        def stored() -> bool:
            found = one.json("/api/v1/latest", host=last["host"])["series"]
            return bool(found) and found[0]["time"] >= last["time"]

        wait_for(stored, 120, 0.25)
        wall = time.monotonic() - began
        return {
            "cpu": own_cpu(pid) - cpu, "server": sum(map(cpu_of, tree(pid))) - server,
            "wall": wall, "accepted": accepted, "rss": rss(pid), "idle": idle,
        }  # fmt: skip


def victoria(minutes: list[list[dict]]) -> dict[str, float]:
    bodies = [influx(batches) for batches in minutes]
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench", dir="/tmp") as directory:
        process = subprocess.Popen(
            ["victoria-metrics", f"-storageDataPath={directory}", f"-httpListenAddr=127.0.0.1:{port}",
             "-retentionPeriod=1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            wait_for(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/health").status == 200)
            post(
                f"http://127.0.0.1:{port}/write",
                influx([{**b, "time": b["time"] - 60} for b in minutes[0]]),
                "text/plain",
            )
            time.sleep(3)
            cpu, began = cpu_of(process.pid), time.monotonic()
            for body in bodies:
                post(f"http://127.0.0.1:{port}/write", body, "text/plain")
            accepted = time.monotonic() - began
            urllib.request.urlopen(f"http://127.0.0.1:{port}/internal/force_flush").read()
            time.sleep(5)
            return {"cpu": cpu_of(process.pid) - cpu, "server": 0.0, "wall": accepted, "accepted": accepted,
                    "rss": rss(process.pid), "idle": 0.0}  # fmt: skip
        finally:
            process.terminate()
            process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--minutes", type=int, default=58)
    options = parser.parse_args()
    minutes = points(options.hosts, options.minutes)
    million = options.hosts * options.minutes * 50 / 1e6
    rows = {"this": ours(minutes), "victoria-metrics": victoria(minutes)}
    print(f"{million:.2f} million values, batches of 50\n")
    print(f"{'':18}{'CPU s/M':>9}{'database':>10}{'values/s/core':>15}{'accepted s':>12}{'stored s':>10}{'RSS MB':>8}")
    for name, row in rows.items():
        print(f"{name:18}{row['cpu'] / million:9.2f}{row['server'] / million:10.2f}{million * 1e6 / row['cpu']:15,.0f}"
              f"{row['accepted']:12.1f}{row['wall']:10.1f}{row['rss']:8.0f}")  # fmt: skip
    peer = rows["victoria-metrics"]["cpu"]
    mine = rows["this"]
    print(f"\nratio of CPU to victoria-metrics: {mine['cpu'] / peer:.2f} ours alone, "
          f"{(mine['cpu'] + mine['server']) / peer:.2f} with PostgreSQL; idle RSS {mine['idle']:.0f} MB; "
          f"sender peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
