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
SIZES = ("1k", "2k", "4k", "8k", "16k", "32k", "64k", "128k", "256k", "512k", "1m", "2m", "4m", "8m", "16m", "32m",
         "64m", "128m", "256m", "512m", "1g", "2g", "4g", "8g", "16g")  # fmt: skip
"""The sizes of files, each under it and not under the one before."""
CODES = ("none", "hit", "ims_hit", "refresh_hit", "ref_fail_hit", "negative_hit", "redirect_hit", "miss",
         "refresh_miss", "client_refresh_miss", "denied", "error", "rt_hit")  # fmt: skip
"""The codes with which a request is answered."""
METHODS = {"connect": "NetConnection.Connect", "create_stream": "NetConnection.CreateStream", "play": "NetStream.Play",
           "close": "NetStream.Close", "delete": "NetStream.Delete", "seek": "NetStream.Seek",
           "pause": "NetStream.Pause"}  # fmt: skip


class How(Enum):
    """What is made of a field."""

    VALUE = "as it stands"
    RATE = "its Sum in the window by the seconds of the window; without Sum the mean per second"
    TIME = "mean time by the rate of what it is the mean of: seconds per second, which can be summed"


class Field(NamedTuple):
    """A row. In a path `{X}` stands for the protocol and `{S}` for the side; a name with `*` is of a protocol.

    The number is divided by `over`; `of` is the path of what a mean time is the mean of.
    """

    name: str
    unit: str
    help: str
    path: str
    documented: bool
    how: How = How.VALUE
    of: str = ""
    over: float = 1.0
    min: float = 0.0
    max: float = math.inf

    def of_protocol(self, protocol: str) -> str:
        """Return the name of one protocol's series."""
        return self.name.replace("*", protocol)

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
