"""The load averages and processes of this machine, from /proc/loadavg; names are Diamond's LoadAverageCollector's."""

from __future__ import annotations

from monitor.collector import Area, CollectError, Collector, Gauge, Graph, Line, option


def parse(text: str) -> tuple[float, float, float, int, int]:
    """Return the averages over 1, 5 and 15 minutes, the running and all processes of /proc/loadavg."""
    try:
        one, five, fifteen, processes, *_ = text.split()
        running, _, total = processes.partition("/")
        return float(one), float(five), float(fifteen), int(running), int(total)
    except ValueError:
        raise CollectError(f"expected '0.20 0.18 0.12 1/80 11206' in loadavg, got {text[:80]!r}") from None


def processors(stat: str) -> int:
    """Return how many processors /proc/stat lists."""
    return sum(line[:3] == "cpu" and line[3:4].isdigit() for line in stat.splitlines())


class LoadAverageCollector(Collector):
    path = "loadavg"
    local = True

    simple: bool = option(False, "publish only the average over a minute, as load and load_normalized")

    one = Gauge("processes", "load average over 1 minute", name="01")
    five = Gauge("processes", "load average over 5 minutes", name="05")
    fifteen = Gauge("processes", "load average over 15 minutes", name="15")
    one_each = Gauge("processes", "load average over 1 minute per processor", name="01_normalized")
    five_each = Gauge("processes", "load average over 5 minutes per processor", name="05_normalized")
    fifteen_each = Gauge("processes", "load average over 15 minutes per processor", name="15_normalized")
    load = Gauge("processes", "load average over 1 minute, with simple = True")
    load_each = Gauge("processes", "load average per processor, with simple = True", name="load_normalized")
    running = Gauge("processes", "processes that run or wait for a processor", name="processes_running")
    total = Gauge("processes", "processes and threads", name="processes_total")

    graphs = (
        Graph(
            "load",
            "Load average",
            Area(one, "1 minute", "a6cee3"),
            Line(five, "5 minutes", "1f78b4"),
            Line(fifteen, "15 minutes", "e31a1c"),
            unit="processes",
        ),
        Graph(
            "load_normalized",
            "Load average per processor",
            Area(one_each, "1 minute", "a6cee3"),
            Line(five_each, "5 minutes", "1f78b4"),
            Line(fifteen_each, "15 minutes", "e31a1c"),
            unit="processes",
        ),
        Graph(
            "load_simple",
            "Load average (simple)",
            Area(load, "load", "a6cee3"),
            Line(load_each, "per processor", "1f78b4"),
            unit="processes",
        ),
        Graph(
            "processes",
            "Processes",
            Area(total, "all", "b2df8a"),
            Line(running, "running", "e31a1c"),
            unit="processes",
        ),
    )
    targets = {
        "loadavg": Graph(
            "loadavg", "Load average", Area(five, "Load Average", "00cc00b4"), legend=("Max", "Average", "Current")
        )
    }

    async def collect(self) -> None:
        one, five, fifteen, running, total = parse((self.proc / "loadavg").read_text())
        count = processors((self.proc / "stat").read_text()) or 1
        if self.simple:
            self.publish(self.load, one)
            self.publish(self.load_each, one / count)
        else:
            self.publish(self.one, one)
            self.publish(self.five, five)
            self.publish(self.fifteen, fifteen)
            self.publish(self.one_each, one / count)
            self.publish(self.five_each, five / count)
            self.publish(self.fifteen_each, fifteen / count)
        self.publish(self.running, running)
        self.publish(self.total, total)
