"""What is published of each metricset: rows of an instance with what is told of it."""

from __future__ import annotations

import calendar
import re
from typing import Any, NamedTuple

from collectors._sora import documents
from collectors._sora.connections import MOVED, Connections, Moved
from collectors._sora.pieces import each, mapping
from collectors._sora.walk import Names, Told, kind, labelled, walk

MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


class Said(NamedTuple):
    """What came of an answer: rows to publish, and its documents where they are wanted, one a line."""

    rows: list[Row]
    documents: list[bytes]


class Row(NamedTuple):
    """What is told of an instance; '' is Sora itself. A connection's `channel` is the one that it is in."""

    instance: str
    told: Told
    channel: str = ""
    connection: str = ""


async def stats(body: bytes, names: Names) -> Said:
    tree = mapping(body, "Sora's statistics")
    return Said([Row("", walk(tree, names))], [documents.stats(tree)])


async def license(body: bytes, names: Names) -> Said:
    tree = mapping(body, "Sora's licence")
    found = {f"license.{key}": value for key, value in tree.items()}
    month = MONTH.fullmatch(str(tree.get("expired_at")))
    if month:  # it ends with its last second
        year, number = int(month[1]), int(month[2])
        after = (year + number // 12, number % 12 + 1, 1, 0, 0, 0)
        found["license.expired_at_timestamp_seconds"] = calendar.timegm(after) - 1
    return Said([Row("", walk(found, names))], [documents.stats(tree)])


async def cluster(body: bytes, names: Names) -> Said:
    nodes: list[dict[str, Any]] = []
    await each(body, "a list of the cluster's nodes", nodes.append)
    connected = sum(node.get("connected") is True for node in nodes)
    told = walk({"cluster_nodes": len(nodes), "cluster_nodes_connected": connected}, names)
    for node in nodes:
        if label := labelled(node):
            walk(node, names, f"cluster_node.{label}.", told)
    return Said([Row("", told)], [documents.stats(node) for node in nodes])


async def connections(body: bytes, known: Connections, wanted: bool) -> Said:
    """Return the sums of all, those of each channel, and the connections whose turn it is; `wanted` are documents."""
    poll = known.poll()
    lines: list[bytes] = []

    def take(tree: dict[str, Any]) -> None:
        poll.take(tree)
        if wanted:
            lines.append(documents.connection(tree))

    await each(body, "a list of connections", take)
    known.keep(poll)
    channels = list(known.current())
    whole = _sums(
        known.moved, connections=sum(sums.connections for _, sums in channels), channels=len(channels),
        **({"connections_left_out": known.left_out} if known.turns else {}),
    )  # fmt: skip
    found = [Row("", whole)]
    for name, sums in channels:
        told = _sums(sums.moved, connections=sums.connections)
        told.texts |= {"vhost": name, "channel_id": name}
        if name:  # without one it is in the sums of all
            found.append(Row(name, told, name))
    for one in poll.due:
        one.told.texts |= {"vhost": one.channel, "channel": f"/{one.id}"}
        found.append(Row(f"{one.channel}/{one.id}", one.told, one.channel, one.id))
    return Said(found, lines)


def _sums(moved: Moved, **gauges: int) -> Told:
    told = Told(dict(gauges))
    for name, value in zip(MOVED, moved, strict=True):
        told.values[name], told.kinds[name] = value, kind(f"total_{name}")
    return told
