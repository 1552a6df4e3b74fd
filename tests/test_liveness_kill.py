"""What an agent pushed beside numbers is known at once, and still after kill -9, with Redis as a copy."""

from __future__ import annotations

import subprocess
import time
import urllib.parse
from pathlib import Path

from appliance import Appliance, free_port, wait_for
from debian import need
from servers_redis import redis

CONFIG = """
[receivers]
[[kurado]]
listen = 127.0.0.1:{port}
redis_meta = {url}
[roles]
[[agent]]
pushed = base
[hosts]
[[10.0.0.1]]
role = agent
service = shop
comment = front
"""


def push(port: int, now: int) -> None:
    lines = [
        ("base.metrics.loadavg-1.gauge", "0.5"), ("base.meta.version", "Linux 6.18"),
        ("base.warn.disk_usage", "df failed"), ("redis%3A6379.meta.role", "master"),
    ]  # fmt: skip
    payload = "".join(f"10.0.0.1\t{key}\t{value}\t{now}\n" for key, value in lines)
    command = [need("redis-cli"), "-p", str(port), "-x", "RPUSH", "kurado-update"]
    done = subprocess.run(command, input=payload.encode(), capture_output=True, timeout=20)
    assert done.stdout.strip() in (b"1", b"(integer) 1"), done


def test_what_agents_said_is_known_at_once_and_after_a_kill(tmp_path: Path) -> None:
    port = free_port()
    with redis(tmp_path / "redis") as server:
        appliance = Appliance(tmp_path / "a", CONFIG.format(port=port, url=server.url)).start()
        try:

            def status() -> int:
                return int(appliance.json("/api/host-status", address="10.0.0.1")["10.0.0.1"])

            assert status() == 2
            assert b"10.0.0.1 10.0.0.1 front\n" in appliance.get("/api/servers?service=shop")[1]
            push(port, int(time.time()))
            assert status() == 1
            wait_for(lambda: b"monitor_liveness_written_total 2.0" in appliance.get("/metrics")[1], 10)
            appliance.kill()
            assert server.cli("GET", "storage/10.0.0.1/base/version") == "Linux 6.18"
            assert server.cli("GET", "storage/10.0.0.1/redis%3A6379/role") == "master"
            appliance.start()
            assert status() == 1
            page = appliance.get("/server?" + urllib.parse.urlencode({"address": "10.0.0.1"}))[1].decode()
            assert "disk_usage: df failed" in page
            wait_for(lambda: b"<dd>Linux 6.18</dd>" in appliance.get("/server?address=10.0.0.1")[1], 20)
        finally:
            appliance.stop()
