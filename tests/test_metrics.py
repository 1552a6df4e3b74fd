"""/metrics: what Prometheus's own tool says of it, and that its numbers are those of the parts."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from debian import need
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text_metrics
from web_parts import OWN, batch, serving

from monitor.collector import Target
from monitor.runner import Job


async def scraped(client: Any, **headers: str) -> tuple[str, str]:
    answer = await client.get("/metrics", headers=headers)
    assert answer.status == 200
    return answer.headers["Content-Type"], await answer.text()


def values(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_metrics(text)
        for sample in family.samples
    }


async def test_promtool_has_nothing_to_say(tmp_path: Path) -> None:
    promtool = need("promtool")
    async with serving(tmp_path) as (client, parts):
        await parts.pipeline.accept([batch("p", a=1.0), batch("p", **{"": 1.0})])
        parts.job(OWN, "cpu").up = True
        await client.get("/graph_global?target=cpu")
        await client.get("/nowhere")
        _, text = await scraped(client)
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


async def test_open_metrics_is_given_to_who_asks_for_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        kind, text = await scraped(client, Accept="application/openmetrics-text;version=1.0.0")
        assert kind.startswith("application/openmetrics-text")
        assert {family.name for family in open_metrics(text)} >= {"monitor_build", "monitor_outlet_lag_seconds"}


async def test_the_numbers_are_those_of_the_parts(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        job = parts.job(OWN, "cpu")
        job.up, job.runs, job.failures, job.skipped, job.duration = False, 7, 2, 1, 0.25
        await parts.pipeline.accept([batch("p", a=1.0, b=2.0), batch("p", **{"": 1.0})])
        await parts.stored()
        await client.get("/api/v1/hosts/nobody")
        found = values((await scraped(client))[1])
        labels = (("collector", "cpu"), ("host", OWN), ("section", ""))
        assert found["monitor_collector_up", labels] == 0
        assert found["monitor_collector_runs_total", labels] == 7
        assert found["monitor_collector_failures_total", labels] == 2
        assert found["monitor_collector_skipped_total", labels] == 1
        assert found["monitor_collector_duration_seconds", labels] == 0.25
        memory = (("collector", "memory"), ("host", OWN), ("section", ""))
        assert ("monitor_collector_up", memory) not in found
        assert found["monitor_pipeline_values_total", ()] == 2
        assert found["monitor_pipeline_refused_batches_total", (("reason", "names"),)] == 1
        store = (("handler", "MemoryStore"),)
        assert found["monitor_outlet_delivered_values_total", store] == 2
        assert found["monitor_outlet_lag_batches", store] == 0
        assert found["monitor_http_answers_total", (("route", "/api/v1/hosts/{host}"), ("status", "404"))] == 1
        assert found["process_resident_memory_bytes", ()] > 1 << 20


async def test_names_of_hosts_that_need_escaping_are_escaped(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        job = parts.job(OWN, "cpu")
        parts.runner.jobs.clear()
        strange = Job(Target('a"b\\c\nd', "", ""), job.collector)
        parts.runner.jobs[strange.key] = strange
        found = values((await scraped(client))[1])
        assert ("monitor_collector_runs_total", (("collector", "cpu"), ("host", 'a"b\\c\nd'), ("section", ""))) in found


async def test_what_agents_pushed_and_what_of_it_was_bad_is_counted_by_reason(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        line = b"10.0.0.1\tbase.metrics.a.gauge\t%b\t%d\n"
        push = line % (b"1", parts.clock()) + line % (b"x", parts.clock()) + line % (b"1", 1) + b"10.9.9.9\tb\tc\td\n"
        assert await parts.kurado.put(push) == ""
        found = values((await scraped(client))[1])
        assert found["monitor_kurado_pushes_total", ()] == 1
        assert found["monitor_kurado_lines_total", ()] == 4
        bad = {key[1][0][1]: count for key, count in found.items() if key[0] == "monitor_kurado_bad_lines_total"}
        assert bad == {"value": 1, "time": 1, "host": 1}
        assert ("monitor_kurado_redis_up", ()) not in found
