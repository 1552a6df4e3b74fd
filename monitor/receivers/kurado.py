"""Listens as a Redis would for what Kurado's agents push: RPUSH kurado-update, PING, and what clients ask first."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import cast

from monitor import __version__
from monitor.receivers.kurado_hosts import canonical
from monitor.receivers.kurado_intake import KuradoIntake
from monitor.settings import Kurado
from monitor.wire.resp import OK, PONG, Commands, ProtocolError, array, bulk, error, integer

log = logging.getLogger("monitor.receivers.kurado")

AT_ONCE = 64
"""Commands of a connection that are answered before others get their turn."""
SWEEP = 30.0
BUSY_WORDS = 120
"""Characters of the reason behind `-ERR busy`."""
INFO = f"# Server\r\nredis_version:7.0.0\r\nmonitor_version:{__version__}\r\nredis_mode:standalone\r\n"
NAMED = 8
"""Peers that are named in the log for every reason; all are counted."""


class KuradoReceiver:
    """Takes connections on a socket that is bound already."""

    def __init__(self, intake: KuradoIntake, settings: Callable[[], Kurado]) -> None:
        self.intake = intake
        self.stats = intake.stats
        self.connections: set[Connection] = set()
        self.held = 0
        """Bytes of commands that are not complete."""
        self._settings = settings
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._named: dict[str, int] = {}

    @property
    def settings(self) -> Kurado:
        return self._settings()

    async def start(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), sock=listening, backlog=1024)
        self._timer = loop.call_later(SWEEP, self._sweep)

    async def close(self) -> None:
        """Take no more connections and end those that there are; what waits for the journal was answered before."""
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            self._server.close()
            for connection in list(self.connections):
                connection.end()
            await self._server.wait_closed()
            self._server = None

    def welcome(self, peer: str) -> str:
        """Return the word why a peer may not connect; '' when it may."""
        if len(self.connections) >= self.settings.connections:
            return "connections"
        address = ipaddress.ip_address(peer) if peer else None
        if address is None or not any(address in network for network in self.settings.networks):
            return "allow"
        return ""

    def turned_away(self, reason: str, peer: str) -> None:
        """Count a connection that is refused or ended, and name the first ones."""
        self.stats.turned_away[reason] += 1
        self._named[reason] = named = self._named.get(reason, 0) + 1
        if named <= NAMED:
            log.warning("kurado.turned_away", extra={"fields": {"peer": peer, "reason": reason}})

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(SWEEP, self._sweep)
        oldest = time.monotonic() - float(self.settings.idle)
        for connection in list(self.connections):
            if connection.heard < oldest:
                self.turned_away("idle", connection.peer)
                connection.end()


class Connection(asyncio.Protocol):
    """One client: commands are answered in their order, RPUSH when the journal has what it brought."""

    def __init__(self, receiver: KuradoReceiver) -> None:
        settings = receiver.settings
        self.receiver = receiver
        self.peer = ""
        self.heard = time.monotonic()
        self.commands = Commands(longest=int(settings.max_payload) + 1024)
        self._replies: deque[asyncio.Future[str] | bytes] = deque()
        self._transport: asyncio.Transport | None = None
        self._welcome = not settings.password
        self._writable = True
        self._paused = False
        self._ending = False
        self._deaf = False
        self._held = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        self._transport = transport
        name = transport.get_extra_info("peername")
        self.peer = canonical(name[0].partition("%")[0]) if name else ""
        if reason := self.receiver.welcome(self.peer):
            self.receiver.turned_away(reason, self.peer)
            what = "too many connections" if reason == "connections" else f"{self.peer} is not in [[kurado]] allow"
            transport.write(error(f"ERR {what}"))
            transport.close()
            self._ending = True
            return
        self.receiver.connections.add(self)
        self.receiver.stats.connections += 1
        self.receiver.stats.opened += 1
        opened = transport.get_extra_info("socket")
        if opened is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ending = True
        self._hold(0)
        self._replies.clear()
        if self in self.receiver.connections:
            self.receiver.connections.discard(self)
            self.receiver.stats.connections -= 1

    def data_received(self, data: bytes) -> None:
        if self._ending or self._deaf:
            return
        self.heard = time.monotonic()
        self.commands.feed(data)
        self._work()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._work()

    def end(self) -> None:
        """Close after what is answered has been sent."""
        self._ending = True
        if self._transport is not None:
            self._transport.close()

    def _work(self) -> None:
        """Do what has come, as far as its replies find room."""
        for _ in range(AT_ONCE):
            if self._ending or self._deaf or self._transport is None:
                return
            if not self._writable or len(self._replies) >= self.receiver.settings.commands:
                self._pause(True)
                return
            try:
                words = self.commands.next()
            except ProtocolError as problem:
                self.receiver.turned_away("protocol", self.peer)
                self._say(error(f"ERR Protocol error: {problem}"))
                self._say(b"")
                return
            if words is None:
                self._pause(False)
                self._hold(len(self.commands))
                if self.receiver.held > self.receiver.settings.max_waiting:
                    self.receiver.turned_away("memory", self.peer)
                    self._say(error("ERR busy: too many commands are incomplete"))
                    self._say(b"")
                return
            self._do(words[0].upper(), words[1:])
        self._pause(True)
        asyncio.get_running_loop().call_soon(self._work)

    def _hold(self, size: int) -> None:
        self.receiver.held += size - self._held
        self._held = size

    def _pause(self, pause: bool) -> None:
        if pause != self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = pause
            (self._transport.pause_reading if pause else self._transport.resume_reading)()

    def _say(self, reply: bytes | asyncio.Future[str]) -> None:
        """Reply after those before; an empty reply ends the connection, and nothing more is read until then."""
        self._deaf = self._deaf or reply == b""
        self._replies.append(reply)
        if isinstance(reply, asyncio.Future):
            reply.add_done_callback(self._answered)
        else:
            self._flush()

    def _answered(self, _: asyncio.Future[str]) -> None:
        self._flush()
        if self._paused:
            self._work()

    def _flush(self) -> None:
        while self._replies and self._transport is not None:
            reply = self._replies[0]
            if isinstance(reply, asyncio.Future):
                if not reply.done():
                    return
                busy = "stopping" if reply.cancelled() else reply.result()
                reply = error(f"ERR busy: {busy[:BUSY_WORDS]}") if busy else integer(1)
            self._replies.popleft()
            if not reply:
                self.end()
                return
            self._transport.write(reply)

    def _do(self, word: bytes, rest: list[bytes]) -> None:
        if not self._welcome and word not in (b"AUTH", b"HELLO", b"QUIT"):
            self._say(error("NOAUTH Authentication required."))
        elif word == b"RPUSH":
            self._push(rest)
        elif (answer := ANSWERS.get(word)) is not None:
            self._say(answer(self, rest))
            if word == b"QUIT":
                self._say(b"")
        else:
            shown = word[:64].decode("latin-1")
            self._say(error(f"ERR unknown command '{shown}'"))

    def _push(self, rest: list[bytes]) -> None:
        queue = self.receiver.settings.queue
        if len(rest) < 2:
            self._say(error("ERR wrong number of arguments for 'rpush' command"))
        elif rest[0] != queue.encode():
            self._say(error(f"ERR only the list {queue} can be pushed to"))
        elif len(rest) == 2:
            self._say(self.receiver.intake.put(rest[1], self.peer))
        else:
            # Several values of one command are one answer: those of an agent come one by one.
            self._say(self.receiver.intake.put(b"\n".join(rest[1:]), self.peer))

    def ping(self, rest: list[bytes]) -> bytes:
        return bulk(rest[0]) if rest else PONG

    def auth(self, rest: list[bytes]) -> bytes:
        expected = self.receiver.settings.password
        if not 1 <= len(rest) <= 2:
            return error("ERR wrong number of arguments for 'auth' command")
        if not expected:
            return error("ERR AUTH called without any password configured. Are you sure your configuration is correct?")
        user = rest[0] if len(rest) == 2 else b"default"
        if user == b"default" and hmac.compare_digest(rest[-1], expected.encode()):
            self._welcome = True
            return OK
        self.receiver.turned_away("auth", self.peer)
        return error("WRONGPASS invalid username-password pair or user is disabled.")

    def hello(self, rest: list[bytes]) -> bytes:
        words = list(rest)
        if words and words.pop(0) not in (b"2",):
            return error("NOPROTO unsupported protocol version")
        while words:
            option = words.pop(0).upper()
            if option == b"AUTH" and len(words) >= 2:
                if (answer := self.auth([words.pop(0), words.pop(0)])) != OK:
                    return answer
            elif option == b"SETNAME" and words:
                words.pop(0)
            else:
                return error("ERR syntax error in HELLO")
        if not self._welcome:
            return error("NOAUTH HELLO must be called with the client already authenticated")
        facts = {
            "server": bulk("redis"), "version": bulk("7.0.0"), "proto": integer(2), "id": integer(1),
            "mode": bulk("standalone"), "role": bulk("master"), "modules": array([]),
        }  # fmt: skip
        return array([part for name, value in facts.items() for part in (bulk(name), value)])


def constant(reply: bytes, connection: Connection, rest: list[bytes]) -> bytes:
    return reply


ANSWERS: dict[bytes, Callable[[Connection, list[bytes]], bytes]] = {
    b"PING": Connection.ping,
    b"AUTH": Connection.auth,
    b"HELLO": Connection.hello,
    b"QUIT": partial(constant, OK),
    b"SELECT": partial(constant, OK),
    b"CLIENT": partial(constant, OK),
    b"COMMAND": partial(constant, array([])),
    b"INFO": partial(constant, bulk(INFO)),
}
