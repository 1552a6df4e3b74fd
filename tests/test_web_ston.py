"""Every target, protocol and step of STON's specification is served, and so are the pages of its virtual hosts."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient
from PIL import Image
from ston_store import fill
from web_parts import Parts, serving

from collectors.ston import STONCollector

Client = TestClient[Any, Any]
STON = """
[roles]
[[ston]]
collectors = STONCollector
[hosts]
[[10.0.0.8]]
hostname = ston1
role = ston
"""
HOST, VHOST, LIVE, CHANNEL = "10.0.0.8", "www.example.com", "www.example.com/bar", "/myLiveStream"
STEPS = ("5m", "30m", "1h", "6h", "1d")
GLOBAL = (
    "cpu", "ston_media_server_cpu", "memory", "iowait", "loadavg", "ssockevent", "ssockusage", "csockevent",
    "csockusage", "acldenied", "eq", "wf2w", "tcpsocket",
)  # fmt: skip
EVERY = ("all", "rtmp", "http", "hls", "mpegdash")
WEB = ("all", "http", "hls", "mpegdash")
WHOLE = ("filecount", "mem")
VHOSTS = {
    "hitratio": EVERY, "client_res_hit": EVERY, "client_session": EVERY, "client_traffic": EVERY, "client_res": EVERY,
    "client_res_complete": WEB, "client_res_time": EVERY, "client_res_complete_time": WEB, "origin_session": EVERY,
    "origin_traffic": EVERY, "origin_res": EVERY, "origin_res_complete": WEB, "origin_res_time": EVERY,
    "origin_res_complete_time": WEB, "filecount": ("all",), "mem": ("all",),
    **{f"{side}_{one}_res_detail": ("all",) for side in ("client", "origin") for one in EVERY[1:]},
}  # fmt: skip
NOW = 1_795_000_000 // 86400 * 86400 + 43230


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ston(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Client, Parts]]:
    async with serving(tmp_path_factory.mktemp("ston"), STON, clock=lambda: NOW) as (client, parts):
        fill(parts, HOST, "", "", 1, steady=True)
        fill(parts, HOST, VHOST, "", 10, steady=True)
        fill(parts, HOST, LIVE, "", 30, steady=True)
        fill(parts, HOST, LIVE, CHANNEL, 20, steady=True)
        yield client, parts


async def drawn(client: Client, path: str, query: dict[str, str]) -> Any:
    """Return the numbers of a graph; its picture, which is not empty, is drawn too."""
    answer = await client.get(path, params=query)
    body = await answer.read()
    assert answer.status == 200, (query, body)
    picture = Image.open(io.BytesIO(body)).convert("RGB")
    assert picture.width == 580
    assert picture.height >= 203
    bright = np.ptp(np.asarray(picture).astype(int), axis=2) > 60
    assert bright.sum() > 300, query
    answer = await client.get(path, params={**query, "format": "json"})
    found = await answer.json()
    assert all(any(value is not None for value in line["values"]) for line in found["lines"]), query
    return found


async def refused(client: Client, query: dict[str, str], parameter: str) -> list[str]:
    answer = await client.get("/graph_vhost", params=query)
    assert answer.status == 400, query
    found = await answer.json(content_type="application/problem+json")
    assert found["parameter"] == parameter
    allowed: list[str] = found["allowed"]
    return allowed


def test_the_targets_are_those_of_the_specification() -> None:
    assert tuple(STONCollector.targets) == GLOBAL
    assert set(STONCollector.instance_targets) == set(VHOSTS)
    assert STONCollector.whole_targets == set(WHOLE)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("target", GLOBAL)
async def test_a_target_of_the_server_is_drawn_at_every_step(ston: tuple[Client, Parts], target: str) -> None:
    for step in STEPS:
        found = await drawn(ston[0], "/graph_global", {"target": target, "step": step, "start": "end-2d"})
        assert "ston1" in found["title"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("target", VHOSTS)
async def test_a_target_of_virtual_hosts_is_drawn_of_its_protocols_at_every_step(
    ston: tuple[Client, Parts], target: str
) -> None:
    client, _ = ston
    for protocol in EVERY:
        for step in STEPS:
            query = {"target": target, "protocol": protocol, "step": step, "start": "end-2d", "vhost": LIVE}
            allowed = (*VHOSTS[target], *(word for word in target.split("_") if word in EVERY))
            if protocol in allowed:
                found = await drawn(client, "/graph_vhost", query)
                assert LIVE in found["title"]
            else:
                assert tuple(await refused(client, query, "protocol")) == allowed


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("target", VHOSTS)
async def test_a_channel_has_every_target_but_those_of_files_and_memory(
    ston: tuple[Client, Parts], target: str
) -> None:
    query = {"target": target, "vhost": LIVE + CHANNEL}
    if target in WHOLE:
        assert set(await refused(ston[0], query, "target")) == set(VHOSTS) - set(WHOLE)
    else:
        await drawn(ston[0], "/graph_vhost", query)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("target", VHOSTS)
async def test_all_virtual_hosts_together_are_the_sum_of_their_series(ston: tuple[Client, Parts], target: str) -> None:
    client, _ = ston
    # every series of www.example.com/bar is three times that of www.example.com, so that sums are four times it,
    # and ratios and mean times stay as they are; those of the channel do not count
    every = await drawn(client, "/graph_vhost", {"target": target})
    one = await drawn(client, "/graph_vhost", {"target": target, "vhost": VHOST})
    factor = 1 if target == "hitratio" or target.endswith("_time") else 4
    for together, alone in zip(every["lines"], one["lines"], strict=True):
        both = [np.array(line["values"], dtype=float) for line in (together, alone)]
        assert np.isfinite(both[0]).any()
        np.testing.assert_allclose(both[0], factor * both[1], rtol=1e-12)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", ["dash", "day", "week", "month", "year"])
async def test_the_shipped_pictures_are_served_under_their_names_and_other_names_of_targets_too(
    ston: tuple[Client, Parts], kind: str
) -> None:
    client, _ = ston
    names = [f"/graph/{target}" for target in (*GLOBAL, "mem", "stoncpu")]
    names += [f"/graph/vhost/{target}" for target in (*VHOSTS, "client_http_session", "client_http_res_time1")]
    for name in names:
        answer = await client.get(f"{name}_{kind}.png")
        assert answer.status == 200, (name, await answer.read())
        assert Image.open(io.BytesIO(await answer.read())).width == (205 if kind == "dash" else 580)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_api_lists_targets_protocols_and_lines(ston: tuple[Client, Parts]) -> None:
    answer = await ston[0].get("/api/v1/ston/targets")
    found = {one["target"]: one for one in (await answer.json())["targets"]}
    assert set(found) == {*GLOBAL, *VHOSTS}
    for target, protocols in VHOSTS.items():
        named = [word for word in target.split("_") if word in EVERY]
        assert found[target]["protocols"] == [*protocols, *named]
    assert [line["legend"] for line in found["tcpsocket"]["lines"]] == [
        "Alloc", "Established", "Timewait", "Orphan", "Mem",
    ]  # fmt: skip
    assert all(line["colour"].startswith("#") for one in found.values() for line in one["lines"])


@pytest.mark.asyncio(loop_scope="module")
async def test_a_page_of_a_virtual_host_shows_all_its_targets_and_those_of_one_protocol(
    ston: tuple[Client, Parts],
) -> None:
    client, _ = ston
    for protocol, count in (("all", 24), ("rtmp", 12), ("http", 16)):
        text = await (await client.get("/vhost", params={"vhost": LIVE, "protocol": protocol})).text()
        assert text.count("<figure>") == count
    text = await (await client.get("/vhost", params={"vhost": LIVE + CHANNEL})).text()
    assert text.count("<figure>") == 22
