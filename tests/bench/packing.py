"""Bytes per value of this host's own metrics when they are packed, beside VictoriaMetrics' of the same raw values.

    python tests/bench/packing.py [--seconds 300] [--interval 1] [--every 1] [--record FILE | --replay FILE]

The product's collectors run by its runner and its rates, more often than usual so that there are enough rows; --every 5
leaves four of five collections out, as if the interval were five times as long. `times` and `since` are a row's, and
count in the total. A tier's cells are of five PDPs: mean, min, max, last and known seconds, each a value.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from appliance import free_port, wait_for  # noqa: E402

from monitor.batch import Batch, Floats, Kind, Limits, Source  # noqa: E402
from monitor.config import load  # noqa: E402
from monitor.consolidate import gather, of_pdps  # noqa: E402
from monitor.http import HttpClient  # noqa: E402
from monitor.pdp import pdps  # noqa: E402
from monitor.rates import Rates  # noqa: E402
from monitor.runner import Job, Runner  # noqa: E402
from monitor.store.column import Mode  # noqa: E402
from monitor.store.packing import Packed, pack, pack_times, refers, unpack, unpack_times  # noqa: E402

DAY = 1440


@dataclass
class Rows:
    """The rows of one source and layout."""

    collector: str
    names: tuple[str, ...]
    times: Floats
    since: Floats
    values: Floats


@dataclass
class Sum:
    values: int = 0
    bytes: int = 0
    stamps: float = 0.0
    rows: int = 0
    columns: int = 0
    pack: float = 0.0
    unpack: list[float] = field(default_factory=list)


async def collect(seconds: float, interval: float) -> list[Batch]:
    found: list[Batch] = []

    async def accept(batches: Sequence[Batch]) -> list[str | None]:
        found.extend(batches)
        return [None] * len(batches)

    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory, "monitor.conf")
        config.write_text(f"[server]\ndata_dir = {directory}\n")
        specs = [spec for spec in load([config], {}, {}).inventory.jobs if spec.target.local]
    client = HttpClient(connections=10)
    await client.open()
    runner = Runner(accept)
    jobs = [Job(one.target, one.cls(one.target, client.bound(), section=one.section, **one.options)) for one in specs]
    begin = time.time()
    for turn in range(round(seconds / interval)):
        await asyncio.sleep(max(0.0, begin + turn * interval - time.time()))
        for job in jobs:
            await runner.run(job, round(time.time() * 1e6) / 1e6)
    await client.close()
    return found


def write(path: Path, batches: list[Batch]) -> None:
    with path.open("w") as file:
        for one in batches:
            file.write(json.dumps([one.source, one.time, one.values, one.kinds, one.limits, one.interval]) + "\n")


def read(path: Path) -> Iterator[Batch]:
    for line in path.open():
        source, at, values, kinds, limits, interval = json.loads(line)
        limited = {name: Limits(*pair) for name, pair in limits.items()}
        kinds = {name: Kind(kind) for name, kind in kinds.items()}
        yield Batch(Source(*source), at, values, kinds, {}, interval, limited)


def thinned(batches: Sequence[Batch], every: int) -> list[Batch]:
    turn: dict[Source, int] = defaultdict(int)
    kept = []
    for batch in batches:
        if turn[batch.source] % every == 0:
            kept.append(batch)
        turn[batch.source] += 1
    return kept


def rated(batches: list[Batch]) -> list[Rows]:
    rates = Rates()
    found: dict[tuple[Source, tuple[str, ...]], list[tuple[float, float, Floats]]] = defaultdict(list)
    for batch in batches:
        for block in rates.apply([batch])[0]:
            row = (block.times[0], block.since[0], block.rates[0])
            found[block.sources[0], block.layout.names].append(row)
    every = []
    for (source, names), rows in found.items():
        for first in range(0, len(rows), DAY):
            times, since, values = zip(*rows[first : first + DAY], strict=True)
            every.append(Rows(source.collector, names, np.array(times), np.array(since), np.array(values)))
    return every


def column(packed: Packed, place: int) -> bytes:
    data = packed.data[packed.offsets[place] : packed.offsets[place + 1]]
    other = refers(data)
    return data if other is None else column(packed, other)


def best(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(5):
        begin = time.thread_time()
        work()
        spent.append(time.thread_time() - begin)
    return min(spent)


def measure(values: Floats, seconds: Floats | None, into: Sum, modes: dict[str, Sum]) -> None:
    packed = pack(values, seconds=seconds)
    into.pack += best(lambda: pack(values, seconds=seconds))
    for place in range(values.shape[1]):
        own = packed.data[packed.offsets[place] : packed.offsets[place + 1]]
        whole = column(packed, place)
        assert unpack(whole, seconds=seconds).tobytes() == values[:, place].tobytes()
        spent = best(lambda whole=whole: unpack(whole, seconds=seconds))
        into.unpack.append(spent)
        mode = modes[Mode(own[0] & 7).name]
        mode.values += len(values)
        mode.bytes += len(own)
        mode.columns += 1
    into.values += values.size
    into.bytes += len(packed.data)
    into.columns += values.shape[1]


def microseconds(stamps: Floats) -> NDArray[np.int64]:
    whole: NDArray[np.int64] = np.rint(stamps * 1e6).astype(np.int64)
    assert (whole / 1e6 == stamps).all()
    return whole


def stamps(rows: Rows) -> int:
    times, since = microseconds(rows.times), microseconds(rows.since)
    since -= np.concatenate((times[:1], times[:-1]))
    packed = [pack_times(times), pack_times(since)]
    assert [unpack_times(one).tolist() for one in packed] == [times.tolist(), since.tolist()]
    return sum(map(len, packed))


def tier(rows: Rows, step: int) -> Floats:
    ends, values = pdps(rows.times, rows.since, rows.values, step=step, heartbeat=max(120.0, 2 * step))
    made = gather(of_pdps(ends, values, step), 5 * step)
    return np.concatenate((made.mean, made.min, made.max, made.last, made.known), axis=1)


def table(title: str, sums: dict[str, Sum]) -> None:
    head = f"{'columns':>8} {'values':>9} {'B/value':>8} {'B/row':>7} {'pack µs':>8} {'unpack µs':>10} {'max':>6}"
    print(f"\n{title:<16} {head}")
    for name, one in sums.items():
        row = f"{one.stamps / one.rows:7.2f}" if one.rows else " " * 7
        speed = ""
        if one.unpack:
            speed = f"{1e6 * one.pack / one.columns:8.0f} {1e6 * statistics.mean(one.unpack):10.0f}"
            speed += f" {1e6 * max(one.unpack):6.0f}"
        print(f"{name:<16} {one.columns:8} {one.values:9} {(one.bytes + one.stamps) / one.values:8.3f} {row} {speed}")


def total(sums: dict[str, Sum]) -> Sum:
    out = Sum()
    for one in sums.values():
        for name in ("values", "bytes", "stamps", "rows", "columns", "pack", "unpack"):
            setattr(out, name, getattr(out, name) + getattr(one, name))
    return out


def busy() -> None:
    """Print the times of 50 columns of a day of minutes, none of which stands still or is equal to another."""
    rng = np.random.default_rng(1)
    stamps = (1_760_000_000_000_000 + np.cumsum(rng.integers(59_998_000, 60_002_000, DAY + 1))) / 1e6
    seconds = stamps[1:] - stamps[:-1]
    kinds: dict[str, Callable[[], Floats]] = {
        "small counts": lambda: rng.poisson(200, DAY) / seconds,
        "large counts": lambda: rng.poisson(20_000, DAY) * 1000 / seconds,
        "two decimals": lambda: np.round(rng.random(DAY) * 4, 2),
        "pages": lambda: np.cumsum(rng.integers(-40, 50, DAY)) * 4096.0,
        "any floats": lambda: np.cumsum(rng.normal(size=DAY)),
    }
    sums: dict[str, Sum] = defaultdict(Sum)
    for name, make in kinds.items():
        measure(np.column_stack([make() for _ in range(10)]), seconds, sums[name], defaultdict(Sum))
    every = total(sums)
    table(f"{DAY} rows of", {**sums, "total": every})
    print(f"50 columns x {DAY} rows are packed in {1e3 * every.pack:.1f} ms of CPU")


def victoria(batches: list[Batch]) -> tuple[int, float, float]:
    """Return how many values VictoriaMetrics got, and the bytes per value of its data and of its index."""
    lines, count = [], 0
    for one in batches:
        known = {name: value for name, value in one.values.items() if not math.isnan(value)}
        if known:
            fields = ",".join(f"{name.replace(' ', '_')}={value}" for name, value in known.items())
            instance = f",instance={one.source.instance}" if one.source.instance else ""
            lines.append(f"{one.source.collector},host=h{instance} {fields} {round(one.time * 1e6)}000")
            count += len(known)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench", dir="/tmp") as directory:
        process = subprocess.Popen(
            ["victoria-metrics", f"-storageDataPath={directory}", f"-httpListenAddr=127.0.0.1:{port}",
             "-retentionPeriod=12"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(lambda: urllib.request.urlopen(f"{url}/health").status == 200)
            for first in range(0, len(lines), 2000):
                urllib.request.urlopen(f"{url}/write", "\n".join(lines[first : first + 2000]).encode()).read()
            urllib.request.urlopen(f"{url}/internal/force_flush").read()
            urllib.request.urlopen(f"{url}/internal/force_merge").read()
            time.sleep(3)
        finally:
            process.terminate()
            process.wait(30)
        data, index = (
            sum(path.stat().st_size for path in Path(directory, part).rglob("*.bin")) for part in ("data", "indexdb")
        )
    return count, data / count, index / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--interval", type=float, default=1)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--record", type=Path, help="keep the batches in this file")
    parser.add_argument("--replay", type=Path, help="take the batches of this file instead of collecting")
    options = parser.parse_args()
    batches = list(read(options.replay)) if options.replay else asyncio.run(collect(options.seconds, options.interval))
    if options.record:
        write(options.record, batches)
    batches = thinned(batches, options.every)
    rows = [one for one in rated(batches) if len(one.times) >= 30]
    sums: dict[str, Sum] = defaultdict(Sum)
    tiers: dict[str, Sum] = defaultdict(Sum)
    modes: dict[str, Sum] = defaultdict(Sum)
    tier_modes: dict[str, Sum] = defaultdict(Sum)
    for one in rows:
        into = sums[one.collector]
        measure(np.ascontiguousarray(one.values), one.times - one.since, into, modes)
        into.rows += len(one.times)
        into.stamps += stamps(one)
        step = max(1, round(float(np.median(one.times - one.since))))
        measure(tier(one, step), None, tiers[one.collector], tier_modes)
    print(f"{max(len(one.times) for one in rows)} rows of {len(rows)} sources")
    table("collector", {**sums, "total": total(sums)})
    table("mode", modes)
    table("tier of", {**tiers, "total": total(tiers)})
    table("mode", tier_modes)
    busy()
    count, data, index = victoria(batches)
    print(f"\nVictoriaMetrics: {count} values, {data:.3f} bytes each, and {index:.3f} of its index")


if __name__ == "__main__":
    main()
