"""What Kurado's agent pushes of every host as its plugin `base`; it is declared here and never collected.

    kurado_agent --interval 1 --self-ip 10.0.0.1 --mq monitor.example.com:6379

Processors count ticks (100 a second), memory and traffic bytes, disk space 1,024 bytes, disk I/O sectors of 512 bytes.
"""

from __future__ import annotations

from typing import Final

from monitor.collector import Area, CollectError, Collector, Counter, Gauge, Graph, Line, Stack, Straight

KIB, SECTOR, BITS = 1024, 512, 8
LEGEND: Final = ("Cur", "Ave", "Max")


class KuradoBaseCollector(Collector):
    path = "base"
    pushed = True

    user = Counter("ticks/s", "running programs, guests included", name="cpu-user")
    nice = Counter("ticks/s", "running programs of low priority", name="cpu-nice")
    system = Counter("ticks/s", "in the kernel", name="cpu-system")
    idle = Counter("ticks/s", "nothing to do", name="cpu-idle")
    iowait = Counter("ticks/s", "nothing to do but a disk is waited for", name="cpu-iowait")
    irq = Counter("ticks/s", "serving interrupts", name="cpu-irq")
    softirq = Counter("ticks/s", "serving soft interrupts", name="cpu-softirq")
    steal = Counter("ticks/s", "taken by the hypervisor", name="cpu-steal")
    guest = Counter("ticks/s", "running guests", name="cpu-guest")
    guest_nice = Counter("ticks/s", "running guests of low priority", name="cpu-guest-nice")
    load1 = Gauge("processes", "load average of 1 minute", name="loadavg-1")
    load5 = Gauge("processes", "load average of 5 minutes", name="loadavg-5")
    load15 = Gauge("processes", "load average of 15 minutes", name="loadavg-15")
    processors = Gauge("processors", "that the kernel uses")
    total = Gauge("bytes", "memory of the machine", name="memory-total")
    used = Gauge("bytes", "neither free nor buffers nor cached", name="memory-used")
    buffers = Gauge("bytes", "buffers of block devices", name="memory-buffers")
    cached = Gauge("bytes", "pages of files", name="memory-cached")
    free = Gauge("bytes", "of no use now", name="memory-free")
    inactive = Gauge("bytes", "not used lately; of old agents", name="memory-inactive")
    swap_total = Gauge("bytes", "swap space", name="memory-swap-total")
    swap_used = Gauge("bytes", "swap space in use", name="memory-swap-used")
    swap_free = Gauge("bytes", "swap space not in use; of old agents", name="memory-swap-free")
    established = Gauge("connections", "TCP connections that are established", name="tcp-established")
    received = Counter("bytes/s", "received by an interface", name="traffic-*-rxbytes")
    sent = Counter("bytes/s", "sent by an interface", name="traffic-*-txbytes")
    disk_used = Gauge("KiB", "in use of a file system, by its device", name="disk-usage-*-used")
    disk_available = Gauge("KiB", "available to users of a file system", name="disk-usage-*-available")
    reads = Counter("operations/s", "reads of a block device", name="disk-io-*-read-ios")
    writes = Counter("operations/s", "writes of a block device", name="disk-io-*-write-ios")
    read_sectors = Counter("sectors/s", "read from a block device", name="disk-io-*-read-sectors")
    written_sectors = Counter("sectors/s", "written to a block device", name="disk-io-*-write-sectors")

    everything = user + nice + system + idle + iowait + irq + softirq + steal + guest + guest_nice
    disk_total = disk_used + disk_available

    graphs = (
        Graph(
            "traffic",
            "Traffic",
            Area(BITS * received, "Inbound", "2f9e44"),
            Line(BITS * sent, "Outbound", "1c4fd8"),
            unit="bit/s",
            legend=LEGEND,
        ),
        Graph(
            "cpu",
            "CPU Usage",
            Stack(100 * user / everything, "User", "1f78b4"),
            Stack(100 * nice / everything, "Nice", "33a02c"),
            Stack(100 * system / everything, "System", "e31a1c"),
            Stack(100 * idle / everything, "Idle", "d9dee3"),
            Stack(100 * iowait / everything, "Wait", "ff7f00"),
            Stack(100 * irq / everything, "Intr", "6a3d9a"),
            Stack(100 * softirq / everything, "SoftIRQ", "cab2d6"),
            Stack(100 * steal / everything, "Steal", "b15928"),
            Stack(100 * guest / everything, "Guest", "a6cee3"),
            Stack(100 * guest_nice / everything, "GstNice", "b2df8a"),
            unit="percent",
            upper=100.0,
            rigid=True,
            legend=LEGEND,
        ),
        Graph(
            "loadavg-1",
            "Load Average",
            Area(load1, "Load Average", "2f9e44"),
            Line(load5, "5 minutes", "e8890c"),
            Line(load15, "15 minutes", "8a63d2"),
            Line(processors, "CPU Core", "d1495b", dashes=(3, 6)),
            unit="processes",
            upper=2.0,
            legend=LEGEND,
        ),
        Graph(
            "memory-usage",
            "Memory Usage",
            Stack(used, "used", "f4c95d"),
            Stack(buffers, "buffers", "9aa5e8"),
            Stack(cached, "cached", "6673d9"),
            Stack(free, "avail real", "8fd694"),
            Line(swap_used, "used swap", "e5484d", width=2),
            Line(swap_total, "total swap", "8e2a8b", dashes=(2, 4)),
            Line(total, "total real", "14213d", width=2),
            unit="bytes",
            base=1024,
            legend=LEGEND,
        ),
        Graph(
            "memory-rest",
            "Memory, as old agents tell it",
            Line(inactive, "inactive", "6673d9"),
            Line(swap_free, "free swap", "8e2a8b"),
            unit="bytes",
            base=1024,
            legend=LEGEND,
        ),
        Graph(
            "tcp-established",
            "TCP Established",
            Area(established, "Established", "2f9e44"),
            unit="connections",
            legend=LEGEND,
        ),
        Graph(
            "disk-usage",
            "Disk Usage",
            Area(KIB * disk_total, "Total", "f3b6ee"),
            Area(KIB * disk_used, "Used", "b44ac0"),
            # Of no height beside bytes, and not seen: it is there for its numbers.
            Line(100 * disk_used / disk_total, "Used %", "ffffff00", unit="percent"),
            Line(Straight(KIB * disk_used), "Prediction", "1b7f3b", dashes=(3, 6)),
            unit="bytes",
            base=1024,
            legend=LEGEND,
        ),
        Graph(
            "disk-io-byte",
            "Disk IO",
            Stack(SECTOR * read_sectors, "Read", "2f9e44"),
            Stack(SECTOR * written_sectors, "Write", "1c4fd8"),
            unit="bytes/s",
            base=1024,
            legend=LEGEND,
        ),
        Graph(
            "disk-io-count",
            "Disk IO Count",
            Stack(reads, "Read", "a3abb5"),
            Stack(writes, "Write", "8e2a8b"),
            unit="operations/s",
            legend=LEGEND,
        ),
    )
    groups = {
        "traffic": "Traffic(*)",
        **dict.fromkeys(("cpu", "loadavg-1", "memory-usage", "memory-rest", "tcp-established"), "CPU Memory"),
        "disk-usage": "Disk Usage(*)",
        "disk-io-byte": "Disk IO(*)",
        "disk-io-count": "Disk IO(*)",
    }

    async def collect(self) -> None:
        raise CollectError("expected Kurado's agent to push this; there is nothing to collect")
