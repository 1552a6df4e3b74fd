"""What the processes of a group use, added up; names are those of Diamond's ProcessResourcesCollector.

A group is a section of its own, whose word is its name:

    [[ProcessResourcesCollector postgres]]
    enabled = True
    name = ^postgres, ^pg

Of processes of other users not all can be read without rights (open files, input and output): what cannot be read of
one is unknown of the group.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from collectors._processes import TICKS, Stat, cmdline, counts, exe, parse, used
from monitor.collector import CollectError, Collector, Gauge, Graph, Http, Line, Target, option


class ProcessResourcesCollector(Collector):
    path = "process"
    nested = "process"
    local = True
    needs_enabling = True

    exe: list[str] = option([], "regular expressions that are searched for in the path of the program")
    name: list[str] = option([], "regular expressions that are searched for in the name of the process")
    cmdline: list[str] = option([], "regular expressions that are searched for in the command line")
    selfmon: bool = option(False, "this program's own process is one of the group")
    count_workers: bool = option(False, "publish how many processes the group has, as workers_count")

    voluntary = Gauge("switches", "context switches of processes that waited", name="num_ctx_switches.voluntary")
    involuntary = Gauge("switches", "context switches by force", name="num_ctx_switches.involuntary")
    percent = Gauge("percent", "time of processors since the last collection; 100 is one", name="cpu_percent", min=0)
    user = Gauge("seconds", "in programs since the processes began", name="cpu_times.user", min=0)
    system = Gauge("seconds", "in the kernel since the processes began", name="cpu_times.system", min=0)
    children_user = Gauge("seconds", "as user, of children that ended", name="cpu_times.children_user", min=0)
    children_system = Gauge("seconds", "as system, of children that ended", name="cpu_times.children_system", min=0)
    reads = Gauge("operations", "read calls since the processes began", name="io_counters.read_count")
    writes = Gauge("operations", "write calls since the processes began", name="io_counters.write_count")
    read = Gauge("bytes", "read from disks since the processes began", name="io_counters.read_bytes")
    written = Gauge("bytes", "written to disks since the processes began", name="io_counters.write_bytes")
    threads = Gauge("threads", "of all processes", name="num_threads")
    files = Gauge("files", "open files", name="num_fds")
    memory = Gauge("percent", "of this machine's memory", name="memory_percent", min=0)
    vms = Gauge("bytes", "address space", name="memory_info_ex.vms")
    rss = Gauge("bytes", "in memory", name="memory_info_ex.rss")
    shared = Gauge("bytes", "in memory, of files and shared memory", name="memory_info_ex.shared")
    text = Gauge("bytes", "code", name="memory_info_ex.text")
    lib = Gauge("bytes", "libraries; 0 on today's kernels", name="memory_info_ex.lib")
    data = Gauge("bytes", "data and stack", name="memory_info_ex.data")
    dirty = Gauge("bytes", "dirty pages; 0 on today's kernels", name="memory_info_ex.dirty")
    uptime = Gauge("seconds", "since the processes began, of all of them together", min=0)
    workers = Gauge("processes", "in the group, with count_workers = True", name="workers_count")

    graphs = (
        Graph("cpu", "Processor time", Line(percent, "all", "1f78b4"), unit="percent"),
        Graph(
            "times",
            "Processor time since the beginning",
            *(Line(user, "user", "1f78b4"), Line(system, "system", "e31a1c")),
            *(Line(children_user, "children, user", "a6cee3"), Line(children_system, "children, system", "fb9a99")),
            unit="seconds",
        ),
        Graph(
            "memory",
            "Memory",
            *(Line(rss, "resident", "1f78b4"), Line(shared, "shared", "33a02c"), Line(data, "data", "ff7f00")),
            *(Line(text, "code", "6a3d9a"), Line(lib, "libraries"), Line(dirty, "dirty", "e31a1c")),
            unit="bytes",
            base=1024,
        ),
        Graph("space", "Address space", Line(vms, "virtual", "6a3d9a"), unit="bytes", base=1024),
        Graph("share", "Share of memory", Line(memory, "memory", "1f78b4"), unit="percent"),
        Graph("threads", "Threads", Line(threads, "threads", "1f78b4"), unit="threads"),
        Graph("files", "Open files", Line(files, "files", "33a02c"), unit="files"),
        Graph("io", "Bytes", Line(read, "read", "33a02c"), Line(written, "written", "1f78b4"), unit="bytes", base=1024),
        Graph("calls", "Calls", Line(reads, "read", "33a02c"), Line(writes, "write", "1f78b4"), unit="operations"),
        Graph(
            "switches",
            "Context switches",
            *(Line(voluntary, "voluntary", "33a02c"), Line(involuntary, "involuntary", "e31a1c")),
            unit="switches",
        ),
        Graph("uptime", "Time since the beginning", Line(uptime, "up", "b2df8a"), unit="seconds"),
        Graph("workers", "Processes", Line(workers, "processes", "1f78b4"), unit="processes"),
    )

    def __init__(self, target: Target, http: Http, *, section: str = "", **options: Any) -> None:
        super().__init__(target, http, section=section, **options)
        self._spent: dict[tuple[str, int], float] = {}
        self._at = 0.0

    async def collect(self) -> None:
        patterns = [*self._compiled("exe"), *self._compiled("name"), *self._compiled("cmdline")]
        if not patterns and not self.selfmon:
            raise CollectError("expected one of exe, name and cmdline, or selfmon = True")
        found, number = await asyncio.to_thread(self._sum, patterns)
        for name, value in found.items():
            self.publish_gauge(name, value)
        if self.count_workers:
            self.publish(self.workers, number)

    def _compiled(self, name: str) -> Iterator[tuple[str, re.Pattern[str]]]:
        for pattern in getattr(self, name):
            try:
                yield name, re.compile(pattern)
            except re.error as error:
                raise CollectError(f"expected regular expressions in {name}, got {pattern[:80]!r}: {error}") from None

    def _sum(self, patterns: list[tuple[str, re.Pattern[str]]]) -> tuple[dict[str, float], int]:
        """Return the sums of all processes that match, and how many they are."""
        up = float((self.proc / "uptime").read_text().partition(" ")[0])
        size = counts((self.proc / "meminfo").read_text()).get("MemTotal", 0) * 1024
        sums: dict[str, float] = {}
        spent, number = {}, 0
        for folder in self.proc.iterdir():
            if not folder.name.isdigit():
                continue
            try:
                stat = parse((folder / "stat").read_text(errors="replace"))
                if not self._matches(folder, stat, patterns):
                    continue
                values = used(folder, stat)
            except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                continue
            now = spent[folder.name, stat.start] = (stat.user + stat.system) / TICKS
            before = self._spent.get((folder.name, stat.start))
            gone = up - self._at
            values["cpu_percent"] = 0.0 if before is None or gone <= 0 else 100 * (now - before) / gone
            values["memory_percent"] = 100 * values["memory_info_ex.rss"] / size if size else math.nan
            values["uptime"] = up - stat.start / TICKS
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value
            number += 1
        self._spent, self._at = spent, up
        return sums, number

    def _matches(self, folder: Path, stat: Stat, patterns: list[tuple[str, re.Pattern[str]]]) -> bool:
        if self.selfmon and folder.name == str(os.getpid()):
            return True
        texts = {"name": stat.name}
        for kind, pattern in patterns:
            if kind not in texts:
                texts[kind] = exe(folder) if kind == "exe" else cmdline(folder)
            if pattern.search(texts[kind]):
                return True
        return False
