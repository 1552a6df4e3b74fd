"""POST /api/v1/push through the real pipeline and journal."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from web_parts import CONFIG, serving

from monitor.batch import Kind, Source
from monitor.pipeline import Busy

Client = TestClient[Any, Any]


def one(**changes: Any) -> dict[str, Any]:
    return {"host": "web1", "collector": "app", "time": int(time.time()), "values": {"reqs": 1}, **changes}


async def push(client: Client, body: Any, status: int = 200, **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await client.post(
        "/api/v1/push", data=io.BytesIO(data), headers={"Content-Type": "application/json", **headers}
    )  # fmt: skip
    text = await answer.read()
    assert answer.status == status, text
    return json.loads(text)


async def test_what_is_pushed_is_stored_with_its_kind_and_interval(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        batches = [one(interval=30, values={"reqs": 123, "busy": 0.5, "gone": None}, kinds={"reqs": "counter"})]
        assert await push(client, {"batches": batches}) == {"accepted": 1, "rejected": []}
        await parts.stored()
        (info,) = await parts.store.sources(host="web1")
        assert info.kinds == {"reqs": Kind.COUNTER, "busy": Kind.GAUGE, "gone": Kind.GAUGE}
        assert info.interval == 30


async def test_a_repeat_is_accepted_and_stored_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        body = {"batches": [one()]}
        for _ in range(2):
            assert (await push(client, body))["accepted"] == 1
        await parts.stored()
        assert len(parts.store._rows[Source("web1", "app")]) == 1


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"values": {"a": "NaN"}}, "expected a number for 'a', got str"),
        ({"values": {"a": True}}, "expected a number for 'a', got bool"),
        ({"values": {"a": [1]}}, "expected a number for 'a', got list"),
        ({"values": {f"n{i}": 1 for i in range(10_000)}}, "4096"),
        ({"values": {"": 1}}, "expected a name, got an empty text"),
        ({"values": {"a\x00b": 1}}, "without control characters"),
        ({"values": {}}, "expected at least one"),
        ({"host": ""}, "expected a host, got an empty text"),
        ({"host": "a\nb"}, "without control characters"),
        ({"collector": "x" * 300}, "at most 255 characters"),
        ({"time": 1_000_000_000}, "time: expected at most 172800 s ago"),
        ({"time": 99_999_999_999}, "time: expected at most 600 s ahead"),
        ({"time": -5}, "time:"),
        ({"interval": 1e12}, "interval: expected at most"),
        ({"meta": {"version": 5}}, "meta: "),
        ({"kinds": {"reqs": "rate"}}, "kinds: expected one of gauge, counter, derive, absolute"),
    ],
)
async def test_a_wrong_batch_is_refused_with_its_index_and_the_rest_is_accepted(
    tmp_path: Path, wrong: dict[str, Any], word: str
) -> None:
    async with serving(tmp_path) as (client, parts):
        found = await push(client, {"batches": [one(host="first"), one(**wrong), 7, one(host="last")]})
        assert found["accepted"] == 2
        assert [refused["index"] for refused in found["rejected"]] == [1, 2]
        assert word in found["rejected"][0]["error"]
        await parts.stored()
        assert [info.source.host for info in await parts.store.sources()] == ["first", "last"]


async def test_malformed_json_is_a_400_and_nothing_of_it_counts(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        for body in (b'{"batches": [', b"", b'{"batches": [{}]} x', b'{"batches": 1}'):
            found = await push(client, body, 400)
            assert "expected" in found["detail"]
        large = json.dumps({"batches": [one(host=f"h{i}") for i in range(5000)]}).encode()[:-3] + b",,]}"
        await push(client, large, 400)
        assert parts.pipeline.stats.batches == 0


async def test_a_large_push_never_holds_the_loop_for_long(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        values = {f"name{i}": i + 0.5 for i in range(50)}
        body = json.dumps({"batches": [one(host=f"h{i}", values=values) for i in range(2000)]}).encode()
        assert len(body) > 1 << 20
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        ticking = asyncio.create_task(others())
        assert (await push(client, body))["accepted"] == 2000
        ticking.cancel()
        assert turns > 20


async def test_gzip_is_unpacked_and_rubbish_in_it_is_a_400(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        packed = gzip.compress(json.dumps({"batches": [one()]}).encode())
        assert (await push(client, packed, **{"Content-Encoding": "gzip"}))["accepted"] == 1
        await push(client, b"this is no gzip", 400, **{"Content-Encoding": "gzip"})
        await push(client, zlib.compress(b"{}"), 415, **{"Content-Encoding": "deflate"})


async def test_a_body_above_the_limit_is_a_413_packed_or_not(tmp_path: Path) -> None:
    text = CONFIG + "[receivers]\n[[push]]\nmax_body = 64k\n"
    async with serving(tmp_path, text) as (client, parts):
        body = b'{"batches": [' + b" " * (64 << 10) + b"]}"
        found = await push(client, body, 413)
        assert "65536" in found["detail"]
        bomb = gzip.compress(b" " * (64 << 20))
        assert len(bomb) < 64 << 10
        await push(client, bomb, 413, **{"Content-Encoding": "gzip"})
        assert (await push(client, {"batches": [one()]}))["accepted"] == 1
        assert parts.pipeline.stats.batches == 1


async def test_only_json_is_taken_so_that_no_web_site_can_send_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            answer = await client.post("/api/v1/push", data=b'{"batches": []}', headers={"Content-Type": kind})
            assert answer.status == 415
            found = await answer.json()
            assert "expected the header Content-Type: application/json" in found["detail"]
            assert kind in found["detail"]
        answer = await client.options("/api/v1/push")
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_without_a_type_it_is_json_except_from_a_browser(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):

        async def status(**headers: str) -> int:
            body = json.dumps({"batches": [one()]}).encode()
            answer = await client.post(
                "/api/v1/push", data=io.BytesIO(body), skip_auto_headers={"Content-Type"}, headers=headers
            )
            return answer.status

        assert await status() == 200
        # What a page's script can send for its visitor: a Blob without a type.
        assert await status(Origin="http://evil.example") == 415
        assert await status(Origin="null") == 415
        assert await status(**{"Sec-Fetch-Site": "cross-site"}) == 415


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400"])
async def test_a_number_that_json_does_not_have_refuses_its_batch_alone(tmp_path: Path, number: str) -> None:
    async with serving(tmp_path) as (client, parts):
        body = json.dumps({"batches": [one(host="a"), one(host="b", values={"x": 77}), one(host="c")]})
        found = await push(client, body.replace("77", number).encode())
        assert found["accepted"] == 2
        assert found["rejected"] == [{"index": 1, "error": f"'x': expected a number or null, got {number}"}]
        await parts.stored()
        assert [info.source.host for info in await parts.store.sources()] == ["a", "c"]


async def test_a_busy_journal_is_a_503_that_says_when_to_come_again(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):

        async def busy(batches: Any) -> Any:
            raise Busy("a commit takes longer than 2 s")

        parts.pipeline.accept = busy  # type: ignore[method-assign]
        answer = await client.post("/api/v1/push", json={"batches": [one()]})
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0


async def test_past_and_ahead_are_settings(tmp_path: Path) -> None:
    text = CONFIG + "[receivers]\n[[push]]\npast = 60\nahead = 5\n"
    async with serving(tmp_path, text) as (client, _):
        now = int(time.time())
        found = await push(client, {"batches": [one(time=now - 70), one(time=now + 10), one(host="ok")]})
        assert [refused["index"] for refused in found["rejected"]] == [0, 1]
