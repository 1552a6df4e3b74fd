"""The whole appliance, as an operator meets it: started, looked at, killed, started again, stopped."""

from __future__ import annotations

import io
import math
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from appliance import Appliance, appliance, free_port, wait_for
from PIL import Image

EVERY_SECOND = "[collectors]\n[[default]]\ninterval = 1\n"


def green(png: bytes) -> int:
    """Return how many pixels of a picture are the main area's green."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    return sum(count for count, (r, g, b) in picture.getcolors(1 << 24) if g > 180 and r < 140 and b < 140)


def own_host(one: Appliance) -> str:
    hosts = one.json("/api/v1/hosts")["hosts"]
    assert len(hosts) == 1, hosts
    return str(hosts[0]["host"])


def known(values: list[float | None]) -> list[float]:
    return [value for value in values if value is not None]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory):
    with appliance(tmp_path_factory.mktemp("appliance"), EVERY_SECOND) as one:
        yield one


def test_an_empty_directory_becomes_a_page_with_graphs_of_this_host(running: Appliance) -> None:
    host = own_host(running)
    assert host in running.get("/")[1].decode()
    wait_for(lambda: len(known(running.values(f"{host}:cpu::total.user", start="-60", step=1))) >= 3)
    page = running.get(f"/server?address={host}")[1].decode()
    assert "/graph?" in page
    status, png = running.get("/graph_global?target=cpu&step=5m&start=-1h&end=now")
    assert status == 200
    assert png.startswith(b"\x89PNG")
    assert green(png) > 0


def test_every_graph_that_is_listed_is_a_picture(running: Appliance) -> None:
    graphs = wait_for(lambda: running.json("/api/v1/graphs")["graphs"])
    for graph in graphs:
        status, png = running.get(graph["url"])
        assert status == 200, graph
        assert png.startswith(b"\x89PNG"), graph


def test_the_newest_values_of_all_series_come_in_one_answer(running: Appliance) -> None:
    def all_collectors() -> bool:
        found = {one["collector"] for one in running.json("/api/v1/latest")["series"]}
        return {"cpu", "memory", "loadavg", "tcp"} <= found

    wait_for(all_collectors)


def test_one_request_may_ask_for_a_thousand_series_and_one_more_is_refused_by_its_parameter(running: Appliance) -> None:
    keys = [f"{own_host(running)}:some.collector:some%3Ainstance:a.name.of.usual.length.{i}" for i in range(1001)]
    assert running.json("/api/v1/query", series=[*keys[:999], f"{own_host(running)}:loadavg::01"])["series"]
    status, body = running.get("/api/v1/query?" + "&".join(f"series={key}" for key in keys))
    assert status == 400
    assert b'"parameter":"series"' in body


def test_kill_9_keeps_what_was_collected_and_makes_no_spike(tmp_path: Path) -> None:
    with appliance(tmp_path / "a", EVERY_SECOND) as one:
        host = own_host(one)
        series = f"{host}:cpu::total.idle"
        wait_for(lambda: len(known(one.values(series, start="-60", step=1))) >= 5)
        before = int(time.time())
        one.kill()
        one.start()
        restarted = time.time()

        def went_on() -> list[float | None] | None:
            values = one.values(series, start=before - 5, end="now", step=1)
            return values if len(known(values)) >= 8 and time.time() > restarted + 5 else None

        values = wait_for(went_on)
        cores = one.json("/api/v1/latest", host=host, collector="cpu")["series"]
        cpus = next(found["value"] for found in cores if found["name"] == "cpu_count")
        # Idle time passes at no more than 100 jiffies a second and core; a false delta would show as a spike.
        assert max(known(values)) <= 100 * cpus * 1.6
        first = next(i for i, value in enumerate(values) if value is not None)
        last = max(i for i, value in enumerate(values) if value is not None)
        # The rate over the gap covers the gap: the source is known on both sides of the restart.
        assert values[first : last + 1].count(None) <= 2
        assert math.isfinite(values[last])


def test_sigterm_ends_it_within_ten_seconds_with_0(tmp_path: Path) -> None:
    with appliance(tmp_path / "a", EVERY_SECOND) as one:
        began = time.monotonic()
        assert one.stop() == 0
        assert time.monotonic() - began < 10


def test_sigterm_ends_it_within_ten_seconds_also_when_all_that_it_talks_to_hangs(tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(100)
        port = deaf.getsockname()[1]
        config = (
            "handlers = GraphiteHandler, InfluxDBHandler\n[handlers]\n"
            f"[[GraphiteHandler]]\nhost = 127.0.0.1\nport = {port}\n"
            f"[[InfluxDBHandler]]\nurl = http://127.0.0.1:{port}\ndatabase = x\n"
            f"{EVERY_SECOND}[[NginxCollector]]\nenabled = True\nreq_port = {port}\ninterval = 30\n"
        )
        with appliance(tmp_path / "a", config) as one:
            wait_for(lambda: one.json("/api/v1/latest", collector="cpu")["series"])
            began = time.monotonic()
            assert one.stop() == 0
            assert time.monotonic() - began < 10


def test_a_taken_port_ends_it_with_69_and_names_the_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        one = Appliance(tmp_path / "a")
        one.port = taken.getsockname()[1]
        one.configure("")
        one.start(ready=False)
        assert one.process is not None
        assert one.process.wait(30) == 69
        assert str(one.port) in one.log.read_text()


def test_a_second_appliance_on_the_same_data_is_refused_with_69(running: Appliance) -> None:
    other = running.directory / "other.conf"
    other.write_text(running.file.read_text().replace(str(running.port), str(free_port())))
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "run", "-c", str(other)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 69
    assert "in use" in done.stdout + done.stderr


def test_sighup_takes_up_a_new_collector_and_keeps_the_old_configuration_when_the_new_one_is_bad(
    tmp_path: Path,
) -> None:
    with appliance(tmp_path / "a", EVERY_SECOND + "[[LoadAverageCollector]]\nenabled = False\n") as one:
        host = own_host(one)
        wait_for(lambda: one.json("/api/v1/latest", collector="cpu")["series"])
        assert not one.json("/api/v1/latest", collector="loadavg")["series"]
        assert one.process is not None
        one.configure(EVERY_SECOND + "[[LoadAverageCollector]]\nenabld = False\n")
        one.process.send_signal(1)
        wait_for(lambda: "enabld" in one.log.read_text())
        one.configure(EVERY_SECOND)
        one.process.send_signal(1)
        wait_for(lambda: one.json("/api/v1/latest", collector="loadavg", host=host)["series"])


def test_an_unreachable_database_ends_the_start_with_69_and_no_password(tmp_path: Path) -> None:
    one = Appliance(tmp_path / "a")
    one.configure(f"database = postgresql://someone:hunter2@127.0.0.1:{free_port()}/monitor\nstart_wait = 2\n")
    one.start(ready=False)
    assert one.process is not None
    assert one.process.wait(60) == 69
    assert "hunter2" not in one.log.read_text()
