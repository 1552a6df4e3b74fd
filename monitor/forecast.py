"""How much disk the history of the inventory will take once every tier is full.

An estimate from what is declared: collectors that are watched, their metrics, and the retention. What is pushed is not
known beforehand and not counted.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monitor.batch import Source
from monitor.collector import Collector
from monitor.config import Config
from monitor.consolidate import CF
from monitor.graph.units import text
from monitor.metric import Metric
from monitor.options import Seconds, options_of
from monitor.retention import DAY, RetentionClass
from monitor.values import render

DEVICES = 4
"""So many devices are assumed where a metric's name has a `*`."""
UNDECLARED = 20
"""So many series are assumed of a collector that declares no metrics."""
PACKED = 3.0
"""Bytes of a value in packed rows or cells, its share of keys and indexes included."""
OPEN = 26 * 3600.0
"""Seconds until the rows of a day are packed: the day itself and what may come late."""
WIDTHS = (1, 3, 8, 20, 40, 50)
ROW_BYTES = (99.5, 115.8, 157.6, 252.0, 428.0, 515.0)
"""Bytes of a row of so many values, its place in the primary key included, as measured."""
WIDER = 8.7
"""Bytes of each value beyond the widest row that was measured."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a class keeps in one resolution."""

    name: str
    keep: float
    bytes: float
    stored: bool = True
    """Not where the collected rows are kept as long."""


@dataclass(frozen=True, slots=True)
class ClassForecast:
    name: str
    series: int
    parts: Sequence[Part]

    @property
    def bytes(self) -> float:
        return sum(part.bytes for part in self.parts)


@dataclass(frozen=True, slots=True)
class Room:
    """The file system that the data lie in: what is free, and what the database has of it already."""

    path: Path
    free: float
    used: float


@dataclass(frozen=True, slots=True)
class Forecast:
    classes: Sequence[ClassForecast]
    room: Room | None
    """None when the database is elsewhere."""

    @property
    def series(self) -> int:
        return sum(one.series for one in self.classes)

    @property
    def bytes(self) -> float:
        return sum(one.bytes for one in self.classes)

    @property
    def warning(self) -> str:
        """What to say when it does not fit, else ''."""
        room = self.room
        if room is None or self.bytes <= room.free + room.used:
            return ""
        return (
            f"[retention]: the history will take about {human(self.bytes)}, and {room.path} has only {human(room.free)}"
            f" free beside the {human(room.used)} that the database has already"
        )

    def lines(self) -> Iterator[str]:
        """Yield the forecast as an aligned table."""
        yield f"Disk space once every tier is full (assumed: {DEVICES} devices where a metric's name has a *,"
        yield f"{UNDECLARED} series of a collector that declares no metrics; what is pushed is not counted):"
        rows = [("class", "series", "tier", "kept", "size")]
        for one in self.classes:
            if not one.series:
                rows.append((one.name, "0", "", "", human(0.0)))
            for number, part in enumerate(one.parts if one.series else ()):
                head = ("", "") if number else (one.name, str(one.series))
                size = human(part.bytes) if part.stored else "as rows"
                rows.append((*head, part.name, render(Seconds, part.keep), size))
        rows.append(("total", str(self.series), "", "", human(self.bytes)))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        for name, *rest in rows:
            aligned = (f"{cell:{'<' if number == 1 else '>'}{widths[number + 1]}}" for number, cell in enumerate(rest))
            yield "  ".join((f"  {name:<{widths[0]}}", *aligned))
        if self.room is not None:
            used = f", and the database has {human(self.room.used)} of it already" if self.room.used else ""
            yield f"{self.room.path} has {human(self.room.free)} free{used}."


def forecast(config: Config) -> Forecast:
    """Return the forecast of a configuration."""
    usual: dict[type[Collector], tuple[int, float]] = {}
    found: dict[str, Counter[tuple[int, int]]] = {spec.kept.name: Counter() for spec in config.classes}
    for job in config.inventory.jobs:
        if job.cls not in usual:
            usual[job.cls] = series_of(job.cls), options_of(job.cls)["interval"].option.default
        width, interval = usual[job.cls]
        interval = max(1, round(float(job.options.get("interval", interval))))
        kept = config.retention_classes.of(Source(job.target.host, job.cls.path, job.section))
        found[kept.name][width, interval] += 1
    return Forecast(
        [_class(spec.kept, found[spec.kept.name]) for spec in config.classes],
        _room(config.data_dir) if config.server.database == "embedded" else None,
    )


def series_of(cls: type[Collector]) -> int:
    """Return how many series a collector is thought to have."""
    metrics = {
        value.name: value
        for owner in reversed(cls.__mro__)
        for value in vars(owner).values()
        if isinstance(value, Metric)
    }
    return sum(DEVICES if "*" in name else 1 for name in metrics) or UNDECLARED


def _class(kept: RetentionClass, sources: Counter[tuple[int, int]]) -> ClassForecast:
    """Return the forecast of a class from the number of its sources of each width and interval."""
    series = sum(width * number for (width, _), number in sources.items())
    span = OPEN if kept.pack else kept.collected + DAY
    rows = sum(row_bytes(width) * number * span / interval for (width, interval), number in sources.items())
    parts = [Part("rows", min(span, kept.collected), rows)]
    if kept.pack:
        values = sum(width * number / interval for (width, interval), number in sources.items())
        parts.append(Part("packed", kept.collected, values * kept.collected * PACKED))
    for tier in kept.tiers:
        # What a coarser tier is to show, the finer one that it is made of must hold.
        shown = {cf for each in kept.stored if each.step >= tier.step for cf in each.functions}
        more = len(shown - {CF.AVERAGE})
        values = sum(
            width * number * (1 if interval >= tier.step else 1 + more) / tier.cell(interval)
            for (width, interval), number in sources.items()
        )
        stored = tier in kept.stored
        parts.append(Part(tier.label, tier.keep, values * tier.keep * PACKED if stored else 0.0, stored))
    return ClassForecast(kept.name, series, parts)


def row_bytes(width: int) -> float:
    """Return the bytes that a row of so many values takes."""
    return float(np.interp(width, WIDTHS, ROW_BYTES)) + WIDER * max(0, width - WIDTHS[-1])


def _room(data_dir: Path) -> Room | None:
    """Return the room of the file system that a directory lies in, or will."""
    there = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    try:
        system = os.statvfs(there)
    except OSError:
        return None
    return Room(data_dir, float(system.f_bavail * system.f_frsize), _used(data_dir / "postgres"))


def _used(directory: Path) -> float:
    """Return the bytes on disk below a directory, as far as it may be read."""
    blocks = 0
    for above, _, names in os.walk(directory):
        for name in names:
            try:
                blocks += Path(above, name).lstat().st_blocks
            except OSError:
                # A file that the running server removes meanwhile.
                continue
    return blocks * 512.0


def human(size: float) -> str:
    """Return a number of bytes as people read it: `1.50 GiB`."""
    return text(size, 1024, "bytes")
