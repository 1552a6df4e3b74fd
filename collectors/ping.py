"""Round trip times; names are those of Diamond's PingCollector: the host with `_` for `.`.

An ICMP echo where the system allows that (net.ipv4.ping_group_range), else the time to connect by TCP, where a
refusal is an answer as well. Who does not answer has no value, unless `lost` says which (Diamond's was 10000).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import time
from typing import Any, Literal

from monitor.collector import CollectError, Collector, Gauge, Graph, Line, Seconds, option

ECHO = {socket.AF_INET: (8, 0, socket.IPPROTO_ICMP), socket.AF_INET6: (128, 129, socket.IPPROTO_ICMPV6)}
"""The types of a request and of its reply, and the protocol, by the family of addresses."""


def request(kind: int, number: int, token: bytes) -> bytes:
    """Return an echo request. The kernel writes its identifier and checksum."""
    return struct.pack("!BBHHH", kind, 0, 0, 0, number) + token


def answers(packet: bytes, kind: int, number: int, token: bytes) -> bool:
    """Tell whether a packet is the reply to that request."""
    return len(packet) >= 8 and packet[0] == kind and packet[6:8] == number.to_bytes(2) and packet[8:] == token


class PingCollector(Collector):
    path = "ping"
    listed = {"target_": "hosts"}

    hosts: list[str] = option([], "names or addresses of hosts to ask; by default the watched host")
    method: Literal["auto", "icmp", "tcp"] = option("auto", "icmp, tcp, or auto: icmp where it is allowed, else tcp")
    tcp_port: int = option(80, "port to connect to by TCP", min=1, max=65535)
    patience: Seconds = option(Seconds(5), "how long an answer may take", min=0.01, max=60)
    lost: float | None = option(None, "value of a host that does not answer; Diamond's was 10000")
    max_hosts: int = option(200, "refuse a list of more hosts", min=1, max=10_000)
    at_once: int = option(50, "how many are asked at the same time", min=1, max=1000)

    trip = Gauge("ms", "round trip time of one packet", name="*")

    graphs = (Graph("ping", "Round trip time", Line(trip, "time", "1f78b4"), unit="ms"),)

    async def collect(self) -> None:
        targets = list(dict.fromkeys(self.hosts)) or [self.host.address]
        if len(targets) > self.max_hosts:
            raise CollectError(f"expected at most {self.max_hosts} hosts, got {len(targets)}")
        for target in targets:
            if not target or len(target) > 253 or not all(letter.isalnum() or letter in ".-_:%" for letter in target):
                raise CollectError(f"expected names or addresses in hosts, got {target[:80]!r}")
        slots = asyncio.Semaphore(self.at_once)
        trips = await asyncio.gather(*(self._trip(target, slots) for target in targets))
        silent = [target for target, trip in zip(targets, trips, strict=True) if trip is None]
        if len(silent) == len(targets) and self.lost is None:
            raise CollectError(f"expected an answer within {self.patience:g} s, got none of {', '.join(silent)[:200]}")
        for target, trip in zip(targets, trips, strict=True):
            self.publish(self.trip.of(target.replace(".", "_")), self.lost if trip is None else round(trip, 3))
        self.meta("no answer", ", ".join(silent)[:500])

    async def _trip(self, target: str, slots: asyncio.Semaphore) -> float | None:
        async with slots:
            try:
                async with asyncio.timeout(self.patience):
                    return await self.ask(target)
            except OSError:  # a timeout and an unknown name are such, too
                return None

    async def ask(self, target: str) -> float:
        """Return the round trip time in milliseconds; OSError where there is no answer."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(target, self.tcp_port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        if self.method != "tcp":
            try:
                echo = socket.socket(family, socket.SOCK_DGRAM, ECHO[family][2])
            except PermissionError:
                if self.method == "icmp":
                    raise
            else:
                with echo:
                    return await self._icmp(echo, address)
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            return await self._tcp(sock, address)

    async def _icmp(self, sock: socket.socket, address: tuple[Any, ...]) -> float:
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        kind, reply, _ = ECHO[sock.family]
        token, number = os.urandom(48), 1
        sock.connect((address[0], 0, *address[2:]))
        begin = time.perf_counter()
        await loop.sock_sendall(sock, request(kind, number, token))
        while not answers(await loop.sock_recv(sock, 1024), reply, number, token):
            pass
        return 1000 * (time.perf_counter() - begin)

    async def _tcp(self, sock: socket.socket, address: tuple[Any, ...]) -> float:
        sock.setblocking(False)
        begin = time.perf_counter()
        with contextlib.suppress(ConnectionRefusedError):
            await asyncio.get_running_loop().sock_connect(sock, address)
        return 1000 * (time.perf_counter() - begin)
