"""The JSON API: shapes, filters, errors that say what is allowed, and hosts with their state."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError
from aiohttp.test_utils import TestClient
from web_parts import OWN, batch, serving

from monitor.batch import Kind, Source

Client = TestClient[Any, Any]


async def get(client: Client, path: str, status: int = 200, **query: Any) -> Any:
    answer = await client.get(path, params=query)
    body = await answer.read()
    assert answer.status == status, body
    assert answer.content_type == ("application/json" if status < 400 else "application/problem+json")
    return json.loads(body)


async def test_hosts_are_the_configured_ones_and_those_that_push(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        await parts.pipeline.accept([batch("pusher", reqs=1.0)])
        await parts.stored()
        found = (await get(client, "/api/v1/hosts"))["hosts"]
        assert [host["host"] for host in found] == [OWN, "10.0.0.1", "10.0.0.2", "pusher"]
        www1 = found[1]
        assert {key: www1[key] for key in ("hostname", "address", "service", "label", "role", "state")} == {
            "hostname": "www1", "address": "10.0.0.1", "service": "shop", "label": "front", "role": "web",
            "state": "unknown",
        }  # fmt: skip
        assert found[3]["state"] == "ok"


@pytest.mark.parametrize("name", ["10.0.0.1", "www1", "WWW1"])
async def test_a_host_is_found_by_identity_and_hostname_and_tells_its_collectors(tmp_path: Path, name: str) -> None:
    async with serving(tmp_path) as (client, parts):
        job = parts.job("10.0.0.1", "nginx")
        job.up, job.reason, job.runs, job.failures = False, "connection refused", 3, 3
        found = await get(client, f"/api/v1/hosts/{name}")
        assert found["host"] == "10.0.0.1"
        assert found["state"] == "critical"
        assert found["failing"] == [{"collector": "nginx", "reason": "connection refused"}]
        (collector,) = found["collectors"]
        assert (collector["collector"], collector["up"], collector["failures"]) == ("nginx", False, 3)


async def test_an_unknown_host_is_a_404_that_names_those_that_there_are(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        found = await get(client, "/api/v1/hosts/www9", 404)
        assert found["parameter"] == "host"
        assert set(found["allowed"]) == {OWN, "10.0.0.1", "10.0.0.2"}
        assert "www9" in found["detail"]


async def test_the_state_follows_collections_and_silence(tmp_path: Path) -> None:
    now = [time.time()]
    async with serving(tmp_path, clock=lambda: now[0]) as (client, parts):

        async def states() -> dict[str, str]:
            return {host["host"]: host["state"] for host in (await get(client, "/api/v1/hosts"))["hosts"]}

        jobs = [job for key, job in parts.runner.jobs.items() if key.host == OWN]
        parts.fill(Source("pusher", "app"), {"reqs": lambda i: 1.0}, 5, now[0])
        assert await states() == {OWN: "unknown", "10.0.0.1": "unknown", "10.0.0.2": "unknown", "pusher": "ok"}
        for job in jobs:
            job.up = True
        assert (await states())[OWN] == "ok"
        jobs[0].up = False
        assert (await states())[OWN] == "warning"
        for job in jobs:
            job.up = False
        assert (await states())[OWN] == "critical"
        now[0] += 121 + 60
        assert (await states())["pusher"] == "critical"
        now[0] += 86400
        assert (await states())["pusher"] == "critical"


async def test_what_was_pushed_once_for_a_collected_host_is_left_out_after_an_hour(tmp_path: Path) -> None:
    now = [time.time()]
    async with serving(tmp_path, clock=lambda: now[0]) as (client, parts):
        parts.job("10.0.0.1", "nginx").up = True
        parts.fill(Source("10.0.0.1", "app"), {"reqs": lambda i: 1.0}, 5, now[0])
        assert (await get(client, "/api/v1/hosts/www1"))["state"] == "ok"
        now[0] += 600
        assert (await get(client, "/api/v1/hosts/www1"))["state"] == "warning"
        now[0] += 3600
        found = await get(client, "/api/v1/hosts/www1")
        assert found["state"] == "ok"
        assert [part["collector"] for part in found["collectors"]] == ["nginx"]


async def test_series_are_narrowed_by_every_filter(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        parts.fill(Source("10.0.0.1", "nginx"), {"req_handled": lambda i: 1.0, "act_reads": lambda i: 1.0}, 2)
        parts.fill(Source("10.0.0.1", "nginx", "second"), {"req_handled": lambda i: 1.0}, 2)
        parts.fill(Source(OWN, "network"), {"eth0.rx_byte": lambda i: 1.0}, 2)
        assert len((await get(client, "/api/v1/series"))["series"]) == 4
        assert len((await get(client, "/api/v1/series", host="www1"))["series"]) == 3
        assert len((await get(client, "/api/v1/series", host="www1", instance=""))["series"]) == 2
        (one,) = (await get(client, "/api/v1/series", host="10.0.0.1", instance="second"))["series"]
        assert one == {
            "host": "10.0.0.1", "collector": "nginx", "instance": "second", "name": "req_handled", "kind": "gauge",
            "unit": "requests/s",
        }  # fmt: skip
        (device,) = (await get(client, "/api/v1/series", collector="network"))["series"]
        assert device["unit"] == "bytes/s"
        assert (await get(client, "/api/v1/series", name="nothing"))["series"] == []
        assert (await get(client, "/api/v1/series", host="nobody"))["series"] == []


async def test_latest_tells_time_and_value_of_every_series_and_null_for_unknown(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        parts.fill(Source("p", "app"), {"a": lambda i: i, "b": lambda i: math.nan}, 3, 1_795_234_980)
        found = (await get(client, "/api/v1/latest", host="p"))["series"]
        assert [(one["name"], one["time"], one["value"]) for one in found] == [
            ("a", 1_795_234_980, 2), ("b", 1_795_234_980, None),
        ]  # fmt: skip


async def test_a_long_answer_is_whole_json(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        for i in range(3000):
            parts.store.add(Source(f"host{i}", "app"), 60, 0, {"a_name_that_takes_room": 1.0}, kinds={"a": Kind.GAUGE})
        found = (await get(client, "/api/v1/latest"))["series"]
        assert len(found) == 3000
        assert {one["host"] for one in found} == {f"host{i}" for i in range(3000)}


async def test_an_answer_that_fails_halfway_does_not_look_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as (client, parts):
        for i in range(6000):
            parts.store.add(Source(f"host{i}", "app"), 60, 0, {"a_name_that_takes_room": 1.0}, kinds={"a": Kind.GAUGE})
        latest, asked = parts.store.latest, 0

        async def fails(sources: Any) -> Any:
            nonlocal asked
            asked += 1
            if asked > 100:
                raise RuntimeError("the store broke")
            return await latest(sources)

        parts.store.latest = fails  # type: ignore[method-assign]
        answer = await client.get("/api/v1/latest")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        with pytest.raises(ClientPayloadError):
            await answer.read()
        assert [record.message for record in caplog.records] == ["web.cut_short"]


async def test_who_hangs_up_halfway_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path) as (client, parts):
        for i in range(6000):
            parts.store.add(Source(f"host{i}", "app"), 60, 0, {"a_name_that_takes_room": 1.0}, kinds={"a": Kind.GAUGE})
        answer = await client.get("/api/v1/latest")
        answer.close()
        assert (await client.get("/healthz")).status == 200
        assert not caplog.records


async def test_a_query_answers_in_the_order_asked_with_nulls_for_unknown(tmp_path: Path) -> None:
    now = 1_795_234_980
    async with serving(tmp_path, clock=lambda: now + 1) as (client, parts):
        parts.fill(Source("p", "app"), {"a": lambda i: i, "b": lambda i: math.nan if i == 3 else 2 * i}, 10, now)
        answer = await client.get(
            "/api/v1/query",
            params=[("series", "p:app::b"), ("series", "p:app::none"), ("series", "p:app::a"),
                    ("start", str(now - 300)), ("end", str(now)), ("step", "60"), ("cf", "average")],
        )  # fmt: skip
        found = await answer.json()
        assert {key: found[key] for key in ("start", "end", "step", "cf")} == {
            "start": now - 300, "end": now, "step": 60, "cf": "AVERAGE",
        }  # fmt: skip
        assert [one["name"] for one in found["series"]] == ["b", "a"]
        assert found["series"][1]["values"] == [5, 6, 7, 8, 9]
        everything = await get(client, "/api/v1/query", series="p:app::b", start=now - 600, end=now)
        assert None in everything["series"][0]["values"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({}, "series"),
        ({"series": "a:b"}, "series"),
        ({"series": "p:app::a", "start": "rubbish"}, "start"),
        ({"series": "p:app::a", "end": "noon tomorrow maybe"}, "end"),
        ({"series": "p:app::a", "start": "now", "end": "-1h"}, "end"),
        ({"series": "p:app::a", "step": "5x"}, "step"),
        ({"series": "p:app::a", "step": "0"}, "step"),
        ({"series": "p:app::a", "step": "-60"}, "step"),
        ({"series": "p:app::a", "start": "-20y", "end": "now", "step": "60"}, "step"),
        ({"series": "p:app::a", "cf": "SUM"}, "cf"),
    ],
)
async def test_a_parameter_that_cannot_be_read_is_a_400_that_names_it(
    tmp_path: Path, query: dict[str, str], parameter: str
) -> None:
    async with serving(tmp_path) as (client, _):
        found = await get(client, "/api/v1/query", 400, **query)
        assert found["parameter"] == parameter
        assert found["detail"].startswith(parameter)
        assert found["status"] == 400


async def test_unknown_series_are_an_empty_list(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        assert (await get(client, "/api/v1/query", series="a:b:c:d"))["series"] == []


async def test_graphs_list_those_of_collectors_of_each_device_and_of_what_is_pushed(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        parts.fill(Source("10.0.0.1", "nginx"), {"req_handled": lambda i: 1.0}, 2)
        parts.fill(Source(OWN, "network"), {f"eth{i}.rx_bit": lambda i: 1.0 for i in (0, 1, 10)}, 2)
        parts.fill(Source("p", "app", "a:b"), {"reqs": lambda i: 1.0}, 2)
        found = (await get(client, "/api/v1/graphs"))["graphs"]
        names = {(one["host"], one["collector"], one["instance"], one["graph"]) for one in found}
        assert ("10.0.0.1", "nginx", "", "requests") in names
        assert {name for host, _, _, name in names if host == OWN and name.startswith("traffic.")} == {
            "traffic.eth0", "traffic.eth1", "traffic.eth10",
        }  # fmt: skip
        assert ("p", "app", "a:b", "reqs") in names
        for one in found:
            answer = await client.get(one["url"])
            assert answer.status == 200, one
            assert (await answer.read()).startswith(b"\x89PNG")


async def test_head_is_answered_like_get_without_the_body(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        parts.fill(Source(OWN, "loadavg"), {"01": lambda i: 1.0}, 2)
        for path in ("/", "/api/v1/hosts", "/api/v1/series", "/healthz", "/graph_global?target=loadavg"):
            answer = await client.head(path)
            assert answer.status == 200, path
            assert await answer.read() == b""


async def test_another_method_is_a_405_that_says_which_are_allowed(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        answer = await client.delete("/api/v1/hosts")
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET, HEAD"
        assert (await answer.json(content_type="application/problem+json"))["allowed"] == ["GET", "HEAD"]
        assert (await client.get("/api/v1/push")).headers["Allow"] == "POST"


async def test_every_answer_carries_a_request_id_and_takes_the_given_one(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        first, second = [(await client.get("/healthz")).headers["X-Request-ID"] for _ in range(2)]
        assert first != second
        answer = await client.get("/nowhere", headers={"X-Request-ID": "abc-1"})
        assert answer.headers["X-Request-ID"] == "abc-1"
        assert (await answer.json(content_type="application/problem+json"))["request_id"] == "abc-1"
        answer = await client.get("/healthz", headers={"X-Request-ID": "a b<script>"})
        assert "<" not in answer.headers["X-Request-ID"]


async def test_an_unexpected_error_is_told_without_its_traceback_and_logged_once_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as (client, parts):

        async def broken(**_: Any) -> Any:
            raise KeyError("secret detail")

        parts.store.sources = broken  # type: ignore[method-assign]
        with caplog.at_level(logging.ERROR, "monitor.web"):
            found = await get(client, "/api/v1/hosts", 500)
        assert "secret" not in json.dumps(found)
        (record,) = [record for record in caplog.records if record.name == "monitor.web"]
        assert record.exc_info
        assert record.fields["request_id"] == found["request_id"]  # type: ignore[attr-defined]


async def test_a_store_that_is_away_is_a_503_with_its_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path) as (client, parts):

        async def refused(**_: Any) -> Any:
            raise ConnectionRefusedError(111, "refused")

        async def away() -> str:
            return "the database does not answer: postgresql://u:hunter2@db/x"

        parts.store.sources = refused  # type: ignore[method-assign]
        parts.store.healthy = away  # type: ignore[method-assign]
        found = await get(client, "/api/v1/hosts", 503)
        assert "does not answer" in found["detail"]
        assert not [record for record in caplog.records if record.name == "monitor.web"]
        ready = await client.get("/readyz")
        assert ready.status == 503
        body = await ready.json()
        assert body["failing"] == ["database"]
        assert "hunter2" not in json.dumps(body)
        assert (await client.get("/healthz")).status == 200


async def test_a_store_that_hangs_is_given_up(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        parts.fill(Source(OWN, "loadavg"), {name: lambda i: 1.0 for name in ("01", "05", "15")}, 3)

        async def hang(*_: Any) -> Any:
            await asyncio.Event().wait()

        parts.store.read = hang  # type: ignore[method-assign]
        parts.store.latest = hang  # type: ignore[method-assign]
        parts.services.patience = 0.05
        for path in (f"/api/v1/query?series={OWN}:loadavg::01", "/api/v1/latest", "/graph_global?target=loadavg"):
            answer = await client.get(path)
            assert answer.status == 503, path
            assert "Retry-After" in answer.headers


async def test_readyz_waits_for_the_first_schedule(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        assert (await client.get("/readyz")).status == 200
        parts.scheduler.placed = False
        answer = await client.get("/readyz")
        assert answer.status == 503
        assert (await answer.json())["failing"] == ["schedule"]


async def test_healthz_fails_while_the_loop_runs_late(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        parts.lag.quantile = lambda q: 2.5  # type: ignore[method-assign]
        answer = await client.get("/healthz")
        assert answer.status == 503
        assert "2.5" in (await answer.json())["detail"]
