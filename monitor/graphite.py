"""[receivers] [[graphite]]: where Graphite's clients send lines and pickles, and whose numbers their paths name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from monitor.batch import Limits
from monitor.options import Bytes, Seconds, option
from monitor.settings import Address, Network, Settings, limits_of, networks_of
from monitor.wire.paths import Paths


class Graphite(Settings):
    """[receivers] [[graphite]]: what sends to a carbon-cache: Diamond, collectd, StatsD, Telegraf."""

    listen: str = option("", "address and port of lines over TCP, such as 0.0.0.0:2003; empty: nowhere")
    udp: str = option("", "address and port of lines over UDP, such as 0.0.0.0:2003; empty: nowhere")
    pickle: str = option("", "address and port of carbon's pickles, such as 0.0.0.0:2004; empty: nowhere")
    allow: list[str] = option(["127.0.0.0/8", "::1/128"], "networks that may connect or send")
    pattern: list[str] = option(
        ["servers.{host}.{collector}.{name}"],
        "paths that are taken; words are {host}, {collector}, {instance}, {_} for any, {name} at the end for all the"
        " rest; behind a pattern may stand host=NAME, collector=NAME, instance=NAME",
    )
    interval: Seconds = option(Seconds(60), "how often clients send, until their stamps show another", min=1, max=86400)
    past: Seconds = option(Seconds(86400), "refuse lines that are older", min=1)
    ahead: Seconds = option(Seconds(600), "refuse lines that are further in the future", min=0)
    limits: list[str] = option([], "PATTERN MIN MAX of believable values of COLLECTOR.NAME, U is none: cpu.* 0 100")
    max_line: Bytes = option(Bytes(8192), "refuse longer lines", min=64, max=1 << 20)
    max_names: int = option(4096, "names of one source at a time, and new ones of it in a minute", min=1, max=4096)
    max_paths: int = option(1_000_000, "paths that are remembered, about 300 bytes each", min=1000, max=20_000_000)
    connections: int = option(10_000, "connections at the same time", min=1, max=100_000)
    max_waiting: Bytes = option(
        Bytes(64 << 20), "read no more from connections, and drop what comes over UDP, when more waits", min=1 << 20
    )
    idle: Seconds = option(Seconds(900), "end connections that are silent for longer", min=10)
    window: Seconds = option(Seconds(0.5), "lines that come within this time are one commit", min=0, max=5)

    def check(self) -> Iterator[tuple[str, str]]:
        for key in ("listen", "udp", "pickle"):
            try:
                if address := getattr(self, key):
                    Address.parse(address)
            except ValueError as error:
                yield key, str(error)
        for key, read in (("allow", self._networks), ("limits", self._rules), ("pattern", self._paths)):
            try:
                read()
            except ValueError as error:
                yield key, str(error)

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        return self._networks()

    @cached_property
    def rules(self) -> tuple[tuple[str, Limits], ...]:
        return self._rules()

    @cached_property
    def paths(self) -> Paths:
        return self._paths()

    def _networks(self) -> tuple[Network, ...]:
        return networks_of(self.allow)

    def _rules(self) -> tuple[tuple[str, Limits], ...]:
        return limits_of(self.limits)

    def _paths(self) -> Paths:
        return Paths(self.pattern)
