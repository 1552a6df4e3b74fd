"""Time expressions against the real rrdtool, its clock set to any moment, in four time zones.

Where rrdtool fails against its own manual, or turns nonsense into a time, what README promises instead is asserted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rrd_times import RrdTimes, Times

from monitor.attime import TimeError, resolve

ZONES = ["UTC", "Asia/Seoul", "Europe/Berlin", "America/New_York"]


def words(text: str) -> list[str]:
    return text.split()


MONTHS = words("""
    jan feb mar apr may jun jul aug sep oct nov dec
    january february march april may june july august september october november december
""")
WEEKDAYS = words("sun mon tue wed thu fri sat sunday monday tuesday wednesday thursday friday saturday")
DAYS = [*WEEKDAYS, "yesterday", "today", "tomorrow"]
UNITS = words("""
    y yr year years mon month months w wk week weeks d day days
    h hr hour hours min minute minutes s sec second seconds m
""")
NAMED_HOURS = ["noon", "midnight", "teatime"]
MOMENTS = [1773844645, 1761440400, 1774746000, 1772949600]  # the last three: around changes of the clocks
BEYOND = 250_000_000_000
"""Epoch seconds of the year 9892: what lies further away is no answer but an accident, such as the year 30000."""
FOREIGN = "; é\0@#"

gaps = st.sampled_from(["", "", "", " ", " ", "_", ",", "  ", ", "])
blanks = st.sampled_from([" ", " ", "_", ",", "  "])
signs = st.sampled_from("+-")
moments = st.sampled_from(MOMENTS) | st.integers(1_000_000_000, 2_100_000_000)


def numbers(least: int, most: int) -> st.SearchStrategy[str]:
    return st.integers(least, most).map(str)


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


halves = joined(numbers(0, 12), st.sampled_from(["", ":00", ":07", ":59", " "]), gaps, st.sampled_from(["am", "pm"]))
clocks = halves | st.builds("{:d}:{:02}".format, st.integers(0, 23), st.integers(0, 59)) | st.just("08:05")
years = st.integers(1971, 2037).flatmap(lambda full: st.sampled_from([str(full), f"{full % 100:02}"]))
digit_days = st.builds(
    lambda form, year, month, day, full: form.format(y=year, m=month, d=day, f=full),
    st.sampled_from(["{m}/{d}/{y}", "{d}.{m}.{y}", "{m:02}/{d:02}/{y}", "{d:02}.{m:02}.{y}", "{f}{m:02}{d:02}"]),
    years, st.integers(1, 12), st.integers(1, 28), st.integers(1971, 2037),
)  # fmt: skip
month_days = joined(st.sampled_from(MONTHS), gaps, numbers(1, 28))
whole_days = joined(month_days, blanks, years)
steps = joined(gaps, numbers(0, 30), gaps, st.sampled_from(UNITS))
offsets = joined(
    joined(gaps, signs, steps),
    st.lists(joined(gaps, signs, steps) | steps.map(" ".__add__), max_size=3).map("".join),
    st.just("") | st.just("") | joined(signs, numbers(0, 100_000)),
)
maybe_offsets = st.just("") | offsets
points = st.one_of(
    offsets,
    joined(st.sampled_from(["now", "n", "23", "0"]), maybe_offsets),
    joined(clocks | st.sampled_from(NAMED_HOURS), blanks, st.just("") | st.sampled_from(DAYS), maybe_offsets),
    joined(clocks | st.sampled_from(NAMED_HOURS), blanks, digit_days | whole_days, maybe_offsets),
    joined(digit_days | whole_days, blanks, clocks, maybe_offsets),
    joined(month_days | whole_days, maybe_offsets),
    digit_days,
    joined(numbers(315_360_001, 2_100_000_000), maybe_offsets),
)


def in_case(text: str, bits: int) -> str:
    """Write some letters large; a blank must not end it (see REFUSED)."""
    return "".join(letter.upper() if bits >> i % 16 & 1 else letter for i, letter in enumerate(text)).rstrip(" _,")


cases = st.just(0) | st.integers(0, 65535)
absolute = st.builds(in_case, points, cases)
to_start = st.builds(in_case, joined(st.sampled_from(["s", "start"]), offsets), cases)
to_end = st.builds(in_case, joined(st.sampled_from(["e", "end"]), offsets), cases)
pairs = st.tuples(absolute, absolute) | st.tuples(to_end, absolute) | st.tuples(absolute, to_start)


@pytest.fixture(scope="module")
def rrdtool() -> Iterator[RrdTimes]:
    with RrdTimes() as one:
        yield one


def ours(start: str, end: str, *, now: int, tz: str) -> Times | str:
    try:
        return resolve(start, end, now=now, tz=tz)
    except TimeError as error:
        return str(error)


def theirs(rrdtool: RrdTimes, start: str, end: str, found: Times | str, *, now: int, tz: str) -> Times | str:
    """Return rrdtool's answer; where it has several, the one that was found.

    Of an hour that comes twice it takes one by what it computed before: asked after a winter's day and after a
    summer's it answers differently.
    """
    answer = rrdtool.ask(start, end, now=now, tz=tz)
    if answer == found or isinstance(answer, str) or isinstance(found, str):
        return answer
    answers = [answer]
    for day in ("20200115 12:00", "20200715 12:00"):
        rrdtool.ask(day, day, now=now, tz=tz)
        others = rrdtool.ask(start, end, now=now, tz=tz), rrdtool.ask(day, end, now=now, tz=tz)
        answers += [other for other in others if not isinstance(other, str)]
    possible = [found[i] in [one[i] for one in answers] for i in (0, 1)]
    return found if all(possible) else answer


def examples(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.mark.parametrize("tz", ZONES)
def test_what_the_grammar_allows_is_the_same_time(rrdtool: RrdTimes, tz: str) -> None:
    @examples(350)
    @given(pairs, moments)
    def check(pair: tuple[str, str], now: int) -> None:
        found = ours(*pair, now=now, tz=tz)
        assume(isinstance(found, str) or min(found) >= 0)  # no times before 1970 are promised
        assert found == theirs(rrdtool, *pair, found, now=now, tz=tz)

    check()


WORDS = [
    *MONTHS, *DAYS, *UNITS, *NAMED_HOURS, *words("now n s e start end am pm"), *"+-/:._, ", *FOREIGN,
    *words("0 1 5 6 12 23 24 31 32 38 60 70 99 100 138 1970 1999 2026 19970703 20260230 99999999 1795003200"),
    *words("999999999999 x mins hrs secs epoch"),
]  # fmt: skip
soups = st.lists(st.sampled_from(WORDS) | st.just(" "), max_size=8).map("".join)


def changed(text: str, at: int, size: int, by: str) -> str:
    at %= len(text) + 1
    return text[:at] + by + text[at + size :]


mutated = st.builds(changed, absolute | to_end, st.integers(0, 60), st.integers(0, 3), st.sampled_from(["", *WORDS]))


def documented(text: str, now: int, tz: str) -> str:
    """Write an expression so that rrdtool makes of it what its manual promises for it."""
    here = datetime.fromtimestamp(now, ZoneInfo(tz))
    text = re.sub(r"(?i)^([ _,]*(?:start|end|now|s|e|n)[ _,]* )(?=\d)", r"\1+", text)
    text = re.sub(r"^([ _,]*\d{1,2})[ _,]*\.[ _,]*(?=\d\d(?!\d)[ _,]*(?![ _,.]))", r"\1:", text)
    text = re.sub(rf"(?i)^([ _,]*\d[^+-]*?(?:{'|'.join(MONTHS)})[ _,]*\d+(?!\d)(?![ _,]*\d))", rf"\1 {here.year}", text)
    text = re.sub(r"^([ _,]*(?:\d+[ _,]*([./])[ _,]*\d+[ _,]*\2[ _,]*\d+|\d{8}))([ _,]*[+-])", r"\1 00:00\3", text)
    if re.match(rf"(?i)[ _,]*({'|'.join(DAYS)})(?![a-z])", text):
        text = f"{here:%H:%M} {text}"
    sign = re.search(r"[+-]", text)
    if sign is None:
        return text
    return text[: sign.start()] + re.sub(r"(?i)(?<=\d)(?!\d)(?![ _,]*[a-z])", "s", text[sign.start() :])


REFUSED = {
    r"unexpected character": r"[^a-zA-Z0-9:./+\-\s_,]",
    r"unknown unit": rf"(?i)\d[\s_,]*(?!({'|'.join(UNITS)})(?![a-z]))[a-z]+",
    r"there is no day \d+ in month|is not a valid day": r"\d",
    r"there should be year number after": r"\d+[\s_,]*[./][\s_,]*\d+",
    r"trailing text": r"[_,]\s*$",
    # After a number without a unit, and after a date of digits, rrdtool drops one word, whatever it is.
    r"trailing text|There should be number": r"[+-].*\d[\s_,]*[:./+-]"
    r"|^[\s_,]*(\d+[\s_,]*([./])[\s_,]*\d+[\s_,]*\2[\s_,]*\d+|\d{8})[\s_,]*[^\s\d_,]",
    # Its numbers are cut to 32 bits.
    r"at most 12 digits|beyond the year 9999|got MM = \d+ \(>59!\)|out of range": r"\d{3}",
}
"""What rrdtool takes and we refuse: the error, and what must stand in the text."""


@pytest.mark.parametrize("tz", ZONES)
def test_any_other_text_is_refused_as_by_rrdtool_or_read_as_its_manual_says(rrdtool: RrdTimes, tz: str) -> None:
    @examples(350)
    @given(soups | mutated | mutated, moments)
    def check(text: str, now: int) -> None:
        found = ours(text, "now", now=now, tz=tz)
        assume(isinstance(found, str) or min(found) >= 0)
        answer = theirs(rrdtool, text, "now", found, now=now, tz=tz)
        if isinstance(found, str):
            known = any(re.search(error, found) and re.search(cause, text) for error, cause in REFUSED.items())
            assert isinstance(answer, str) or known or abs(answer[0]) > BEYOND, (found, answer)
        elif answer != found and not re.search(r"(?i)^[ _,]*epoch|[+-].*\d{6}", text):
            plain = documented(text, now, tz)
            answer = theirs(rrdtool, plain, "now", found, now=now, tz=tz)
            seconds = now % 60 if re.match(r"\d\d:\d\d ", plain) and not text.lstrip(" _,")[0].isdigit() else 0
            assert not isinstance(answer, str), (plain, found, answer)
            assert found == (answer[0] + seconds, answer[1]), (plain, answer)

    check()
