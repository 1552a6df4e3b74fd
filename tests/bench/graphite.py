"""Send Graphite's lines over TCP until they lie in the store; CPU per million beside VictoriaMetrics and carbon-cache.

    python tests/bench/graphite.py [--hosts 1000] [--minutes 20] [--carbon 2] [--influx] [--parse]

Each host has 50 values a minute, all lines of a minute come over one connection. carbon-cache gets --carbon minutes of
100 hosts, and is measured until all of it lies in whisper files. --influx sends the same values as lines of InfluxDB
with 50 fields to us and to VictoriaMetrics. What the sender needs counts for nobody; PostgreSQL's CPU stands apart.
--parse measures the readers alone, and the longest step of a burst of 50,000 lines.
"""

from __future__ import annotations

import argparse
import gc
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from appliance import appliance, free_port, wait_for
from ingest import cpu_of, own_cpu, post, rss, tree
from servers_carbon import carbon

from monitor.wire.graphite_lines import Lines, Reader
from monitor.wire.paths import Paths

NAMES = [f"gauge{number:02d}" for number in range(50)]
PATTERN = "servers.{host}.{collector}.{name}"


def rows(hosts: int, minutes: int) -> list[tuple[int, list[tuple[str, list[str]]]]]:
    """The values of every minute by host, as texts with two decimals."""
    rng = random.Random(1)
    start = int(time.time()) // 60 * 60 - minutes * 60
    return [
        (start + 60 * m, [(f"host{h:04d}", [f"{rng.random() * 1000:.2f}" for _ in NAMES]) for h in range(hosts)])
        for m in range(minutes)
    ]  # fmt: skip


def lines(at: int, values: list[tuple[str, list[str]]]) -> bytes:
    return "".join(
        f"servers.{host}.app.{name} {value} {at}\n"
        for host, row in values
        for name, value in zip(NAMES, row, strict=True)
    ).encode()


def influx(at: int, values: list[tuple[str, list[str]]]) -> bytes:
    return "\n".join(
        f"app,host={host} {','.join(map('='.join, zip(NAMES, row, strict=True)))} {at}000000000" for host, row in values
    ).encode()


def send(port: int, bodies: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for body in bodies:
            connection.sendall(body)


def metric(url: str, name: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        found = [line for line in answer.read().decode().splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def ours(minutes: list[tuple[int, list[tuple[str, list[str]]]]], as_influx: bool = False) -> dict[str, float]:
    port = free_port()
    config = f"[receivers]\n[[graphite]]\nlisten = 127.0.0.1:{port}\n[collectors]\n[[default]]\nenabled = False\n"
    before = [(minutes[0][0] - 60, minutes[0][1])]
    make = influx if as_influx else lines
    bodies, first = [make(*minute) for minute in minutes], [make(*minute) for minute in before]
    with (
        tempfile.TemporaryDirectory(prefix="bench", dir="/tmp") as directory,
        appliance(Path(directory), config) as one,
    ):
        assert one.process is not None
        pid, last = one.process.pid, minutes[-1]

        def give(bodies: list[bytes]) -> None:
            if as_influx:
                for body in bodies:
                    post(f"{one.url}/write?db=x", body, "text/plain")
            else:
                send(port, bodies)

        def stored(host: str, at: int) -> Callable[[], bool]:
            def there() -> bool:
                found = one.json("/api/v1/latest", host=host)["series"]
                return len(found) == len(NAMES) and all(series["time"] >= at for series in found)

            return there

        give(first)
        wait_for(stored(last[1][-1][0], before[0][0]), 60, 0.25)
        time.sleep(2)
        cpu, server, began = own_cpu(pid), sum(map(cpu_of, tree(pid))), time.monotonic()
        give(bodies)
        accepted = time.monotonic() - began
        wait_for(stored(last[1][-1][0], last[0]), 300, 0.5)
        found = {
            "cpu": own_cpu(pid) - cpu, "postgres": sum(map(cpu_of, tree(pid))) - server,
            "wall": time.monotonic() - began, "sent": accepted, "rss": rss(pid),
        }  # fmt: skip
        wanted = len(NAMES) * len(last[1]) * (len(minutes) + 1)
        kept = metric(one.url, "monitor_pipeline_values_total")
        assert kept >= wanted, f"{kept} of {wanted} values were kept"
        found["lag"] = 1000 * metric(one.url, "monitor_loop_lag_max_seconds")
        return found


def victoria(minutes: list[tuple[int, list[tuple[str, list[str]]]]], as_influx: bool = False) -> dict[str, float]:
    before = [(minutes[0][0] - 60, minutes[0][1])]
    make = influx if as_influx else lines
    bodies, first = [make(*minute) for minute in minutes], [make(*minute) for minute in before]
    port, http = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="bench", dir="/tmp") as directory:
        process = subprocess.Popen(
            ["victoria-metrics", f"-storageDataPath={directory}", f"-httpListenAddr=127.0.0.1:{http}",
             f"-graphiteListenAddr=127.0.0.1:{port}", "-retentionPeriod=1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        url = f"http://127.0.0.1:{http}"
        try:
            wait_for(lambda: urllib.request.urlopen(f"{url}/health").status == 200)

            def give(bodies: list[bytes]) -> None:
                if as_influx:
                    for body in bodies:
                        post(f"{url}/write", body, "text/plain")
                else:
                    send(port, bodies)

            give(first)
            time.sleep(3)
            rows_before = metric(url, "vm_rows_added_to_storage_total")
            cpu, began = cpu_of(process.pid), time.monotonic()
            give(bodies)
            accepted = time.monotonic() - began
            wanted = rows_before + len(NAMES) * len(minutes) * len(minutes[0][1])
            wait_for(lambda: metric(url, "vm_rows_added_to_storage_total") >= wanted, 120, 0.2)
            urllib.request.urlopen(f"{url}/internal/force_flush").read()
            time.sleep(3)
            return {"cpu": cpu_of(process.pid) - cpu, "sent": accepted, "wall": time.monotonic() - began,
                    "rss": rss(process.pid)}  # fmt: skip
        finally:
            process.terminate()
            process.wait()


def cache(minutes: list[tuple[int, list[tuple[str, list[str]]]]]) -> dict[str, float]:
    bodies = [lines(*minute) for minute in minutes]
    with (
        tempfile.TemporaryDirectory(prefix="bench", dir="/tmp") as directory,
        carbon(Path(directory) / "carbon", retentions="60s:1d") as one,
    ):
        assert one.process is not None
        # Files are made first, and do not count.
        send(one.port, [lines(minutes[0][0] - 60, minutes[0][1])])
        paths = len(NAMES) * len(minutes[0][1])
        wait_for(lambda: len(one.paths()) == paths, 120, 0.5)
        last = minutes[-1]
        path = f"servers.{last[1][-1][0]}.app.{NAMES[-1]}"
        time.sleep(1)
        cpu, began = cpu_of(one.process.pid), time.monotonic()
        send(one.port, bodies)
        accepted = time.monotonic() - began
        # At its end it writes all that it holds.
        wait_for(lambda: last[0] in one.points(path, last[0] - 60, last[0] + 60), 120, 0.5)
        used = cpu_of(one.process.pid) - cpu
        return {"cpu": used, "sent": accepted, "wall": time.monotonic() - began, "rss": rss(one.process.pid)}


def show(name: str, row: dict[str, float], points: int) -> float:
    each = row["cpu"] / points * 1e6
    rest = ", ".join(f"{key} {value:.2f}" for key, value in row.items() if key != "cpu")
    print(f"{name:28} CPU {each:.3f} s per million ({row['cpu']:.2f} s for {points:,}; {rest})", flush=True)
    return each


def parse() -> None:
    minutes = rows(1000, 6)
    reader = Reader(Paths([PATTERN]))
    # As the appliance does it: what was there before is not walked again.
    gc.collect()
    gc.freeze()
    best, worst = 1e9, 0.0
    for number, (at, values) in enumerate(minutes):
        body = lines(at, values)
        found, made = Lines(), 0
        began, cpu = time.thread_time(), time.process_time()
        steps = [time.thread_time() for _ in reader.read(body, at + 60, found)]
        for some in reader.batches(found):
            made += len(some)
            steps.append(time.thread_time())
        longest = max(b - a for a, b in zip([began, *steps], steps, strict=False))
        if number:
            best, worst = min(best, time.process_time() - cpu), max(worst, longest)
        else:
            print(f"new paths: longest step {1000 * longest:.1f} ms")
        assert made == 1000 and not found.bad
    print(f"read: {1e6 * best / 50_000:.2f} µs a line, longest step of a burst of 50,000 lines {1000 * worst:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--carbon", type=int, default=2, help="minutes for carbon-cache; 0 leaves it out")
    parser.add_argument("--influx", action="store_true")
    parser.add_argument("--parse", action="store_true", help="the readers alone")
    options = parser.parse_args()
    parse()
    if options.parse:
        return
    minutes = rows(options.hosts, options.minutes)
    points = len(NAMES) * options.hosts * options.minutes
    mine = show("this, Graphite", ours(minutes), points)
    peer = show("VictoriaMetrics, Graphite", victoria(minutes), points)
    print(f"ratio to VictoriaMetrics: {mine / peer:.2f}")
    if options.carbon:
        few = rows(100, options.carbon)
        other = show("carbon-cache", cache(few), len(NAMES) * 100 * options.carbon)
        print(f"ratio to carbon-cache: {mine / other:.3f}")
    if options.influx:
        fields = show("this, Influx, 50 fields", ours(minutes, as_influx=True), points)
        peer = show("VictoriaMetrics, Influx", victoria(minutes, as_influx=True), points)
        print(f"ratio to VictoriaMetrics: {fields / peer:.2f}; Graphite to Influx: {mine / fields:.2f}")


if __name__ == "__main__":
    main()
