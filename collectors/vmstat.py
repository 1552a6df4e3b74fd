"""Paging and swapping of this machine, from /proc/vmstat; names are those of Diamond's VMStatCollector."""

from __future__ import annotations

from monitor.collector import CollectError, Collector, Counter, Graph, Line

NAMES = ("pgfault", "pgmajfault", "pgpgin", "pgpgout", "pswpin", "pswpout")


def parse(text: str) -> dict[str, int]:
    """Return the six counts of /proc/vmstat."""
    found = {}
    for line in text.splitlines():
        name, _, count = line.partition(" ")
        if name in NAMES and count.isascii() and count.isdigit():
            found[name] = int(count)
    if "pgfault" not in found:
        raise CollectError(f"expected a line 'pgfault N' in vmstat, got {text[:80]!r}")
    return found


class VMStatCollector(Collector):
    path = "vmstat"
    local = True

    faults = Counter("faults/s", "page faults, those that need no disk included", name="pgfault")
    major = Counter("faults/s", "page faults that had to read from disk", name="pgmajfault")
    read = Counter("KiB/s", "read from block devices", name="pgpgin")
    written = Counter("KiB/s", "written to block devices", name="pgpgout")
    swapped_in = Counter("pages/s", "pages read from swap", name="pswpin")
    swapped_out = Counter("pages/s", "pages written to swap", name="pswpout")

    graphs = (
        Graph(
            "faults",
            "Page faults",
            Line(faults, "all", "a6cee3"),
            Line(major, "from disk", "e31a1c"),
            unit="faults/s",
        ),
        Graph(
            "blocks",
            "Read from and written to block devices",
            Line(read, "read", "33a02c"),
            Line(written, "written", "1f78b4"),
            unit="KiB/s",
        ),
        Graph(
            "swapping",
            "Swapping",
            Line(swapped_in, "from swap", "ff7f00"),
            Line(swapped_out, "to swap", "e31a1c"),
            unit="pages/s",
        ),
    )

    async def collect(self) -> None:
        found = parse((self.proc / "vmstat").read_text())
        for name in NAMES:
            if name in found:
                self.publish_counter(name, found[name])
