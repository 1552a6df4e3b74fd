"""How soon the page of events is there among many rows: one stream, one session, no filter, and its graphs.

    python tests/bench/events_search.py [ROWS]

ROWS (10,000,000 by default) of StreamEvent of 2,000 streams lie in the last 20 hours, a tenth as many in
MediaSessionEvents, in the embedded server, all of whose indexes are made after them.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aiohttp import web
from aiohttp.test_utils import TestClient
from blocks import DiamondNaming
from web_parts import serving

from handlers.postgresql import PostgreSQLHandler
from monitor.batch import Cursor, Records, Source
from monitor.store.events.search import Condition, Wanted
from monitor.store.events.timeline import timeline
from monitor.wire.clickhouse.tables import EVENTS, TABLES

HOURS, STREAMS = 20, 2000
FILL = """
INSERT INTO wcs.streamevent (timestamp, ip, sessionid, mediasessionid, streamname, eventtype)
SELECT {start} + n * {span} / {rows}, ('10.0.' || k % 40 || '.7')::inet,
    '/203.0.113.' || k % 250 || ':' || k || '-' || n / 100000,
    'media-' || k || '-' || n / 100000, 'stream' || k, n % 32
FROM (SELECT n, hashint8(n) & 2047 AS k FROM generate_series(0::bigint, {rows} - 1) AS n) AS made WHERE k < {streams}
"""
FILL_MEASURES = """
INSERT INTO wcs.mediasessionevents (timestamp, ip, mediasessionid, streamname, videowidth, videoheight, videoframerate,
    videorate, audiorate, sendnack, videoframeslost)
SELECT {start} + n * {span} / {rows}, ('10.0.' || k % 40 || '.7')::inet,
    'media-' || k || '-' || n / 10000, 'stream' || k, 1280, 720,
    30, 2400000, 64000, n % 100, n % 7
FROM (SELECT n, hashint8(n) & 2047 AS k FROM generate_series(0::bigint, {rows} - 1) AS n) AS made WHERE k < {streams}
"""


async def fill(store: PostgreSQLHandler, rows: int) -> None:
    now = int(time.time() * 1000)
    span = HOURS * 3_600_000
    for number, table in enumerate(("StreamEvent", "MediaSessionEvents")):
        # These make the partitions of the days.
        body = "".join(f"{at}\t10.0.0.1\n" for at in (now - span, now)).encode()
        first = Records(f"wcs.{table}", Source("10.0.0.1", "rels"), now, 2, body, {"columns": ["timestamp", "ip"]})
        assert not await store.write([first], Cursor(1, number + 1))
    async with store._writing() as connection:
        for table, count, sql in (("streamevent", rows, FILL), ("mediasessionevents", rows // 10, FILL_MEASURES)):
            found = await connection.fetch(
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'wcs' AND tablename = $1", table
            )
            for one in found:
                await connection.execute(f"DROP INDEX wcs.{one['indexname']}")
            values = {"start": now - span, "span": span, "rows": count, "streams": STREAMS}
            await connection.execute(sql.format(**values), timeout=900)
            for one in found:
                await connection.execute(one["indexdef"].replace(" ON ONLY ", " ON "), timeout=900)
            await connection.execute(f"VACUUM ANALYZE wcs.{table}", timeout=900)


def told(name: str, took: list[float]) -> None:
    low, high = np.percentile(took, [50, 95])
    print(f"{name:44} median {low:7.1f} ms  p95 {high:7.1f} ms  slowest {max(took):7.1f} ms", flush=True)


async def searches(store: PostgreSQLHandler) -> None:
    end = int(time.time() * 1000)
    for hours in (24, 168):
        took = []
        for number in range(60):
            name = Condition(("streamName",), [f"stream{number * 31}"])
            before = time.perf_counter()
            page = await store.search.page(Wanted(TABLES["StreamEvent"], end - hours * 3_600_000, end, [name]), 100)
            took.append(1000 * (time.perf_counter() - before))
            assert page.events
        told(f"StreamEvent, one stream, {hours} h", took)
    took = []
    for number in range(60):
        wanted = [
            Wanted(table, end - 86_400_000, end, [Condition(columns, [f"stream{number * 31 + 1}"])])
            for table in EVENTS
            if (columns := tuple(one for one in ("streamName", "mixerStreamName", "streamId") if one in table.names))
        ]
        before = time.perf_counter()
        part = await timeline(store.search, wanted, 100)
        took.append(1000 * (time.perf_counter() - before))
        assert part.entries
    told("timeline, one stream in all tables, 24 h", took)


async def pages(client: TestClient[web.Request, web.Application]) -> None:
    looks = {
        "page, one stream": lambda n: ("/events", {"stream": f"stream{n * 17}"}),
        "page, one session": lambda n: ("/events", {"session": f"/203.0.113.{n % 250}:{n}-{n % 90}"}),
        "page, one stream and type": lambda n: ("/events", {"stream": f"stream{n * 17}", "type": "VIDEO_RECEIVED"}),
        "page, no filter": lambda n: ("/events", {}),
        "API, one stream": lambda n: ("/api/v1/events/StreamEvent", {"stream": f"stream{n * 17 + 1}"}),
        "counts, one stream": lambda n: ("/graph/events/counts.png", {"stream": f"stream{n * 17 + 3}"}),
        "bitrate, one media session": lambda n: (
            "/graph/events/bitrate.png", {"media_session": f"media-{n}-{n % 100}"},
        ),
        "counts, no filter": lambda n: ("/graph/events/counts.png", {"start": f"end-{23 * 60 + n}min"}),
    }  # fmt: skip
    for name, made in looks.items():
        took = []
        for number in range(4 if name == "counts, no filter" else 40):
            path, query = made(number + 1)
            before = time.perf_counter()
            answer = await client.get(f"{path}?{urlencode(query)}")
            await answer.read()
            took.append(1000 * (time.perf_counter() - before))
            if answer.status != 200:
                print(name, answer.status, (await answer.text())[:200])
                break
        told(name, took)


async def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    directory = Path(tempfile.mkdtemp(prefix="bench-events-"))
    directory.chmod(0o755)
    store = PostgreSQLHandler("PostgreSQLHandler", DiamondNaming(), data_dir=directory)
    store.paused = lambda: True
    await store.open()
    try:
        before = time.perf_counter()
        await fill(store, rows)
        print(f"{rows:,} rows are there after {time.perf_counter() - before:.0f} s")
        await searches(store)
        (directory / "web").mkdir()
        async with serving(directory / "web") as (client, parts):
            parts.store = store  # type: ignore[assignment]
            await pages(client)
    finally:
        await store.close()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    asyncio.run(main())
