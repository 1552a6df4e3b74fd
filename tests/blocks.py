"""Blocks for tests, from plain tuples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.batch import Block, Kind, Layout, Source


def block(*rows: tuple[Source, float, Sequence[float]], names: Sequence[str] = ("a",)) -> Block:
    """Return a block of gauges: one (source, time, values) a row."""
    layout = Layout(tuple(names), (Kind.GAUGE,) * len(names))
    times = np.array([time for _, time, _ in rows], dtype=np.float64)
    count = len(rows)
    return Block(
        layout, [source for source, _, _ in rows], times, times - 60, np.full(count, 60.0),
        np.array([values for _, _, values in rows], dtype=np.float64).reshape(count, len(names)),
        np.zeros((count, 0), dtype=np.uint64), np.zeros((count, 0), dtype=np.uint8),
    )  # fmt: skip


class DiamondNaming:
    """Diamond's path rule with its defaults."""

    def path(self, source: Source) -> str:
        host = source.host.replace(".", "_")
        return f"servers.{host}.{source.collector}" + (f".{source.instance}" if source.instance else "")

    def hostname(self, host: str) -> str:
        return host
