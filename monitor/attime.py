"""Times as people and RRDtool write them: `now`, `-1h`, `end-3h`, `noon yesterday`, `Oct 12 2001 15:00`, 1795003200.

The grammar is that of rrdfetch(1), AT-STYLE TIME SPECIFICATION, as rrdtool 1.7.2 implements it:

    spec    := ref [offsets] | offsets | (start|end|epoch) offsets
    ref     := now | tod [day] | date [tod] | tod date
    tod     := HH[:MM] [am|pm] | noon | midnight | teatime
    day     := yesterday | today | tomorrow | weekday | date
    date    := MM/DD/[YY]YY | DD.MM.[YY]YY | YYYYMMDD | EPOCH | month-name DD [[YY]YY]
    offsets := (+|-)N unit { [+|-] N unit }

Years to days move the calendar and keep the time of day; hours to seconds are exact. `m` after hours to seconds, or
of 6 and more, is minutes, otherwise months: -5m is five months, -5min is five minutes.

What rrdtool documents but does not do works here: a day alone (`yesterday`), HH.MM, `epoch+N`, an offset after a date
of digits, numbers without a unit before another number. What it takes but turns into nonsense is an error: unknown
units, 30 February, a date of digits without its year, characters of no meaning.
A blank after `start`, `end` or `now` stands for the + that a URL made of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

LONGEST = 100
LONGEST_NUMBER = 12
LEAST_EPOCH = 10 * 365 * 86400  # a smaller bare number is no time in epoch seconds
TOKEN = re.compile(r"[A-Za-z]+|[0-9]+|[:./+-]")
BETWEEN = " \t\r\n\v\f_,"

MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan january", "feb february", "mar march", "apr april", "may", "jun june", "jul july", "aug august",
         "sep september", "oct october", "nov november", "dec december"), 1)
    for name in names.split()
}  # fmt: skip
WEEKDAYS = {
    name: number
    for number, full in enumerate(("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"))
    for name in (full, full[:3])
}
DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
HOURS = {"midnight": 0, "noon": 12, "teatime": 16}
REFERENCES = {"n": "now", "now": "now", "s": "start", "start": "start", "e": "end", "end": "end", "epoch": "epoch"}
UNITS = {
    word: unit
    for unit, words in {
        "year": "y yr year years", "month": "mon month months", "week": "w wk week weeks", "day": "d day days",
        "hour": "h hr hour hours", "minute": "min minute minutes", "second": "s sec second seconds", "m": "m",
    }.items()
    for word in words.split()
}  # fmt: skip
SECONDS = {"hour": 3600, "minute": 60, "second": 1}


class TimeError(ValueError):
    """An expression that cannot be read; `parameter` says which: start, end or tz, `reason` why without saying it."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.reason = message.removeprefix(f"{parameter} time: ")


@dataclass(slots=True)
class _Offset:
    """What is added to a time: to the calendar first, then exact seconds."""

    years: int = 0
    months: int = 0
    days: int = 0
    seconds: int = 0

    def add(self, number: int, unit: str) -> None:
        if unit == "year":
            self.years += number
        elif unit == "month":
            self.months += number
        elif unit in ("week", "day"):
            self.days += number * (7 if unit == "week" else 1)
        else:
            self.seconds += number * SECONDS[unit]


@dataclass(slots=True)
class _Time:
    """A parsed expression: `offset` from the wall clock's `at`, or from the other end of the range.

    `along`: as in rrdtool, a calendar offset from epoch seconds or from the other end takes their summer time along
    (14:00 in July and six months is 13:00 in January); all others keep the time of day.
    """

    at: datetime
    relative: str = ""
    along: bool = False
    offset: _Offset = field(default_factory=_Offset)


def resolve(start: str, end: str, *, now: float, tz: str) -> tuple[int, int]:
    """Return both ends in epoch seconds, words read in the time zone `tz`; ValueError says what cannot be read.

    That the end lies after the start is not asked for here.
    """
    zone = _zone(tz)
    here = datetime.fromtimestamp(int(now), zone)
    first, last = (_named(name, text, here) for name, text in (("start", start), ("end", end)))
    if first.relative == "end" and last.relative == "start":
        raise TimeError("start", "the start and end times cannot be specified relative to each other")
    for name, one in (("start", first), ("end", last)):
        if one.relative == name:
            raise TimeError(name, f"the {name} time cannot be specified relative to itself")
    if first.relative:
        until = _moved("end", last, zone)
        return _moved("start", replace(first, at=datetime.fromtimestamp(until, zone)), zone), until
    since = _moved("start", first, zone)
    if last.relative:
        last = replace(last, at=datetime.fromtimestamp(since, zone))
    return since, _moved("end", last, zone)


def _zone(tz: str) -> tzinfo:
    if tz == "UTC":  # also where the machine has no zone files
        return UTC
    try:
        return ZoneInfo(tz)
    except (LookupError, ValueError, OSError) as error:
        raise TimeError("tz", f"expected a time zone such as Europe/Berlin, got {tz[:40]!r}") from error


def _named(name: str, text: str, here: datetime) -> _Time:
    try:
        return _Parser(text, here).parse()
    except ValueError as error:
        raise TimeError(name, f"{name} time: {error}") from None


def _moved(name: str, time: _Time, zone: tzinfo) -> int:
    """Move the wall clock over the calendar, then add the exact seconds; return epoch seconds."""
    at, offset = time.at, time.offset
    month = at.month - 1 + offset.months
    try:
        first = datetime(at.year + offset.years + month // 12, month % 12 + 1, 1, at.hour, at.minute, at.second)
        moved = first + timedelta(days=at.day - 1 + offset.days)
        fold = at.fold if moved == at.replace(tzinfo=None) else 0  # the hour that comes twice stays the one it was
        there = moved.replace(tzinfo=zone, fold=fold)
        seconds = int(there.timestamp()) + offset.seconds
        if time.along:
            seconds += int(((there.dst() or timedelta()) - (at.dst() or timedelta())).total_seconds())
        datetime.fromtimestamp(seconds, zone)
    except (OverflowError, OSError, ValueError):
        raise TimeError(name, f"the {name} time is out of range (years 1 to 9999)") from None
    return seconds


class _Parser:
    """Reads one expression, token by token."""

    def __init__(self, text: str, here: datetime) -> None:
        if len(text) > LONGEST:
            raise ValueError(f"expected at most {LONGEST} characters, got {len(text)}")
        self._text = text
        self._here = here
        self._zone = here.tzinfo
        self._place = 0
        self._word = ""
        self._days = 0
        self._next()

    def parse(self) -> _Time:
        word = self._word
        if word in REFERENCES:
            return self._finish(self._reference(REFERENCES[word]), signed=False)
        if word in ("+", "-"):
            return self._finish(_Time(self._here))
        if word.isdigit():
            return self._finish(self._clock_and_day())
        if word in HOURS:
            self._next()
            return self._finish(_Time(self._day(self._at(HOURS[word], 0))))
        if word in MONTHS:
            date = self._day(self._here)
            return self._finish(_Time(self._clock(date) or date))
        if word in DAYS or word in WEEKDAYS:
            return self._finish(_Time(self._day(self._here)))
        raise ValueError(f"unparsable time: {self._rest()}")

    def _next(self) -> str:
        """Go on to the next token, lower case; '' at the end."""
        text, place = self._text, self._place + len(self._word)
        began = place
        while place < len(text) and text[place] in BETWEEN:
            place += 1
        found = TOKEN.match(text, place)
        if found is None and place < len(text):
            raise ValueError(f"unexpected character {text[place]!r}")
        if found is None and began and text[began:].strip():
            raise ValueError(f"unparsable trailing text: '...{text[began:].strip()}'")
        self._place = place
        self._word = found.group().lower() if found else ""
        return self._word

    def _back(self, place: int) -> None:
        self._place, self._word = place, ""
        self._next()

    def _rest(self) -> str:
        return self._text[self._place :]

    def _number(self, missing: str) -> int:
        """Take a number, or say what is missing."""
        digits = self._word
        if not digits.isdigit():
            raise ValueError(missing)
        if len(digits) > LONGEST_NUMBER:
            raise ValueError(f"expected a number of at most {LONGEST_NUMBER} digits, got {digits}")
        self._next()
        return int(digits)

    def _at(self, hour: int, minute: int) -> datetime:
        return self._here.replace(hour=hour, minute=minute, second=0)

    def _reference(self, word: str) -> _Time:
        if self._next() not in ("+", "-") and not self._lost_plus(word):
            if word != "now":
                raise ValueError("'start' or 'end' MUST be followed by +|- offset")
            if self._word:
                raise ValueError("if 'now' is followed by a token it must be +|- offset")
        if word == "epoch":
            return _Time(datetime.fromtimestamp(0, self._zone))
        return _Time(self._here) if word == "now" else _Time(self._here, word, along=True)

    def _lost_plus(self, word: str) -> bool:
        """Say whether a blank and an offset without its sign follow; that of `now` must name its unit."""
        if not self._word.isdigit() or word == "epoch" or self._text[self._place - 1] != " ":
            return False
        place = self._place
        unit = self._next()
        self._back(place)
        return word != "now" or unit in UNITS

    def _clock_and_day(self) -> _Time:
        """Read what begins with a number: a time and perhaps its day, or a date and perhaps its time."""
        clock = self._clock(self._here)
        if clock is not None:
            return _Time(self._day(clock))
        if int(self._word[:LONGEST_NUMBER]) > LEAST_EPOCH:
            return _Time(self._numeric_day(self._here), along=True)
        date = self._day(self._here.replace(hour=0, minute=0, second=0))
        return _Time(self._clock(date) or date)

    def _clock(self, date: datetime) -> datetime | None:
        """Read a time of day for that date; None, and nothing read, where there is none."""
        if not self._word.isdigit() or len(self._word) > 2:
            return None
        place, minute = self._place, 0
        hour = self._number("")
        if self._word == "/":
            self._back(place)
            return None
        if self._word == ".":
            self._next()
            minute, digits = (int(self._word), len(self._word)) if self._word.isdigit() else (0, 0)
            if self._next() == "." or digits != 2 or hour > 23 or minute > 59:
                self._back(place)
                return None
        elif self._word == ":":
            self._next()
            minute = self._number("Parsing HH:MM syntax, expecting MM as number, got none")
            if minute > 59:
                raise ValueError(f"parsing HH:MM syntax, got MM = {minute} (>59!)")
        if self._word in ("am", "pm"):
            if hour > 12:
                raise ValueError("there cannot be more than 12 AM or PM hours")
            hour = hour % 12 + (12 if self._word == "pm" else 0)
            self._next()
        elif hour > 23:
            self._back(place)
            return None
        return date.replace(hour=hour, minute=minute, second=0)

    def _day(self, at: datetime) -> datetime:
        """Read a day, if one follows, and put it in."""
        word = self._word
        if word in DAYS or word in WEEKDAYS:
            self._next()
            # Not `at` itself: as in rrdtool, months that follow count from today's month.
            self._days = DAYS[word] if word in DAYS else WEEKDAYS[word] - at.isoweekday() % 7
            return at
        if word in MONTHS:
            self._next()
            day = self._number("the day of the month should follow month name")
            year = self._number("") if self._word.isdigit() else at.year
            return self._date(at, year, MONTHS[word], day)
        return self._numeric_day(at) if word.isdigit() else at

    def _numeric_day(self, at: datetime) -> datetime:
        number = self._number("")
        if number > LEAST_EPOCH:
            try:
                return datetime.fromtimestamp(number, self._zone)
            except (OverflowError, OSError, ValueError):
                raise ValueError(f"{number} is beyond the year 9999") from None
        if 19700101 < number < 24000101:
            return self._date(at, number // 10000, number // 100 % 100, number % 100)
        separator = self._word
        if number > 31 or separator not in ("/", "."):
            raise ValueError(f"did you really mean month {number}?")
        self._next()
        what = "month" if separator == "." else "day"
        second = self._number(f"there should be {what} number after '{separator}'")
        month, day = (second, number) if separator == "." else (number, second)
        if self._word != separator:
            self._date(at, at.year, month, day)
            raise ValueError(f"there should be year number after {number}{separator}{second}")
        self._next()
        return self._date(at, self._number(f"there should be year number after '{separator}'"), month, day)

    def _date(self, at: datetime, year: int, month: int, day: int) -> datetime:
        if not 1 <= month <= 12:
            raise ValueError(f"did you really mean month {month}?")
        if not 1 <= day <= 31:
            raise ValueError(f"I'm afraid that {day} is not a valid day of the month")
        if 138 < year <= 1970:
            raise ValueError(f"invalid year {year} (should be either 00-99 or >1900)")
        full = year + (2000 if year < 38 else 1900 if year <= 138 else 0)
        if full < 1970:
            raise ValueError("won't handle dates before epoch (01/01/1970), sorry")
        if full > 9999:
            raise ValueError(f"{year} is beyond the year 9999")
        try:
            return at.replace(year=full, month=month, day=day)
        except ValueError:
            raise ValueError(f"there is no day {day} in month {month} of {full}") from None

    def _finish(self, parsed: _Time, *, signed: bool = True) -> _Time:
        """Read the offsets; nothing may follow them. Unless `signed`, the first may lack its sign."""
        parsed.offset.days += self._days
        sign, before = "+", ""
        while self._word in ("+", "-") or (self._word.isdigit() and not signed):
            signed = False
            if not self._word.isdigit():
                sign, before = self._word, ""
                self._next()
            number = self._number(f"There should be number after '{sign}'")
            unit = self._unit(number, before)
            parsed.offset.add(-number if sign == "-" else number, unit)
            before = unit
        if self._word:
            raise ValueError(f"unparsable trailing text: '...{self._rest()}'")
        return parsed

    def _unit(self, number: int, before: str) -> str:
        word = self._word
        if not word.isalpha():
            return "second"
        if word not in UNITS:
            raise ValueError(f"unknown unit '{word}': expected s, min, h, d, w, mon or y")
        self._next()
        if UNITS[word] != "m":
            return UNITS[word]
        if before:
            return "minute" if before in SECONDS else "month"
        return "month" if number < 6 else "minute"
