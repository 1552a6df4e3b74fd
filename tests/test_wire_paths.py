"""Whose number a Graphite path names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.batch import Source
from monitor.wire.paths import Paths

DIAMOND = "servers.{host}.{collector}.{name}"
COLLECTD = "collectd.{host}.{collector}-{instance}.{name}"


@pytest.mark.parametrize(
    ("path", "source", "name"),
    [
        ("servers.www1.cpu.total.user", Source("www1", "cpu"), "total.user"),
        ("servers.www1_example_com.iostat.sda.reads", Source("www1_example_com", "iostat"), "sda.reads"),
        ("collectd.www1.cpu-0.cpu-idle", Source("www1", "cpu", "0"), "cpu-idle"),
        ("collectd.www1.df-var-log.free", Source("www1", "df", "var-log"), "free"),
        ("collectd.www1.load.load.shortterm", Source("www1", "load"), "load.shortterm"),
        ("stats.gauges.shop.orders", Source("shop", "statsd"), "orders"),
        ("carbon.agents.a.cpuUsage", Source("carbon", "graphite"), "agents.a.cpuUsage"),
        ("servers.ホスト.cpu.使用率", Source("ホスト", "cpu"), "使用率"),
        ("cpu.usage_idle;host=www1;cpu=cpu0;az=b", Source("www1", "cpu", "az=b,cpu=cpu0"), "usage_idle"),
        ("load;host=www1", Source("www1", "load"), "value"),
    ],
)
def test_a_path_names_a_source_and_a_name(path: str, source: Source, name: str) -> None:
    patterns = [
        DIAMOND, COLLECTD, "collectd.{host}.{collector}.{name}", "stats.{_}.{host}.{name} collector=statsd",
        "carbon.{name} host=carbon",
    ]  # fmt: skip
    assert Paths(patterns).place(path.encode()) == (source, name)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (b"other.www1.cpu.x", "pattern"),
        (b"servers.www1.cpu", "pattern"),
        (b"servers..cpu.x", "path"),
        (b"servers.www1.cpu.", "path"),
        (b".servers.www1.cpu.x", "path"),
        (b"servers.www1.cpu.a\x00b", "path"),
        (b"servers.www1.cpu." + 300 * b"n", "path"),
        (5000 * b"n", "path"),
        (b"servers.www1.cpu.\xff", "utf8"),
        (b"cpu.idle;cpu=0", "tags"),
        (b"cpu.idle;host=a;cpu=", "tags"),
        (b"cpu.idle;host=a;=0", "tags"),
        (b"cpu.idle;host=a;cpu=0;cpu=1", "tags"),
        (b";host=a", "tags"),
    ],
)
def test_a_path_that_names_none_has_a_reason(path: bytes, reason: str) -> None:
    assert Paths([DIAMOND]).place(path) == reason


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "expected a pattern"),
        ("servers.{host}.{collector}", "{name} at the end"),
        ("{name}.{host}", "{name} at the end"),
        ("servers.{collector}.{name}", "expected {host} in it or host=NAME"),
        ("servers.{host}.{host}.{name}", "once, got 'host'"),
        ("servers.{server}.{name}", "once, got 'server'"),
        ("servers.{host.{name}", "got 'servers.{host.'"),
        ("{host}.{name} host=a", "once, got 'host'"),
        ("{host}.{name} name=a", "behind a pattern, got 'name=a'"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValueError) as error:
        Paths([pattern])
    assert said in str(error.value)


@given(st.binary(max_size=80) | st.text(".;=abé\x00", max_size=40).map(lambda text: text.encode()))
def test_any_bytes_are_a_place_or_a_reason(path: bytes) -> None:
    found = Paths([DIAMOND, COLLECTD, "{host}.{name}"]).place(path)
    if isinstance(found, str):
        assert found in ("path", "utf8", "pattern", "tags")
    else:
        assert found[0].host and found[0].collector and found[1]
