"""The main job at its true pace, one collection a minute: nginx under wrk, and a two-minute outage of both receivers.

    python tests/bench/minutes.py

Takes about 9 minutes. Prints how wrk's count compares with the rates that were stored, what a restart of nginx left,
and which minutes carbon and InfluxDB have.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from appliance import Appliance, appliance, wait_for
from servers_carbon import carbon
from servers_influx import influx
from servers_nginx import nginx

CONFIG = """hostname = web1
handlers = GraphiteHandler, InfluxDBHandler
[handlers]
[[GraphiteHandler]]
host = 127.0.0.1
port = {carbon}
[[InfluxDBHandler]]
url = {influx}
database = monitor
create_database = True
[collectors]
[[NginxCollector]]
enabled = True
req_port = {nginx}
"""


def rates(one: Appliance, start: float, end: float) -> list[float | None]:
    return one.values("web1:nginx::req_handled", start=int(start), end=int(end), step=60)


def minutes_of(seconds: float, what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)
    time.sleep(seconds)


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="minutes", dir="/tmp") as name,
        carbon(Path(name) / "carbon") as graphite,
        influx(Path(name) / "influx") as influxdb,
        nginx(Path(name) / "nginx") as server,
    ):
        Path(name).chmod(0o755)
        config = CONFIG.format(carbon=graphite.port, influx=influxdb.url, nginx=server.port)
        with appliance(Path(name) / "a", config) as one:
            wait_for(lambda: one.json("/api/v1/latest", collector="nginx")["series"], 120)
            begin = time.time() // 60 * 60
            minutes_of(65, "idle")
            print(f"{time.strftime('%H:%M:%S')} wrk for 3 minutes, the receivers away for 2 of them", flush=True)
            wrk = subprocess.Popen(
                ["wrk", "-t1", "-c4", "-d180s", f"http://127.0.0.1:{server.port}/"], stdout=subprocess.PIPE, text=True
            )
            time.sleep(30)
            graphite.stop()
            influxdb.stop()
            time.sleep(125)
            graphite.start()
            influxdb.start()
            count = int(re.search(r"(\d+) requests in", wrk.communicate()[0])[1])
            minutes_of(125, "idle again")
            loaded = time.time() // 60 * 60
            server.stop()
            server.start()
            minutes_of(190, "nginx was restarted")
            end = time.time() // 60 * 60 - 60
            values = rates(one, begin, loaded)
            stored = sum(value for value in values if value is not None) * 60
            polls = (loaded - begin) / 60
            print(
                f"\nwrk made {count} requests, the rates add up to {stored - polls:.0f}:"
                f" {(stored - polls) / count - 1:+.3%}"
            )
            after = rates(one, loaded, end)
            print(f"requests/s after nginx was restarted: {after} (None is unknown)")
            wanted = {int(begin) + 60 * (i + 1) for i, value in enumerate(rates(one, begin, end)) if value is not None}
            have = {int(at // 60) * 60 for at in graphite.points("servers.web1.nginx.act_waits", begin, end)}
            rows = influxdb.query(
                f"SELECT act_waits FROM nginx WHERE time > {int(begin)}s AND time <= {int(end)}s", "monitor", epoch="s"
            )
            points = {int(row["time"]) // 60 * 60 for row in rows}
            every = set(range(int(begin) + 60, int(end), 60))
            print(f"minutes: {len(every)}; missing in carbon {len(every - have)}, in InfluxDB {len(every - points)},"
                  f" unknown in the store {len(every - wanted)}")  # fmt: skip


if __name__ == "__main__":
    main()
