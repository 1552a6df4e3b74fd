"""How fast events are stored, with the indexes and without, and how soon one stream of many rows is found.

    python tests/bench/events.py [ROWS]

StreamEvent in batches of 10,000 rows TabSeparated, by the handler into the embedded server, which syncs every commit;
then ROWS (1,000,000 by default) of them are searched. Times are of the whole handler; CPU is of this process alone.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from blocks import DiamondNaming

from handlers.postgresql import PostgreSQLHandler
from monitor.batch import Cursor, Records, Source
from monitor.store.events.search import Condition, Wanted
from monitor.wire.clickhouse.tables import TABLES

BATCH, TOGETHER, ROUND = 10_000, 5, 600_000
STREAMS, KINDS = 2000, 40
RATE = 60
"""Events of a millisecond."""
TABLE = TABLES["StreamEvent"]


def batches(rows: int, begin: int) -> Iterator[Records]:
    """Yield batches of events of 2,000 streams, one after the other in time."""
    chance = random.Random(7)
    tails = [
        f"\t10.0.{k % 40}.7\t/203.0.113.{k % 250}:{40000 + k}/10.0.0.9:8443-{k:08x}\t{k * 7919:012x}-4b21-8e7a"
        f"\tstream{k}\t"
        for k in range(STREAMS)
    ]
    for first in range(0, rows, BATCH):
        lines = [
            f"{begin + number // RATE}{tails[chance.randrange(STREAMS)]}{chance.randrange(KINDS)}\t\n"
            for number in range(first, first + BATCH)
        ]
        body = "".join(lines).encode()
        yield Records(
            "wcs.StreamEvent", Source("10.0.0.7", "rels"), begin / 1000, BATCH, body, {"columns": list(TABLE.names)},
            f"{time.monotonic_ns()}",
        )  # fmt: skip


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Took(NamedTuple):
    rows: int
    seconds: float
    ours: float
    theirs: float

    def __str__(self) -> str:
        ours, theirs = 1e6 * self.ours / self.rows, 1e6 * self.theirs / self.rows
        return f"{self.rows / self.seconds:9,.0f} rows/s; CPU a row {ours:.2f} µs here, {theirs:.2f} µs in the database"


class Bench:
    def __init__(self, store: PostgreSQLHandler) -> None:
        self.store = store
        self.row = 0

    async def write(self, rows: int, begin: int) -> Took:
        """Store rows; return how long that took."""
        waiting: list[Records] = []
        took = used = 0.0
        theirs = await self.server_cpu()
        for one in batches(rows, begin):
            waiting.append(one)
            if len(waiting) == TOGETHER:
                self.row += 1
                before, burnt = time.perf_counter(), cpu()
                assert not await self.store.write(waiting, Cursor(1, self.row))
                took += time.perf_counter() - before
                used += cpu() - burnt
                waiting = []
        return Took(rows, took, used, await self.server_cpu() - theirs)

    async def server_cpu(self) -> float:
        """Return the seconds of CPU that the connection which writes has used in the server."""
        async with self.store._writing() as connection:
            fields = Path(f"/proc/{connection.get_server_pid()}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def sql(self, *statements: str) -> list[Any]:
        async with self.store._writing() as connection:
            return [await connection.fetch(one) for one in statements]

    async def without_indexes(self) -> list[str]:
        """Drop the indexes; return what makes them again."""
        ((*found,),) = await self.sql(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'wcs' AND tablename = 'streamevent'"
        )
        await self.sql(*(f"DROP INDEX wcs.{one['indexname']}" for one in found))
        return [one["indexdef"].replace(" ON ONLY ", " ON ") for one in found]

    async def search(self, begin: int, end: int) -> None:
        search = self.store.search
        looks = {
            "one stream, newest 100": ([Condition(("streamName",), ["stream17"])], 100),
            "one stream and type, 10": (
                [Condition(("streamName",), ["stream17"]), Condition(("eventType",), [3])], 10,
            ),
            "no filter, newest 100": ([], 100),
        }  # fmt: skip
        for name, (conditions, limit) in looks.items():
            took = []
            for _ in range(15):
                before = time.perf_counter()
                page = await search.page(Wanted(TABLE, begin - 86_400_000, end + 86_400_000, conditions), limit)
                took.append(1000 * (time.perf_counter() - before))
            assert len(page.events) == limit, (name, len(page.events))
            print(f"{name:28} median {statistics.median(took):6.1f} ms, slowest {max(took):6.1f} ms")
        sql = "SELECT count() FROM StreamEvent WHERE streamName = 'stream17'"
        before = time.perf_counter()
        found = (await self.store.reading.select(sql, max_rows=1)).rows[0][0]
        print(f"{'count() of one stream':28} {1000 * (time.perf_counter() - before):6.1f} ms for {found} events")


async def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    directory = Path(tempfile.mkdtemp(prefix="bench-events-"))
    directory.chmod(0o755)
    store = PostgreSQLHandler("PostgreSQLHandler", DiamondNaming(), data_dir=directory)
    store.paused = lambda: True
    await store.open()
    bench = Bench(store)
    begin = int(time.time() // 86400) * 86_400_000
    try:
        print(f"with indexes    {await bench.write(ROUND, begin)}")
        await bench.sql("TRUNCATE wcs.streamevent")
        indexes = await bench.without_indexes()
        print(f"without indexes {await bench.write(ROUND, begin)}")
        if rows > ROUND:
            await bench.write(rows - ROUND, begin + ROUND // RATE)
        await bench.sql(*indexes, "ANALYZE wcs.streamevent")
        (size,) = await bench.sql(
            "SELECT sum(pg_total_relation_size(relid))::bigint FROM pg_partition_tree('wcs.streamevent') WHERE isleaf"
        )
        print(f"{rows:,} rows take {size[0][0] / rows:.0f} bytes each with their indexes")
        await bench.search(begin, begin + rows // RATE)
    finally:
        await store.close()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    uvloop.run(main())
