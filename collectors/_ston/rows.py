"""Virtual hosts and channels as rows of numbers, and what they amount to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from collectors._ston.columns import Plan, Plans, Tree
from collectors._ston.edge import as_media, is_edge
from collectors._ston.pieces import listed

AT_ONCE = 40
"""Rows that are worked out at a time: about a millisecond."""


class Row(NamedTuple):
    """A virtual host or channel as it was told: its facts and its numbers."""

    name: str
    meta: dict[str, str]
    plan: Plan
    numbers: list[Any]

    @property
    def channel(self) -> bool:
        return "channel" in self.meta


class Told(NamedTuple):
    """What is to be published of an instance."""

    name: str
    meta: dict[str, str]
    values: dict[str, float]


def rows(vhost: Any, plans: Plans) -> list[Row]:
    """Return a virtual host and its channels; nothing of one without a name."""
    if not isinstance(vhost, dict) or not vhost.get("Name"):
        return []
    name = str(vhost["Name"])
    edge = is_edge(vhost)
    meta = {"vhost": name, "server": "edge" if edge else "media", **facts(vhost, "Type")}
    found = [Row(name, meta | facts(vhost, "State"), *plans.take(as_media(vhost) if edge else vhost))]
    for channel in listed(vhost.get("Channel")):
        if isinstance(channel, dict) and channel.get("Name"):
            part = {"channel": str(channel["Name"]), **facts(channel, "State")}
            found.append(Row(name + part["channel"], meta | part, *plans.take(channel)))
    return found


def server(host: Tree, plans: Plans) -> Told:
    """Return what Host tells of the server itself."""
    edge = is_edge(host)
    plan, numbers = plans.take(as_media(host) if edge else host)
    (values,) = plan.work_out([numbers]).tolist()
    meta = {"server": "edge" if edge else "media", **facts(host, "Version", "Name", "State")}
    return Told("", meta, dict(zip(plan.names, values, strict=True)))


async def told(found: Sequence[Row], whole: dict[str, float]) -> AsyncIterator[Told]:
    """Yield all rows as what is to be published; add up in `whole` what the virtual hosts amount to."""
    by_plan: dict[Plan, dict[str, Row]] = {}
    names: set[str] = set()
    # A virtual host's name counts more than the same name that a channel happens to make.
    for row in sorted(found, key=lambda row: row.channel):
        if row.name not in names:
            names.add(row.name)
            by_plan.setdefault(row.plan, {})[row.name] = row
    for plan, alike in by_plan.items():
        left = iter(alike.values())
        while some := list(islice(left, AT_ONCE)):
            values = plan.work_out([row.numbers for row in some])
            vhosts = [i for i, row in enumerate(some) if not row.channel]
            if vhosts:
                _add(whole, plan.names, values[vhosts].sum(axis=0).tolist())
            for row, numbers in zip(some, values.tolist(), strict=True):
                yield Told(row.name, row.meta, dict(zip(plan.names, numbers, strict=True)))
            await asyncio.sleep(0)


def _add(whole: dict[str, float], names: Iterable[str], values: Iterable[float]) -> None:
    for name, value in zip(names, values, strict=True):
        whole[name] = whole.get(name, 0.0) + value


def facts(tree: Mapping[str, Any], *keys: str) -> dict[str, str]:
    """Return text facts by their keys in lower case, where they are there."""
    return {key.lower(): str(tree[key]) for key in keys if isinstance(tree.get(key), str | int | float)}
