"""Sora's statistics and connections as whole documents: what Sorabeat wrote, from the answer to Elasticsearch."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from blocks import DiamondNaming
from hypothesis import given
from hypothesis import strategies as st
from servers_elastic import Elastic
from sora_server import CASES, Sora

from collectors._sora import documents
from collectors.sora import SoraCollector
from handlers.elasticsearch import ElasticsearchHandler
from monitor.batch import Records
from monitor.collector import CollectError, Target
from monitor.http import HttpClient
from monitor.journal import Journal
from monitor.outlet import Outlet
from monitor.pipeline import Pipeline
from monitor.rates import Rates
from monitor.retry import Pauses
from monitor.runner import Job, Runner
from monitor.wire.envelope import Envelope

NOON = 1795262400.25
EVERY = ["stats", "connections", "license", "cluster"]
QUICK = Pauses(first=0.02, longest=0.1)
ADDED = ("max", "min", "mean", "stddev", "imbalance")


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    one = HttpClient()
    await one.open()
    yield one
    await one.close()


def collector(client: HttpClient, server: Sora, **options: Any) -> SoraCollector:
    one = SoraCollector(
        Target("sora1", "127.0.0.1", "sora1"), client.bound(timeout=5), **{"url": server.url, **options}
    )
    one.recording = ("documents/",)
    return one


def made(records: list[Records]) -> list[dict[str, Any]]:
    envelope = Envelope(hostname=lambda host: f"{host}.example.com")
    return [json.loads(one.json) for each in records for some in envelope.documents(each) for one in some]


async def said(client: HttpClient, server: Sora, **options: Any) -> list[dict[str, Any]]:
    one = collector(client, server, **options)
    await one.run(NOON)
    return made(one.recorded())


@pytest.mark.parametrize("year", ["2017", "2018", "2025", "minimal"])
async def test_the_documents_of_every_year_are_as_expected(client: HttpClient, year: str, golden: bool) -> None:
    async with Sora(year).serving() as server:
        sets = [name for name in EVERY if server.answers[documents_of(name)] is not None]
        found = await said(client, server, metricsets=sets)
    found.sort(key=lambda one: EVERY.index(one["metricset"]["name"]))  # they come as their answers do
    for one in found:
        assert 0 < one["metricset"].pop("rtt") < 5e6
        assert one["metricset"].pop("host") == server.url.split("/")[2]
    text = "".join(json.dumps(one, ensure_ascii=False, sort_keys=True) + "\n" for one in found)
    path = CASES / year / "documents.jsonl"
    if golden:
        path.write_text(text)
    assert text == path.read_text()


def documents_of(metricset: str) -> str:
    return {"stats": "GetStatsReport", "connections": "GetStatsAllConnections", "license": "GetLicense",
            "cluster": "ListClusterNodes"}[metricset]  # fmt: skip


@pytest.mark.parametrize("year", ["2017", "2018", "2025"])
async def test_a_document_holds_all_that_sora_says_and_sorabeats_additions(client: HttpClient, year: str) -> None:
    async with Sora(year).serving() as server:
        server.connections = [server.connection(f"room-{i % 2}", client_id="Ω" * i) for i in range(5)]
        found = await said(client, server)
        connections, report = server.connections, server.answers["GetStatsReport"]
    ids = [f"{one['channel_id']}/{one['client_id']}" for one in connections]
    assert [one["sora"]["connections"] for one in found if one["metricset"]["name"] == "connections"] == [
        one | {"channel_client_id": id} for one, id in zip(connections, ids, strict=True)
    ]
    (stats,) = (one for one in found if one["metricset"]["name"] == "stats")
    assert stats["sora"]["stats"] == expected(report)
    assert {one["@timestamp"] for one in found} == {"2026-11-21T12:00:00.250Z"}
    assert stats["beat"] == {"name": "sora1.example.com", "hostname": "sora1.example.com", "version": "6.0.0"}


def expected(tree: dict[str, Any], within: bool = False) -> dict[str, Any]:
    """Return a report with what stands beside each list of numbers of the Erlang machine, computed anew."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found[key] = expected(value, within or key == "erlang_vm") if isinstance(value, dict) else value
        if isinstance(value, list) and value and within:
            mean = sum(value) / len(value)
            spread = math.sqrt(sum((one - mean) ** 2 for one in value) / len(value))
            told = (max(value), min(value), mean, spread, max(value) / max(min(value), 1))
            found |= {f"{key}_{word}": pytest.approx(number) for word, number in zip(ADDED, told, strict=True)}
    return found


async def test_what_nobody_wants_is_not_made(client: HttpClient) -> None:
    async with Sora("2025").serving() as server:
        one = collector(client, server)
        one.recording = ("wcs.",)
        await one.run(NOON)
    assert one.recorded() == []


async def test_a_metricset_that_fails_is_told_in_one_document_and_the_others_go_on(client: HttpClient) -> None:
    async with Sora("2025").serving() as server:
        server.faults["GetStatsReport"] = 500
        stats, *others = sorted(await said(client, server), key=lambda one: one["metricset"]["name"] != "stats")
        assert "status 500" in stats["error"]["message"]
        assert set(stats) == {"@timestamp", "metricset", "beat", "error"}
        assert len(others) == len(server.connections)


async def test_a_sora_that_is_down_is_one_document_for_each_metricset_and_period(client: HttpClient) -> None:
    async with Sora("2025").serving() as server:
        one = collector(client, server)
    for time in (NOON, NOON + 5):
        with pytest.raises(CollectError):
            await one.run(time)
        found = made(one.recorded())
        assert [told["metricset"]["name"] for told in found] == ["stats", "connections"]
        assert all("error" in told and "sora" not in told for told in found)


@pytest.mark.parametrize(
    ("piece", "document"),
    [
        (b"{}", {"channel_client_id": "/"}),
        (b'{"a":\n1}', {"a": 1, "channel_client_id": "/"}),
        (b'{"channel_id":"r","client_id":"c"}', {"channel_id": "r", "client_id": "c", "channel_client_id": "r/c"}),
        (b'{"channel_id":7,"client_id":null}', {"channel_id": 7, "client_id": None, "channel_client_id": "/"}),
        (b'{"a":9223372036854775807}', {"a": 9223372036854775807, "channel_client_id": "/"}),
        (b'{"a":{"b":[18446744073709551615]}}', {"a": {"b": [18446744073709551615.0]}, "channel_client_id": "/"}),
        (b'{"a":-9223372036854775809}', {"a": -9223372036854775809.0, "channel_client_id": "/"}),
        (b'{"a":123456789012345678901234567890}', {"a": 1.2345678901234568e29, "channel_client_id": "/"}),
        (b'{"channel_client_id":"old"}', {"channel_client_id": "/"}),
    ],
)  # fmt: skip
def test_a_connection_is_kept_as_it_came_but_for_what_no_long_can_hold(piece: bytes, document: dict[str, Any]) -> None:
    line = documents.connection(orjson.loads(piece))
    assert b"\n" not in line
    found = json.loads(line)
    assert found == document
    assert [type(one) for one in leaves(found)] == [type(one) for one in leaves(document)]


def leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict | list):
        for one in tree.values() if isinstance(tree, dict) else tree:
            yield from leaves(one)
    else:
        yield tree


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda key: key != "channel_client_id"),
        st.recursive(
            st.integers() | st.text() | st.booleans() | st.none(), lambda one: st.lists(one, max_size=3), max_leaves=5
        ),
        max_size=5,
    ),
    st.sampled_from([None, 1]),
)
def test_any_object_is_one_line_of_the_same_json(tree: dict[str, Any], indent: int | None) -> None:
    piece = json.dumps(tree, indent=indent).encode()
    found = json.loads(documents.connection(orjson.loads(piece)))
    del found["channel_client_id"]
    assert list(found) == list(tree)
    for one, other in zip(leaves(found), leaves(tree), strict=True):
        assert one == (float(other) if type(other) is int and not -(1 << 63) <= other < 1 << 63 else other)


async def test_every_document_is_in_elasticsearch_once_whatever_happens_on_the_way(
    client: HttpClient, tmp_path: Path
) -> None:
    """Sora is asked at every period, Elasticsearch is down at first, full for a while, and restarted in the middle."""
    journal = Journal(tmp_path / "journal")
    await journal.open()
    pipeline = Pipeline(Rates(), journal)
    async with Sora("2025").serving() as server, Elastic() as elastic:
        server.churn(300, 20)
        one = SoraCollector(Target("sora1", "127.0.0.1", "sora1"), client.bound(timeout=5), url=server.url)
        runner = Runner(pipeline.accept, keep=pipeline.accept_records)
        runner.recording = ElasticsearchHandler.records
        job = Job(one.host, one)
        runner.jobs[job.key] = job
        handler = ElasticsearchHandler(
            "ElasticsearchHandler", DiamondNaming(), urls=[elastic.url], timeout=5.0, documents=100, flush_interval=0.0
        )
        outlet = Outlet(handler, journal, pauses=QUICK)
        await elastic.stop()
        await outlet.start()
        asked = 0
        for period in range(6):
            if period == 2:
                await elastic.start()
            if period == 4:
                await elastic.stop()
                await elastic.start()
            server.churn(300, 20)
            asked += len(server.connections) + 1
            assert await runner.run(job, NOON + 5 * period)
            await asyncio.sleep(0.05)
        deadline = asyncio.get_running_loop().time() + 20
        while outlet.cursor != journal.end:
            assert asyncio.get_running_loop().time() < deadline, outlet.stats
            await asyncio.sleep(0.01)
        await outlet.drain(2)
        found = [one for one in elastic.all() if one["metricset"]["name"] in ("stats", "connections")]
    await journal.close()
    assert outlet.stats.refused == 0
    assert len(found) == asked
    ids = {(one["@timestamp"], one["sora"].get("connections", {}).get("connection_id")) for one in found}
    assert len(ids) == asked
    assert all(len(list(leaves(one["sora"]))) > 100 for one in found if "connections" in one["sora"])
