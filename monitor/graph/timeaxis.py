"""The time axis: ticks on round local times for any span, daylight saving included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

MINUTE, HOUR, DAY = 60, 3600, 86400
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
GAP = 2.2  # characters that stay free between two labels
FARTHEST = 250_000_000_000  # beyond it datetime ends


class Every(NamedTuple):
    """A rhythm of ticks: so many seconds, days, weeks, months or years."""

    number: int
    unit: str


class Rung(NamedTuple):
    """A way to mark a span: labelled ticks, grid lines between them, and the boundaries that stand out."""

    major: Every
    minor: Every
    rule: Every
    form: str
    width: int
    seconds: float


def _seconds(major: int, minor: int) -> Rung:
    form, width = ("second", 8) if major < MINUTE else ("minute", 6)
    return Rung(Every(major, "s"), Every(minor, "s"), Every(1, "day"), form, width, major)


# From fine to coarse; the first whose labels have room is used.
LADDER = (
    _seconds(1, 1),
    _seconds(5, 1),
    _seconds(10, 5),
    _seconds(15, 5),
    _seconds(30, 10),
    _seconds(MINUTE, 15),
    _seconds(2 * MINUTE, 30),
    _seconds(5 * MINUTE, MINUTE),
    _seconds(10 * MINUTE, 2 * MINUTE),
    _seconds(15 * MINUTE, 5 * MINUTE),
    _seconds(30 * MINUTE, 10 * MINUTE),
    _seconds(HOUR, 15 * MINUTE),
    _seconds(2 * HOUR, 30 * MINUTE),
    _seconds(3 * HOUR, HOUR),
    _seconds(4 * HOUR, HOUR),
    _seconds(6 * HOUR, HOUR),
    _seconds(12 * HOUR, 3 * HOUR),
    Rung(Every(1, "day"), Every(6 * HOUR, "s"), Every(1, "week"), "weekday", 6, DAY),
    Rung(Every(2, "day"), Every(1, "day"), Every(1, "week"), "date", 6, 2 * DAY),
    Rung(Every(1, "week"), Every(1, "day"), Every(1, "month"), "date", 6, 7 * DAY),
    Rung(Every(1, "month"), Every(1, "week"), Every(1, "year"), "month", 3, 28 * DAY),
    Rung(Every(3, "month"), Every(1, "month"), Every(1, "year"), "month", 4, 90 * DAY),
    Rung(Every(6, "month"), Every(1, "month"), Every(1, "year"), "month", 4, 181 * DAY),
    *(
        Rung(Every(years, "year"), Every(max(1, years // 5) if years > 1 else 3, "year" if years > 1 else "month"),
             Every(1000, "year"), "year", 4, years * 365 * DAY)
        for years in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    ),
)  # fmt: skip
CENTRED = frozenset({"weekday", "month", "year"})


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Grid lines at `major` and `minor` times, stronger ones at `rules`; `labels` are (time, text)."""

    major: tuple[int, ...]
    minor: tuple[int, ...]
    rules: tuple[int, ...]
    labels: tuple[tuple[float, str], ...]


def time_axis(start: int, end: int, *, zone: ZoneInfo, characters: float) -> TimeAxis:
    """Return the axis from `start` to `end` on which `characters` characters fit side by side."""
    second = characters / (end - start)
    rung = next((one for one in LADDER if one.seconds * second >= one.width + GAP), LADDER[-1])
    major = tuple(_ticks(rung.major, start, end, zone))
    taken = set(major)
    rules = tuple(_ticks(rung.rule, start, end, zone))
    taken.update(rules)
    minor = tuple(tick for tick in _ticks(rung.minor, start, end, zone) if tick not in taken)
    shown = frozenset(rules)
    inner = tuple(tick for tick in major if tick not in shown)
    if rung.form in CENTRED and rung.major.number == 1:
        labels = tuple(_centred(rung, start, end, zone, second))
    else:
        labels = tuple((tick, _text(tick, rung.form, zone)) for tick in major)
    return TimeAxis(inner, minor, rules, labels)


def _centred(rung: Rung, start: int, end: int, zone: ZoneInfo, second: float) -> Iterator[tuple[float, str]]:
    """Yield labels in the middle of the part of their period that shows, if they fit there."""
    margin = 400 * DAY if rung.major.unit == "year" else 32 * DAY
    ticks = _ticks(rung.major, start - margin, end + margin, zone)
    for begin, over in pairwise(ticks):
        text = _text(begin, rung.form, zone)
        left, right = max(begin, start), min(over, end)
        if (right - left) * second >= len(text) + 1:
            yield (left + right) / 2, text


def _text(tick: float, form: str, zone: ZoneInfo) -> str:
    at = datetime.fromtimestamp(tick, zone)
    if form == "second":
        return f"{at:%H:%M:%S}"
    if form == "minute":
        return f"{at:%H:%M}" if at.hour or at.minute else f"{DAYS[at.weekday()]} {at.day:02d}"
    if form == "weekday":
        return f"{DAYS[at.weekday()]} {at.day:02d}"
    if form == "date":
        return f"{at.day:02d} {MONTHS[at.month - 1]}"
    if form == "month" and at.month > 1:
        return MONTHS[at.month - 1]
    return str(at.year)


def _ticks(every: Every, start: int, end: int, zone: ZoneInfo) -> Iterator[int]:
    """Yield the times of a rhythm from `start` to `end`, both included."""
    found = _within_days(every.number, start, end, zone) if every.unit == "s" else _dates(every, start, end, zone)
    yield from (tick for tick in found if start <= tick <= end)


def _dates(every: Every, start: int, end: int, zone: ZoneInfo) -> Iterator[int]:
    day = _first(every, datetime.fromtimestamp(start, zone).date())
    last = datetime.fromtimestamp(end, zone).date()
    while day <= last:
        yield midnight(day, zone)
        following = _next(every, day)
        if following is None:
            return
        day = following


def _first(every: Every, day: date) -> date:
    """Return the day on which the period of a rhythm that holds `day` begins."""
    if every.unit in ("day", "week"):
        # day 1 of the calendar was a Monday
        back = (day.toordinal() - 1) % (every.number if every.unit == "day" else 7 * every.number)
        return date.fromordinal(max(1, day.toordinal() - back))
    if every.unit == "month":
        return date(day.year, (day.month - 1) // every.number * every.number + 1, 1)
    return date(max(1, day.year // every.number * every.number), 1, 1)


def _next(every: Every, day: date) -> date | None:
    try:
        if every.unit in ("day", "week"):
            return day + timedelta(days=every.number * (1 if every.unit == "day" else 7))
        if every.unit == "month":
            months = day.month - 1 + every.number
            return date(day.year + months // 12, months % 12 + 1, 1)
        return date(day.year + every.number - (day.year % every.number), 1, 1)
    except (OverflowError, ValueError):
        return None  # the calendar ends


def _within_days(step: int, start: int, end: int, zone: ZoneInfo) -> Iterator[int]:
    day = datetime.fromtimestamp(start, zone).date()
    begin = midnight(day, zone)
    while begin <= end:
        day += timedelta(days=1)
        over = midnight(day, zone)
        if over - begin == DAY:
            skipped = max(0, (start - begin) // step) * step
            yield from range(begin + skipped, min(over, end + 1), step)
        else:
            yield from _uneven(begin, over, step, zone)
        begin = over


def _uneven(begin: int, over: int, step: int, zone: ZoneInfo) -> Iterator[int]:
    """Yield the ticks of a day on which the clock is moved: where the clock on the wall shows a round time."""
    for tick in range(begin, over, min(step, 15 * MINUTE)):
        at = datetime.fromtimestamp(tick, zone)
        # of an hour that comes twice, wide steps mark the first
        if (at.hour * HOUR + at.minute * MINUTE + at.second) % step == 0 and not (at.fold and step > HOUR):
            yield tick


def midnight(day: date, zone: ZoneInfo) -> int:
    """Return when a day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())
