"""Graphs as pages embed them, and the rows of lists of virtual hosts and channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode

from monitor.collector import Collector
from monitor.web.instances import Instance
from monitor.web.targets import ALL

LARGE = (1100, 420)
THUMBNAIL = (150, 44)
MOST_ROWS = 500


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
    """A virtual host or channel in a list."""

    found: Instance
    url: str
    channels: int
    thumbnails: list[Shown]


def called(query: Mapping[str, str | int]) -> str:
    """Return the call that draws a target of an instance."""
    return "/graph_vhost?" + urlencode(query)


def page_of(host: str, name: str, **more: str) -> str:
    return "/vhost?" + urlencode({"host": host, "vhost": name, **more})


def rows(host: str, cls: type[Collector], found: Iterable[Instance], *, vhost: str | None = None) -> list[Row]:
    """Return the virtual hosts with the number of their channels, or with `vhost` its channels.

    What is gone comes last. `host` is what `host=` calls their servers.
    """
    counts: dict[str, int] = {}
    listed = []
    for one in found:
        counts[one.vhost] = counts.get(one.vhost, 0) + bool(one.channel and not one.gone)
        if (one.channel and one.vhost == vhost) if vhost is not None else not one.channel:
            listed.append(one)
    listed.sort(key=lambda one: (one.gone, one.name))
    made = []
    for number, one in enumerate(listed):
        # what the page leaves out is only counted
        small = thumbnails(cls, {"host": host, "vhost": one.name}) if number < MOST_ROWS else []
        made.append(Row(one, page_of(host, one.name), counts[one.vhost], small))
    return made


def thumbnails(cls: type[Collector], query: Mapping[str, str]) -> list[Shown]:
    """Return the small graphs of an instance."""
    width, height = THUMBNAIL
    found = []
    for name in cls.thumbnails or tuple(cls.instance_targets)[:1]:
        drawn = cls.instance_targets[name]
        graph = drawn.get(ALL) or next(iter(drawn.values()))
        call: dict[str, str | int] = {"target": name, "start": "-1d", **query}
        small = {**call, "width": width, "height": height, "only": 1}
        found.append(
            Shown(graph.title, called(small), called({**small, "zoom": 2}), called(call), width, height, called(call))
        )
    return found
