"""[receivers] [[rels]]: where WCS servers write their events, who may, and how much of it is taken."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Literal

from monitor.options import Bytes, Seconds, option
from monitor.settings import Address, Network, Settings

EVERY = "every"
NONE = "none"
TABLES = frozenset({
    "ConnectionEvent", "StreamEvent", "CDNEvent", "MediaSessionEvents", "HlsStreamEvents", "HlsSegmenterEvents",
    "HlsClientEvents", "MixerEvent",
})  # fmt: skip

KEPT = re.compile(r"(?:(\w+)\s*=\s*)?(\d{1,5})\s*([hdw])", re.ASCII)
UNITS = {"h": 3600.0, "d": 86400.0, "w": 604800.0}


class RelsUser(Settings):
    """[[[users]]] [[[[NAME]]]]: one more user of RELS."""

    password: str = option("", "password of the user", secret=True)
    insert: list[str] = option([EVERY], "tables that the user may write to: names, every or none")
    read: bool = option(True, "whether the user may read: all tables, or none")

    def check(self) -> Iterator[tuple[str, str]]:
        if not self.password:
            yield "", "a user needs password or password_file"
        for name in self.insert:
            if name not in TABLES and self.insert not in ([EVERY], [NONE]):
                yield (
                    "insert",
                    f"expected {EVERY}, {NONE} or tables among {', '.join(sorted(TABLES))}, got {name[:80]!r}",
                )

    def may_insert(self, table: str) -> bool:
        return self.insert == [EVERY] or table in self.insert


class Rels(Settings):
    """[receivers] [[rels]]: ClickHouse's HTTP interface for the events of WCS servers."""

    listen: str = option("", "address and port that WCS servers write to, such as 0.0.0.0:8123; empty: nowhere")
    allow: list[str] = option(["127.0.0.0/8", "::1/128"], "networks that may connect")
    user: str = option("wcs", "user= of rels_database_address")
    password: str = option("", "password= of rels_database_address", secret=True)
    deduplicate: Literal["query_id", "digest", "no"] = option(
        "query_id", "know a batch that is sent again by its query_id, by its contents, or not at all"
    )
    keep: list[str] = option(["30d"], "for how long events are kept; TABLE=7d for single tables")
    unknown_tables: Literal["refuse", "create"] = option(
        "refuse", "what becomes of rows for a table that is none of WCS's, and of its CREATE TABLE"
    )
    window: Seconds = option(Seconds(900), "for how long a batch is known", min=1, max=86400)
    max_body: Bytes = option(Bytes(64 << 20), "refuse larger requests, compressed or not", min=64 << 10, max=1 << 30)
    max_rows: int = option(1_000_000, "rows of an INSERT", min=1, max=100_000_000)
    max_columns: int = option(1000, "columns of an INSERT", min=50, max=10_000)
    max_result_rows: int = option(100_000, "rows of an answer", min=1, max=10_000_000)
    max_waiting: Bytes = option(Bytes(256 << 20), "refuse requests as busy when more than this waits", min=1 << 20)
    connections: int = option(10_000, "connections at the same time", min=1, max=100_000)
    idle: Seconds = option(Seconds(300), "end connections that are silent for longer", min=75, max=86400)
    timeout: Seconds = option(Seconds(60), "a request must have come whole within this time", min=1, max=3600)

    def __init__(self, values: Mapping[str, Any], origins: Mapping[str, str] | None = None) -> None:
        super().__init__(values, origins)
        self.others: Mapping[str, RelsUser] = {}

    def check(self) -> Iterator[tuple[str, str]]:
        try:
            open_to_others = bool(self.listen) and not Address.parse(self.listen).loopback
        except ValueError as error:
            yield "listen", str(error)
            open_to_others = False
        if open_to_others and not self.password:
            yield "password", f"{self.listen} is open to other machines: give password or password_file"
        if not self.user:
            yield "user", "expected the name of a user"
        for key, read in (("allow", self._networks), ("keep", self._kept)):
            try:
                read()
            except ValueError as error:
                yield key, str(error)

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        return self._networks()

    def _networks(self) -> tuple[Network, ...]:
        try:
            return tuple(ipaddress.ip_network(text) for text in self.allow)
        except ValueError as error:
            raise ValueError(f"expected networks such as 10.0.0.0/8: {error}") from None

    @cached_property
    def kept(self) -> Mapping[str, float]:
        """How long events are kept: by table, and under '' all others."""
        return self._kept()

    def _kept(self) -> dict[str, float]:
        found = {"": 30 * UNITS["d"]}
        for text in self.keep:
            match = KEPT.fullmatch(text.strip())
            if match is None or not int(match[2]):
                raise ValueError(f"expected a time such as 30d, or TABLE=7d, got {text[:80]!r}")
            if match[1] and match[1] not in TABLES:
                raise ValueError(f"expected a table among {', '.join(sorted(TABLES))}, got {match[1][:80]!r}")
            found[match[1] or ""] = int(match[2]) * UNITS[match[3]]
        return found

    @cached_property
    def users(self) -> Mapping[str, RelsUser]:
        """The users by name, the one of `user` and `password` among them."""
        return {self.user: RelsUser({"password": self.password}), **self.others}
