"""When a file is over, and what it is called then: as Python's TimedRotatingFileHandler has it, which Diamond uses."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Literal

When = Literal["midnight", "S", "M", "H", "D", "W0", "W1", "W2", "W3", "W4", "W5", "W6"]

EPOCH = datetime(1970, 1, 1)
"""In local time, as all here."""
UNITS = {"S": timedelta(seconds=1), "M": timedelta(minutes=1), "H": timedelta(hours=1), "D": timedelta(days=1)}
NAMES = {"S": "%Y-%m-%d_%H-%M-%S", "M": "%Y-%m-%d_%H-%M", "H": "%Y-%m-%d_%H"}
DAY = "%Y-%m-%d"
SUFFIX = re.compile(r"\d{4}-\d\d-\d\d(_\d\d(-\d\d(-\d\d)?)?)?(\.\d+)?")


class Periods:
    """Periods of `interval` units in local time; a week ends with the day that W0 (Monday) to W6 names."""

    def __init__(self, when: When, interval: int) -> None:
        self._unit = UNITS.get(when, UNITS["D"]) * (7 if when.startswith("W") else 1) * interval
        # 1970 began on a Thursday; the week that ends with a Monday begins on the Tuesday before.
        self._begin = EPOCH + timedelta(days=int(when[1]) - 2) if when.startswith("W") else EPOCH
        self._name = NAMES.get(when, DAY)

    def start(self, time: float) -> datetime:
        """Return when the period began that a time lies in."""
        now = datetime.fromtimestamp(time)
        return self._begin + (now - self._begin) // self._unit * self._unit

    def name(self, start: datetime) -> str:
        return start.strftime(self._name)
