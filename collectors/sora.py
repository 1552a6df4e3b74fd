"""WebRTC SFU Sora, from its API, every five seconds.

    api_port = 3000
    api_loopback_address_only = true      (then the appliance has to run on the same host, or ask a proxy there)

Whatever the API answers is walked: names are paths in the JSON (`erlang_vm.memory.total`), of whichever year's Sora.
A name that begins with `total_`, or stands below one that does, counts; those that do so by name only, such as
total_ongoing_connections, are known. Numbers of Erlang's schedulers, which are lists, get _max, _min, _mean, _stddev
and _imbalance. An instance is Sora itself (''), a channel (its id), or a connection ('CHANNEL/CONNECTION_ID').
Of all connections there are sums by channel; of each its own series too, every minute, and not kept for long.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from collectors._sora import rows
from collectors._sora.api import OPERATIONS, Api, Tls, address, basic, header
from collectors._sora.connections import MOVED, Connections
from collectors._sora.documents import TABLE
from collectors._sora.exported import EXPORTS
from collectors._sora.graphs import LISTED, METRICS, of_host, of_instances
from collectors._sora.pieces import Turn
from collectors._sora.rows import Said
from collectors._sora.walk import Names
from monitor.collector import Bytes, Called, CollectError, Collector, Http, Seconds, Snmp, Target, option

SERIES = [
    *MOVED, "rtp.total_*_rtp", "rtp.total_*_rtp_byte_size", "*.total_*_rtcp_rtpfb_generic_nack",
    "*.total_*_rtcp_psfb_pli", "rtcp.total_*_rtcp_byte_size", "rtcp.total_generic_nack_cache_*",
    "network_status.unstable_level", "network_status.total_unstable_level[123]", "simulcast_auto.target_sender_count",
    "simulcast_auto.total_switched", "*loss*", "*lost*", "*jitter*", "*rtt*", "*round_trip*",
]  # fmt: skip


class SoraCollector(Collector):
    path = "sora"

    metricsets: list[str] = option(["stats", "connections"], "what to ask for: stats, connections, license, cluster")
    url: str = option("", "URL of the API, or HOST:PORT; by default port 3000 of the watched host")
    req_path: str = option("/", "path of the API, where the URL has none")
    headers: list[str] = option([], "more headers, each NAME: VALUE", secret=True)
    token: str = option("", "token for the header Authorization: Bearer TOKEN", secret=True)
    username: str = option("", "user for basic authentication")
    password: str = option("", "password of that user", secret=True)
    scope: Literal["local", "cluster"] = option("local", "connections of the node asked, or of its whole cluster")
    tls_verify: bool = option(True, "whether the certificate of an https URL is checked")
    tls_ca: Path | None = option(None, "file of the certificates to trust; by default the system's")
    tls_cert: Path | None = option(None, "file of the appliance's own certificate")
    tls_key: Path | None = option(None, "file of its key, where it is not in the same one")
    include: list[str] = option([], "patterns of the names to keep of stats, license and cluster; none: all")
    exclude: list[str] = option([], "patterns of names to leave out of them")
    connection_series: list[str] = option(SERIES, "patterns of the names to keep of each connection; none: no series")
    connection_interval: Seconds = option(Seconds(60), "how often each connection's own series are told", min=1)
    forget_connections: Seconds = option(Seconds(86400), "keep a connection's series so long after its end", min=60)
    most_connections: int = option(
        20_000, "keep series of at most so many connections of that time; of later ones there are only the sums", min=0
    )
    forget_channels: Seconds | None = option(None, "keep a channel's so long; by default as all others", min=60)
    interval: Seconds = option(Seconds(5), "seconds between two collections", min=1, max=86400)
    period: Seconds | None = option(None, "the interval, as Sorabeat calls it", min=1, max=86400)
    max_size: Bytes = option(Bytes(64 << 20), "refuse an answer larger than this")

    locals().update({re.sub(r"\W", "_", name): metric for name, metric in METRICS.items()})
    exports = EXPORTS
    graphs = of_host()
    instance_targets = of_instances()
    whole_targets = frozenset({"sora_connections"})
    thumbnails = ("sora_traffic", "sora_connections")
    called = Called("Channel", "Channels", "Connection", "Connections")
    columns = LISTED
    facts = ("client_id",)
    most_listed = 10

    def __init__(
        self, target: Target, http: Http, *, snmp: Snmp | None = None, section: str = "", **options: Any
    ) -> None:
        super().__init__(target, http, snmp=snmp, section=section, **options)
        if self.period is not None:
            self.interval = self.period

    @cached_property
    def names(self) -> Names:
        return Names(self.include, self.exclude)

    @cached_property
    def known(self) -> Connections:
        turns = max(1, round(self.connection_interval / self.interval)) if self.connection_series else 0
        return Connections(
            Names(self.connection_series), turns, most=self.most_connections,
            forget=math.ceil(self.forget_connections / self.interval),
        )  # fmt: skip

    @cached_property
    def api(self) -> Api:
        wrong = ", ".join(name for name in self.metricsets if name not in OPERATIONS)[:80]
        if wrong or not self.metricsets:
            raise CollectError(f"expected metricsets out of {', '.join(OPERATIONS)}, got {wrong or 'none'}")
        host = "127.0.0.1" if self.host.local else self.host.address
        headers = header(self.headers)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token.strip()}"
        elif self.username:
            headers["Authorization"] = basic(self.username, self.password)
        url = address(self.url, f"[{host}]" if ":" in host else host, self.req_path)
        return Api(url, headers, Tls(self.tls_verify, self.tls_ca, self.tls_cert, self.tls_key))

    async def collect(self) -> None:
        api = self.api
        asked = [name for name in OPERATIONS if name in self.metricsets]
        found = await asyncio.gather(*(self._read(api, name) for name in asked))
        failed: dict[str, list[str]] = {}
        for name, one in zip(asked, found, strict=True):
            if isinstance(one, str):
                failed.setdefault(one, []).append(name)
                self.record(TABLE + name, 0, b"", error=one, host=api.place)
        if sum(map(len, failed.values())) == len(asked):
            raise CollectError("; ".join(f"{reason} ({', '.join(names)})" for reason, names in failed.items()))
        turn = Turn()
        for row in (row for one in found if not isinstance(one, str) for row in one.rows):
            self._publish(row)
            await turn.pause()
        self.instance("")
        for reason, names in failed.items():
            for name in names:
                self.meta(f"no {name}", reason)

    async def _read(self, api: Api, name: str) -> Said | str:
        """Return what a metricset says, or why it says nothing; the others have their time all the same."""
        seconds = 0.9 * min(self.timeout or min(self.interval / 2, 20.0), 0.95 * self.interval)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(seconds):
                whole = name == "connections" and self.scope == "cluster"
                body = await api.ask(self.http, name, whole=whole)
                took = round(1e6 * (time.perf_counter() - began))
                if name == "connections":
                    said = await rows.connections(body, self.known, self.wanted(TABLE + name))
                else:
                    said = await {"stats": rows.stats, "license": rows.license, "cluster": rows.cluster}[name](
                        body, self.names
                    )
        except CollectError as error:
            return str(error)
        except TimeoutError:
            return f"{api.shown}: no answer within {seconds:g} s"
        if said.documents and self.wanted(TABLE + name):
            lines = await asyncio.to_thread(b"\n".join, said.documents)
            self.record(TABLE + name, len(said.documents), lines, rtt=took, host=api.place)
        return said

    def _publish(self, row: rows.Row) -> None:
        self.instance(row.instance)
        batch = self._batch()
        batch.values |= row.told.values
        batch.kinds |= row.told.kinds
        batch.meta |= row.told.texts
        if row.connection:
            batch.interval = self.known.turns * float(self.interval)
            self.forget_after(self.forget_connections)
        elif row.channel and self.forget_channels is not None:
            self.forget_after(self.forget_channels)
