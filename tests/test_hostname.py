"""The own host's name, by each of Diamond's methods."""

from __future__ import annotations

import platform
import socket
from typing import Any

import pytest

from monitor.hostname import hostname


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    def named(fqdn: str = "web1.shop.example.com", name: str = "web1.shop", node: str = "node1.lan") -> None:
        monkeypatch.setattr(socket, "getfqdn", lambda: fqdn)
        monkeypatch.setattr(socket, "gethostname", lambda: name)
        monkeypatch.setattr(platform, "uname", lambda: platform.uname_result("Linux", node, "", "", ""))

    named()
    return named


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("smart", "web1"), ("fqdn_short", "web1"), ("fqdn", "web1_shop_example_com"), ("none", ""),
        ("fqdn_rev", "com.example.shop.web1"), ("uname_short", "node1"), ("uname_rev", "lan.node1"),
        ("hostname", "web1.shop"), ("hostname_short", "web1"), ("hostname_rev", "shop.web1"),
    ],
)  # fmt: skip
def test_a_method_names_the_host_as_diamond_does(machine: Any, method: str, name: str) -> None:
    assert hostname(method) == name


def test_smart_prefers_the_hostname_to_localhost(machine: Any) -> None:
    machine(fqdn="localhost")
    assert hostname("smart") == "web1"
    assert hostname("fqdn_short") == "localhost"


@pytest.mark.parametrize("method", ["smart", "fqdn", "none", "uname_rev"])
def test_a_given_name_counts_as_it_stands(machine: Any, method: str) -> None:
    assert hostname(method, "my.own") == "my.own"


def test_a_shell_command_tells_the_name() -> None:
    assert hostname("shell", "printf 'a b\\n'") == "a b"
    with pytest.raises(ValueError, match="failed"):
        hostname("shell", "exit 3")
    with pytest.raises(ValueError, match="no usable name"):
        hostname("shell", "true")


def test_a_machine_without_a_name_is_an_error(machine: Any) -> None:
    machine(fqdn="", name="")
    with pytest.raises(ValueError, match="hostname_method smart gives no usable name"):
        hostname("smart")
