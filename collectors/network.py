"""Network interfaces of this machine, from /proc/net/dev; names are those of Diamond's NetworkCollector."""

from __future__ import annotations

from monitor.collector import Area, CollectError, Collector, Counter, Graph, Line, option

RX = ("byte", "packets", "errors", "drop", "fifo", "frame", "compressed", "multicast")
TX = ("byte", "packets", "errors", "drop", "fifo", "colls", "carrier", "compressed")


def parse(text: str) -> dict[str, dict[str, int]]:
    """Return the counts of every interface by Diamond's names."""
    found = {}
    for line in text.splitlines()[2:]:
        device, _, counts = line.rpartition(":")
        try:
            numbers = list(map(int, counts.split()))
            names = [f"rx_{name}" for name in RX] + [f"tx_{name}" for name in TX]
            found[device.strip()] = dict(zip(names, numbers, strict=True))
        except ValueError:
            raise CollectError(f"expected an interface with 16 counts in net/dev, got {line[:80]!r}") from None
    return found


class NetworkCollector(Collector):
    path = "network"
    local = True

    interfaces: list[str] = option(
        ["eth", "bond", "em", "p1p", "eno", "enp", "ens", "enx", "wl", "ib"],
        "interfaces, or the beginnings of their names",
    )
    greedy: bool = option(True, "interfaces are the beginnings of names")
    byte_unit: list[str] = option(["bit", "byte"], "publish traffic in these units, such as bit, byte, kilobyte, MB")

    rx_bit = Counter("bits/s", "received", name="*.rx_bit")
    tx_bit = Counter("bits/s", "sent", name="*.tx_bit")
    rx_byte = Counter("bytes/s", "received", name="*.rx_byte")
    tx_byte = Counter("bytes/s", "sent", name="*.tx_byte")
    rx_packets = Counter("packets/s", "received", name="*.rx_packets")
    tx_packets = Counter("packets/s", "sent", name="*.tx_packets")
    rx_errors = Counter("packets/s", "received with an error", name="*.rx_errors")
    tx_errors = Counter("packets/s", "not sent for an error", name="*.tx_errors")
    rx_drop = Counter("packets/s", "received and dropped", name="*.rx_drop")
    tx_drop = Counter("packets/s", "dropped instead of sent", name="*.tx_drop")
    rx_fifo = Counter("events/s", "overruns of the receiver", name="*.rx_fifo")
    tx_fifo = Counter("events/s", "underruns of the sender", name="*.tx_fifo")
    rx_frame = Counter("packets/s", "received with a framing error", name="*.rx_frame")
    tx_colls = Counter("events/s", "collisions", name="*.tx_colls")
    tx_carrier = Counter("events/s", "losses of the carrier", name="*.tx_carrier")
    rx_compressed = Counter("packets/s", "received compressed", name="*.rx_compressed")
    tx_compressed = Counter("packets/s", "sent compressed", name="*.tx_compressed")
    rx_multicast = Counter("packets/s", "multicast received", name="*.rx_multicast")

    graphs = (
        Graph(
            "traffic",
            "Traffic",
            Area(rx_bit, "in", "00cc00b4"),
            Line(tx_bit, "out", "0000ff"),
            unit="bits/s",
        ),
        Graph(
            "bytes",
            "Traffic in bytes",
            Area(rx_byte, "in", "00cc00b4"),
            Line(tx_byte, "out", "0000ff"),
            unit="bytes/s",
        ),
        Graph(
            "packets",
            "Packets",
            Area(rx_packets, "in", "00cc00b4"),
            Line(tx_packets, "out", "0000ff"),
            Line(rx_multicast, "multicast in", "ff7f00"),
            unit="packets/s",
        ),
        Graph(
            "errors",
            "Errors",
            Line(rx_errors, "errors in", "e31a1c"),
            Line(tx_errors, "errors out", "fb9a99"),
            Line(rx_drop, "dropped in", "1f78b4"),
            Line(tx_drop, "dropped out", "a6cee3"),
            Line(rx_fifo, "overruns in", "33a02c"),
            Line(tx_fifo, "underruns out", "b2df8a"),
            Line(rx_frame, "frame errors", "6a3d9a"),
            Line(tx_colls, "collisions", "cab2d6"),
            Line(tx_carrier, "carrier losses", "b15928"),
            unit="events/s",
        ),
        Graph(
            "compressed",
            "Compressed packets",
            Line(rx_compressed, "in", "33a02c"),
            Line(tx_compressed, "out", "1f78b4"),
            unit="packets/s",
        ),
    )

    async def collect(self) -> None:
        units = {word for text in self.byte_unit for word in text.split()}
        found = parse((self.proc / "net/dev").read_text())
        wanted = [device for device in found if self._wanted(device)]
        if not wanted:
            names = ", ".join(found) or "none"
            raise CollectError(f"expected an interface called {', '.join(self.interfaces)} in net/dev, got {names}")
        for device in wanted:
            counts = found[device]
            name = device.replace(".", "_")
            for way in ("rx", "tx"):
                octets = counts.pop(f"{way}_byte")
                if "bit" in units:
                    self.publish_counter(f"{name}.{way}_bit", octets * 8)
                if units != {"bit"}:
                    self.publish_counter(f"{name}.{way}_byte", octets)
            for metric, count in counts.items():
                self.publish_counter(f"{name}.{metric}", count)
        self.publish_units([unit for unit in units if unit != "bit"])

    def _wanted(self, device: str) -> bool:
        return device.startswith(tuple(self.interfaces)) if self.greedy else device in self.interfaces
