"""Events of a day of a WCS server as its tables hold them, for tests and pictures of the page of events."""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
from blocks import DiamondNaming
from servers_postgres import PostgresServer

from handlers.postgresql import PostgreSQLHandler
from monitor.batch import Cursor, Records, Source
from monitor.wire.clickhouse.tables import DICTIONARIES, TABLES

SERVERS = ("10.0.0.7", "10.0.0.8")
STREAM, SESSION = "lecture-101", "/203.0.113.77:51734/10.0.0.7:8443-7f0c7d52"
MEDIA = "5f3b9e5a-0c1d-4b21-8e7a-2d0f8b1c6e01"
NODE = "10.0.0.9"
STEPS = (
    "CREATED", "REMOTE_SDP_RECEIVED", "LOCAL_SDP_CREATED", "ICE_STARTED", "ICE_COMPLETE", "DTLS_STARTED",
    "DTLS_COMPLETE", "INITIALIZED", "AUDIO_RECEIVED", "VIDEO_RECEIVED", "VIDEO_KFRAME_RECEIVED", "RESOLUTION_RECEIVED",
)  # fmt: skip
PAYLOADS = {
    "VIDEO_RECEIVED": '{"codec":"H264","profile":{"level":"4.1"}}', "RESOLUTION_RECEIVED": "width=1280;height=720",
    "AUDIO_RECEIVED": '{"codec":"opus","rate":48000}', "RECEIVED_PLI": "from 203.0.113.91",
}  # fmt: skip
NUMBERS = {word: number for number, word in DICTIONARIES["DictionaryStreamEvents"].words.items()}


def number(word: str, dictionary: str) -> int:
    return next(number for number, text in DICTIONARIES[dictionary].words.items() if text == word)


def row(*cells: object) -> str:
    """Return a row of TabSeparated."""
    texts = (str(cell).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n") for cell in cells)
    return "\t".join(texts) + "\n"


def stream(begin: int, minutes: int, name: str = STREAM, session: str = SESSION, media: str = MEDIA) -> dict[str, str]:
    """Return the rows, by table, of one publisher: from a time in milliseconds, for so many minutes."""
    rng, ip = random.Random(media), SERVERS[0]
    found = dict.fromkeys(TABLES, "")
    found["ConnectionEvent"] += row(begin - 700, ip, session, 0, '{"userAgent":"Mozilla/5.0 (X11; Linux x86_64)"}')
    for place, word in enumerate(STEPS):
        at = begin + place * 137
        found["StreamEvent"] += row(at, ip, session, media, name, NUMBERS[word], PAYLOADS.get(word, ""))
    lost = nack = 0
    for place in range(minutes * 6):
        at = begin + 3000 + place * 10_000
        good = 1 - 0.75 * (0.45 < place / (minutes * 6) < 0.6)
        lost += rng.randrange(9) if good < 1 else rng.randrange(25) == 0
        nack += rng.randrange(40) if good < 1 else rng.randrange(3)
        width, height = (1280, 720) if good == 1 else (640, 360)
        rate = 2.4e6 * good * (1 + 0.08 * math.sin(place / 7)) * rng.uniform(0.95, 1.05)
        found["MediaSessionEvents"] += row(
            at, ip, media, name, 100, width, height, round(30 * (0.6 + 0.4 * good) * rng.uniform(0.96, 1.0)),
            12 + place, 348 * (place + 1), 0, int(rate), int(64e3 * rng.uniform(0.9, 1.1)), at - 50, at - 55,
            90_000 * place, 48_000 * place, at - 1000, nack // 3, nack, lost, lost // 4,
        )  # fmt: skip
        if good < 1 and rng.randrange(4) == 0:
            found["StreamEvent"] += row(
                at + 77, ip, session, media, name, NUMBERS["RECEIVED_PLI"], PAYLOADS["RECEIVED_PLI"]
            )
    middle, end = begin + minutes * 30_000, begin + minutes * 60_000
    hls = ((0, "SEGMENT_INTERVAL", "segment interval 4012 ms"), (1, "FPS_CHANGED", "30 -> 18"),
           (2, "NO_KYE_FRAME", "no key frame in segment"))  # fmt: skip
    for place, (severity, word, text) in enumerate(hls):
        kind = number(word, "DictionaryHlsStreamEventType")
        found["HlsStreamEvents"] += row(middle + place * 4000, ip, severity, kind, name, "720p", 17 + place, text)
    found["HlsSegmenterEvents"] += row(
        middle + 900, ip, name, "720p", 17, 90_000, 90_000, 89_500, 1280, 720, 120, 190, 4000, 1, 0, 0, 4012, 0, 1.0
    )
    found["HlsClientEvents"] += row(
        middle + 1200, middle + 1231, name, "720p", f"/{name}/720p/17.ts", ip, "198.51.100.20", 50_912,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)", 200, 77,
    )  # fmt: skip
    found["MixerEvent"] += row(
        middle + 2000, "mix-1", "room1", media, name, 12, -3, 4, at + 20, at + 33, 5, 4, 0, 0, 1, 3120, 30, 64_000.5,
        1_250_000.25, number("dropBallastVideo", "DictionaryMixerEvents"), "",
    )  # fmt: skip
    found["CDNEvent"] += row(middle, ip, NODE, number("CDN_STATE", "DictionaryCDNEvents"), "ACTIVE")
    found["StreamEvent"] += row(end, ip, session, media, name, NUMBERS["TERMINATED"], "")
    found["ConnectionEvent"] += row(end + 400, ip, session, 1, "")
    return found


def crowd(begin: int, end: int, viewers: int) -> str:
    """Return rows of StreamEvent of many other streams, more of them later."""
    rng, rows = random.Random(1), []
    for place in range(viewers):
        at = begin + int((end - begin) * math.sqrt(rng.random()))
        ip, session, media = SERVERS[place % 2], f"/198.51.100.{place % 250}:{40_000 + place}", f"{place:08x}-viewer"
        words = (*STEPS[:8], "VIDEO_SENT", "SENT_PLI", "DISPOSED")
        rows += [
            row(at + step * 211, ip, session, media, f"room{place % 12}", NUMBERS[word], "")
            for step, word in enumerate(words)
        ]
    return "".join(rows)


def records(found: dict[str, str]) -> Iterator[Records]:
    for table, text in found.items():
        if text:
            yield Records(
                f"wcs.{table}", Source(SERVERS[0], "rels"), time.time(), text.count("\n"), text.encode(),
                {"columns": list(TABLES[table].names)},
            )  # fmt: skip


@contextlib.asynccontextmanager
async def storing(server: PostgresServer, directory: Path) -> AsyncIterator[PostgreSQLHandler]:
    """Open a store in a database of its own."""
    name = f"e{time.monotonic_ns()}"
    admin = await asyncpg.connect(server.url())
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    store = PostgreSQLHandler("PostgreSQLHandler", DiamondNaming(), database=server.url(name), data_dir=directory)
    store.paused = lambda: True
    await store.open()
    yield store
    await store.close()


async def fill(store: PostgreSQLHandler, *found: dict[str, str]) -> None:
    for place, one in enumerate(found):
        assert await store.write(list(records(one)), Cursor(1, place + 1)) == []
