"""Kurado's agents and the whole appliance: killed, restarted, reloaded, and told nonsense in its configuration."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import pytest
from appliance import Appliance, appliance, free_port, wait_for
from kurado_parts import HERE, payload
from servers_redis import redis
from web_parts import configured

from monitor.config import ConfigError
from monitor.wire.resp import command

CONFIG = """[receivers]
[[kurado]]
listen = 127.0.0.1:{port}
hosts = any
{more}
[collectors]
[[default]]
enabled = False
"""


def push(port: int, text: bytes) -> bytes:
    with socket.create_connection((HERE, port), 10) as connection:
        connection.sendall(command("RPUSH", "kurado-update", text))
        connection.settimeout(15)
        return connection.recv(1000)


def test_a_kill_between_answer_and_store_loses_no_answered_push(tmp_path: Path) -> None:
    """It is killed right after answers, three times; started again, every minute of every host is there once."""
    port = free_port()
    with appliance(tmp_path, CONFIG.format(port=port, more="window = 0.05")) as one:
        start = int(time.time()) // 60 * 60 - 30 * 60
        for minute in range(30):
            for host in range(5):
                text = payload(f"10.8.0.{host}", start + 60 * minute, cpu_user=60 * minute)
                assert push(port, text) == b":1\r\n"
            if minute in (5, 12, 20):
                one.kill()
                one.start()

        def all_there() -> bool:
            return all(
                [v for v in one.values(f"10.8.0.{host}:base::cpu-user", start=start, end=start + 1800, step=60)
                 if v is not None] == pytest.approx([1.0] * 29)
                for host in range(5)
            )  # fmt: skip

        wait_for(all_there, 30, 0.5)


def test_agents_of_the_port_and_of_a_redis_list_show_up_beside_each_other(tmp_path: Path) -> None:
    port = free_port()
    with redis(tmp_path / "redis") as server:
        config = CONFIG.format(port=port, more=f"redis = {server.url}")
        with appliance(tmp_path / "a", config) as one:
            assert push(port, payload("10.0.0.7", time.time(), load=7)) == b":1\r\n"
            server.cli("-x", "RPUSH", "kurado-update", stdin=payload("10.0.0.8", time.time(), load=8))

            def shown() -> bool:
                found = [one.json("/api/v1/latest", host=f"10.0.0.{host}")["series"] for host in (7, 8)]
                return [[series["value"] for series in each] for each in found] == [[7.0], [8.0]]

            wait_for(shown, 20)
            text = one.get("/metrics")[1].decode()
            assert "monitor_kurado_pushes_total 2.0" in text
            assert "monitor_kurado_redis_up 1.0" in text
            assert server.url not in one.log.read_text()


def test_a_reload_changes_who_may_push_and_keeps_the_connections(tmp_path: Path) -> None:
    port = free_port()
    with appliance(tmp_path, CONFIG.format(port=port, more="")) as one:
        with socket.create_connection((HERE, port), 10) as connection:
            connection.settimeout(10)
            for hosts, host, count in (("any", "10.0.0.7", 0), ("known", "10.0.0.8", 1)):
                one.configure(CONFIG.format(port=port, more="").replace("hosts = any", f"hosts = {hosts}"))
                assert one.process is not None
                reloads = one.log.read_text().count("event=reloaded")
                one.process.send_signal(signal.SIGHUP)
                wait_for(lambda: one.log.read_text().count("event=reloaded") > reloads, 15)  # noqa: B023
                connection.sendall(command("RPUSH", "kurado-update", payload(host, time.time(), load=1)))
                assert connection.recv(100) == b":1\r\n"
                text = one.get("/metrics")[1].decode()
                assert ('monitor_kurado_bad_lines_total{reason="host"} 1.0' in text) == bool(count)
        assert "needs_restart" not in one.log.read_text()


def test_a_port_that_is_taken_is_named_and_nothing_else_is_touched(tmp_path: Path) -> None:
    with socket.create_server((HERE, 0)) as taken:
        port = taken.getsockname()[1]
        one = Appliance(tmp_path, CONFIG.format(port=port, more=""))
        one.start(ready=False)
        assert one.process is not None
        assert one.process.wait(30) == 69
        assert f"cannot listen on {HERE}:{port}: address already in use" in one.log.read_text()
        assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("listen = 6379", "listen: expected ADDRESS:PORT"),
        ("allow = 10.0.0.0/8, 10.0.0.1/8", "allow: expected networks such as 10.0.0.0/8: 10.0.0.1/8 has host bits set"),
        ("redis = 127.0.0.1:6379", "redis: expected redis://[:PASSWORD@]HOST:PORT[/DB], rediss:// or unix://"),
        ("hosts = all", "hosts: expected known or any or peer, got 'all'"),
        ("hosts = peer\nredis = redis://127.0.0.1", "hosts: peer is of no use with redis ="),
        ("limits = base.a.gauge 1", "limits: expected PATTERN MIN MAX with numbers or U, got 'base.a.gauge 1'"),
        ("limits = base.a.gauge 5 1", "limits: expected MIN below MAX"),
        ("interval = 0", "interval: expected a time such as"),
        ("max_payloads = 1", "max_payloads: unknown key; did you mean max_payload?"),
    ],
)
def test_settings_that_cannot_be_are_said_with_their_line(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, f"[receivers]\n[[kurado]]\n{line}\n")
    assert f"[receivers] [[kurado]] {said}" in str(caught.value)
    assert "monitor.conf:6" in str(caught.value) or "monitor.conf:7" in str(caught.value)


def test_what_is_set_is_what_the_receiver_gets(tmp_path: Path) -> None:
    text = "[receivers]\n[[kurado]]\nlisten = [::1]:6379\nallow = 10.0.0.0/8, ::1/128\nlimits = base.* 0 U\npast = 2h\n"
    found = configured(tmp_path, text).kurado
    assert [str(network) for network in found.networks] == ["10.0.0.0/8", "::1/128"]
    assert found.rules == (("base.*", (0.0, float("inf"))),)
    assert found.past == 7200
    default = configured(tmp_path, "").kurado
    assert (default.listen, default.redis, default.hosts) == ("", "", "known")
    assert [str(network) for network in default.networks] == ["127.0.0.0/8", "::1/128"]
