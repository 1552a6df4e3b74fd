"""Connections that the firewall tracks, from /proc/sys/net; names are those of Diamond's ConnTrackCollector."""

from __future__ import annotations

from monitor.collector import Area, CollectError, Collector, Gauge, Graph, Line

FOLDER = "sys/net/netfilter"
OLD_FOLDER = "sys/net/ipv4/netfilter"


def parse(text: str) -> int:
    word = text.strip()
    if not (word.isascii() and word.isdigit()):
        raise CollectError(f"expected a count in nf_conntrack_count and nf_conntrack_max, got {text[:80]!r}")
    return int(word)


class ConnTrackCollector(Collector):
    path = "conntrack"
    local = True
    needs_enabling = True

    count = Gauge("connections", "tracked now", name="ip_conntrack_count")
    most = Gauge("connections", "how many can be tracked; more are dropped", name="ip_conntrack_max")

    graphs = (
        Graph(
            "conntrack",
            "Tracked connections",
            Area(count, "tracked", "a6cee3"),
            Line(most, "limit", "e31a1c"),
            unit="connections",
        ),
    )

    async def collect(self) -> None:
        folder, prefix = self.proc / FOLDER, "nf"
        if not (folder / "nf_conntrack_count").exists() and (self.proc / OLD_FOLDER).exists():
            folder, prefix = self.proc / OLD_FOLDER, "ip"
        self.publish(self.count, parse((folder / f"{prefix}_conntrack_count").read_text()))
        self.publish(self.most, parse((folder / f"{prefix}_conntrack_max").read_text()))
