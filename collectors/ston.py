"""STON Media Server and STON Edge Server, from their statistics (`/monitoring/average`), every five minutes.

    <Manager Port="20040"><Allow Role="User">the appliance's address</Allow></Manager>

An instance is the server itself (''), a virtual host (its name) or a channel (both names: 'www.example.com/bar/live').
The tables below are the mapping: D are fields as documented, I what is inferred. {X} is the protocol, {S} the side.
Where a count has a Sum, Sum / 300 is taken, as the mean is a whole number. Sessions and rates of 'all' and of the whole
server are those that STON tells; what it does not tell of them is the sum over protocols and virtual hosts. Ratios and
mean times are drawn from series that can be summed: hits and lookups, seconds and responses.
"""

from __future__ import annotations

from typing import Literal

from collectors._ston.field import Field, How, both, gauges
from collectors._ston.graphs import by_target, of_host, of_instances
from monitor.collector import CollectError, Collector, Seconds, option

D, I = True, False  # noqa: E741
PERCENT, LOAD, MEMORY, MS = 0.01, 0.01, 1024.0, 1e-5

SERVER = (  # of Host.System
    Field("cpu.kernel", "percent", "all processors, in the kernel", "CPU.Kernel", D, scale=PERCENT, max=6400),
    Field("cpu.user", "percent", "all processors, running programs", "CPU.User", D, scale=PERCENT, max=6400),
    Field("cpu.idle", "percent", "all processors, nothing to do", "CPU.Idle", D, scale=PERCENT, max=6400),
    Field("cpu.proc_kernel", "percent", "STON, in the kernel", "CPU.ProcKernel", D, scale=PERCENT, max=6400),
    Field("cpu.proc_user", "percent", "STON, outside of the kernel", "CPU.ProcUser", D, scale=PERCENT, max=6400),
    Field("cpu.nice", "percent", "running programs of low priority", "CPU.Nice", D, scale=PERCENT, max=6400),
    Field("cpu.iowait", "percent", "nothing to do but a disk is waited for", "CPU.IOWait", D, scale=PERCENT, max=6400),
    Field("cpu.irq", "percent", "serving interrupts", "CPU.IRQ", D, scale=PERCENT, max=6400),
    Field("cpu.softirq", "percent", "serving soft interrupts", "CPU.SoftIRQ", D, scale=PERCENT, max=6400),
    Field("cpu.steal", "percent", "taken by the hypervisor", "CPU.Steal", D, scale=PERCENT, max=6400),
    Field("memory.total", "bytes", "of the machine; Media: of hwinfo", "Mem.Total", I, scale=MEMORY),
    Field("memory.free", "bytes", "free of the machine", "Mem.Free", I, scale=MEMORY),
    Field("memory.ston", "bytes", "used by STON", "Mem.STON", I, scale=MEMORY),
    Field("load.1", "processes", "load average of 1 minute", "SystemLoadAverage.Min1", I, scale=LOAD),
    Field("load.5", "processes", "load average of 5 minutes", "SystemLoadAverage.Min5", I, scale=LOAD),
    Field("load.15", "processes", "load average of 15 minutes", "SystemLoadAverage.Min15", I, scale=LOAD),
    Field("ssocket.total", "sockets", "of clients", "ServerSocket.Total", D),
    Field("ssocket.established", "sockets", "of clients, established", "ServerSocket.Established", D),
    Field("ssocket.accepted", "sockets", "of clients, new", "ServerSocket.Accepted", D),
    Field("ssocket.closed", "sockets", "of clients, ended", "ServerSocket.Closed", D),
    Field("csocket.total", "sockets", "to origins", "ClientSocket.Total", D),
    Field("csocket.established", "sockets", "to origins, established", "ClientSocket.Established", D),
    Field("csocket.connected", "sockets", "to origins, new", "ClientSocket.Connected", D),
    Field("csocket.closed", "sockets", "to origins, ended", "ClientSocket.Closed", D),
    Field("tcp.alloc", "sockets", "that have memory", "TCPSocket.Alloc", D),
    Field("tcp.established", "sockets", "in use", "TCPSocket.Established", D),
    Field("tcp.timewait", "sockets", "waiting after their end", "TCPSocket.Timewait", D),
    Field("tcp.orphan", "sockets", "without a process", "TCPSocket.Orphan", D),
    Field("tcp.mem", "pages", "memory of sockets", "TCPSocket.Mem", I),
    Field("acl.allowed", "sockets", "admitted by the list of addresses", "ServiceAccess.Allow", D),
    Field("acl.denied", "sockets", "refused by the list of addresses", "ServiceAccess.Deny", D),
    Field("eq", "events", "waiting to be handled", "EQ", D),
    Field("rq", "objects", "in the queue of recent references", "RQ", D),
    Field("wf2w", "files", "waiting to be written", "WaitingFiles2Write", D),
    Field("urlrewrite", "URLs", "rewritten", "URLRewrite", D),
)
HOST = (Field("uptime", "seconds", "since the start of the server or virtual host", "Uptime", D),)
SIZES = ("1k", "2k", "4k", "8k", "16k", "32k", "64k", "128k", "256k", "512k", "1m", "2m", "4m", "8m", "16m", "32m",
         "64m", "128m", "256m", "512m", "1g", "2g", "4g", "8g", "16g")  # fmt: skip
VHOST = (
    Field("memory", "bytes", "contents in memory", "Memory", D),
    *(Field(f"files.{size}", "files", f"under {size}, not under half of it", f"Disk.Distribution.U{size.upper()}", D)
      for size in SIZES),
    Field("files.over_16g", "files", "of 16 GiB and more", "Disk.Distribution.O16G", D),
)  # fmt: skip

# Of virtual hosts and channels, for either side and each protocol; all.* as above.
SESSIONS = tuple(both((
    Field("*.session", "sessions", "connected", "{X}{S}Session", D),
    Field("*.session_active", "sessions", "transferring", "{X}{S}ActiveSession", D),
    Field("*.inbound", "bytes/s", "received", "{X}{S}Inbound", D),
    Field("*.outbound", "bytes/s", "sent", "{X}{S}Outbound", D),
)))  # fmt: skip
TOTAL = "{S}Traffics.{X}.Response.ResTotal."
TRAFFIC = tuple(both((  # http, hls, mpegdash; Edge: as http, from {S}Traffic.Traffic[] and {S}Traffic
    Field("*.requests", "requests/s", "requests", "{S}Traffics.{X}.ReqCount", I, How.RATE),
    Field("*.responses", "responses/s", "responses begun; rtmp: all calls below", TOTAL + "Count", I, How.RATE),
    Field("*.completed", "responses/s", "responses sent to their end", TOTAL + "Completed", I, How.RATE),
    Field("*.response_seconds", "s/s", "until responses", TOTAL + "TimeRes", I, How.TIME, TOTAL + "Count", MS),
    Field("*.complete_seconds", "s/s", "until ends", TOTAL + "TimeComplete", I, How.TIME, TOTAL + "Completed", MS),
    *(Field(f"*.{code}", "responses/s", f"with status {code}", TOTAL.replace("Total", code) + "Count", I, How.RATE)
      for code in ("2xx", "3xx", "4xx", "5xx")),
)))  # fmt: skip
WEB = tuple(
    both((Field("all.web_requests", "requests/s", "those of protocols that tell completion", "", I, How.RATE),))
)
CODES = ("none", "hit", "ims_hit", "refresh_hit", "ref_fail_hit", "negative_hit", "redirect_hit", "miss",
         "refresh_miss", "client_refresh_miss", "denied", "error", "rt_hit")  # fmt: skip
HITS = (
    *(Field(f"*.client.hit.{code}", "requests/s", f"with TCP_{code.upper()}",
            f"ClientTraffics.{{X}}.RequestHit.TCP_{code.upper()}", D, How.RATE) for code in CODES),
    Field("*.client.hits", "requests/s", "answered by what was there: all that ends in _HIT, and HIT", "", D, How.RATE),
    Field("*.client.lookups", "requests/s", "all codes together", "", D, How.RATE),
)  # fmt: skip
METHODS = {"connect": "NetConnection.Connect", "create_stream": "NetConnection.CreateStream", "play": "NetStream.Play",
           "close": "NetStream.Close", "delete": "NetStream.Delete", "seek": "NetStream.Seek",
           "pause": "NetStream.Pause"}  # fmt: skip
RTMP = tuple(both(  # Success + Fail; of origins the structure is not documented and taken as the client's
    Field(f"rtmp.{name}", "calls/s", f"{path.partition('.')[2]} calls", f"{{S}}Traffics.Rtmp.{path}", I, How.RATE)
    for name, path in METHODS.items()
))  # fmt: skip
METRICS = gauges(SERVER, HOST, VHOST, SESSIONS, TRAFFIC, WEB, HITS, RTMP)


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
    removed_vhosts: Literal["keep", "delete"] = option(
        "keep", "keep what is stored of a virtual host or channel that is gone, for its retention, or delete it"
    )
    interval: Seconds = option(Seconds(300), "seconds between two collections", min=1, max=86400)
    align: bool = option(True, "poll just after the interval's boundary and stamp the boundary")

    locals().update({name.replace("*", "each").replace(".", "_"): metric for name, metric in METRICS.items()})
    graphs = of_host(METRICS, SIZES, CODES)
    targets = by_target(METRICS)
    instance_targets = of_instances(METRICS, SIZES)

    async def collect(self) -> None:
        raise CollectError("not there yet")
