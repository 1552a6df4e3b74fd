"""Send StreamEvent batches over several connections, to us and to a real ClickHouse engine behind HTTP.

    python tests/bench/rels.py [--seconds 20] [--rows 10000] [--connections 4] [--servers 500] [--no-engine]

First the connections send batches of TabSeparated one after the other for so many seconds: rows acknowledged a second,
then how long until the store has them, and the CPU of our process (PostgreSQL's beside it) per row. Then 500 servers
send 20 rows a second each. At last the same large batches go to chdb behind its wrapper. The lag of the loop is what
/metrics says. The figures of CPU are less meaningful on a busy machine: look at `uptime` before.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from multiprocessing import Process, Queue
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from appliance import Appliance, appliance, free_port, wait_for
from ingest import cpu_of, own_cpu, rss, tree
from servers_clickhouse import clickhouse

PATH = "/?user=wcs&password=wcs&database=wcs&query=INSERT+INTO+StreamEvent++FORMAT+TabSeparated&compress=1"
HEAD = "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive\r\nContent-Length: {size}\r\n\r\n"


def batch(rows: int, seed: int = 0) -> bytes:
    rng = random.Random(seed)
    now = int(time.time() * 1000)
    lines = []
    for number in range(rows):
        stream = rng.randrange(2000)
        lines.append(
            f"{now + number}\t10.{stream % 4}.0.{stream % 200}\t/5000/127.0.0.1:{40000 + stream}"
            f"\t{seed:04x}{stream:04x}-{rng.randrange(1 << 32):08x}\tstream-{stream}\t{rng.randrange(32)}\t\n"
        )
    return "".join(lines).encode()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(request)
    answer = await reader.readuntil(b"\r\n\r\n")
    if not answer.startswith(b"HTTP/1.1 200 ") or b"ontent-Length: 0\r\n" not in answer:
        raise SystemExit(f"refused: {(answer + await reader.read(500)).decode(errors='replace')}")


async def large(port: int, connections: int, seconds: float, rows: int) -> tuple[int, float, list[float]]:
    """Return batches acknowledged, the seconds taken, and how long each took."""
    requests = []
    for number in range(connections):
        body = batch(rows, number)
        requests.append(HEAD.format(path=PATH, size=len(body)).encode() + body)
    took: list[float] = []
    began = time.monotonic()

    async def one(request: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < began + seconds:
            sent = time.monotonic()
            await exchange(reader, writer, request)
            took.append(time.monotonic() - sent)
        writer.close()

    await asyncio.gather(*(one(request) for request in requests))
    return len(took), time.monotonic() - began, sorted(took)


async def small(port: int, servers: int, seconds: float) -> tuple[int, float, list[float]]:
    """Send 20 rows a second for every server, each at its own moment of the second."""
    body = batch(20)
    request = HEAD.format(path=PATH, size=len(body)).encode() + body
    took: list[float] = []
    began = time.monotonic()

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        at = began + 1 + number / servers
        while at < began + 1 + seconds:
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            sent = time.monotonic()
            await exchange(reader, writer, request)
            took.append(time.monotonic() - sent)
            at += 1
        writer.close()

    await asyncio.gather(*(one(number) for number in range(servers)))
    return len(took), seconds, sorted(took)


def client(found: Queue[Any], what: Any, *arguments: Any) -> None:
    found.put(asyncio.run(what(*arguments)))


def apart(what: Any, *arguments: Any) -> tuple[int, float, list[float]]:
    """Run a client in a process of its own."""
    found: Queue[Any] = Queue()
    process = Process(target=client, args=(found, what, *arguments))
    process.start()
    result: tuple[int, float, list[float]] = found.get(timeout=600)
    process.join()
    return result


def shown(name: str, batches: int, rows: int, seconds: float, took: list[float]) -> None:
    p99 = 1000 * took[int(0.99 * (len(took) - 1))]
    print(f"{name}: {batches * rows / seconds:,.0f} rows/s acknowledged, {batches} batches in {seconds:.1f} s,"
          f" answers p50 {1000 * took[len(took) // 2]:.1f} ms, p99 {p99:.1f} ms")  # fmt: skip


def stored(port: int) -> int:
    url = f"http://127.0.0.1:{port}/?user=wcs&password=wcs"
    with urllib.request.urlopen(urllib.request.Request(url, data=b"SELECT count() FROM StreamEvent")) as answer:
        return int(answer.read())


def behind(one: Appliance) -> float:
    """Return how many batches the store does not have yet."""
    lines = one.get("/metrics")[1].decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("monitor_outlet_lag_batches{"))


def lags(one: Appliance) -> str:
    lines = one.get("/metrics")[1].decode().splitlines()
    return ", ".join(line for line in lines if line.startswith("monitor_loop_lag"))


def below(pid: int) -> float:
    """Return the CPU of all processes below ours."""
    used = 0.0
    for each in tree(pid):
        if each != pid:
            with contextlib.suppress(FileNotFoundError):
                used += cpu_of(each)
    return used


@contextlib.contextmanager
def cpu(one: Appliance, rows: Any) -> Iterator[None]:
    assert one.process is not None
    pid = one.process.pid
    before, whole, began = own_cpu(pid), below(pid), time.monotonic()
    yield
    used, all_used, seconds = own_cpu(pid) - before, below(pid) - whole, time.monotonic() - began
    count = rows()
    print(f"  our CPU {used:.2f} s = {1e6 * used / count:.2f} µs a row, {100 * used / seconds:.0f} % of a core;"
          f" PostgreSQL's {all_used:.2f} s = {1e6 * all_used / count:.2f} µs a row")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--servers", type=int, default=500)
    parser.add_argument("--no-engine", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        text = f"[receivers]\n[[rels]]\nlisten = 127.0.0.1:{port}\npassword = wcs\n"
        with appliance(Path(directory) / "ours", text) as one:
            assert one.process is not None
            apart(large, port, given.connections, 1, given.rows)
            wait_for(lambda: behind(one) == 0, 60)
            print(f"memory {rss(one.process.pid):.0f} MB")
            total = {"rows": 0}
            before = stored(port)
            began = time.monotonic()
            with cpu(one, lambda: total["rows"]):
                batches, seconds, took = apart(large, port, given.connections, given.seconds, given.rows)
                total["rows"] = batches * given.rows
                shown("large batches", batches, given.rows, seconds, took)
                wait_for(lambda: behind(one) == 0, 600, 0.5)
                print(f"  all stored after {time.monotonic() - began:.1f} s: "
                      f"{total['rows'] / (time.monotonic() - began):,.0f} rows/s")  # fmt: skip
            assert stored(port) == before + total["rows"]
            print(f"  memory {rss(one.process.pid):.0f} MB\n  {lags(one)}")
            with cpu(one, lambda: given.servers * 20 * 10):
                shown(f"{given.servers} servers", *(r := apart(small, port, given.servers, 10))[:1], 20, *r[1:])
            print(f"  {lags(one)}")
        if not given.no_engine:
            port = free_port()
            with clickhouse(Path(directory) / "engine", port):
                batches, seconds, took = apart(large, port, given.connections, min(given.seconds, 10), given.rows)
                shown("chdb behind its wrapper", batches, given.rows, seconds, took)


if __name__ == "__main__":
    main()
