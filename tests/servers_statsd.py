"""A strict stand-in for statsd over UDP, which Debian has no package of: it takes what statsd's own tests take.

A line is NAME:VALUE|TYPE; gauges may change by a signed value, counters add up until they are read. What is no such
line lies in `bad`, of which a test wants none.
"""

from __future__ import annotations

import asyncio
import re
import socket

from appliance import free_port

LINE = re.compile(rb"([A-Za-z0-9_.-]+):([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\|(g|c)")
LONGEST = 1432
"""Bytes of a datagram that fits into one packet of Ethernet, as statsd's documentation has it."""


class Statsd:
    """Starts on the same port again after `stop`; what it took outlives that."""

    def __init__(self) -> None:
        self.port = free_port()
        self.gauges: dict[str, list[float]] = {}
        self.counters: dict[str, float] = {}
        self.bad: list[bytes] = []
        self.datagrams = 0
        self._socket: socket.socket | None = None

    def start(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", self.port))
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def stop(self) -> None:
        """Take what is there, then leave."""
        if self._socket is not None:
            self._read()
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _read(self) -> None:
        assert self._socket is not None
        while True:
            try:
                datagram = self._socket.recv(65536)
            except BlockingIOError:
                return
            self.datagrams += 1
            if len(datagram) > LONGEST:
                self.bad.append(datagram)
            for line in datagram.removesuffix(b"\n").split(b"\n"):
                self._take(line)

    def _take(self, line: bytes) -> None:
        found = LINE.fullmatch(line)
        if found is None:
            self.bad.append(line)
            return
        name, value = found[1].decode(), float(found[2])
        if found[3] == b"c":
            self.counters[name] = self.counters.get(name, 0.0) + value
            return
        gauge = self.gauges.setdefault(name, [])
        signed = found[2][:1] in (b"+", b"-")
        gauge.append((gauge[-1] if gauge else 0.0) + value if signed else value)
