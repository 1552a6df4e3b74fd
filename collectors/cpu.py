"""Where the processors' time goes, from /proc/stat; names and units are those of Diamond's CPUCollector.

The values are jiffies per second: 100 is one processor busy in that state (USER_HZ is 100 on every Linux).
"""

from __future__ import annotations

from monitor.collector import Area, CollectError, Collector, Counter, Gauge, Graph, Line, Stack, option

STATES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")


def parse(stat: str) -> dict[str, dict[str, int]]:
    """Return the jiffies of every state that the kernel has, for 'total' and for each processor ('cpu0', …)."""
    found = {}
    for line in stat.splitlines():
        name, _, counts = line.partition(" ")
        if name.startswith("cpu"):
            try:
                found["total" if name == "cpu" else name] = dict(zip(STATES, map(int, counts.split()), strict=False))
            except ValueError:
                raise CollectError(f"expected counts after {name!r} in stat, got {counts[:80]!r}") from None
    if "total" not in found:
        raise CollectError(f"expected a line 'cpu …' in stat, got {stat[:80]!r}")
    return found


def busy(before: dict[str, int], now: dict[str, int]) -> float | None:
    """Return the share of time, in percent, in which a program or the kernel ran; None while no time has passed."""
    user, nice, system, idle = (now[state] - before[state] for state in STATES[:4])
    passed = user + nice + system + idle
    return 100 - 100 * idle / passed if passed > 0 and idle >= 0 else None


class CPUCollector(Collector):
    path = "cpu"
    local = True

    percore: bool = option(True, "publish each processor too, beside the total")
    normalize: bool = option(False, "divide the total by the number of processors")
    simple: bool = option(False, "publish only the share of time in which something ran, as percent")

    count = Gauge("processors", "processors that are online", name="cpu_count")
    percent = Gauge("percent", "time in which something ran, with simple = True")
    user = Counter("jiffies/s", "running programs", name="total.user")
    nice = Counter("jiffies/s", "running programs of low priority", name="total.nice")
    system = Counter("jiffies/s", "in the kernel", name="total.system")
    idle = Counter("jiffies/s", "nothing to do", name="total.idle")
    iowait = Counter("jiffies/s", "nothing to do but a disk is waited for", name="total.iowait")
    irq = Counter("jiffies/s", "serving interrupts", name="total.irq")
    softirq = Counter("jiffies/s", "serving soft interrupts", name="total.softirq")
    steal = Counter("jiffies/s", "taken by the hypervisor", name="total.steal")
    guest = Counter("jiffies/s", "running guests (also counted in user)", name="total.guest")
    guest_nice = Counter("jiffies/s", "running guests of low priority (also in nice)", name="total.guest_nice")
    core_user = Counter("jiffies/s", "running programs, of one processor", name="cpu*.user")
    core_nice = Counter("jiffies/s", "programs of low priority, of one processor", name="cpu*.nice")
    core_system = Counter("jiffies/s", "in the kernel, of one processor", name="cpu*.system")
    core_idle = Counter("jiffies/s", "nothing to do, of one processor", name="cpu*.idle")
    core_iowait = Counter("jiffies/s", "waiting for a disk, of one processor", name="cpu*.iowait")
    core_irq = Counter("jiffies/s", "serving interrupts, of one processor", name="cpu*.irq")
    core_softirq = Counter("jiffies/s", "serving soft interrupts, of one processor", name="cpu*.softirq")
    core_steal = Counter("jiffies/s", "taken by the hypervisor, of one processor", name="cpu*.steal")
    core_guest = Counter("jiffies/s", "running guests, of one processor", name="cpu*.guest")
    core_guest_nice = Counter("jiffies/s", "guests of low priority, of one processor", name="cpu*.guest_nice")

    # Guests are counted in user and nice already.
    kernel = system + irq + softirq
    everything = user + nice + system + idle + iowait + irq + softirq + steal
    core_everything = (
        core_user + core_nice + core_system + core_idle + core_iowait + core_irq + core_softirq + core_steal
    )

    graphs = (
        Graph(
            "cpu",
            "CPU usage",
            Stack(100 * system / everything, "system", "e31a1c"),
            Stack(100 * user / everything, "user", "1f78b4"),
            Stack(100 * nice / everything, "nice", "33a02c"),
            Stack(100 * iowait / everything, "iowait", "ff7f00"),
            Stack(100 * irq / everything, "irq", "6a3d9a"),
            Stack(100 * softirq / everything, "softirq", "cab2d6"),
            Stack(100 * steal / everything, "steal", "b15928"),
            Stack(100 * idle / everything, "idle", "d9dee3"),
            unit="percent",
            upper=100.0,
            rigid=True,
        ),
        Graph("simple", "CPU usage (simple)", Area(percent, "busy", "1f78b4"), unit="percent", upper=100.0, rigid=True),
        Graph(
            "guests",
            "CPU given to guests",
            Stack(guest, "guest", "1f78b4"),
            Stack(guest_nice, "guest nice", "a6cee3"),
            Line(100 * count, "all processors", "999999"),
            unit="jiffies/s",
        ),
        Graph(
            "core",
            "Processor",
            Stack(100 * core_system / core_everything, "system", "e31a1c"),
            Stack(100 * core_user / core_everything, "user", "1f78b4"),
            Stack(100 * core_nice / core_everything, "nice", "33a02c"),
            Stack(100 * core_iowait / core_everything, "iowait", "ff7f00"),
            Stack(100 * core_irq / core_everything, "irq", "6a3d9a"),
            Stack(100 * core_softirq / core_everything, "softirq", "cab2d6"),
            Stack(100 * core_steal / core_everything, "steal", "b15928"),
            Line(100 * (core_guest + core_guest_nice) / core_everything, "guests", "000000"),
            unit="percent",
            upper=100.0,
            rigid=True,
        ),
    )
    targets = {
        "cpu": Graph(
            "cpu",
            "CPU usage",
            Area(100 * (user + nice + kernel) / everything, "Kernel + User", "00cc00b4"),
            Line(100 * kernel / everything, "Kernel", "0000ffb4"),
            unit="percent",
            upper=100.0,
            rigid=True,
            legend=("Max", "Average", "Current"),
        ),
        "iowait": Graph(
            "iowait",
            "IO wait",
            Area(100 * iowait / everything, "IO Wait", "00cc00b4"),
            unit="percent",
            legend=("Max", "Average", "Current"),
        ),
    }

    _before: dict[str, int] | None = None

    async def collect(self) -> None:
        found = parse((self.proc / "stat").read_text())
        if self.simple:
            before, self._before = self._before, found["total"]
            self.publish(self.percent, busy(before, found["total"]) if before else None)
            return
        cores = len(found) - 1
        self.publish(self.count, cores)
        for name, states in found.items():
            if name == "total":
                share = cores if self.normalize and cores else 1
                for state, jiffies in states.items():
                    self.publish_counter(f"total.{state}", jiffies / share if share != 1 else jiffies)
            elif self.percore:
                for state, jiffies in states.items():
                    self.publish_counter(f"{name}.{state}", jiffies)
