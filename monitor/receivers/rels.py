"""Listens as a ClickHouse would over HTTP for the events of WCS servers, and answers what its drivers ask."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, cast

from aiohttp import web

from monitor.pipeline import Busy
from monitor.receivers.rels_answers import TIMEZONE, VERSION, Answering, Counts, text
from monitor.receivers.rels_intake import RelsIntake
from monitor.receivers.rels_request import LARGE, Request, body_of
from monitor.receivers.rels_users import User, Users
from monitor.rels import Rels
from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.statement import (
    Answer,
    Create,
    Facts,
    Insert,
    Nothing,
    Select,
    Statement,
    is_insert,
    parse,
)
from monitor.wire.clickhouse.tables import DATABASE
from monitor.wire.clickhouse.types import columns
from monitor.wire.clickhouse.writers import write

log = logging.getLogger("monitor.receivers.rels")

LONGEST_LINE = 1 << 20
"""Bytes of a request's first line, in which old drivers write the statement."""
LONG_STATEMENT = 4 << 10
"""Bytes of a statement from which on it is read in a thread."""
ROWS_IN_A_THREAD = 200
NAMED = 8
"""Peers that are named in the log for every reason; all are counted."""
HEARD = 2.0
"""Seconds that a client has to take in why it is refused."""
OPEN = ("/ping", "/replicas_status")
OK = "Ok.\n"


class Result(Protocol):
    @property
    def columns(self) -> Sequence[tuple[str, str]]: ...
    @property
    def rows(self) -> Sequence[Sequence[Any]]: ...


class Reading(Protocol):
    """Answers SELECTs."""

    async def select(
        self, sql: str, *, max_rows: int, database: str, others: Mapping[str, Sequence[tuple[str, str]]]
    ) -> Result: ...


class RelsReceiver:
    """Takes connections on a socket that is bound already."""

    def __init__(self, intake: RelsIntake, settings: Callable[[], Rels], reader: Reading | None = None) -> None:
        self.intake = intake
        self.stats = intake.stats
        self.held = 0
        """Bytes of requests that are worked on."""
        self._settings = settings
        self._reader = reader
        self._users = Users(settings())
        self._manager = web.Server(self._handle)
        self._server: asyncio.Server | None = None
        self._named: dict[str, int] = {}
        self._closing = False

    @property
    def settings(self) -> Rels:
        return self._settings()

    async def start(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, sock=listening, backlog=1024)

    async def close(self, seconds: float = 2.0) -> None:
        """Take no more; who waits for the journal has some seconds for the answer."""
        self._closing = True
        if self._server is not None:
            self._server.close()
            self._manager.pre_shutdown()
            await self._manager.shutdown(seconds)
            self._server = None

    def _connection(self) -> Connection:
        return Connection(
            self, self._manager, loop=asyncio.get_running_loop(), keepalive_timeout=float(self.settings.idle),
            access_log=None, max_line_size=LONGEST_LINE, auto_decompress=False, lingering_time=1.0,
        )  # fmt: skip

    def turned_away(self, reason: str, peer: str) -> None:
        """Count a connection that is refused, and name the first ones."""
        self.stats.turned_away[reason] += 1
        self._named[reason] = named = self._named.get(reason, 0) + 1
        if named <= NAMED:
            log.warning("rels.turned_away", extra={"fields": {"peer": peer, "reason": reason}})

    def welcome(self, peer: str) -> str:
        """Return the word why a peer may not connect; '' when it may."""
        if self.stats.connections >= self.settings.connections:
            return "connections"
        address = ipaddress.ip_address(peer) if peer else None
        if address is None or not any(address in network for network in self.settings.networks):
            return "allow"
        return ""

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.stats.requests += 1
        peer = canonical(request.remote or "")
        try:
            asked = Request.of(request)
        except ClickHouseError as error:
            return self._refuse(Answering(Request("", "", {})), error, peer, close=True)
        answering = Answering(asked)
        if asked.path in OPEN or (asked.path == "/" and asked.method in ("GET", "HEAD") and not asked.values):
            return text(OK)
        if asked.path != "/" and asked.path.strip("/") != "":
            return text(f"There is no handle {asked.path[:80]}\nUse / for queries, /ping for health checks.\n", 404)
        if asked.method not in ("GET", "HEAD", "POST"):
            problem = ClickHouseError(48, "NOT_IMPLEMENTED", f"expected the method POST, got {asked.method[:20]}")
            return self._refuse(answering, problem, peer, close=True)
        whole = False
        try:
            user = self._user(asked)
            with self._holding() as hold:
                async with asyncio.timeout(float(self.settings.timeout)):
                    if asked.headers.get("Expect", "").lower() == "100-continue":
                        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                        request.writer.output_size = 0
                    body = await body_of(request, asked, most=int(self.settings.max_body), hold=hold)
                whole = True
                return await self._answer(asked, answering, user, body, peer)
        except ClickHouseError as error:
            return self._refuse(answering, error, peer, close=not whole and request.can_read_body)
        except Busy as error:
            self.stats.busy += 1
            problem = ClickHouseError(252, "TOO_MANY_PARTS", f"Too many parts: the journal cannot take more: {error}")
            return self._refuse(answering, problem, peer, status=503, close=not whole)
        except TimeoutError:
            problem = ClickHouseError(
                209, "SOCKET_TIMEOUT", f"the request did not end within {self.settings.timeout:g} s"
            )
            return self._refuse(answering, problem, peer, close=True)

    @contextmanager
    def _holding(self) -> Any:
        """Give what counts the bytes of a request; Busy where too many wait."""
        mine = 0

        def hold(size: int) -> None:
            nonlocal mine
            mine += size
            self.held += size
            if self.held > self.settings.max_waiting:
                raise Busy("too many requests wait")

        try:
            if self._closing:
                raise Busy("stopping")
            hold(0)
            yield hold
        finally:
            self.held -= mine

    def _user(self, asked: Request) -> User:
        if self._users.settings is not self.settings:
            self._users = Users(self.settings)
        return self._users.admit(asked.headers, asked.values)

    def _refuse(
        self, answering: Answering, error: ClickHouseError, peer: str, *, status: int = 0, close: bool = False
    ) -> web.Response:
        self.stats.refused[error.name] += 1
        self._named[error.name] = named = self._named.get(error.name, 0) + 1
        if named <= NAMED:
            fields = {"peer": peer, "code": error.code, "name": error.name, "reason": error.text[:300]}
            log.warning("rels.refused", extra={"fields": fields})
        return answering.error(error, status=status, close=close)

    async def _answer(
        self, asked: Request, answering: Answering, user: User, body: bytes, peer: str
    ) -> web.StreamResponse:
        facts = Facts(user.name, asked.database, VERSION, TIMEZONE, socket.gethostname())
        query = asked.query
        size = len(query) + len(body)
        known = self.intake.others.known
        found: Statement
        if size > LARGE or (size > LONG_STATEMENT and not is_insert(query, body)):
            found = await asyncio.to_thread(parse, query, body, facts, parameters=asked.parameters, known=known)
        else:
            found = parse(query, body, facts, parameters=asked.parameters, known=known)
        if isinstance(found, Insert | Nothing | Create) and asked.method != "POST":
            problem = "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly"
            raise ClickHouseError(164, "READONLY", problem)
        if isinstance(found, Insert):
            user.must_insert(found.table)
            rows, size = await self.intake.insert(found, asked.query_id, peer, user.name)
            return answering.done(Counts(written_rows=rows, written_bytes=size))
        if isinstance(found, Create):
            user.must_insert(found.table)
            await self.intake.create(found)
            return answering.done(Counts())
        if isinstance(found, Nothing):
            return answering.done(Counts())
        self.stats.reads += 1
        format = found.format or asked.format
        if isinstance(found, Answer):
            body = write(format, columns(found.columns), found.rows)
            return await answering.result(format, body, len(found.rows))
        return await self._select(found, format, asked, answering, user)

    async def _select(
        self, found: Select, format: str, asked: Request, answering: Answering, user: User
    ) -> web.StreamResponse:
        user.must_read()
        if self._reader is None:
            raise ClickHouseError(48, "NOT_IMPLEMENTED", "events are not read here")
        database = DATABASE if asked.database == "default" else asked.database
        result = await self._reader.select(
            found.sql, max_rows=self.settings.max_result_rows, database=database, others=self.intake.others.columns
        )
        kinds = columns(result.columns)
        if len(result.rows) > ROWS_IN_A_THREAD:
            body = await asyncio.to_thread(write, format, kinds, result.rows)
        else:
            body = write(format, kinds, result.rows)
        return await answering.result(format, body, len(result.rows))


class Connection(web.RequestHandler):
    """One connection."""

    __slots__ = ("_counted", "_receiver", "_refusal", "_refused")

    def __init__(self, receiver: RelsReceiver, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._receiver = receiver
        self._counted = False
        self._refusal = b""
        self._refused: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        name = transport.get_extra_info("peername")
        peer = canonical(name[0].partition("%")[0]) if name else ""
        if reason := self._receiver.welcome(peer):
            self._receiver.turned_away(reason, peer)
            self._refusal = REFUSALS[reason]
            self._refused = cast("asyncio.Transport", transport)
            # The answer would be lost if what the client sends found the connection closed.
            asyncio.get_running_loop().call_later(HEARD, transport.close)
            return
        self._counted = True
        self._receiver.stats.connections += 1
        self._receiver.stats.opened += 1
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._counted:
            super().data_received(data)
        elif self._refusal and self._refused is not None:
            self._refused.write(self._refusal)
            self._refused.write_eof()
            self._refusal = b""

    def eof_received(self) -> None:
        if self._counted:
            super().eof_received()
        elif self._refused is not None:
            self._refused.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._counted:
            self._counted = False
            self._receiver.stats.connections -= 1
            super().connection_lost(exc)


def canonical(address: str) -> str:
    """Return an address in its one short form; an IPv4 address that came over IPv6 as itself."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def _refusal(status: str, code: int, words: str) -> bytes:
    body = f"Code: {code}. DB::Exception: {words} (version {VERSION})\n".encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=UTF-8\r\nX-ClickHouse-Exception-Code: {code}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


REFUSALS = {
    "allow": _refusal(
        "403 Forbidden", 195, "this address is not among [[rels]] allow. (IP_ADDRESS_NOT_ALLOWED)"
    ),
    "connections": _refusal(
        "503 Service Unavailable", 202, "too many connections. (TOO_MANY_SIMULTANEOUS_QUERIES)"
    ),
}  # fmt: skip
"""What is answered to a connection that is not taken."""
