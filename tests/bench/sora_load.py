"""The whole appliance with a Sora of 2,000 connections every 5 s, everything on: CPU, lag, bytes a day.

    python tests/bench/sora_load.py [--connections 2000] [--channels 200] [--seconds 120]

Statistics and connections go to the store and, every connection with all its fields, to a stand-in of Elasticsearch
that only counts. The bytes of PostgreSQL are those of the hour's rows as they lie, scaled to a day; packing makes less.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
from appliance import Appliance, free_port, wait_for
from elastic import serve as elasticsearch
from sora import bodies
from sora import serve as sora
from ston_load import cpu_of, own_cpu, rss, tree

CONFIG = """
handlers = ElasticsearchHandler
[handlers]
[[ElasticsearchHandler]]
urls = http://127.0.0.1:{elastic}
[collectors]
[[SoraCollector]]
enabled = True
url = http://127.0.0.1:{sora}/
"""


def database_bytes(directory: Path) -> int:
    """Return the bytes of the rows' files: all of the database's but what every database has."""
    return sum(path.stat().st_size for path in directory.rglob("base/*/*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--channels", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120)
    given = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = multiprocessing.Pipe()
    answers = bodies(given.connections, given.channels)
    servers = [spawn.Process(target=sora, args=(answers, theirs), daemon=True)]
    port = free_port()
    servers.append(spawn.Process(target=elasticsearch, args=(port,), daemon=True))
    for server in servers:
        server.start()
    del answers
    gc.collect()
    config = CONFIG.format(elastic=port, sora=ours.recv())
    with tempfile.TemporaryDirectory(prefix="bench", dir="/tmp") as temporary:
        one = Appliance(Path(temporary) / "ours", config)
        try:
            one.start()
            assert one.process is not None
            pid = one.process.pid
            wait_for(lambda: len(one.json("/api/v1/instances", limit=1)["instances"]), 60, 1)
            time.sleep(75)  # until every connection has been told of once, and the garbage is settled
            own, database, began = own_cpu(pid), sum(map(cpu_of, tree(pid))), time.monotonic()
            size = database_bytes(one.directory)
            time.sleep(given.seconds)
            took = time.monotonic() - began
            own, database = own_cpu(pid) - own, sum(map(cpu_of, tree(pid))) - database
            grown = database_bytes(one.directory) - size
            page = one.get("/metrics")[1].decode()
            print(f"{given.connections} connections in {given.channels} channels every 5 s")
            print(f"CPU: {own / took:.1%} of a core, PostgreSQL {database / took:.1%}; RSS {rss(pid):.0f} MB")
            print(f"PostgreSQL grew by {grown / 1e6:.1f} MB in {took:.0f} s: {grown / took * 86400 / 1e9:.2f} GB a day")
            for line in page.splitlines():
                if re.match("monitor_(loop_lag|outlet|handler|journal)", line):
                    print(line)
        finally:
            one.stop()
            for server in servers:
                server.terminate()
                server.join()


if __name__ == "__main__":
    main()
