"""Open files of this machine, from /proc/sys/fs/file-nr; names are those of Diamond's FilestatCollector."""

from __future__ import annotations

from monitor.collector import Area, CollectError, Collector, Gauge, Graph, Line


def parse(text: str) -> tuple[int, int, int]:
    """Return how many files the kernel has, how many of them nothing uses, and how many it may have."""
    words = text.split()
    if len(words) != 3 or not all(word.isascii() and word.isdigit() for word in words):
        raise CollectError(f"expected '1770 0 2466170' in file-nr, got {text[:80]!r}")
    assigned, unused, most = map(int, words)
    return assigned, unused, most


class FilestatCollector(Collector):
    path = "files"
    local = True
    needs_enabling = True

    assigned = Gauge("files", "open files that the kernel has allocated")
    unused = Gauge("files", "allocated, of no use now; 0 on today's kernels")
    most = Gauge("files", "how many may be open", name="max")

    graphs = (
        Graph(
            "files",
            "Open files",
            Area(assigned, "allocated", "a6cee3"),
            Line(unused, "unused", "1f78b4"),
            unit="files",
        ),
        Graph("limit", "Limit of open files", Line(most, "limit", "e31a1c"), unit="files"),
    )

    async def collect(self) -> None:
        assigned, unused, most = parse((self.proc / "sys/fs/file-nr").read_text())
        self.publish(self.assigned, assigned)
        self.publish(self.unused, unused)
        self.publish(self.most, most)
