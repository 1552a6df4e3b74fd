"""Sockets of this machine, from /proc/net/sockstat and sockstat6; names are those of Diamond's SockstatCollector."""

from __future__ import annotations

from monitor.collector import CollectError, Collector, Gauge, Graph, Line

NAMES = {
    "sockets": {"used": "used"},
    "TCP": {"inuse": "tcp_inuse", "orphan": "tcp_orphan", "tw": "tcp_tw", "alloc": "tcp_alloc", "mem": "tcp_mem"},
    "UDP": {"inuse": "udp_inuse", "mem": "udp_mem"},
    "TCP6": {"inuse": "tcp_inuse"},
    "UDP6": {"inuse": "udp_inuse"},
}


def parse(text: str) -> dict[str, int]:
    """Return the counts by Diamond's names, those of IPv4 and IPv6 added up."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        protocol, _, rest = line.partition(":")
        words = rest.split()
        for word, count in zip(words[::2], words[1::2], strict=False):
            name = NAMES.get(protocol, {}).get(word)
            if name is not None:
                if not (count.isascii() and count.isdigit()):
                    raise CollectError(f"expected a count for {word} of {protocol} in sockstat, got {count[:80]!r}")
                found[name] = found.get(name, 0) + int(count)
    if "used" not in found:
        raise CollectError(f"expected a line 'sockets: used N' in sockstat, got {text[:80]!r}")
    return found


class SockstatCollector(Collector):
    path = "sockets"
    local = True
    needs_enabling = True

    used = Gauge("sockets", "sockets of all kinds")
    tcp_inuse = Gauge("sockets", "TCP sockets in use")
    tcp_orphan = Gauge("sockets", "TCP sockets that no program has any more")
    tcp_tw = Gauge("sockets", "TCP sockets that are closed and wait for late packets")
    tcp_alloc = Gauge("sockets", "TCP sockets that have memory")
    tcp_mem = Gauge("pages", "memory of all TCP sockets")
    udp_inuse = Gauge("sockets", "UDP sockets in use")
    udp_mem = Gauge("pages", "memory of all UDP sockets")

    graphs = (
        Graph(
            "sockets",
            "Sockets",
            Line(used, "all", "000000"),
            Line(tcp_inuse, "TCP", "1f78b4"),
            Line(udp_inuse, "UDP", "33a02c"),
            unit="sockets",
        ),
        Graph(
            "tcp",
            "TCP sockets",
            Line(tcp_alloc, "allocated", "1f78b4"),
            Line(tcp_tw, "time wait", "ff7f00"),
            Line(tcp_orphan, "orphans", "e31a1c"),
            unit="sockets",
        ),
        Graph(
            "memory",
            "Memory of sockets",
            Line(tcp_mem, "TCP", "1f78b4"),
            Line(udp_mem, "UDP", "33a02c"),
            unit="pages",
        ),
    )

    async def collect(self) -> None:
        text = (self.proc / "net/sockstat").read_text()
        second = self.proc / "net/sockstat6"  # not there without IPv6
        for name, count in parse(text + (second.read_text() if second.exists() else "")).items():
            self.publish(name, count)
