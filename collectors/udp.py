"""UDP of this machine, from /proc/net/snmp; names are those of Diamond's UDPCollector."""

from __future__ import annotations

from monitor.collector import CollectError, Collector, Counter, Graph, Line, option

DEFAULT = ["InDatagrams", "NoPorts", "InErrors", "OutDatagrams", "RcvbufErrors", "SndbufErrors"]


def parse(text: str) -> dict[str, int]:
    """Return the counts of the two lines 'Udp: names' and 'Udp: counts'."""
    lines = [line.split()[1:] for line in text.splitlines() if line.startswith("Udp:")]
    try:
        names, counts = lines
        return dict(zip(names, map(int, counts), strict=True))
    except ValueError:
        got = next((line for line in text.splitlines() if line.startswith("Udp:")), text)
        raise CollectError(f"expected a line 'Udp: names' and one 'Udp: counts' in snmp, got {got[:80]!r}") from None


class UDPCollector(Collector):
    path = "udp"
    local = True
    needs_enabling = True

    allowed_names: list[str] = option(DEFAULT, "names to publish of the kernel's; empty for all")

    received = Counter("datagrams/s", "received", name="InDatagrams")
    sent = Counter("datagrams/s", "sent", name="OutDatagrams")
    no_ports = Counter("datagrams/s", "received for a port that nobody listens on", name="NoPorts")
    errors = Counter("datagrams/s", "received, and could not be delivered", name="InErrors")
    receive_full = Counter("datagrams/s", "dropped: the receiver's buffer was full", name="RcvbufErrors")
    send_full = Counter("datagrams/s", "not sent: the sender's buffer was full", name="SndbufErrors")

    graphs = (
        Graph(
            "datagrams",
            "UDP datagrams",
            Line(received, "received", "33a02c"),
            Line(sent, "sent", "1f78b4"),
            unit="datagrams/s",
        ),
        Graph(
            "errors",
            "UDP datagrams that were lost",
            Line(no_ports, "no port", "ff7f00"),
            Line(errors, "errors", "e31a1c"),
            Line(receive_full, "receive buffer full", "6a3d9a"),
            Line(send_full, "send buffer full", "b15928"),
            unit="datagrams/s",
        ),
    )

    async def collect(self) -> None:
        for name, count in parse((self.proc / "net/snmp").read_text()).items():
            if not self.allowed_names or name in self.allowed_names:
                self.publish_counter(name, count)
