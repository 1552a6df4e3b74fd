"""A row of the collector's table: a series, the field that it comes from, and how."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import NamedTuple

from monitor.collector import Gauge

PROTOCOLS = {"rtmp": "Rtmp", "http": "Http", "hls": "Hls", "mpegdash": "MpegDash"}
"""The protocols in STON's words."""
EACH = ("all", *PROTOCOLS)
SIDES = {"client": "Client", "origin": "Origin"}


class How(Enum):
    """What is made of a field."""

    VALUE = "as it stands"
    RATE = "its Sum in the window by the seconds of the window; without Sum the mean per second"
    TIME = "mean time by the rate of what it is the mean of: seconds per second, which can be summed"


class Field(NamedTuple):
    """`{X}` in a path stands for the protocol and `{S}` for the side; `of` is the path of what a mean time counts.

    A name with `*` is of a protocol.
    """

    name: str
    unit: str
    help: str
    path: str
    documented: bool
    how: How = How.VALUE
    of: str = ""
    scale: float = 1.0
    min: float = 0.0
    max: float = math.inf

    def side(self, side: str) -> Field:
        """Return the row of one side, 'client' or 'origin'."""
        word = SIDES[side]
        return self._replace(
            name=self.name.replace("*.", f"*.{side}.", 1)
            if "*" in self.name
            else self.name.replace(".", f".{side}.", 1),
            path=self.path.replace("{S}", word),
            of=self.of.replace("{S}", word),
            help=f"{self.help}, {side}'s side",
        )


def both(rows: Iterable[Field]) -> Iterator[Field]:
    """Yield rows for either side."""
    for row in rows:
        yield from map(row.side, SIDES)


def gauges(*tables: Iterable[Field]) -> Mapping[str, Gauge]:
    """Return the metrics of tables by the names of their series."""
    return {
        row.name: Gauge(row.unit, row.help, name=row.name, min=row.min, max=row.max)
        for table in tables
        for row in table
    }
