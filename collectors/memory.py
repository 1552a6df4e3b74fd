"""Memory and swap of this machine, from /proc/meminfo; names are those of Diamond's MemoryCollector, in bytes."""

from __future__ import annotations

import re

from monitor.collector import UNITS, Area, CollectError, Collector, Gauge, Graph, Line, Stack, option

LINE = re.compile(r"^(\S+):\s+(\d+)( kB)?$", re.MULTILINE)
NAMES = {
    "MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "Active", "Dirty", "Inactive", "Shmem", "SwapTotal",
    "SwapFree", "SwapCached", "VmallocTotal", "VmallocUsed", "VmallocChunk", "Committed_AS",
}  # fmt: skip


def parse(text: str) -> dict[str, int]:
    """Return the lines of /proc/meminfo that have a unit, in bytes."""
    found = {name: int(count) * 1024 for name, count, unit in LINE.findall(text) if unit}
    if "MemTotal" not in found:
        raise CollectError(f"expected a line 'MemTotal: N kB' in meminfo, got {text[:80]!r}")
    return found


class MemoryCollector(Collector):
    path = "memory"
    local = True

    detailed: bool = option(False, "publish all lines that have a unit")
    byte_unit: list[str] = option(["byte"], "unit of the values, such as byte or megabyte; graphs take it for bytes")

    total = Gauge("bytes", "usable memory", name="MemTotal")
    free = Gauge("bytes", "memory that nothing uses", name="MemFree")
    available = Gauge("bytes", "memory that programs can get without swapping", name="MemAvailable")
    buffers = Gauge("bytes", "buffers of block devices", name="Buffers")
    cached = Gauge("bytes", "page cache", name="Cached")
    active = Gauge("bytes", "used lately", name="Active")
    dirty = Gauge("bytes", "waiting to be written to disk", name="Dirty")
    inactive = Gauge("bytes", "not used lately", name="Inactive")
    shared = Gauge("bytes", "shared memory and tmpfs (part of the page cache)", name="Shmem")
    swap_total = Gauge("bytes", "swap space", name="SwapTotal")
    swap_free = Gauge("bytes", "swap space that nothing uses", name="SwapFree")
    swap_cached = Gauge("bytes", "memory that also lies in swap", name="SwapCached")
    vmalloc_total = Gauge("bytes", "address space of vmalloc", name="VmallocTotal")
    vmalloc_used = Gauge("bytes", "vmalloc memory in use", name="VmallocUsed")
    vmalloc_chunk = Gauge("bytes", "largest free block of vmalloc", name="VmallocChunk")
    committed = Gauge("bytes", "memory that programs may still claim", name="Committed_AS")
    percent = Gauge("percent", "memory in use: all but what is available", name="MemUsedPercentage")

    graphs = (
        Graph(
            "memory",
            "Memory",
            Stack(total - free - buffers - cached, "used", "fb9a99"),
            Stack(buffers, "buffers", "fdbf6f"),
            Stack(cached, "cached", "a6cee3"),
            Stack(free, "free", "d9dee3"),
            Line(available, "available", "33a02c"),
            Line(total, "total", "000000"),
            unit="bytes",
            base=1024,
        ),
        Graph("used", "Memory in use", Area(percent, "used", "fb9a99"), unit="percent", upper=100.0),
        Graph(
            "pages",
            "Active and waiting memory",
            Line(active, "active", "1f78b4"),
            Line(inactive, "inactive", "a6cee3"),
            Line(shared, "shared", "33a02c"),
            Line(dirty, "dirty", "e31a1c"),
            Line(committed, "committed", "6a3d9a"),
            unit="bytes",
            base=1024,
        ),
        Graph(
            "swap",
            "Swap",
            Stack(swap_total - swap_free, "used", "e31a1c"),
            Stack(swap_free, "free", "d9dee3"),
            Line(swap_cached, "cached", "1f78b4"),
            unit="bytes",
            base=1024,
        ),
        Graph(
            "vmalloc",
            "Kernel's virtual memory",
            Area(vmalloc_used, "used", "a6cee3"),
            Line(vmalloc_chunk, "largest free block", "1f78b4"),
            unit="bytes",
            base=1024,
        ),
        Graph("vmalloc_total", "Address space of vmalloc", Line(vmalloc_total, "total"), unit="bytes", base=1024),
    )
    targets = {
        "memory": Graph(
            "memory",
            "Memory",
            Area(total * percent / 100, "Used", "00cc00b4"),
            Line(cached, "Cached", "0000ffb4"),
            unit="bytes",
            base=1024,
            legend=("Max", "Average", "Current"),
        )
    }

    async def collect(self) -> None:
        found = parse((self.proc / "meminfo").read_text())
        size = UNITS[" ".join(self.byte_unit).split()[0]] if self.byte_unit else 1.0
        for name, value in found.items():
            if self.detailed or name in NAMES:
                self.publish(name, value / size if size != 1 else value)
        # Kernels before 3.14 do not tell what is available.
        available = found.get("MemAvailable", sum(found.get(name, 0) for name in ("MemFree", "Buffers", "Cached")))
        total = found["MemTotal"]
        self.publish(self.percent, 100 * (total - available) / total if total else None)
