"""RELS' receiver as drivers and curl meet it, on a real socket with a real journal behind."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import random
import zlib
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from rels_parts import ROW, receiving

from monitor import received
from monitor.pipeline import Busy
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
        "gzip": gzip.compress(body, mtime=0),
        "x-gzip": gzip.compress(body[:9], mtime=0) + gzip.compress(body[9:]),
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
        ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-9], 271),
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


async def test_a_batch_that_is_sent_again_is_kept_once(tmp_path: Path) -> None:
    async with receiving(tmp_path / "query_id") as server:
        for _ in range(3):
            answer = await server.ask(INSERT, ROW, query_id="a")
            assert (answer.status, json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"]) == (200, "1")
        await server.ask(INSERT, ROW + ROW, query_id="a")
        await server.ask("INSERT INTO ConnectionEvent FORMAT TSV", ROW, headers={"X-ClickHouse-Query-Id": "a"})
        await server.ask(INSERT, ROW, query_id="b")
        for _ in range(2):
            await server.ask(INSERT, ROW)
            await server.ask(INSERT, ROW, query_id="")
        assert [one.count for one in await server.records()] == [1, 2, 1, 1, 1, 1, 1]
        ids = [one.id for one in await server.records()]
        assert len(set(ids)) == 7
        assert server.intake.stats.repeats == 3
    async with receiving(tmp_path / "digest", "deduplicate = digest\n") as server:
        for query_id in ("a", "b", ""):
            await server.ask(INSERT, ROW, query_id=query_id)
        await server.ask(INSERT, ROW + ROW)
        assert [one.count for one in await server.records()] == [1, 2]
    async with receiving(tmp_path / "no", "deduplicate = no\n") as server:
        for _ in range(2):
            await server.ask(INSERT, ROW, query_id="a")
        assert [(one.count, one.id) for one in await server.records()] == [(1, ""), (1, "")]


async def test_the_same_batch_at_the_same_time_waits_for_the_first_and_shares_its_fate(tmp_path: Path) -> None:
    async with receiving(tmp_path) as server:
        let_go = asyncio.Event()
        accept = server.intake._accept
        tries = 0

        async def slow(records: object) -> None:
            nonlocal tries
            tries += 1
            await let_go.wait()
            if tries == 1:
                raise Busy("full")
            await accept(records)  # type: ignore[arg-type]

        server.intake._accept = slow  # type: ignore[assignment]
        both = [asyncio.create_task(server.ask(INSERT, ROW, query_id="a")) for _ in range(2)]
        while server.stats.requests < 2:
            await asyncio.sleep(0.01)
        let_go.set()
        assert [one.status for one in await asyncio.gather(*both)] == [503, 503]
        again = await asyncio.gather(*(server.ask(INSERT, ROW, query_id="a") for _ in range(2)))
        assert [one.status for one in again] == [200, 200]
        assert tries == 2
        assert await server.rows() == ROW.encode()


async def test_what_was_refused_as_busy_has_the_same_id_when_it_comes_again(tmp_path: Path) -> None:
    """The journal may have taken it all the same; the store then keeps it once."""
    async with receiving(tmp_path) as server:
        accept = server.intake._accept
        ids: list[str] = []

        async def late(records: list[object]) -> None:
            ids.extend(one.id for one in records)  # type: ignore[attr-defined]
            await accept(records)  # type: ignore[arg-type]
            if len(ids) == 1:
                raise Busy("a commit takes longer than 2 s")

        server.intake._accept = late  # type: ignore[assignment]
        answer = await server.ask(INSERT, ROW)
        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, 252, "1")
        assert "(TOO_MANY_PARTS)" in answer.text
        assert (await server.ask(INSERT, ROW)).status == 200
        assert (await server.ask(INSERT, ROW)).status == 200
        assert ids[0] == ids[1] != ids[2]
        assert server.stats.busy == 1


async def test_too_much_at_once_is_busy_and_never_a_hang(tmp_path: Path) -> None:
    async with receiving(tmp_path, "max_waiting = 1M\nmax_body = 8M\n") as server:
        answer = await server.ask(INSERT, ROW * 40_000)
        assert (answer.status, answer.code) == (503, 252)
        assert (await server.ask(INSERT, ROW)).status == 200
        assert server.receiver.held == 0


async def test_bounds_of_rows_and_columns(tmp_path: Path) -> None:
    async with receiving(tmp_path, "max_rows = 10\nmax_columns = 50\n") as server:
        answer = await server.ask(INSERT, ROW * 11)
        assert answer.code == 158
        assert "at most 10 rows, got 11" in answer.text
        names = ", ".join(f"c{number}" for number in range(51))
        assert (await server.ask(f"INSERT INTO ConnectionEvent ({names}) FORMAT TSV", "1")).code == 36
        assert (await server.ask(INSERT, ROW * 10)).status == 200
        too_many = {f"p{number}": "" for number in range(600)}
        assert (await server.ask(INSERT, ROW, **too_many)).code == 36


async def test_an_unknown_column_is_kept_beside_the_others(tmp_path: Path) -> None:
    async with receiving(tmp_path) as server:
        sent = '{"timestamp": 1, "ip": "10.0.0.1", "eventPayload": "p", "newer": {"a": [1, 2]}}'
        answer = await server.ask("INSERT INTO ConnectionEvent FORMAT JSONEachRow", sent)
        assert answer.status == 200, answer.text
        (one,) = await server.records()
        assert one.head["columns"][-1] == "extra"
        assert json.loads(one.body.split(b"\t")[-1]) == {"newer": {"a": [1, 2]}}


async def test_the_wider_rows_of_later_versions_keep_what_is_new(tmp_path: Path) -> None:
    row = "\t".join(["1700000000000", "10.0.0.1", "m", "s", *map(str, range(18))])
    async with receiving(tmp_path) as server:
        for columns in ("", "(timestamp, audioPlaybackSpeed)"):
            sent = f"{row}\t1\t0.5\n" if not columns else "5\t1.5\n"
            answer = await server.ask(f"INSERT INTO MediaSessionEvents {columns} FORMAT TabSeparated", sent)
            assert answer.status == 200, answer.text
        wide, named = await server.records()
        assert json.loads(wide.body.split(b"\t")[-1]) == {"audioPlaybackSpeed": 1, "videoPlaybackSpeed": 0.5}
        assert (wide.head["columns"][-1], len(wide.head["columns"])) == ("extra", 23)
        assert named.body.startswith(b"5\t")
        answer = await server.ask("INSERT INTO MediaSessionEvents FORMAT TabSeparated", f"{row}\t1\n")
        assert answer.code == 27
        assert "expected 22 cells" in answer.text


async def test_a_large_batch_is_kept_in_pieces_of_one_commit(tmp_path: Path) -> None:
    async with receiving(tmp_path) as server:
        rows = ROW * 200_000
        assert (await server.ask(INSERT, rows, query_id="a")).status == 200
        assert (await server.ask(INSERT, rows, query_id="a")).status == 200
        found = await server.records()
        assert len(found) == 2
        assert sum(one.count for one in found) == 200_000
        assert [one.count == one.body.count(b"\n") for one in found] == [True, True]
        assert found[1].id == found[0].id + ".1"
        assert await server.rows() == rows.encode()


async def test_no_rows_are_no_entry_and_no_error(tmp_path: Path) -> None:
    async with receiving(tmp_path) as server:
        assert (await server.ask(INSERT, "")).status == 200
        assert (await server.ask("INSERT INTO StreamEventTypes VALUES (0, 'CREATED'), (31,'RECORD')")).status == 200
        assert await server.records() == []


async def test_get_only_reads_and_pings_need_no_password(tmp_path: Path) -> None:
    async with receiving(tmp_path) as server:
        for path in ("/ping", "/replicas_status", "/"):
            for method in ("GET", "HEAD"):
                answer = await server.ask(method=method, path=path, as_user="")
                assert (answer.status, answer.text) == (200, "Ok.\n" if method == "GET" else "")
        answer = await server.ask(f"{INSERT}\n{ROW}", method="GET")
        assert (answer.status, answer.code) == (500, 164)
        assert (await server.ask("CREATE DATABASE IF NOT EXISTS wcs", method="GET")).code == 164
        assert (await server.ask("SELECT 1", method="DELETE")).status == 501
        assert (await server.ask(path="/nosuch")).status == 404
        assert (await server.ask("CREATE USER IF NOT EXISTS wcs IDENTIFIED BY 'wcs'")).status == 200
        assert (await server.ask(INSERT, ROW, max_threads="4", session_id="x", profile="default")).status == 200


async def test_a_body_is_waited_for_where_the_client_asks_first(tmp_path: Path) -> None:
    """curl sends `Expect: 100-continue` with a larger body; without a password it never sends the body."""
    async with receiving(tmp_path, "timeout = 1\n") as server:
        head = b"POST /?query=INSERT+INTO+ConnectionEvent+FORMAT+TSV%s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        head += b"Content-Length: %d\r\n\r\n" % len(ROW)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head % b"&user=wcs&password=wcs")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(ROW.encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head % b"")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401 ")
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head % b"&user=wcs&password=wcs")
        answer = await reader.read()
        assert b"HTTP/1.1 503 " in answer
        assert b"did not end within 1 s" in answer
        writer.close()
        assert await server.rows() == ROW.encode()


async def test_only_allowed_addresses_and_so_many_connections_are_taken(tmp_path: Path) -> None:
    async with receiving(tmp_path / "allow", "allow = 10.0.0.0/8\n") as server:
        answer = await server.ask("SELECT 1")
        assert (answer.status, answer.code) == (403, 195)
        assert "[[rels]] allow" in answer.text
        assert server.stats.turned_away == {"allow": 1}
    async with receiving(tmp_path / "connections", "connections = 1\n") as server:
        assert (await server.ask(INSERT, ROW)).status == 200
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST / HTTP/1.1\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        writer.close()
        assert server.stats.connections == 1
    assert server.stats.connections == 0


async def test_a_connection_is_kept_for_as_long_as_pools_do(tmp_path: Path) -> None:
    async with receiving(tmp_path) as server:
        for _ in range(5):
            assert (await server.ask(INSERT, ROW)).status == 200
        assert server.stats.opened == 1
        (connection,) = server.receiver._manager.connections
        assert connection._keepalive_timeout == 300
        assert (await server.ask("hello")).status == 400
        assert server.stats.opened == 1


async def test_what_is_no_http_is_answered_and_ends_only_its_connection(tmp_path: Path) -> None:
    async with receiving(tmp_path) as server:
        for junk in (
            b"\x00\x01\x02\x03\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(junk)
            assert (await reader.read()).startswith(b"HTTP/1.")
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /?user=wcs&password=wcs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc")
        writer.close()
        assert (await server.ask(INSERT, ROW)).status == 200


async def test_who_waits_at_the_end_gets_an_answer(tmp_path: Path) -> None:
    async with receiving(tmp_path) as server:
        accept = server.intake._accept

        async def slow(records: object) -> None:
            await asyncio.sleep(0.2)
            await accept(records)  # type: ignore[arg-type]

        server.intake._accept = slow  # type: ignore[assignment]
        asked = asyncio.create_task(server.ask(INSERT, ROW))
        while not server.stats.requests:
            await asyncio.sleep(0.01)
        await server.receiver.close(2)
        assert (await asked).status == 200
        assert await server.rows() == ROW.encode()


async def test_what_was_taken_and_refused_is_counted(tmp_path: Path) -> None:
    async with receiving(tmp_path) as server:
        await server.ask(INSERT, ROW * 2, query_id="a")
        await server.ask(INSERT, ROW * 2, query_id="a")
        await server.ask(INSERT, "1\n")
        await server.ask("SELECT 1")
        found = {
            (sample.name.removeprefix("monitor_rels_"), *sample.labels.values()): sample.value
            for family in received.rels(server.stats)
            for sample in family.samples
        }
        assert found["rows_total", "ConnectionEvent"] == 2
        assert found["batches_total", "ConnectionEvent"] == 1
        assert found["refused_total", "CANNOT_PARSE_INPUT_ASSERTION_FAILED"] == 1
        counts = {name: found[name,] for name in ("requests_total", "repeats_total", "reads_total", "servers")}
        assert counts == {"requests_total": 4, "repeats_total": 1, "reads_total": 1, "servers": 1}
        assert found["connections",] == found["opened_connections_total",] == 1


async def test_odd_bytes_are_kept_as_they_are_and_numbers_as_clickhouse_reads_them(tmp_path: Path) -> None:
    async with receiving(tmp_path) as server:
        rows = b"18446744073709551616\t10.0.0.1\ta\\0b\xff\xfe\t\\N\t\x00'\\'\n1\t10.0.0.2\tlast\t2\tno newline"
        answer = await server.ask(INSERT, rows)  # type: ignore[arg-type]
        assert answer.status == 200, answer.text
        assert await server.rows() == b"0\t10.0.0.1\ta\\0b\xff\xfe\t0\t\\0''\n1\t10.0.0.2\tlast\t2\tno newline\n"


@pytest.mark.parametrize(
    ("value", "code"), [("x' OR 1=1", 27), ("1); DROP TABLE ConnectionEvent; --", 27), ("$(id)", 27)]
)
async def test_values_are_values_and_never_sql(tmp_path: Path, value: str, code: int) -> None:
    async with receiving(tmp_path) as server:
        assert (await server.ask(INSERT, f"{value}\t10.0.0.1\ts\t1\tp\n")).code == code
        row = f"1\t10.0.0.1\t{value}\t1\t{value}\n"
        assert (await server.ask(INSERT, row)).status == 200
        assert await server.rows() == row.encode()
        for table in (f"ConnectionEvent {value}", f"`{value}`", f'"wcs"."{value}"'):
            assert (await server.ask(f"INSERT INTO {table} FORMAT TSV", ROW)).status in (400, 404), table


async def test_two_statements_in_one_are_refused_and_neither_is_done(tmp_path: Path) -> None:
    async with receiving(tmp_path) as server:
        for sent in (
            "INSERT INTO ConnectionEvent VALUES (1,'10.0.0.1','s',1,'p'); DROP TABLE ConnectionEvent",
            "INSERT INTO ConnectionEvent VALUES (1,'10.0.0.1','s',1,'p'); INSERT INTO ConnectionEvent VALUES (2)",
            "SELECT 1; INSERT INTO ConnectionEvent VALUES (1,'10.0.0.1','s',1,'p')",
        ):
            assert (await server.ask("", sent)).status == 400, sent
        assert await server.records() == []


async def test_any_request_is_answered(tmp_path: Path) -> None:
    """Random changes to good requests: an answer below 600 and a connection that goes on, whatever came."""
    rng = random.Random(7)
    good = [f"{INSERT}\n{ROW}", f"INSERT INTO ConnectionEvent VALUES ({ROW!r})", "SELECT 1", f"DESC t FORMAT {ROW}"]
    async with receiving(tmp_path) as server:
        for number in range(300):
            sent = bytearray(rng.choice(good).encode())
            for _ in range(rng.randrange(1, 6)):
                at = rng.randrange(len(sent))
                sent[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
            more = {"decompress": "1"} if number % 7 == 0 else {"compress": "1"} if number % 3 == 0 else {}
            headers = {"Content-Encoding": rng.choice(["gzip", "lz4", "zstd", "deflate"])} if number % 5 == 0 else {}
            answer = await server.ask("", bytes(sent), headers=headers, **more)
            assert answer.status == 200 or answer.code > 0, sent
        assert server.stats.opened == 1
        assert server.receiver.held == 0
