from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.attime import LONGEST, TimeError, resolve

VECTORS = json.loads((Path(__file__).parent / "cases" / "attime" / "vectors.json").read_text())
NOW = VECTORS["now_epoch"]  # Wednesday 2026-03-18 14:37:25 UTC
DOCUMENTED = ("yesterday", "today", "mon", "9.30", "09.30 today")  # by rrdfetch(1); rrdtool itself refuses them


def named(vector: dict[str, Any]) -> str:
    return f"{vector['start']}|{vector['end']}|{vector['tz']}"


def of(kind: str) -> list[Any]:
    return [pytest.param(vector, id=named(vector)) for vector in VECTORS["vectors"] if vector["class"] == kind]


def start(text: str, tz: str = "UTC", now: float = NOW) -> int:
    return resolve(text, "now", now=now, tz=tz)[0]


def local(text: str, tz: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz)).timestamp())


@pytest.mark.parametrize("vector", of("ok"))
def test_what_rrdtool_reads_gives_the_same_times(vector: dict[str, Any]) -> None:
    found = resolve(vector["start"], vector["end"], now=NOW, tz=vector["tz"])
    assert found == (vector["start_epoch"], vector["end_epoch"])


@pytest.mark.parametrize("vector", of("error"))
def test_what_rrdtool_refuses_is_refused_in_its_words(vector: dict[str, Any]) -> None:
    if vector["start"] in DOCUMENTED:
        assert resolve(vector["start"], vector["end"], now=NOW, tz=vector["tz"])
        return
    with pytest.raises(ValueError) as caught:
        resolve(vector["start"], vector["end"], now=NOW, tz=vector["tz"])
    assert str(caught.value) == vector["error"]


@pytest.mark.parametrize("vector", of("quirk"))
def test_what_rrdtool_turns_into_nonsense_is_refused(vector: dict[str, Any]) -> None:
    if vector["start"].startswith("epoch"):
        assert resolve(vector["start"], vector["end"], now=NOW, tz=vector["tz"])
        return
    with pytest.raises(ValueError, match=r"^start time: "):
        resolve(vector["start"], vector["end"], now=NOW, tz=vector["tz"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("-1h", 3600), ("-30min", 1800), ("-1d", 86400), ("-1h30min", 5400), ("-1h -30min", 5400), ("now-2h", 7200),
     ("-1w", 604800), ("-90", 90), ("end-3h", 10800), ("e-3h", 10800), ("-1d+6h", 64800), ("now", 0)],
)  # fmt: skip
def test_offsets_count_back_from_now(text: str, seconds: int) -> None:
    assert start(text) == NOW - seconds


def test_an_end_may_be_relative_to_the_start() -> None:
    assert resolve("1795003200", "start+6h", now=NOW, tz="UTC") == (1795003200, 1795003200 + 21600)
    assert resolve("-1d", "s+6h", now=NOW, tz="UTC") == (NOW - 86400, NOW - 64800)


def test_a_blank_stands_for_the_plus_that_a_url_made_of_it() -> None:
    assert resolve("-1d", "s 6h", now=NOW, tz="UTC") == resolve("-1d", "s+6h", now=NOW, tz="UTC")
    assert resolve("-1d", "start 3600", now=NOW, tz="UTC") == resolve("-1d", "start+3600", now=NOW, tz="UTC")
    assert resolve("-1d", "now 2h", now=NOW, tz="UTC") == resolve("-1d", "now+2h", now=NOW, tz="UTC")


def test_what_the_documentation_promises_works() -> None:
    assert start("yesterday") == NOW - 86400
    assert start("mon", "Asia/Seoul") == local("2026-03-16T23:37:25", "Asia/Seoul")
    assert start("9.30", "Asia/Seoul") == local("2026-03-18T09:30", "Asia/Seoul")
    assert start("09.30 yesterday", "Europe/Berlin") == local("2026-03-17T09:30", "Europe/Berlin")
    assert start("epoch+19711205s", "Asia/Seoul") == 19711205


def test_a_fraction_of_now_is_cut() -> None:
    assert start("now", now=NOW + 0.9) == NOW


def test_days_keep_the_time_of_day_where_the_clocks_change() -> None:
    at = local("2026-03-29T12:00", "Europe/Berlin")
    assert start("-1d", "Europe/Berlin", at) == local("2026-03-28T12:00", "Europe/Berlin") == at - 23 * 3600
    assert start("-24h", "Europe/Berlin", at) == at - 86400


def test_an_epoch_takes_its_summer_time_along_as_in_rrdtool() -> None:
    # measured with librrd 1.7.2: winter's 15:32 and 20 months are summer's 16:32
    assert start("1510497172-24day+21month", "Europe/Berlin") == 1563546772
    with pytest.raises(TimeError, match="unparsable trailing text"):
        start("1510497172 16:00")


@pytest.mark.parametrize("since", range(0, 7200, 900))
def test_hours_are_exact_in_the_hour_that_comes_twice(since: int) -> None:
    twice = local("2026-10-25T02:00", "Europe/Berlin") + since
    assert start("now", "Europe/Berlin", twice) == twice
    assert start("-1h", "Europe/Berlin", twice) == twice - 3600
    assert start("end-1h", "Europe/Berlin", twice) == twice - 3600


@pytest.mark.parametrize(
    ("first", "last", "parameter"),
    [("garbage", "now", "start"), ("-1h", "nowish", "end"), ("s-1h", "now", "start"), ("-1h", "e-1h", "end"),
     ("e-1h", "s+1h", "start"), ("-9999y", "now", "start"), ("-1h", "+9999y", "end"), ("-1h", "9" * 12, "end"),
     ("-" + "1d" * 50, "now", "start"), ("-" + "9" * 99 + "d", "now", "start")],
)  # fmt: skip
def test_an_error_says_which_parameter(first: str, last: str, parameter: str) -> None:
    with pytest.raises(TimeError) as caught:
        resolve(first, last, now=NOW, tz="UTC")
    assert caught.value.parameter == parameter
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("tz", ["", "Nowhere/Land", "../etc/passwd", "/etc/passwd", "Europe", "a" * 5000, "\0"])
def test_an_unknown_time_zone_is_refused(tz: str) -> None:
    with pytest.raises(TimeError, match="expected a time zone such as Europe/Berlin"):
        resolve("now", "now", now=NOW, tz=tz)


WORDS = """
    now n s e start end epoch noon midnight teatime am pm yesterday today tomorrow mon friday jan december
    + - / . : , _ 0 1 5 6 12 23 24 31 32 60 99 100 138 1970 2026 19970703 1795003200 999999999999
    h d w m y min mon s seconds years x ; é \0
"""
words = st.sampled_from(WORDS.split())


@given(
    st.lists(words | st.just(" "), max_size=10).map("".join) | st.text(max_size=20),
    st.lists(words | st.just(" "), max_size=6).map("".join) | st.just("now"),
    st.sampled_from(["UTC", "Asia/Seoul", "America/New_York", "Europe/Berlin"]),
)
@example("-1y", "1/1/1970", "Asia/Seoul")
@example("noon 12/31/9999", "s+1d", "America/New_York")
@example("12/31/9999 tomorrow", "now", "UTC")
def test_any_text_gives_two_times_or_a_clear_error(first: str, last: str, tz: str) -> None:
    try:
        found = resolve(first, last, now=NOW, tz=tz)
    except TimeError as error:
        assert error.parameter in ("start", "end")
        assert str(error)
    else:
        assert all(type(time) is int for time in found)


LONG = [*WORDS.split(), "+1d", "-1", " ", "1/1/", "12.", "10:", "jan 1 ", "é"]


@settings(deadline=None, max_examples=66)
@given(st.sampled_from(LONG), st.sampled_from(LONG), st.integers(1, LONGEST + 1), st.text(max_size=LONGEST))
def test_a_text_of_any_length_is_read_or_refused_in_no_time(one: str, other: str, times: int, text: str) -> None:
    for expression in ((one * times)[:LONGEST], (one + other * times)[:LONGEST], text, text + one * 2000):
        began = time.perf_counter()
        with suppress(TimeError):
            resolve(expression, "now", now=NOW, tz="Europe/Berlin")
        assert time.perf_counter() - began < 0.05


def test_a_text_beyond_the_limit_is_refused() -> None:
    with pytest.raises(TimeError, match=f"expected at most {LONGEST} characters, got {LONGEST + 1}"):
        start("-1d" + " " * (LONGEST - 2))
    assert start("-1d" + " " * (LONGEST - 3)) == NOW - 86400


def test_a_reason_does_not_repeat_which_time_it_is() -> None:
    with pytest.raises(TimeError) as caught:
        start("garbage")
    assert (str(caught.value), caught.value.reason) == (
        "start time: unparsable time: garbage",
        "unparsable time: garbage",
    )


def test_months_after_a_weekday_count_from_the_month_of_today() -> None:
    sunday = local("2026-03-29T10:00", "UTC")  # its Wednesday is 1 April; that day four months before is 32 November
    assert start("teatime wednesday-4months", now=sunday) == local("2025-12-02T16:00", "UTC")


@pytest.mark.parametrize("text", ["jan1 199707031971", "jan 1 99999", "1/1/10000"])
def test_a_year_of_five_digits_is_refused(text: str) -> None:
    with pytest.raises(TimeError, match="beyond the year 9999"):
        start(text)


def test_a_number_behind_a_reference_without_a_blank_is_no_offset() -> None:
    for text in ("end31d", "s5", "e_3h", "now5h"):
        with pytest.raises(TimeError):
            start(text)


@given(st.integers(315_360_001, 4_000_000_000), st.integers(0, 10**6))
def test_epoch_seconds_are_themselves(epoch: int, more: int) -> None:
    if not 19_700_101 < epoch < 24_000_101:
        assert resolve(str(epoch), f"start+{more}s", now=NOW, tz="America/New_York") == (epoch, epoch + more)
