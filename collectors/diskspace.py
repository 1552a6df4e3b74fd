"""Space on mounted file systems; names are those of Diamond's DiskSpaceCollector.

A file system is called by its mount point with `_` for `/` and `.`: `root` for /, `_var` for /var, `tmp` for /tmp.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import NamedTuple

from monitor.collector import Area, CollectError, Collector, Gauge, Graph, Line, Stack, option

FILE_SYSTEMS = [
    "ext2", "ext3", "ext4", "xfs", "glusterfs", "nfs", "nfs4", "ntfs", "hfs", "fat32", "fat16", "btrfs", "overlay", "zfs",
]  # fmt: skip
ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    device: str
    point: str
    kind: str


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
    name = point.replace("/", "_").replace(".", "_").replace("\\", "")
    return "tmp" if name == "_tmp" else name


class DiskSpaceCollector(Collector):
    path = "diskspace"
    local = True

    filesystems: list[str] = option(FILE_SYSTEMS, "types of file systems")
    exclude_filters: list[str] = option(["^/export/home"], "regular expressions of mount points that are left out")
    root: Path = option(Path("/"), "where the root of the watched file systems is mounted, for a container")

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

    async def collect(self) -> None:
        excluded = [re.compile(pattern) for pattern in self.exclude_filters]
        wanted = [
            mount
            for mount in parse((self.proc / "mounts").read_text())
            if mount.kind in self.filesystems and not any(pattern.match(mount.point) for pattern in excluded)
        ]
        # A dead network file system would hold the loop; the thread is given up with the collection's timeout.
        for mount, found in await asyncio.to_thread(self._look, wanted):
            name = called(mount.point)
            self.publish(self.used.of(name), (found.f_blocks - found.f_bfree) * found.f_frsize)
            self.publish(self.free.of(name), found.f_bfree * found.f_frsize)
            self.publish(self.avail.of(name), found.f_bavail * found.f_frsize)
            self.publish(self.percent_free.of(name), 100 * found.f_bfree / found.f_blocks if found.f_blocks else None)
            self.publish(self.inodes_used.of(name), found.f_files - found.f_ffree)
            self.publish(self.inodes_free.of(name), found.f_ffree)
            self.publish(self.inodes_avail.of(name), found.f_favail)
            share = 100 * found.f_ffree / found.f_files if found.f_files else None
            self.publish(self.inodes_percent_free.of(name), share)

    def _look(self, mounts: list[Mount]) -> list[tuple[Mount, os.statvfs_result]]:
        """Return the state of each device once, under the first point where it can be reached."""
        seen, found = set(), []
        for mount in mounts:
            place = self.root / mount.point.lstrip("/")
            try:
                device = place.stat().st_dev
                if device not in seen:
                    found.append((mount, os.statvfs(place)))
                    seen.add(device)
            except OSError:
                # Mounted over, or not for us: Diamond leaves it out, too.
                continue
        if not found:
            raise CollectError(f"no file system of the types {', '.join(self.filesystems)} can be reached")
        return found
