"""Whatever bytes come to RELS: refused in ClickHouse's manner or read, in a time that grows with their length alone.

    python tests/bench/fuzz_clickhouse.py [--seconds 300] [--only NAME]

Every reader of rows, the statements, the dialect, the compressed blocks and the HTTP endpoint are given damaged, random
and repeated bytes by hypothesis, each for its part of the time. `growth` repeats a few bytes 4,000 times and 32,000
times: what takes much more than eight times as long is named.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import aiohttp
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rels_parts import receiving
from test_clickhouse_fuzz import FORMATS, KINDS, PIECES, ROWS, STRING, check

from monitor.receivers.rels_request import DECODERS, unpack
from monitor.store.events.dialect import statements, translate
from monitor.wire.clickhouse.errors import ERRORS, ClickHouseError
from monitor.wire.clickhouse.formats import read, write
from monitor.wire.clickhouse.framing import framed
from monitor.wire.clickhouse.insert import single
from monitor.wire.clickhouse.statement import Facts, parse
from monitor.wire.clickhouse.types import Column

HANG = 5.0
"""Seconds that no input of a few bytes may take."""
MANY, FEW = 32_000, 4_000
SLOW = 0.2
"""Seconds below which growth says nothing."""
COLUMNS = [*KINDS, Column("new", STRING, known=False)]
WORDS = st.sampled_from(
    b"INSERT INTO SELECT FROM WHERE FORMAT VALUES TSV CREATE TABLE DROP IF NOT EXISTS SETTINGS a = 1 , ( ) ; . ' ` \" "
    b"-- /* */ \\ # StreamEvent wcs system one settings WITH AS UNION ALL JOIN ON GROUP BY HAVING ORDER LIMIT DISTINCT "
    b"IN count() dictGetString( toDateTime( CASE WHEN THEN ELSE END INTERVAL HOUR BETWEEN AND OR {x:UInt8} DESCRIBE "
    b"/**/ 1x ~ SHOW TABLES UInt64 Nullable( \x00 \xff \xc3\xa9 0x1f 1e5 * / % != <> || :: [ ]".split(b" ")
)
SQL = st.lists(WORDS | st.binary(max_size=3), max_size=30).map(b" ".join)
UNITS = st.lists(PIECES | WORDS | st.binary(min_size=1, max_size=2), min_size=1, max_size=4).map(b"".join)
FACTS = Facts("wcs", "wcs", "24.8", "UTC", "here")
QUICK = settings(
    max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)  # fmt: skip
Target = Callable[[bytes], None]


class HangError(Exception):
    """Something took too long."""


@contextmanager
def bounded(what: bytes) -> Iterator[None]:
    def over(number: int, frame: FrameType | None) -> None:
        raise HangError(f"more than {HANG:g} s for {what[:200]!r}")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, HANG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def refusing(target: Callable[[bytes], object]) -> Target:
    def run(body: bytes) -> None:
        try:
            target(body)
        except ClickHouseError as error:
            assert ERRORS[error.code][0] == error.name, error
            assert len(error.text) < 1000, len(error.text)

    return run


def text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def unpacked(encoding: str, blocks: bool) -> Target:
    return refusing(lambda body: unpack(body, encoding, blocks, 1 << 20) if body else None)


READERS: dict[str, Target] = {
    name: (lambda body, name=name: check(name, body, COLUMNS, True))
    for name in FORMATS  # type: ignore[misc]
}
OTHERS: dict[str, Target] = {
    "statement in the body": refusing(lambda body: parse(b"", body, FACTS)),
    "statement in the URL": refusing(lambda body: parse(body, b"1\t2\n", FACTS, parameters={"x": text(body)[:99]})),
    "insert": refusing(lambda body: parse(b"", b"INSERT INTO StreamEvent " + body, FACTS)),
    "create": refusing(lambda body: parse(b"", b"CREATE TABLE a (a " + body, FACTS)),
    "values' end": refusing(single),
    "dialect": refusing(lambda body: translate("SELECT " + text(body))),
    "script": refusing(lambda body: list(statements(text(body)))),
    "blocks": unpacked("", True),
    **{encoding: unpacked(encoding, False) for encoding in DECODERS},
}


def fuzzed(target: Target, bodies: st.SearchStrategy[bytes], until: float) -> int:
    """Run rounds until then; return how many bodies were tried."""
    tried = 0

    @QUICK
    @given(bodies)
    def one(body: bytes) -> None:
        nonlocal tried
        tried += 1
        with bounded(body):
            target(body)

    while time.monotonic() < until:
        one()
    return tried


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """What was right, with some of it gone, and something else there, up to three times."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(whole)))
        end = draw(st.integers(at, min(at + 12, len(whole))))
        whole = whole[:at] + draw(st.binary(max_size=6) | PIECES | WORDS) + whole[end:]
    return whole


def bodies_of(name: str) -> st.SearchStrategy[bytes]:
    anything = st.binary(max_size=80) | UNITS | SQL
    if name in READERS:
        return damaged(write(name.replace("TSVRaw", "TSV"), KINDS, ROWS)) | anything
    if name == "blocks":
        return damaged(framed(b"1\t2\n" * 100)) | anything
    return anything


def took(target: Target, body: bytes, times: int = 1) -> float:
    """Return the least CPU of several runs."""
    found = []
    for _ in range(times):
        began = time.process_time()
        with bounded(body):
            target(body)
        found.append(time.process_time() - began)
    return min(found)


def growth(targets: dict[str, Target], until: float) -> int:
    tried = 0

    @QUICK
    @given(
        st.sampled_from(sorted(targets)), UNITS | WORDS | PIECES, st.binary(max_size=2) | PIECES, st.binary(max_size=2)
    )
    def one(name: str, unit: bytes, before: bytes, behind: bytes) -> None:
        nonlocal tried
        tried += 1
        if took(targets[name], before + unit * MANY + behind) > SLOW:
            many = took(targets[name], before + unit * MANY + behind, 3)
            few = took(targets[name], before + unit * FEW + behind, 3)
            assert many < 20 * few, (name, unit, before, behind, few, many)

    while time.monotonic() < until:
        one()
    return tried


async def endpoint(seconds: float, directory: Path) -> int:
    """Send requests; each has an answer of ours, and the server answers others as before."""
    tried = 0
    loop = asyncio.get_running_loop()
    requests = st.tuples(
        SQL | st.just(b"INSERT INTO StreamEvent FORMAT ") | st.just(b""),
        st.sampled_from((*FORMATS, "", "x")),
        UNITS | SQL | st.binary(max_size=80),
        st.dictionaries(
            st.sampled_from(("compress", "decompress", "query_id", "database", "default_format", "user", "param_x")),
            st.sampled_from(("1", "0", "wcs", "", "é", "\0", "TSV", "RowBinary", "JSON")), max_size=3,
        ),
        st.sampled_from(("", "gzip", "deflate", "lz4", "zstd", "br", "x")),
        st.sampled_from(("POST", "GET", "HEAD", "PUT", "OPTIONS")),
    )  # fmt: skip
    async with receiving(directory, "unknown_tables = create\ntimeout = 5s") as server:

        async def send(
            query: bytes, format: str, body: bytes, values: dict[str, str], coding: str, method: str
        ) -> None:
            whole = query.decode("latin-1") + format
            headers = {"Content-Encoding": coding} if coding else {}
            try:
                async with asyncio.timeout(HANG):
                    answer = await server.ask(whole, body, method=method, headers=headers, **values)
            except aiohttp.ClientError as error:
                raise AssertionError(f"no answer: {error}") from error
            assert answer.status < 500 or "X-ClickHouse-Exception-Code" in answer.headers, answer
            assert b"Traceback" not in answer.body and b"Server got itself" not in answer.body, answer

        def rounds() -> None:
            @QUICK
            @given(requests)
            def one(request: tuple[bytes, str, bytes, dict[str, str], str, str]) -> None:
                nonlocal tried
                tried += 1
                asyncio.run_coroutine_threadsafe(send(*request), loop).result(2 * HANG)

            until = time.monotonic() + seconds
            while time.monotonic() < until:
                one()

        await asyncio.to_thread(rounds)
        assert (await server.ask("INSERT INTO ConnectionEvent VALUES (1, '1.2.3.4', 's', 1, 'p')")).status == 200
        assert (await server.ask("SELECT 1")).body == b"1\n"
    return tried


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--only", default="")
    chosen = parser.parse_args()
    logging.disable()
    readers = {name: (lambda body, name=name: read(name, body, KINDS)) for name in FORMATS}  # type: ignore[misc]
    growing = {**{name: refusing(one) for name, one in readers.items()}, **OTHERS}
    jobs: dict[str, Callable[[float], int]] = {
        name: (lambda until, name=name, one=one: fuzzed(one, bodies_of(name), until))  # type: ignore[misc]
        for name, one in {**READERS, **OTHERS}.items()
    }
    parts = dict.fromkeys(jobs, 1.0) | {"growth": 8.0, "endpoint": 6.0}
    if chosen.only:
        parts = {chosen.only: 1.0}
    failed = 0
    for name, part in parts.items():
        seconds = chosen.seconds * part / sum(parts.values())
        try:
            if name == "growth":
                tried = growth(growing, time.monotonic() + seconds)
            elif name == "endpoint":
                with tempfile.TemporaryDirectory() as directory:
                    tried = asyncio.run(endpoint(seconds, Path(directory)))
            else:
                tried = jobs[name](time.monotonic() + seconds)
            print(f"{name:28} {tried:7} tried", flush=True)
        except (Exception, HangError) as error:
            failed += 1
            print(f"{name:28} FAILED {type(error).__name__}: {str(error)[:600]}", flush=True)
            for note in getattr(error, "__notes__", ()):
                print("   ", note[:600])
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
