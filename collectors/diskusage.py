"""Work of the disks, from /proc/diskstats; names and units are those of Diamond's DiskUsageCollector (`iostat`).

Most of them are ratios of differences (waits, use, sizes), so this collector keeps the previous reading itself and
publishes gauges: the plain counts are those since the previous run, as in Diamond. Averages per request are unknown
while nothing is done. At the first run only `io_in_progress` is known.
"""

from __future__ import annotations

import re
import time

from monitor.collector import Area, CollectError, Collector, Gauge, Graph, Line, option

FIELDS = (
    "reads", "reads_merged", "reads_sectors", "reads_milliseconds", "writes", "writes_merged", "writes_sectors",
    "writes_milliseconds", "io_in_progress", "io_milliseconds", "io_milliseconds_weighted",
)  # fmt: skip
DEVICES = r"PhysicalDrive[0-9]+$|md[0-9]+$|sd[a-z]+[0-9]*$|x?vd[a-z]+[0-9]*$|disk[0-9]+$|nvme[0-9]+n[0-9]+$|dm-[0-9]+$"
Counts = dict[str, int]


def parse(text: str) -> dict[str, Counts]:
    """Return the counts of every device of /proc/diskstats by Diamond's names; sectors as they stand."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        try:
            found[words[2]] = dict(zip(FIELDS, map(int, words[3:14]), strict=True))
        except (ValueError, IndexError):
            # Partitions of kernels before 2.6.25 have 4 counts.
            if len(words) != 7:
                raise CollectError(f"expected a device with 11 counts in diskstats, got {line[:80]!r}") from None
    return found


def work(before: Counts, now: Counts, seconds: float, sector: int) -> dict[str, float | None]:
    """Return what was done between two readings, by Diamond's names."""
    delta = {name: now[name] - before[name] for name in FIELDS if name != "io_in_progress"}
    if seconds <= 0 or min(delta.values()) < 0:
        return {}
    reads, writes = delta["reads"], delta["writes"]
    read, written = delta.pop("reads_sectors") * sector, delta.pop("writes_sectors") * sector
    requests, busy = reads + writes, delta["io_milliseconds"]

    def each(total: float, count: float) -> float | None:
        return total / count if count else None

    return {
        **delta,
        "reads_byte": read,
        "writes_byte": written,
        "io": requests,
        "iops": requests / seconds,
        "reads_per_second": reads / seconds,
        "writes_per_second": writes / seconds,
        "read_byte_per_second": read / seconds,
        "write_byte_per_second": written / seconds,
        "read_requests_merged_per_second": delta["reads_merged"] / seconds,
        "write_requests_merged_per_second": delta["writes_merged"] / seconds,
        "average_request_size_byte": each(read + written, requests),
        "average_queue_length": delta["io_milliseconds_weighted"] / seconds / 1000,
        "util_percentage": min(100.0, busy / seconds / 10),
        "read_await": each(delta["reads_milliseconds"], reads),
        "write_await": each(delta["writes_milliseconds"], writes),
        "await": each(delta["reads_milliseconds"] + delta["writes_milliseconds"], requests),
        "service_time": each(busy, requests),
        "concurrent_io": busy / seconds / 1000,
    }


class DiskUsageCollector(Collector):
    path = "iostat"
    local = True

    devices: str = option(DEVICES, "regular expression of the devices")
    exclude_devices: str = option("", "regular expression of devices that are left out")
    sector_size: int = option(512, "bytes of a sector in diskstats", min=1)
    byte_unit: list[str] = option(["byte"], "publish sizes in these units too, such as kilobyte, MB, GiB")
    send_zero: bool = option(True, "publish zeros while a disk does nothing (Diamond leaves a gap)")

    reads = Gauge("requests", "reads since the previous run", name="*.reads")
    writes = Gauge("requests", "writes since the previous run", name="*.writes")
    reads_merged = Gauge("requests", "reads merged since the previous run", name="*.reads_merged")
    writes_merged = Gauge("requests", "writes merged since the previous run", name="*.writes_merged")
    reads_ms = Gauge("ms", "time of all reads since the previous run", name="*.reads_milliseconds")
    writes_ms = Gauge("ms", "time of all writes since the previous run", name="*.writes_milliseconds")
    reads_byte = Gauge("bytes", "read since the previous run", name="*.reads_byte")
    writes_byte = Gauge("bytes", "written since the previous run", name="*.writes_byte")
    io_ms = Gauge("ms", "time with something to do since the previous run", name="*.io_milliseconds")
    io_ms_weighted = Gauge("ms", "the same, times the requests waiting", name="*.io_milliseconds_weighted")
    in_progress = Gauge("requests", "requests under way", name="*.io_in_progress")
    io = Gauge("requests", "requests since the previous run", name="*.io")
    iops = Gauge("requests/s", "requests", name="*.iops")
    reads_rate = Gauge("requests/s", "reads", name="*.reads_per_second")
    writes_rate = Gauge("requests/s", "writes", name="*.writes_per_second")
    read_rate = Gauge("bytes/s", "read", name="*.read_byte_per_second")
    write_rate = Gauge("bytes/s", "written", name="*.write_byte_per_second")
    read_merges = Gauge("requests/s", "reads merged", name="*.read_requests_merged_per_second")
    write_merges = Gauge("requests/s", "writes merged", name="*.write_requests_merged_per_second")
    request_size = Gauge("bytes", "mean size of a request", name="*.average_request_size_byte")
    queue = Gauge("requests", "mean number of requests waiting or served", name="*.average_queue_length")
    util = Gauge("percent", "time with something to do", name="*.util_percentage")
    read_await = Gauge("ms", "mean time of a read", name="*.read_await")
    write_await = Gauge("ms", "mean time of a write", name="*.write_await")
    wait = Gauge("ms", "mean time of a request", name="*.await")
    service_time = Gauge("ms", "busy time per request", name="*.service_time")
    concurrent = Gauge("requests", "busy time per time", name="*.concurrent_io")

    graphs = (
        Graph("bytes", "Disk throughput", Area(read_rate, "read", "00cc00b4"), Line(write_rate, "written", "0000ff"),
              unit="bytes/s", base=1024),
        Graph("iops", "Disk requests", Area(reads_rate, "reads", "00cc00b4"), Line(writes_rate, "writes", "0000ff"),
              Line(iops, "all", "000000"), Line(read_merges, "reads merged", "b2df8a"),
              Line(write_merges, "writes merged", "a6cee3"), unit="requests/s"),
        Graph("busy", "Disk busy", Area(util, "busy", "fdbf6f"), unit="percent", upper=100.0),
        Graph("await", "Time of a disk request", Line(read_await, "read", "33a02c"),
              Line(write_await, "write", "1f78b4"), Line(wait, "all", "000000"),
              Line(service_time, "busy time", "ff7f00"), unit="ms"),
        Graph("queue", "Disk queue", Area(queue, "waiting or served", "cab2d6"), Line(in_progress, "now", "6a3d9a"),
              Line(concurrent, "busy", "e31a1c"), unit="requests"),
        Graph("size", "Size of a disk request", Line(request_size, "mean", "1f78b4"), unit="bytes", base=1024),
        Graph("counts", "Disk requests of each run", Line(reads, "reads", "33a02c"), Line(writes, "writes", "1f78b4"),
              Line(io, "all", "000000"), Line(reads_merged, "reads merged", "b2df8a"),
              Line(writes_merged, "writes merged", "a6cee3"), unit="requests"),
        Graph("volume", "Bytes of each run", Line(reads_byte, "read", "33a02c"),
              Line(writes_byte, "written", "1f78b4"), unit="bytes", base=1024),
        Graph("times", "Disk time of each run", Line(reads_ms, "reads", "33a02c"), Line(writes_ms, "writes", "1f78b4"),
              Line(io_ms, "busy", "e31a1c"), Line(io_ms_weighted, "weighted", "6a3d9a"), unit="ms"),
    )  # fmt: skip

    _before: tuple[float, dict[str, Counts]] = (0.0, {})

    async def collect(self) -> None:
        wanted, excluded = re.compile(self.devices), re.compile(self.exclude_devices or r"(?!)")
        now = self.clock()
        there = parse((self.proc / "diskstats").read_text())
        found = {name: there[name] for name in there if wanted.match(name) and not excluded.match(name)}
        if not found:
            names = ", ".join(there) or "none"
            raise CollectError(f"expected a device in diskstats that the option devices matches, got {names}")
        then, before = self._before
        self._before = now, found
        for device, counts in found.items():
            name = device.replace(".", "_")
            self.publish(self.in_progress.of(name), counts["io_in_progress"])
            if device in before:
                done = work(before[device], counts, now - then, self.sector_size)
                if done.get("io") or self.send_zero:
                    for metric, value in done.items():
                        self.publish(f"{name}.{metric}", value)
        self.publish_units(self.byte_unit)

    def clock(self) -> float:
        """Return the seconds by which differences are divided."""
        return time.monotonic()
