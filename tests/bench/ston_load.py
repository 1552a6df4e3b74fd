"""The whole appliance with as many STON servers as 200 every five minutes are: CPU, the loop's lag, values stored.

    python tests/bench/ston_load.py [--servers 20] [--interval 30] [--seconds 90]

20 servers every 30 seconds ask for the same work as 200 every 300, and come as close together: all in a tenth of the
interval. Each has 20 virtual hosts with 5 channels, and other numbers each time. PostgreSQL's CPU is shown apart.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from appliance import Appliance, free_port, wait_for
from ingest import cpu_of, own_cpu, rss, tree
from poll import addresses
from ston_server import Media


def serve(port: int, vhosts: int, channels: int) -> None:
    """Answer on all addresses of the loopback, each time with the numbers of another five minutes."""
    server = Media({f"vhost{i}.example.com": [f"/channel{j}" for j in range(channels)] for i in range(vhosts)})
    bodies = []
    for server.window in range(8):
        bodies.append(server.body("JSON"))
    asked = count()

    async def average(request: web.Request) -> web.Response:
        return web.Response(body=bodies[next(asked) % len(bodies)], content_type="application/json")

    async def hwinfo(request: web.Request) -> web.Response:
        return web.Response(body=server.hwinfo())

    app = web.Application()
    app.router.add_get("/monitoring/average", average)
    app.router.add_get("/monitoring/hwinfo", hwinfo)
    web.run_app(app, host="0.0.0.0", port=port, access_log=None, print=None, handle_signals=True)


def configuration(port: int, servers: int, interval: float) -> str:
    watched = "".join(f"[[{address}]]\nrole = ston\n" for address in addresses(servers))
    return (
        "[collectors]\n[[default]]\nenabled = False\n"
        "[roles]\n[[ston]]\ncollectors = STONCollector\n"
        f"[[[STONCollector]]]\ninterval = {interval:g}\nreq_port = {port}\n[hosts]\n{watched}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--interval", type=float, default=30)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--vhosts", type=int, default=20)
    parser.add_argument("--channels", type=int, default=5)
    parser.add_argument("--serve", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.vhosts, given.channels)
        return
    port = free_port()
    stand_in = subprocess.Popen([sys.executable, __file__, "--serve", str(port), "--vhosts", str(given.vhosts),
                                 "--channels", str(given.channels)])  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="bench", dir="/tmp") as temporary:
        one = Appliance(Path(temporary) / "ours", configuration(port, given.servers, given.interval))
        try:
            one.start()
            assert one.process is not None
            pid = one.process.pid
            last = addresses(given.servers)[-1]
            wait_for(lambda: one.json("/api/v1/latest", host=last)["series"], given.interval * 3, 1)
            # The first collections make all sources; what follows is the everyday work.
            time.sleep(given.interval)
            own, database, began = own_cpu(pid), sum(map(cpu_of, tree(pid))), time.monotonic()
            time.sleep(given.seconds)
            took = time.monotonic() - began
            own, database = own_cpu(pid) - own, sum(map(cpu_of, tree(pid))) - database
            page = one.get("/metrics")[1].decode()
            sources = 1 + given.vhosts * (1 + given.channels)
            print(f"{given.servers} servers every {given.interval:g} s, {sources} sources each")
            print(f"CPU: {own / took:.1%} of a core, PostgreSQL {database / took:.1%}; RSS {rss(pid):.0f} MB")
            for line in page.splitlines():
                if re.match("monitor_(loop_lag|collect)", line):
                    print(line)
        finally:
            one.stop()
            stand_in.terminate()
            stand_in.wait(10)


if __name__ == "__main__":
    main()
