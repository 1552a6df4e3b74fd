"""Poll stub_status pages until their values lie in the store; CPU per poll beside Prometheus' scrapes of 50 metrics.

    python tests/bench/poll.py [--hosts 200] [--seconds 20] [--profile FILE]

One real nginx answers both, on as many addresses of the loopback as there are hosts; each polls every host once a
second, alone on the machine. What nginx counted tells how many polls there were. PostgreSQL's CPU is shown apart.
`--profile` runs only ours, with cProfile on its event loop's thread, and writes the figures to a file.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from appliance import Appliance, free_port, wait_for
from debian import need
from ingest import cpu_of, own_cpu, rss, tree
from servers_nginx import Nginx

METRICS = 50
PROFILED = """
import cProfile, sys
from monitor.cli import main
profile = cProfile.Profile()
sys.argv[0] = "monitor"
out = sys.argv.pop(1)
try:
    profile.runcall(main)
finally:
    profile.dump_stats(out)
"""


class Row(NamedTuple):
    polls: int
    seconds: float
    cpu: float
    database: float
    rss: float


def exposition() -> str:
    """Return a page of counters and gauges as exporters write them."""
    lines = []
    for number in range(METRICS):
        kind, suffix = ("counter", "_total") if number % 2 else ("gauge", "")
        name = f"app_measure_{number:02d}{suffix}"
        lines += [f"# HELP {name} What is measured here.", f"# TYPE {name} {kind}"]
        lines.append(f'{name}{{instance_name="one",zone="a"}} {number * 7919 + 0.25 * (1 - number % 2)}')
    return "\n".join(lines) + "\n"


def addresses(hosts: int) -> list[str]:
    return [f"127.0.{number // 250}.{number % 250 + 2}" for number in range(hosts)]


@contextmanager
def everywhere(directory: Path) -> Iterator[Nginx]:
    """Run an nginx that answers on all addresses of the loopback, with the page of metrics at /metrics."""
    server = Nginx(directory)
    (directory / "metrics.txt").write_text(exposition())
    file = directory / "nginx.conf"
    page = f"location = /metrics {{ default_type 'text/plain; version=0.0.4'; alias {directory}/metrics.txt; }}"
    text = file.read_text().replace("listen 127.0.0.1:", "listen ").replace("allow 127.0.0.1;", "allow 127.0.0.0/8;")
    file.write_text(text.replace("location = /empty", f"{page}\n        location = /empty"))
    try:
        yield server.start()
    finally:
        server.stop()


def requests(server: Nginx) -> int:
    found = re.search(r"requests *\n *\d+ \d+ (\d+)", server.get("/nginx_status"))
    assert found is not None
    return int(found[1])


def measured(server: Nginx, hosts: int, seconds: float, warm: float, pid: int, has_database: bool) -> Row:
    def database() -> float:
        return sum(map(cpu_of, tree(pid))) if has_database else 0.0

    before = requests(server)
    wait_for(lambda: requests(server) - before > hosts * 2, 30)
    time.sleep(warm)
    cpu, stored, asked, began = own_cpu(pid), database(), requests(server), time.monotonic()
    time.sleep(seconds)
    cpu, stored = own_cpu(pid) - cpu, database() - stored
    # One of the requests is the question for their number.
    return Row(requests(server) - asked - 1, time.monotonic() - began, cpu, stored, rss(pid))


def configuration(server: Nginx, hosts: int) -> str:
    watched = "".join(f"[[{address}]]\nrole = web\n" for address in addresses(hosts))
    return (
        "[collectors]\n[[default]]\nenabled = False\n"
        f"[roles]\n[[web]]\ncollectors = NginxCollector\n[[[NginxCollector]]]\ninterval = 1\nreq_port = {server.port}\n"
        f"enabled = True\n[hosts]\n{watched}"
    )


def ours(server: Nginx, directory: Path, hosts: int, measure: Callable[[int, bool], Row], profile: str) -> Row:
    one = Appliance(directory, configuration(server, hosts))
    if profile:
        with one.log.open("ab") as log:
            one.process = subprocess.Popen(
                [sys.executable, "-c", PROFILED, str(Path(profile).resolve()), "run", "-c", str(one.file)],
                stdout=log, stderr=subprocess.STDOUT, env=one.env,
            )  # fmt: skip
        one.wait_ready()
    else:
        one.start()
    assert one.process is not None
    try:
        row = measure(one.process.pid, True)
        latest = one.json("/api/v1/latest", host=addresses(hosts)[-1])["series"]
        assert latest and time.time() - max(found["time"] for found in latest) < 10, latest
        return row
    finally:
        one.stop()


def prometheus(server: Nginx, directory: Path, hosts: int, measure: Callable[[int, bool], Row]) -> Row:
    targets = ", ".join(f"'{address}:{server.port}'" for address in addresses(hosts))
    directory.mkdir()
    file = directory / "prometheus.yml"
    file.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f"scrape_configs:\n- job_name: app\n  static_configs:\n  - targets: [{targets}]\n"
    )
    port = free_port()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [need("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={directory / 'data'}",
             f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=subprocess.STDOUT)  # fmt: skip
    try:
        return measure(process.pid, False)
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--warm", type=float, default=10)
    parser.add_argument("--profile", default="")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench", dir="/tmp") as temporary,
        everywhere(Path(temporary) / "nginx") as server,
    ):

        def measure(pid: int, has_database: bool) -> Row:
            return measured(server, options.hosts, options.seconds, options.warm, pid, has_database)

        rows = {"this": ours(server, Path(temporary) / "ours", options.hosts, measure, options.profile)}
        if not options.profile:
            rows["prometheus"] = prometheus(server, Path(temporary) / "prometheus", options.hosts, measure)
    print(f"{options.hosts} hosts, each polled every second, on {os.cpu_count()} cores\n")
    print(f"{'':12}{'polls':>8}{'polls/s':>9}{'CPU µs/poll':>13}{'database':>10}{'RSS MB':>8}")
    for name, row in rows.items():
        print(f"{name:12}{row.polls:8}{row.polls / row.seconds:9.0f}{row.cpu / row.polls * 1e6:13.0f}"
              f"{row.database / row.polls * 1e6:10.0f}{row.rss:8.0f}")  # fmt: skip
    if not options.profile:
        mine, peer = (row.cpu / row.polls for row in rows.values())
        database = rows["this"].database / rows["this"].polls
        print(f"\nratio of CPU per poll to prometheus: {mine / peer:.2f} ours alone, "
              f"{(mine + database) / peer:.2f} with PostgreSQL")  # fmt: skip


if __name__ == "__main__":
    main()
