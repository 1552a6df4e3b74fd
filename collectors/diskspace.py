"""Space on mounted file systems; names are those of Diamond's DiskSpaceCollector.

A file system is called by its label, else by its mount point with `_` for `/`, `.` and blanks: `root` for /, `_var`
for /var, `tmp` for /tmp. One that does not answer (a dead NFS server) is told as meta `no answer`, and holds up none.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
import threading
from pathlib import Path
from typing import Any, NamedTuple

from monitor.collector import (
    Area,
    CollectError,
    Collector,
    Gauge,
    Graph,
    Http,
    Line,
    Seconds,
    Stack,
    Target,
    option,
)

FILE_SYSTEMS = [
    "ext2", "ext3", "ext4", "xfs", "glusterfs", "nfs", "nfs4", "ntfs", "hfs", "fat32", "fat16", "btrfs", "zfs",
    "overlay",
]  # fmt: skip
EXCLUDED = ["^/export/home", "^/var/lib/(docker|containers|containerd|kubelet)/", "^/run/containerd/"]
UNSAFE = re.compile(r"[/.\s]")
ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    device: str
    point: str
    kind: str


class State(NamedTuple):
    """The device behind a mount point, and how full it is."""

    device: int
    space: os.statvfs_result


def parse(text: str) -> list[Mount]:
    """Return the lines of /proc/mounts; blanks in names are written there as \\040."""
    found = []
    for line in text.splitlines():
        words = [ESCAPED.sub(lambda match: chr(int(match[1], 8)), word) for word in line.split(" ")]
        if len(words) < 3:
            raise CollectError(f"expected 'device point type …' in mounts, got {line[:80]!r}")
        found.append(Mount(*words[:3]))
    return found


def called(point: str) -> str:
    """Return Diamond's name of a mount point."""
    if point == "/":
        return "root"
    name = UNSAFE.sub("_", point.replace("\\", ""))
    return "tmp" if name == "_tmp" else name


class DiskSpaceCollector(Collector):
    path = "diskspace"
    local = True

    filesystems: list[str] = option(FILE_SYSTEMS, "types of file systems")
    exclude_filters: list[str] = option(EXCLUDED, "regular expressions of mount points that are left out")
    root: Path = option(Path("/"), "where the root of the watched file systems is mounted, for a container")
    byte_unit: list[str] = option(["byte"], "publish sizes in these units too, such as kilobyte, MB, GiB")
    patience: Seconds = option(Seconds(5), "how long a file system may take to answer", min=0.01)

    used = Gauge("bytes", "used", name="*.byte_used")
    free = Gauge("bytes", "free, what is kept for root included", name="*.byte_free")
    avail = Gauge("bytes", "free for everybody", name="*.byte_avail")
    percent_free = Gauge("percent", "share that is free", name="*.byte_percentfree")
    inodes_used = Gauge("inodes", "used", name="*.inodes_used")
    inodes_free = Gauge("inodes", "free", name="*.inodes_free")
    inodes_avail = Gauge("inodes", "free for everybody", name="*.inodes_avail")
    inodes_percent_free = Gauge("percent", "share of inodes that is free", name="*.inodes_percentfree")

    graphs = (
        Graph(
            "space",
            "Disk space",
            Stack(used, "used", "1f78b4"),
            Stack(avail, "available", "b2df8a"),
            Line(used + free, "total", "000000"),
            unit="bytes",
            base=1024,
        ),
        Graph(
            "percent",
            "Disk space in use",
            Area(100 - percent_free, "space", "a6cee3"),
            Line(100 - inodes_percent_free, "inodes", "e31a1c"),
            unit="percent",
            upper=100.0,
        ),
        Graph(
            "inodes",
            "Inodes",
            Stack(inodes_used, "used", "1f78b4"),
            Stack(inodes_avail, "available", "b2df8a"),
            Line(inodes_used + inodes_free, "total", "000000"),
            unit="inodes",
        ),
    )

    def __init__(self, target: Target, http: Http, *, section: str = "", **options: Any) -> None:
        super().__init__(target, http, section=section, **options)
        self._asked: dict[str, asyncio.Future[State | None]] = {}

    async def collect(self) -> None:
        excluded = [re.compile(pattern) for pattern in self.exclude_filters]
        wanted = [
            mount
            for mount in parse((self.proc / "mounts").read_text())
            if mount.kind in self.filesystems and not any(pattern.match(mount.point) for pattern in excluded)
        ]
        states = await self._states({mount.point for mount in wanted})
        labels, seen = self._labels(), set()
        for mount in wanted:
            state = states.get(mount.point)
            if state is not None and state.device not in seen:
                seen.add(state.device)
                self._publish(labels.get(mount.device) or called(mount.point), state.space)
        if not seen:
            asked = ", ".join(mount.point for mount in wanted) or "none"
            raise CollectError(f"expected a file system of {', '.join(self.filesystems)} that answers, got {asked}")
        self.publish_units(self.byte_unit)
        if self._asked:
            self.meta("no answer", ", ".join(sorted(self._asked)))

    def _publish(self, name: str, found: os.statvfs_result) -> None:
        self.publish(self.used.of(name), (found.f_blocks - found.f_bfree) * found.f_frsize)
        self.publish(self.free.of(name), found.f_bfree * found.f_frsize)
        self.publish(self.avail.of(name), found.f_bavail * found.f_frsize)
        self.publish(self.percent_free.of(name), 100 * found.f_bfree / found.f_blocks if found.f_blocks else None)
        self.publish(self.inodes_used.of(name), found.f_files - found.f_ffree)
        self.publish(self.inodes_free.of(name), found.f_ffree)
        self.publish(self.inodes_avail.of(name), found.f_favail)
        self.publish(self.inodes_percent_free.of(name), 100 * found.f_ffree / found.f_files if found.f_files else None)

    async def _states(self, points: set[str]) -> dict[str, State | None]:
        """Ask all at once, each in a thread of its own that may hang without holding up the loop or the end."""
        for point in points - self._asked.keys():
            self._asked[point] = self._ask(self.root / point.lstrip("/"))
        if self._asked:
            await asyncio.wait(self._asked.values(), timeout=min(self.patience, self.interval / 4))
        answered = {point: future for point, future in self._asked.items() if future.done()}
        for point in answered:
            del self._asked[point]
        return {point: future.result() for point, future in answered.items()}

    def _ask(self, place: Path) -> asyncio.Future[State | None]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[State | None] = loop.create_future()

        def answer() -> None:
            state = self.look(place)
            if not loop.is_closed():
                loop.call_soon_threadsafe(future.set_result, state)

        threading.Thread(target=answer, daemon=True, name="diskspace").start()
        return future

    def look(self, place: Path) -> State | None:
        """Return how full a file system is; None where there is none for us: no rights, mounted over, a single file."""
        try:
            found = place.stat()
            return State(found.st_dev, os.statvfs(place)) if stat.S_ISDIR(found.st_mode) else None
        except OSError:
            return None

    def _labels(self) -> dict[str, str]:
        """Return the labels of devices that have one."""
        folder = self.root / "dev/disk/by-label"
        return {os.path.realpath(link): link.name for link in folder.iterdir()} if folder.is_dir() else {}
