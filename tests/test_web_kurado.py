"""Kurado's pages: the list of hosts, a host's page, the comparison, as a browser and a script ask for them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp.test_utils import TestClient
from test_web_pages import Checker, page
from web_parts import Parts, serving

from monitor.batch import Source
from monitor.liveness import Report
from monitor.web.compare import MOST_HOSTS

Client = TestClient[Any, Any]
INVENTORY = """
[roles]
[[agent]]
pushed = base, http:80
[hosts]
[[10.0.0.1]]
hostname = www1
service = shop
label = front
role = agent
comment = first rack
[[10.0.0.2]]
hostname = www2
service = shop
label = front
role = agent
[[10.0.0.3]]
hostname = db1
service = 日記
role = agent
"""
DAY = 86400
LOAD = {"loadavg-1": lambda i: 1.0, "loadavg-5": lambda i: 1.0, "loadavg-15": lambda i: 1.0}


def fill(parts: Parts, *hosts: str) -> None:
    for host in hosts:
        parts.fill(Source(host, "base"), LOAD, 10)
        parts.fill(Source(host, "http", "80"), {"busy": lambda i: 1.0}, 10)
        now = time.time()
        parts.liveness.report([Report(host, "base", now, {}, {}), Report(host, "http:80", now, {}, {})])


def graphs(found: Checker) -> list[dict[str, str]]:
    """Return what every picture's address asks for."""
    calls = [str(image["src"]) for image in found.images if str(image["src"]).startswith("/graph?")]
    return [{name: values[0] for name, values in parse_qs(urlsplit(call).query).items()} for call in calls]


async def test_the_list_counts_hosts_by_service_and_leaves_out_others(tmp_path: Path) -> None:
    async with serving(tmp_path, INVENTORY) as (client, parts):
        fill(parts, "10.0.0.1")
        found = await page(client, "/")
        for link in ("/", "/?service=shop", "/server?address=10.0.0.1"):
            assert link in found.links
        for word in ("www1", "10.0.0.2", "first rack", "front", "日記"):
            assert word in found.text
        shop = await page(client, "/", service="shop")
        assert "www1" in shop.text
        assert "db1" not in shop.text
        await page(client, "/", 404, service="nope")
        await page(client, "/", 404, state="nope")


async def test_the_list_can_be_searched_and_compared_without_a_script(tmp_path: Path) -> None:
    async with serving(tmp_path, INVENTORY) as (client, _):
        found = await page(client, "/", q="WWW rack")
        assert "www1" in found.text
        assert "www2" not in found.text
        assert "No host is found." in (await page(client, "/", q="nowhere")).text
        text = await (await client.get("/")).text()
        assert '<form id="hosts" action="/servers"' in text
        assert text.count('type="checkbox" name="address" value="10.0.0.') == 3


async def test_the_list_says_the_state_that_the_status_has(tmp_path: Path) -> None:
    async with serving(tmp_path, INVENTORY) as (client, parts):
        fill(parts, "10.0.0.1", "10.0.0.2")
        now = time.time()
        parts.liveness.report([Report("10.0.0.2", "http:80", now, {}, {"command": "exit_code: 1"})])
        hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        states = await (await client.get("/api/host-status", params=[("address", host) for host in hosts])).json()
        text = await (await client.get("/")).text()
        for host in hosts:
            row = text.partition(f'value="{host}"')[2].partition("</tr>")[0]
            assert f'class="icon {("ok", "warning", "critical")[states[host]]}"' in row
        assert [states[host] for host in hosts] == [0, 1, 2]


async def test_long_answers_are_packed_for_who_takes_that(tmp_path: Path) -> None:
    async with serving(tmp_path, INVENTORY) as (client, _):
        session = client.session
        for path in ("/", "/static/style.css", "/static/index.js"):
            url = client.make_url(path)
            async with session.get(url, headers={"Accept-Encoding": "identity"}) as answer:
                plain = await answer.read()
                assert "Content-Encoding" not in answer.headers
            async with session.get(url, headers={"Accept-Encoding": "gzip;q=0"}) as answer:
                assert "Content-Encoding" not in answer.headers
            async with session.get(url, headers={"Accept-Encoding": "br, gzip"}) as answer:
                assert answer.headers["Content-Encoding"] == "gzip"
                assert "Accept-Encoding" in answer.headers["Vary"]
                assert len(await answer.read()) == len(plain)
                assert int(answer.headers["Content-Length"]) < len(plain) / 2


@pytest.mark.parametrize(
    ("term", "terms", "width"),
    [("", ["day", "week"], 580), ("day", ["day", "week"], 580), ("month", ["day", "week", "month", "year"], 480),
     ("1hour", ["hour"], 1180), ("4hours", ["4hours"], 1180), ("8hours", ["8hours"], 1180),
     ("3days", ["3days"], 1180), ("custom", ["custom"], 1180), ("week", ["week"], 580), ("year", ["year"], 580)],
)  # fmt: skip
async def test_every_term_has_its_pictures(tmp_path: Path, term: str, terms: list[str], width: int) -> None:
    async with serving(tmp_path, INVENTORY) as (client, parts):
        fill(parts, "10.0.0.1")
        found = graphs(await page(client, "/server", address="10.0.0.1", **({"term": term} if term else {})))
        load = [one for one in found if one["graph"].startswith("loadavg")]
        assert [one["term"] for one in load] == terms
        assert {one["width"] for one in found} == {str(width)}
        answer = await client.get("/graph", params=load[-1])
        assert answer.status == 200
        assert answer.content_type == "image/png"
        assert int.from_bytes((await answer.read())[16:20], "big") == width


async def test_a_custom_range_is_read_shown_and_drawn(tmp_path: Path) -> None:
    noon = 1_795_176_000.0
    async with serving(tmp_path, INVENTORY, lambda: noon + 120) as (client, parts):
        parts.fill(Source("10.0.0.1", "base"), LOAD, 10, noon)
        asked = {"address": "10.0.0.1", "term": "custom"}
        whole = graphs(await page(client, "/server", **asked))[0]
        assert (whole["from"], whole["to"]) == (str(int(noon) - 32 * 3600), str(int(noon)))
        dates = {"from": "2026-11-20 10:15", "to": "2026-11-20 12:00"}
        found = graphs(await page(client, "/server", **asked, **dates))[0]
        assert (found["from"], found["to"]) == (str(int(noon) - 6300), str(int(noon)))
        text = await (await client.get("/server", params={**asked, **dates})).text()
        assert all(f'value="{date}"' in text for date in dates.values())
        text = await (await client.get("/server", params={**asked, "from": "end-2h", "to": "now"})).text()
        assert 'value="end-2h"' in text
        for wrong in ({"from": dates["to"], "to": dates["from"]}, {"from": "nonsense"}, {"to": "2026-02-30"}):
            await page(client, "/server", 400, **asked, **wrong)


@pytest.mark.parametrize(
    ("query", "status"),
    [({}, 400), ({"address": ""}, 400), ({"address": "10.9.9.9"}, 404), ({"address": "10.0.0.1", "term": "1"}, 400),
     ({"address": "10.0.0.1", "plugin_identifier": "redis:6379"}, 404), ({"address": "10.0.0.1", "all": "x"}, 400)],
)  # fmt: skip
async def test_a_hosts_page_refuses_what_it_cannot_show(tmp_path: Path, query: dict[str, str], status: int) -> None:
    async with serving(tmp_path, INVENTORY) as (client, _):
        await page(client, "/server", status, **query)


async def test_a_plugin_can_be_looked_at_alone_by_its_identifier(tmp_path: Path) -> None:
    async with serving(tmp_path, INVENTORY) as (client, parts):
        fill(parts, "10.0.0.1")
        parts.fill(Source("pusher", "http", "8080"), {"busy": lambda i: 1.0}, 10)
        found = await page(client, "/server", address="10.0.0.1", plugin_identifier="http:80")
        assert {one["plugin_identifier"] for one in graphs(found)} == {"http:80"}
        await page(client, "/server", address="pusher", plugin_identifier="http:8080")
        await page(client, "/server", address="10.0.0.3", plugin_identifier="http:80")


async def test_plugins_that_warn_or_never_came_are_red(tmp_path: Path) -> None:
    async with serving(tmp_path, INVENTORY) as (client, parts):
        parts.liveness.report([Report("10.0.0.1", "base", time.time(), {"uptime": "5"}, {"disk_usage": "df failed"})])
        text = await (await client.get("/server", params={"address": "10.0.0.1"})).text()
        for name in ("base", "http:80"):
            assert f'title="{name}"' in text.partition('class="bad"')[2]
        assert "disk_usage: df failed" in text
        assert "<dt>uptime</dt><dd>5</dd>" in text


async def test_what_is_gone_is_shown_only_where_it_was_seen_or_on_demand(tmp_path: Path) -> None:
    async with serving(tmp_path, INVENTORY) as (client, parts):
        fill(parts, "10.0.0.1")
        now = int(time.time())
        for device, age in (("sda", 0), ("sdb", 20 * DAY), ("sdc", 600 * DAY)):
            values = {f"disk-usage-{device}-used": 1.0, f"disk-usage-{device}-available": 1.0}
            parts.store.add(Source("10.0.0.1", "base"), now - age, now - age - 60, values)
        parts.store.add(Source("10.0.0.1", "redis", "6379"), now - 600 * DAY, now - 600 * DAY - 60, {"keys": 1.0})

        async def devices(**more: str) -> set[str]:
            found = graphs(await page(client, "/server", address="10.0.0.1", **more))
            shown = {one["graph"].rpartition(".")[2] for one in found if one["graph"].startswith("disk-usage.")}
            return shown | {one["plugin_identifier"] for one in found if one["plugin_identifier"] != "base"}

        assert await devices() == {"sda", "http:80"}
        assert await devices(term="month") == {"sda", "sdb", "http:80"}
        assert await devices(all="1") == {"sda", "sdb", "sdc", "http:80", "redis:6379"}
        ends = {"from": str(now - 21 * DAY), "to": str(now - 19 * DAY)}
        assert await devices(term="custom", **ends) == {"sda", "sdb", "http:80"}
        text = await (await client.get("/server", params={"address": "10.0.0.1"})).text()
        assert "all=1" in text
        assert "redis" not in text


async def test_the_head_can_be_small_by_cookie(tmp_path: Path) -> None:
    async with serving(tmp_path, INVENTORY) as (client, _):
        for cookie, shape in (("small=1", "host small"), ("small=0", "host"), ("", "host")):
            answer = await client.get("/server", params={"address": "10.0.0.1"}, headers={"Cookie": cookie})
            assert f'<body class="{shape}">' in await answer.text()


@pytest.mark.parametrize("term", ["day", "week", "month", "year", "1hour", "4hours", "8hours", "3days", "custom"])
async def test_hosts_are_compared_with_one_picture_per_graph(tmp_path: Path, term: str) -> None:
    async with serving(tmp_path, INVENTORY) as (client, parts):
        fill(parts, "10.0.0.1", "10.0.0.2")
        query = [("address", "10.0.0.2"), ("address", "www1"), ("address", "10.0.0.3"), ("term", term)]
        answer = await client.get("/servers", params=query)
        assert answer.status == 200
        checker = Checker()
        checker.feed(await answer.text())
        found = [one for one in graphs(checker) if one["graph"].startswith("loadavg")]
        assert [one["address"] for one in found] == ["10.0.0.2", "10.0.0.1"]
        assert {one["width"] for one in found} == {"500"}
        assert (await client.get("/graph", params=found[0])).content_type == "image/png"


async def test_a_comparison_can_be_of_one_plugin(tmp_path: Path) -> None:
    async with serving(tmp_path, INVENTORY) as (client, parts):
        fill(parts, "10.0.0.1")
        found = await page(client, "/servers", address="10.0.0.1", plugin_identifier="http:80")
        assert {one["plugin_identifier"] for one in graphs(found)} == {"http:80"}


@pytest.mark.parametrize(
    ("query", "status"),
    [([], 400), ([("address", "10.0.0.1"), ("address", "10.0.0.1")], 400),
     ([("address", "10.0.0.1"), ("address", "www1")], 400),
     ([("address", f"10.1.{i // 250}.{i % 250}") for i in range(MOST_HOSTS + 1)], 400),
     ([("address", "10.9.9.9")], 404), ([("address", "10.0.0.1"), ("term", "decade")], 400),
     ([("address", "10.0.0.1"), ("plugin_identifier", "x")], 404),
     ([("address", "10.0.0.1"), ("term", "custom"), ("from", "now"), ("to", "end-1d")], 400)],
)  # fmt: skip
async def test_a_comparison_refuses_what_it_cannot_show(
    tmp_path: Path, query: list[tuple[str, str]], status: int
) -> None:
    async with serving(tmp_path, INVENTORY) as (client, _):
        assert (await client.get("/servers", params=query)).status == status


async def test_500_hosts_fit_into_one_comparison(tmp_path: Path) -> None:
    many = "[hosts]\n" + "".join(f"[[10.1.{i // 250}.{i % 250}]]\n" for i in range(MOST_HOSTS))
    async with serving(tmp_path, many) as (client, parts):
        for i in range(MOST_HOSTS):
            parts.fill(Source(f"10.1.{i // 250}.{i % 250}", "app"), {"a": lambda i: 1.0, "b": lambda i: 1.0}, 1)
        query = [("address", f"10.1.{i // 250}.{i % 250}") for i in range(MOST_HOSTS)]
        answer = await client.get("/servers", params=query)
        assert answer.status == 200
        checker = Checker()
        checker.feed(await answer.text())
        assert len(graphs(checker)) == 2 * MOST_HOSTS
