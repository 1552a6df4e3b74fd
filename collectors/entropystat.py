"""Entropy of the kernel's random numbers, from /proc/sys/kernel/random; named as by Diamond's EntropyStatCollector."""

from __future__ import annotations

from monitor.collector import Area, CollectError, Collector, Gauge, Graph


def parse(text: str) -> int:
    word = text.strip()
    if not (word.isascii() and word.isdigit()):
        raise CollectError(f"expected a number of bits in entropy_avail, got {text[:80]!r}")
    return int(word)


class EntropyStatCollector(Collector):
    path = "entropy"
    local = True
    needs_enabling = True

    available = Gauge("bits", "entropy for random numbers; 256 for good on kernels from 5.18")

    graphs = (Graph("entropy", "Entropy", Area(available, "available", "b2df8a"), unit="bits"),)

    async def collect(self) -> None:
        self.publish(self.available, parse((self.proc / "sys/kernel/random/entropy_avail").read_text()))
