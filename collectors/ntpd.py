"""The clock against an NTP server, by UDP, and as the kernel keeps it; names are those of Diamond's NtpdCollector.

Any NTP server can be asked: ntpd, chronyd, or one in the network. `delay`, `jitter` and `reach` are of this
collector's own requests.
"""

from __future__ import annotations

import asyncio
import ctypes
import math
import os
import socket
import struct
import time
from collections import deque
from typing import Any, NamedTuple

from monitor.collector import CollectError, Collector, Gauge, Graph, Http, Line, Seconds, Target, option

EPOCH = 2_208_988_800
"""Seconds from 1900, where NTP counts from, to 1970."""
NANO = 0x2000
"""The bit of the kernel's status that says its offset is in nanoseconds."""
PACKET = struct.Struct("!BBbb4s4s4s8s8s8s8s")
TIMEX = struct.Struct("@illlli")


class Server(NamedTuple):
    """What an answer says; times in seconds."""

    stratum: int
    poll: float
    root_delay: float
    root_dispersion: float
    reference: float
    offset: float
    delay: float


class Kernel(NamedTuple):
    """The clock as the kernel keeps it; times in seconds, the frequency in parts per million."""

    offset: float
    frequency: float
    max_error: float
    est_error: float
    status: int


def seconds(stamp: bytes, near: float) -> float:
    """Return an NTP time stamp in seconds since 1970, in the era of 136 years that lies nearest to a time."""
    whole, part = struct.unpack("!II", stamp)
    found = float(whole - EPOCH + part / 2**32)
    return found + round((near - found) / 2**32) * 2**32


def parse(packet: bytes, token: bytes, sent: float, came: float) -> Server:
    """Return what the answer to the request with this token says; CollectError where it is none that counts."""
    if len(packet) < PACKET.size:
        raise CollectError(f"expected an NTP answer of 48 bytes, got {len(packet)}: {packet[:40]!r}")
    first, stratum, poll, _, delay, dispersion, identity, reference, origin, received, answered = PACKET.unpack_from(
        packet
    )
    if first & 7 != 4 or origin != token:
        raise CollectError(f"expected an NTP server's answer to the request, got mode {first & 7}, {packet[:40]!r}")
    if not 1 <= stratum <= 15 or first >> 6 == 3:
        raise CollectError(f"expected a server whose clock is set, got stratum {stratum}, {identity!r}")
    here, there = seconds(received, sent) - sent, seconds(answered, came) - came
    return Server(
        stratum,
        2.0 ** max(0, min(poll, 17)),
        int.from_bytes(delay, signed=True) / 65536,
        int.from_bytes(dispersion) / 65536,
        seconds(reference, came),
        (here + there) / 2,
        here - there,
    )


def kernel() -> Kernel:
    """Return how the kernel of this machine keeps its clock (adjtimex), which needs no rights."""
    buffer = ctypes.create_string_buffer(512)
    if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    _, offset, frequency, most, estimated, status = TIMEX.unpack_from(buffer)
    return Kernel(offset / (1e9 if status & NANO else 1e6), frequency / 65536, most / 1e6, estimated / 1e6, status)


class NtpdCollector(Collector):
    path = "ntpd"

    server: str = option("", "host to ask; by default the watched host")
    port: int = option(123, "its UDP port", min=1, max=65535)
    patience: Seconds = option(Seconds(3), "how long an answer may take", min=0.01, max=60)

    stratum = Gauge("hops", "servers between this one and a clock of its own, plus one", min=0, max=16)
    when = Gauge("seconds", "since the server's clock was last set", min=0)
    poll = Gauge("seconds", "how often the server asks its own server", min=0)
    reach = Gauge("octal", "answers to the last eight requests as bits, in octal: 377 is all of them", min=0, max=377)
    delay = Gauge("ms", "to the server and back")
    jitter = Gauge("ms", "how much the last eight offsets differ", min=0)
    offset = Gauge("seconds", "the kernel's; elsewhere the server's clock less this one")
    frequency = Gauge("ppm", "by which the kernel corrects its clock")
    max_error = Gauge("seconds", "the clock is off by no more, says the kernel", min=0)
    est_error = Gauge("seconds", "the clock is off by about this, says the kernel", min=0)
    status = Gauge("bits", "of the kernel's clock; 64 is in it where it is not set", min=0)
    root_distance = Gauge("seconds", "from the server to the clock at the root and back")
    root_dispersion = Gauge("seconds", "by which the server may differ from the root", min=0)

    graphs = (
        Graph("offset", "Offset of the clock", Line(offset, "offset", "1f78b4"), unit="seconds"),
        Graph(
            "errors",
            "Errors of the clock",
            Line(max_error, "at most", "e31a1c"),
            Line(est_error, "estimated", "ff7f00"),
            unit="seconds",
        ),
        Graph("frequency", "Correction of the clock", Line(frequency, "frequency", "6a3d9a"), unit="ppm"),
        Graph(
            "delay",
            "Delay and jitter of the NTP server",
            Line(delay, "delay", "1f78b4"),
            Line(jitter, "jitter", "ff7f00"),
            unit="ms",
        ),
        Graph(
            "root",
            "From the NTP server to the root",
            Line(root_distance, "delay", "1f78b4"),
            Line(root_dispersion, "dispersion", "ff7f00"),
            unit="seconds",
        ),
        Graph("stratum", "Stratum", Line(stratum, "stratum", "33a02c"), unit="hops"),
        Graph("when", "Times of the NTP server", Line(when, "since set", "1f78b4"), Line(poll, "poll"), unit="seconds"),
        Graph("reach", "Answers of the NTP server", Line(reach, "reach", "33a02c"), unit="octal"),
        Graph("status", "Status of the kernel's clock", Line(status, "status", "000000"), unit="bits"),
    )

    def __init__(self, target: Target, http: Http, *, section: str = "", **options: Any) -> None:
        super().__init__(target, http, section=section, **options)
        self._offsets: deque[float] = deque(maxlen=8)
        self._reached = 0

    async def collect(self) -> None:
        self._reached = self._reached << 1 & 255
        token = os.urandom(8)
        found = parse(*await self.exchange(token))
        self._reached |= 1
        self._offsets.append(found.offset)
        self.publish(self.stratum, found.stratum)
        self.publish(self.poll, found.poll)
        self.publish(self.when, max(0.0, self.now() - found.reference))
        self.publish(self.reach, int(f"{self._reached:o}"))
        self.publish(self.delay, 1000 * found.delay)
        off = [offset - found.offset for offset in self._offsets]
        self.publish(self.jitter, 1000 * math.sqrt(sum(each * each for each in off) / max(1, len(off) - 1)))
        self.publish(self.root_distance, found.root_delay)
        self.publish(self.root_dispersion, found.root_dispersion)
        clock = self.kernel()
        self.publish(self.offset, found.offset if clock is None else clock.offset)
        if clock is not None:
            self.publish(self.frequency, clock.frequency)
            self.publish(self.max_error, clock.max_error)
            self.publish(self.est_error, clock.est_error)
            self.publish(self.status, clock.status)

    def kernel(self) -> Kernel | None:
        """Return this machine's clock where it is the one that is watched."""
        return kernel() if self.host.local else None

    def now(self) -> float:
        return time.time()

    async def exchange(self, token: bytes) -> tuple[bytes, bytes, float, float]:
        """Ask once; return the answer, the token, and when the one was sent and the other came."""
        host = self.server or ("localhost" if self.host.local else self.host.address)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.patience):
                family, _, _, _, address = (await loop.getaddrinfo(host, self.port, type=socket.SOCK_DGRAM))[0]
                with socket.socket(family, socket.SOCK_DGRAM) as sock:
                    sock.setblocking(False)
                    sock.connect(address)
                    sent = time.time()
                    await loop.sock_sendall(sock, bytes([0x23]) + bytes(39) + token)
                    packet = await loop.sock_recv(sock, 512)
                    return packet, token, sent, time.time()
        except TimeoutError:
            raise CollectError(f"{host}:{self.port}: expected an answer within {self.patience:g} s") from None
        except OSError as error:
            raise CollectError(f"{host}:{self.port}: {(error.strerror or str(error)).lower()}") from None
