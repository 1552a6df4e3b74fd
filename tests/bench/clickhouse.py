"""What it costs to forward events of WCS, and numbers, to ClickHouse.

    python tests/bench/clickhouse.py [ROWS]

The target is ClickHouse's engine behind the tests' HTTP wrapper, in a process of its own. Processor time is ours alone,
the threads that compress included.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from appliance import free_port
from blocks import DiamondNaming, block
from clickhouse_target import ClickHouse
from servers_clickhouse import clickhouse

from handlers._clickhouse import ddl
from handlers.clickhouse import ClickHouseHandler
from monitor.batch import Cursor, Entry, Records, Source
from monitor.wire.clickhouse.tables import TABLES

TOGETHER = 16 << 20
HEAD = {"columns": list(TABLES["StreamEvent"].names)}


def events(batches: int, rows: int) -> list[Entry]:
    now = int(time.time() * 1000)
    found: list[Entry] = []
    for batch in range(batches):
        body = b"".join(
            b"%d\t192.0.2.%d\t/203.0.113.77:51734/ws-%d\t5f3b9e5a-0c1d-%d\troom%d\t%d\t{}\n"
            % (now + row, row % 250, batch, row, row % 500, row % 31)
            for row in range(rows)
        )
        found.append(Records("wcs.StreamEvent", Source("10.0.0.7", "rels"), now / 1000, rows, body, HEAD, f"q{batch}"))
    return found


def numbers(values: int) -> list[Entry]:
    rng = np.random.default_rng(1)
    names = [f"some_name_{number}" for number in range(50)]
    rows = [
        (Source(f"host{row % 100}", "c", f"i{row}"), time.time(), rng.random(50).tolist())
        for row in range(values // 50)
    ]
    return [block(*rows, names=names)]


def parts(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Return what an outlet hands over at once."""
    found: list[list[Entry]] = [[]]
    size = 0
    for one in entries:
        size += one.size * 16
        if size > TOGETHER:
            found.append([])
            size = one.size * 16
        found[-1].append(one)
    return found


async def measure(what: str, port: int, directory: Path, count: int, entries: list[Entry], **options: bool) -> None:
    handler = ClickHouseHandler(
        "C", DiamondNaming(), urls=[f"http://127.0.0.1:{port}"], database="bench", data_dir=directory, **options
    )
    await handler.open()
    before, began = used(), time.perf_counter()
    for some in parts(entries):
        refused = await handler.write(some, Cursor(1, 1))  # type: ignore[arg-type]
        assert not refused, refused[0]
    took, cost = time.perf_counter() - began, used() - before
    await handler.close()
    print(f"{what:44} {count / took:10,.0f} a second  {cost / count * 1e6:6.2f} µs of the processor each")


def used() -> float:
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime


async def run(rows: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        engine = ClickHouse(free_port())
        with clickhouse(Path(directory) / "server", engine.port):
            engine.make(ddl.Form(database="bench", metrics="metrics"))
            place = Path(directory)
            for size in (20, 10_000):
                for gzip in (True, False):
                    entries = events(rows // size, size)
                    what = f"events, batches of {size} rows{', gzip' if gzip else ''}"
                    await measure(what, engine.port, place, rows, entries, gzip=gzip)
                    for one in place.glob("C.*"):
                        one.unlink()
            await measure("numbers, gzip", engine.port, place, rows, numbers(rows), metrics=True)
            assert await engine.number("SELECT count() FROM bench.StreamEvent") == 4 * rows


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 500_000))
