"""/metrics/collected: what Prometheus's own tool and parser say of it, and that its numbers are those reported."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, web
from aiohttp.test_utils import TestClient
from appliance import free_port
from debian import need
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text_metrics
from sora_server import Sora
from web_parts import Parts, batch, serving

from monitor.batch import Batch, Kind, Source
from monitor.http import HttpClient

Labels = frozenset[tuple[str, str]]
CONFIG = """
[server]
data_dir = {directory}
timezone = UTC
metrics_collected = True
[roles]
[[sora]]
collectors = SoraCollector
[[[SoraCollector]]]
metricsets = stats, connections, license, cluster
url = {url}
[[second]]
collectors = SoraCollector 3001
[[[SoraCollector 3001]]]
metricsets = stats
url = {url}
[hosts]
[[sora1]]
address = 127.0.0.1
hostname = sora-a
service = media
role = sora
[[sora2]]
address = 127.0.0.2
role = second
"""
ON = "[server]\ndata_dir = {directory}\ntimezone = UTC\nmetrics_collected = True\n"


def sample(text: str, parse: Any = text_metrics) -> dict[tuple[str, Labels], float]:
    found: dict[tuple[str, Labels], float] = {}
    if parse is text_metrics:  # which puts _total behind the names of counts that have none
        text = text.replace(" counter\n", " untyped\n")
    for family in parse(text):
        for one in family.samples:
            key = (one.name, frozenset(one.labels.items()))
            assert key not in found, f"{key} twice"
            found[key] = one.value
    return found


def at(**labels: str) -> Labels:
    return frozenset(labels.items())


Client = TestClient[web.Request, web.Application]


@asynccontextmanager
async def collecting(directory: Path, sora: Sora) -> AsyncIterator[tuple[Client, Parts]]:
    """Serve the web with Sora asked once by every job."""
    async with serving(directory, CONFIG.format(directory=directory, url=sora.url)) as (client, parts):
        http = HttpClient()
        await http.open()
        try:
            for job in list(parts.runner.jobs.values()):
                if job.key.collector == "sora":
                    job.collector.http = http.bound(timeout=5, max_size=1 << 22)
                    await parts.runner.run(job)
                else:
                    del parts.runner.jobs[job.key]
            yield client, parts
        finally:
            await http.close()


async def scraped(client: Client, query: str = "", accept: str = "") -> str:
    answer = await client.get(f"/metrics/collected{query}", headers={"Accept": accept} if accept else {})
    assert answer.status == 200, await answer.text()
    return await answer.text()


EXPORTER: Mapping[str, float] = {
    # the lines that sora_exporter gives for the same answers, its labels in its order
    'sora_connections_total{state="created"}': 1204,
    'sora_connections_total{state="updated"}': 9021,
    'sora_connections_total{state="destroyed"}': 1201,
    'sora_connections_total{state="successful"}': 1190,
    'sora_connections_total{state="failed"}': 14,
    "sora_ongoing_connections_total": 3,
    "sora_duration_seconds_total": 727090,
    "sora_average_duration_seconds": 611,
    "sora_average_setup_time_seconds": 0.287,
    'sora_turn_connections_total{proto="tcp"}': 88,
    'sora_session_total{state="destroyed"}': 399,
    "sora_received_invalid_turn_tcp_packet_total": 2,
    'sora_successful_auth_webhook_total{state="denied"}': 9,
    'sora_auth_webhook_total{state="failed"}': 3,
    'sora_session_webhook_total{state="ignored"}': 1,
    'sora_event_webhook_total{state="successful"}': 2391,
    'sora_stats_webhook_total{state="successful"}': 5122,
    "sora_srtp_received_packets_total": 50112233,
    "sora_srtp_sent_bytes_total": 94211334455,
    "sora_srtp_decrypted_bytes_total": 48210334455,
    "sora_srtp_sent_sfu_delay_us_total": 1880112233,
    "sora_sctp_sent_packets_total": 41122,
    'sora_client_type_total{client="momo",state="successful"}': 35,
    'sora_client_type_total{client="obs_studio_whip",state="successful"}': 77,
    'sora_client_type_total{client="zakuro",state="failed"}': 0,
    'sora_connection_error_total{reason="sdp"}': 1,
    "sora_erlang_vm_memory_total": 620218264,
    "sora_erlang_vm_memory_processes_used": 563999680,
    "sora_erlang_vm_context_switches": 7336080,
    "sora_erlang_vm_exact_reductions_total_exact_reductions": 24560180440,
    "sora_erlang_vm_garbage_collection_number_of_gcs": 132400,
    "sora_erlang_vm_io_input": 2408472160,
    "sora_erlang_vm_run_queue": 2,
    "sora_erlang_vm_runtime_total_run_time": 60080,
    "sora_erlang_vm_total_run_queue_lengths_all": 2,
    "sora_erlang_vm_wall_clock_wallclock_time_since_last_call": 10003,
    'sora_version_info{version="2025.2.0"}': 1,
    'sora_license_info{expired_at="2026-09",product_name="Sora",serial_code="SAMPLE-SRA-E001-202609-N10-100",'
    'type="Experimental"}': 1,
    "sora_license_max_connections": 100,
    "sora_license_max_nodes": 10,
    "sora_license_expired_at_timestamp_seconds": 1790812799,
    'sora_cluster_node{mode="",node_name="node-01_sora@192.0.2.11",node_type="regular"}': 0,
    'sora_cluster_node{mode="block_new_connection",node_name="node-02_sora@192.0.2.12",node_type="regular"}': 1,
    'sora_cluster_node{mode="normal",node_name="node-03_sora@192.0.2.13",node_type="temporary"}': 1,
    'sora_cluster_raft_state{state="follower"}': 1,
    "sora_cluster_raft_term": 12,
    "sora_cluster_raft_commit_index": 40112,
    'sora_cluster_relay_received_bytes_total{node_name="node-01_sora@192.0.2.11"}': 81120344,
    'sora_cluster_relay_sent_packets_total{node_name="node-02_sora@192.0.2.12"}': 180220,
    'sora_cluster_relay_plumtree_received_gossip_hop_total{node_name="node-02_sora@192.0.2.12"}': 1222,
    "sora_up": 1,
    "sora_cluster_up": 1,
}


async def test_sora_is_told_under_the_names_of_sora_exporter(tmp_path: Path) -> None:
    async with Sora().serving() as sora, collecting(tmp_path, sora) as (client, _):
        found = sample(await scraped(client))
        for line, value in EXPORTER.items():
            name, _, rest = line.partition("{")
            labels = dict(re.findall(r'(\w+)="([^"]*)"', rest))
            assert found[name, at(host="sora1", **labels)] == value, line
        assert found["sora_time_seconds", at(host="sora1")] == pytest.approx(time.time(), abs=60)
        # of a second one of a host, and of what was not asked
        second = at(host="sora2", source_instance="3001")
        assert found["sora_ongoing_connections_total", second] == 3
        assert ("sora_cluster_up", second) not in found
        assert found["sora_up", second] == 1
        # and what it does not tell
        vm = "sora_erlang_vm_statistics_active_tasks_all"
        assert found[f"{vm}_imbalance", at(host="sora1")] == 2
        channels = {dict(labels)["channel"] for name, labels in found if name == "sora_channel_connections"}
        assert channels == {one["channel_id"] for one in sora.connections}
        info = at(host="sora1", hostname="sora-a", service="media", label="", role="sora")
        assert found["monitor_host_info", info] == 1


async def test_types_are_those_of_sora_exporter_and_promtool_reads_it(tmp_path: Path) -> None:
    promtool = need("promtool")
    async with Sora().serving() as sora, collecting(tmp_path, sora) as (client, parts):
        await parts.pipeline.accept([batch("p", a=1.0), batch("p", "other", **{"total.now": 1.0, "x-y": 2.0})])
        text = await scraped(client)
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
        assert done.returncode in (0, 3), done.stderr  # 3: it has advice about names; 1 would be an error
        advice = (done.stdout + done.stderr).splitlines()
        assert [line for line in advice if not line.startswith("sora_")] == []
        types = dict(re.findall(r"# TYPE (\S+) (\S+)", text))
        assert types["sora_ongoing_connections_total"] == "gauge"
        assert types["sora_erlang_vm_io_input"] == "counter"
        assert types["sora_erlang_vm_garbage_collection_number_of_gcs"] == "gauge"
        assert types["sora_cluster_raft_term"] == "counter"
        assert types["sora_version_info"] == "gauge"


async def test_open_metrics_says_the_same(tmp_path: Path) -> None:
    async with Sora().serving() as sora, collecting(tmp_path, sora) as (client, _):
        plain = sample(await scraped(client))
        answer = await client.get("/metrics/collected", headers={"Accept": "application/openmetrics-text"})
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        text = await answer.text()
        assert text.endswith("# EOF\n")
        found = sample(text, open_metrics)
        moving = ("sora_time_seconds",)
        assert {key: value for key, value in found.items() if key[0] not in moving} == {
            key: value for key, value in plain.items() if key[0] not in moving
        }
        types = dict(re.findall(r"# TYPE (\S+) (\S+)", text))
        assert types["sora_connections"] == "counter"
        assert types["sora_erlang_vm_io_input"] == "unknown"  # a count's name would have to end with _total


async def test_when_sora_is_down_only_that_is_told(tmp_path: Path) -> None:
    async with Sora().serving() as sora:
        sora.faults = {"GetStatsReport": 500, "GetStatsAllConnections": 500, "GetLicense": 500, "ListClusterNodes": 500}
        async with collecting(tmp_path, sora) as (client, parts):
            found = sample(await scraped(client, "?host=sora1"))
            assert {name for name, _ in found} == {
                "monitor_host_info", "sora_up", "sora_cluster_up", "sora_time_seconds"
            }  # fmt: skip
            assert found["sora_up", at(host="sora1")] == 0
            # a part that fails is not all
            sora.faults = {"ListClusterNodes": 500}
            for job in parts.runner.jobs.values():
                await parts.runner.run(job)
            found = sample(await scraped(client, "?host=sora1&collector=sora"))
            assert (found["sora_up", at(host="sora1")], found["sora_cluster_up", at(host="sora1")]) == (1, 0)
            sora.faults = {"GetLicense": 500}
            for job in parts.runner.jobs.values():
                await parts.runner.run(job)
            found = sample(await scraped(client, "?host=sora-a"))
            assert (found["sora_up", at(host="sora1")], found["sora_cluster_up", at(host="sora1")]) == (0, 1)


@asynccontextmanager
async def pushing(directory: Path) -> AsyncIterator[tuple[Client, Parts]]:
    async with serving(directory, ON.format(directory=directory)) as (client, parts):
        parts.runner.jobs.clear()
        yield client, parts


def of(
    host: str, collector: str, instance: str = "", kind: Kind = Kind.GAUGE, at: float = 0.0, **values: float
) -> Batch:
    return Batch(Source(host, collector, instance), at or time.time(), dict(values), dict.fromkeys(values, kind))


async def test_counts_are_told_as_they_stand_and_gauges_as_they_are(tmp_path: Path) -> None:
    async with pushing(tmp_path) as (client, parts):
        for step in (0, 1):
            moment = time.time() - 30 + 20 * step
            counts = of("a", "nginx", kind=Kind.DERIVE, at=moment, req_handled=1000.0 + step, odd=7.0 + step)
            await parts.pipeline.accept([counts, of("a", "memory", at=moment, MemFree=0.5 + step)])
        found = sample(await scraped(client))
        assert found["nginx_req_handled_total", at(host="a")] == 1001
        assert found["nginx_odd_total", at(host="a")] == 8
        assert any(name.startswith("memory_memfree") and value == 1.5 for (name, _), value in found.items())


async def test_devices_instances_and_names_that_fall_together_have_labels(tmp_path: Path) -> None:
    async with pushing(tmp_path) as (client, parts):
        await parts.pipeline.accept(
            [
                of("a", "app", **{"x.y": 1.0, "x-y": 2.0, "size_total": 3.0, "7": 4.0, "ü": 5.0}),
                of("a", "app", kind=Kind.DERIVE, size=9.0),
                of("a", "app", 'w"1\\', up=1.0),
                of("b", "network", kind=Kind.DERIVE, **{"eth0.rx_byte": 11.0, "eth1.rx_byte": 12.0}),
            ]
        )
        text = await scraped(client)
        found = sample(text)
        assert found["app_x_y", at(host="a")] == 1
        assert found["app_x_y", at(host="a", series="x-y")] == 2
        assert found["app_size_total_current", at(host="a")] == 3
        assert found["app_size_total", at(host="a")] == 9
        assert found["app_7", at(host="a")] == 4
        assert found["app_up", at(host="a", source_instance='w"1\\')] == 1
        devices = {dict(labels).get("device"): value for (name, labels), value in found.items() if "rx_byte" in name}
        assert devices == {"eth0": 11.0, "eth1": 12.0}
        assert sample(await scraped(client, accept="application/openmetrics-text"), open_metrics) == found


async def test_of_several_reports_of_a_source_the_newest_of_each_series_is_told(tmp_path: Path) -> None:
    async with pushing(tmp_path) as (client, parts):
        now = time.time()
        await parts.pipeline.accept([of("a", "app", at=now - 40, one=1.0, two=2.0)])
        await parts.pipeline.accept([of("a", "app", at=now - 20, two=3.0, three=4.0)])
        found = sample(await scraped(client))
        told = {name: value for (name, labels), value in found.items() if labels == at(host="a")}
        assert told == {"app_one": 1, "app_two": 3, "app_three": 4}


async def test_what_is_silent_unknown_or_part_of_another_is_left_out(tmp_path: Path) -> None:
    async with pushing(tmp_path) as (client, parts):
        await parts.pipeline.accept(
            [
                of("old", "app", at=time.time() - 300, a=1.0),
                of("new", "app", a=float("nan"), b=2.0, c=float("inf")),
                of("new", "sora", "room/CONNECTION", rtt=1.0),
                of("new", "sora", "room", connections=2.0),
            ]
        )
        found = sample(await scraped(client))
        told = {(name, dict(labels).get("host")) for name, labels in found if name != "monitor_host_info"}
        assert told == {("app_b", "new"), ("sora_channel_connections", "new")}
        assert not any("CONNECTION" in str(labels) for _, labels in found)


async def test_it_is_off_unless_it_is_turned_on_and_wrong_parameters_are_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        answer = await client.get("/metrics/collected")
        assert answer.status == 404
        assert "[server] metrics_collected = True" in (await answer.json())["detail"]
    (tmp_path / "on").mkdir()
    async with pushing(tmp_path / "on") as (client, _):
        answer = await client.get("/metrics/collected?hosts=a")
        assert answer.status == 400
        assert "hosts" in (await answer.json())["detail"]


async def test_thousands_of_hosts_do_not_hold_the_loop_and_do_not_pile_up(tmp_path: Path) -> None:
    async with pushing(tmp_path) as (client, parts):
        now = time.time()
        names = [f"value.{number}" for number in range(50)]
        for first in range(0, 3000, 500):
            await parts.pipeline.accept(
                [
                    Batch(Source(f"host{number}", "app"), now, dict.fromkeys(names, float(number)), {}, {}, 3600.0)
                    for number in range(first, first + 500)
                ]
            )
        worst, stop = [0.0], asyncio.Event()

        async def watch() -> None:
            while not stop.is_set():
                began = time.thread_time()
                await asyncio.sleep(0)
                worst[0] = max(worst[0], time.thread_time() - began)

        gc.collect()
        gc.freeze()  # as the appliance does; else its objects are what is measured
        watching = asyncio.create_task(watch())
        answers = await asyncio.gather(*(client.get("/metrics/collected") for _ in range(3)))
        bodies = [await answer.read() for answer in answers]
        stop.set()
        await watching
        gc.unfreeze()
        assert sorted(answer.status for answer in answers) == [200, 200, 503]
        assert max(body.count(b"\n") for body in bodies) >= 3000 * 50
        assert worst[0] < 0.015  # of the processor, in one turn of the loop with two answers; the bench says more


async def test_prometheus_scrapes_it_and_finds_every_series(tmp_path: Path) -> None:
    need("promtool")  # which comes with it
    async with Sora().serving() as sora, collecting(tmp_path, sora) as (client, parts):
        await parts.pipeline.accept([of("a", "app", **{"x.y": 1.0, "x-y": 2.0, "size_total": 3.0})])
        expected = sample(await scraped(client))
        port, file = free_port(), tmp_path / "prometheus.yml"
        file.write_text(
            "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
            "scrape_configs:\n- job_name: monitor\n  metrics_path: /metrics/collected\n"
            f"  static_configs: [{{targets: ['127.0.0.1:{client.port}']}}]\n"
        )
        process = await asyncio.create_subprocess_exec(
            "prometheus", f"--config.file={file}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            found = await _queried(f"http://127.0.0.1:{port}/api/v1/query", '{job="monitor"}')
        finally:
            process.kill()
            await process.wait()
    ours = {key: value for key, value in found.items() if not key[0].startswith(("up", "scrape_"))}
    assert found["up", frozenset()] == 1
    del expected["sora_time_seconds", at(host="sora1")], ours["sora_time_seconds", at(host="sora1")]
    second = at(host="sora2", source_instance="3001")
    del expected["sora_time_seconds", second], ours["sora_time_seconds", second]
    # labels that are empty are none to Prometheus
    assert ours == {
        (name, frozenset(one for one in labels if one[1])): value for (name, labels), value in expected.items()
    }


async def _queried(url: str, query: str) -> dict[tuple[str, Labels], float]:
    """Return what Prometheus has, when it has anything of ours."""
    async with ClientSession() as session, asyncio.timeout(20):
        while True:
            with contextlib.suppress(ClientError):
                async with session.get(url, params={"query": query}) as answer:
                    rows = (await answer.json()).get("data", {}).get("result", [])
                found: dict[tuple[str, Labels], float] = {}
                for row in rows:
                    labels = {key: value for key, value in row["metric"].items() if key not in ("job", "instance")}
                    name = labels.pop("__name__")
                    found[name, frozenset(labels.items())] = float(row["value"][1])
                if len(found) > 10:
                    return found
            await asyncio.sleep(0.1)
