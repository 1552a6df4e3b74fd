"""Kurado's files: ADDRESS/PLUGIN/KEY.rrd, one data source `n` in each, and its archives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from monitor.handler import Kind, Source

ARCHIVES = ("1:2880", "5:2880", "60:960", "1440:1100")
"""Kurado's, as PDPs a row and rows: 2 days, 10 days, 40 days and 3 years at a step of a minute."""
FUNCTIONS = ("AVERAGE", "MIN", "MAX")
ARCHIVE = re.compile(r"[1-9]\d{0,8}:[1-9]\d{0,8}", re.ASCII)
LONGEST = 255
"""Bytes of a file's name."""
LONGEST_LINE = 4000
"""Bytes of a command that rrdcached reads."""


class Shape(NamedTuple):
    """What a file is made with."""

    step: int
    archives: Sequence[str]
    derive_min: str

    def words(self, kind: str) -> str:
        """Return the data source and the archives; `kind` is RRDtool's."""
        least = self.derive_min if kind.endswith("DERIVE") else "U"
        archives = (f"RRA:{function}:0.5:{archive}" for function in FUNCTIONS for archive in self.archives)
        return " ".join((f"DS:n:{kind}:{2 * self.step}:{least}:U", *archives))


def directory(source: Source) -> str | None:
    """Return the directory of a source's files; None where its name would be too long."""
    host = quote(source.host, safe=":-_~.", errors="replace") or "_"
    if host.strip(".") == "":
        host = host.replace(".", "%2E")
    plugin = source.collector + (f":{source.instance}" if source.instance else "")
    # As Kurado escapes it: the dot, too.
    plugin = quote(plugin, safe="-_", errors="replace").replace(".", "%2E").replace("~", "%7E")
    return f"{host}/{plugin}" if plugin and max(len(host), len(plugin)) <= LONGEST else None


def file(name: str, kind: Kind) -> str | None:
    """Return the name of a series' file; None where it would be too long."""
    # A key that came under two kinds has kept its suffix.
    key = name if name.endswith(f".{kind}") else f"{name}.{kind}"
    escaped = quote(key, safe="-._~!*()", errors="replace") + ".rrd"
    return escaped if len(escaped) <= LONGEST else None
