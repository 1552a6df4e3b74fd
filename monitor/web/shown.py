"""Graphs as pages embed them, and the rows of lists of virtual hosts and channels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode

from monitor.collector import Collector, Metric
from monitor.graph.units import short, text
from monitor.web.instances import Instance
from monitor.web.targets import ALL

LARGE = (1100, 420)
THUMBNAIL = (150, 44)
MOST_ROWS = 500
NAME = "name"
Newest = Mapping[str, Mapping[str, float]]
"""The newest values of instances, by their name and that of the series."""


class Shown(NamedTuple):
    """A graph as the page embeds it; `call` draws it as it is, for scripts."""

    title: str
    url: str
    sharp: str
    large: str
    width: int
    height: int
    call: str
    narrow: tuple[str, str, int, int] | None = None
    """The same for a phone, at both densities, and its size."""


class Pictured(NamedTuple):
    """A graph of a host with its pictures of one or several terms, each with the time that it shows in words."""

    graph: str
    title: str
    pictures: list[tuple[str, Shown]]


@dataclass(frozen=True, slots=True)
class Row:
    """A virtual host or channel in a list; `values` are those of the columns, in words."""

    found: Instance
    url: str
    channels: int
    thumbnails: list[Shown]
    values: list[str]


@dataclass(frozen=True, slots=True)
class Rows:
    """A list of instances: of all that there are (`count`) the first few, and the address of the page with all."""

    cls: type[Collector]
    columns: Sequence[Metric]
    rows: list[Row]
    count: int
    url: str
    sort: str

    def sorted_by(self, name: str) -> str:
        return f"{self.url}&{urlencode({'sort': name})}"


def written(value: float, unit: str) -> str:
    """Return a value as lists show it: of what is counted per second it is said, as units of the graphs do not."""
    if not unit.endswith("/s") and value.is_integer() and abs(value) < 10_000:
        return f"{value:.0f}"
    rate = "/s" if unit.endswith("/s") and not short(unit) and math.isfinite(value) else ""
    return text(value, 1000, unit) + rate


def called(query: Mapping[str, str | int]) -> str:
    """Return the call that draws a target of an instance."""
    return "/graph_vhost?" + urlencode(query)


def page_of(host: str, name: str, **more: str) -> str:
    return "/vhost?" + urlencode({"host": host, "vhost": name, **more})


def rows(
    host: str, cls: type[Collector], found: Iterable[Instance], newest: Newest, *, vhost: str | None = None,
    sort: str = "", most: int = MOST_ROWS,
) -> Rows:  # fmt: skip
    """Return the virtual hosts with the number of their channels, or with `vhost` its channels.

    What is gone comes last. `host` is what `host=` calls their servers. The largest of a column comes first where there
    are columns; `name` sorts by name.
    """
    counts: dict[str, int] = {}
    found = list(found)
    for one in found:
        counts[one.vhost] = counts.get(one.vhost, 0) + bool(one.channel and not one.gone)
    listed, columns, sort = ordered(cls, found, newest, vhost=vhost, sort=sort)
    made = []
    for one in listed[:most]:
        small = thumbnails(cls, {"host": host, "vhost": one.name}, part=bool(one.channel))
        known = newest.get(one.name, {})
        told = [written(known.get(metric.name, math.nan), metric.unit) for metric in columns]
        made.append(Row(one, page_of(host, one.name), counts[one.vhost], small, told))
    url = "/vhosts?" + urlencode(
        {"host": host, "collector": cls.path, **({"vhost": vhost} if vhost is not None else {})}
    )
    return Rows(cls, columns, made, len(listed), url, sort)


def ordered(
    cls: type[Collector], found: Iterable[Instance], newest: Newest, *, vhost: str | None, sort: str
) -> tuple[list[Instance], list[Metric], str]:
    """Return what a list shows, in its order, the columns that have values, and what it is sorted by."""
    listed = [one for one in found if ((one.channel and one.vhost == vhost) if vhost is not None else not one.channel)]
    kept = {name for one in listed for name in newest.get(one.name, {})}
    columns = [metric for metric in cls.columns if metric.name in kept]
    if sort not in (NAME, *(metric.name for metric in columns)):
        sort = columns[0].name if columns else NAME

    def order(one: Instance) -> tuple[bool, float, str]:
        value = newest.get(one.name, {}).get(sort, math.nan)
        return one.gone, math.inf if math.isnan(value) else -value, one.name

    return sorted(listed, key=order), columns, sort


def thumbnails(cls: type[Collector], query: Mapping[str, str], *, part: bool) -> list[Shown]:
    """Return the small graphs of an instance, or of one that is part of another."""
    width, height = THUMBNAIL
    found = []
    for name in cls.thumbnails or tuple(cls.instance_targets)[:1]:
        if part and name in cls.whole_targets:
            continue
        drawn = cls.instance_targets[name]
        graph = drawn.get(ALL) or next(iter(drawn.values()))
        call: dict[str, str | int] = {"target": name, "start": "-1d", **query}
        small = {**call, "width": width, "height": height, "only": 1}
        found.append(
            Shown(graph.title, called(small), called({**small, "zoom": 2}), called(call), width, height, called(call))
        )
    return found
