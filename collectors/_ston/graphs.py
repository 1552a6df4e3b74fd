"""How STON's graphs look: main line a green area, sub line blue, details stacked below a line of their total."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from operator import add
from typing import Literal

from collectors._ston.field import EACH
from monitor.collector import Area, Expr, Gauge, Graph, Item, Line, Metric, Stack, expr

Metrics = Mapping[str, Gauge]

GREEN, BLUE, ALPHA = "00cc00b4", "0000ffb4", "b4"
LEGEND: tuple[Literal["Max"], Literal["Average"], Literal["Current"]] = ("Max", "Average", "Current")
WEB = ("http", "hls", "mpegdash")
SHOWN = {"rtmp": "RTMP", "http": "HTTP", "hls": "HLS", "mpegdash": "MPEG-DASH"}
RESPONSES = (("2xx", "00cc00"), ("3xx", "ffd700"), ("4xx", "ff7e00"), ("5xx", "ff0000"))
CALLS = (
    ("connect", "Connect", "00cc00"), ("create_stream", "CreateStream", "ffd700"), ("play", "Play", "ff7e00"),
    ("close", "Close", "ff0000"), ("delete", "Del", "0000ff"), ("seek", "Seek", "cc33ff"), ("pause", "Pause", "41d5f4"),
)  # fmt: skip
HITS = (
    ("hit", "TCP_HIT", "00cc00"), ("ims_hit", "TCP_IMS_HIT", "228822"), ("refresh_hit", "TCP_REFRESH_HIT", "808000"),
    ("ref_fail_hit", "TCP_REF_FAILHIT", "00ffff"), ("negative_hit", "TCP_NEGATIVE_HIT", "0099cc"),
    ("miss", "TCP_MISS", "ff0000"), ("refresh_miss", "TCP_REFRESH_MISS", "ff7e00"),
    ("client_refresh_miss", "TCP_CLIENT_REFRESH_MISS", "ffff00"), ("denied", "TCP_DENIED", "696969"),
    ("error", "TCP_ERROR", "000000"),
)  # fmt: skip
FILES = (
    "ff0000", "fd4700", "ff3300", "fd6600", "fdcc00", "ffff00", "ccff66", "7dce00", "36b700", "009900", "008080",
    "117777", "0092aa", "33b1aa", "00ced2", "33aaf3", "2291ff", "0055cb", "0022af", "0022cc", "0000ff", "2222be",
    "3d119b", "5533cc", "9900ff",
)  # fmt: skip
OVER = "cc33ff"
SOCKETS = (
    ("alloc", "990099"),
    ("established", "00cc00"),
    ("timewait", "ff8000"),
    ("orphan", "ff0000"),
    ("mem", "0000ff"),
)
ALIASES = {
    "mem": "memory", "stoncpu": "ston_media_server_cpu", "client_http_res_hit": "client_res_hit/http",
    **{f"{side}_http_{old}": f"{side}_{new}/http" for side in ("client", "origin") for old, new in (
        ("session", "session"), ("traffic", "traffic"), ("res", "res"), ("res_complete", "res_complete"),
        ("res_time1", "res_time"), ("res_time2", "res_complete_time"))},
}  # fmt: skip
"""What Edge Server and the older graph API call the targets."""


def drawn(
    name: str, title: str, *items: Item, unit: str = "", percent: bool = False, base: Literal[1000, 1024] = 1000
) -> Graph:
    """Return a graph as STON draws it; of a percentage the axis ends at 100."""
    if percent:
        return Graph(name, title, *items, unit="percent", upper=100.0, rigid=True, legend=LEGEND)
    return Graph(name, title, *items, unit=unit, base=base, legend=LEGEND)


def main(value: Expr, legend: str) -> Item:
    return Area(value, legend, GREEN)


def sub(value: Expr, legend: str) -> Item:
    return Line(value, legend, BLUE)


def by_target(m: Metrics) -> dict[str, Graph]:
    """Return what /graph_global draws."""

    def sockets(name: str, title: str, first: str, second: str) -> Graph:
        series = f"{name[0]}socket."
        return drawn(name, title, main(m[series + first.lower()], first), sub(m[series + second.lower()], second),
                     unit="sockets")  # fmt: skip

    kernel, own = m["cpu.kernel"], m["cpu.proc_kernel"]
    used = m["memory.total"] - m["memory.free"]
    found = (
        drawn("cpu", "CPU Usage", main(kernel + m["cpu.user"], "Kernel + User"), sub(kernel, "Kernel"), percent=True),
        drawn("ston_media_server_cpu", "STON CPU Usage", main(own + m["cpu.proc_user"], "Kernel + User"),
              sub(own, "Kernel"), percent=True),
        drawn("memory", "Memory", main(used, "Used"), sub(m["memory.ston"], "STON"), unit="bytes", base=1024),
        drawn("iowait", "IO Wait", main(m["cpu.iowait"], "IO Wait"), unit="percent"),
        drawn("loadavg", "Load Average", main(m["load.5"], "Load Average")),
        sockets("ssockevent", "Server Socket Events", "Accepted", "Closed"),
        sockets("ssockusage", "Server Sockets", "Total", "Established"),
        sockets("csockevent", "Client Socket Events", "Connected", "Closed"),
        sockets("csockusage", "Client Sockets", "Total", "Established"),
        drawn("acldenied", "ACL Denied", main(m["acl.denied"], "Denied"), unit="sockets"),
        drawn("eq", "Event Queue", main(m["eq"], "Events"), unit="events"),
        drawn("wf2w", "Waiting Files to Write", main(m["wf2w"], "Files"), unit="files"),
        drawn("tcpsocket", "TCP Sockets",
              *(Line(m[f"tcp.{name}"], name.capitalize(), colour + ALPHA) for name, colour in SOCKETS)),
    )  # fmt: skip
    return {graph.name: graph for graph in found}


def of_instances(m: Metrics, sizes: Iterable[str]) -> dict[str, dict[str, Graph]]:
    """Return what /graph_vhost draws, by target and protocol."""
    found: dict[str, dict[str, Graph]] = {}
    for protocol in EACH:
        for graph in _of_protocol(m, protocol):
            found.setdefault(graph.name, {})[protocol] = graph
    for graph in (*details(m), contents(m), files(m, sizes)):
        found[graph.name] = {"all": graph}
    return found


def _of_protocol(m: Metrics, protocol: str) -> Iterator[Graph]:
    """Yield the graphs of a protocol, each named as its target."""

    def one(name: str) -> Metric:
        return m[f"*.{name}"].of(protocol)

    sent, got = one("client.outbound"), one("origin.inbound")
    hits = 100 * one("client.hits") / one("client.lookups")
    yield drawn("hitratio", "Hit Ratio", main(hits, "Request Hit Ratio"),
                sub(100 * (sent - got) / sent, "Byte Hit Ratio"), unit="percent").changed(upper=100.0)  # fmt: skip
    codes = (Stack(one(f"client.hit.{code}"), legend, colour + ALPHA) for code, legend, colour in HITS)
    yield drawn("client_res_hit", "Responses (Hits)", *codes, sub(one("client.requests"), "Requests"))
    for side, word in (("client", "Client"), ("origin", "Origin")):
        responses, requests = one(f"{side}.responses"), one(f"{side}.requests")
        yield drawn(f"{side}_session", f"{word} Sessions", main(one(f"{side}.session"), "All Sessions"),
                    sub(one(f"{side}.session_active"), "Active Sessions"), unit="sessions")  # fmt: skip
        yield drawn(f"{side}_traffic", f"{word} Traffic", main(8 * one(f"{side}.inbound"), "Inbound"),
                    sub(8 * one(f"{side}.outbound"), "Outbound"), unit="bits/s")  # fmt: skip
        yield drawn(f"{side}_res", f"{word} Responses", main(responses, "Responses"), sub(requests, "Requests"))
        yield drawn(f"{side}_res_time", f"{word} Response Time",
                    main(1000 * one(f"{side}.response_seconds") / responses, "Response Time"), unit="ms")  # fmt: skip
        if protocol == "rtmp":
            continue
        completed = one(f"{side}.completed")
        asked = m[f"all.{side}.web_requests"] if protocol == "all" else requests
        yield drawn(f"{side}_res_complete", f"{word} Responses Completed", main(completed, "Completed"),
                    sub(asked, "Requests"))  # fmt: skip
        yield drawn(f"{side}_res_complete_time", f"{word} Completion Time",
                    main(1000 * one(f"{side}.complete_seconds") / completed, "Completion Time"), unit="ms")  # fmt: skip


def details(m: Metrics) -> Iterator[Graph]:
    """Yield the graphs whose target names the protocol."""
    for side, word in (("client", "Client"), ("origin", "Origin")):
        calls = (Stack(m[f"rtmp.{side}.{name}"], legend, colour + ALPHA) for name, legend, colour in CALLS)
        asked = Line(m[f"*.{side}.requests"].of("rtmp"), "Requests", "000000" + ALPHA)
        yield drawn(f"{side}_rtmp_res_detail", f"{word} Responses in Detail (RTMP)", *calls, asked)
        for protocol in WEB:
            each = (Stack(m[f"*.{side}.{code}"].of(protocol), code, colour + ALPHA) for code, colour in RESPONSES)
            yield drawn(f"{side}_{protocol}_res_detail", f"{word} Responses in Detail ({SHOWN[protocol]})", *each,
                        sub(m[f"*.{side}.requests"].of(protocol), "Requests"))  # fmt: skip


def contents(m: Metrics) -> Graph:
    return drawn("mem", "Contents in Memory", main(m["memory"], "Contents"), unit="bytes", base=1024)


def files(m: Metrics, sizes: Iterable[str]) -> Graph:
    by_size = [(m[f"files.{size}"], f"~{size.upper()}B", colour) for size, colour in zip(sizes, FILES, strict=True)]
    by_size.append((m["files.over_16g"], "16GB~", OVER))
    total = reduce(add, (metric for metric, *_ in by_size), expr(0))
    return drawn(
        "filecount", "File Count", *(Stack(metric, legend, colour + ALPHA) for metric, legend, colour in by_size),
        Line(total, "Total", "000000" + ALPHA), unit="files",
    )  # fmt: skip


def of_host(m: Metrics, sizes: Iterable[str], codes: Iterable[str]) -> tuple[Graph, ...]:
    """Return the graphs of the host's page: those of the server, and those of each protocol."""
    states = ("user", "nice", "kernel", "iowait", "irq", "softirq", "steal", "idle")
    each = {name: m[f"*.{name}"] for name in (name.removeprefix("*.") for name in m if name.startswith("*."))}
    server = by_target(m)
    del server["cpu"], server["loadavg"], server["acldenied"]
    mixed = (
        drawn("cpu", "CPU Usage", *(Stack(m[f"cpu.{state}"], state) for state in states), percent=True),
        drawn("loadavg", "Load Average", *(Line(m[f"load.{n}"], f"{n} minutes") for n in (1, 5, 15))),
        drawn("acl", "Access", main(m["acl.allowed"], "Allowed"), Line(m["acl.denied"], "Denied", "ff0000"),
              unit="sockets"),
        drawn("rq", "Recent References", main(m["rq"], "Objects"), unit="objects"),
        drawn("urlrewrite", "URLs Rewritten", main(m["urlrewrite"], "URLs"), unit="URLs"),
        drawn("uptime", "Uptime", main(m["uptime"], "Uptime"), unit="seconds"),
        drawn("web_requests", "Requests by HTTP, HLS and MPEG-DASH", main(m["all.client.web_requests"], "Clients"),
              sub(m["all.origin.web_requests"], "Origins")),
    )  # fmt: skip
    of_each: list[Graph] = []
    for side, word in (("client", "Clients"), ("origin", "Origins")):
        codes_of = (Stack(each[f"{side}.{code}"], code, colour) for code, colour in RESPONSES)
        of_each += (
            drawn(f"{side}_session", f"{word}: Sessions", main(each[f"{side}.session"], "All Sessions"),
                  sub(each[f"{side}.session_active"], "Active Sessions"), unit="sessions"),
            drawn(f"{side}_traffic", f"{word}: Traffic", main(8 * each[f"{side}.inbound"], "Inbound"),
                  sub(8 * each[f"{side}.outbound"], "Outbound"), unit="bits/s"),
            drawn(f"{side}_res", f"{word}: Responses", *codes_of,
                  Line(each[f"{side}.responses"], "Responses", "000000"),
                  Line(each[f"{side}.completed"], "Completed", "666666"),
                  sub(each[f"{side}.requests"], "Requests")),
            drawn(f"{side}_time", f"{word}: Time of Responses",
                  main(1000 * each[f"{side}.complete_seconds"] / each[f"{side}.completed"], "Completion"),
                  sub(1000 * each[f"{side}.response_seconds"] / each[f"{side}.responses"], "Response"), unit="ms"),
        )  # fmt: skip
    known = {code: (legend, colour) for code, legend, colour in HITS}
    by_code = (Stack(each[f"client.hit.{code}"], *known.get(code, (f"TCP_{code.upper()}",))) for code in codes)
    of_each += (
        drawn("client_res_hit", "Clients: Hits", *by_code),
        drawn("hitratio", "Hit Ratio", main(100 * each["client.hits"] / each["client.lookups"], "Request Hit Ratio"),
              unit="percent"),
    )  # fmt: skip
    rtmp = (graph for graph in details(m) if "rtmp" in graph.name)
    return (*server.values(), *mixed, *of_each, contents(m), files(m, sizes), *rtmp_only(rtmp))


def rtmp_only(graphs: Iterable[Graph]) -> Iterator[Graph]:
    """Yield graphs of calls without the line of requests."""
    for graph in graphs:
        yield graph.changed(items=graph.items[:-1])
