"""Sources are called in Graphite as Diamond called them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from loading import loaded

from monitor.batch import Source
from monitor.naming import Paths

CONF = """
[collectors]
[[NginxCollector]]
enabled = True
[[NginxCollector second]]
enabled = True
[[NginxCollector third]]
enabled = True
path = ngx.three
[roles]
[[web]]
collectors = NginxCollector
[[bare]]
collectors = NginxCollector
[[[NginxCollector]]]
path_prefix =
path_suffix = prod.eu
path = .
[hosts]
[[10.0.0.1]]
hostname = www1.example.com
role = web
[[10.0.0.2]]
hostname = www2
role = bare
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    path = tmp_path / "a.conf"
    path.write_text(CONF)
    return Paths(loaded(path, find_hostname=lambda method, given: "own.host").inventory)


@pytest.mark.parametrize(
    ("source", "path"),
    [
        (("own.host", "cpu"), "servers.own_host.cpu"),
        (("own.host", "nginx"), "servers.own_host.nginx"),
        (("own.host", "nginx", "second"), "servers.own_host.nginx.second"),
        (("own.host", "nginx", "third"), "servers.own_host.ngx.three"),
        (("own.host", "nginx", "www.example.com/bar"), "instances.www_example_com_bar.nginx"),
        (("own.host", "nginx", "second/a"), "instances.a.nginx.second"),
        (("10.0.0.1", "nginx"), "servers.www1_example_com.nginx"),
        (("10.0.0.2", "nginx"), "www2.prod.eu"),
        (("10.0.0.2", "app", "a.b"), "servers.www2.app.a_b"),
        (("pushed.example.com", "app"), "servers.pushed_example_com.app"),
        (("2001:db8::1", "a b", "x\ny"), "servers.2001:db8::1.a_b.x_y"),
    ],
)
def test_a_source_has_diamonds_path(paths: Paths, source: Any, path: str) -> None:
    assert paths.path(Source(*source)) == path
    assert paths.path(Source(*source)) == path


def test_people_know_a_host_by_its_hostname(paths: Paths) -> None:
    assert paths.hostname("10.0.0.1") == "www1.example.com"
    assert paths.hostname("pushed") == "pushed"


@pytest.mark.parametrize(
    ("method", "path"),
    [("fqdn_rev", "servers.com.example.own.cpu"), ("none", "servers.cpu"), ("fqdn", "servers.a_b.cpu")],
)
def test_the_hostname_method_shapes_the_own_hosts_path(tmp_path: Path, method: str, path: str) -> None:
    names = {"fqdn_rev": "com.example.own", "none": "", "smart": "own", "fqdn": "a_b"}
    file = tmp_path / "a.conf"
    file.write_text(f"[collectors]\n[[default]]\nhostname_method = {method}\n")
    inventory = loaded(file, find_hostname=lambda method, given: names[method]).inventory
    assert Paths(inventory).path(Source(inventory.own.host, "cpu")) == path
    assert inventory.own.host == (names[method] or "own")


def test_remembered_paths_are_bounded(paths: Paths) -> None:
    paths.cache = 10
    for number in range(100):
        paths.path(Source(f"h{number}", "app"))
        assert len(paths._paths) <= 10
