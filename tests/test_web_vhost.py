"""/graph_vhost, /graph_global of media servers, pictures by name, their numbers, and the pages of virtual hosts."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from aiohttp.test_utils import TestClient
from debian import need
from media import CHANNEL, FIRST, LIVE, ODD, SECOND, TWO, VHOST, fill, of_channel, of_vhost, steady, with_media
from PIL import Image
from test_web_pages import Checker, page
from web_parts import CONFIG, OWN, Parts, serving
from yarl import URL

from monitor.web.calls import length

Client = TestClient[Any, Any]
NOW = 1_795_000_000 // 86400 * 86400 + 43200 + 30
STEPS = {"5m": 300, "30m": 1800, "1h": 3600, "6h": 21600, "1d": 86400}
TARGETS = [("traffic", p) for p in ("all", "rtmp", "http", "")] + [("hitratio", p) for p in ("all", "rtmp", "http", "")]
TARGETS += [("rtmp_detail", "all"), ("rtmp_detail", "rtmp"), ("rtmp_detail", ""), ("files", "all"), ("files", "")]
Both = tuple[Client, Parts]


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Both]:
    """One server: www.example.com with 10 requests a second, and www.example.com/bar with 30 and two channels."""
    async with serving(tmp_path, with_media(tmp_path), clock=lambda: NOW) as (client, parts):
        fill(parts, FIRST, "", "", steady(cpu_used=40.0, memory_used=1e9))
        fill(parts, FIRST, VHOST, "", of_vhost(10, hits=0.9))
        fill(parts, FIRST, LIVE, "", of_vhost(30, hits=0.1))
        fill(parts, FIRST, LIVE, CHANNEL, of_channel(20))
        fill(parts, FIRST, LIVE, "/second", of_channel(10))
        yield client, parts


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Both]:
    async with serving(tmp_path, with_media(tmp_path, TWO), clock=lambda: NOW) as (client, parts):
        for host, size in ((FIRST, 10), (SECOND, 30)):
            fill(parts, host, "", "", steady(cpu_used=size, memory_used=1e9))
            fill(parts, host, VHOST, "", of_vhost(size, hits=0.9 if size == 10 else 0.1))
        fill(parts, SECOND, LIVE, "", of_vhost(5))
        yield client, parts


async def image(client: Client, path: str, **query: Any) -> Image.Image:
    answer = await client.get(path, params=query)
    body = await answer.read()
    assert answer.status == 200, body
    assert answer.content_type == "image/png"
    return Image.open(io.BytesIO(body))


async def numbers(client: Client, path: str, **query: Any) -> Any:
    answer = await client.get(path, params={**query, "format": "json"})
    assert answer.status == 200, await answer.read()
    assert answer.content_type == "application/json"
    return await answer.json()


async def problem(client: Client, path: str, status: int, **query: Any) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status == status, await answer.read()
    return await answer.json(content_type="application/problem+json")


def known(found: Any, legend: str) -> list[float]:
    """Return the different values of a line, rounded."""
    line = next(one for one in found["lines"] if one["legend"] == legend)
    return sorted({round(value, 6) for value in line["values"] if value is not None})


def green(found: Image.Image) -> int:
    colours = found.convert("RGB").getcolors(1 << 24)
    return sum(count for count, (r, g, b) in colours if g > 150 and r < 140 and b < 140)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("target", "protocol"), TARGETS)
async def test_every_target_is_drawn_of_every_protocol_at_every_step(
    one: Both, target: str, protocol: str, step: str
) -> None:
    client, _ = one
    query = {"target": target, "step": step, "start": "end-2d", "vhost": VHOST}
    if protocol:
        query["protocol"] = protocol
    found = await image(client, "/graph_vhost", **query)
    assert found.width == 580
    assert found.height == 203 if target != "files" else found.height > 203
    assert green(found) > 500 or target == "files"
    answer = await numbers(client, "/graph_vhost", **query)
    # two days fill fewer than ten buckets of 6 hours: they are drawn finer
    assert answer["step"] == (STEPS[step] if STEPS[step] < 21600 else 300)
    assert all(any(value is not None for value in line["values"]) for line in answer["lines"])


async def test_without_a_name_all_virtual_hosts_are_added_up_and_ratios_are_made_anew(one: Both) -> None:
    client, _ = one
    found = await numbers(client, "/graph_vhost", target="traffic")
    # 10 + 30 requests a second, 1,000 bytes each; the channels are in their virtual host already
    assert known(found, "Outbound") == [8 * 40_000]
    assert known(found, "Inbound") == [8 * 400]
    ratio = await numbers(client, "/graph_vhost", target="hitratio", start="-6h", step="30m")
    # 9 + 3 hits of 40 requests; the mean of 90 % and 10 % would be 50 %
    assert known(ratio, "Request Hit Ratio") == [30.0]
    assert known(await numbers(client, "/graph_vhost", target="hitratio", vhost=VHOST), "Request Hit Ratio") == [90.0]


async def test_a_name_is_a_virtual_host_first_and_then_the_channel_of_the_longest(one: Both) -> None:
    client, _ = one

    async def size(vhost: str) -> float:
        (found,) = known(await numbers(client, "/graph_vhost", target="traffic", vhost=vhost), "Outbound")
        return found / 8000

    assert await size(LIVE) == 30
    assert await size(LIVE + CHANNEL) == 20
    assert await size(f"{LIVE}/second") == 10
    for wrong in (CHANNEL, f"{VHOST}{CHANNEL}", "www.example.co", f"{LIVE}/", "example.com"):
        found = await problem(client, "/graph_vhost", 404, target="traffic", vhost=wrong)
        assert found["parameter"] == "vhost"
        assert LIVE in found["allowed"]
        assert LIVE + CHANNEL in found["allowed"]


async def test_a_name_that_servers_read_differently_is_the_exact_virtual_host_then_the_longest(two: Both) -> None:
    client, parts = two

    async def size(vhost: str) -> float:
        (found,) = known(await numbers(client, "/graph_vhost", target="traffic", vhost=vhost, host="*"), "Outbound")
        return found / 8000

    fill(parts, FIRST, VHOST, "/bar/a", of_channel(3))
    fill(parts, SECOND, LIVE, "/a", of_channel(4))
    assert await size(f"{LIVE}/a") == 4
    fill(parts, FIRST, VHOST, "/bar/b", of_channel(3))
    fill(parts, SECOND, f"{LIVE}/b", "", of_vhost(5))
    assert await size(f"{LIVE}/b") == 5


async def test_channels_refuse_the_targets_that_only_virtual_hosts_have(one: Both) -> None:
    client, _ = one
    await image(client, "/graph_vhost", target="files", vhost=LIVE)
    found = await problem(client, "/graph_vhost", 400, target="files", vhost=LIVE + CHANNEL)
    assert found["parameter"] == "target"
    assert found["allowed"] == ["traffic", "hitratio", "rtmp_detail"]


@pytest.mark.parametrize(
    ("path", "query", "status", "parameter", "allowed"),
    [
        ("/graph_vhost", {}, 400, "target", None),
        ("/graph_vhost", {"target": "cpu"}, 404, "target", None),
        ("/graph_vhost", {"target": "traffic", "protocol": "hls"}, 400, "protocol", ["all", "rtmp", "http"]),
        ("/graph_vhost", {"target": "rtmp_detail", "protocol": "http"}, 400, "protocol", ["all", "rtmp"]),
        ("/graph_vhost", {"target": "files", "protocol": "http"}, 400, "protocol", ["all"]),
        ("/graph_vhost", {"target": "traffic", "vhost": "nope"}, 404, "vhost", None),
        ("/graph_vhost", {"target": "traffic", "host": "nope"}, 404, "host", None),
        ("/graph_vhost", {"target": "traffic", "step": "2h"}, 400, "step", list(STEPS)),
        ("/graph_vhost", {"target": "traffic", "start": "now", "end": "-1d"}, 400, "end", None),
        ("/graph_vhost", {"target": "traffic", "format": "xml"}, 400, "format", ["png", "json"]),
        ("/graph_vhost", {"target": "traffic", "vhots": "a"}, 400, "vhots", None),
        ("/graph_global", {"target": "traffic"}, 404, "target", None),
        ("/graph/cpu_hour.png", {}, 404, "name", ["dash", "day", "month", "week", "year"]),
        ("/graph/nope_day.png", {}, 404, "target", None),
        ("/graph/vhost/cpu_day.png", {}, 404, "target", None),
        ("/graph/vhost/traffic_day.png", {"vhost": "nope"}, 404, "vhost", None),
        ("/graph/vhost/traffic_day.png", {"protocol": "x"}, 400, "protocol", ["all", "rtmp", "http"]),
        ("/api/v1/nope/targets", {}, 404, "collector", None),
    ],
)
async def test_what_is_wrong_is_named_with_what_is_right(
    one: Both, path: str, query: dict[str, str], status: int, parameter: str, allowed: list[str] | None
) -> None:
    found = await problem(one[0], path, status, **query)
    assert found["parameter"] == parameter
    if allowed is not None:
        assert found["allowed"] == allowed


async def test_the_only_server_need_not_be_named(one: Both) -> None:
    client, _ = one
    assert known(await numbers(client, "/graph_global", target="cpu"), "User + System") == [40.0]
    for host in (FIRST, "media1", "*"):
        assert known(await numbers(client, "/graph_global", target="cpu", host=host), "User + System") == [40.0]


async def test_of_several_servers_one_has_to_be_named_or_all(two: Both) -> None:
    client, _ = two
    for path, target in (("/graph_global", "cpu"), ("/graph_vhost", "traffic"), ("/graph/cpu_day.png", "")):
        found = await problem(client, path, 400, **({"target": target} if target else {}))
        assert found["parameter"] == "host"
        assert found["allowed"] == ["*", FIRST, SECOND]
        assert "media2" in found["detail"]
    assert known(await numbers(client, "/graph_global", target="cpu", host="media2"), "User + System") == [30.0]
    # a percentage is averaged, bytes are added up
    assert known(await numbers(client, "/graph_global", target="cpu", host="*"), "User + System") == [20.0]
    assert known(await numbers(client, "/graph_global", target="memory", host="*"), "Used") == [2e9]
    of_one = await numbers(client, "/graph_vhost", target="hitratio", vhost=VHOST, host="media1")
    assert known(of_one, "Request Hit Ratio") == [90.0]
    of_both = await numbers(client, "/graph_vhost", target="hitratio", vhost=VHOST, host="*")
    assert known(of_both, "Request Hit Ratio") == [30.0]
    everything = await numbers(client, "/graph_vhost", target="traffic", host="*")
    assert known(everything, "Outbound") == [8 * 45_000]


async def test_what_one_server_does_not_know_adds_nothing_and_what_none_knows_is_unknown(tmp_path: Path) -> None:
    async with serving(tmp_path, with_media(tmp_path, TWO), clock=lambda: NOW) as (client, parts):
        end = int(NOW) // 300 * 300
        fill(parts, FIRST, "", "", {"memory.used": lambda i: 1.0 if i < 30 else float("nan")}, 40)
        fill(parts, SECOND, "", "", {"memory.used": lambda i: 2.0 if i >= 10 and i < 35 else float("nan")}, 40)
        found = await numbers(client, "/graph_global", target="memory", host="*", start=end - 40 * 300, end=end)
        values = found["lines"][0]["values"]
        assert (found["start"], found["step"]) == (end - 40 * 300, 300)
        assert values == [1.0] * 10 + [3.0] * 20 + [2.0] * 5 + [None] * 5


async def test_a_sum_waits_for_the_servers_that_still_report(tmp_path: Path) -> None:
    async with serving(tmp_path, with_media(tmp_path, TWO), clock=lambda: NOW) as (client, parts):
        end = int(NOW) // 300 * 300
        fill(parts, FIRST, "", "", steady(memory_used=1.0), 40)
        fill(parts, SECOND, "", "", steady(memory_used=2.0), 40, NOW - 300)
        found = await numbers(client, "/graph_global", target="memory", host="*", start=end - 3000, end=end)
        assert found["lines"][0]["values"] == [3.0] * 9 + [None]


async def test_the_own_host_is_meant_where_there_is_no_server(tmp_path: Path) -> None:
    async with serving(tmp_path, with_media(tmp_path, CONFIG), clock=lambda: NOW) as (client, _):
        found = await numbers(client, "/graph_global", target="loadavg")
        assert OWN in found["title"]
        await image(client, "/graph_global", target="cpu")
        assert (await problem(client, "/graph_vhost", 404, target="traffic"))["parameter"] == "host"


@pytest.mark.parametrize(
    ("kind", "size", "step", "seconds"),
    [
        ("dash", (205, 175), 300, 43200),
        ("day", (580, 203), 300, 2 * 86400),
        ("week", (580, 203), 1800, 14 * 86400),
        ("month", (580, 203), 7200, 49 * 86400),
        ("year", (580, 203), 86400, 548 * 86400),
    ],
)
async def test_pictures_by_name_have_their_size_step_and_span(
    one: Both, kind: str, size: tuple[int, int], step: int, seconds: int
) -> None:
    client, parts = one
    fill(parts, FIRST, VHOST, "", of_vhost(10, hits=0.9), 288 * 30)
    for path in ("/graph/cpu", "/graph/mem", "/graph/vhost/traffic", "/graph/vhost/http_traffic"):
        found = await image(client, f"{path}_{kind}.png")
        assert found.size == size
    found = await numbers(client, f"/graph/vhost/traffic_{kind}.png", vhost=VHOST)
    assert found["step"] == step
    assert abs(found["end"] - found["start"] - seconds) <= 2 * step
    assert found["start"] % step == found["end"] % step == 0


async def test_steps_longer_than_the_finest_show_peaks(one: Both) -> None:
    client, parts = one
    fill(parts, FIRST, "peak.example.com", "", {"all.out": lambda i: 900.0 if i % 12 == 7 else 100.0}, 600)
    fine = await numbers(client, "/graph_vhost", target="traffic", vhost="peak.example.com", step="5m")
    assert "peaks" not in fine["lines"][0]
    found = await numbers(client, "/graph_vhost", target="traffic", vhost="peak.example.com", step="1h")
    line = found["lines"][0]
    assert np.allclose([value for value in line["values"] if value is not None], 8 * (900 + 11 * 100) / 12)
    assert {value for value in line["peaks"] if value is not None} == {7200.0}


async def test_what_is_drawn_finer_because_there_is_little_has_no_peaks(one: Both) -> None:
    found = await numbers(one[0], "/graph_vhost", target="traffic", vhost=VHOST, step="1d", start="-3d")
    assert found["step"] == 300
    assert "peaks" not in found["lines"][0]


async def test_a_sum_peaks_when_it_is_largest_not_where_its_parts_are(one: Both) -> None:
    client, parts = one
    for number in (0, 1):
        values = {"all.out": lambda i, number=number: 900.0 if i % 12 == number else 100.0}
        fill(parts, FIRST, f"p{number}.example.com", "", values, 600)
    parts.store._rows = {source: rows for source, rows in parts.store._rows.items() if source.instance[:1] in ("", "p")}
    found = await numbers(client, "/graph_vhost", target="traffic", step="1h")
    line = found["lines"][0]
    assert {value for value in line["peaks"] if value is not None} == {8000.0}


async def test_the_targets_are_listed_with_protocols_and_lines(one: Both) -> None:
    answer = await one[0].get("/api/v1/media/targets")
    found = {each["target"]: each for each in (await answer.json())["targets"]}
    assert list(found) == ["cpu", "memory", "traffic", "hitratio", "rtmp_detail", "files"]
    assert found["traffic"]["protocols"] == ["all", "rtmp", "http"]
    assert found["rtmp_detail"]["protocols"] == ["all", "rtmp"]
    assert found["files"]["protocols"] == ["all"]
    assert found["cpu"]["protocols"] == []
    assert found["traffic"]["lines"] == [
        {"legend": "Outbound", "unit": "bps", "colour": "#00cc00"},
        {"legend": "Inbound", "unit": "bps", "colour": "#0000ff"},
    ]


async def test_names_of_any_letters_work_and_stand_in_the_title(one: Both) -> None:
    client, parts = one
    for vhost, channel in ((ODD, ""), (ODD, "/방송/1%2F"), ("/foo", "")):
        fill(parts, FIRST, vhost, channel, of_vhost(7))
        found = await numbers(client, "/graph_vhost", target="traffic", vhost=vhost + channel)
        assert known(found, "Outbound") == [56_000]
        assert vhost + channel in found["title"]
        await image(client, "/graph_vhost", target="traffic", vhost=vhost + channel)
        await image(client, "/graph/vhost/traffic_dash.png", vhost=vhost + channel)


async def test_the_title_says_target_name_protocol_and_span(one: Both) -> None:
    client, _ = one
    found = await numbers(client, "/graph_vhost", target="traffic", vhost=LIVE, protocol="http", start="-6h")
    assert found["title"] == f"traffic  {LIVE} http  6 hours"
    assert (await numbers(client, "/graph_global", target="cpu"))["title"] == "cpu  media1  1 day"
    assert (await numbers(client, "/graph/cpu_year.png"))["title"] == "cpu  media1  18 months"


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        ("2026-11-18 12:00", "2026-11-18 18:00", "6 hours"),
        ("2025-05-18 12:34:30", "2026-11-18 12:34:30", "18 months"),
        ("2024-11-18 12:34:30", "2026-11-18 12:34:30", "2 years"),
        ("2026-10-18 12:34:30", "2026-11-18 12:34:30", "1 month"),
        ("2026-11-04 12:34:30", "2026-11-18 12:34:30", "2 weeks"),
        ("2026-10-20 12:00", "2026-10-27 12:00", "1 week"),
        ("2026-11-17 12:00", "2026-11-18 14:33:20", "1 day 3 hours"),
        ("2026-11-18 12:00", "2026-11-18 13:20:10", "1 hour 20 minutes"),
        ("2026-11-18 12:00", "2026-11-18 12:01:01", "1 minute 1 second"),
        ("2026-08-31 12:00", "2026-11-17 12:00", "78 days"),
    ],
)
def test_a_span_is_told_by_the_calendar_of_its_zone(start: str, end: str, text: str) -> None:
    zone = ZoneInfo("Europe/Berlin")  # where an hour is added on 2026-10-25
    since, until = (int(datetime.fromisoformat(at).replace(tzinfo=zone).timestamp()) for at in (start, end))
    assert length(since, until, "Europe/Berlin") == text


async def test_more_points_than_are_read_at_once_are_drawn_coarser(one: Both) -> None:
    client, _ = one
    found = await numbers(client, "/graph_vhost", target="traffic", step="5m", start="-90d")
    assert found["step"] == 900
    assert known(found, "Outbound") == [8 * 40_000]
    assert all("peaks" not in line for line in found["lines"])
    await image(client, "/graph_vhost", target="traffic", step="5m", start="end-20years")


def large(found: Checker) -> list[str]:
    """Return where the graphs of a page come from, without the small ones."""
    sources = [image["src"] or "" for image in found.images]
    return [source for source in sources if source.startswith("/graph") and "only=1" not in source]


def shown(found: Checker) -> list[str]:
    """Return the targets of the graphs of a page."""
    return [source.partition("target=")[2].partition("&")[0] for source in large(found)]


async def works(client: Client, found: Checker, least: int) -> None:
    """Every picture and link of a page answers 200."""
    assert len(found.images) >= least
    for image in found.images:
        for address in {image["src"], (image.get("srcset") or "").split(" ")[0]} - {None, ""}:
            answer = await client.get(URL(str(address), encoded=True))
            assert answer.status == 200, (address, await answer.read())
    for link in found.links:
        if not link.startswith("#"):
            assert (await client.get(URL(link, encoded=True))).status == 200, link


async def test_the_page_of_a_server_lists_its_virtual_hosts_with_small_graphs(one: Both) -> None:
    client, parts = one
    fill(parts, FIRST, ODD, "", of_vhost(1))
    fill(parts, FIRST, "left.example.com", "", of_vhost(1), 100, NOW - 86400)
    found = await page(client, "/server", address=FIRST)
    for word in (VHOST, LIVE, ODD, "left.example.com", "gone since 2026-11-1"):
        assert word in found.text
    assert CHANNEL not in found.text
    small = [image for image in found.images if "only=1" in (image["src"] or "")]
    assert len(small) == 4 * 2
    assert found.text.index(VHOST) < found.text.index("left.example.com")
    await works(client, found, 8)


async def test_the_page_of_a_virtual_host_shows_graphs_by_protocol_and_its_channels(one: Both) -> None:
    client, _ = one
    found = await page(client, "/vhost", host=FIRST, vhost=LIVE)
    assert shown(found) == ["traffic", "hitratio", "rtmp_detail", "files"]
    assert CHANNEL in found.text
    await works(client, found, 4)
    rtmp = await page(client, "/vhost", host="media1", vhost=LIVE, protocol="rtmp", term="week")
    assert shown(rtmp) == ["traffic", "hitratio", "rtmp_detail"]
    assert all("step=30m" in each and "start=-14d" in each and "protocol=rtmp" in each for each in large(rtmp))
    channel = await page(client, "/vhost", vhost=LIVE + CHANNEL)
    assert shown(channel) == ["traffic", "hitratio", "rtmp_detail"]
    assert LIVE in channel.text
    assert (await page(client, "/vhost", 404, host=FIRST, vhost="nope")).text
    assert (await page(client, "/vhost", 400, vhost=LIVE, term="hour")).text
    assert (await page(client, "/vhost", 404, vhost=LIVE, protocol="ftp")).text


async def test_every_graph_shows_the_call_that_draws_it(one: Both) -> None:
    client, parts = one
    fill(parts, FIRST, ODD, "/방송/1%2F", of_channel(7))
    fill(parts, FIRST, ODD, "", of_vhost(7))
    for query in ({"vhost": ODD}, {"vhost": ODD + "/방송/1%2F", "term": "year"}):
        found = await page(client, "/vhost", **query)
        assert query["vhost"] in found.text
        assert large(found)
        for each in large(found):
            assert str(client.make_url("")).rstrip("/") + each in found.text
        await works(client, found, 3)


async def test_pages_of_virtual_hosts_in_a_browser(one: Both, tmp_path: Path) -> None:
    client, parts = one
    browser = need("chromium")
    fill(parts, FIRST, ODD, "", of_vhost(7))
    fill(parts, FIRST, "left.example.com", "", of_vhost(1), 100, NOW - 86400)
    for number, path in enumerate((f"/server?address={FIRST}", "/vhost?" + urlencode({"vhost": LIVE}))):
        shot = tmp_path / f"{number}.png"
        arguments = ("--headless", "--no-sandbox", "--hide-scrollbars", f"--screenshot={shot}", "--disable-gpu")
        address = str(client.make_url("")).rstrip("/") + path
        process = await asyncio.create_subprocess_exec(
            browser, *arguments, f"--user-data-dir={tmp_path}/b", "--window-size=1280,1500", address,
            stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(60):
            await process.wait()
        assert green(Image.open(shot)) > 5_000
