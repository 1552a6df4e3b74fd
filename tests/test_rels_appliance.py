"""Events of WCS while the program is killed and PostgreSQL goes away: what was acknowledged is there, and once."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import random
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest
from appliance import appliance, free_port, wait_for
from servers_postgres import PostgresServer

from monitor.wire.clickhouse.tables import TABLES, Table

KILLS = 6
OUTAGE = 3
"""The kill before which PostgreSQL goes away; it is back when the program starts again."""
CONFIG = """
[handlers]
[[PostgreSQLHandler]]
database = {url}
[receivers]
[[rels]]
listen = 127.0.0.1:{port}
password = geheim
"""
NOW = int(time.time() * 1000)


def cell(type: str, chance: random.Random) -> str:
    if type == "IPv4":
        return f"10.{chance.randrange(200)}.0.7"
    if type == "String":
        return chance.choice(("", "a", "s'5", "\\t\\n", "\\\\", "日本", "\\0zero")) + f"{chance.randrange(1 << 30):x}"
    return str(chance.randrange(1 << 31))


def row(table: Table, chance: random.Random) -> str:
    cells = [
        str(NOW - chance.randrange(1 << 40)) if name == table.time else cell(type, chance)
        for name, type in table.columns
    ]
    return "\t".join(cells) + "\n"


def digest(body: bytes) -> tuple[int, int]:
    """Return the number of rows, and a digest that is the same in whatever order they stand."""
    rows = body.splitlines(keepends=True)
    return len(rows), sum(int.from_bytes(hashlib.blake2b(one, digest_size=16).digest()) for one in rows) % (1 << 128)


def request(port: int, table: str, body: bytes, query_id: str) -> bytes:
    query = quote(f"INSERT INTO {table} FORMAT TabSeparated")
    head = f"POST /?database=wcs&user=wcs&password=geheim&query_id={query_id}&query={query} HTTP/1.1\r\nHost: x\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Client(threading.Thread):
    """Sends batches, each again and again until it is acknowledged, and now and then without hearing the answer."""

    def __init__(self, port: int, table: Table, ended: Callable[[], bool]) -> None:
        super().__init__()
        self.port, self.table, self.ended = port, table, ended
        self.acknowledged: list[bytes] = []
        self.unheard = self.failed = 0
        self.problem = ""

    def run(self) -> None:
        chance = random.Random(self.table.name)
        number = 0
        while not self.ended() and not self.problem:
            body = "".join(row(self.table, chance) for _ in range(chance.randrange(1, 60))).encode()
            number += 1
            whole = request(self.port, self.table.name, body, f"{self.table.name}-{number}")
            while not self.problem:
                try:
                    if chance.random() < 0.3:
                        self._send(whole, heard=False)
                        self.unheard += 1
                    self._send(whole)
                except (OSError, http.client.HTTPException):
                    self.failed += 1
                    time.sleep(0.05)
                    continue
                self.acknowledged.append(body)
                break
            time.sleep(0.02)

    def beyond(self, batches: int) -> bool:
        """Tell whether more batches than so many, and some more, are acknowledged."""
        return bool(self.problem) or len(self.acknowledged) > batches + 2

    def _send(self, whole: bytes, *, heard: bool = True) -> None:
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall(whole)
            if not heard:
                return
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            text = answer.read()
        if answer.status != 200:
            self.problem = f"{answer.status} {text!r}"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of its own, for it is stopped."""
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))
    directory.chmod(0o755)
    one = PostgresServer(directory)
    one.start()
    yield one
    one.stop()
    shutil.rmtree(directory)


async def stored(url: str, tables: list[Table]) -> dict[str, tuple[int, int]]:
    """Return number and digest of what the database has of each table."""
    connection = await asyncpg.connect(url)
    found = {}
    try:
        for table in tables:
            bodies: list[bytes] = []

            async def take(data: bytes, bodies: list[bytes] = bodies) -> None:
                bodies.append(data)

            names = ", ".join(
                f"host({name.lower()})" if type == "IPv4" else name.lower() for name, type in table.columns
            )
            await connection.copy_from_query(f"SELECT {names} FROM wcs.{table.name.lower()}", output=take)
            found[table.name] = digest(b"".join(bodies).replace("\U0010ff00".encode(), b"\\0"))
        return found
    finally:
        await connection.close()


def test_kills_an_outage_and_lost_answers_neither_lose_nor_double_a_row(server: PostgresServer, tmp_path: Path) -> None:
    chance = random.Random(7)
    port = free_port()
    ended = threading.Event()
    tables = [TABLES[name] for name in ("StreamEvent", "MediaSessionEvents", "HlsClientEvents")]
    clients = [Client(port, table, ended.is_set) for table in tables]
    with appliance(tmp_path / "a", CONFIG.format(port=port, url=server.url())) as one:
        for client in clients:
            client.start()
        try:
            for kill in range(KILLS):
                if kill == OUTAGE:
                    server.stop()
                heard = [len(client.acknowledged) for client in clients]
                wait_for(lambda heard=heard: all(map(Client.beyond, clients, heard)), 20, 0.005)
                time.sleep(chance.random() * 0.1)
                one.kill()
                if kill == OUTAGE:
                    server.start()
                one.start()
        finally:
            ended.set()
            for client in clients:
                client.join(30)
        assert [client.problem for client in clients] == ["", "", ""]
        assert any(client.unheard for client in clients) and any(client.failed for client in clients)
        wanted = {c.table.name: digest(b"".join(c.acknowledged)) for c in clients}
        assert min(count for count, _ in wanted.values()) > 100
        one.wait_ready()
        wait_for(lambda: asyncio.run(stored(server.url(), tables)) == wanted or None, 20, 0.3)
        # Nothing more is on its way.
        assert one.stop() == 0
        assert asyncio.run(stored(server.url(), tables)) == wanted
