"""What real drivers sent, byte for byte: every request has the answer of its kind, and the rows are ClickHouse's.

The requests are of four versions of the JDBC driver, clickhouse-connect, aiochclient and @clickhouse/client.
`expected.json` is what a real engine made of them: `pytest --golden` asks it again.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import clickhouse_connect
import lz4.frame
import pytest
from aiochclient import ChClient, ChClientError
from appliance import Appliance, appliance, free_port, wait_for
from clickhouse_connect.driver.exceptions import DatabaseError
from rels_parts import CASES, receiving
from servers_clickhouse import clickhouse
from yarl import URL

from monitor.wire.clickhouse.framing import unframed
from monitor.wire.clickhouse.tables import EVENTS

CAPTURES: dict[str, list[dict[str, Any]]] = json.loads(gzip.decompress((CASES / "wire_captures.json.gz").read_bytes()))
EXPECTED = CASES / "expected.json"
HOP = {"host", "transfer-encoding", "content-length", "connection", "accept-encoding", "expect"}
LONGEST = 1000
"""Bytes of an answer that are recorded."""
BROKEN = b"inser t into"
"""What a driver makes of `values` in lower case."""


def requests(name: str) -> Iterator[dict[str, Any]]:
    mark = ""
    for one in CAPTURES[name]:
        mark = one.get("mark", mark)
        if "path" in one:
            headers = {key: value for key, value in one["headers"] if key.lower() not in HOP}
            if headers.get("Content-Encoding") == "gzip":
                del headers["Content-Encoding"]  # which the bodies are without
            yield {**one, "mark": mark, "headers": headers, "body": base64.b64decode(one["body_b64"])}


def statement(one: dict[str, Any]) -> bytes:
    values = dict(parse_qsl(urlsplit(one["path"]).query, keep_blank_values=True))
    body: bytes = one["body"]
    if one["headers"].get("Content-Encoding") == "lz4":
        body = lz4.frame.decompress(body)
    if values.get("decompress") == "1":
        body = unframed(body, limit=1 << 20)
    return values.get("query", "").encode() + b"\n" + body if values.get("query") else body


async def send(session: aiohttp.ClientSession, port: int, one: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body, unpacked."""
    url = URL(f"http://127.0.0.1:{port}{one['path']}", encoded=True)
    async with session.request(one["method"], url, data=one["body"] or None, headers=one["headers"]) as answer:
        body = await answer.read()
        if "compress=1" in one["path"].replace("decompress=1", "") and body:
            body = unframed(body, limit=1 << 20)
        return answer.status, dict(answer.headers), body


def place(name: str, number: int) -> str:
    return f"{name} {number}"


def golden_answers(directory: Path) -> dict[str, Any]:
    """Ask the real engine: what every request is answered, and the rows of every table in the end."""
    port = free_port()
    found: dict[str, Any] = {"answers": {}, "rows": {}}

    async def ask() -> None:
        async with aiohttp.ClientSession() as session:
            for name in CAPTURES:
                for number, one in enumerate(requests(name)):
                    status, _, body = await send(session, port, one)
                    found["answers"][place(name, number)] = [status, base64.b64encode(body[:LONGEST]).decode()]

    with clickhouse(directory, port):
        asyncio.run(ask())
        for table in EVENTS:
            body = f"SELECT * FROM wcs.{table.name} FORMAT TabSeparated".encode()
            with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/", data=body)) as answer:
                found["rows"][table.name] = sorted(answer.read().decode().splitlines())
    return found


@pytest.fixture(scope="module")
def expected(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if request.config.getoption("--golden"):
        found = golden_answers(tmp_path_factory.mktemp("engine"))
        EXPECTED.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    result: dict[str, Any] = json.loads(EXPECTED.read_text())
    return result


async def test_the_rows_of_all_captures_are_those_that_clickhouse_has(tmp_path: Path, expected: dict[str, Any]) -> None:
    async with receiving(tmp_path) as server:
        for name in CAPTURES:
            for number, one in enumerate(requests(name)):
                if b"insert" not in statement(one)[:10].lower():
                    continue
                status, headers, body = await send(server.session, server.port, one)
                assert (status, body) == (200, b""), (name, number, body)
                assert "X-ClickHouse-Format" not in headers
        for table in EVENTS:
            rows = []
            for one in await server.records():
                if one.table == f"wcs.{table.name}":
                    missing = "\t" * (len(table.columns) - len(one.head["columns"]))
                    rows += [row + missing for row in one.body.decode().splitlines()]
            # The engine writes an apostrophe with a backslash, which is as good without.
            wanted = [row.replace("\\'", "'") for row in expected["rows"][table.name]]
            assert sorted(rows) == sorted(wanted), table.name
        assert server.stats.rows.total() > 100


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Appliance, int]]:
    port = free_port()
    text = f"[handlers]\n[[PostgreSQLHandler]]\nflush_interval = 0\n[receivers]\n[[rels]]\nlisten = 127.0.0.1:{port}\n"
    with appliance(tmp_path_factory.mktemp("captures"), text + "password = wcs\n") as one:
        yield one, port


def test_every_request_of_the_captures_has_the_answer_of_its_kind(
    running: tuple[Appliance, int], expected: dict[str, Any]
) -> None:
    _, port = running

    async def replay() -> None:
        readings = []
        async with aiohttp.ClientSession() as session:
            for name in CAPTURES:
                for number, one in enumerate(requests(name)):
                    sql = statement(one)
                    wanted = expected["answers"][place(name, number)]
                    if b"from" in sql.lower() and b"WHERE 0" not in sql and b"insert" not in sql[:10].lower():
                        readings.append((name, number, one))
                        continue
                    status, headers, body = await send(session, port, one)
                    if sql.startswith(BROKEN):
                        assert (status, headers["X-ClickHouse-Exception-Code"]) == (400, "62")
                        continue
                    assert status == wanted[0] == 200, (name, number, body)
                    if b"version()" not in sql and b"timezone()" not in sql:
                        assert body == base64.b64decode(wanted[1]), (name, number, sql)
            count = sum(len(rows) for rows in expected["rows"].values())

            def stored() -> bool:
                tables = ", ".join(f"(SELECT count() FROM {table.name})" for table in EVENTS)
                url = f"http://127.0.0.1:{port}/?user=wcs&password=wcs"
                with urllib.request.urlopen(urllib.request.Request(url, data=f"SELECT {tables}".encode())) as answer:
                    return sum(map(int, answer.read().split())) == count

            await asyncio.to_thread(wait_for, stored, 20)
            for name, number, one in readings:
                status, headers, body = await send(session, port, one)
                wanted_status, wanted_body = expected["answers"][place(name, number)]
                assert status == wanted_status, (name, number, body)
                if status != 200:
                    assert headers["X-ClickHouse-Exception-Code"] == "60"
                    assert b"(UNKNOWN_TABLE)" in body
                elif one["mark"] == "select":
                    assert b"test" in body
                    assert body[:60] == base64.b64decode(wanted_body)[:60]

    asyncio.run(replay())


def reference(port: int) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "username": "wcs", "password": "wcs", "database": "wcs"}


def counted(port: int, where: str) -> int:
    body = f"SELECT count() FROM ConnectionEvent WHERE {where}".encode()
    url = f"http://127.0.0.1:{port}/?user=wcs&password=wcs&database=wcs"
    with urllib.request.urlopen(urllib.request.Request(url, data=body)) as answer:
        return int(answer.read())


@pytest.mark.parametrize("compress", [True, False, "zstd", "gzip"])
def test_clickhouse_connect_inserts_and_reads(running: tuple[Appliance, int], compress: bool | str) -> None:
    _, port = running
    session = f"connect{compress}"
    with clickhouse_connect.get_client(**reference(port), compress=compress) as client:
        assert client.ping()
        rows = [[1700000000000 + number, f"10.0.{number // 250}.{number % 250}", session, 1, "it's\t"]
                for number in range(500)]  # fmt: skip
        names = ["timestamp", "ip", "sessionId", "eventType", "eventPayload"]
        for table in ("ConnectionEvent", "wcs.ConnectionEvent"):
            assert client.insert(table, rows, column_names=names).written_rows == 500
        client.raw_insert("ConnectionEvent", names, f"1\t10.0.0.1\t{session}\t0\tx\n", fmt="TabSeparated")
        wait_for(lambda: counted(port, f"sessionId = '{session}'") == 1001, 20)
        found = client.query(
            "SELECT timestamp, ip, eventPayload FROM ConnectionEvent"
            " WHERE sessionId = {s:String} AND timestamp = {t:UInt64}",
            parameters={"s": session, "t": 1700000000300},
        )  # fmt: skip
        assert found.column_names == ("timestamp", "ip", "eventPayload")
        assert [(row[0], str(row[1]), row[2]) for row in found.result_rows] == [
            (1700000000300, "10.0.1.50", "it's\t")
        ] * 2
        assert client.command("SELECT count() FROM ConnectionEvent WHERE sessionId = 'nobody'") == 0
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            client.query("SELECT * FROM nosuch")
        with pytest.raises(DatabaseError, match="NOT_IMPLEMENTED"):
            client.command("TRUNCATE TABLE ConnectionEvent")


async def test_aiochclient_inserts_and_reads(running: tuple[Appliance, int]) -> None:
    _, port = running
    async with aiohttp.ClientSession() as session:
        client = ChClient(
            session, url=f"http://127.0.0.1:{port}", user="wcs", password="wcs", database="wcs", compress_response=True
        )
        assert await client.is_alive()
        rows = [(1700000000000 + number, "10.0.0.9", "aio\\'\t", number, "p") for number in range(3)]
        await client.execute("INSERT INTO ConnectionEvent VALUES", *rows)
        await client.execute(
            "INSERT INTO ConnectionEvent FORMAT JSONEachRow",
            {"timestamp": 1, "ip": "10.0.0.1", "sessionId": "aio", "eventType": 1, "eventPayload": "z"},
        )
        await asyncio.to_thread(wait_for, lambda: counted(port, "sessionId LIKE 'aio%'") == 4, 20)
        found = await client.fetch(
            "SELECT sessionId, eventType FROM ConnectionEvent WHERE ip = '10.0.0.9' AND eventType = 2"
        )
        assert [tuple(row.values()) for row in found] == [("aio\\'\t", 2)]
        with pytest.raises(ChClientError, match="UNKNOWN_TABLE"):
            await client.fetch("SELECT * FROM nosuch")


def test_curl_inserts_a_file_and_reads_the_documented_selects(running: tuple[Appliance, int], tmp_path: Path) -> None:
    _, port = running
    body = tmp_path / "rows.tsv"
    body.write_text("".join(f"{1700000000000 + n}\t10.0.0.1\tcurl\t{n % 2}\t{'x' * 100}\n" for n in range(20_000)))

    def curl(*words: str) -> str:
        command = ["curl", "-sS", "--fail-with-body", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        return done.stdout + done.stderr

    url = f"http://127.0.0.1:{port}/?user=wcs&password=wcs&database=wcs"
    assert (
        curl(f"{url}&query=INSERT%20INTO%20ConnectionEvent%20FORMAT%20TabSeparated", "--data-binary", f"@{body}") == ""
    )
    wait_for(lambda: counted(port, "sessionId = 'curl'") == 20_000, 30)
    select = (
        "select timestamp,ip,sessionId,dictGetString('wcs.DictionaryConnectionEvents','type', eventType) as eventType"
        " from wcs.ConnectionEvent where sessionId = 'curl' order by timestamp limit 2"
    )
    expected = "1700000000000\t10.0.0.1\tcurl\tCONNECTED\n1700000000001\t10.0.0.1\tcurl\tDISCONNECTED\n"
    assert curl("-u", "wcs:wcs", f"http://127.0.0.1:{port}/", "-d", select) == expected
    assert "Code: 516" in curl("-u", "wcs:no", f"http://127.0.0.1:{port}/", "-d", select)
