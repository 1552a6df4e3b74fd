"""Kurado's pages with 3,000 hosts whose agents have pushed: CPU of our process, time, size as packed, the loop's lag.

python tests/bench/pages.py [--hosts 3000] [--times 10]
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from appliance import Appliance, appliance, free_port
from ingest import own_cpu, rss
from kurado import Agents, address, metrics

COMPARED = 500


def inventory(hosts: int, port: int) -> str:
    lines = [f"[receivers]\n[[kurado]]\nlisten = 127.0.0.1:{port}\n[roles]\n[[agent]]\npushed = base\n[hosts]\n"]
    lines += [
        f"[[{address(number)}]]\nhostname = www{number:05}.example.com\nservice = service {number // 250}\n"
        f"label = label {number // 50 % 5}\nrole = agent\ncomment = rack {number // 40}, {number % 3} of 3\n"
        for number in range(hosts)
    ]
    return "".join(lines)


def ask(one: Appliance, path: str, times: int) -> None:
    assert one.process is not None
    cpu, began, size = own_cpu(one.process.pid), time.monotonic(), 0
    for _ in range(times):
        connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=60)
        connection.request("GET", path, headers={"Accept-Encoding": "gzip", "Accept": "text/html"})
        answer = connection.getresponse()
        size = len(answer.read())
        assert answer.status == 200, (path, answer.status)
        connection.close()
    took = (time.monotonic() - began) / times
    cpu = (own_cpu(one.process.pid) - cpu) / times
    found = metrics(one)
    lag = [1000 * found[f'monitor_loop_lag_seconds{{percentile="{part}"}}'] for part in (99, 100)]
    print(
        f"{path[:34]:<36}{1000 * cpu:>8.0f}{1000 * took:>8.0f}{size / 1000:>10.0f}{lag[0]:>8.1f}{lag[1]:>8.1f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=3000)
    parser.add_argument("--times", type=int, default=10)
    options = parser.parse_args()
    port = free_port()
    compared = "&".join(f"address={address(number)}" for number in range(min(COMPARED, options.hosts)))

    async def push() -> None:
        agents = Agents(port, options.hosts)
        await agents.open()
        await agents.round(10.0)
        for _, writer in agents.streams:
            writer.close()

    with (
        tempfile.TemporaryDirectory(prefix="bench", dir="/tmp") as directory,
        appliance(Path(directory), inventory(options.hosts, port)) as one,
    ):
        asyncio.run(push())
        print("a minute to settle, so that the lag of the pushes is forgotten", flush=True)
        time.sleep(65)
        assert one.process is not None
        print(f"{'page':<36}{'CPU ms':>8}{'ms':>8}{'kB gzip':>10}{'lag 99':>8}{'most':>8}")
        ask(one, "/?service=service+1", options.times)
        ask(one, "/", options.times)
        ask(one, f"/server?address={address(0)}", options.times)
        ask(one, "/servers?" + "&".join(compared.split("&")[:10]), options.times)
        ask(one, f"/servers?{compared}", 2)
        print(f"RSS {rss(one.process.pid):.0f} MB")


if __name__ == "__main__":
    main()
