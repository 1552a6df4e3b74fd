"""The names of Diamond's collectors: none drifts, neither in its kind nor in its unit nor in its magnitude.

tests/cases/diamond_names lists them as Diamond's source has them. What is collected on this machine, and in
the cases of services, is held against the lists.
"""

from __future__ import annotations

import asyncio
import fnmatch
import os
import shutil
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import test_collectors
from diamond_cases import NEEDS

from monitor.batch import Batch, Kind
from monitor.collector import Collector, Target
from monitor.registry import Registry

LISTS = Path(__file__).resolve().parent / "cases/diamond_names"
CLASSES = {cls.path: cls for cls in Registry().collectors.values()}
OURS = {"tcp": {"Established", "Alloc", "Timewait", "Orphan", "Mem"}}
"""Names that Diamond does not have."""


class Name(NamedTuple):
    name: str
    kind: str
    unit: str
    least: float
    most: float
    seen: str


@cache
def listed(path: str) -> tuple[Name, ...]:
    lines = (line.split() for line in (LISTS / f"{path}.txt").read_text().splitlines() if not line.startswith("#"))
    return tuple(
        Name(name, kind, unit, float(least), float(most), seen) for name, kind, unit, least, most, seen in lines
    )


PATHS = sorted(file.stem for file in LISTS.glob("*.txt"))
HERE = [path for path in PATHS if CLASSES[path].local]


class Reading(NamedTuple):
    """Two collections on this machine, and how far they are apart."""

    batch: Batch
    rates: dict[str, float]


def own(path: str) -> Collector:
    return CLASSES[path](Target("own", "127.0.0.1", "own", local=True), None, **NEEDS.get(path, {}))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def readings() -> dict[str, Reading]:
    """Everything that reads this machine, twice, half a second apart, with something done in between."""

    async def collect() -> dict[str, Reading]:
        collectors = {path: own(path) for path in HERE if not (path == "conntrack" and not tracks())}
        first = {path: ((await one.run(0))[0], time.monotonic()) for path, one in collectors.items()}
        while time.monotonic() - first["vmstat"][1] < 0.5:
            await asyncio.sleep(0.05)
            bytearray(1 << 20)
        found = {}
        for path, one in collectors.items():
            before, at = first[path]
            (batch,) = await one.run(0)
            apart = time.monotonic() - at
            rates = {name: (value - before.values.get(name, value)) / apart for name, value in batch.values.items()}
            found[path] = Reading(batch, rates)
        return found

    return asyncio.run(collect())


def tracks() -> bool:
    return Path("/proc/sys/net/netfilter/nf_conntrack_count").exists()


@pytest.mark.parametrize("path", PATHS)
def test_every_listed_name_is_declared_with_its_kind_and_unit(path: str) -> None:
    for each in listed(path):
        metric = test_collectors.declared(CLASSES[path], each.name.replace("*", "sda"))
        assert metric is not None, each.name
        assert (str(metric.kind), metric.unit) == (each.kind, each.unit), each.name


@pytest.mark.parametrize("path", PATHS)
def test_no_name_is_declared_that_diamond_does_not_have(path: str) -> None:
    for name in test_collectors.metrics(CLASSES[path]):
        known = [each for each in listed(path) if name == each.name or fnmatch.fnmatchcase(each.name, name)]
        assert known or name in OURS.get(path, ()), name


@pytest.mark.parametrize("path", [path for path in PATHS if any(each.seen == "case" for each in listed(path))])
def test_a_service_gives_the_listed_names(path: str) -> None:
    seen = {name: kind for _, (name, _, kind, _) in test_collectors.expected(path)}
    for each in listed(path):
        assert seen.get(each.name) == each.kind, each.name


@pytest.mark.parametrize("path", HERE)
def test_this_machine_gives_the_listed_names_and_no_others(path: str, readings: dict[str, Reading]) -> None:
    if path not in readings:
        pytest.skip("this kernel tracks no connections")
    names = set(readings[path].batch.values)
    for each in listed(path):
        found = fnmatch.filter(names, each.name)
        if each.seen == "always" or (each.seen == "device" and names):
            assert found, f"{each.name} is not published"
    for name in names - OURS.get(path, set()):
        assert match(path, name), f"{name} is not on the list"


def match(path: str, name: str) -> Name | None:
    # Of several processors the first is listed.
    plain = f"cpu0.{name.partition('.')[2]}" if path == "cpu" and name[:3] == "cpu" and "." in name else name
    return next((each for each in listed(path) if fnmatch.fnmatchcase(plain, each.name)), None)


@pytest.mark.parametrize("path", HERE)
def test_kinds_and_magnitudes_on_this_machine_are_those_of_the_list(path: str, readings: dict[str, Reading]) -> None:
    if path not in readings:
        pytest.skip("this kernel tracks no connections")
    batch, rates = readings[path]
    for name, value in batch.values.items():
        each = match(path, name)
        if each is None:
            continue
        kind = batch.kinds.get(name, Kind.GAUGE)
        assert kind == each.kind, name
        kept = value if kind == Kind.GAUGE else rates[name]
        if kept == kept:
            assert each.least <= kept <= each.most, f"{name} is {kept} {each.unit}"


def test_units_are_those_of_other_ways_to_ask_this_machine(readings: dict[str, Reading]) -> None:
    def value(path: str, name: str) -> float:
        return readings[path].batch.values[name]

    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert value("memory", "MemTotal") == pytest.approx(size, rel=0.01)
    assert value("memory", "MemUsedPercentage") == pytest.approx(
        100 * (1 - value("memory", "MemAvailable") / value("memory", "MemTotal"))
    )
    assert value("uptime", "minutes") == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME) / 60, abs=1)
    assert value("proc", "btime") == pytest.approx(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME), abs=60)
    assert value("loadavg", "15") == pytest.approx(os.getloadavg()[2], abs=2)
    assert value("cpu", "cpu_count") == os.cpu_count()
    assert value("process", "num_fds") == pytest.approx(len(list(Path("/proc/self/fd").iterdir())), abs=20)
    assert value("process", "cpu_times.user") == pytest.approx(os.times().user, abs=5)
    if "root.byte_used" in readings["diskspace"].batch.values:
        assert value("diskspace", "root.byte_used") == pytest.approx(shutil.disk_usage("/").used, rel=0.1)


def test_one_processor_does_100_jiffies_a_second(readings: dict[str, Reading]) -> None:
    rates = readings["cpu"].rates
    parts = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    assert sum(rates[f"total.{part}"] for part in parts) == pytest.approx(100 * (os.cpu_count() or 1), rel=0.35)


def test_diamond_s_default_is_kept_for_what_is_off() -> None:
    on = {path for path, cls in CLASSES.items() if cls.local and not cls.needs_enabling}
    assert on == {"cpu", "diskspace", "iostat", "loadavg", "memory", "network", "tcp", "vmstat"}
