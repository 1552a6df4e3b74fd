"""Everything that a collector needs, on one page.

    class NginxCollector(Collector):
        path = "nginx"
        req_port: int = option(8080, "port of the status page", min=1, max=65535)

        requests = Counter("requests/s", "client requests", name="req_handled")
        graphs = (Graph("requests", "Requests", Line(requests), unit="requests/s"),)

        async def collect(self) -> None:
            page = await self.http.text(f"http://{self.host.address}:{self.req_port}/nginx_status")
            self.publish(self.requests, parse(page)["requests"])

What the runner promises: one collection of an instance runs at a time; it is cancelled when `timeout` is over; what it
published becomes one batch per instance, all or nothing: an exception discards it, and its text is shown to the
operator. What `collect` publishes is stamped with the time at which it began (with `align`, with the boundary).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext
from time import perf_counter
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from monitor import published
from monitor.batch import FORGET_AFTER, Batch, Kind, Records, Source
from monitor.exported import Clock, Exported, Exports, Info, Up
from monitor.graph.expr import Expr, expr
from monitor.graph.model import Area, Graph, Item, Line, Stack
from monitor.graph.straight import Straight
from monitor.metric import Counter, Gauge, Metric, WrappingCounter
from monitor.options import Bytes, Seconds, option, set_options
from monitor.published import UNITS

__all__ = [
    "UNITS",
    "Area",
    "Bytes",
    "Called",
    "Clock",
    "CollectError",
    "Collector",
    "Counter",
    "Exported",
    "Exports",
    "Expr",
    "Gauge",
    "Graph",
    "Http",
    "Info",
    "Item",
    "Kind",
    "Line",
    "Metric",
    "Response",
    "Seconds",
    "Snmp",
    "SnmpAgent",
    "SnmpValue",
    "Stack",
    "Straight",
    "Target",
    "Up",
    "WrappingCounter",
    "expr",
    "option",
]


class CollectError(Exception):
    """The service did not give what was expected; the text is what the operator reads. Raise it freely."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Http(Protocol):
    """The shared HTTP client: connections are kept, time and size are bounded by the collector's own options."""

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """Return the answer whatever its status; CollectError when there is none, or it is too large."""

    async def text(self, url: str, *, headers: Mapping[str, str] | None = None) -> str:
        """Return the body of a 200 answer; CollectError otherwise."""

    async def post(
        self, url: str, body: bytes, *, headers: Mapping[str, str] | None = None, tls: SSLContext | None = None
    ) -> Response:
        """Send a body; else as `get`. `tls` is how an https address is met, where that is not the usual way."""


SnmpValue = int | float | str | bytes | None
"""Octet strings are bytes, object identifiers and addresses text; None is what the agent does not have."""


@dataclass(frozen=True, slots=True)
class SnmpAgent:
    """Where an SNMP agent is and how it is asked. It is asked `retries` times more when it does not answer in time."""

    host: str
    port: int = 161
    community: str = field(default="public", repr=False)
    version: Literal["1", "2c"] = "2c"
    wait: float = 2.0
    retries: int = 2


class Snmp(Protocol):
    """The shared SNMP client: time is bounded by the collector's own option. OIDs are dotted numbers.

    When there is no answer, or one with an error status, that is a CollectError.
    """

    async def get(self, agent: SnmpAgent, oids: Sequence[str]) -> dict[str, SnmpValue]:
        """Return the values by OID, as asked; as many requests are made as are needed."""

    async def next(self, agent: SnmpAgent, oid: str) -> tuple[str, SnmpValue] | None:
        """Return the first OID after this one, and its value; None when there is none."""

    async def walk(self, agent: SnmpAgent, root: str, *, limit: int | None = None) -> dict[str, SnmpValue]:
        """Return all values below an OID, in the agent's order; CollectError when there are more than `limit`."""


@dataclass(frozen=True, slots=True)
class Target:
    """The host that a collector watches: its identity, where to reach it and the name that people know it by."""

    host: str
    address: str
    hostname: str
    local: bool = False


class Called(NamedTuple):
    """Words for an instance and one that is part of it, each for one and for several; English, as pages' titles."""

    instance: str
    instances: str
    part: str
    parts: str


class Collector:
    """Reads one kind of service. Annotated fields are options; declared metrics and graphs are class attributes."""

    path: ClassVar[str]
    """Diamond's path word, which is the collector's word in sources, series keys and Graphite paths."""
    local: ClassVar[bool] = False
    """Reads this machine itself (/proc): on for the own host unless `enabled = False`, and for no other."""
    needs_enabling: ClassVar[bool] = False
    """A local one that is off until `enabled = True`."""
    metric_path: ClassVar[str | None] = None
    """The collector's part of Diamond's metric path where that is not its path word; '' for none."""
    plugin_arguments: ClassVar[Mapping[str, str] | None] = None
    """Options that the arguments of Kurado's plugin called `path` stand for, in their order, with its defaults.

    None where this class stands in for no such plugin.
    """
    nested: ClassVar[str] = ""
    """Diamond's sub-section whose own sub-sections are what second sections are here: [process] [[postgres]]."""
    listed: ClassVar[Mapping[str, str]] = {}
    """Options that are lists here, by the beginning of the names of Diamond's: target_1, target_2."""
    pushed: ClassVar[bool] = False
    """Nothing is collected: the class only declares what is pushed under its path word."""
    may_be_silent: ClassVar[bool] = False
    """What is pushed may end at any time: a host that pushes it no more is shown silent, and does not fail by that."""
    graphs: ClassVar[tuple[Graph, ...]] = ()
    """What the host's page and /graph show."""
    groups: ClassVar[Mapping[str, str]] = {}
    """Titles of the groups that some of the `graphs` stand in, by graph; `*` is the device."""
    targets: ClassVar[Mapping[str, Graph]] = {}
    """What /graph_global?target= draws: of several hosts together, after their series are summed by name."""
    instance_targets: ClassVar[Mapping[str, Mapping[str, Graph]]] = {}
    """What /graph_vhost?target=&protocol= draws of an instance, by target and protocol.

    Of several instances together it is drawn after their series are summed by name: a ratio or a mean has to be an
    expression over series that can be summed. An instance that is part of another says so in its meta: `vhost` and
    `channel`, which together are its name.
    """
    target_aliases: ClassVar[Mapping[str, str]] = {}
    """Other names of targets: TARGET, or TARGET/PROTOCOL for one whose name says the protocol. Real names go first."""
    whole_targets: ClassVar[frozenset[str]] = frozenset()
    """Those of the `instance_targets` that an instance which is part of another (a channel) does not have."""
    mean_targets: ClassVar[frozenset[str]] = frozenset()
    """Those of the `targets` whose series are averaged over several hosts instead of added up, such as percentages."""
    thumbnails: ClassVar[tuple[str, ...]] = ()
    """Those of the `instance_targets` that a list of instances shows small; the first one where none is named."""

    called: ClassVar[Called] = Called("Virtual host", "Virtual hosts", "Channel", "Channels")
    """What pages call an instance and those that are part of it."""
    columns: ClassVar[tuple[Metric, ...]] = ()
    """The series of instances whose newest values a list of them shows; the first is what it is sorted by."""
    facts: ClassVar[tuple[str, ...]] = ()
    """Meta of instances that a list of them shows."""
    most_listed: ClassVar[int] = 500
    """Of so many instances the host's page tells; the others are on a page of their own."""

    exports: ClassVar[Exports] = Exports()
    """How series are called in /metrics/collected."""

    enabled: bool = option(False, "whether it runs on the appliance's own host")
    interval: Seconds = option(Seconds(60), "seconds between two collections", min=1, max=86400)
    timeout: Seconds | None = option(
        None, "give up after this long; below the interval, by default half of it, at most 20 s"
    )
    align: bool = option(False, "poll just after the interval's boundary and stamp the boundary")
    max_delay: Seconds | None = option(None, "spread the collections over this long; by default the whole interval")
    max_size: Bytes = option(Bytes(4 << 20), "refuse an answer larger than this")
    path_prefix: str = option("servers", "first part of Diamond's metric path")
    path_suffix: str = option("", "part after the hostname in Diamond's metric path")
    instance_prefix: str = option("instances", "first part of Diamond's metric path of an instance")
    metrics_whitelist: list[str] = option([], "regular expressions of names; others are not published")
    metrics_blacklist: list[str] = option([], "regular expressions of names that are not published")
    measure_collector_time: bool = option(False, "publish how long a collection took, as collector_time_ms")
    proc: Path = option(Path("/proc"), "root of the proc file system, for a container that mounts the host's")

    def __init__(
        self, target: Target, http: Http, *, snmp: Snmp | None = None, section: str = "", **options: Any
    ) -> None:
        """Make an instance; `section` is the second word of its section's name (`[[NginxCollector second]]`)."""
        self.host = target
        self.http = http
        self._snmp = snmp
        self.section = section
        set_options(self, options)
        self.recording: tuple[str, ...] = ()
        """Beginnings of the tables whose records somebody wants; the runner keeps it up to date."""
        self._instances: dict[str, Batch] = {}
        self._current = section
        self._records: list[Records] = []
        self._time = 0.0

    async def collect(self) -> None:
        """Read the service once and publish what it says."""
        raise NotImplementedError(f"{type(self).__name__} has no collect()")

    @property
    def snmp(self) -> Snmp:
        assert self._snmp is not None, "made without an SNMP client"
        return self._snmp

    @snmp.setter
    def snmp(self, client: Snmp) -> None:
        self._snmp = client

    def publish(self, metric: Metric | str, value: float | None) -> None:
        """Publish a value under a declared metric, or a gauge under a name known only at run time. None is unknown."""
        if isinstance(metric, str):
            self._put(metric, value, Kind.GAUGE)
        else:
            self._put(metric.name, value, metric.kind)
            if metric.limits != metric.usual:
                self._batch().limits[metric.name] = metric.limits

    def publish_gauge(self, name: str, value: float | None) -> None:
        self._put(name, value, Kind.GAUGE)

    def publish_counter(self, name: str, value: float | None) -> None:
        """Publish a count as it stands; the appliance makes the rate per second of it."""
        self._put(name, value, Kind.DERIVE)

    def publish_all(self, values: Mapping[str, float]) -> None:
        """Publish many gauges by name at once; NaN is unknown. Limits of metrics are the caller's to keep."""
        self._batch().values.update(values)

    def publish_units(self, units: Sequence[str]) -> None:
        """Publish what was published in bytes in these units of Diamond too, under their names."""
        for _, message in published.wrong({"byte_unit": units}):
            raise CollectError(f"byte_unit: {message}")
        for batch in self._instances.values():
            published.convert(batch, published.words(units))

    def meta(self, name: str, text: str) -> None:
        """Tell a text fact of the source, such as its version."""
        self._batch().meta[name] = text

    def forget_after(self, seconds: float) -> None:
        """Have the source and its history go so long after it was last published, instead of keeping them."""
        self.meta(FORGET_AFTER, str(round(seconds)))

    def wanted(self, table: str) -> bool:
        """Return whether any handler takes records of this table; they need not be made for nobody."""
        return table.startswith(self.recording)

    def record(self, table: str, count: int, body: bytes, **head: Any) -> None:
        """Hand on rows that are no series (`monitor.batch.Records`). They go their way even when `collect` fails."""
        if self.wanted(table):
            source = Source(self.host.host, self.path, self.section)
            self._records.append(Records(table, source, self._time, count, body, head))

    def recorded(self) -> list[Records]:
        """Return the records of the last collection, once. The runner calls it."""
        found, self._records = self._records, []
        return found

    def instance(self, name: str) -> None:
        """What is published from here on belongs to this instance of the source; '' is the service itself."""
        self._current = "/".join(filter(None, (self.section, name)))

    def _batch(self) -> Batch:
        batch = self._instances.get(self._current)
        if batch is None:
            source = Source(self.host.host, self.path, self._current)
            batch = self._instances[self._current] = Batch(source, 0.0, {}, {}, {}, float(self.interval), {})
        return batch

    def _put(self, name: str, value: float | None, kind: Kind) -> None:
        batch = self._batch()
        batch.values[name] = float("nan") if value is None else value
        batch.kinds[name] = kind

    async def run(self, time: float) -> list[Batch]:
        """Collect once and return the batches, stamped `time`. The runner calls it."""
        self._instances, self._current, self._records, self._time = {}, self.section, [], time
        began = perf_counter()
        await self.collect()
        if self.measure_collector_time and any(batch.values for batch in self._instances.values()):
            self._current = self.section
            self._put(published.TIME, round((perf_counter() - began) * 1000, 3), Kind.GAUGE)
        batches = published.select(self._instances.values(), self.metrics_whitelist, self.metrics_blacklist)
        if self._instances and not batches:
            raise CollectError("published nothing that metrics_whitelist and metrics_blacklist let through")
        for batch in batches:
            batch.time = time
        return batches
