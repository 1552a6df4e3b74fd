"""RELS' receiver with real parts around it: a socket, users, the pipeline, the journal."""

from __future__ import annotations

import contextlib
import io
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from appliance import free_port
from web_parts import configured

from monitor.batch import Cursor, Records
from monitor.journal import Journal
from monitor.pipeline import Pipeline
from monitor.rates import Rates
from monitor.receivers.rels import Reading, RelsReceiver
from monitor.receivers.rels_intake import RelsIntake, RelsStats
from monitor.rels import Rels

HERE = "127.0.0.1"
CASES = Path(__file__).resolve().parent / "cases/rels"
ROW = "1700000000000\t10.0.0.7\ts\t1\tp\n"
"""A row of ConnectionEvent."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def code(self) -> int:
        """The code of ClickHouse's error."""
        return int(self.headers["X-ClickHouse-Exception-Code"])


@dataclass
class Server:
    settings: Rels
    journal: Journal
    intake: RelsIntake
    receiver: RelsReceiver
    port: int
    session: aiohttp.ClientSession

    @property
    def stats(self) -> RelsStats:
        return self.intake.stats

    @property
    def url(self) -> str:
        return f"http://{HERE}:{self.port}/"

    async def records(self) -> list[Records]:
        """Return what the journal has."""
        found: list[Records] = []
        after = Cursor(0, 0)
        while groups := await self.journal.read(after):
            after = groups[-1][0]
            found += (entry for _, entries, _ in groups for entry in entries if isinstance(entry, Records))
        return found

    async def rows(self, table: str = "ConnectionEvent") -> bytes:
        """Return the rows of a table in the journal, in the order in which they came."""
        return b"".join(one.body for one in await self.records() if one.table == f"wcs.{table}")

    async def ask(
        self, query: str = "", body: bytes | str = b"", *, as_user: str = "wcs", method: str = "POST", path: str = "/",
        headers: dict[str, str] | None = None, **parameters: str,
    ) -> Answer:  # fmt: skip
        """Send a request as the user `wcs`, whose password is right; without one for as_user=''."""
        given = {"X-ClickHouse-User": as_user, "X-ClickHouse-Key": "wcs"} if as_user else {}
        values = {**({"query": query} if query else {}), **parameters}
        url = f"http://{HERE}:{self.port}{path}"
        given |= headers or {}
        async with self.session.request(
            method,
            url,
            params=values,
            data=io.BytesIO(body.encode() if isinstance(body, str) else body) if body else None,
            headers=given,
        ) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.read())


@contextlib.asynccontextmanager
async def receiving(
    directory: Path, settings: str = "", clock: Callable[[], float] = time.time, reading: Reading | None = None
) -> AsyncIterator[Server]:
    """Listen on a free port; `settings` are lines of [[rels]]."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = configured(directory, f"[receivers]\n[[rels]]\nlisten = {HERE}:{port}\npassword = wcs\n{settings}")
    journal = Journal(directory / "journal")
    await journal.open()
    pipeline = Pipeline(Rates(), journal, clock=clock)
    intake = RelsIntake(pipeline.accept_records, lambda: config.rels, clock=clock)
    receiver = RelsReceiver(intake, lambda: config.rels, reading)
    listening = socket.create_server((HERE, port))
    listening.setblocking(False)
    await receiver.start(listening)
    connector = aiohttp.TCPConnector(force_close=False)
    try:
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            yield Server(config.rels, journal, intake, receiver, port, session)
    finally:
        await receiver.close(1)
        await journal.close()
