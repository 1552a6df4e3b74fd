"""The pages: what they show, that they are sound HTML, and what a browser makes of them."""

from __future__ import annotations

import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import TestClient
from debian import need
from web_parts import CONFIG, OWN, Parts, serving

from monitor.batch import Source

Client = TestClient[Any, Any]
VOID = {"meta", "link", "img", "br", "input", "hr", "source"}


class Checker(HTMLParser):
    """Notes links, images and text; every element that is opened must be closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert len(found) == len(attrs), f"<{tag}> has an attribute twice"
        assert tag != "script" or str(found.get("src")).startswith("/static/")
        assert "style" not in found
        assert not any(name.startswith("on") for name in found)
        if tag == "a":
            self.links.append(found["href"] or "")
        if tag == "img":
            self.images.append(found)
        if "id" in found:
            self.ids.append(found["id"] or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


async def page(client: Client, path: str, status: int = 200, **query: Any) -> Checker:
    answer = await client.get(path, params=query, headers={"Accept": "text/html"})
    text = await answer.text()
    assert answer.status == status, text
    assert answer.content_type == "text/html"
    checker = Checker()
    checker.feed(text)
    assert not checker.open
    assert len(set(checker.ids)) == len(checker.ids)
    return checker


def failing(parts: Parts) -> None:
    job = parts.job("10.0.0.1", "nginx")
    job.up, job.reason, job.failures, job.runs, job.since = False, "expected <html>, got 404", 2, 2, time.time()
    job.last_run, job.next_run = time.time() - 30, time.time() + 30


async def test_the_first_page_shows_hosts_by_service_with_state_and_reason(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        failing(parts)
        parts.fill(Source("pusher", "app"), {"a": lambda i: 1.0}, 2)
        found = await page(client, "/")
        for word in ("www1", "shop", "front", "first, <rack>", "critical", "expected <html>, got 404", "pusher", OWN):
            assert word in found.text
        assert "/server?address=10.0.0.1" in found.links


async def test_the_first_page_can_leave_out_services_and_states(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        failing(parts)
        assert "/server?address=own" not in (await page(client, "/", service="shop")).links
        assert "www2" not in (await page(client, "/", state="critical")).text
        await page(client, "/", 404, service="nope")
        await page(client, "/", 404, state="nope")


async def test_a_hosts_page_shows_its_graphs_by_collector_with_errors_and_meta(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        failing(parts)
        parts.fill(Source("10.0.0.1", "nginx"), {"req_handled": lambda i: 1.0})
        parts.fill(Source("10.0.0.1", "app", "one"), {"reqs": lambda i: 1.0})
        parts.job("10.0.0.1", "nginx").meta[""] = {"version": "nginx/1.22 <b>"}
        found = await page(client, "/server", address="www1")
        for word in ("www1", "10.0.0.1", "expected <html>, got 404", "nginx/1.22 <b>", "app", "one", "2 of 2 runs"):
            assert word in found.text
        graphs = [image for image in found.images if str(image["src"]).startswith("/graph?")]
        assert len(graphs) == 4
        for image in graphs:
            assert image["loading"] == "lazy"
            assert "www1" in str(image["alt"])
            answer = await client.get(str(image["src"]))
            assert answer.status == 200
            body = await answer.read()
            width, height = (int.from_bytes(body[at : at + 4], "big") for at in (16, 20))
            assert (str(width), str(height)) == (image["width"], image["height"])
        for term in ("hour", "week", "year"):
            assert any(f"term={term}" in link for link in found.links)


@pytest.mark.parametrize("start", ["/", f"/server?address={OWN}", "/server?address=www1&term=week"])
async def test_every_link_of_a_page_works(tmp_path: Path, start: str) -> None:
    async with serving(tmp_path) as (client, parts):
        failing(parts)
        parts.fill(Source(OWN, "loadavg"), {"01": lambda i: 1.0}, 5)
        parts.fill(Source("a&b <c>", "x y", "i/j:k"), {"näme": lambda i: 1.0}, 5)
        found = await page(client, urlsplit(start).path, **dict(
            part.split("=") for part in urlsplit(start).query.split("&") if part
        ))  # fmt: skip
        links = [*found.links, *(str(image["src"]) for image in found.images)]
        assert len(links) > 5
        for link in dict.fromkeys(links):
            if not link.startswith("#"):
                answer = await client.get(link)
                assert answer.status == 200, link
        assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)


async def test_strange_names_are_shown_as_text_and_lead_where_they_should(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        parts.fill(Source("<script>alert(1)</script>&", "x'\"y", "i/j:k"), {"näme&": lambda i: 1.0}, 5)
        found = await page(client, "/")
        assert "<script>alert(1)</script>&" in found.text
        (link,) = [link for link in found.links if "script" in link]
        answer = await client.get(link)
        assert answer.status == 200
        text = await answer.text()
        assert "<script>" not in text
        checker = Checker()
        checker.feed(text)
        image, _ = [image for image in checker.images if str(image["src"]).startswith("/graph?")]
        assert (await client.get(str(image["src"]))).status == 200


async def test_a_page_is_there_and_says_so_when_the_store_is_away(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):

        async def away() -> str:
            return "the database does not answer: connection refused"

        parts.store.healthy = away  # type: ignore[method-assign]
        for path in ("/", f"/server?address={OWN}"):
            answer = await client.get(path)
            assert answer.status == 200
            assert "connection refused" in await answer.text()


async def test_graphs_of_what_is_not_collected_here_are_left_out(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        parts.fill(Source("10.0.0.1", "nginx"), {"req_handled": lambda i: 1.0})
        found = await page(client, "/server", address="www1")
        images = [str(image["src"]) for image in found.images if str(image["src"]).startswith("/graph?")]
        assert len(images) == 2
        assert all("graph=requests&" in image for image in images)
        other = {"address": "www1", "plugin_identifier": "nginx", "graph": "connections"}
        assert (await client.get("/graph", params=other)).status == 200


async def test_one_collector_can_be_looked_at_alone(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, parts):
        parts.fill(Source(OWN, "loadavg"), {"01": lambda i: 1.0}, 5)
        parts.fill(Source(OWN, "cpu"), {"total.user": lambda i: 1.0}, 5)
        found = await page(client, "/server", address=OWN, plugin_identifier="loadavg")
        assert all("cpu" not in str(image["src"]) for image in found.images)
        await page(client, "/server", 404, address=OWN, plugin_identifier="nope")


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [("/server", {}, 400), ("/server", {"address": "x"}, 404), ("/server", {"address": OWN, "term": "x"}, 400),
     ("/nowhere", {}, 404)],
)  # fmt: skip
async def test_a_browser_gets_problems_as_a_page(tmp_path: Path, path: str, query: dict[str, str], status: int) -> None:
    async with serving(tmp_path) as (client, _):
        await page(client, path, status, **query)
        plain = await client.get(path, params=query)
        assert plain.content_type == "application/problem+json"


async def test_pages_allow_nothing_but_their_own_style_and_pictures(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        answer = await client.get("/")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        style = next(part for part in (await answer.text()).split('"') if "style.css" in part)
        found = await client.get(style)
        assert found.content_type == "text/css"
        assert "immutable" in found.headers["Cache-Control"]
        assert (await client.get("/static/..%2fpyproject.toml")).status == 404


async def test_a_browser_shows_the_pages_without_a_complaint_and_without_sideways_scrolling(tmp_path: Path) -> None:
    chromium = need("chromium")
    playwright = pytest.importorskip("playwright.async_api")
    text = CONFIG + "".join(f"[[10.0.1.{i}]]\nhostname = {'long-name-' * 4}{i}\nrole = web\n" for i in range(3))
    async with serving(tmp_path, text) as (client, parts):
        failing(parts)
        parts.fill(Source(OWN, "loadavg"), {"01": lambda i: 1.0}, 60)
        async with playwright.async_playwright() as running:
            browser = await running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            complaints: list[str] = []
            for width in (390, 1280):
                shown = await browser.new_page(viewport={"width": width, "height": 800})
                shown.on("console", lambda message: complaints.append(message.text))
                shown.on("requestfailed", lambda request: complaints.append(request.url))
                for path in ("/", f"/server?address={OWN}", "/server?address=www1"):
                    await shown.goto(str(client.make_url("/")).rstrip("/") + path, wait_until="networkidle")
                    assert await shown.evaluate("document.documentElement.scrollWidth") <= width
                await shown.close()
            await browser.close()
            assert complaints == []
