"""A small SNMP agent for tests: answers get, get-next and get-bulk of v1 and v2c from a table of OIDs, over UDP.

What a real one may do wrong is a switch: stay silent, lose requests, mangle its answers, walk in a circle.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Self

INTEGER, OCTETS, NULL, OID, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
GAUGE = 0x42
NO_SUCH_INSTANCE, END = 0x81, 0x82
GET, GET_NEXT, RESPONSE, GET_BULK = 0xA0, 0xA1, 0xA2, 0xA5
TOO_BIG, NO_SUCH_NAME = 1, 2

Value = int | str | bytes | tuple[int, bytes]
"""A tuple is a tag and its content as they go out."""
Arcs = tuple[int, ...]


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def integer(value: int, tag: int = INTEGER) -> bytes:
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(arcs: Arcs) -> bytes:
    content = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(0x80 | arc & 0x7F)
        content += bytes(reversed(septets))
    return tlv(OID, bytes(content))


def value_of(value: Value) -> bytes:
    if isinstance(value, int):
        return integer(value)
    if isinstance(value, tuple):
        return tlv(*value)
    return tlv(OCTETS, value.encode() if isinstance(value, str) else value)


def parts(data: bytes) -> list[tuple[int, bytes]]:
    """Take apart what stands one after the other in `data`: tags and contents."""
    found, at = [], 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            more = size & 0x7F
            size, at = int.from_bytes(data[at : at + more], "big"), at + more
        found.append((tag, data[at : at + size]))
        at += size
    return found


def arcs_of(content: bytes) -> Arcs:
    arcs, arc = [], 0
    for octet in content:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    return (*divmod(arcs[0], 40), *arcs[1:])


def arcs(text: str) -> Arcs:
    return tuple(int(arc) for arc in text.strip(".").split("."))


class Agent(asyncio.DatagramProtocol):
    """Serves `table`; `requests` are the kinds of what it was asked, `asked` how often for which OID."""

    def __init__(self, table: Mapping[str, Value], *, community: str = "public", largest: int = 1472) -> None:
        self.community = community
        self.largest = largest
        self.table: dict[Arcs, Value] = {}
        self.serve(table)
        self.requests: list[int] = []
        self.asked: Counter[str] = Counter()
        self.lose = 0
        """So many requests are not answered."""
        self.twice = False
        self.circle = False
        """After the last OID comes the first one."""
        self.fail = 0
        """Answer with this error status."""
        self.mangle: Callable[[bytes], bytes] | None = None
        self.versions: set[int] = set()

    def serve(self, table: Mapping[str, Value]) -> None:
        self.table = dict(sorted((arcs(name), value) for name, value in table.items()))
        self._order = list(self.table)

    async def start(self, host: str = "127.0.0.1") -> Self:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))
        self.port: int = self.transport.get_extra_info("sockname")[1]
        return self

    async def stop(self) -> None:
        self.transport.close()
        await asyncio.sleep(0)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        ((_, message),) = parts(data)
        (_, version), (_, community), (kind, pdu) = parts(message)
        (_, number), (_, second), (_, third), (_, varbinds) = parts(pdu)
        self.requests.append(kind)
        self.versions.add(version[0])
        if community.decode() != self.community or self.lose:
            self.lose -= self.lose > 0
            return
        names = [arcs_of(parts(varbind)[0][1]) for _, varbind in parts(varbinds)]
        self.asked.update(".".join(map(str, name)) for name in names)
        answer = self._answer(kind, version[0], number, names, second[-1], int.from_bytes(third, "big"))
        answer = tlv(SEQUENCE, tlv(INTEGER, version) + tlv(OCTETS, community) + answer)
        if self.mangle is not None:
            answer = self.mangle(answer)
        for _ in range(2 if self.twice else 1):
            self.transport.sendto(answer, addr)

    def _answer(self, kind: int, version: int, number: bytes, names: list[Arcs], first: int, most: int) -> bytes:
        status, where = self.fail, bool(self.fail)
        if kind == GET_BULK:
            varbinds = self._bulk(names, first, most)
        else:
            found = [self._get(name) if kind == GET else self._next(name) for name in names]
            missing = [i for i, (_, value) in enumerate(found, 1) if value in ((NO_SUCH_INSTANCE, b""), (END, b""))]
            if version == 0 and missing:
                status, where = NO_SUCH_NAME, missing[0]
            varbinds = [tlv(SEQUENCE, oid(name) + value_of(value)) for name, value in found]
        if sum(map(len, varbinds)) > self.largest and kind != GET_BULK:
            status, where, varbinds = TOO_BIG, 0, []
        return tlv(
            RESPONSE,
            tlv(INTEGER, number) + integer(status) + integer(where) + tlv(SEQUENCE, b"".join(varbinds)),
        )

    def _get(self, name: Arcs) -> tuple[Arcs, Value]:
        return name, self.table.get(name, (NO_SUCH_INSTANCE, b""))

    def _next(self, name: Arcs) -> tuple[Arcs, Value]:
        at = bisect_right(self._order, name)
        if at == len(self._order):
            if not self.circle:
                return name, (END, b"")
            at = 0
        return self._order[at], self.table[self._order[at]]

    def _bulk(self, names: list[Arcs], first: int, most: int) -> list[bytes]:
        """As many rounds as are asked for and fit: what is too much is left out, as agents do."""
        varbinds, size = [], 0
        for round_ in range(most + bool(first)):
            asked = names[:first] if round_ == 0 and first else names[first:]
            found = [self._next(name) for name in asked]
            for name, value in found:
                varbinds.append(tlv(SEQUENCE, oid(name) + value_of(value)))
                size += len(varbinds[-1])
                if size > self.largest:
                    return varbinds[:-1]
            if round_ or not first:
                names = [*names[:first], *(name for name, _ in found)]
        return varbinds
