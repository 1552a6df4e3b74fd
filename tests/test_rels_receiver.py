"""RELS' receiver as drivers and curl meet it, on a real socket with a real journal behind."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from rels_parts import ROW, receiving

from monitor.wire.clickhouse.framing import framed, unframed

INSERT = "INSERT INTO ConnectionEvent FORMAT TabSeparated"
COLUMNS = "timestamp, ip, sessionId, eventType, eventPayload"


async def test_rows_are_answered_when_the_journal_has_them(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=lambda: 1795234980.0) as server:
        answer = await server.ask(INSERT, ROW * 3, query_id="abc")
        assert (answer.status, answer.body) == (200, b"")
        assert "X-ClickHouse-Format" not in answer.headers
        assert answer.headers["X-ClickHouse-Query-Id"] == "abc"
        summary = json.loads(answer.headers["X-ClickHouse-Summary"])
        assert (summary["written_rows"], summary["written_bytes"]) == ("3", str(3 * len(ROW)))
        assert all(isinstance(value, str) for value in summary.values())
        assert set(summary) == {
            "read_rows", "read_bytes", "written_rows", "written_bytes", "total_rows_to_read", "result_rows",
            "result_bytes", "elapsed_ns",
        }  # fmt: skip
        (one,) = await server.records()
        assert (one.table, one.source, one.time) == ("wcs.ConnectionEvent", ("127.0.0.1", "rels", ""), 1795234980.0)
        assert (one.count, one.body) == (3, ROW.encode() * 3)
        assert one.head == {"columns": ["timestamp", "ip", "sessionId", "eventType", "eventPayload"]}
        assert len(one.id) == 32
        assert server.intake.stats.rows["ConnectionEvent"] == 3
        assert server.intake.stats.heard == {"127.0.0.1": 1795234980.0}


async def test_the_statement_may_stand_in_the_url_in_the_body_and_in_both(tmp_path: Path) -> None:
    async with receiving(tmp_path) as server:
        for query, body in (
            (INSERT, ROW),
            (
                "",
                f"insert into wcs.ConnectionEvent ({COLUMNS}) FORMAT TSV\n{ROW}",
            ),
            ("INSERT INTO `ConnectionEvent`", f"FORMAT TabSeparated\n{ROW}"),
            (f"{INSERT}\n{ROW}", ""),
        ):
            assert (await server.ask(query, body, database="wcs")).status == 200
        assert await server.rows() == ROW.encode() * 4


async def test_a_body_may_come_compressed_in_every_way(tmp_path: Path) -> None:
    """The columns of the whole are in one block, and in several."""
    body = (INSERT + "\n" + ROW * 20_000).encode()
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(body),
        "x-gzip": gzip.compress(body[:9]) + gzip.compress(body[9:]),
        "deflate": zlib.compress(body),
        "Deflate": raw.compress(body) + raw.flush(),
        "lz4": lz4.frame.compress(body),
        "zstd": zstandard.ZstdCompressor().compress(body),
        "identity": body,
    }
    async with receiving(tmp_path, "deduplicate = no\n") as server:
        for name, sent in packed.items():
            assert (await server.ask("", sent, headers={"Content-Encoding": name})).status == 200, name
        for method in ("lz4", "zstd", "none"):
            assert (await server.ask("", framed(body, method), decompress="1")).status == 200, method
        both = gzip.compress(framed(body))
        assert (await server.ask("", both, decompress="1", headers={"Content-Encoding": "gzip"})).status == 200
        assert (await server.ask(INSERT, framed(ROW.encode()), decompress="1")).status == 200
        assert sum(one.count for one in await server.records()) == 20_000 * 11 + 1
        assert await server.rows() == ROW.encode() * (20_000 * 11 + 1)


def damaged(data: bytes) -> bytes:
    return data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]


@pytest.mark.parametrize(
    ("encoding", "body", "code"),
    [
        ("gzip", b"no gzip", 271),
        ("gzip", gzip.compress(b"x" * 1000)[:-9], 271),
        ("deflate", b"\xff\xff", 271),
        ("lz4", lz4.frame.compress(b"x" * 1000)[:-9], 271),
        ("lz4", b"junk", 271),
        ("zstd", b"junk", 271),
        ("br", b"junk", 48),
        ("gzip", gzip.compress(b"x" * (70 << 10)), 307),
        ("lz4", lz4.frame.compress(b"x" * (70 << 10)), 307),
        ("zstd", zstandard.ZstdCompressor().compress(b"x" * (70 << 10)), 307),
        ("blocks", framed(b"x" * (70 << 10)), 307),
        ("blocks", framed(b"x" * 1000)[:-1], 33),
        ("blocks", framed(b"x" * 1000)[:20], 33),
        ("blocks", damaged(framed(b"x" * 1000)), 40),
        ("", b"x" * (70 << 10), 307),
    ],
)
async def test_what_cannot_be_unpacked_is_refused_and_the_connection_goes_on(
    tmp_path: Path, encoding: str, body: bytes, code: int
) -> None:
    async with receiving(tmp_path, "max_body = 64k\n") as server:
        more = {"decompress": "1"} if encoding == "blocks" else {}
        headers = {"Content-Encoding": encoding} if encoding not in ("", "blocks") else {}
        answer = await server.ask(INSERT, body, headers=headers, **more)
        assert (answer.code, answer.status) == (code, {271: 500, 48: 501, 307: 500, 33: 500, 40: 500}[code])
        assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
        assert (await server.ask(INSERT, ROW)).status == 200
        assert await server.rows() == ROW.encode()
        assert server.receiver.held == 0


async def test_names_and_passwords_are_taken_from_every_place(tmp_path: Path) -> None:
    users = "[[[users]]]\n[[[[reader]]]]\npassword = r\ninsert = none\n"
    users += "[[[[cdn]]]]\npassword = c\ninsert = CDNEvent\nread = False\n"
    async with receiving(tmp_path, users) as server:

        async def status(headers: dict[str, str] | None = None, query: str = INSERT, **values: str) -> tuple[int, int]:
            answer = await server.ask(query, ROW if "CDN" not in query else "", as_user="", headers=headers, **values)
            return answer.status, int(answer.headers.get("X-ClickHouse-Exception-Code", 0))

        def basic(text: str) -> dict[str, str]:
            return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}

        assert await status({"X-ClickHouse-User": "wcs", "X-ClickHouse-Key": "wcs"}) == (200, 0)
        assert await status({"x-clickhouse-user": "wcs", "x-clickhouse-key": "wcs"}) == (200, 0)
        assert await status(basic("wcs:wcs")) == (200, 0)
        assert await status(user="wcs", password="wcs") == (200, 0)
        assert await status() == (401, 194)
        for name, password in WRONG:
            assert await status({"X-ClickHouse-User": name, "X-ClickHouse-Key": password}) == (403, 516)
            assert await status(user=name[:100], password=password) == (403, 516)
        assert await status(basic("wcs:no")) == (403, 516)
        assert await status({"Authorization": "Basic %%%"}) == (403, 516)
        assert await status({"Authorization": "Bearer x"}) == (403, 516)
        assert await status(user="reader", password="r") == (403, 497)
        assert await status(user="cdn", password="c") == (403, 497)
        assert await status(user="cdn", password="c", query="INSERT INTO wcs.CDNEvent FORMAT TSV") == (200, 0)
        assert await status(user="cdn", password="c", query="SELECT * FROM StreamEvent") == (403, 497)
        answer = await server.ask("SELECT 1", as_user="")
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
        assert await server.rows() == ROW.encode() * 4


@pytest.mark.parametrize(
    ("query", "body", "status", "code", "words"),
    [
        (INSERT, "1\t10.0.0.1\ts\n", 400, 27, "expected 5 cells"),
        (INSERT, "1\t10.0.0.1\ts\t1\tp\tq\n", 400, 27, "expected 5 cells"),
        (INSERT, "1\t10.0.0.256\ts\t1\tp\n", 400, 675, "IPv4"),
        (INSERT, "-1\t10.0.0.1\ts\t1\tp\n", 400, 27, "UInt64"),
        (INSERT, ROW.replace("\n", "\r\n"), 400, 117, "carriage return"),
        ("INSERT INTO ConnectionEvent FORMAT NoSuch", ROW, 404, 73, "Unknown format NoSuch"),
        ("INSERT INTO NoSuch FORMAT TSV", ROW, 404, 60, "Table wcs.NoSuch does not exist"),
        ("INSERT INTO nosuch.ConnectionEvent FORMAT TSV", ROW, 404, 81, "Database nosuch does not exist"),
        ("INSERT INTO ConnectionEvent (ip, ip) FORMAT TSV", ROW, 400, 15, "more than once"),
        ("INSERT INTO ConnectionEvent; DROP TABLE ConnectionEvent", ROW, 400, 62, "Syntax error"),
        (f"{INSERT}; SELECT 1", "", 400, 62, "more than one statement"),
        ("SELECT 1; SELECT 2", "", 400, 62, "Multi-statements"),
        ("TRUNCATE TABLE ConnectionEvent", "", 501, 48, "TRUNCATE"),
        ("hello", "", 400, 62, "expected one of INSERT"),
        ("", "", 400, 62, "Empty query"),
        ("INSERT INTO ConnectionEvent SELECT * FROM ConnectionEvent", "", 501, 48, "SELECT is not supported"),
        ("INSERT INTO StreamEventTypes FORMAT TSV", "0\tCREATED\n77\tMINE\n", 501, 48, "names of events are fixed"),
    ],
)  # fmt: skip
async def test_bad_input_has_clickhouses_code_and_keeps_nothing(
    tmp_path: Path, query: str, body: str, status: int, code: int, words: str
) -> None:
    async with receiving(tmp_path) as server:
        answer = await server.ask(query, body)
        assert (answer.status, answer.code) == (status, code), answer.text
        assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
        assert words in answer.text
        old = await server.ask(query, body, as_user="", headers=OLD)
        assert old.text.startswith(f"Code: {code}, e.displayText() = DB::Exception: ")
        blocks = await server.ask(query, body, compress="1")
        assert unframed(blocks.body, limit=10_000).decode() == answer.text
        assert await server.records() == []
        assert (await server.ask(INSERT, ROW)).status == 200
        assert server.intake.stats.refused.total() == 3


WRONG = [("wcs", ""), ("wcs", "wcs2"), ("wcs", "wc"), ("nobody", "wcs"), ("default", ""), ("w" * 5000, "")]
OLD = {"User-Agent": "Apache-HttpClient/4.5", "Authorization": "Basic d2NzOndjcw=="}
