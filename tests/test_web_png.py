"""Pictures: /graph_global and /graph, their parameters, their caching, and clients that hang up."""

from __future__ import annotations

import asyncio
import io
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp.test_utils import TestClient
from PIL import Image
from web_parts import OWN, Parts, serving

from monitor.batch import Source
from monitor.graph.data import Read, Track
from monitor.graph.model import Graph
from monitor.web.draw import Drawer, Drawing, picture
from monitor.web.problem import ProblemError

Client = TestClient[Any, Any]
LOAD = Source(OWN, "loadavg")


def filled(parts: Parts, minutes: int = 300) -> None:
    parts.fill(LOAD, {name: lambda i: 1 + math.sin(i / 9) for name in ("01", "05", "15")}, minutes)


async def image(client: Client, path: str, **query: Any) -> Image.Image:
    answer = await client.get(path, params=query)
    body = await answer.read()
    assert answer.status == 200, body
    assert answer.content_type == "image/png"
    return Image.open(io.BytesIO(body))


async def problem(client: Client, path: str, status: int, **query: Any) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status == status, await answer.read()
    return await answer.json(content_type="application/problem+json")


def green(found: Image.Image) -> int:
    colours = found.convert("RGB").getcolors(1 << 24)
    return sum(count for count, (r, g, b) in colours if g > 180 and r < 140 and b < 140)


async def test_graph_global_draws_a_target_of_the_own_host_by_default(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        filled(parts)
        found = await image(client, "/graph_global", target="loadavg", step="5m", start="-4h", end="now")
        assert found.size == (580, 203)
        assert green(found) > 500
        other = await image(client, "/graph_global", target="loadavg", host="www1", start="-4h")
        assert green(other) < 100


async def test_a_fresh_installation_is_drawn_at_the_step_of_its_collector(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        filled(parts, minutes=6)
        assert green(await image(client, "/graph_global", target="loadavg", step="5m", start="-1h")) > 50


@pytest.mark.parametrize("step", ["5m", "30m", "1h", "6h", "1d"])
async def test_every_step_is_served(tmp_path: Path, step: str) -> None:
    async with serving(tmp_path) as (client, _):
        await image(client, "/graph_global", target="cpu", step=step, start="-7d")


async def test_width_and_height_are_those_of_the_whole_picture(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        assert (await image(client, "/graph_global", target="cpu", width=1000, height=400)).size == (1000, 400)


@pytest.mark.parametrize(("zoom", "size"), [("1", (580, 203)), ("1.5", (870, 304)), ("4", (2320, 812))])
async def test_zoom_enlarges_everything(tmp_path: Path, zoom: str, size: tuple[int, int]) -> None:
    async with serving(tmp_path) as (client, _):
        assert (await image(client, "/graph_global", target="cpu", zoom=zoom)).size == size
        query = {"address": OWN, "plugin_identifier": "loadavg", "graph": "load", "full": "1"}
        assert (await image(client, "/graph", **query, zoom=zoom)).size == size


@pytest.mark.parametrize("word", ["only", "graph_only"])
async def test_a_thumbnail_is_the_plot_alone(tmp_path: Path, word: str) -> None:
    async with serving(tmp_path) as (client, parts):
        filled(parts)
        size: dict[str, str] = {"width": "120", "height": "48", word: "1"}
        found = await image(client, "/graph_global", target="loadavg", start="-4h", **size)
        assert found.size == (120, 48)
        assert green(found) > 500
        query = {"address": OWN, "plugin_identifier": "loadavg", "graph": "load", **size}
        assert (await image(client, "/graph", **query)).size == (120, 48)


async def test_the_largest_pictures_are_drawn_and_a_plot_leaves_room_for_what_is_around_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        largest = {"width": "4000", "height": "2000"}
        assert (await image(client, "/graph_global", target="cpu", **largest)).size == (4000, 2000)
        query = {"address": OWN, "plugin_identifier": "loadavg", "graph": "load"}
        for name, pixels in largest.items():
            found = await problem(client, "/graph", 400, **query, **{name: pixels})
            assert found["parameter"] == name
            most = found["detail"].partition(" to ")[2].partition(" ")[0]
            assert 0.9 * int(pixels) < int(most) < int(pixels)
            assert getattr(await image(client, "/graph", **query, **{name: most}), name) == int(pixels)


def pink(found: Image.Image) -> int:
    colours = found.convert("RGB").getcolors(1 << 24)
    return sum(count for count, colour in colours if colour == (255, 0, 255))


async def test_a_week_and_more_show_peaks_and_so_do_the_steps_that_have_them(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        parts.fill(LOAD, {name: lambda i: 9.0 if i % 60 == 7 else 1.0 for name in ("01", "05", "15")}, 8 * 1440)
        query = {"address": OWN, "plugin_identifier": "loadavg", "graph": "load"}
        custom = {"term": "custom", "from": "-8d", "to": "now"}
        for more in ({"term": "week"}, {"term": "month"}, custom):
            assert pink(await image(client, "/graph", **query, **more)) > 20
        assert pink(await image(client, "/graph", **query, term="3days")) == 0
        assert pink(await image(client, "/graph_global", target="loadavg", step="30m", start="-8d")) > 20
        assert pink(await image(client, "/graph_global", target="loadavg", step="30m", start="-2d")) > 20
        assert pink(await image(client, "/graph_global", target="loadavg", step="5m", start="-8d")) == 0


@pytest.mark.parametrize(
    ("query", "status", "parameter", "allowed"),
    [
        ({}, 400, "target", None),
        ({"target": "nope"}, 404, "target", "cpu"),
        ({"target": "cpu", "host": "nope"}, 404, "host", OWN),
        ({"target": "cpu", "step": "7m"}, 400, "step", "30m"),
        ({"target": "cpu", "start": "yesteryear"}, 400, "start", None),
        ({"target": "cpu", "end": "?"}, 400, "end", None),
        ({"target": "cpu", "start": "now", "end": "-1d"}, 400, "end", None),
        ({"target": "cpu", "width": "5000"}, 400, "width", None),
        ({"target": "cpu", "width": "1"}, 400, "width", None),
        ({"target": "cpu", "height": "2001"}, 400, "height", None),
        ({"target": "cpu", "height": "x"}, 400, "height", None),
        ({"target": "cpu", "width": "2001", "zoom": "2"}, 400, "width", None),
        ({"target": "cpu", "height": "501", "zoom": "4"}, 400, "height", None),
        ({"target": "cpu", "zoom": "0.5"}, 400, "zoom", None),
        ({"target": "cpu", "zoom": "4.1"}, 400, "zoom", None),
        ({"target": "cpu", "zoom": "nan"}, 400, "zoom", None),
        ({"target": "cpu", "only": "yes"}, 400, "only", "1"),
        ({"target": "cpu", "graph_only": "2"}, 400, "graph_only", "0"),
        ({"target": "cpu", "only": "1", "width": "39"}, 400, "width", None),
    ],
)
async def test_a_wrong_parameter_is_named_with_what_is_allowed(
    tmp_path: Path, query: dict[str, str], status: int, parameter: str, allowed: str | None
) -> None:
    async with serving(tmp_path) as (client, _):
        found = await problem(client, "/graph_global", status, **query)
        assert found["parameter"] == parameter
        if allowed is not None:
            assert allowed in found["allowed"]
            assert allowed in found["detail"]


async def test_graph_draws_every_graph_of_a_collector_at_every_term(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        filled(parts)
        query = {"address": OWN, "plugin_identifier": "loadavg", "graph": "load"}
        pictures = []
        for term in ("hour", "1hour", "4hours", "8hours", "day", "3days", "week", "month", "year"):
            found = await image(client, "/graph", **query, term=term)
            assert found.width > 460
            pictures.append(found.tobytes())
        assert len(set(pictures)) >= 7
        custom = await image(client, "/graph", **query, term="custom", **{"from": "-2h", "to": "-1h"})
        assert custom.width > 460


async def test_graph_of_a_device_an_instance_and_what_is_pushed(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        parts.fill(Source(OWN, "network"), {"eth0.rx_bit": lambda i: 1e6, "eth0.tx_bit": lambda i: 2e6})
        parts.fill(Source("p", "redis", "6379:a"), {"keys": lambda i: i})
        await image(client, "/graph", address=OWN, plugin_identifier="network", graph="traffic.eth0")
        await image(client, "/graph", address="p", plugin_identifier="redis:6379:a", graph="keys")
        found = await problem(client, "/graph", 404, address=OWN, plugin_identifier="network", graph="traffic.eth9")
        assert "traffic.eth0" in found["allowed"]


@pytest.mark.parametrize(
    ("query", "status", "parameter", "allowed"),
    [
        ({"plugin_identifier": "cpu", "graph": "cpu"}, 400, "address", None),
        ({"address": "nope", "plugin_identifier": "cpu", "graph": "cpu"}, 404, "address", OWN),
        ({"address": OWN, "plugin_identifier": "nope", "graph": "cpu"}, 404, "plugin_identifier", "cpu"),
        ({"address": OWN, "plugin_identifier": "cpu", "graph": "nope"}, 404, "graph", "cpu"),
        ({"address": OWN, "plugin_identifier": "cpu", "graph": "cpu", "term": "epoch"}, 400, "term", "week"),
        (
            {"address": OWN, "plugin_identifier": "cpu", "graph": "cpu", "term": "custom", "from": "x"},
            400,
            "from",
            None,
        ),
        ({"address": OWN, "plugin_identifier": "cpu", "graph": "cpu", "width": "9999"}, 400, "width", None),
    ],
)
async def test_graph_names_what_is_wrong(
    tmp_path: Path, query: dict[str, str], status: int, parameter: str, allowed: str | None
) -> None:
    async with serving(tmp_path) as (client, _):
        found = await problem(client, "/graph", status, **query)
        assert found["parameter"] == parameter
        if allowed is not None:
            assert allowed in found["allowed"]


async def test_an_unchanged_picture_is_a_304(tmp_path: Path) -> None:
    now = time.time() // 3600 * 3600 + 1805
    async with serving(tmp_path, clock=lambda: now) as (client, parts):
        parts.fill(LOAD, {"01": lambda i: i}, 60, now)
        path = "/graph_global?target=loadavg&start=-1h"
        first = await client.get(path)
        assert first.headers["Cache-Control"].startswith("private, max-age=")
        etag = first.headers["ETag"]
        again = await client.get(path, headers={"If-None-Match": etag})
        assert again.status == 304
        assert await again.read() == b""
        assert again.headers["ETag"] == etag
        parts.fill(LOAD, {"05": lambda i: 3.0}, 60, now)
        changed = await client.get(path, headers={"If-None-Match": etag})
        assert changed.status == 200
        assert changed.headers["ETag"] != etag


def drawing(text: str) -> Drawing:
    return Drawing((text,), Graph(text, text), {}, 0, 3600, 60, 300, 100, text, True, "UTC")


async def test_a_client_that_hangs_up_harms_nothing_and_the_picture_is_kept() -> None:
    drawer = Drawer()
    asked = asyncio.create_task(drawer.draw(drawing("a")))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert (await drawer.draw(drawing("a"))).png == picture(drawing("a")).png
    assert (await drawer.draw(drawing("b"))).png.startswith(b"\x89PNG")
    await drawer.draw(drawing("a"))
    assert drawer.stats.kept >= 1
    drawer.close()


async def test_too_many_waiting_pictures_are_refused_and_the_same_one_is_drawn_once() -> None:
    drawer = Drawer(waiting=3)
    same = [asyncio.create_task(drawer.draw(drawing("same"))) for _ in range(20)]
    await asyncio.sleep(0)
    assert len({found.etag for found in await asyncio.gather(*same)}) == 1
    assert drawer.stats.drawn == 1
    many = [asyncio.create_task(drawer.draw(drawing(f"n{i}"))) for i in range(10)]
    found = await asyncio.gather(*many, return_exceptions=True)
    refused = [one for one in found if isinstance(one, ProblemError)]
    assert len(refused) == 7
    assert {(one.status, one.headers["Retry-After"]) for one in refused} == {(503, "2")}
    drawer.close()


async def test_what_is_kept_is_bounded_by_its_bytes() -> None:
    one = len(picture(drawing("n0")).png)
    drawer = Drawer(remembered=3 * one)
    for i in range(9):
        await drawer.draw(drawing(f"n{i}"))
    assert sum(len(found.png) for found in drawer._kept.values()) <= 3 * one
    assert len(drawer._kept) >= 2
    drawer.close()


def test_a_picture_is_another_one_when_its_peaks_or_tracks_or_size_are() -> None:
    one = drawing("a")
    track = Track(0, 60, np.ones(60))
    others = [
        replace(one, zoom=1.5),
        replace(one, only=True),
        replace(one, peaks={"a": np.ones(60)}),
        replace(one, series={"a": np.ones(60)}),
        replace(one, tracks={Read("a", "MAX"): track}),
        replace(one, tracks={Read("a", "MIN"): track}),
        replace(one, tracks={Read("a", "MIN"): replace(track, values=np.zeros(60))}),
    ]
    assert len({made.digest() for made in (one, *others)}) == 1 + len(others)
    assert replace(one, now=99).digest() == one.digest()
