"""A ClickHouse as a target: the real engine (servers_clickhouse.py), and before it a door where things go wrong."""

from __future__ import annotations

import asyncio
import gzip
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from appliance import free_port

from handlers._clickhouse import ddl


@dataclass(frozen=True)
class Insert:
    """An insert that came through the door."""

    query: str
    parameters: dict[str, str]
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def table(self) -> str:
        return self.query.partition(".`")[2].partition("`")[0]

    @property
    def token(self) -> str:
        return self.parameters["insert_deduplication_token"]


class ClickHouse:
    """The engine behind its port, asked directly."""

    def __init__(self, port: int) -> None:
        self.port = port

    def run(self, sql: str) -> bytes:
        url = f"http://127.0.0.1:{self.port}/"
        with urllib.request.urlopen(url, data=sql.encode(), timeout=60) as answer:
            return bytes(answer.read())

    async def ask(self, sql: str) -> bytes:
        return await asyncio.to_thread(self.run, sql)

    async def number(self, sql: str) -> int:
        return int(await self.ask(sql))

    def make(self, form: ddl.Form, *names: str) -> None:
        """Make a database with these tables, or all of events."""
        self.run(ddl.database(form))
        for one in ddl.everything(form):
            if one.order and not one.fill and (not names or one.name in names):
                self.run(one.create)

    async def rows(self, table: str, columns: str = "*") -> list[bytes]:
        """Return the rows of a table in a fixed order."""
        body = await self.ask(f"SELECT {columns} FROM {table} FORMAT TabSeparatedRaw")
        return sorted(body.splitlines(keepends=True))


class Door:
    """Hands requests on to the engine; each of `faults` is used up by an insert: an answer instead, or 'lost'."""

    def __init__(self, clickhouse: ClickHouse, *, user: str = "", key: str = "") -> None:
        self.port = free_port()
        self.inserts: list[Insert] = []
        self.faults: list[tuple[int, str] | str] = []
        self.asked: list[dict[str, str]] = []
        """The settings of what was no insert."""
        self.answer: tuple[int, str] | None = None
        """What everything is answered with, where it is given."""
        self.user, self.key = user, key
        self._to = f"http://127.0.0.1:{clickhouse.port}"
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bodies(self, table: str) -> list[bytes]:
        return [one.body for one in self.inserts if one.table == table and one.status == 200]

    async def start(self) -> None:
        self._session = aiohttp.ClientSession()
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(app, access_log=None, auto_decompress=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            await self._session.close()
            self._runner = None

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        given = (request.headers.get("X-ClickHouse-User", ""), request.headers.get("X-ClickHouse-Key", ""))
        if self.user and given != (self.user, self.key):
            text = f"Code: 516. DB::Exception: {given[0]}: Authentication failed. (AUTHENTICATION_FAILED)\n"
            return web.Response(status=403, text=text)
        values = dict(urllib.parse.parse_qsl(request.raw_path.partition("?")[2]))
        query = values.get("query", "")
        if self.answer is not None:
            return web.Response(status=self.answer[0], text=self.answer[1])
        if not query.startswith("INSERT"):
            self.asked.append(values)
            if "nonsense" in values.values():
                return web.Response(status=400, text="Code: 27. DB::Exception: Cannot parse input: expected a number")
            return await self._ask(request, body)
        fault = self.faults.pop(0) if self.faults else None
        answer: web.Response
        if isinstance(fault, tuple):
            answer = web.Response(status=fault[0], text=fault[1], headers={"Retry-After": "0"})
        else:
            answer = await self._ask(request, body)
        plain = gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body
        self.inserts.append(Insert(query, values, dict(request.headers), plain, answer.status))
        if fault == "lost":
            assert request.transport is not None
            request.transport.abort()
        return answer

    async def _ask(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: request.headers[name] for name in ("Content-Encoding",) if name in request.headers}
        async with self._session.post(f"{self._to}{request.raw_path}", data=body, headers=headers) as answer:
            return web.Response(status=answer.status, body=await answer.read())


@asynccontextmanager
async def opened(clickhouse: ClickHouse, **options: str) -> AsyncIterator[Door]:
    door = Door(clickhouse, **options)
    await door.start()
    try:
        yield door
    finally:
        await door.stop()
