"""STON Media Server and STON Edge Server, from their statistics (`/monitoring/average`), every five minutes.

    <Manager Port="20040"><Allow Role="User">the appliance's address</Allow></Manager>
    <SNMP Port="161" Status="Active"><Allow>the appliance's address</Allow></SNMP>     (only for use_snmp)

An instance is the server itself (''), a virtual host (its name) or a channel (both names: 'www.example.com/bar/live').
The tables below are the mapping: D are fields as documented, I what is inferred. {X} is the protocol, {S} the side.
Where a count has a Sum, Sum / 300 is taken, as the mean is a whole number. Sessions and rates of 'all' and of the whole
server are those that STON tells; what it does not tell of them is the sum over protocols and virtual hosts. Ratios and
mean times are drawn from series that can be summed: hits and lookups, seconds and responses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from collectors._ston import hwinfo, rows
from collectors._ston.columns import Plans
from collectors._ston.field import CODES, METHODS, SIZES, Field, How, both, gauges
from collectors._ston.graphs import ALIASES, by_target, of_host, of_instances
from collectors._ston.manager import FORMS, PORTS, first, get
from collectors._ston.pieces import read
from collectors._ston.recipes import Recipes, Tables
from collectors._ston.snmp import Agent
from monitor.collector import Bytes, CollectError, Collector, Seconds, SnmpAgent, option

D, I, LOAD, MEMORY, MS = True, False, 100, 1 / 1024, 1e5  # noqa: E741

SERVER = (  # of Host.System
    Field("cpu.kernel", "percent", "in the kernel", "CPU.Kernel", D, over=100, max=6400),  # cpu: both lines
    Field("cpu.user", "percent", "running programs", "CPU.User", D, over=100, max=6400),  # cpu: main
    Field("cpu.idle", "percent", "nothing to do", "CPU.Idle", D, over=100, max=6400),
    Field("cpu.proc_kernel", "percent", "STON in the kernel", "CPU.ProcKernel", D, over=100, max=6400),
    Field("cpu.proc_user", "percent", "STON itself", "CPU.ProcUser", D, over=100, max=6400),  # the same: main
    Field("cpu.nice", "percent", "running programs of low priority", "CPU.Nice", D, over=100, max=6400),
    Field("cpu.iowait", "percent", "waiting for disks", "CPU.IOWait", D, over=100, max=6400),  # iowait
    Field("cpu.irq", "percent", "serving interrupts", "CPU.IRQ", D, over=100, max=6400),
    Field("cpu.softirq", "percent", "serving soft interrupts", "CPU.SoftIRQ", D, over=100, max=6400),
    Field("cpu.steal", "percent", "taken by the hypervisor", "CPU.Steal", D, over=100, max=6400),
    Field("memory.total", "bytes", "of the machine; Media: of hwinfo", "Mem.Total", I, over=MEMORY),  # memory: main
    Field("memory.free", "bytes", "free of the machine", "Mem.Free", I, over=MEMORY),  # memory: main, less this
    Field("memory.ston", "bytes", "used by STON", "Mem.STON", I, over=MEMORY),  # memory: sub
    Field("load.1", "processes", "load average of 1 minute", "SystemLoadAverage.Min1", I, over=LOAD),
    Field("load.5", "processes", "load average of 5 minutes", "SystemLoadAverage.Min5", I, over=LOAD),  # loadavg
    Field("load.15", "processes", "load average of 15 minutes", "SystemLoadAverage.Min15", I, over=LOAD),
    Field("ssocket.total", "sockets", "of clients", "ServerSocket.Total", D),  # ssockusage
    Field("ssocket.established", "sockets", "of clients, established", "ServerSocket.Established", D),  # ssockusage
    Field("ssocket.accepted", "sockets", "of clients, new", "ServerSocket.Accepted", D),  # ssockevent
    Field("ssocket.closed", "sockets", "of clients, ended", "ServerSocket.Closed", D),  # ssockevent
    Field("csocket.total", "sockets", "to origins", "ClientSocket.Total", D),  # csockusage
    Field("csocket.established", "sockets", "to origins, established", "ClientSocket.Established", D),  # csockusage
    Field("csocket.connected", "sockets", "to origins, new", "ClientSocket.Connected", D),  # csockevent
    Field("csocket.closed", "sockets", "to origins, ended", "ClientSocket.Closed", D),  # csockevent
    Field("tcp.alloc", "sockets", "that have memory", "TCPSocket.Alloc", D),  # tcpsocket
    Field("tcp.established", "sockets", "in use", "TCPSocket.Established", D),  # tcpsocket
    Field("tcp.timewait", "sockets", "waiting after their end", "TCPSocket.Timewait", D),  # tcpsocket
    Field("tcp.orphan", "sockets", "without a process", "TCPSocket.Orphan", D),  # tcpsocket
    Field("tcp.mem", "pages", "memory of sockets", "TCPSocket.Mem", I),  # tcpsocket
    Field("acl.allowed", "sockets", "admitted by the list of addresses", "ServiceAccess.Allow", D),
    Field("acl.denied", "sockets", "refused by the list of addresses", "ServiceAccess.Deny", D),  # acldenied
    Field("eq", "events", "waiting to be handled", "EQ", D),  # eq
    Field("rq", "objects", "in the queue of recent references", "RQ", D),
    Field("wf2w", "files", "waiting to be written", "WaitingFiles2Write", D),  # wf2w
    Field("urlrewrite", "URLs", "rewritten", "URLRewrite", D),
)
HOST = (Field("uptime", "seconds", "since the start of the server or virtual host", "Uptime", D),)
VHOST = (
    Field("memory", "bytes", "contents in memory", "Memory", D),  # mem
    *(Field(f"files.{size}", "files", f"under {size}, not under half of it", f"Disk.Distribution.U{size.upper()}", D)
      for size in SIZES),
    Field("files.over_16g", "files", "of 16 GiB and more", "Disk.Distribution.O16G", D),  # filecount
)  # fmt: skip

# Of virtual hosts and channels, for either side and each protocol; all.* as above.
SESSIONS = tuple(both((
    Field("*.session", "sessions", "connected", "{X}{S}Session", D),  # {S}_session
    Field("*.session_active", "sessions", "transferring", "{X}{S}ActiveSession", D),  # {S}_session
    Field("*.inbound", "bytes/s", "received", "{X}{S}Inbound", D),  # {S}_traffic; of origins: hitratio
    Field("*.outbound", "bytes/s", "sent", "{X}{S}Outbound", D),  # {S}_traffic; of clients: hitratio
)))  # fmt: skip
TOTAL = "{S}Traffics.{X}.Response.ResTotal."
TRAFFIC = tuple(both((  # http, hls, mpegdash; Edge: as http, from {S}Traffic.Traffic[] and {S}Traffic
    Field("*.requests", "requests/s", "requests", "{S}Traffics.{X}.ReqCount", I, How.RATE),  # {S}_res: sub
    Field("*.responses", "responses/s", "begun; rtmp: all calls below", TOTAL + "Count", I, How.RATE),  # {S}_res
    Field("*.completed", "responses/s", "sent to their end", TOTAL + "Completed", I, How.RATE),  # {S}_res_complete
    Field("*.response_seconds", "s/s", "until responses", TOTAL + "TimeRes", I, How.TIME, TOTAL + "Count", MS),
    Field("*.complete_seconds", "s/s", "until ends", TOTAL + "TimeComplete", I, How.TIME, TOTAL + "Completed", MS),
    *(Field(f"*.{code}", "responses/s", f"with status {code}", TOTAL.replace("Total", code) + "Count", I, How.RATE)
      for code in ("2xx", "3xx", "4xx", "5xx")),
    Field("all.web_requests", "requests/s", "requests of protocols that tell completion", "", I, How.RATE),
)))  # fmt: skip
HITS = (
    *(Field(f"*.client.hit.{code}", "requests/s", f"with TCP_{code.upper()}",
            f"ClientTraffics.{{X}}.RequestHit.TCP_{code.upper()}", D, How.RATE) for code in CODES),
    Field("*.client.hits", "requests/s", "answered by what was there: all that ends in _HIT, and HIT", "", D, How.RATE),
    Field("*.client.lookups", "requests/s", "all codes together", "", D, How.RATE),
)  # fmt: skip
CALLS = tuple(both(  # Success + Fail, and their TimeRes; of origins taken as of clients, as it is not documented
    Field(f"rtmp.{name}", "calls/s", f"calls of {path}", f"{{S}}Traffics.Rtmp.{path}", I, How.RATE, over=MS)
    for name, path in METHODS.items()
))  # fmt: skip
TABLES = Tables(SERVER, (*HOST, *VHOST), SESSIONS, TRAFFIC, HITS, CALLS)
METRICS = gauges(SERVER, HOST, VHOST, SESSIONS, TRAFFIC, HITS, CALLS)


class STONCollector(Collector):
    path = "ston"

    server: Literal["media", "edge"] = option("media", "kind of server, which gives the port: 20040 or 10040")
    req_host: str = option("", "host to ask; by default the watched host's address")
    req_port: int | None = option(None, "port of the manager, where it is not the usual one", min=1, max=65535)
    statistics: Literal["average", "realtime"] = option("average", "means of five minutes, or the previous second")
    format: Literal["auto", "json", "xml"] = option("auto", "what to ask for; auto: XML where the JSON cannot be read")
    memory_unit: Literal["KB", "bytes"] = option("KB", "unit of the server's Mem fields")
    load_scale: float = option(100.0, "what a load average of 1 is told as", min=0.001)
    time_unit: Literal["0.01ms", "ms"] = option("0.01ms", "unit of TimeRes and TimeComplete")
    removed_vhosts: Literal["keep", "delete"] = option("keep", "what becomes of the history of virtual hosts gone")
    use_snmp: Literal["no", "memory", "only"] = option("no", "memory: the machine's memory by SNMP; only: everything")
    snmp_port: int = option(161, "port of STON's SNMP agent", min=1, max=65535)
    snmp_community: str = option("public", "community of SNMP v2c", secret=True)
    interval: Seconds = option(Seconds(300), "seconds between two collections", min=1, max=86400)
    align: bool = option(True, "poll just after the interval's boundary and stamp the boundary")
    max_size: Bytes = option(Bytes(16 << 20), "refuse an answer larger than this")

    locals().update({name.replace("*", "each").replace(".", "_"): metric for name, metric in METRICS.items()})
    graphs = of_host(METRICS, SIZES, CODES)
    targets = by_target(METRICS)
    instance_targets = of_instances(METRICS, SIZES)
    target_aliases = ALIASES
    whole_targets = frozenset({"filecount", "mem"})
    mean_targets = frozenset({"cpu", "ston_media_server_cpu", "iowait"})
    thumbnails = ("client_traffic", "client_session", "hitratio")

    _total: float | None = None
    _uptime = 0.0

    @cached_property
    def plans(self) -> tuple[Plans, Plans]:
        """What to read of the server itself, and of virtual hosts and channels, in the units of this server."""
        by_snmp, told = ("KB", 100.0, "0.01ms"), (self.memory_unit, self.load_scale, self.time_unit)
        unit, load, time = by_snmp if self.use_snmp == "only" else told
        scales = {"memory.": MEMORY if unit == "KB" else 1.0, "load.": load}
        tables = TABLES.scaled(scales, MS if time == "0.01ms" else 1e3)
        recipes = Recipes(tables, summed=self.statistics == "average")
        return Plans(recipes.of_server), Plans(recipes.of_instance)

    async def collect(self) -> None:
        host, vhosts = await self._statistics()
        itself = rows.server(host, self.plans[0])
        whole: dict[str, float] = {}
        async for one in rows.told([row for some in vhosts for row in some], whole):
            self._publish(one)
        values = {**whole, "uptime": math.nan, **itself.values}
        if values["uptime"] < self._uptime:
            self._total = None  # the machine may be another one since the restart
        self._uptime = values["uptime"]
        if math.isnan(values.get("memory.total", math.nan)):
            values["memory.total"] = await self._memory(itself.meta)
        self._publish(itself._replace(values=values))

    def _publish(self, one: rows.Told) -> None:
        self.instance(one.name)
        self.publish_all(one.values)
        for fact, text in one.meta.items():
            self.meta(fact, text)
        if one.name and self.removed_vhosts == "delete":
            self.forget_after(2 * self.interval)

    async def _statistics(self) -> tuple[Mapping[str, Any], list[list[rows.Row]]]:
        """Return Host, and the rows of each virtual host, of the first form of the statistics that can be read."""
        if self.use_snmp == "only":
            return await self._agent.read(lambda vhost: rows.rows(vhost, self.plans[1]))
        pages = [f"{self.statistics}?type={form}" for form in FORMS[self.format]]
        return await first(pages, self._get, lambda body: read(body, lambda vhost: rows.rows(vhost, self.plans[1])))

    async def _memory(self, meta: dict[str, str]) -> float:
        """Return the bytes of the machine's memory, which a Media Server tells apart from its statistics."""
        try:
            if self.use_snmp == "memory":
                return await self._agent.memory()
            if self.use_snmp == "no" and self._total is None:
                self._total = hwinfo.memory(await self._get("hwinfo"))
        except CollectError as error:
            meta["memory"] = f"its size is not known: {error}"
        return math.nan if self._total is None else self._total

    @property
    def _asked(self) -> str:
        return self.req_host or ("localhost" if self.host.local else self.host.address)

    @property
    def _agent(self) -> Agent:
        place = SnmpAgent(self._asked, self.snmp_port, self.snmp_community)
        return Agent(self.snmp, place, self.server, 5 if self.statistics == "average" else 0)

    async def _get(self, what: str) -> bytes:
        return await get(self.http, self._asked, self.req_port or PORTS[self.server], what)
