"""A stand-in for STON Media Server and STON Edge Server: their statistics, with numbers that follow from names.

Every vhost is the sum of its channels where it has some, the server the sum of its vhosts, and 'All' that of the
protocols. Attributes say what goes wrong.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from xml.sax.saxutils import quoteattr

from aiohttp import web

Tree = dict[str, Any]

PROTOCOLS = ("Http", "Hls", "MpegDash", "Rtmp")
CODES = (
    "NONE", "HIT", "IMS_HIT", "REFRESH_HIT", "REF_FAIL_HIT", "NEGATIVE_HIT", "REDIRECT_HIT", "MISS", "REFRESH_MISS",
    "CLIENT_REFRESH_MISS", "DENIED", "ERROR",
)  # fmt: skip
CLASSES = ("ResTotal", "Res2xx", "Res3xx", "Res4xx", "Res5xx")
SIZES = (
    "U1K", "U2K", "U4K", "U8K", "U16K", "U32K", "U64K", "U128K", "U256K", "U512K", "U1M", "U2M", "U4M", "U8M", "U16M",
    "U32M", "U64M", "U128M", "U256M", "U512M", "U1G", "U2G", "U4G", "U8G", "U16G", "O16G",
)  # fmt: skip
NET = {"NetConnection": ("Connect", "CreateStream"), "NetStream": ("Play", "Close", "Delete", "Seek", "Pause")}
WINDOW = 300
ATTRIBUTES = {"System", "CPU", "Mem", "ServerSocket", "ClientSocket", "TCPSocket", "ServiceAccess", "SystemLoadAverage",
              "Distribution", "RequestHit", "RequestHitSum", "CacheFileEvent"}  # fmt: skip
"""The groups whose fields are attributes in the XML."""


def number(*names: str, most: int = 1000) -> int:
    """Return a number that follows from names."""
    return zlib.crc32("/".join(names).encode()) % most


def count(made: Tree, key: str, total: int) -> None:
    """Set a count and its sum: the count is the mean per second as a whole number."""
    made[f"{key}Sum"], made[key] = total, total // WINDOW


def added(trees: Iterable[Tree]) -> Tree:
    """Return the sum of trees of one form; a mean time is weighted by what it is the mean of."""
    trees = list(trees)
    made: Tree = {}
    for key, value in trees[0].items():
        values = [tree[key] for tree in trees]
        if isinstance(value, dict):
            made[key] = added(values)
        elif key in ("TimeRes", "TimeComplete"):
            of = "CompletedSum" if key == "TimeComplete" else "CountSum" if "CountSum" in trees[0] else "Success"
            whole = sum(tree[of] for tree in trees)
            made[key] = sum(tree[of] * tree[key] for tree in trees) // whole if whole else 0
        elif isinstance(value, int) and not key.endswith("Ratio"):
            made[key] = sum(values)
        else:
            made[key] = value
    return made


class Server:
    """What both kinds share. `vhosts` holds the channels of each virtual host and may change at any time."""

    roots: Mapping[str, str]

    def __init__(self, vhosts: Mapping[str, Iterable[str]], *, version: str = "20.03.0", window: int = 1) -> None:
        self.vhosts = {name: list(channels) for name, channels in vhosts.items()}
        self.version = version
        self.window = window
        """Which five minutes it is: another number, other numbers."""
        self.uptime = 155996
        self.allowed = True
        """Whether the address is in the list; one that is not is disconnected."""
        self.looker = False
        """Whether the address has no more than the role Looker."""
        self.delay = 0.0
        self.spoilt: dict[str, Any] = {}
        """Bodies to send instead, by form (JSON, XML) or endpoint (hwinfo): bytes, or a function of the right ones."""
        self.asked: list[str] = []
        self.url = ""

    def tree(self) -> Tree:
        raise NotImplementedError

    def body(self, form: str) -> bytes:
        tree = self.tree()
        return xml(tree) if form == "XML" else json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()

    def hwinfo(self) -> bytes:
        return json.dumps(
            {"version": self.version, "method": "hwinfo", "status": "OK",
             "result": {"OS": "Linux version 5.15.0", "CPU": {"ProcCount": "16"}, "Memory": "32 GB"}}
        ).encode()  # fmt: skip

    def system(self) -> Tree:
        def of(group: str, *keys: str) -> Tree:
            return {key: number(str(self.window), group, key) for key in keys}

        return {
            "CPU": of("CPU", "Kernel", "User", "Idle", "ProcKernel", "ProcUser", "Nice", "IOWait", "IRQ", "SoftIRQ",
                      "Steal"),
            "Mem": {"Free": 5914644, "STON": 9785800},
            "Storage": {"Disk": [{"Path": "/cache1", "Status": "Normal", "Read": 23}]},
            "ServerSocket": of("ServerSocket", "Total", "Established", "Accepted", "Closed"),
            "ClientSocket": of("ClientSocket", "Total", "Established", "Connected", "Closed"),
            "TCPSocket": of("TCPSocket", "Established", "Timewait", "Orphan", "Alloc", "Mem"),
            "EQ": 4, "RQ": 1000000, "WaitingFiles2Write": 2,
            "ServiceAccess": of("ServiceAccess", "Allow", "Deny"),
            "SystemLoadAverage": of("SystemLoadAverage", "Min1", "Min5", "Min15"),
            "URLRewrite": 57,
        }  # fmt: skip

    def contents(self, name: str) -> Tree:
        files = {size: number(str(self.window), name, size) for size in SIZES}
        return {
            "Memory": number(name, "memory", most=10**9), "SecuredMemory": 0,
            "Disk": {"TotalSize": 43302829056, "Create": 1, "Distribution": files},
            "CacheFileEvent": {"Create": 1, "Swap": 0, "Erase": 0, "Purge": 0, "Expire": 3},
        }  # fmt: skip

    def responses(self, name: str) -> Tree:
        made: Tree = {}
        for each in CLASSES[1:]:
            made[each] = one = {}
            total = number(str(self.window), name, each, most=30000)
            count(one, "Count", total)
            count(one, "Completed", total * 98 // 100)
            one["TimeRes"], one["TimeComplete"] = (
                number(name, each, "TimeRes"),
                number(name, each, "TimeComplete", most=90000),
            )
        return {"ResTotal": added(made.values()), **made}

    def hits(self, name: str) -> tuple[Tree, Tree]:
        sums = {f"TCP_{code}": number(str(self.window), name, code, most=20000) for code in CODES}
        return {code: total // WINDOW for code, total in sums.items()}, sums


class Media(Server):
    port = 20040

    def tree(self) -> Tree:
        vhosts = [self.vhost(name, channels) for name, channels in self.vhosts.items()]
        flat = [
            {key: value for key, value in one.items() if key[:3] in ("All", "Htt", "Hls", "Mpe", "Rtm")}
            for one in vhosts
        ]
        whole = added(flat) if flat else {}
        return {
            "Host": {"Version": self.version, "Name": "stream_07", "State": "Healthy", "Uptime": self.uptime, **whole,
                     "RequestHitRatio": 9718, "ByteHitRatio": -31, "System": self.system(), "VirtualHost": vhosts,
                     "View": []}
        }  # fmt: skip

    def vhost(self, name: str, channels: Iterable[str]) -> Tree:
        parts = [{"Name": channel, "Uptime": 4210, **self.streams(name + channel)} for channel in channels]
        streams = (
            added([{k: v for k, v in part.items() if k not in ("Name", "Uptime")} for part in parts])
            if parts
            else self.streams(name)
        )
        more = {"Channel": parts} if parts else {}
        return {"Name": name, "Uptime": self.uptime, "Type": "live" if parts else "vod", **streams,
                **self.contents(name), **more}  # fmt: skip

    def streams(self, name: str) -> Tree:
        """Return what a virtual host and a channel have both."""
        made: Tree = {}
        for side in ("Origin", "Client"):
            for what in ("Session", "ActiveSession", "Inbound", "Outbound"):
                most = 10**7 if what.endswith("bound") else 1000
                each = {x: number(str(self.window), name, x, side, what, most=most) for x in PROTOCOLS}
                made[f"All{side}{what}"] = sum(each.values())
                made |= {f"{x}{side}{what}": value for x, value in each.items()}
        made |= {"RequestHitRatio": 9622, "ByteHitRatio": -120}
        made["OriginTraffics"] = {x: self.traffic(f"{name}/{x}/Origin", x, client=False) for x in PROTOCOLS}
        made["ClientTraffics"] = {x: self.traffic(f"{name}/{x}/Client", x, client=True) for x in PROTOCOLS}
        return made

    def traffic(self, name: str, protocol: str, *, client: bool) -> Tree:
        made: Tree = {"RequestHitRatio": 9420} if client else {}
        count(made, "ReqCount", number(str(self.window), name, "ReqCount", most=30000))
        made |= {
            f"{what}{part}Size": number(name, what, part) for what in ("Req", "Res") for part in ("Header", "Body")
        }
        if protocol == "Rtmp":
            for group, methods in NET.items():
                made[group] = {
                    method: {"Success": number(str(self.window), name, method, most=20),
                             "Fail": number(name, method, most=3),
                             "TimeRes": number(name, method, "TimeRes", most=9000)}
                    for method in methods
                }  # fmt: skip
        else:
            made["Response"] = self.responses(name)
            if not client:
                made["Response"] |= {f"{key}{end}": 2 for key in ("ConnectTimeout", "Close") for end in ("", "Sum")}
                made["Connect"] = {"Count": 1, "AvgDNSQueryTime": 38, "AvgConnTime": 122}
        if client:
            made["RequestHit"], made["RequestHitSum"] = self.hits(name)
        return made


class Edge(Server):
    port = 10040

    def tree(self) -> Tree:
        vhosts = [self.vhost(name) for name in self.vhosts]
        tallies = [
            {k: v for k, v in one.items() if k.startswith(("Client", "Origin")) and isinstance(v, int)}
            for one in vhosts
        ]
        system = self.system()
        system["Mem"] = {"Total": 8106168, **system["Mem"]}
        return {
            "Host": {"Version": self.version, "Name": "edge_01", "State": "Healthy", "Uptime": self.uptime,
                     **(added(tallies) if tallies else {"ClientSession": 0}), "RequestHitRatio": 9100,
                     "ByteHitRatio": 9542, "System": system, "VirtualHost": vhosts}
        }  # fmt: skip

    def vhost(self, name: str) -> Tree:
        made: Tree = {"Name": name, "Uptime": self.uptime}
        for side in ("Origin", "Client"):
            for what in ("Session", "ActiveSession", "Inbound", "Outbound"):
                made[side + what] = number(str(self.window), name, side, what, most=10**6)
        made |= self.contents(name)
        made["OriginTraffic"] = self.traffic(f"{name}/Origin")
        entry = {"Path": "/", **self.traffic(f"{name}/Client")}
        entry["RequestHit"], entry["RequestHitSum"] = self.hits(f"{name}/Client")
        made["ClientTraffic"] = {"Depth": 0, "Accum": "OFF", "TrafficCount": 1, "Traffic": [entry]}
        return made

    def traffic(self, name: str) -> Tree:
        made: Tree = {}
        count(made, "HttpReqCount", number(str(self.window), name, "ReqCount", most=30000))
        return made | {"HttpReqHeaderSize": 1740, "Response": self.responses(name)}


def xml(tree: Tree) -> bytes:
    """Return a tree as STON's XML."""
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + _element("Host", tree["Host"]).encode()


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, one) for one in value)
    if not isinstance(value, dict):
        return f"<{name}>{value}</{name}>"
    whole = name in ("Host", "VirtualHost", "Channel", "Disk") and "Distribution" not in value
    attributes = {
        key: one for key, one in value.items()
        if not isinstance(one, dict | list) and (name in ATTRIBUTES - {"System"} or key == "RequestHitRatio"
                                                 or (whole and key not in ("Memory", "SecuredMemory")))
    }  # fmt: skip
    inside = ""
    for key, one in value.items():
        if key in attributes or (
            key.endswith("Sum") and key.removesuffix("Sum") in value and not isinstance(one, dict)
        ):
            continue
        if f"{key}Sum" in value and not isinstance(one, dict | list):
            inside += f'<{key} Sum="{value[f"{key}Sum"]}">{one}</{key}>'
        else:
            inside += _element(key, one)
    text = "".join(f" {key}={quoteattr(str(one))}" for key, one in attributes.items())
    return f"<{name}{text}>{inside}</{name}>" if inside else f"<{name}{text}/>"


@asynccontextmanager
async def serving(server: Server, port: int = 0) -> AsyncIterator[Server]:
    """Serve on this port of the loopback, or a free one; `server.url` says where."""

    async def answer(request: web.Request) -> web.StreamResponse:
        server.asked.append(request.path_qs)
        if not server.allowed:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if server.looker:
            return web.Response(status=401)
        await asyncio.sleep(server.delay)
        what = request.path.rpartition("/")[2]
        form = request.query.get("type", "JSON") if what in ("average", "realtime") else what
        if form == "hwinfo":
            body = server.hwinfo()
        elif form in ("JSON", "XML"):
            body = server.body(form)
        else:
            return web.Response(status=404)
        spoilt = server.spoilt.get(form)
        body = spoilt if isinstance(spoilt, bytes) else spoilt(body) if spoilt else body
        return web.Response(body=body, content_type="text/xml" if form == "XML" else "application/json")

    app = web.Application()
    app.router.add_get("/monitoring/{what}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    server.url = site.name
    try:
        yield server
    finally:
        await runner.cleanup()
