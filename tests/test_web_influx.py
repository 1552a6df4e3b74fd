"""POST /write and /api/v2/write over HTTP, with the errors that InfluxDB's clients look for."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import pytest
from web_parts import CONFIG, serving

from monitor.batch import Source
from monitor.pipeline import Busy

NOW = 1795234980.0
GOOD = b"cpu,host=web1,cpu=cpu0 usage_user=1.5,usage_idle=98i 1795234980000000000\n"


async def test_lines_are_stored_and_answered_with_204(tmp_path: Path) -> None:
    async with serving(tmp_path, clock=lambda: NOW) as (client, parts):
        for path, body, headers in (
            ("/write?db=telegraf", GOOD, {}),
            ("/write?db=telegraf&precision=s&rp=autogen&consistency=one", b"mem,host=web1 used=1i 1795234980", {}),
            (
                "/api/v2/write?org=o&bucket=b&precision=ms",
                gzip.compress(b"net,host=web1 bytes_recv=1i 1795234980000"),
                {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"},
            ),
        ):
            answer = await client.post(path, data=body, headers=headers)
            assert (answer.status, await answer.read()) == (204, b"")
            assert answer.headers["X-Influxdb-Version"]
        await parts.stored()
        found = await (await client.get("/api/v1/latest?host=web1")).json()
        assert {(one["collector"], one["instance"], one["name"], one["kind"]) for one in found["series"]} == {
            ("cpu", "cpu=cpu0", "usage_user", "gauge"), ("cpu", "cpu=cpu0", "usage_idle", "gauge"),
            ("mem", "", "used", "gauge"), ("net", "", "bytes_recv", "derive"),
        }  # fmt: skip
        assert Source("web1", "cpu", "cpu=cpu0") in parts.rates
        metrics = (await (await client.get("/metrics")).text()).splitlines()
        assert {"monitor_influx_requests_total 3.0", "monitor_influx_lines_total 3.0"} <= set(metrics)


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/write", GOOD, 400, "database is required"),
        ("/write?db=x&precision=d", GOOD, 400, 'invalid precision "d" (use n, u, ms, s, m or h)'),
        ("/write?db=x", b"bad\n", 400, "unable to parse 'bad': missing fields"),
        ("/write?db=x", GOOD + b"bad\n", 400, "partial write: unable to parse 'bad': missing fields dropped=0"),
        ("/write?db=x", GOOD + b"m,host=a v=1 1000\n", 400, "partial write: points beyond retention policy dropped=1"),
        ("/write?db=x", 30 * b"bad\n", 400, "and 10 more lines that cannot be parsed"),
        ("/write?db=x", b"m,host=" + 60 * b"h" + b" " + 300 * b"n" + b"=1\n", 400, "partial write: names"),
        ("/query?q=SELECT+1", b"", 400, "only CREATE DATABASE and SHOW DATABASES"),
        ("/query", b"", 400, 'missing required parameter "q"'),
    ],
)  # fmt: skip
async def test_an_error_is_told_as_influxdb_tells_it(
    tmp_path: Path, path: str, body: bytes, status: int, said: str
) -> None:
    async with serving(tmp_path, clock=lambda: NOW) as (client, _):
        answer = await client.post(path, data=body, headers={"Content-Type": "text/plain"})
        error = json.loads(await answer.read())["error"]
        assert answer.status == status and said in error
        assert answer.headers["X-Influxdb-Error"] == error.replace("\n", " ")[:500]


async def test_errors_of_the_second_version_have_its_form(tmp_path: Path) -> None:
    async with serving(tmp_path, clock=lambda: NOW) as (client, _):
        answer = await client.post("/api/v2/write?precision=m", data=GOOD)
        assert await answer.json() == {"code": "invalid", "message": "precision: expected ns, us, ms or s, got 'm'"}
        answer = await client.post("/api/v2/write", data=b"bad")
        assert answer.status == 400 and (await answer.json())["code"] == "invalid"


async def test_a_client_is_told_to_come_again_when_the_journal_is_busy(tmp_path: Path) -> None:
    async with serving(tmp_path, clock=lambda: NOW) as (client, parts):

        async def busy(batches: object) -> list[str | None]:
            raise Busy("the disk is full")

        parts.pipeline.accept = busy  # type: ignore[method-assign]
        answer = await client.post("/write?db=x", data=GOOD)
        assert answer.status == 503 and answer.headers["Retry-After"] == "5"
        assert await answer.json() == {"error": "write it again: the disk is full"}


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (50 * GOOD, "", 413),
        (gzip.compress(1000 * GOOD), "gzip", 413),
        (GOOD, "gzip", 400),
        (GOOD, "zstd", 415),
        (b"", "", 204),
    ],
)
async def test_bodies_that_are_too_large_or_not_gzip_are_refused(
    tmp_path: Path, body: bytes, encoding: str, status: int
) -> None:
    text = CONFIG + "[receivers]\n[[push]]\nmax_body = 2k\n"
    async with serving(tmp_path, text, lambda: NOW) as (client, _):
        headers = {"Content-Encoding": encoding} if encoding else {}
        assert (await client.post("/write?db=x", data=body, headers=headers)).status == status


async def test_no_web_page_can_write_through_a_visitors_browser(tmp_path: Path) -> None:
    async with serving(tmp_path, clock=lambda: NOW) as (client, parts):
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert (await client.post("/write?db=x", data=GOOD, headers=headers)).status == 403
        assert not len(parts.rates)


async def test_what_clients_ask_first_is_answered(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        for answer in (await client.get("/ping"), await client.head("/ping")):
            assert answer.status == 204 and answer.headers["X-Influxdb-Version"].startswith("1.")
        assert "version" in await (await client.get("/ping?verbose=true")).json()
        for answer in (
            await client.post("/query", params={"q": 'CREATE DATABASE "telegraf"'}),
            await client.post("/query", data={"q": 'CREATE DATABASE "telegraf" WITH NAME "x"'}),
        ):
            assert await answer.json() == {"results": [{"statement_id": 0}]}
        series = (await (await client.get("/query", params={"q": "show databases"})).json())["results"][0]["series"]
        assert series[0]["name"] == "databases"


USERS = """[auth]
[[users]]
[[[sender]]]
password = right
role = push
[[[agent]]]
token = tok
role = push
[[[reader]]]
token = reads
"""


async def test_the_role_push_is_needed_and_influxdbs_ways_to_say_who_one_is_are_known(tmp_path: Path) -> None:
    async with serving(tmp_path, CONFIG + USERS, lambda: NOW) as (client, _):
        basic = "Basic " + base64.b64encode(b"sender:right").decode()
        for path, header in (
            ("/write?db=x&u=sender&p=right", ""), ("/write?db=x", basic), ("/api/v2/write", "Token tok"),
            ("/api/v2/write", "Token sender:right"), ("/api/v2/write", "Bearer tok"),
        ):  # fmt: skip
            headers = {"Authorization": header} if header else {}
            assert (await client.post(path, data=GOOD, headers=headers)).status == 204, (path, header)
        for path, header, status in (
            ("/write?db=x&u=sender&p=wrong", "", 401), ("/write?db=x", "", 401), ("/api/v2/write", "Token no", 401),
            ("/api/v2/write", "Token reads", 403), ("/api/v1/hosts?u=sender&p=right", "", 401),
        ):  # fmt: skip
            headers = {"Authorization": header} if header else {}
            ask = client.get if path.startswith("/api/v1") else client.post
            answer = await ask(path, headers=headers)
            assert answer.status == status, (path, header)
        assert (await client.get("/ping")).status == 204
