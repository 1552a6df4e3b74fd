"""TCP of this machine, from /proc/net/netstat, snmp and sockstat; names are those of Diamond's TCPCollector.

The states of sockets (Alloc, Established, Timewait, Orphan, Mem) are not Diamond's: STON's graph tcpsocket needs them.
"""

from __future__ import annotations

from collections.abc import Iterator

from monitor.collector import CollectError, Collector, Counter, Gauge, Graph, Line, option

GAUGES = {"CurrEstab", "MaxConn"}
DEFAULT = [
    "ListenOverflows", "ListenDrops", "TCPLoss", "TCPTimeouts", "TCPFastRetrans", "TCPLostRetransmit",
    "TCPForwardRetrans", "TCPSlowStartRetrans", "CurrEstab", "TCPAbortOnMemory", "TCPBacklogDrop", "AttemptFails",
    "EstabResets", "InErrs", "ActiveOpens", "PassiveOpens",
]  # fmt: skip


def parse(text: str) -> Iterator[tuple[str, int]]:
    """Yield the names and counts of all lines 'Tcp…: names' and 'Tcp…: counts', which come in pairs."""
    lines = text.splitlines()
    for names, counts in zip(lines[::2], lines[1::2], strict=False):
        prefix, _, named = names.partition(":")
        if prefix in ("Tcp", "TcpExt"):
            try:
                yield from zip(named.split(), map(int, counts.partition(":")[2].split()), strict=True)
            except ValueError:
                raise CollectError(f"expected a count for every name of {prefix}, got {counts[:80]!r}") from None


def sockets(text: str) -> dict[str, int]:
    """Return the states of TCP sockets of /proc/net/sockstat by the kernel's words (inuse, orphan, tw, alloc, mem)."""
    for line in text.splitlines():
        if line.startswith("TCP:"):
            words = line.split()[1:]
            try:
                return dict(zip(words[::2], map(int, words[1::2]), strict=True))
            except ValueError:
                break
    raise CollectError(f"expected a line 'TCP: inuse N orphan N …' in net/sockstat, got {text[:80]!r}")


class TCPCollector(Collector):
    path = "tcp"
    local = True

    allowed_names: list[str] = option(DEFAULT, "names to publish of the kernel's; empty for all")

    listen_overflows = Counter("connections/s", "refused: the queue was full", name="ListenOverflows")
    listen_drops = Counter("connections/s", "refused for any reason", name="ListenDrops")
    loss = Counter("events/s", "losses noticed", name="TCPLoss")
    timeouts = Counter("events/s", "retransmission timeouts", name="TCPTimeouts")
    fast_retrans = Counter("packets/s", "fast retransmissions", name="TCPFastRetrans")
    lost_retrans = Counter("packets/s", "retransmissions that were lost again", name="TCPLostRetransmit")
    forward_retrans = Counter("packets/s", "forward retransmissions", name="TCPForwardRetrans")
    slow_retrans = Counter("packets/s", "retransmissions in slow start", name="TCPSlowStartRetrans")
    abort_memory = Counter("connections/s", "aborted for want of memory", name="TCPAbortOnMemory")
    backlog_drop = Counter("packets/s", "dropped: the backlog was full", name="TCPBacklogDrop")
    attempt_fails = Counter("connections/s", "attempts that failed", name="AttemptFails")
    resets = Counter("connections/s", "connections that were reset", name="EstabResets")
    errors = Counter("packets/s", "received with an error", name="InErrs")
    active_opens = Counter("connections/s", "opened from here", name="ActiveOpens")
    passive_opens = Counter("connections/s", "opened by others", name="PassiveOpens")
    established = Gauge("connections", "established now", name="CurrEstab")
    in_use = Gauge("sockets", "sockets in use of this network name space", name="Established")
    alloc = Gauge("sockets", "sockets that have memory", name="Alloc")
    timewait = Gauge("sockets", "closed, waiting for late packets", name="Timewait")
    orphan = Gauge("sockets", "no program has them any more", name="Orphan")
    memory = Gauge("pages", "memory of all sockets", name="Mem")

    graphs = (
        Graph(
            "connections",
            "TCP connections",
            Line(established, "established", "00cc00"),
            Line(in_use, "in use", "1f78b4"),
            Line(alloc, "allocated", "990099"),
            Line(timewait, "time wait", "ff8000"),
            Line(orphan, "orphans", "ff0000"),
            unit="connections",
        ),
        Graph(
            "opens",
            "TCP connections opened",
            Line(active_opens, "from here", "1f78b4"),
            Line(passive_opens, "by others", "33a02c"),
            Line(attempt_fails, "failed", "e31a1c"),
            Line(resets, "reset", "ff7f00"),
            unit="connections/s",
        ),
        Graph(
            "refused",
            "TCP connections and packets refused",
            Line(listen_overflows, "queue full", "e31a1c"),
            Line(listen_drops, "not accepted", "ff7f00"),
            Line(backlog_drop, "backlog full", "6a3d9a"),
            Line(abort_memory, "no memory", "b15928"),
            Line(errors, "errors", "000000"),
            unit="events/s",
        ),
        Graph(
            "retransmissions",
            "TCP retransmissions",
            Line(loss, "losses", "e31a1c"),
            Line(timeouts, "timeouts", "ff7f00"),
            Line(fast_retrans, "fast", "1f78b4"),
            Line(slow_retrans, "slow start", "a6cee3"),
            Line(forward_retrans, "forward", "33a02c"),
            Line(lost_retrans, "lost again", "6a3d9a"),
            unit="events/s",
        ),
        Graph("memory", "Memory of TCP sockets", Line(memory, "pages", "6a3d9a"), unit="pages"),
    )
    targets = {
        "tcpsocket": Graph(
            "tcpsocket",
            "TCP sockets",
            Line(alloc, "Alloc", "990099b4"),
            Line(in_use, "Established", "00cc00b4"),
            Line(timewait, "Timewait", "ff8000b4"),
            Line(orphan, "Orphan", "ff0000b4"),
            Line(memory, "Mem", "0000ffb4"),
            legend=("Max", "Average", "Current"),
        )
    }

    async def collect(self) -> None:
        for file in ("netstat", "snmp"):
            for name, count in parse((self.proc / "net" / file).read_text()):
                if self.allowed_names and name not in self.allowed_names:
                    continue
                if name in GAUGES:
                    self.publish_gauge(name, count)
                else:
                    self.publish_counter(name, count)
        states = sockets((self.proc / "net/sockstat").read_text())
        self.publish(self.in_use, states.get("inuse"))
        self.publish(self.alloc, states.get("alloc"))
        self.publish(self.timewait, states.get("tw"))
        self.publish(self.orphan, states.get("orphan"))
        self.publish(self.memory, states.get("mem"))
