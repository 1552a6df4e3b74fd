"""Agents of others point at the appliance and show up as hosts: collectd, one shaped as Diamond, one as Telegraf."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from appliance import Appliance, appliance, free_port, wait_for
from debian import need

CONFIG = """[receivers]
[[graphite]]
listen = 127.0.0.1:{port}
udp = 127.0.0.1:{udp}
pattern = servers.{{host}}.{{collector}}.{{name}}, \
"collectd.{{host}}.{{collector}}-{{instance}}.{{name}}", "collectd.{{host}}.{{collector}}.{{name}}"
[collectors]
[[default]]
enabled = False
"""
COLLECTD = """Hostname "shop1"
FQDNLookup false
Interval 1
BaseDir "{directory}"
PIDFile "{directory}/pid"
TypesDB "/usr/share/collectd/types.db"
LoadPlugin logfile
<Plugin logfile>
  File "{directory}/collectd.log"
</Plugin>
LoadPlugin load
LoadPlugin memory
LoadPlugin cpu
LoadPlugin write_graphite
<Plugin write_graphite>
  <Node "monitor">
    Host "127.0.0.1"
    Port "{port}"
    Protocol "{protocol}"
    Prefix "collectd."
    AlwaysAppendDS false
  </Node>
</Plugin>
"""


@dataclass
class Receiving:
    one: Appliance
    port: int
    udp: int

    def names(self, host: str) -> set[tuple[str, str, str]]:
        found = self.one.json("/api/v1/latest", host=host)["series"]
        return {(each["collector"], each["instance"], each["name"]) for each in found}

    def drawn(self, host: str) -> dict[tuple[str, str, str], bytes]:
        """Return the pictures of a host's graphs."""
        graphs = self.one.json("/api/v1/graphs", host=host)["graphs"]
        return {(each["collector"], each["instance"], each["graph"]): self.get(each["url"]) for each in graphs[:5]}

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.one.url + path, timeout=20) as answer:
            assert answer.status == 200
            return bytes(answer.read())


@pytest.fixture(scope="module")
def receiving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    port, udp = free_port(), free_port()
    with appliance(tmp_path_factory.mktemp("agents"), CONFIG.format(port=port, udp=udp)) as one:
        yield Receiving(one, port, udp)


def shown(receiving: Receiving, host: str) -> None:
    """Check that a host is in the list, and has a page."""
    assert host in {each["host"] for each in receiving.one.json("/api/v1/hosts")["hosts"]}
    assert f">{host} <".encode() in receiving.get(f"/server?address={host}")
    pictures = receiving.drawn(host)
    assert pictures and all(picture.startswith(b"\x89PNG") for picture in pictures.values())


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_collectd_with_write_graphite_shows_up(receiving: Receiving, tmp_path: Path, protocol: str) -> None:
    config = COLLECTD.format(
        directory=tmp_path, port=receiving.port if protocol == "tcp" else receiving.udp, protocol=protocol
    ).replace("shop1", f"shop-{protocol}")
    (tmp_path / "collectd.conf").write_text(config)
    process = subprocess.Popen(
        [need("collectd"), "-f", "-C", str(tmp_path / "collectd.conf")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        time.sleep(2.5)
    finally:
        # On its end it sends what it holds.
        os.kill(process.pid, signal.SIGTERM)
        process.wait(10)
    host = f"shop-{protocol}"
    wanted = {("load", "", "load.shortterm"), ("memory", "", "memory-free"), ("cpu", "0", "cpu-idle")}
    wait_for(lambda: wanted <= receiving.names(host), 10, 0.2)
    shown(receiving, host)


def test_a_diamond_shaped_stream_shows_up_with_the_graphs_of_our_collectors(receiving: Receiving) -> None:
    at = int(time.time()) - 120
    with socket.create_connection(("127.0.0.1", receiving.port)) as connection:
        for tick in range(3):
            lines = [
                f"servers.www1_example.cpu.total.{name} {value} {at + 60 * tick}"
                for name, value in (("user", 12.5), ("system", 3.25), ("idle", 80), ("iowait", 0.5))
            ]
            lines += [f"servers.www1_example.loadavg.{name} 0.{tick}1 {at + 60 * tick}" for name in ("01", "05", "15")]
            connection.sendall("\n".join(lines).encode() + b"\n")
    wait_for(lambda: ("loadavg", "", "15") in receiving.names("www1_example"), 10, 0.2)
    assert ("cpu", "", "total.user") in receiving.names("www1_example")
    shown(receiving, "www1_example")
    assert ("cpu", "", "cpu") in receiving.drawn("www1_example")


def test_a_telegraf_shaped_stream_shows_up_with_rates_of_totals(receiving: Receiving) -> None:
    at = int(time.time()) - 120
    for tick in range(3):
        lines = (
            f"cpu,cpu=cpu-total,host=db1 usage_user=1.5,usage_idle=97.{tick} {at + 60 * tick}000000000\n"
            f"net,host=db1,interface=eth0 bytes_recv={6000 * tick}i,bytes_sent={600 * tick}i"
            f" {at + 60 * tick}000000000\n"
            f'system,host=db1 load1=0.5,n_cpus=4i,uptime_format="1 day,  2:03" {at + 60 * tick}000000000\n'
        )
        request = urllib.request.Request(f"{receiving.one.url}/write?db=telegraf", data=lines.encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 204
    wait_for(lambda: ("system", "", "load1") in receiving.names("db1"), 10, 0.2)
    found = {each["name"]: each["value"] for each in receiving.one.json("/api/v1/latest", host="db1")["series"]}
    assert found["bytes_recv"] == 100 and found["bytes_sent"] == 10 and found["usage_user"] == 1.5
    shown(receiving, "db1")
    assert ("cpu", "cpu=cpu-total", "usage_idle") in receiving.drawn("db1")
