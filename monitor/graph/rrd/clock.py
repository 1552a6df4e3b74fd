"""Local times of rows: their offset to UTC, and where a day, week, month or year begins."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Floats

Times = NDArray[np.int64]
DAY = 86400
FARTHEST = 250_000_000_000  # seconds from 1970 in which the calendar is known


def offsets(times: Times, tz: str) -> Times:
    """Return the seconds to add to times, which rise, to make them local."""
    if tz == "UTC" or not len(times):
        return np.zeros(len(times), dtype=np.int64)
    zone = ZoneInfo(tz)

    def at(place: int) -> int:
        moment = datetime.fromtimestamp(int(np.clip(times[place], -DAY * 365 * 60, FARTHEST)), zone)
        offset = moment.utcoffset()
        return int(offset.total_seconds()) if offset else 0

    found = np.empty(len(times), dtype=np.int64)
    step = max(1, DAY * (len(times) - 1) // max(1, int(times[-1] - times[0])))
    # clocks change at most once between two places so close
    for begin in range(0, len(times), step):
        end = min(begin + step, len(times)) - 1
        first, last = at(begin), at(end)
        if first == last:
            found[begin : end + 1] = first
        else:
            found[begin : end + 1] = [at(place) for place in range(begin, end + 1)]
    return found


def local(times: Times, tz: str) -> Times:
    return times + offsets(times, tz)


def begins(period: str, times: Times, step: int, tz: str) -> Floats:
    """Return 1 for each time that lies in another `period` (NEWDAY, NEWWEEK …) than the time one step before.

    A week begins on Sunday, as for an rrdtool without a locale.
    """
    now, before = (local(one, tz).astype("datetime64[s]") for one in (times, times - step))
    if period == "NEWWEEK":
        days = [(one.astype("datetime64[D]").astype(np.int64) + 4) % 7 for one in (now, before)]  # 0 is Sunday
        return _floats((days[0] == 0) & (days[0] != days[1]))
    years = [one.astype("datetime64[Y]") for one in (now, before)]
    if period == "NEWYEAR":
        return _floats(years[0] != years[1])
    months = [one.astype("datetime64[M]") for one in (now, before)]
    if period == "NEWMONTH":
        parts = [month - year.astype("datetime64[M]") for month, year in zip(months, years, strict=True)]
    else:
        dates = [one.astype("datetime64[D]") for one in (now, before)]
        parts = [date - month.astype("datetime64[D]") for date, month in zip(dates, months, strict=True)]
    return _floats(parts[0] != parts[1])


def _floats(found: NDArray[np.bool_]) -> Floats:
    return found.astype(np.float64)
