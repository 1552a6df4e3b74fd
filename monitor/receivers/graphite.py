"""Listens as carbon-cache does: lines over TCP and UDP, pickles over TCP."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import time
from collections.abc import Callable
from typing import cast

from monitor.graphite import Graphite
from monitor.receivers.graphite_intake import GraphiteIntake
from monitor.task import begin
from monitor.wire.graphite_lines import Point
from monitor.wire.unpickle import LENGTH, LONGEST, PickleError, points

log = logging.getLogger("monitor.receivers.graphite")

SWEEP = 30.0
NAMED = 8
"""Peers that are named in the log for every reason; all are counted."""
BUFFER = 4 << 20
"""Bytes of datagrams that the system keeps for us, where it allows so many."""
LARGE = 16 << 10
"""Bytes of a pickle that is read in a thread."""


class GraphiteReceiver:
    """Takes connections and datagrams on sockets that are bound already."""

    def __init__(self, intake: GraphiteIntake, settings: Callable[[], Graphite]) -> None:
        self.intake = intake
        self.stats = intake.stats
        self.connections: set[Connection] = set()
        self._settings = settings
        self._servers: list[asyncio.Server] = []
        self._datagrams: list[asyncio.DatagramTransport] = []
        self._timer: asyncio.TimerHandle | None = None
        self._named: dict[str, int] = {}
        intake.on_room.append(self._resume)

    @property
    def settings(self) -> Graphite:
        return self._settings()

    async def start(
        self, lines: socket.socket | None = None, datagrams: socket.socket | None = None,
        pickles: socket.socket | None = None,
    ) -> None:  # fmt: skip
        loop = asyncio.get_running_loop()
        for taken, kind in ((lines, LineConnection), (pickles, PickleConnection)):
            if taken is not None:
                made = cast("Callable[[], Connection]", lambda kind=kind: kind(self))
                self._servers.append(await loop.create_server(made, sock=taken, backlog=1024))
        if datagrams is not None:
            datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            transport, _ = await loop.create_datagram_endpoint(lambda: Datagrams(self), sock=datagrams)
            self._datagrams.append(transport)
        self._timer = loop.call_later(SWEEP, self._sweep)

    async def close(self) -> None:
        """Take no more connections and end those that there are."""
        if self._timer is not None:
            self._timer.cancel()
        for transport in self._datagrams:
            transport.close()
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.end()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    def welcome(self, peer: str, connected: bool = True) -> str:
        """Return the word why a peer may not connect or send; '' when it may."""
        if connected and len(self.connections) >= self.settings.connections:
            return "connections"
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return "allow"
        return "" if any(address in network for network in self.settings.networks) else "allow"

    def turned_away(self, reason: str, peer: str) -> None:
        """Count a connection that is refused or ended, or a datagram, and name the first ones."""
        self.stats.turned_away[reason] += 1
        self._named[reason] = named = self._named.get(reason, 0) + 1
        if named <= NAMED:
            log.warning("graphite.turned_away", extra={"fields": {"peer": peer, "reason": reason}})

    def _resume(self) -> None:
        for connection in self.connections:
            connection.resume()

    def _sweep(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SWEEP, self._sweep)
        oldest = time.monotonic() - float(self.settings.idle)
        for connection in list(self.connections):
            if connection.heard < oldest and not connection.paused:
                self.turned_away("idle", connection.peer)
                connection.end()


class Connection(asyncio.Protocol):
    """One client. Nothing is answered."""

    def __init__(self, receiver: GraphiteReceiver) -> None:
        self.receiver = receiver
        self.intake = receiver.intake
        self.peer = ""
        self.heard = time.monotonic()
        self.paused = False
        self.transport: asyncio.Transport | None = None
        self.ending = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        self.peer = plain(name[0]) if name else ""
        if reason := self.receiver.welcome(self.peer):
            self.receiver.turned_away(reason, self.peer)
            self.ending = True
            self.transport.abort()
            return
        self.receiver.connections.add(self)
        self.receiver.stats.connections += 1
        self.receiver.stats.opened += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.ending = True
        if self in self.receiver.connections:
            self.receiver.connections.discard(self)
            self.receiver.stats.connections -= 1
            self.lost()

    def data_received(self, data: bytes) -> None:
        if self.ending:
            return
        self.heard = time.monotonic()
        self.take(data)
        self.pause()

    def take(self, data: bytes) -> None:
        """Take what has come."""
        raise NotImplementedError

    def lost(self) -> None:
        """Count what is not whole at the end."""

    def end(self) -> None:
        self.ending = True
        if self.transport is not None:
            self.transport.close()

    def busy(self) -> bool:
        """Tell whether nothing more should be read now."""
        return self.intake.full

    def pause(self) -> None:
        if self.transport is not None and not self.paused and not self.ending and self.busy():
            self.paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.transport is not None and self.paused and not self.ending and not self.busy():
            self.paused = False
            self.heard = time.monotonic()
            self.transport.resume_reading()


class LineConnection(Connection):
    """Lines; of one that is too long all is dropped up to its end."""

    def __init__(self, receiver: GraphiteReceiver) -> None:
        super().__init__(receiver)
        self._rest: list[bytes] = []
        self._size = 0
        self._skipping = False

    def take(self, data: bytes) -> None:
        end = data.rfind(b"\n") + 1
        if not end:
            self._keep(data)
            return
        if self._skipping:
            self._skipping = False
            begin_of_next = data.find(b"\n") + 1
            whole = data[begin_of_next:end]
        else:
            self._rest.append(data[:end])
            whole = b"".join(self._rest)
        self._rest.clear()
        self._size = 0
        if whole:
            self.intake.put(whole, self.peer)
        if end < len(data):
            self._keep(data[end:])

    def _keep(self, part: bytes) -> None:
        """Keep the beginning of a line."""
        if self._skipping:
            return
        self._rest.append(part)
        self._size += len(part)
        if len(self._rest) > 64:
            self._rest[:] = [b"".join(self._rest)]
        if self._size > self.receiver.settings.max_line:
            self.intake.refuse("line", self.peer, self._rest[0])
            self._rest.clear()
            self._size = 0
            self._skipping = True

    def lost(self) -> None:
        if self._size:
            # It may be cut within its stamp, as carbon-cache has it too.
            self.intake.refuse("unended", self.peer, b"".join(self._rest))
            self._size = 0


class PickleConnection(Connection):
    """Frames of pickles; what cannot be a frame ends the connection, for there is no next one to be found."""

    def __init__(self, receiver: GraphiteReceiver) -> None:
        super().__init__(receiver)
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None

    def busy(self) -> bool:
        return self.intake.full or self._task is not None

    def take(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None and self._whole() is not None:
            self._task = begin(self._work(), "graphite_pickle")

    def _whole(self) -> int | None:
        """Return the size of the first frame when all of it is there."""
        if len(self._buffer) < LENGTH.size:
            return None
        (size,) = LENGTH.unpack_from(self._buffer)
        if size > LONGEST:
            self.intake.refuse("frame", self.peer, bytes(self._buffer[:40]))
            self.receiver.turned_away("frame", self.peer)
            self._buffer.clear()
            self.end()
            return None
        return int(size) if len(self._buffer) >= LENGTH.size + size else None

    async def _work(self) -> None:
        try:
            while (size := self._whole()) is not None:
                frame = bytes(self._buffer[LENGTH.size : LENGTH.size + size])
                del self._buffer[: LENGTH.size + size]
                try:
                    found = await asyncio.to_thread(read, frame) if size > LARGE else read(frame)
                except PickleError as error:
                    self.intake.refuse("pickle", self.peer, str(error).encode())
                    continue
                good = [point for point in found if point is not None]
                self.intake.stats.bad["point"] += len(found) - len(good)
                if good:
                    self.intake.put(good, self.peer)
                await asyncio.sleep(0)
        finally:
            self._task = None
            self.resume()

    def lost(self) -> None:
        if self._buffer and self._task is None:
            self.intake.refuse("unended", self.peer, bytes(self._buffer[:40]))


def read(frame: bytes) -> list[Point | None]:
    return list(points(frame))


class Datagrams(asyncio.DatagramProtocol):
    """Datagrams of lines, of which the last need not be ended."""

    def __init__(self, receiver: GraphiteReceiver) -> None:
        self.receiver = receiver
        self._known: dict[str, tuple[Graphite, str]] = {}

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        receiver = self.receiver
        settings, reason = self._known.get(addr[0], (None, ""))
        if settings is not receiver.settings:
            if len(self._known) >= 10_000:
                self._known.clear()
            reason = receiver.welcome(plain(addr[0]), connected=False)
            self._known[addr[0]] = receiver.settings, reason
        if reason:
            receiver.turned_away(reason, addr[0])
        elif receiver.intake.full:
            receiver.stats.lost["udp"] += len(data)
        elif data:
            receiver.intake.put(data if data.endswith(b"\n") else data + b"\n", addr[0])

    def error_received(self, exc: Exception) -> None:
        log.warning("graphite.udp", extra={"fields": {"reason": str(exc)[:200]}})


def plain(peer: str) -> str:
    """Return an address as it is written usually, one of IPv4 within IPv6 as the former."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
