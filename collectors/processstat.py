"""Context switches and processes of this machine, from /proc/stat; named as by Diamond's ProcessStatCollector."""

from __future__ import annotations

from monitor.collector import CollectError, Collector, Counter, Gauge, Graph, Line

NAMES = ("ctxt", "processes", "procs_running", "procs_blocked", "btime")


def parse(text: str) -> dict[str, int]:
    """Return the lines of /proc/stat that hold one count."""
    found = {}
    for line in text.splitlines():
        name, _, count = line.partition(" ")
        if name in NAMES and count.isascii() and count.isdigit():
            found[name] = int(count)
    if "ctxt" not in found:
        raise CollectError(f"expected a line 'ctxt N' in stat, got {text[:80]!r}")
    return found


class ProcessStatCollector(Collector):
    path = "proc"
    local = True
    needs_enabling = True

    switches = Counter("switches/s", "context switches", name="ctxt")
    started = Counter("processes/s", "processes and threads started", name="processes")
    running = Gauge("processes", "that run or wait for a processor", name="procs_running")
    blocked = Gauge("processes", "that wait for a disk", name="procs_blocked")
    booted = Gauge("seconds", "when the machine was started, in seconds since 1970", name="btime")

    graphs = (
        Graph("switches", "Context switches", Line(switches, "switches", "1f78b4"), unit="switches/s"),
        Graph("started", "Processes started", Line(started, "started", "33a02c"), unit="processes/s"),
        Graph(
            "processes",
            "Processes that run and that wait for a disk",
            Line(running, "running", "1f78b4"),
            Line(blocked, "blocked", "e31a1c"),
            unit="processes",
        ),
        Graph("booted", "Time of the start", Line(booted, "start", "6a3d9a"), unit="seconds"),
    )

    async def collect(self) -> None:
        found = parse((self.proc / "stat").read_text())
        self.publish(self.switches, found.get("ctxt"))
        self.publish(self.started, found.get("processes"))
        self.publish(self.running, found.get("procs_running"))
        self.publish(self.blocked, found.get("procs_blocked"))
        self.publish(self.booted, found.get("btime"))
