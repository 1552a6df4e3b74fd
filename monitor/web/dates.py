"""Dates as people and Kurado's pages write them, beside RRDtool's time expressions: 2026-11-20 12:15, RFC 1123's."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

DATE = re.compile(
    r"(?P<date>\d{4}[-/]\d{1,2}[-/]\d{1,2})"
    r"(?:(?:[T_]|\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?)?"
    r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?",
    re.ASCII | re.IGNORECASE,
)
QUARTER = 900


def epoch_of(text: str, tz: str) -> str:
    """Return a date as a number of epoch seconds, in this time zone unless it says one; '' where it is no date."""
    text = text.strip()
    try:
        at = _iso(text, tz) or (parsedate_to_datetime(text) if text[-3:].upper() == "GMT" else None)
        return f"{at.timestamp():.0f}" if at and at.year >= 1970 else ""
    except (ValueError, OverflowError):
        return ""


def shown(at: float, tz: str) -> str:
    """Return a time as pages show it in their fields."""
    return datetime.fromtimestamp(at, ZoneInfo(tz)).strftime("%Y-%m-%d %H:%M")


def quarter(at: float) -> int:
    """Return the quarter of an hour that a time lies in, by its begin."""
    return int(at) // QUARTER * QUARTER


def _iso(text: str, tz: str) -> datetime | None:
    found = DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = map(int, re.split("[-/]", found["date"]))
    clock = (int(found["hour"] or 0), int(found["minute"] or 0), int(found["second"] or 0))
    return datetime(year, month, day, *clock, tzinfo=_zone(found["zone"], tz))


def _zone(text: str | None, tz: str) -> ZoneInfo | timezone:
    if not text:
        return ZoneInfo(tz)
    if text[0] not in "+-":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
