"""STON's own SNMP agent: what it tells, as the same tree of fields that the JSON statistics have.

The two layouts differ in where the index of a virtual host stands: `<column>.[minute].[index]` as shipped,
`[index].<column>.[minute]` in the draft that has channels. An index is given to another virtual host when its first
one is removed: names are read each time, and nothing is remembered of an index.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from collectors._ston import oids
from monitor.collector import CollectError, Snmp, SnmpAgent, SnmpValue

Made = TypeVar("Made")
Tree = dict[str, Any]
Fields = dict[str, SnmpValue]
"""By their paths in the tree; what the agent does not have is left out."""

CHANNELS = 10_000
"""In the draft a virtual host's index is a multiple of it, and those of its channels follow."""
AT_ONCE = 4
LAST = 2**31 - 1
KIB = 1024


class Row(NamedTuple):
    number: int
    """The index of a virtual host, or of a channel."""
    name: str
    shipped: bool

    @property
    def channel(self) -> bool:
        return not self.shipped and self.number % CHANNELS != 0


class Agent(NamedTuple):
    """Where to ask, and for the means of how many minutes: 0 is the previous second."""

    snmp: Snmp
    place: SnmpAgent
    server: oids.Server
    minute: int = 5

    @property
    def root(self) -> str:
        return oids.ROOTS[self.server]

    async def memory(self) -> float:
        """Return the bytes of the machine's memory, which the JSON of a Media Server does not tell."""
        for value in (await self._read(self._scalars(oids.TOTAL))).values():
            if isinstance(value, int):
                return float(value * KIB)
        raise CollectError(f"{self.place.host}: the SNMP agent does not tell it below {self.root} ({self.server})")

    async def read(self, made: Callable[[Tree], Made]) -> tuple[Tree, list[Made]]:
        """Return everything as the JSON's Host, and what is made of each virtual host."""
        host = await self.host()
        found = []
        for vhost in host["VirtualHost"]:
            found.append(made(vhost))
            await asyncio.sleep(0)
        return host, found

    async def host(self) -> Tree:
        """Return everything, as the JSON's Host."""
        fields = await self._read(
            self._scalars(oids.META | oids.TOTAL)
            | self._timed("", oids.SYSTEM)
            | self._timed(f"{oids.HOST}.", oids.flows(self.server))
        )
        if not fields:
            raise CollectError(f"{self.place.host}: the SNMP agent tells nothing below {self.root} ({self.server})")
        # A row without a name is an index that the agent keeps free.
        rows = [row async for row in self._rows() if row.name]
        host = tree(fields)
        host["VirtualHost"] = list(nested(rows, await self._vhosts(rows)))
        return host

    def _scalars(self, columns: oids.Columns) -> dict[str, str]:
        """Ask for them with the final 0 that a scalar has, and without, as the manual writes them."""
        return {f"{self.root}.{oid}{end}": path for path, oid in columns.items() for end in (".0", "")}

    def _timed(self, row: str, columns: oids.Columns) -> dict[str, str]:
        return {f"{self.root}.{row}{oid}.{self.minute}": path for path, oid in columns.items()}

    async def _read(self, asked: Mapping[str, str]) -> Fields:
        """Ask for OIDs and return the fields that there are, by their paths."""
        found = await self.snmp.get(self.place, list(asked))
        return {asked[oid]: text(value) if isinstance(value, bytes) else value
                for oid, value in found.items() if value is not None}  # fmt: skip

    async def _rows(self) -> AsyncIterator[Row]:
        """Yield the virtual hosts and channels that there are now."""
        below = f"{self.root}.{oids.VHOSTS}."
        found = await self.snmp.next(self.place, below.removesuffix("."))
        if found is None or not found[0].startswith(below):
            return
        first = int(found[0].removeprefix(below).split(".")[0])
        if first < CHANNELS:
            names = await self.snmp.walk(self.place, f"{below}1.{oids.NAME}")
            for oid, name in names.items():
                yield Row(int(oid.rpartition(".")[2]), text(name), True)
            return
        numbers = [first]
        while (found := await self.snmp.next(self.place, f"{below}{numbers[-1]}.{LAST}")) is not None:
            if not found[0].startswith(below):
                break
            numbers.append(int(found[0].removeprefix(below).split(".")[0]))
            if numbers[-1] <= numbers[-2]:
                raise CollectError(f"{self.place.host}: after virtual host {numbers[-2]} comes {numbers[-1]}")
        names = await self.snmp.get(self.place, [f"{below}{number}.{oids.NAME}" for number in numbers])
        for number, name in zip(numbers, names.values(), strict=True):
            yield Row(number, text(name), False)

    async def _vhosts(self, rows: list[Row]) -> list[Tree]:
        """Return the fields of each row, a few at a time. Where the first one has a sum, no mean is asked for."""
        asked = {path: oid for path, oid in oids.COLUMNS[self.server].items()
                 if self.minute or oids.sum_of(path) != path}  # fmt: skip
        if not rows:
            return []
        first = await self._vhost(rows[0], asked)
        for path in [path for path in asked if oids.sum_of(path) != path and oids.sum_of(path) in first]:
            del asked[path]
            first.pop(path, None)
        found = [tree(first)]
        for begin in range(1, len(rows), AT_ONCE):
            few = await asyncio.gather(*(self._vhost(row, asked) for row in rows[begin : begin + AT_ONCE]))
            found += [tree(fields) for fields in few]
        return found

    async def _vhost(self, row: Row, columns: oids.Columns) -> Fields:
        asked = {self._oid(row, f"{oid}.{self.minute}"): path for path, oid in columns.items()
                 if not (row.channel and oid.startswith("10."))}  # fmt: skip
        facts = {"State": oids.STATE, "Uptime": oids.UPTIME} | ({} if row.shipped else {"Type": oids.KIND})
        asked |= {self._oid(row, str(oid)): path for path, oid in facts.items()}
        found = await self._read(asked)
        if isinstance(memory := found.get("Memory"), int):
            found["Memory"] = memory * KIB
        return found

    def _oid(self, row: Row, column: str) -> str:
        if row.shipped:
            return f"{self.root}.{oids.VHOSTS}.1.{column}.{row.number}"
        return f"{self.root}.{oids.VHOSTS}.{row.number}.{column}"


def nested(rows: Iterable[Row], trees: Iterable[Tree]) -> Iterator[Tree]:
    """Yield virtual hosts, their channels in them."""
    vhosts: dict[int, Tree] = {}
    for row, found in zip(rows, trees, strict=True):
        named = {"Name": row.name, **found}
        if "Type" in named:
            named["Type"] = str(named["Type"]).lower()
        if "ClientTraffic" in named:
            # The Edge oids.Server's JSON has one for each directory.
            named["ClientTraffic"] = {"Traffic": [named["ClientTraffic"]]}
        if not row.channel:
            vhosts[row.number] = named
        elif vhost := vhosts.get(row.number - row.number % CHANNELS):
            vhost.setdefault("Channel", []).append(named | {"Name": of_channel(row.name, vhost["Name"])})
    yield from vhosts.values()


def of_channel(name: str, vhost: str) -> str:
    """Return the channel's own name: the agent tells it behind the virtual host's name, or behind the path in that."""
    for before in (vhost, vhost[vhost.find("/") :] if "/" in vhost else ""):
        if before and name.startswith(f"{before}/"):
            return name.removeprefix(before)
    return name


def tree(fields: Fields) -> Tree:
    found: Tree = {}
    for path, value in fields.items():
        *parents, last = path.split(".")
        inner = found
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return found


def text(value: SnmpValue) -> str:
    return value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else ""
