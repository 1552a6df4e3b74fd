"""An hour of a Sora whose 10,000 connections are replaced every minute: memory, catalogue and queries at its end.

    python tests/bench/sora_churn.py [--connections 10000] [--minutes 60] [--channels 500]

The clock is simulated; collector, rates, store and PostgreSQL are the real ones. What a list of channels, a graph of
one channel and the catalogue of the host cost is measured after the first minutes and after the last.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
import uvloop
from blocks import DiamondNaming
from servers_postgres import PostgresServer
from test_store import fresh

from collectors.sora import SoraCollector
from handlers.postgresql import PostgreSQLHandler
from monitor.batch import Cursor, Series, Source
from monitor.collector import Response, Target
from monitor.query import Query
from monitor.rates import Rates


class Body:
    connections: bytes = b"[]"

    async def post(self, url: str, body: bytes, *, headers: object = None, tls: object = None) -> Response:
        return Response(200, {}, self.connections)


def resident() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / (1 << 20)


async def took(work: Callable[[], Awaitable[Any]], times: int = 5) -> float:
    """Return the median of the milliseconds."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        found.append(1000 * (time.perf_counter() - began))
    return statistics.median(found)


async def measure(server: PostgresServer, directory: Path, options: argparse.Namespace) -> None:
    now = 1_795_000_000.0
    body = Body()
    one = SoraCollector(Target("sora1", "192.0.2.1", "sora1"), body, metricsets=["connections"])  # type: ignore[arg-type]
    database = await fresh(server)
    store = PostgreSQLHandler(
        "PostgreSQLHandler", DiamondNaming(), database=database, data_dir=directory, clock=lambda: now
    )
    rates = Rates(keep=240)
    await store.open()
    query = Query(store, unit=lambda source, name: "", clock=lambda: now)
    channel = Source("sora1", "sora", "room-1")
    rows = [("minute", "RSS MB", "sources", "known", "told", "list of channels ms", "graph of a channel ms")]
    written = 0
    for minute in range(options.minutes):
        made = [
            {
                "channel_id": f"room-{i % options.channels}", "connection_id": f"{minute:03d}{i:023d}",
                "rtp": {"total_received_byte_size": 1000 * minute + i, "total_sent_byte_size": i, "total_received": i,
                        "total_sent": i},
                "rtcp": {"total_received_rtcp_rtpfb_generic_nack": i, "total_received_rtcp_psfb_pli": i},
                "network_status": {"unstable_level": i % 4},
            }
            for i in range(options.connections)
        ]  # fmt: skip
        body.connections = json.dumps(made).encode()
        for _ in range(12):
            now += 5
            blocks, reasons = rates.apply(await one.run(now))
            assert not any(reasons)
            written += 1
            await store.write(blocks, Cursor(1, written))
        await store.maintain()
        while not rates.expire(now):
            pass
        if minute in (1, options.minutes // 2, options.minutes - 1):
            infos = await store.sources(host="sora1")
            channels = [info.source for info in infos if "channel" not in info.meta and info.source.instance]
            listed = await took(partial(store.latest, channels))
            wanted, end = [Series(channel, "connections")], int(now)
            drawn = await took(partial(query.fetch, wanted, end - 3600, end, step=None, cf="AVERAGE"))
            rows.append(
                (str(minute + 1), f"{resident():.0f}", str(len(infos)), str(len(rates)), str(len(one.known._told)),
                 f"{listed:.1f}", f"{drawn:.1f}")
            )  # fmt: skip
    await store.close()
    for row in rows:
        print("  ".join(f"{cell:>21}" for cell in row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--channels", type=int, default=500)
    parser.add_argument("--minutes", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        place.chmod(0o755)
        (place / "pg").mkdir()
        server = PostgresServer(place / "pg")
        server.start()
        try:
            began = time.process_time()
            uvloop.run(measure(server, place, options))
            print(f"{time.process_time() - began:.0f} s of CPU for {options.minutes} minutes")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
