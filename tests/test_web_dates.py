"""Dates in the query string, as Kurado's pages and scripts write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from web_parts import serving

from monitor.batch import Source
from monitor.web.dates import epoch_of, quarter, shown

NOON = 1_795_176_000  # 2026-11-20 12:00 UTC


@pytest.mark.parametrize(
    ("text", "at"),
    [("2026-11-20 12:00", NOON), ("2026-11-20 12:00:00", NOON), ("2026-11-20T12:00:30", NOON + 30),
     ("2026/11/20 12:00", NOON), ("2026-11-20", NOON - 43200), ("2026-11-20 12:00Z", NOON),
     ("2026-11-20 21:00:00 +0900", NOON), ("2026-11-20T07:00-05:00", NOON), (" 2026-11-20_12:00 ", NOON),
     ("Fri, 20 Nov 2026 12:00:00 GMT", NOON)],
)  # fmt: skip
def test_dates_are_read_to_the_second(text: str, at: int) -> None:
    assert epoch_of(text, "UTC") == str(at)


def test_a_date_without_a_zone_is_of_the_appliances_zone() -> None:
    assert epoch_of("2026-11-20 21:00", "Asia/Tokyo") == str(NOON)


@pytest.mark.parametrize(
    "text",
    ["", "now-2h", "20261120", str(NOON), "2026-02-30", "2026-11-20 25:00", "1969-12-31", "2026-11-20 12:00 +99"],
)
def test_what_is_no_date_is_left_to_the_time_expressions(text: str) -> None:
    assert epoch_of(text, "UTC") == ""


def test_pages_begin_at_whole_quarters() -> None:
    assert shown(quarter(NOON + 899), "Asia/Tokyo") == "2026-11-20 21:00"


async def test_a_picture_of_a_custom_span_takes_kurados_dates(tmp_path: Path) -> None:
    def clock() -> float:
        return NOON

    async with serving(tmp_path, clock=clock) as (client, parts):
        parts.fill(Source("10.0.0.1", "app"), {"a": lambda i: 1.0}, 60)
        asked = {"address": "10.0.0.1", "plugin_identifier": "app", "graph": "a", "term": "custom", "format": "json"}
        dates = {"from": "2026-11-20 11:15:00", "to": "2026-11-20 11:45:00"}
        answer = await (await client.get("/graph", params={**asked, **dates})).json()
        epochs = {"from": str(NOON - 2700), "to": str(NOON - 900)}
        assert answer == await (await client.get("/graph", params={**asked, **epochs})).json()
        wrong = {"from": dates["to"], "to": dates["from"]}
        assert (await client.get("/graph", params={**asked, **wrong})).status == 400
        never = {"from": "2026-02-30 11:15"}
        assert (await client.get("/graph", params={**asked, **never})).status == 400
