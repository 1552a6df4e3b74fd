# ruff: noqa: F811 - fixtures are asked for by the names that they are imported under
"""Sora's collector against a stand-in of its API that speaks the shapes of 2017 to 2025, and against all that fails."""

from __future__ import annotations

import copy
import json
import ssl
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from appliance import free_port
from blocks import DiamondNaming
from hypothesis import given
from hypothesis import strategies as st
from servers_postgres import PostgresServer, data_dir, postgres  # noqa: F401
from sora_server import CASES, Sora
from test_store import fresh

from collectors._sora import pieces
from collectors._sora.connections import NOTHING, moved
from collectors._sora.walk import Names, kind, walk
from collectors.sora import SoraCollector
from handlers.postgresql import PostgreSQLHandler
from monitor import effective
from monitor.batch import Batch, Cursor, Kind
from monitor.collector import CollectError, Response, Target
from monitor.config import load
from monitor.graph.data import Data
from monitor.http import HttpClient
from monitor.rates import Rates

YEARS = ("2017", "2018", "2025")
STATS, ALL, LICENSE, CLUSTER = "GetStatsReport", "GetStatsAllConnections", "GetLicense", "ListClusterNodes"
EVERY = ["stats", "connections", "license", "cluster"]


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    one = HttpClient()
    await one.open()
    yield one
    await one.close()


@pytest.fixture
async def sora() -> AsyncIterator[Sora]:
    async with Sora("2025").serving() as one:
        yield one


def collector(client: HttpClient, server: Sora, **options: Any) -> SoraCollector:
    http = client.bound(timeout=5, max_size=64 << 20)
    return SoraCollector(Target("sora1", "127.0.0.1", "sora1"), http, **{"url": server.url, **options})


async def read(one: SoraCollector) -> dict[str, Batch]:
    return {batch.source.instance: batch for batch in await one.run(0)}


async def failure(one: SoraCollector) -> str:
    with pytest.raises(CollectError) as error:
        await one.run(0)
    return str(error.value)


class Body:
    """Serves one list of connections from memory."""

    connections: list[Any]

    async def post(self, url: str, body: bytes, *, headers: object = None, tls: object = None) -> Response:
        return Response(200, {}, json.dumps(self.connections).encode())


def numbers(tree: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of an answer that stand in objects alone."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float):
            yield prefix + key, value


@pytest.mark.parametrize(
    ("list_", "most", "least", "mean", "stddev", "imbalance"),
    [
        ([1, 2, 3], 3, 1, 2, 0.816496580927726, 3),
        ([4, 10, 2, 5], 10, 2, 5.25, 2.947456530637899, 5),
        ([1, 0, 0], 1, 0, 1 / 3, 0.4714045207910317, 1),
        ([0, 0, 0], 0, 0, 0, 0, 0),
        ([7], 7, 7, 7, 0, 1),
        ([0.5, 2.5], 2.5, 0.5, 1.5, 1, 2.5),
    ],
)
def test_a_list_of_numbers_of_the_erlang_vm_gets_its_statistics(
    list_: list[float], most: float, least: float, mean: float, stddev: float, imbalance: float
) -> None:
    told = walk({"erlang_vm": {"statistics": {"total_x": list_}}}, Names([]))
    name = "erlang_vm.statistics.total_x_"
    expected = {"max": most, "min": least, "mean": mean, "stddev": stddev, "imbalance": imbalance}
    assert told.values == pytest.approx({name + word: value for word, value in expected.items()}, abs=1e-12)
    assert set(told.kinds.values()) == {Kind.GAUGE}


@pytest.mark.parametrize("list_", [[], None, [None], [1, None], ["a"], [True, False], [[1]], [{}], {}])
def test_a_list_that_is_not_of_numbers_gives_nothing_and_harms_nothing(list_: Any) -> None:
    told = walk({"erlang_vm": {"x": list_, "y": 1}, "outside": [1, 2]}, Names([]))
    assert told.values == {"erlang_vm.y": 1}


@pytest.mark.parametrize("year", [*YEARS, "minimal"])
async def test_every_number_of_the_statistics_is_published(year: str, client: HttpClient) -> None:
    async with Sora(year).serving() as server:
        found = (await read(collector(client, server, metricsets=["stats"])))[""].values
    plain = dict(numbers(server.answers[STATS]))
    assert plain
    assert {name: found[name] for name in plain} == plain
    words = ("_max", "_min", "_mean", "_stddev", "_imbalance")
    assert all(name.endswith(words) or name.startswith("cluster_relay.") for name in set(found) - set(plain))


def test_counts_are_told_from_what_there_is_now() -> None:
    gauges = {
        "total_ongoing_connections", "average_duration_sec", "average_setup_time_msec", "erlang_vm.memory.total",
        "erlang_vm.statistics.run_queue", "erlang_vm.statistics.total_run_queue_lengths",
        "erlang_vm.statistics.total_run_queue_lengths_all", "erlang_vm.statistics.total_active_tasks",
        "erlang_vm.statistics.total_active_tasks_all", "erlang_vm.statistics.runtime.time_since_last_call",
        "erlang_vm.statistics.reductions.reductions_since_last_call", "network_status.unstable_level",
        "simulcast_auto.target_sender_count", "cluster.raft_term",
    }  # fmt: skip
    counters = {
        "total_duration_sec", "total_failed_connections", "total_sent_srtp_sfu_delay_us", "error.signaling_error",
        "browser.total_failed_browser_type.chrome", "sora_client.total_successful_sora_client_type.obs_studio_whip",
        "erlang_vm.statistics.context_switches", "erlang_vm.statistics.garbage_collection.number_of_gcs",
        "erlang_vm.statistics.garbage_collection.words_reclaimed", "erlang_vm.statistics.io.output",
        "erlang_vm.statistics.runtime.total_run_time", "erlang_vm.statistics.wall_clock.total_wallclock_time",
        "cluster_relay.a_b.plumtree.total_ignored", "network_status.total_unstable_level3", "cluster.raft_commit_index",
        "simulcast.r0.rtp.total_received_rtp",
    }  # fmt: skip
    assert {name: kind(name) for name in gauges | counters} == {
        **dict.fromkeys(gauges, Kind.GAUGE),
        **dict.fromkeys(counters, Kind.DERIVE),
    }


async def test_requests_are_those_that_all_years_understand(sora: Sora, client: HttpClient) -> None:
    await read(collector(client, sora, metricsets=EVERY))
    assert sorted(sora.asked) == sorted((name, b"", None) for name in (STATS, ALL, LICENSE, CLUSTER))
    sora.asked.clear()
    sora.elsewhere = [sora.connection("room-z")]
    found = await read(collector(client, sora, scope="cluster"))
    assert sorted(sora.asked, key=str) == sorted(
        [(STATS, b"", None), (ALL, b'{"local":false}', "application/json")], key=str
    )
    assert found["room-z"].values["connections"] == 1


async def test_names_can_be_chosen(sora: Sora, client: HttpClient) -> None:
    chosen = {"include": ["total_*connections", "version"], "exclude": ["*failed*"], "metricsets": ["stats"]}
    found = await read(collector(client, sora, **chosen))
    assert set(found[""].values) == {
        "total_successful_connections", "total_ongoing_connections", "total_turn_udp_connections",
        "total_turn_tcp_connections",
    }  # fmt: skip
    assert found[""].meta == {"version": "2025.2.0"}


@pytest.mark.parametrize(
    ("url", "path", "asked"),
    [
        ("", "/", "http://192.0.2.7:3000/"),
        ("sora.example.com:3001", "/", "http://sora.example.com:3001/"),
        ("https://sora.example.com", "/sora-api", "https://sora.example.com/sora-api"),
        ("http://sora.example.com/api", "/other", "http://sora.example.com/api"),
    ],
)
def test_an_address_may_be_short(url: str, path: str, asked: str) -> None:
    one = SoraCollector(Target("sora1", "192.0.2.7", "sora1"), None, url=url, req_path=path)  # type: ignore[arg-type]
    assert one.api.url == asked


def test_this_host_is_asked_at_its_loopback_address_and_period_is_the_interval() -> None:
    one = SoraCollector(Target("own", "own", "own", local=True), None, period=3.0)  # type: ignore[arg-type]
    assert (one.api.url, one.interval) == ("http://127.0.0.1:3000/", 3.0)
    assert SoraCollector(Target("own", "own", "own"), None).interval == 5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"metricsets": ["stat"]}, "expected metricsets out of stats, connections, license, cluster, got stat"),
        ({"metricsets": []}, "expected metricsets out of stats, connections, license, cluster, got none"),
        ({"url": "ftp://x/"}, "expected a URL such as http://127.0.0.1:3000/, got 'ftp://x/'"),
        ({"headers": ["X-Key"]}, "expected a header NAME: VALUE, got 'X-Key'"),
        ({"url": "https://127.0.0.1:9/", "tls_ca": Path("/nowhere")}, "expected usable TLS files: "),
    ],
)
async def test_settings_that_cannot_be_are_told(
    options: dict[str, Any], reason: str, sora: Sora, client: HttpClient
) -> None:
    assert (await failure(collector(client, sora, **options))).startswith(reason)


async def test_a_proxy_may_want_a_token_a_password_or_a_header(client: HttpClient) -> None:
    server = Sora()
    server.path = "/sora-api"
    async with server.serving():
        for token, options in {
            "Bearer s3cret": {"token": "s3cret\n"},
            "Basic dXNlcjpzM2NyZXQ=": {"username": "user", "password": "s3cret"},
            "Key s3cret": {"headers": ["Authorization: Key s3cret", "X-More: a: b"]},
        }.items():
            server.token = token
            assert "" in await read(collector(client, server, **options))
        refused = await failure(collector(client, server, token="s3cret"))
        assert refused == f"{server.url}: status 401 instead of 200 (UNAUTHORIZED) (stats, connections)"
        inside = server.url.replace("://", "://user:s3cret@")
        assert await failure(collector(client, server, url=inside)) == refused


async def test_https_is_asked_by_its_own_rules(client: HttpClient, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate),
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate)
    context.load_cert_chain(certificate, key)
    async with Sora().serving(context) as server:
        assert "certificate verify failed" in (await failure(collector(client, server))).lower()
        assert "" in await read(collector(client, server, tls_ca=certificate))
        assert "" in await read(collector(client, server, tls_verify=False))
    context.verify_mode = ssl.CERT_REQUIRED
    async with Sora().serving(context) as server:
        trusted = {"tls_ca": certificate}
        assert server.url in await failure(collector(client, server, **trusted))
        assert "" in await read(collector(client, server, **trusted, tls_cert=certificate, tls_key=key))


async def test_a_sora_that_is_down_is_told_once_for_all_metricsets(client: HttpClient) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    one = collector(client, Sora(), url=url, metricsets=EVERY)
    assert await failure(one) == f"{url}: connection refused (stats, connections, license, cluster)"


def cut(body: bytes) -> bytes:
    return body[: len(body) * 2 // 3]


@pytest.mark.parametrize("failing", EVERY)
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (500, "status 500 instead of 200 (INTERNAL-ERROR)"),
        (30.0, "no answer within 0.36 s"),
        (b"<html>nothing</html>", "expected "),
        (b"", "expected "),
        (b"17", "expected "),
        (cut, "expected "),
        (lambda body: b"[" * 100_000, "expected "),
        (lambda body: b" " * 300_000, "expected "),
    ],
)
async def test_what_fails_has_its_reason_and_the_others_go_on(
    failing: str, fault: Any, reason: str, sora: Sora, client: HttpClient
) -> None:
    operation = dict(zip(EVERY, (STATS, ALL, LICENSE, CLUSTER), strict=True))[failing]
    good = {"stats": "version", "connections": "", "license": "license.type", "cluster": "cluster_nodes"}
    sora.faults[operation] = fault
    one = collector(client, sora, metricsets=EVERY, timeout=0.4)
    found = (await read(one))[""]
    assert reason in found.meta[f"no {failing}"]
    assert [name for name in found.meta if name.startswith("no ")] == [f"no {failing}"]
    told = {**found.values, **found.meta, "": found.values.get("connections")}
    assert {name: told.get(word) is not None for name, word in good.items()} == {
        name: name != failing for name in EVERY
    }
    del sora.faults[operation]
    assert not [name for name in (await read(one))[""].meta if name.startswith("no ")]


@pytest.mark.parametrize("body", [b"[]", b"null", b" [ ] \n", b"[null, null]", b"\xef\xbb\xbf[]"])
async def test_no_connections_are_no_failure(body: bytes, sora: Sora, client: HttpClient) -> None:
    sora.faults[ALL] = body
    found = await read(collector(client, sora, metricsets=["connections"]))
    assert set(found) == {""}
    assert found[""].values == {
        "connections": 0, "connections_left_out": 0, "channels": 0, 
        "received_bytes": 0, "sent_bytes": 0, "received_packets": 0, "sent_packets": 0,
    }  # fmt: skip


def test_what_moved_is_read_under_the_names_of_every_year() -> None:
    found = {year: moved(json.loads((CASES / year / ALL).read_text())[0]) for year in YEARS}
    assert found == {
        "2017": (1408800, 1393600, 2809, 2738),
        "2018": (1407520, 1393920, 2879, 2835),
        "2025": (8109000 + 113176, 16218000 + 81872, 9010 + 1316, 18020 + 952),
    }
    simulcast = {"r0": {"rtp": {"total_received_rtp": 3, "total_received_rtp_byte_size": 300}}, "r1": {"rtp": None}}
    assert moved({"simulcast": simulcast, "rtcp": {"total_received_rtcp": 1}}) == (300, 0, 4, 0)
    assert moved({"rtp": None, "rtcp": [], "simulcast": {"r0": None}}) == NOTHING


@pytest.mark.parametrize("year", YEARS)
async def test_sums_of_a_channel_grow_by_what_its_connections_grow_by(year: str, client: HttpClient) -> None:
    async with Sora(year).serving() as server:
        one = collector(client, server, metricsets=["connections"])
        first = await read(one)
        assert [first[name].values["received_bytes"] for name in ("", "room-a", "room-b")] == [0, 0, 0]
        in_a = sum(each["channel_id"] == "room-a" for each in server.connections)
        new = server.connection("room-a")
        began = moved(new)
        parts = 2 if year == "2025" else 1  # RTP and RTCP are told apart
        server.step(1000)
        server.connections = [*server.connections, new]
        found = await read(one)
        assert found["room-a"].values["connections"] == in_a + 1
        assert found["room-a"].values["received_bytes"] == 1000 * in_a * parts + began[0]
        assert found["room-a"].values["sent_packets"] == 1000 * in_a * parts + began[3]
        assert found["room-b"].values["received_bytes"] == 1000 * parts
        assert found[""].values["received_bytes"] == 1000 * (in_a + 1) * parts + began[0]
        # One ends and one begins anew under its id: neither makes the sums fall.
        server.connections = [grown for grown in server.connections[1:] if grown["channel_id"] == "room-a"]
        again = copy.deepcopy(server.connections[0])
        again["rtp"] = dict.fromkeys(again["rtp"], 5)
        again["rtcp"] = {}
        server.connections[0] = again
        before, found = found, await read(one)
        assert "room-b" not in found
        grew = found["room-a"].values["received_bytes"] - before["room-a"].values["received_bytes"]
        assert grew == 5
        assert found["room-a"].kinds["received_bytes"] == Kind.DERIVE


async def test_each_connection_is_told_once_a_minute_when_it_was_there_for_one(client: HttpClient, sora: Sora) -> None:
    sora.churn(50, 5)
    one = collector(client, sora, metricsets=["connections"], forget_connections=600.0)
    polls = [await read(one) for _ in range(12 * 3)]
    told = [Counter(name for poll in polls[at : at + 12] for name in poll if "/" in name) for at in (0, 12, 24)]
    assert len(told[0]) < 50  # at the very poll at which they are a minute old
    assert [set(told[at].values()) for at in (1, 2)] == [{1}, {1}]
    assert {len(told[at]) for at in (1, 2)} == {50}
    assert max(sum("/" in name for name in poll) for poll in polls) < 20
    (name, batch) = next((name, batch) for name, batch in polls[-1].items() if "/" in name)
    channel, _, id = name.partition("/")
    assert batch.interval == 60
    assert batch.meta == {
        "channel_id": channel, "client_id": "alice", "connection_id": id, "bundle_id": id, "vhost": channel,
        "channel": f"/{id}", "session_id": "DM2ASQDRF90H9DPS5S5ABKWTKM", "channel_client_id": f"{channel}/alice",
        "forget_after": "600",
    }  # fmt: skip
    assert 15 <= len(batch.values) <= 30
    assert batch.kinds["network_status.unstable_level"] == Kind.GAUGE
    assert batch.kinds["rtp.total_sent_rtp"] == Kind.DERIVE


async def test_connections_of_one_client_id_are_told_apart(client: HttpClient, sora: Sora) -> None:
    found = await read(collector(client, sora, connection_interval=5.0))
    assert len([name for name in found if "/" in name]) == len(sora.connections)
    shared = Counter(batch.meta["channel_client_id"] for name, batch in found.items() if "/" in name)
    assert max(shared.values()) == 2


async def test_series_of_connections_can_be_left_out_and_channels_forgotten(client: HttpClient, sora: Sora) -> None:
    none = {"connection_series": [], "connection_interval": 5.0, "forget_channels": 3600.0}
    found = await read(collector(client, sora, **none))
    assert not [name for name in found if "/" in name]
    assert found["room-a"].meta["forget_after"] == "3600"
    assert "forget_after" not in found[""].meta


@pytest.mark.parametrize("year", YEARS)
async def test_graphs_of_channels_and_connections_draw_every_year(year: str, client: HttpClient) -> None:
    async with Sora(year).serving() as server:
        found = await read(collector(client, server, connection_interval=5.0))
    connection = next(name for name in found if "/" in name)
    for target, by_protocol in SoraCollector.instance_targets.items():
        for name in ("room-a", *([connection] if target not in SoraCollector.whole_targets else [])):
            values = {key: np.array([float(value)]) for key, value in found[name].values.items()}
            data = Data(values, start=0, end=5, step=5)
            drawn = [np.atleast_1d(item.value.evaluate(data))[0] for item in by_protocol["all"].items]  # type: ignore[attr-defined]
            assert np.isfinite(drawn).all(), (target, name)


@given(
    st.lists(
        st.none()
        | st.dictionaries(
            st.text('{}"\\[],é', max_size=4),
            st.text('{}"\\[],\n', max_size=6)
            | st.integers(-5, 5)
            | st.lists(st.dictionaries(st.text("ab{", max_size=1), st.text("{}", max_size=3)), max_size=2),
            max_size=4,
        ),
        max_size=6,
    ),
    st.sampled_from([None, 1]),
    st.booleans(),
)
async def test_a_list_in_pieces_is_what_it_is_as_a_whole(found: list[Any], indent: int | None, escaped: bool) -> None:
    made: list[Any] = []
    await pieces.each(json.dumps(found, indent=indent, ensure_ascii=escaped).encode(), "a list", made.append)
    assert made == [one for one in found if one is not None]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body[:-1],
        lambda body: body[:-2],
        lambda body: body + b"x",
        lambda body: body.replace(b"{", b"", 1),
        lambda body: b'[{"a": "' + b'\\"' * 200_000,
        lambda body: b'[{"a": "' + b"x" * 300_000 + b'"}]',
        lambda body: b'["a"]',
        lambda body: b"[" + b'{"a":' * 60_000,
    ],
)
async def test_a_list_that_is_spoilt_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(CollectError, match=r"^expected a list"):
        await pieces.each(spoil((CASES / "2025" / ALL).read_bytes().strip()), "a list", lambda one: None)


async def test_a_poll_that_fails_midway_is_forgotten(client: HttpClient, sora: Sora) -> None:
    one = collector(client, sora, metricsets=["connections"])
    await read(one)
    sora.step(1000)
    sora.faults[ALL] = cut
    await failure(one)
    sora.step(1000)
    del sora.faults[ALL]
    assert (await read(one))["room-b"].values["received_bytes"] == 2 * 2000


async def test_of_connections_beyond_the_bound_there_are_the_sums_alone_and_it_is_said_how_many() -> None:
    body = Body()
    options = {"connection_interval": 10.0, "forget_connections": 60.0, "most_connections": 3}
    one = SoraCollector(Target("sora1", "h", "sora1"), body, metricsets=["connections"], **options)  # type: ignore[arg-type]

    async def told(ids: str, polls: int = 2) -> tuple[str, float]:
        """Return the connections that have series of their own, and how many are said to have none."""
        body.connections = [{"channel_id": "c", "connection_id": id, "rtp": {"total_received": 1}} for id in ids]
        found: set[str] = set()
        for _ in range(polls):
            batches = {batch.source.instance: batch for batch in await one.run(0)}
            found |= {name[2:] for name in batches if name.startswith("c/")}
        assert batches["c"].values["connections"] == len(ids)
        return "".join(sorted(found)), batches[""].values["connections_left_out"]

    await told("abcde", 1)
    first, left_out = await told("abcde", 4)
    assert len(first) == 3
    assert left_out == 2
    assert await told(first, 4) == (first, 0)
    assert await told("wxyz", 4) == ("", 4)  # those that ended have their series for a minute yet
    assert (await told("wxyz", 12))[1] == 1


async def test_connections_that_come_and_go_leave_nothing_behind(postgres: PostgresServer, data_dir: Path) -> None:
    many, turnover, now = 2000, 5, 1_700_000_000.0
    body = Body()
    one = SoraCollector(
        Target("sora1", "192.0.2.1", "sora1"), body, metricsets=["connections"],  # type: ignore[arg-type]
        connection_interval=10.0, forget_connections=60.0,
    )  # fmt: skip
    store = PostgreSQLHandler(
        "PostgreSQLHandler", DiamondNaming(), database=await fresh(postgres), data_dir=data_dir, clock=lambda: now
    )
    rates = Rates(keep=60)
    await store.open()
    try:
        written, sizes = 0, []
        for turn in range(turnover):
            body.connections = [
                {"channel_id": f"room-{i % 10}", "connection_id": f"{turn}-{i}", "rtp": {"total_received_byte_size": i}}
                for i in range(many)
            ]
            for _ in range(12):
                now += 5
                blocks, reasons = rates.apply(await one.run(now))
                assert not any(reasons)
                written += 1
                await store.write(blocks, Cursor(1, written))
            await store.maintain()
            while not rates.expire(now):
                pass
            sizes.append(len(await store.sources()))
            assert len(one.known.seen) == many
        assert sizes[0] == many + 11
        assert max(sizes) <= 2 * many + 11
        body.connections = []
        for _ in range(12):
            now += 120
            blocks, _ = rates.apply(await one.run(now))
            written += 1
            await store.write(blocks, Cursor(1, written))
            while not rates.expire(now):
                pass
        await store.maintain()
        assert {source.source.instance for source in await store.sources()} == {"", *(f"room-{i}" for i in range(10))}
        assert (len(one.known.seen), len(one.known.channels), len(rates)) == (0, 0, 1)
    finally:
        await store.close()


def test_headers_are_masked_and_may_stand_in_a_file_one_on_each_line(tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("Authorization: Bearer hunter2\nX-Other: a, b\n")
    file = tmp_path / "monitor.conf"
    file.write_text(
        f"[server]\ndata_dir = {tmp_path}\n[collectors]\n[[SoraCollector]]\nenabled = True\n"
        f"headers_file = {tmp_path / 'headers'}\n"
    )
    config = load([file], {}, find_hostname=lambda method, name: name or "own")
    (job,) = (job for job in config.inventory.jobs if job.cls.__name__ == "SoraCollector")
    assert job.options["headers"] == ["Authorization: Bearer hunter2", "X-Other: a, b"]
    assert not any("hunter2" in line for line in effective.lines(config))
