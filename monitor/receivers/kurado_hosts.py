"""Whose numbers an agent may push: agents cannot say who they are, but for the address that they write themselves."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable

from monitor.inventory import Inventory
from monitor.settings import Kurado

REMEMBERED = 50_000
"""Addresses of which it is known what they stand for."""
DAY = 86400.0

Admitted = tuple[str, str]
"""A host, or '' and the word why there is none."""


class KuradoHosts:
    """Tells which host an address stands for.

    One of the inventory always stands for its host. `hosts = any` lets others in too, up to `max_hosts`, of which those
    that were silent for two days make room; `hosts = peer` lets in only what comes from the address itself.
    """

    def __init__(
        self, settings: Kurado, inventory: Callable[[], Inventory], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings = settings
        self._inventory = inventory
        self._clock = clock
        self._known: Inventory | None = None
        self._found: dict[bytes, Admitted] = {}
        self._others: set[str] = set()
        self._before: set[str] = set()
        self._day = clock()

    def admit(self, address: bytes, peer: str = "") -> Admitted:
        """Return the host, or why there is none: `address` is none, `host` is unknown, `peer` is another."""
        inventory = self._inventory()
        if inventory is not self._known or len(self._found) > REMEMBERED or self._clock() - self._day > DAY:
            self._forget(inventory)
        found = self._found.get(address)
        if found is None:
            found = self._found[address] = self._look_up(address, inventory)
        if found[0] and self.settings.hosts == "peer" and canonical(address.decode()) != peer:
            return "", "peer"
        return found

    def _forget(self, inventory: Inventory) -> None:
        if self._clock() - self._day > DAY:
            self._day = self._clock()
            self._before, self._others = self._others, set()
        self._known = inventory
        self._found.clear()

    def _look_up(self, address: bytes, inventory: Inventory) -> Admitted:
        text = address.decode("ascii", "replace")
        plain = canonical(text)
        if not plain:
            return "", "address"
        spec = inventory.find(text) or inventory.find(plain)
        if spec is not None:
            return spec.host, ""
        if self.settings.hosts == "known":
            return "", "host"
        if plain not in self._others | self._before and len(self._others | self._before) >= self.settings.max_hosts:
            return "", "hosts"
        self._others.add(plain)
        return text, ""


def canonical(text: str) -> str:
    """Return an IP address as it is written usually, one of IPv4 within IPv6 as the former; '' when it is none."""
    if "%" in text:
        return ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)
