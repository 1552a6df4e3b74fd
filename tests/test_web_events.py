# ruff: noqa: F811 - fixtures are asked for by the names that they are imported under
"""The page of events: what it finds, how it pages and exports, its graphs, and what a browser makes of it."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import event_stories as stories
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient
from debian import need
from event_stories import MEDIA, SESSION, STREAM
from hypothesis import given
from hypothesis import strategies as st
from memory_store import MemoryStore
from servers_postgres import PostgresServer, postgres  # noqa: F401
from test_web_pages import Checker
from web_parts import Parts, serving

from handlers.postgresql import PostgreSQLHandler
from monitor.batch import Source
from monitor.query import Query
from monitor.store.events.search import Condition, Wanted
from monitor.store.events.summary import held
from monitor.store.events.timeline import Place, timeline
from monitor.web import eventgraphs
from monitor.web.payload import Pair, parsed, payload
from monitor.wire.clickhouse.tables import TABLES

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOW = int(time.time())
BEGIN = (NOW - 3000) * 1000
MINUTES = 30
CONFIG = """
[receivers]
[[rels]]
listen = 127.0.0.1:8123
[hosts]
[[10.0.0.7]]
hostname = wcs1
[[10.0.0.9]]
hostname = quiet
"""
OTHER = "older-media-session"


class Page(NamedTuple):
    client: TestClient[Any, Any]
    store: PostgreSQLHandler
    parts: Parts

    async def look(self, status: int = 200, path: str = "/events", **query: Any) -> Checker:
        url = f"{path}?{urlencode(query)}" if query else path
        answer = await self.client.get(url, headers={"Accept": "text/html"})
        text = await answer.text()
        assert answer.status == status, text
        checker = Checker()
        checker.feed(text)
        assert not checker.open
        assert len(set(checker.ids)) == len(checker.ids)
        return checker

    async def figures(self, name: str, status: int = 200, **query: Any) -> Any:
        answer = await self.client.get(f"/graph/events/{name}.png?{urlencode({**query, 'format': 'json'})}")
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    async with (
        stories.storing(postgres, tmp_path_factory.mktemp("events")) as store,
        serving(tmp_path_factory.mktemp("web"), CONFIG) as (client, parts),
    ):
        await stories.fill(
            store,
            {"StreamEvent": stories.crowd(BEGIN - 20_000_000, BEGIN, 60)},
            stories.stream(BEGIN, MINUTES),
            stories.stream(BEGIN - 7_200_000, 5, session="/198.51.100.9:4711/other", media=OTHER),
        )
        parts.store = store  # type: ignore[assignment]
        yield Page(client, store, parts)


def times(found: Checker) -> list[str]:
    return re.findall(r"\d\d:\d\d:\d\d\.\d{3}", found.text)


def told(found: Checker) -> str:
    """Return the text below the form, which names all types of events."""
    return found.text.partition("Timeline")[2]


async def test_a_stream_is_told_across_tables_in_order_of_time_with_names_and_payloads(page: Page) -> None:
    found = await page.look(stream=STREAM)
    for word in (
        "DISCONNECTED", "TERMINATED", "NO_KYE_FRAME", "dropBallastVideo", "HlsSegmenterEvents", "HlsClientEvents",
        "no key frame in segment", "WARNING", "from 203.0.113.91", "1280 × 720", "httpStatus", "ERROR",
    ):  # fmt: skip
        assert word in told(found), word
    assert "room3" not in found.text
    assert re.search(r"\d+ measurements", found.text)
    found = await page.look(stream=STREAM, table="StreamEvent")
    assert "codec" in found.text and "H264" in found.text
    assert times(found) == sorted(times(found), reverse=True) or NOW % 86400 < 12_000
    assert told(found).index("TERMINATED") < told(found).index("DTLS_COMPLETE") < told(found).index("CREATED")


async def test_a_session_is_told_with_the_measurements_of_its_media_sessions(page: Page) -> None:
    found = await page.look(session=SESSION)
    for word in ("CONNECTED", "DISCONNECTED", "VIDEO_RECEIVED", "measurements", MEDIA, "dropBallastVideo"):
        assert word in told(found), word
    assert OTHER not in found.text
    found = await page.look(media_session=OTHER)
    assert "CONNECTED" in told(found) and SESSION not in found.text
    found = await page.look(session=SESSION, table="CDNEvent")
    assert "No event is found." in found.text


async def test_every_event_is_on_one_page_only_however_short_the_pages_are(page: Page) -> None:
    for query in ({"stream": STREAM}, {"stream": STREAM, "table": "MediaSessionEvents"}, {"session": SESSION}):
        whole = await page.look(limit=500, **query)
        short: list[str] = []
        url = "/events?" + urlencode({**query, "limit": 11, "end": NOW, "start": NOW - 86400})
        for _ in range(200):
            found = await page.look(path=url)
            short += times(found)
            older = [link for link in found.links if "after=" in link]
            if not older:
                break
            url = older[0]
        measured = MINUTES * 6 + (30 if "stream" in query else 0)
        assert len(short) >= measured
        # A measurement that has others behind it is written twice: in its row and in the list.
        assert set(short) == set(times(whole))


@pytest.mark.parametrize(
    "names", [("MediaSessionEvents", "StreamEvent", "MixerEvent"), ("MixerEvent", "MediaSessionEvents")]
)
async def test_pages_of_any_length_hold_every_event_once_in_order(page: Page, names: tuple[str, ...]) -> None:
    name = Condition(("streamName",), [STREAM])
    wanted = [Wanted(TABLES[table], (NOW - 86400) * 1000, NOW * 1000, [name]) for table in names]
    whole = await timeline(page.store.search, wanted, 100_000)
    events = [entry.place for entry in whole.entries]
    others = sum(entry.table.name != "MediaSessionEvents" for entry in whole.entries)
    assert whole.next is None and len(events) == others + MINUTES * 6 + 30
    assert [place.order() for place in events] == sorted((place.order() for place in events), reverse=True)
    for limit in (max(1, others // 9), others - 1, others, others + 1):
        found, before = [], None
        while True:
            part = await timeline(page.store.search, wanted, limit, before)
            found += [entry.place for entry in part.entries]
            if part.next is None:
                break
            before = Place.parse(str(part.next))
        assert found == events, limit


async def test_filters_narrow_and_stay_in_the_form(page: Page) -> None:
    found = await page.look(stream=STREAM, type="RECEIVED_PLI", ip="10.0.0.7", start="-1h")
    assert set(re.findall(r"[A-Z]+_PLI|TERMINATED|from 203", told(found))) == {"RECEIVED_PLI", "from 203"}
    answer = await page.client.get("/events", params={"stream": STREAM, "type": "RECEIVED_PLI", "ip": "10.0.0.7"})
    text = await answer.text()
    assert f'name="stream" value="{STREAM}"' in text and "<option selected>RECEIVED_PLI" in text
    found = await page.look(ip="10.0.0.250")
    assert "No event is found." in found.text
    found = await page.look(type="39")
    assert "No event is found." in found.text
    found = await page.look(start=NOW + 0, end=NOW + 60)
    assert "No event is found." in found.text


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"ip": "10.0.0"}, 400, "ip: expected an IPv4 address"),
        ({"start": "yesterdayish"}, 400, "start: "),
        ({"start": "-1h", "end": "-2h"}, 400, "end: expected a time after start"),
        ({"type": "NOTHING"}, 400, "type: expected a number or the name of a type that any table has"),
        ({"type": "CONNECTED", "table": "StreamEvent"}, 400, "a type that the table has, got 'CONNECTED'"),
        ({"table": "StreamEvents"}, 404, "no table of events 'StreamEvents'"),
        ({"after": "x"}, 400, "after: expected the next of the page before"),
        ({"after": "9-1-1-1"}, 400, "after: "),
        ({"limit": "501"}, 400, "limit: expected a whole number from 1 to 500"),
        ({"stream": "a\0b"}, 400, "stream: "),
        ({"session": "x" * 1001}, 400, "session: expected at most 1000 characters"),
    ],
)
async def test_what_cannot_be_searched_for_is_said_above_the_form_that_keeps_it(
    page: Page, query: dict[str, str], status: int, said: str
) -> None:
    found = await page.look(status, **query)
    assert said in found.text
    assert "Search" in found.text and not times(found)


async def test_a_parameter_given_twice_is_refused(page: Page) -> None:
    found = await page.look(400, path="/events?stream=a&stream=b")
    assert "stream: expected once, got 2 times" in found.text


async def test_texts_of_a_search_are_never_sql_nor_html(page: Page) -> None:
    for text in ("x' OR '1'='1", "'; DROP TABLE wcs.streamevent; --", "%", "{", "$1", "<script>alert(1)</script>"):
        for name in ("stream", "session", "media_session"):
            found = await page.look(**{name: text})
            assert "No event is found." in found.text
    assert "TERMINATED" in told(await page.look(stream=STREAM))


async def test_every_link_and_picture_of_the_page_works(page: Page) -> None:
    found = await page.look(stream=STREAM, limit=30)
    links = dict.fromkeys([*found.links, *(str(image["src"]) for image in found.images)])
    assert sum(link.startswith("/graph/events/") for link in links) >= 6
    for link in links:
        if not link.startswith("#"):
            assert (await page.client.get(link)).status == 200, link


async def test_exports_give_what_the_search_finds(page: Page) -> None:
    found = await page.look(session=SESSION)
    links = {urlsplit(link).path.rpartition("/")[2]: link for link in found.links if "format=ndjson" in link}
    assert set(links) == {"ConnectionEvent", "StreamEvent", "MediaSessionEvents", "MixerEvent"}
    lines = (await (await page.client.get(links["MediaSessionEvents"])).text()).splitlines()
    assert len(lines) == MINUTES * 6
    assert {json.loads(line)["mediaSessionId"] for line in lines} == {MEDIA}
    answer = await page.client.get(links["ConnectionEvent"].replace("ndjson", "csv"))
    assert (await answer.text()).count("\r\n") == 3


async def test_counts_are_of_events_per_minute_by_table_or_by_type(page: Page) -> None:
    found = await page.figures("counts", stream=STREAM, start=NOW - 3600, end=NOW)
    minutes = found["step"] / 60
    sums = {line["legend"]: round(sum(line["values"]) * minutes) for line in found["lines"]}
    assert sums["MediaSessionEvents"] == MINUTES * 6
    assert (sums["ConnectionEvent"], sums["HlsStreamEvents"]) == (2, 3)
    found = await page.figures("counts", stream=STREAM, table="StreamEvent", start=NOW - 3600, end=NOW)
    sums = {line["legend"]: round(sum(line["values"]) * found["step"] / 60) for line in found["lines"]}
    assert sums["RECEIVED_PLI"] > 1 and sums["others"] == len(stories.STEPS) + 2 - 9


async def test_the_quality_of_a_media_session_is_drawn_as_it_was_measured(page: Page) -> None:
    found = await page.look(stream=STREAM)
    images = [str(image["src"]) for image in found.images if "media_session" in str(image["src"])]
    names = [urlsplit(image).path.rpartition("/")[2] for image in images]
    assert names == ["resolution.png", "frames.png", "bitrate.png", "nack.png", "lost.png"]
    assert {parse_qs(urlsplit(image).query)["media_session"][0] for image in images} == {MEDIA}
    assert any(OTHER in link for link in found.links)
    query = {name: texts[0] for name, texts in parse_qs(urlsplit(images[0]).query).items()}
    lines = {line["legend"]: line["values"] for line in (await page.figures("resolution", **query))["lines"]}
    assert {value for value in lines["width"] if value} == {1280.0, 640.0}
    assert {value for value in lines["height"] if value} == {720.0, 360.0}
    lines = {line["legend"]: line["values"] for line in (await page.figures("nack", **query))["lines"]}
    known = [value for value in lines["received"] if value is not None]
    assert len(known) > 100 and known == sorted(known)


async def test_events_of_all_streams_are_counted_as_they_came_where_that_is_known(page: Page) -> None:
    found = await page.figures("counts", start=NOW - 3600, end=NOW)
    sums = {line["legend"]: round(sum(line["values"]) * found["step"] / 60) for line in found["lines"]}
    assert sums["MediaSessionEvents"] == MINUTES * 6
    stored = page.parts.services.parts.store
    series = MemoryStore()
    for at in range(NOW // 60 * 60 - 3600, NOW, 60):
        for server in (7, 8):
            series.add(Source(f"10.0.0.{server}", "rels"), at, at - 60, {"events.StreamEvent": float(server)})
    series.search = page.store.search  # type: ignore[attr-defined]
    page.parts.store = series
    page.parts.query = Query(series, unit=lambda source, name: "")
    try:
        for query, rate in (({}, 15), ({"ip": "10.0.0.7", "table": "StreamEvent"}, 7)):
            found = await page.figures("counts", start=NOW - 1800, end=NOW - 600, **query)
            (values,) = (line["values"] for line in found["lines"] if line["legend"] == "StreamEvent")
            assert {value for value in values if value is not None} == {rate}
    finally:
        page.parts.store = stored


async def test_counting_that_takes_too_long_is_said_in_the_picture(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventgraphs, "COUNTED", 0.05)
    async with page.store._opened().reader() as connection, connection.transaction():
        await connection.execute("LOCK TABLE wcs.cdnevent IN ACCESS EXCLUSIVE MODE")
        found = await page.figures("counts", table="CDNEvent", start=NOW - 7000)
        assert found["title"].startswith("Events: too many to count") and found["lines"] == []
        answer = await page.client.get("/graph/events/counts.png?table=CDNEvent&start=end-3h")
        assert answer.status == 200 and answer.content_type == "image/png"


async def test_a_graph_that_cannot_be_drawn_says_why(page: Page) -> None:
    assert "is required" in (await page.figures("bitrate", 400, stream=STREAM))["detail"]
    assert (await page.figures("nothing", 404))["allowed"][0] == "bitrate"
    assert (await page.figures("counts", 400, straem="x"))["parameter"] == "straem"
    assert (await page.figures("counts", 400, width="5"))["parameter"] == "width"
    empty = await page.figures("lost", media_session="nobody")
    assert not any(value for line in empty["lines"] for value in line["values"])


async def test_a_search_that_takes_too_long_says_so_on_the_page(page: Page) -> None:
    page.store.search.timeout = 0.05
    try:
        async with page.store._opened().reader() as connection, connection.transaction():
            await connection.execute("LOCK TABLE wcs.cdnevent IN ACCESS EXCLUSIVE MODE")
            assert "takes too long" in (await page.look(503, table="CDNEvent")).text
    finally:
        page.store.search.timeout = 20.0
    assert "CDN_STATE" in told(await page.look(table="CDNEvent"))


async def test_pages_lead_to_events_where_there_are_some(page: Page) -> None:
    assert "/events" in (await page.look(path="/")).links
    links = (await page.look(path="/server?address=10.0.0.9")).links
    assert not any(link.startswith("/events?") for link in links)
    page.parts.rels.stats.heard["10.0.0.9"] = time.time()
    try:
        assert "/events?ip=10.0.0.9" in (await page.look(path="/server?address=10.0.0.9")).links
    finally:
        page.parts.rels.stats.heard.clear()


async def test_without_any_event_the_page_says_so(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("empty")
    async with (
        stories.storing(postgres, directory) as store,
        serving(directory, "[hosts]\n[[10.0.0.9]]\n") as (client, parts),
    ):
        nothing = Page(client, store, parts)
        found = await nothing.look()
        assert "No events are stored." in found.text and "RELS is off" in found.text
        assert "/events" not in (await nothing.look(path="/")).links
        parts.store.add(Source("10.0.0.9", "rels"), NOW, NOW - 60, {"events": 1.0})
        links = (await nothing.look(path="/server?address=10.0.0.9")).links
        assert "/events?ip=10.0.0.9" in links
        parts.store = store  # type: ignore[assignment]
        found = await nothing.look()
        assert "No events are stored." in found.text
        assert "No event is found." in (await nothing.look(stream="x")).text


@contextlib.asynccontextmanager
async def browsing(**options: Any) -> AsyncIterator[Any]:
    chromium = need("chromium")
    playwright = pytest.importorskip("playwright.async_api")
    async with playwright.async_playwright() as running:
        browser = await running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = await browser.new_context(**options)
        shown = await context.new_page()
        shown.complaints = []
        shown.on("console", lambda message: shown.complaints.append(message.text))
        shown.on("requestfailed", lambda request: shown.complaints.append(request.url))
        yield shown
        await browser.close()


PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.mark.parametrize(
    ("size", "more"),
    [(PHONE, {"locale": "ja-JP"}), (DESK, {"color_scheme": "dark"}), (PHONE, {"java_script_enabled": False})],
    ids=["phone", "dark", "scriptless"],
)
async def test_the_page_fits_and_searches_in_a_browser(page: Page, size: dict[str, int], more: dict[str, Any]) -> None:
    url = str(page.client.make_url("/")).rstrip("/")
    async with browsing(viewport=size, **more) as shown:
        await shown.goto(f"{url}/events")
        assert await shown.locator("h1").count() == 1
        await shown.locator("[name=stream]").fill(STREAM)
        await shown.locator("[name=table]").select_option("StreamEvent")
        await shown.locator("form button:not(.plain)").click()
        await shown.wait_for_url(f"**stream={STREAM}**")
        await shown.locator("#timeline").get_by_text("TERMINATED").first.wait_for()
        assert await shown.locator("#counts img").count() == 1
        await shown.goto(f"{url}/events?stream={STREAM}", wait_until="networkidle")
        assert await shown.locator("#quality figure").count() == 5
        assert await shown.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        await shown.locator("td.long a").first.click()
        await shown.wait_for_url("**session=**")
        unnamed = "one => !one.labels?.length && !one.ariaLabel && !one.ariaHidden"
        fields = f"[...document.querySelectorAll('input:not([type=hidden]), select')].filter({unnamed}).length"
        assert await shown.evaluate(fields) == 0
        assert shown.complaints == []


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("  ", []),
        ("ACTIVE", [("", "ACTIVE")]),
        ("from 10.0.0.1:5004", [("", "from 10.0.0.1:5004")]),
        ('{"codec":"H264","n":{"a":[1]}}', [("codec", "H264"), ("n", '{"a":[1]}')]),
        ("{broken", [("", "{broken")]),
        ("[1, 2]", [("", "[1, 2]")]),
        ("fps=30;bitrate=1200000", [("fps", "30"), ("bitrate", "1200000")]),
        ("fps: 30, rate: 5", [("fps", "30"), ("rate", "5")]),
        ("fps=30, and more", [("fps", "30, and more")]),
        ("x" * 3000, [("", "x" * 2000 + "…")]),
    ],
)
async def test_payloads_become_pairs_where_they_are_some(text: str, pairs: list[tuple[str, str]]) -> None:
    assert parsed(text) == [Pair(*pair) for pair in pairs]


@given(st.text(max_size=200) | st.from_regex(r"[a-z]=.{0,5}([;,\n][a-z]=.{0,5}){0,5}"))
async def test_a_payload_of_any_kind_is_shown(text: str) -> None:
    found = parsed(text)
    assert bool(found) == bool(text.strip()) or not text.strip(";, \n\t=")
    event = {"timestamp": 1, "eventType": 0, "eventPayload": text, "extra": {"new": text}}
    assert payload(TABLES["ConnectionEvent"], event).pairs


async def test_values_are_held_between_measurements_but_not_over_a_gap() -> None:
    np = pytest.importorskip("numpy")
    nan = np.nan
    found = held(np.array([nan, 1, nan, 2, nan, 3, nan, nan, nan, nan, nan, nan, nan, 4]))
    assert np.array_equal(found, np.array([nan, 1, 1, 2, 2, 3, 3, 3, 3, 3, nan, nan, nan, 4]), equal_nan=True)
