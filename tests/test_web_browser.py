"""What a browser makes of Kurado's pages: no complaint, nothing sideways, search, choice and states by script."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from debian import need
from test_web_kurado import INVENTORY, fill
from web_parts import Parts, serving

from monitor.liveness import Report

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PAGES = [
    "/", "/?service=shop", "/server?address=10.0.0.1", "/server?address=10.0.0.1&term=month",
    "/server?address=10.0.0.1&term=custom&from=end-2h", "/server?address=10.0.0.3",
    "/servers?address=10.0.0.1&address=10.0.0.2&address=10.0.0.3", "/server?address=nobody",
]  # fmt: skip


def host(number: int) -> str:
    """Return the settings of one of many hosts, with much text."""
    return (
        f"[[10.2.0.{number}]]\nhostname = app{number:02}.{'long-' * 6}example.com\nservice = apps\n"
        f"label = l{number // 10}\nrole = agent\ncomment = {'words ' * 8}\n"
    )


class Shown:
    """A browser's page, and what it complained of."""

    def __init__(self, page: Any, url: str, parts: Parts) -> None:
        self.page, self.url, self.parts = page, url, parts
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(request.url))

    async def go(self, path: str) -> None:
        await self.page.goto(self.url + path, wait_until="networkidle")

    async def overflow(self) -> int:
        return int(await self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@contextlib.asynccontextmanager
async def browsing(directory: Path, *, hosts: int = 30, **options: Any) -> AsyncIterator[Shown]:
    chromium = need("chromium")
    playwright = pytest.importorskip("playwright.async_api")
    async with (
        serving(directory, INVENTORY + "".join(map(host, range(hosts)))) as (client, parts),
        playwright.async_playwright() as running,
    ):
        fill(parts, "10.0.0.1", "10.0.0.2")
        parts.liveness.report([Report("10.0.0.2", "http:80", time.time(), {}, {"command": "failed " * 40})])
        browser = await running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = await browser.new_context(**{"viewport": DESK, **options})
        yield Shown(await context.new_page(), str(client.make_url("/")).rstrip("/"), parts)
        await browser.close()


@pytest.mark.parametrize(
    ("size", "more", "paths"),
    [(PHONE, {}, PAGES), (DESK, {}, PAGES), (PHONE, {"locale": "ja-JP"}, PAGES[::2]),
     (DESK, {"color_scheme": "dark"}, PAGES[2:4]), (PHONE, {"java_script_enabled": False}, PAGES[::2])],
    ids=["phone", "desk", "japanese", "dark", "scriptless"],
)  # fmt: skip
async def test_pages_are_shown_without_complaint_and_fit(
    tmp_path: Path, size: dict[str, int], more: dict[str, Any], paths: list[str]
) -> None:
    async with browsing(tmp_path, viewport=size, **more) as shown:
        for path in paths:
            await shown.go(path)
            assert await shown.overflow() <= 0, path
        missing = [text for text in shown.complaints if "404" in text]
        assert len(missing) <= 1
        assert [text for text in shown.complaints if text not in missing] == []


async def test_the_language_is_said_and_spoken(tmp_path: Path) -> None:
    async with browsing(tmp_path, locale="ja-JP") as shown:
        await shown.go("/")
        assert await shown.page.evaluate("document.documentElement.lang") == "ja"
        assert await shown.page.get_by_role("searchbox").get_attribute("placeholder") == "ホストを検索"
        await shown.go("/server?address=10.0.0.1")
        assert "3日" in await shown.page.locator(".terms").inner_text()


async def test_pictures_stay_light_when_the_page_is_dark(tmp_path: Path) -> None:
    async with browsing(tmp_path, color_scheme="dark") as shown:
        await shown.go("/server?address=10.0.0.1")
        colour = "one => getComputedStyle(one).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
        assert max(await shown.page.locator("body").evaluate(colour)) < 60
        image = shown.page.locator("img[src^='/graph']").first
        assert await image.evaluate("one => getComputedStyle(one).filter") == "none"
        assert min(await shown.page.locator(".row a").first.evaluate(colour)) > 230


async def test_search_narrows_the_list_from_the_keyboard(tmp_path: Path) -> None:
    async with browsing(tmp_path) as shown:
        page = shown.page
        await shown.go("/")
        rows = page.locator("tr:has(input):visible")
        await page.keyboard.press("/")
        await page.keyboard.type("APP1 l1")
        await page.wait_for_function("document.querySelectorAll('tr:has(input):not([hidden])').length === 10")
        assert await rows.count() == 10
        assert await page.locator("#found").inner_text() == "10 of 34 hosts"
        assert not await page.get_by_role("heading", name="shop").is_visible()
        await page.keyboard.type(" nowhere")
        await page.locator("#nothing").wait_for(state="visible")
        await page.keyboard.press("Escape")
        await page.locator("#nothing").wait_for(state="hidden")
        assert await rows.count() == 34
        await page.keyboard.press("/")
        await page.keyboard.type("db1")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/server?address=10.0.0.3")
        assert shown.complaints == []


async def test_chosen_hosts_are_compared(tmp_path: Path) -> None:
    async with browsing(tmp_path) as shown:
        page = shown.page
        await shown.go("/?service=apps")
        compare, none = page.get_by_role("button", name="Compare"), page.get_by_role("button", name="Uncheck all")
        boxes = page.get_by_role("checkbox")
        assert await compare.is_disabled()
        await boxes.nth(2).click()
        assert await compare.is_disabled()
        await boxes.nth(6).click(modifiers=["Shift"])
        assert await page.locator(":checked").count() == 5
        assert await page.locator("#count").inner_text() == "5"
        await boxes.nth(5).click()
        await boxes.nth(3).click(modifiers=["Shift"])
        assert await page.locator(":checked").count() == 2
        await none.click()
        assert await page.locator(":checked").count() == 0
        await page.wait_for_function("document.querySelector('#compare').disabled")
        await boxes.nth(0).click()
        await boxes.nth(1).click()
        await compare.click()
        await page.wait_for_url("**/servers?address=10.2.0.0&address=10.2.0.1")
        assert await page.locator("thead th").count() == 2
        await page.go_back()
        await page.wait_for_function("!document.querySelector('#compare').disabled")
        assert shown.complaints == []


async def test_states_are_refreshed_50_hosts_at_a_time(tmp_path: Path) -> None:
    async with browsing(tmp_path, hosts=60) as shown:
        page = shown.page
        asked: list[int] = []
        page.on("request", lambda request: "host-status" in request.url and asked.append(request.post_data.count("=")))
        await page.clock.install()
        await shown.go("/")
        icon = page.locator("tr:has([value='10.0.0.1']) .icon")
        assert await icon.get_attribute("class") == "icon ok"
        shown.parts.liveness.report([Report("10.0.0.1", "base", time.time(), {}, {"disk": "failed"})])
        await page.clock.run_for(31_000)
        await page.locator("tr:has([value='10.0.0.1']) .icon.warning").wait_for()
        assert await icon.inner_text() == "warning"
        await page.clock.run_for(1_000)
        assert asked == [50, 14]
        assert shown.complaints == []


async def test_a_hosts_page_copies_its_address_and_becomes_small(tmp_path: Path) -> None:
    async with browsing(tmp_path, permissions=["clipboard-read", "clipboard-write"]) as shown:
        page = shown.page
        await shown.go("/server?address=10.0.0.1")
        await page.get_by_role("button", name="Copy URL and hostname").click()
        await page.get_by_role("button", name="copied").wait_for()
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert copied == f"{shown.url}/server?address=10.0.0.1 www1"
        terms = page.locator(".terms")
        await page.get_by_role("button", name="Minimise the header").click()
        assert not await terms.is_visible()
        await shown.go("/server?address=10.0.0.2")
        assert not await terms.is_visible()
        await page.get_by_role("button", name="Minimise the header").click()
        assert await terms.is_visible()
        assert shown.complaints == []


async def test_a_custom_range_is_asked_for_in_the_form(tmp_path: Path) -> None:
    async with browsing(tmp_path) as shown:
        page = shown.page
        await shown.go("/server?address=10.0.0.1&plugin_identifier=base")
        await page.get_by_role("textbox", name="From").fill("now-3h")
        await page.get_by_role("textbox", name="to", exact=True).fill("now")
        await page.get_by_role("button", name="Show", exact=True).click()
        await page.wait_for_url("**term=custom**")
        assert await page.locator("img[src*='term=custom'][src*='from=now-3h']").count() > 0
        assert await page.locator("img[src*='http']").count() == 0
        picker = page.locator("input[type=datetime-local]").first
        await picker.evaluate("one => { one.value = '2026-11-20T10:15'; one.dispatchEvent(new Event('input')); }")
        assert await page.get_by_role("textbox", name="From").input_value() == "2026-11-20 10:15"
        assert shown.complaints == []


async def test_pages_can_be_read_aloud_and_used_by_keyboard(tmp_path: Path) -> None:
    async with browsing(tmp_path) as shown:
        page = shown.page
        for path in PAGES[:-1]:
            await shown.go(path)
            for role in ("banner", "main", "contentinfo"):
                assert await page.get_by_role(role).count() == 1, (path, role)
            assert await page.locator("h1").count() == 1, path
            unnamed = "[...document.querySelectorAll('img:not([alt]), input:not([type=hidden], [aria-hidden])')]"
            lacking = f"{unnamed}.filter(one => !one.labels?.length && !one.ariaLabel).length"
            assert await page.evaluate(lacking) == 0, path
            await page.keyboard.press("Tab")
            focused = "getComputedStyle(document.activeElement).outlineStyle"
            assert await page.evaluate("document.activeElement.className") == "skip"
            assert await page.evaluate(focused) != "none"


async def test_clearing_a_search_of_the_server_brings_all_hosts_back(tmp_path: Path) -> None:
    async with browsing(tmp_path) as shown:
        page = shown.page
        await shown.go("/?service=shop&q=www1")
        assert await page.get_by_role("checkbox").count() == 1
        await page.keyboard.press("/")
        await page.keyboard.press("Escape")
        await page.wait_for_url("**/?service=shop&q=")
        assert await page.get_by_role("checkbox").count() == 2
        assert shown.complaints == []
