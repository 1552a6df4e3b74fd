"""The page of WCS servers: who writes events, how many, and since when one is silent; and their graphs as hosts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from test_web_pages import page
from web_parts import Parts, serving

from monitor.batch import Source
from monitor.receivers.rels_series import RelsSeries
from monitor.wire.clickhouse.rows import Rows
from monitor.wire.clickhouse.tables import TABLES

CONFIG = """
[hosts]
[[wcs1]]
address = 10.0.0.7
hostname = front <1>
service = live
[receivers]
[[rels]]
listen = 127.0.0.1:8123
"""


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def written(parts: Parts, clock: Clock) -> RelsSeries:
    """Have the receiver's counts, with events of two servers: one is configured, one is not."""
    series = RelsSeries(parts.pipeline.accept, lambda: parts.config.inventory, clock=clock)
    parts.rels.series = series
    names = list(TABLES["StreamEvent"].names)
    lines = [f"1\t{ip}\ts\tm\tlive\t{kind}\t\n".encode() for ip, kind in (("10.0.0.7", 0), ("10.0.0.8", 11))]
    series.count("StreamEvent", Rows(names, 5, lines[0] * 3 + lines[1] * 2), "198.51.100.1")
    cdn = b"1\t10.0.0.7\t10.0.0.7\t2\t2.4.1 <b>\n"
    series.count("CDNEvent", Rows(list(TABLES["CDNEvent"].names), 1, cdn), "198.51.100.1")
    return series


async def minute(parts: Parts, clock: Clock, seconds: float = 60.0) -> None:
    assert parts.rels.series is not None
    await parts.rels.series.turn()
    clock.ahead += seconds
    await parts.rels.series.turn()
    await parts.stored()


async def servers(client: Any, **query: str) -> list[dict[str, Any]]:
    answer = await client.get("/api/v1/events-servers", params=query)
    assert answer.status == 200
    found = await answer.json()
    assert found["silent_after"] == 300
    rows: list[dict[str, Any]] = found["servers"]
    return rows


async def test_the_page_lists_servers_with_their_last_batch_and_events_per_minute(tmp_path: Path) -> None:
    clock = Clock()
    async with serving(tmp_path, CONFIG, clock) as (client, parts):
        series = written(parts, clock)
        await minute(parts, clock)
        found = await page(client, "/events/servers")
        for word in ("front <1>", "10.0.0.8", "2.4.1 <b>", "sending", "StreamEvent", "6 events in the last minute"):
            assert word in found.text
        assert "/server?address=wcs1&plugin_identifier=rels" in found.links
        assert "/events?ip=10.0.0.8" in found.links
        first, second = await servers(client)
        assert (first["host"], first["server"], first["rows"], first["version"]) == ("10.0.0.8", "10.0.0.8", 2, None)
        assert (second["host"], second["server"], second["rows"], second["version"]) == (
            "wcs1", "10.0.0.7", 4, "2.4.1 <b>"
        )  # fmt: skip
        assert set(second["tables"]) == {"StreamEvent", "CDNEvent"}
        assert [row["host"] for row in await servers(client, sort="rows")] == ["wcs1", "10.0.0.8"]
        await series.close()


async def test_servers_are_hosts_with_graphs_configured_or_not(tmp_path: Path) -> None:
    clock = Clock()
    async with serving(tmp_path, CONFIG, clock) as (client, parts):
        series = written(parts, clock)
        await minute(parts, clock)
        hosts = {one["host"]: one for one in (await (await client.get("/api/v1/hosts")).json())["hosts"]}
        assert hosts["10.0.0.8"]["state"] == hosts["wcs1"]["state"] == "ok"
        found = await page(client, "/server", address="wcs1")
        sources = " ".join(str(image["src"]) for image in found.images)
        for graph in ("events", "stream_setup", "distinct", "cdn"):
            assert f"graph={graph}&" in sources
        assert "graph=mixer_tick&" not in sources
        assert (await page(client, "/events")).links.count("/events/servers") == 1
        latest = await (await client.get("/api/v1/latest", params={"host": "10.0.0.8", "collector": "rels"})).json()
        values = {one["name"]: one["value"] for one in latest["series"]}
        assert (values["events.StreamEvent"], values["events.StreamEvent.VIDEO_RECEIVED"], values["streams"]) == (
            2,
            2,
            1,
        )
        series_ = await (await client.get("/api/v1/series", params={"host": "10.0.0.8", "name": "streams"})).json()
        assert series_["series"][0]["unit"] == "names"
        await series.close()


async def test_a_silent_server_is_silent_and_fails_nothing(tmp_path: Path) -> None:
    clock = Clock()
    async with serving(tmp_path, CONFIG, clock) as (client, parts):
        series = written(parts, clock)
        await minute(parts, clock)
        clock.ahead += 1000
        found = await page(client, "/events/servers", sort="seen")
        assert "2 silent" in found.text
        assert {row["state"] for row in await servers(client)} == {"silent"}
        index = await page(client, "/")
        assert "nothing was pushed" not in index.text
        for host in ("10.0.0.8", "wcs1"):
            one = await (await client.get(f"/api/v1/hosts/{host}")).json()
            assert one["state"] == "unknown"
            assert one["failing"] == []
            shown = await page(client, "/server", address=host)
            assert "silent" in shown.text
            assert "failing" not in shown.text
        await series.close()


async def test_what_else_a_host_does_decides_its_state_while_its_rels_is_silent(tmp_path: Path) -> None:
    async with serving(tmp_path, CONFIG) as (client, parts):
        parts.fill(Source("wcs1", "rels"), {"events": lambda i: 1.0}, 2, now=time.time() - 1200)
        parts.fill(Source("wcs1", "app"), {"a": lambda i: 1.0}, 2)
        assert (await (await client.get("/api/v1/hosts/wcs1")).json())["state"] == "ok"


async def test_after_a_restart_servers_are_known_from_the_store(tmp_path: Path) -> None:
    async with serving(tmp_path, CONFIG) as (client, parts):
        parts.fill(Source("10.0.0.9", "rels"), {"events": lambda i: 1.0}, 2, now=time.time() - 86400)
        parts.fill(Source("wcs1", "rels"), {"events": lambda i: 1.0}, 2)
        found = await page(client, "/events/servers")
        assert "1 d ago" in found.text or "24 h ago" in found.text
        first, second = await servers(client)
        assert (first["host"], first["state"], first["rows"]) == ("10.0.0.9", "silent", None)
        assert (second["server"], second["state"]) == ("10.0.0.7", "sending")


@pytest.mark.parametrize(("config", "told"), [("", True), (CONFIG, False)])
async def test_without_servers_the_page_says_so_and_whether_events_are_taken(
    config: str, told: bool, tmp_path: Path
) -> None:
    async with serving(tmp_path, config) as (client, _):
        found = await page(client, "/events/servers")
        assert "No server has written events yet." in found.text
        assert ("listen is not set" in found.text) == told
        assert await servers(client) == []


async def test_a_wrong_order_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, CONFIG) as (client, _):
        answer = await client.get("/api/v1/events-servers", params={"sort": "colour"})
        assert answer.status == 400
        problem = await answer.json()
        assert problem["parameter"] == "sort"
        assert "name, seen, rows" in problem["detail"]
