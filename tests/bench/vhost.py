"""A virtual host's page, complete: with all its graphs, as a browser gets them over 6 connections.

    python tests/bench/vhost.py [--vhosts 8] [--channels 5]

Two days of every series that STON's targets draw are pushed into an appliance of its own; for each measurement another
virtual host is asked for, so that no picture and no page was made before. Milliseconds until the last picture is there.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent.parent)]

from appliance import Appliance  # noqa: E402
from ston_store import drawn_by_targets, wave  # noqa: E402

CONFIG = """
[roles]
[[ston]]
collectors = STONCollector
[hosts]
[[127.0.0.1]]
hostname = ston1
role = ston
"""
ROWS = 570
PUSHED = 40
IMAGE = re.compile(r'<img src="(/graph[^"]+)" srcset')


def batches(name: str, meta: dict[str, str], end: int) -> list[dict[str, Any]]:
    names = [one for one in drawn_by_targets(of_instances=True) if "channel" not in meta or "." in one]
    series = [(one, wave(1 + number % 7, number)) for number, one in enumerate(names)]
    return [
        {
            "host": "127.0.0.1",
            "collector": "ston",
            "instance": name,
            "time": end - 300 * (ROWS - i),
            "interval": 300,
            "values": {one: value(i) for one, value in series},
            "meta": meta,
        }
        for i in range(ROWS)
    ]


def loaded(appliance: Appliance, vhosts: int, channels: int) -> list[str]:
    """Push everything; return the names of the virtual hosts."""
    end = int(time.time()) // 300 * 300
    names = [f"www{i}.example.com" for i in range(vhosts)]
    for vhost in names:
        for channel in ("", *(f"/live{i}" for i in range(channels if vhost == names[0] else 0))):
            meta = {"vhost": vhost} | ({"channel": channel} if channel else {})
            made = batches(vhost + channel, meta, end)
            for at in range(0, len(made), PUSHED):
                found = appliance.push(made[at : at + PUSHED])
                assert not found["rejected"], found["rejected"][:1]
    while appliance.json("/api/v1/latest", host="127.0.0.1", collector="ston", instance=names[-1])["series"] == []:
        time.sleep(0.5)
    time.sleep(3)
    return names


async def shown(session: aiohttp.ClientSession, url: URL) -> tuple[float, float, int]:
    """Return the ms until the page is there and until all its large graphs are, and how many these are."""
    began = time.perf_counter()
    async with session.get(url) as answer:
        text = await answer.text()
        assert answer.status == 200, text
    page = time.perf_counter() - began
    images = [one for one in map(html.unescape, IMAGE.findall(text)) if "only=1" not in one]

    async def get(address: str) -> None:
        async with session.get(url.join(URL(address, encoded=True))) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()

    await asyncio.gather(*map(get, images))
    return page * 1e3, (time.perf_counter() - began) * 1e3, len(images)


async def measured(appliance: Appliance, names: list[str]) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=6)) as session:
        times = []
        for name in names:
            times.append(await shown(session, URL(appliance.url).with_path("/vhost").with_query(vhost=name)))
            await asyncio.sleep(1)
        first, rest = times[0], [one[1] for one in times[1:]]
        print(f"{first[2]} graphs; page alone {statistics.median(one[0] for one in times):.0f} ms")
        print(f"complete, the first after the start: {first[1]:.0f} ms")
        print(f"complete, others: median {statistics.median(rest):.0f} ms, {min(rest):.0f} to {max(rest):.0f} ms")
        again = await shown(session, URL(appliance.url).with_path("/vhost").with_query(vhost=names[-1]))
        print(f"again: {again[1]:.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vhosts", type=int, default=8)
    parser.add_argument("--channels", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        appliance = Appliance(Path(directory), CONFIG).start()
        try:
            names = loaded(appliance, asked.vhosts, asked.channels)
            appliance.stop()
            appliance.start()
            asyncio.run(measured(appliance, names))
        finally:
            appliance.stop()


if __name__ == "__main__":
    main()
