"""/api/host-status and /api/servers as Kurado answers them, and the maintenance pause by HTTP."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from web_parts import batch, serving

from monitor.batch import Source
from monitor.liveness import Report

START = 1_800_000_000.0
INVENTORY = """
[roles]
[[agent]]
pushed = base, app
[[both]]
pushed = base
collectors = NginxCollector
[[web]]
collectors = NginxCollector
[hosts]
[[10.0.0.1]]
hostname = www1
service = shop
label = www
role = agent
comment = front, second rack
[[10.0.0.2]]
hostname = www2
service = shop
role = both
[[10.0.0.3]]
hostname = db1
service = Alpha
role = web
[[web4]]
address = 10.0.0.4
service = shop
label = www
role = web
"""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def said(host: str, plugin: str, at: float, **warnings: str) -> Report:
    return Report(host, plugin, at, {}, warnings)


def serving_agents(directory: Path, clock: Clock, more: str = "") -> Any:
    return serving(directory, INVENTORY + more, clock)


async def test_the_status_follows_kurados_rules(tmp_path: Path) -> None:
    clock = Clock()
    async with serving_agents(tmp_path, clock) as (client, parts):

        async def status(*names: str) -> Any:
            answer = await client.get("/api/host-status", params=[("address", name) for name in names])
            assert answer.status == 200
            assert answer.content_type == "application/json"
            return await answer.json()

        assert await status("10.0.0.1", "10.9.9.9") == {"10.0.0.1": 2, "10.9.9.9": 2}
        parts.liveness.report([said("10.0.0.1", "base", START)])
        assert await status("10.0.0.1") == {"10.0.0.1": 1}
        parts.liveness.report([said("10.0.0.1", "app", START)])
        assert await status("10.0.0.1", "www1") == {"10.0.0.1": 0, "www1": 0}
        clock.now = START + 299
        parts.liveness.report([said("10.0.0.1", "base", clock.now)])
        assert await status("10.0.0.1") == {"10.0.0.1": 0}
        clock.now = START + 300
        assert await status("10.0.0.1") == {"10.0.0.1": 1}
        parts.liveness.report([said("10.0.0.1", "app", clock.now, command="exit_code: 1")])
        clock.now = START + 310
        assert await status("10.0.0.1") == {"10.0.0.1": 1}
        clock.now = START + 600
        assert await status("10.0.0.1") == {"10.0.0.1": 2}


async def test_what_we_collect_ourselves_counts_too(tmp_path: Path) -> None:
    clock = Clock()
    async with serving_agents(tmp_path, clock) as (client, parts):

        async def status(name: str) -> Any:
            return (await (await client.get("/api/host-status", params={"address": name})).json())[name]

        parts.liveness.report([said("10.0.0.2", "base", START)])
        assert await status("10.0.0.2") == 0
        parts.job("10.0.0.2", "nginx").up = False
        assert await status("10.0.0.2") == 1
        assert await status("10.0.0.3") == 1
        parts.job("10.0.0.3", "nginx").up = True
        assert await status("10.0.0.3") == 0
        parts.liveness.report([said("10.0.0.3", "extra", START, command="failed")])
        assert await status("10.0.0.3") == 1
        parts.job("10.0.0.3", "nginx").up = False
        assert await status("10.0.0.3") == 2


async def test_hosts_that_only_push_are_judged_by_what_they_push(tmp_path: Path) -> None:
    clock = Clock()
    async with serving_agents(tmp_path, clock) as (client, parts):
        parts.store.add(Source("pusher", "app"), START, START - 60, {"a": 1.0})
        parts.liveness.report([said("10.7.7.7", "base", START)])
        asked = {"address": ["pusher", "10.7.7.7", "10.7.7.8"]}
        answer = await client.post("/api/host-status", data=[("address", name) for name in asked["address"]])
        assert await answer.json() == {"pusher": 0, "10.7.7.7": 0, "10.7.7.8": 2}
        clock.now = START + 400
        answer = await client.post("/api/host-status", data=[("address", name) for name in asked["address"]])
        assert await answer.json() == {"pusher": 2, "10.7.7.7": 2, "10.7.7.8": 2}


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([], "expected 1 to 500 times, got 0"),
        (["a"] * 2, "expected each once, got 'a' again"),
        ([f"h{i}" for i in range(501)], "expected 1 to 500 times, got 501"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_one_to_500_addresses_each_once(tmp_path: Path, names: list[str], says: str, method: str) -> None:
    async with serving(tmp_path) as (client, _):
        pairs = [("address", name) for name in names]
        answer = await client.request(method, "/api/host-status", **{"params" if method == "GET" else "data": pairs})
        assert answer.status == 400
        problem = await answer.json()
        assert problem["parameter"] == "address"
        assert says in problem["detail"]


async def test_other_bodies_than_forms_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        assert (await client.post("/api/host-status", json={"address": ["a"]})).status == 415
        assert (await client.post("/api/host-status", data=b"a" * (257 << 10), headers=FORM)).status == 413
        assert (await client.post("/api/host-status", data=b"address=%ff", headers=FORM)).status == 400
        assert (await client.post("/api/host-status", data=b"a=&" * 5000, headers=FORM)).status == 400
        assert (await client.post("/api/host-status", data=b"")).status == 400


@pytest.mark.parametrize("pushing", [True, False])
async def test_500_hosts_take_at_most_20_ms(tmp_path: Path, pushing: bool) -> None:
    role = "agent" if pushing else "web"
    hosts = "".join(f"[[10.1.{i // 250}.{i % 250}]]\nrole = {role}\n" for i in range(3000))
    async with serving_agents(tmp_path, Clock(), hosts) as (client, parts):
        names = [f"10.1.{i // 250}.{i % 250}" for i in range(500)]
        for name in names:
            for plugin in ("base", "app"):
                parts.liveness.report([said(name, plugin, START)])
                parts.store.add(Source(name, plugin), START, START - 60, {"a": 1.0})
        took = []
        for _ in range(5):
            began = time.perf_counter()
            answer = await client.post("/api/host-status", data=[("address", name) for name in names])
            found = await answer.json()
            took.append(time.perf_counter() - began)
        assert len(found) == 500
        if pushing:
            assert set(found.values()) == {0}
        assert min(took) < 0.020, took


async def test_servers_are_lines_of_address_hostname_and_comments(tmp_path: Path) -> None:
    async with serving_agents(tmp_path, Clock()) as (client, _):
        answer = await client.get("/api/servers")
        assert (answer.status, answer.content_type) == (200, "text/plain")
        assert (await answer.text()).splitlines() == [
            "10.0.0.3 db1 ",
            "10.0.0.1 www1 front, second rack",
            "10.0.0.4 web4 ",
            "10.0.0.2 www2 ",
        ]
        answer = await client.get("/api/servers", params={"service": "Alpha"})
        assert await answer.text() == "10.0.0.3 db1 \n"
        answer = await client.get("/api/servers", params={"service": "nobody"})
        assert answer.status == 404
        assert "Alpha, shop" in (await answer.json())["detail"]
        assert (await client.get("/api/servers?services=shop")).status == 400


AUTH = """
[auth]
[[users]]
[[[reader]]]
token = reads
[[[pusher]]]
token = pushes
role = push
[[[boss]]]
token = all
role = admin
"""


async def test_who_reads_may_ask_for_statuses_and_only_an_admin_may_pause(tmp_path: Path) -> None:
    async with serving_agents(tmp_path, Clock(), AUTH) as (client, parts):

        async def ask(method: str, path: str, token: str) -> int:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return (await client.request(method, path, headers=headers)).status

        found = [await ask("POST", "/api/host-status?address=a", token) for token in ("", "reads", "pushes", "all")]
        assert found == [401, 200, 403, 200]
        found = [await ask("POST", "/api/v1/pause", token) for token in ("", "reads", "pushes")]
        assert found == [401, 403, 403]
        assert not parts.pause.on
        assert await ask("POST", "/api/v1/pause", "all") == 200
        assert await ask("DELETE", "/api/v1/pause", "reads") == 403
        assert parts.pause.on
        assert await ask("GET", "/api/v1/pause", "reads") == 200
        assert await ask("DELETE", "/api/v1/pause", "all") == 200
        assert not parts.pause.on


async def test_a_pause_is_asked_for_with_json_or_a_form_and_is_shown(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        answer = await client.post("/api/v1/pause")
        assert 299 < (await answer.json())["seconds"] <= 300
        answer = await client.post("/api/v1/pause", json={"seconds": 20})
        assert 19 < (await answer.json())["seconds"] <= 20
        answer = await client.post("/api/v1/pause", data={"seconds": "30.5"})
        assert 30 < (await answer.json())["seconds"] <= 30.5
        assert 30 < (await (await client.get("/readyz")).json())["paused_seconds_left"] <= 30.5
        metrics = await (await client.get("/metrics")).text()
        assert "monitor_pauses_total 1.0" in metrics
        assert "monitor_pause_seconds_left 3" in metrics
        answer = await client.post("/api/v1/pause", json={"seconds": 0})
        assert await answer.json() == {"paused": False, "seconds": 0.0, "file": None}
        await client.post("/api/v1/pause")
        assert (await (await client.delete("/api/v1/pause")).json())["paused"] is False
        assert "paused_seconds_left" not in await (await client.get("/readyz")).json()


@pytest.mark.parametrize("body", ['{"seconds": 301}', '{"seconds": -1}', '{"seconds": "x"}', '{"seconds": true}', "[]"])
async def test_a_pause_of_any_other_length_is_refused(tmp_path: Path, body: str) -> None:
    async with serving(tmp_path) as (client, parts):
        answer = await client.post("/api/v1/pause", data=body, headers={"Content-Type": "application/json"})
        assert answer.status == 400
        assert not parts.pause.on


async def test_a_page_of_another_site_cannot_pause(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
            assert (await client.post("/api/v1/pause", data={"seconds": "9"}, headers=headers)).status == 403
        assert not parts.pause.on
        own = {"Origin": f"http://{client.host}:{client.port}", "Sec-Fetch-Site": "same-origin"}
        assert (await client.post("/api/v1/pause", data={"seconds": "9"}, headers=own)).status == 200


async def test_during_a_pause_pushes_are_accepted_and_stored_afterwards(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        await client.post("/api/v1/pause")
        assert await parts.pipeline.accept([batch("web1", at=time.time(), a=1.0)]) == [None]
        assert parts.outlet.lag_batches == 1
        assert await parts.store.sources() == []
        await client.delete("/api/v1/pause")
        await parts.stored()
        assert [info.source.host for info in await parts.store.sources()] == ["web1"]


async def test_the_page_shows_warnings_and_facts_of_agents(tmp_path: Path) -> None:
    clock = Clock()
    async with serving_agents(tmp_path, clock) as (client, parts):
        parts.store.add(Source("10.0.0.1", "base"), START, START - 60, {"loadavg-1": 1.0})
        parts.store.add(Source("10.0.0.1", "redis", "6379"), START, START - 60, {"keys": 1.0})
        parts.liveness.report([
            Report("10.0.0.1", "base", START, {"version": "Linux <6.18>"}, {"disk_usage": "df <failed>"}),
            Report("10.0.0.1", "redis:6379", START, {"role": "master"}, {}),
            Report("10.0.0.1", "other", START, {}, {"command": "exit_code: 3"}),
        ])  # fmt: skip

        async def page(**more: str) -> str:
            answer = await client.get("/server", params={"address": "10.0.0.1", **more})
            assert answer.status == 200
            return await answer.text()

        text = await page()
        assert "disk_usage: df &lt;failed&gt;" in text
        assert "<dt>version</dt><dd>Linux &lt;6.18&gt;</dd>" in text
        assert "<dt>role</dt><dd>master</dd>" in text
        assert "command: exit_code: 3" in text
        assert "__system__: nothing was ever pushed" in text.partition('id="app"')[2].partition("</section>")[0]
        assert '<span class="state warning">warning</span>' in text
        assert "exit_code" not in await page(plugin_identifier="base")
        clock.now = START + 301
        text = await page()
        assert "df &lt;failed&gt;" not in text
        assert "__system__: nothing was pushed in the last 5 minutes" in text
        assert '<span class="state critical">critical</span>' in text
        clock.now = START + 3600
        assert "Linux" not in await page()


async def test_lists_of_hosts_show_the_state_that_the_status_has(tmp_path: Path) -> None:
    clock = Clock()
    async with serving_agents(tmp_path, clock) as (client, parts):

        async def state() -> str:
            found = (await (await client.get("/api/v1/hosts")).json())["hosts"]
            return str(next(one["state"] for one in found if one["host"] == "10.0.0.2"))

        assert await state() == "critical"
        parts.store.add(Source("10.0.0.2", "base"), START, START - 60, {"a": 1.0})
        parts.liveness.report([said("10.0.0.2", "base", START)])
        clock.now = START + 299
        assert await state() == "ok"
        parts.job("10.0.0.2", "nginx").up = False
        assert await state() == "warning"


async def test_every_page_says_that_storing_is_paused(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        parts.pause.begin()
        for path in ("/", "/server?address=own"):
            assert "Storing is paused for 5 min more" in await (await client.get(path)).text()
        parts.pause.begin(0)
        assert "Storing is paused" not in await (await client.get("/")).text()
