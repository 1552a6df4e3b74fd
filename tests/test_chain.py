"""nginx under load, through the appliance, into carbon and InfluxDB, which are away for a while: nothing is missing."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from appliance import Appliance, appliance, wait_for
from servers_carbon import Carbon, carbon
from servers_influx import Influx, influx
from servers_nginx import Nginx, nginx

CONFIG = """
handlers = diamond.handler.graphite.GraphiteHandler, InfluxDBHandler
hostname = web1.example.com
[handlers]
[[default]]
[[GraphiteHandler]]
host = 127.0.0.1
port = {carbon}
[[InfluxDBHandler]]
url = {influx}
database = monitor
create_database = True
[collectors]
[[default]]
interval = 1
align = True
[[NginxCollector]]
enabled = True
req_port = {nginx}
"""
NAMES = {
    "active_connections", "act_reads", "act_writes", "act_waits", "req_per_conn", "conn_accepted", "conn_handled",
    "req_handled",
}  # fmt: skip


class Load(threading.Thread):
    """Asks nginx for its page again and again, and counts the answers."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.answers, self.ended = url, 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.005):
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                answer.read()
            self.answers += 1


class Chain:
    def __init__(self, one: Appliance, carbon: Carbon, influx: Influx, nginx: Nginx) -> None:
        self.one, self.carbon, self.influx, self.nginx = one, carbon, influx, nginx
        self.host = str(one.json("/api/v1/hosts")["hosts"][0]["host"])

    def known(self, name: str, start: int, end: int) -> dict[int, float]:
        """Return what the store has of an nginx series, by the second at which its bucket ends."""
        if end <= start:
            return {}
        values = self.one.values(f"{self.host}:nginx::{name}", start=start, end=end, step=1)
        return {start + 1 + i: value for i, value in enumerate(values) if value is not None}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp("chain")
        a = stack.enter_context(carbon(directory / "carbon", retentions="1s:1h"))
        b = stack.enter_context(influx(directory / "influx"))
        c = stack.enter_context(nginx(directory / "nginx"))
        config = CONFIG.format(carbon=a.port, influx=b.url, nginx=c.port)
        one = stack.enter_context(appliance(directory / "appliance", config))
        yield Chain(one, a, b, c)


def test_carbon_has_diamonds_paths_and_influxdb_the_same_points_also_of_an_outage(chain: Chain) -> None:
    wait_for(lambda: chain.carbon.paths())
    start = int(time.time())
    time.sleep(2)
    chain.carbon.stop()
    chain.influx.stop()
    away = int(time.time())
    wait_for(lambda: len(chain.known("req_handled", away, int(time.time()) + 1)) >= 5)
    back = int(time.time())
    chain.carbon.start()
    chain.influx.start()
    wait_for(lambda: len(chain.known("req_handled", back, int(time.time()) + 1)) >= 3)
    end = int(time.time()) - 1
    wanted = {name: chain.known(name, start, end) for name in NAMES}
    assert min(map(len, wanted.values())) >= 8
    # Whoever lost one of the seconds while carbon was away shows here, whatever the handlers did in between.
    assert set(range(away + 1, back)) <= set(wanted["act_waits"])

    def carbon_has(name: str) -> dict[int, float]:
        return chain.carbon.points(f"servers.web1_example_com.nginx.{name}", start, end)

    def influx_has(name: str) -> dict[int, float]:
        rows = chain.influx.query(
            f"SELECT {name} AS value FROM nginx WHERE host = '{chain.host}' AND time > {start}s AND time <= {end}s",
            "monitor", epoch="s",
        )  # fmt: skip
        return {int(row["time"]): row["value"] for row in rows if row["value"] is not None}

    for name, values in wanted.items():
        wait_for(lambda name=name, values=values: set(carbon_has(name)) >= set(values), 30, 0.5)
        assert carbon_has(name) == pytest.approx({**carbon_has(name), **values})
        wait_for(lambda name=name, values=values: set(influx_has(name)) >= set(values), 70, 0.5)
        assert influx_has(name) == pytest.approx({**influx_has(name), **values})


def test_the_rates_of_nginx_add_up_to_the_requests_that_were_made(chain: Chain) -> None:
    wait_for(lambda: chain.known("req_handled", int(time.time()) - 5, int(time.time())))
    start = int(time.time())
    load = Load(f"http://127.0.0.1:{chain.nginx.port}/")
    load.start()
    time.sleep(6)
    load.ended.set()
    load.join(10)
    end = int(time.time()) + 2
    wait_for(lambda: max(chain.known("req_handled", start, end), default=0) >= end)
    rates = chain.known("req_handled", start, end)
    assert sorted(rates) == list(range(start + 1, end + 1))
    # Each of our own polls is a request, too.
    assert sum(rates.values()) == pytest.approx(load.answers + len(rates), rel=0.02)


def test_a_restart_of_nginx_is_one_unknown_and_no_spike(chain: Chain) -> None:
    start = int(time.time())
    wait_for(lambda: len(chain.known("req_handled", start, int(time.time()))) >= 2)
    chain.nginx.stop()
    chain.nginx.start()
    restarted = int(time.time())
    wait_for(lambda: len(chain.known("req_handled", restarted, int(time.time()))) >= 4)
    rates = chain.known("req_handled", start, int(time.time()))
    assert max(rates.values()) < 10
    # The fall of the counters, and perhaps one poll while nginx was away.
    assert 1 <= len(set(range(min(rates), max(rates))) - set(rates)) <= 2
