"""Time expressions in the query strings of every endpoint that takes times, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from web_parts import OWN, serving
from yarl import URL

from monitor.batch import Source

NOW = 1_795_230_000  # 2026-11-21 03:00 UTC, a Saturday
DAY = 86400
Client = TestClient[Any, Any]
SERIES = f"series={OWN}:cpu::total.user"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with serving(tmp_path, clock=lambda: NOW) as (one, parts):
        parts.fill(Source("10.0.0.1", "nginx"), {"req_handled": lambda i: 1.0}, now=NOW)
        yield one


async def raw(client: Client, query: str) -> tuple[int, Any]:
    """Ask with a query string as it stands: nothing is escaped."""
    answer = await client.get(URL(query, encoded=True))
    kind = answer.content_type
    return answer.status, await answer.json() if kind.endswith("json") else (await answer.read(), kind)[0]


@pytest.mark.parametrize("plus", ["+", "%2B", "%2b"])
@pytest.mark.parametrize(
    ("start", "end", "since", "until"),
    [
        ("-1d", "s+6h", NOW - DAY, NOW - DAY + 21600),
        ("-1d", "start+6h", NOW - DAY, NOW - DAY + 21600),
        ("-1d", "start+3600", NOW - DAY, NOW - DAY + 3600),
        ("-1d+2h", "now", NOW - DAY + 7200, NOW),
        ("end-1d+2h", "now", NOW - DAY + 7200, NOW),
        ("-1d+2h-30min", "now+1d", NOW - DAY + 5400, NOW + DAY),
        ("1795003200+1d", "1795003200+2d", 1795003200 + DAY, 1795003200 + 2 * DAY),
        ("1795003200+3600", "now", 1795003200 + 3600, NOW),
        ("now-1h", "now+60", NOW - 3600, NOW + 60),
        ("epoch+1795003200s", "now", 1795003200, NOW),
    ],
)
async def test_a_plus_works_raw_and_escaped(
    client: Client, start: str, end: str, since: int, until: int, plus: str
) -> None:
    query = f"start={start}&end={end}".replace("+", plus)
    status, found = await raw(client, f"/api/v1/query?{SERIES}&step=1&{query}")
    assert (status, found["start"], found["end"]) == (200, since, until), found


@pytest.mark.parametrize("blank", ["+", "%20", "_", ","])
@pytest.mark.parametrize(
    ("start", "since"),
    [
        ("noon yesterday", 1_795_176_000),
        ("noon yesterday -1 d", 1_795_176_000 - DAY),
        ("Oct 12 2026 15:00", 1_791_817_200),
        ("10/12/2026 15:00", 1_791_817_200),
        ("20261012 15", 1_791_817_200),
        ("3 pm 12.10.2026", 1_791_817_200),
        ("-1 d 2 h", NOW - DAY - 7200),
    ],
)
async def test_blanks_work_in_every_form(client: Client, start: str, since: int, blank: str) -> None:
    if blank == "+" and start == "-1 d 2 h":
        since = NOW - DAY + 7200  # there the + of an address is a plus
    query = start.replace(" ", blank)
    status, found = await raw(client, f"/api/v1/query?{SERIES}&step=1&start={query}&end=s%2B1h")
    assert (status, found["start"]) == (200, since), found


ENDPOINTS = [
    (f"/api/v1/query?{SERIES}", "start", "end"),
    ("/graph_global?target=cpu", "start", "end"),
    ("/graph?address=10.0.0.1&plugin_identifier=nginx&graph=requests&term=custom", "from", "to"),
    ("/server?address=10.0.0.1&term=custom", "from", "to"),
]


@pytest.mark.parametrize(("path", "start", "end"), ENDPOINTS)
@pytest.mark.parametrize(
    "texts", [("-1d", "s+6h"), ("noon+yesterday", "start+6h"), ("end-1w", "now"), ("11/20/2026", "")]
)
async def test_every_endpoint_takes_the_grammar(
    client: Client, path: str, start: str, end: str, texts: tuple[str, str]
) -> None:
    status, body = await raw(client, f"{path}&{start}={texts[0]}&{end}={texts[1]}")
    assert status == 200, body


async def test_a_page_passes_on_the_plus_of_its_address(client: Client) -> None:
    _, body = await raw(client, "/server?address=10.0.0.1&term=custom&from=-1d&to=s+6h")
    assert b"to=s%2B6h" in body or b"to=s+6h" in body


@pytest.mark.parametrize(("path", "start", "end"), ENDPOINTS)
@pytest.mark.parametrize(
    ("first", "last", "wrong", "detail"),
    [
        ("-1h", "-2h", 1, "expected a time after"),
        ("now", "now", 1, "expected a time after"),
        ("now%2B1h", "now%2B2h", 0, f"expected a time up to now ({NOW}), got {NOW + 3600}"),
        ("-100y", "now", 0, "expected a time from 1970 to 2099"),
        ("-1h", "%2B100y", 1, "expected a time from 1970 to 2099"),
        ("-1h", "99999999999", 1, "expected a time from 1970 to 2099"),
        ("garbage", "now", 0, "unparsable time: garbage"),
        ("-1h", "-1x", 1, "unknown unit 'x'"),
        ("start-1h", "now", 0, "the start time cannot be specified relative to itself"),
        ("20260230", "now", 0, "there is no day 30 in month 2 of 2026"),
        ("1" * 300, "now", 0, "expected at most"),
    ],
)
async def test_an_impossible_span_names_its_parameter_and_what_is_allowed(
    client: Client, path: str, start: str, end: str, first: str, last: str, wrong: int, detail: str
) -> None:
    status, found = await raw(client, f"{path}&{start}={first}&{end}={last}")
    name = (start, end)[wrong]
    assert (status, found["parameter"]) == (400, name), found
    assert found["detail"].startswith(f"{name}: {detail}"), found


async def test_an_end_in_the_future_has_no_data_yet(client: Client) -> None:
    query = "series=10.0.0.1:nginx::req_handled&start=-1h&end=now%2B1h&step=60"
    status, found = await raw(client, f"/api/v1/query?{query}")
    assert (status, found["end"]) == (200, NOW + 3600)
    values = found["series"][0]["values"]
    assert values[30] == 1.0
    assert set(values[-60:]) == {None}
