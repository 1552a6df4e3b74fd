"""Documents, `_bulk` and the Elasticsearch handler, against a stand-in that the official client is content with."""

from __future__ import annotations

import asyncio
import math
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from appliance import free_port
from blocks import DiamondNaming, block
from debian import need
from memory_journal import MemoryJournal
from servers_elastic import Elastic

from handlers.elasticsearch import ElasticsearchHandler
from monitor.batch import FORGET_AFTER, REAL, SIGNED, UNKNOWN, UNSIGNED, Block, Cursor, Kind, Layout, Source
from monitor.cli import main
from monitor.handler import DeliveryError, Handler
from monitor.outlet import Outlet
from monitor.retry import Pauses
from monitor.wire.bulk import Index
from monitor.wire.document import DocumentEncoder, Metricset, Places

CURSOR = Cursor(1, 1)
QUICK = Pauses(first=0.02, longest=0.1)
NOON = 1795262400.0
"""2026-11-21T12:00:00Z"""
STATS = Source("sora1", "sora")
CONNECTION = Source("sora1", "sora", "room/ABC")
NAMING = DiamondNaming()
PLACES = ["sora/=sora.stats", "sora/*/*=sora.connections", "sora/*=sora.channels"]
"""All of them, so that blocks alone show what becomes of numbers."""


@pytest.fixture
async def elastic() -> AsyncIterator[Elastic]:
    async with Elastic() as one:
        yield one


def handler(url: str, **options: Any) -> ElasticsearchHandler:
    options = {"urls": [url], "timeout": 10.0, "metricsets": PLACES, **options}
    return ElasticsearchHandler("ElasticsearchHandler", NAMING, **options)


async def delivered(one: Handler, *blocks: Block) -> list[tuple[str, str]]:
    """Open, write once and close; return what was refused."""
    await one.open()
    try:
        return [(item, reason) for item, reason in await one.write(blocks, CURSOR)]
    finally:
        await one.close()


def documents(*blocks: Block, **options: Any) -> list[dict[str, Any]]:
    encoder = DocumentEncoder(places=Places(PLACES), **options)
    return [orjson.loads(one.json) for some in encoder.encode(blocks) for one in some]


def counters(source: Source, values: Sequence[int | float | None], names: Sequence[str]) -> Block:
    """Return one row of counters that stand at these values, and went up by 1.5 a second."""
    words = np.zeros((1, len(values)), dtype=np.uint64)
    tags = np.zeros((1, len(values)), dtype=np.uint8)
    for i, value in enumerate(values):
        if isinstance(value, float):
            words[0, i], tags[0, i] = np.float64(value).view(np.uint64), REAL
        elif value is not None:
            words[0, i], tags[0, i] = value % (1 << 64), SIGNED if value < 1 << 63 else UNSIGNED
    assert UNKNOWN == 0
    layout = Layout(tuple(names), (Kind.COUNTER,) * len(names))
    at = np.array([NOON])
    return Block(layout, [source], at, at - 5, np.array([5.0]), np.full((1, len(names)), 1.5), words, tags)


def many(count: int, time: float = NOON, names: Sequence[str] = ("a",)) -> Block:
    rows = ((Source("sora1", "sora", f"room/{i}"), time, [float(i)] * len(names)) for i in range(count))
    return block(*rows, names=names)


def kept(elastic: Elastic) -> list[float]:
    """Return the values of the documents of `many`, in order."""
    return sorted(one["sora"]["connections"]["a"] for one in elastic.all())


# Documents


def test_a_document_is_shaped_as_sorabeats() -> None:
    one = block(
        (STATS, NOON + 0.25, [3, 1024, 0.5]), names=["total_ongoing_connections", "erlang_vm.memory.total", "b"]
    )
    one.meta[0] = {"version": "2025.1.0", FORGET_AFTER: "60"}
    assert documents(one) == [
        {
            "@timestamp": "2026-11-21T12:00:00.250Z",
            "metricset": {"module": "sora", "name": "stats", "host": "sora1"},
            "beat": {"name": "sora1", "hostname": "sora1", "version": "6.0.0"},
            "sora": {
                "stats": {
                    "total_ongoing_connections": 3, "erlang_vm": {"memory": {"total": 1024}}, "b": 0.5,
                    "version": "2025.1.0",
                }
            },
        }
    ]  # fmt: skip


def test_a_connection_of_sora_stands_below_connections_and_a_channel_below_channels() -> None:
    one = block((CONNECTION, NOON, [1]), (Source("sora1", "sora", "room"), NOON, [2]), names=["rtp.total_sent"])
    one.meta[0] = {"connection_id": "ABC", "channel_id": "room"}
    connection, channel = documents(one)
    assert connection["metricset"] == {"module": "sora", "name": "connections", "host": "sora1"}
    ids = {"connection_id": "ABC", "channel_id": "room"}
    assert connection["sora"] == {"connections": {"rtp": {"total_sent": 1}, **ids}}
    assert channel["metricset"] == {"module": "sora", "name": "channels", "host": "sora1", "instance": "room"}
    assert channel["sora"] == {"channels": {"rtp": {"total_sent": 2}}}


def test_other_collectors_are_a_module_and_metricset_of_their_own_name() -> None:
    (one,) = documents(block((Source("web1", "redis", "6379"), NOON, [1.5]), names=["clients"]))
    assert one["metricset"] == {"module": "redis", "name": "redis", "host": "web1", "instance": "6379"}
    assert one["redis"] == {"redis": {"clients": 1.5}}


def test_rules_say_where_values_stand_and_a_wrong_one_is_told() -> None:
    places = Places(["web/*.example.com = site.external", "web/*=site.internal"])
    assert places(Source("h", "web", "a.example.com")) == Metricset("site", "external")
    assert places(Source("h", "web", "")) == Metricset("site", "internal")
    assert places(Source("h", "other.word", "")) == Metricset("other_word", "other_word")
    with pytest.raises(ValueError, match=r"^expected COLLECTOR/INSTANCE=MODULE\.METRICSET \(or =-\), got 'web=site'$"):
        Places(["web=site"])


def test_a_name_that_is_a_value_and_an_object_keeps_both() -> None:
    names = ["a", "a.b", "a.b.c", "a.value", "x.y", "x"]
    one = block((STATS, NOON, [1, 2, 3, 4, 5, 6]), names=names)
    one.meta[0] = {"a": "text", "x": "more", "x.y": "same"}
    (document,) = documents(one)
    assert document["sora"]["stats"] == {
        "a": {"value": 1, "value_": 4, "b": {"value": 2, "c": 3}, "text": "text"},
        "x": {"value": 6, "y": 5, "y_": "same", "text": "more"},
    }


def test_empty_and_very_deep_names_become_ones_that_are_taken() -> None:
    names = ["a..b", ".", " ", ".".join("klmnopqrstuvwxyzabcdefghij")]
    (document,) = documents(block((STATS, NOON, [1, 2, 3, 4]), names=names))
    depth, found = 0, document["sora"]["stats"]
    assert found["a"] == {"_": {"b": 1}}
    assert found["_"] == {"_": 2, "value": 3}
    found = found["k"]
    while isinstance(found, dict):
        depth, (found,) = depth + 1, found.values()
    assert (depth, found) == (14, 4)


def test_nan_is_left_out_and_a_batch_of_nothing_has_no_document() -> None:
    rows = [(STATS, NOON + i, values) for i, values in enumerate([[1, math.nan], [math.nan, math.inf], [math.nan, 2]])]
    found = [one["sora"]["stats"] for one in documents(block(*rows, names=["a.b", "c"]))]
    assert found == [{"a": {"b": 1}}, {"c": 2}]
    parent = block((STATS, NOON, [1, math.nan]), names=["a", "a.b"])
    assert documents(parent)[0]["sora"]["stats"] == {"a": {"value": 1}}, "as it is when the other is there"


def test_counters_of_sora_are_sent_as_they_stand_and_those_of_others_as_rates() -> None:
    names = ["exact", "largest", "beyond", "less", "real", "unknown"]
    values = [(1 << 53) + 1, (1 << 63) - 1, (1 << 64) - 1, -3, 0.25, None]
    encoder = DocumentEncoder(places=Places(PLACES))
    ((one,),) = encoder.encode([counters(STATS, values, names)])
    assert b'"exact":9007199254740993,"largest":9223372036854775807,"beyond":1.8446744073709552e+19' in one.json
    found = orjson.loads(one.json)["sora"]["stats"]
    assert found == {
        "exact": 9007199254740993, "largest": 9223372036854775807, "beyond": 1.8446744073709552e19, "less": -3,
        "real": 0.25,
    }  # fmt: skip
    nginx = counters(Source("web1", "nginx"), [1000], ["requests"])
    assert documents(nginx)[0]["nginx"]["nginx"] == {"requests": 1.5}
    assert documents(nginx, raw=["*"])[0]["nginx"]["nginx"] == {"requests": 1000}
    assert documents(counters(STATS, [7], ["a"]), raw=[])[0]["sora"]["stats"] == {"a": 1.5}


def test_what_a_source_tells_of_its_metricset_stands_at_the_top() -> None:
    one = block((STATS, NOON, [1, 1200]), names=["a", "metricset.rtt"])
    one.meta[0] = {"metricset.host": "127.0.0.1:3000", "error.message": "no answer"}
    (document,) = documents(one)
    assert document["metricset"] == {"module": "sora", "name": "stats", "host": "127.0.0.1:3000", "rtt": 1200}
    assert document["error"] == {"message": "no answer"}
    assert document["sora"] == {"stats": {"a": 1}}


def test_a_report_that_lies_in_several_rows_is_one_document() -> None:
    first = block((STATS, NOON, [1]), (STATS, NOON + 5, [2]), names=["a"])
    second = block((STATS, NOON + 5, [3]), names=["b"])
    first.meta[1] = {"version": "1"}
    found = sorted((one["@timestamp"][17:19], one["sora"]["stats"]) for one in documents(first, second))
    assert found == [("00", {"a": 1}), ("05", {"a": 2, "b": 3, "version": "1"})]


def test_texts_without_a_form_in_utf_8_are_sent_all_the_same() -> None:
    one = block((Source("h\ud800", "sora"), NOON, [1]), names=['a"\u00e9'])
    one.meta[0] = {"b": "\udfff\x01"}
    (document,) = documents(one)
    assert document["sora"]["stats"] == {'a"\u00e9': 1, "b": "?\x01"}


def test_an_id_tells_reports_apart_and_is_the_same_in_every_process() -> None:
    encoder = DocumentEncoder(places=Places(PLACES))
    rows = [(source, time, [1]) for source in (STATS, CONNECTION) for time in (NOON, NOON + 0.001)]
    found = [one.id for some in encoder.encode([block(*rows)]) for one in some]
    assert len(set(found)) == 4
    assert found[0] == "4d227dba460103b3bbcb6cf50b8c2bf2"


def test_the_index_is_of_the_documents_day_in_utc() -> None:
    stats = Metricset("sora", "stats")
    assert Index("sorabeat-%Y.%m.%d").name(NOON + 43199, stats) == "sorabeat-2026.11.21"
    assert Index("sorabeat-%Y.%m.%d").name(NOON + 43200, stats) == "sorabeat-2026.11.22"
    assert Index("metrics-{module}.{metricset}-default").name(NOON, stats) == "metrics-sora.stats-default"
    assert Index("m-{module}").name(NOON, Metricset("A b/c", "d")) == "m-a_b_c"
    for pattern in ("", "-a", "a b", "a/b", "x" * 300):
        with pytest.raises(ValueError, match=r"^expected the name of an index"):
            Index(pattern)


# The handler


async def test_documents_arrive_in_the_index_of_their_day(elastic: Elastic) -> None:
    one = block((STATS, NOON, [1]), (STATS, NOON + 43200, [2]))
    assert await delivered(handler(elastic.url), one) == []
    assert [one["sora"]["stats"]["a"] for one in elastic.all("sorabeat-2026.11.21")] == [1]
    assert [one["sora"]["stats"]["a"] for one in elastic.all("sorabeat-2026.11.22")] == [2]
    _, items, headers = elastic.requests[0]
    assert (items, headers["Content-Encoding"]) == (2, "gzip")


async def test_a_repeat_is_there_once(elastic: Elastic) -> None:
    for _ in range(2):
        assert await delivered(handler(elastic.url, gzip=False), many(10)) == []
    assert kept(elastic) == list(range(10))


async def test_a_data_stream_takes_the_documents(elastic: Elastic) -> None:
    elastic.templates["x"] = {"index_patterns": ["metrics-*"], "data_stream": {}}
    assert await delivered(handler(elastic.url, index="metrics-{module}.{metricset}-default"), many(3)) == []
    assert len(elastic.all("metrics-sora.connections-default")) == 3


async def test_requests_are_bounded_in_documents_and_bytes(elastic: Elastic) -> None:
    assert await delivered(handler(elastic.url, documents=30), many(100)) == []
    assert [items for _, items, _ in elastic.requests] == [30, 30, 30, 10]
    elastic.requests.clear()
    assert await delivered(handler(elastic.url, size=4096), many(100, NOON + 5)) == []
    assert len(elastic.requests) > 5
    assert max(size for size, _, _ in elastic.requests) <= 4096
    assert len(elastic.all()) == 200


async def test_a_request_too_large_is_halved_and_a_document_too_large_refused() -> None:
    async with Elastic(longest=5000) as elastic:
        wide = block((STATS, NOON, range(1000)), names=[f"field{i}" for i in range(1000)])
        ((item, reason),) = await delivered(handler(elastic.url), many(100), wide)
        assert item == "sora.stats at 1795262400.000"
        assert reason.startswith("a document of ")
        assert kept(elastic) == list(range(100))


async def test_a_document_that_does_not_fit_the_mapping_holds_up_no_other(elastic: Elastic) -> None:
    strange = block((STATS, NOON + 5, [9]), names=["state"])
    strange.meta[0] = {"a": "a text where all others have a number"}
    blocks = [block((STATS, NOON, [1])), strange, block((STATS, NOON + 10, [2]))]
    journal = MemoryJournal()
    outlet = Outlet(handler(elastic.url, flush_interval=0, documents=1), journal, pauses=QUICK)
    await outlet.start()
    for one in blocks:
        await journal.append([one])
    await level(outlet, journal)
    assert outlet.stats.refused == 1
    assert [one["sora"]["stats"] for one in elastic.all()] == [{"a": 1}, {"a": 2}]
    await outlet.drain(5)


async def level(outlet: Outlet, journal: MemoryJournal) -> None:
    async with asyncio.timeout(30):
        while outlet.cursor != journal.end:
            await asyncio.sleep(0.01)


async def test_each_document_is_there_once_after_an_outage(elastic: Elastic) -> None:
    journal = MemoryJournal()
    outlet = Outlet(handler(elastic.url, flush_interval=0), journal, pauses=QUICK)
    await outlet.start()
    await journal.append([many(50)])
    await level(outlet, journal)
    await elastic.stop()
    for i in range(1, 4):
        await journal.append([many(50, NOON + 5 * i)])
    async with asyncio.timeout(30):
        while outlet.stats.failing_since is None:
            await asyncio.sleep(0.01)
    assert "no answer from http://127.0.0.1:" in outlet.stats.last_error
    await elastic.start()
    await level(outlet, journal)
    assert kept(elastic) == sorted([*range(50)] * 4)
    await outlet.drain(5)


async def test_each_document_is_there_once_after_a_restart_in_the_middle_of_a_bulk(elastic: Elastic) -> None:
    elastic.cut = 70
    journal = MemoryJournal()
    outlet = Outlet(handler(elastic.url, flush_interval=0, documents=50), journal, pauses=QUICK)
    await outlet.start()
    await journal.append([many(100)])
    await level(outlet, journal)
    assert outlet.stats.retries >= 1
    assert kept(elastic) == list(range(100))
    assert [items for _, items, _ in elastic.requests] == [50, 50, 50], "what was taken is not sent again"
    await outlet.drain(5)


async def test_documents_answered_429_are_sent_again_and_only_those(elastic: Elastic) -> None:
    one = handler(elastic.url)
    await one.open()
    elastic.busy = 7
    for left in (7, 7):
        with pytest.raises(DeliveryError, match=f"does not take {left} of .* now: 429 es_rejected_execution_exception"):
            await one.write([many(20)], CURSOR)
        elastic.busy = 7 if len(elastic.requests) == 1 else 0
    assert await one.write([many(20)], CURSOR) == []
    assert [items for _, items, _ in elastic.requests] == [20, 7, 7]
    assert kept(elastic) == list(range(20))
    assert await one.write([many(20, NOON + 5)], CURSOR) == []
    assert len(elastic.all()) == 40
    await one.close()


async def test_what_was_refused_before_a_failure_is_told_when_the_write_succeeds(elastic: Elastic) -> None:
    strange = block((STATS, NOON, [1]), names=["x"])
    strange.meta[0] = {"a": "text"}
    one = handler(elastic.url, documents=1)
    await one.open()
    assert await one.write([block((STATS, NOON - 5, [1]))], CURSOR) == []
    elastic.answers = []
    blocks = [strange, block((STATS, NOON + 5, [1]))]
    elastic.cut = 1
    with pytest.raises(DeliveryError):
        await one.write(blocks, CURSOR)
    ((item, reason),) = await one.write(blocks, CURSOR)
    assert item == "sora.stats at 1795262400.000"
    assert reason.startswith("400 document_parsing_exception: failed to parse field [sora.stats.a] of type [long]")
    await one.close()


async def test_a_full_disk_is_waited_out(elastic: Elastic) -> None:
    elastic.blocked = True
    one = handler(elastic.url)
    await one.open()
    with pytest.raises(DeliveryError, match="403 cluster_block_exception") as caught:
        await one.write([many(3)], CURSOR)
    assert caught.value.retry_after == 30
    elastic.blocked = False
    assert await one.write([many(3)], CURSOR) == []
    assert kept(elastic) == [0, 1, 2]
    await one.close()


@pytest.mark.parametrize(
    ("status", "headers", "waits"),
    [(429, {"Retry-After": "7"}, 7), (500, {}, 0), (503, {"Retry-After": "9"}, 9), (401, {}, 60), (403, {}, 60)],
)
async def test_a_request_that_is_refused_as_a_whole_is_sent_again_later(
    elastic: Elastic, status: int, headers: dict[str, str], waits: float
) -> None:
    told = {"error": {"type": "some_exception", "reason": "because"}, "status": status}
    elastic.answers = [(status, headers, told)]
    one = handler(elastic.url)
    await one.open()
    with pytest.raises(DeliveryError, match=f"answered {status}") as caught:
        await one.write([many(3)], CURSOR)
    assert caught.value.retry_after == waits
    assert await one.write([many(3)], CURSOR) == []
    assert kept(elastic) == [0, 1, 2]
    await one.close()


async def test_a_malformed_request_is_told_as_a_defect(elastic: Elastic) -> None:
    elastic.answers = [(400, {}, {"error": {"type": "illegal_argument_exception", "reason": "no"}, "status": 400})]
    with pytest.raises(ValueError, match=r"^Elasticsearch answered 400: illegal_argument_exception: no$"):
        await delivered(handler(elastic.url), many(3))


@pytest.mark.parametrize(
    "told", ["<html>hello", {"errors": True, "items": []}, {"errors": True, "items": [{"create": {}}] * 3}, []]
)
async def test_an_answer_that_is_none_counts_as_not_delivered(elastic: Elastic, told: Any) -> None:
    elastic.answers = [(200, {}, told)]
    with pytest.raises(DeliveryError, match="expected the "):
        await delivered(handler(elastic.url), many(3))


async def test_another_address_is_asked_where_one_is_away(elastic: Elastic) -> None:
    async with Elastic() as second:
        second.answers = [(503, {}, {})]
        dead = f"http://127.0.0.1:{free_port()}"
        assert await delivered(handler("", urls=[dead, second.url, elastic.url]), many(3)) == []
        assert (len(second.all()), kept(elastic)) == (0, [0, 1, 2])
    with pytest.raises(DeliveryError, match=r"^no answer from http://127\.0\.0\.1:"):
        await delivered(handler("", urls=[dead, f"127.0.0.1:{free_port()}"]), many(3))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"username": "u", "password": "p:w"}, "Basic dTpwOnc="),
        ({"api_key": "id:key"}, "ApiKey aWQ6a2V5"),
        ({"api_key": "aWQ6a2V5"}, "ApiKey aWQ6a2V5"),
        ({"token": "abc"}, "Bearer abc"),
    ],
)
async def test_whoever_may_is_let_in(options: dict[str, Any], expected: str) -> None:
    async with Elastic(authorization=expected) as elastic:
        assert await delivered(handler(elastic.url, **options), many(3)) == []
        with pytest.raises(DeliveryError, match=r"^Elasticsearch answered 401: security_exception: unable to auth"):
            await delivered(handler(elastic.url, token="wrong-secret"), many(3))


async def test_a_user_in_the_address_is_let_in_and_the_password_shown_nowhere() -> None:
    async with Elastic(authorization="Basic dTpwQDE=") as elastic:
        assert await delivered(handler(elastic.url.replace("://", "://u:p%401@")), many(3)) == []
    with pytest.raises(DeliveryError, match=r"^no answer from http://127\.0\.0\.1:\d+: ") as caught:
        await delivered(handler(elastic.url.replace("://", "://u:p%401@")), many(3))
    assert "p%401" not in str(caught.value)


def test_the_configuration_in_effect_shows_no_password_of_an_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "monitor.conf"
    section = "[[ElasticsearchHandler]]\nurls = http://u:geheim@h, http://v:geheim@i:9200\napi_key = geheim\n"
    path.write_text(f"[server]\nhandlers = ElasticsearchHandler\n[handlers]\n{section}")
    assert main(["config", "-c", str(path), "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "urls = http://u:********@h, http://v:********@i:9200" in shown
    assert "geheim" not in shown


async def test_tls_is_spoken_with_a_ca_of_ones_own(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = [need("openssl"), "req", "-x509", *curve, *subject, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with Elastic(tls=context) as elastic:
        assert await delivered(handler(elastic.url, tls_ca=certificate), many(3)) == []
        assert await delivered(handler(elastic.url, tls_verify=False), many(3)) == []
        with pytest.raises(DeliveryError, match="certificate"):
            await delivered(handler(elastic.url), many(3))
        with pytest.raises(DeliveryError, match=r"^expected usable TLS files: "):
            await delivered(handler(elastic.url, tls_ca=tmp_path / "none"), many(3))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"index": "A/B"}, "^index: expected the name of an index"),
        ({"metricsets": ["x"]}, "^metricsets: expected COLLECTOR/INSTANCE=MODULE"),
        ({"urls": ["ftp://secret:word@h"]}, "^expected addresses of the form http://HOST:9200, got one that is not$"),
        ({"urls": []}, "^expected at least one URL$"),
    ],
)
async def test_a_wrong_setting_is_told_when_it_is_opened(options: dict[str, Any], told: str) -> None:
    one = handler("http://127.0.0.1:1", **options)
    with pytest.raises(DeliveryError, match=told):
        await one.open()
    await one.close()


# The stand-in


async def test_the_official_client_takes_the_stand_in_for_elasticsearch(elastic: Elastic) -> None:
    client = pytest.importorskip("elasticsearch", reason="the package elasticsearch[async] checks our stand-in")
    bulk = pytest.importorskip("elasticsearch.helpers").async_bulk
    async with client.AsyncElasticsearch(elastic.url) as es:
        assert (await es.info())["version"]["number"] == "8.19.0"
        await es.indices.put_index_template(name="s", index_patterns=["stream-*"], data_stream={}, priority=5)

        def actions(operation: str, index: str) -> list[dict[str, Any]]:
            source = {"@timestamp": "2026-11-21T12:00:00.000Z", "a": 1}
            return [{"_op_type": operation, "_index": index, "_id": str(i), "_source": source} for i in range(3)]

        assert await bulk(es, actions("create", "plain")) == (3, [])
        done, errors = await bulk(es, actions("create", "plain"), raise_on_error=False)
        assert (done, [one["create"]["status"] for one in errors]) == (0, [409, 409, 409])
        assert await bulk(es, actions("create", "stream-x")) == (3, [])
        _, errors = await bulk(es, actions("index", "stream-x"), raise_on_error=False)
        assert {one["index"]["status"] for one in errors} == {400}
        wrong = [{"_op_type": "create", "_index": "plain", "_id": "9", "_source": {"a": "text"}}]
        _, (error,) = await bulk(es, wrong, raise_on_error=False)
        assert error["create"]["error"]["type"] == "document_parsing_exception"
        assert (await es.get(index="plain", id="1"))["_source"]["a"] == 1
        assert (await es.count(index="plain"))["count"] == 3
        elastic.busy = 2
        patient = {"max_retries": 2, "initial_backoff": 0.01, "raise_on_error": False}
        assert await bulk(es, actions("create", "later"), **patient) == (3, [])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"create":{"_index":"a"}}\n{"a":1}', "must be terminated by a newline"),
        (b'{"create":{"_index":"a"}}\n', "must end with a source"),
        (b'{"make":{"_index":"a"}}\n{"a":1}\n', "Malformed action/metadata line"),
        (b'{"create":{"_index":"a","_type":"doc"}}\n{"a":1}\n', "unknown parameter"),
        (b'{"create":{}}\n{"a":1}\n', "index is missing"),
    ],
)
async def test_the_stand_in_refuses_what_is_no_bulk_request(elastic: Elastic, body: bytes, told: str) -> None:
    one = handler(elastic.url)
    await one.open()
    assert one._urls is not None
    answer = await one._urls.post("/_bulk", body, query={}, headers={})
    assert answer.status == 400
    assert told.encode() in answer.body
    await one.close()
