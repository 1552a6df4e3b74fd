"""CPU per row of each format in which ClickHouse's clients send rows, beside ClickHouse's engine itself (chdb).

    python tests/bench/clickhouse_formats.py [ROWS]

The engine's figure is an INSERT of the same body from a file into a table in memory; it counts all of its threads.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from chdb import session

from monitor.wire.clickhouse.formats import read, reading, write
from monitor.wire.clickhouse.framing import framed, unframed
from monitor.wire.clickhouse.tables import TABLES
from monitor.wire.clickhouse.types import columns

FORMATS = (
    "TabSeparated", "TabSeparatedWithNames", "CSV", "JSONEachRow", "JSONCompactEachRow", "Values", "RowBinary",
    "RowBinaryWithNamesAndTypes", "Native",
)  # fmt: skip
ROUNDS = 5
DRAW = random.Random(7)


def events(count: int) -> list[tuple[object, ...]]:
    """Return rows of StreamEvent as servers have them: one address, few sessions, some payloads."""
    payloads = ["", '{"codec":"H264"}', "fps=30;bitrate=1200000", "audio=opus;rate=48000;channels=2"]
    sessions = [f"/203.0.113.{n}:51734/192.0.2.10:8443-7f0c7d52-1d2f-4d0b-9a55-4f2f6a3d9c{n:02}" for n in range(50)]
    media = [f"5f3b9e5a-0c1d-4b21-8e7a-2d0f8b1c6e{n:02}" for n in range(50)]
    return [
        (
            1732147200000 + n, "192.0.2.10", DRAW.choice(sessions), DRAW.choice(media), f"room{DRAW.randrange(200)}",
            DRAW.randrange(32), DRAW.choice(payloads),
        )
        for n in range(count)
    ]  # fmt: skip


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    kinds = columns(TABLES["StreamEvent"].columns)
    rows = events(count)
    bodies = {format: (format, write(format, kinds, rows)) for format in FORMATS}
    plain = bodies["TabSeparated"][1]
    bodies["TabSeparated, quotes escaped"] = ("TabSeparated", plain.replace(b'"', b"\\'"))
    engine = Engine(TABLES["StreamEvent"].columns)
    print(f"{count} rows of StreamEvent, {len(plain) / count:.0f} bytes each in TabSeparated; µs of CPU per row")
    print(f"{'format':30} {'ours':>7} {'engine':>7} {'ratio':>6} {'slice':>8}   {'written':>7}")
    for name, (format, body) in bodies.items():
        best = written = float("inf")
        for _ in range(ROUNDS):
            begin = time.process_time()
            read(format, body, kinds)
            best = min(best, time.process_time() - begin)
        if name == format:
            begin = time.process_time()
            write(format, kinds, rows)
            written = time.process_time() - begin
        theirs = min(engine.insert(format, body) for _ in range(ROUNDS))
        longest = 0.0
        begin = time.thread_time()
        for _ in reading(format, body, kinds):
            longest = max(longest, time.thread_time() - begin)
            begin = time.thread_time()
        ours, theirs, out = (1e6 * one / count for one in (best, theirs, written))
        print(f"{name:30} {ours:7.2f} {theirs:7.2f} {ours / theirs:6.1f} {1e3 * longest:5.1f} ms   {out:7.2f}")
    begin = time.process_time()
    packed = framed(plain)
    middle = time.process_time()
    unframed(packed, limit=len(plain))
    done = time.process_time()
    print(f"blocks of LZ4: {1e6 * (done - middle) / count:.2f} to read, {1e6 * (middle - begin) / count:.2f} to write")
    engine.close()


class Engine:
    def __init__(self, kinds: tuple[tuple[str, str], ...]) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self._file = Path(self._directory.name) / "body"
        self._session = session.Session(self._directory.name + "/data")
        self._session.query("CREATE DATABASE bench")
        text = ", ".join(f"{name} {type}" for name, type in kinds)
        self._session.query(f"CREATE TABLE bench.rows ({text}) ENGINE = Memory")

    def insert(self, format: str, body: bytes) -> float:
        self._file.write_bytes(body)
        self._session.query("TRUNCATE TABLE bench.rows")
        begin = used()
        self._session.query(f"INSERT INTO bench.rows FROM INFILE '{self._file}' COMPRESSION 'none' FORMAT {format}")
        return used() - begin

    def close(self) -> None:
        self._session.close()
        self._directory.cleanup()


if __name__ == "__main__":
    main()
