"""Lists of instances with their newest numbers: Sora's channels and connections, as pages and as JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from test_web_pages import Checker, page
from web_parts import OWN, Parts, serving
from yarl import URL

from monitor.batch import Source
from monitor.web.shown import written

NOW = 1_795_000_030
CONFIG = """
[collectors]
[[SoraCollector]]
enabled = True
"""
Client = TestClient[Any, Any]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """30 channels: room-N with N connections and (30 - N) MB/s; of room-3 the three connections, and one that ended."""
    async with serving(tmp_path, CONFIG, clock=lambda: NOW) as (client, parts):
        fill(parts, "", total_ongoing_connections=465.0)
        for n in range(1, 31):
            fill(
                parts, f"room-{n}", {"vhost": f"room-{n}"}, connections=n, sent_bytes=1e6 * (30 - n), sent_packets=n / 2
            )
        for n in range(3):
            facts = {"vhost": "room-3", "channel": f"/C{n}", "client_id": f"user{n}"}
            fill(parts, f"room-3/C{n}", facts, sent_bytes=1000.0 * n)
        facts = {"vhost": "room-3", "channel": "/OLD", "client_id": "gone-user"}
        fill(parts, "room-3/OLD", facts, before=3600, sent_bytes=5e9)
        yield client


def fill(parts: Parts, instance: str, meta: dict[str, str] | None = None, before: int = 0, **values: float) -> None:
    for at in (NOW - before - 60, NOW - before):
        parts.store.add(Source(OWN, "sora", instance), at, at - 60, values, meta=meta)


async def test_the_host_page_lists_the_ten_largest_channels_and_links_to_all(client: Client) -> None:
    found = await page(client, "/server", address=OWN, plugin_identifier="sora")
    assert rooms(found) == [f"room-{n}" for n in range(30, 20, -1)]
    assert "and 20 more" in found.text
    assert f"/vhosts?host={OWN}&collector=sora" in found.links


async def test_all_channels_are_on_their_page_by_whichever_column(client: Client) -> None:
    found = await page(client, "/vhosts", host=OWN)
    assert rooms(found) == [f"room-{n}" for n in range(30, 0, -1)]
    found = await page(client, "/vhosts", host=OWN, sort="sent_bytes")
    assert rooms(found) == [f"room-{n}" for n in range(1, 31)]
    assert "29.00 MB/s" in found.text
    assert "0.50/s" in found.text
    found = await page(client, "/vhosts", host=OWN, sort="name")
    assert rooms(found) == sorted(f"room-{n}" for n in range(1, 31))
    assert sum(link.endswith("&sort=sent_packets") for link in found.links) == 1


async def test_the_page_of_a_channel_lists_its_connections_and_those_that_ended_last(client: Client) -> None:
    found = await page(client, "/vhost", host=OWN, vhost="room-3")
    assert rooms(found)[1:] == ["room-3/C2", "room-3/C1", "room-3/C0", "room-3/OLD"]
    for word in ("user1", "2.00 kB/s", "gone since", "Connections", "sent bytes"):
        assert word in found.text
    small = {str(image["src"]) for image in found.images if "only=1" in str(image["src"])}
    assert len(small) == 4
    assert not any("sora_connections" in one for one in small)
    assert "Connection of room-3" in (await page(client, "/vhost", host=OWN, vhost="room-3/C1")).text


def rooms(found: Checker) -> list[str]:
    """Return the instances of the list, in order."""
    links = [URL(link) for link in found.links if link.startswith("/vhost?")]
    return list(dict.fromkeys(link.query["vhost"] for link in links if link.query["vhost"].startswith("room")))


async def test_the_same_is_there_as_json(client: Client) -> None:
    answer = await client.get("/api/v1/instances", params={"host": OWN, "collector": "sora", "limit": "2"})
    told = await answer.json()
    assert told["count"] == 30
    assert [one["name"] for one in told["instances"]] == ["room-30", "room-29"]
    assert told["instances"][0]["values"] == {"connections": 30, "sent_bytes": 0, "sent_packets": 15}
    answer = await client.get("/api/v1/instances", params={"host": OWN, "vhost": "room-3", "sort": "sent_bytes"})
    told = (await answer.json())["instances"]
    assert [(one["channel"], one["gone"], one["meta"]["client_id"]) for one in told] == [
        ("/C2", False, "user2"), ("/C1", False, "user1"), ("/C0", False, "user0"), ("/OLD", True, "gone-user"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "status", "parameter"),
    [
        ({"host": "nobody"}, 404, "host"),
        ({"host": OWN, "collector": "nginx"}, 404, "collector"),
        ({"host": OWN, "sort": "colour"}, 400, "sort"),
        ({"host": OWN, "vhost": "room-99"}, 404, "vhost"),
        ({"host": OWN, "limit": "0"}, 400, "limit"),
        ({"host": OWN, "limt": "5"}, 400, "limt"),
    ],
)
async def test_a_wrong_parameter_is_named(client: Client, query: dict[str, str], status: int, parameter: str) -> None:
    answer = await client.get("/api/v1/instances", params=query)
    told = await answer.json(content_type="application/problem+json")
    assert (answer.status, told["parameter"]) == (status, parameter)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (9.0, "connections", "9"), (12345.0, "connections", "12.35 k"), (1.5, "", "1.50"),
        (float("nan"), "packets/s", "-"),
        (18020.0, "packets/s", "18.02 k/s"), (2e6, "bytes/s", "2.00 MB/s"), (3.0, "packets/s", "3.00/s"),
    ],
)  # fmt: skip
def test_numbers_in_lists_say_what_they_are(value: float, unit: str, text: str) -> None:
    assert written(value, unit) == text
