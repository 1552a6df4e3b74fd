"""A real ClickHouse engine (chdb) behind a little of ClickHouse's HTTP interface, in a process of its own.

Started by itself: servers_clickhouse.py PORT DIRECTORY. It has the tables of WCS.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

ROOT = Path(__file__).resolve().parent.parent
FORMAT = re.compile(rb"(?is)^(insert\s+into\s.*?)\s+format\s+(\w+)[ \t]*;?\r?\n?")
READ_FORMAT = re.compile(r"(?is)^(.*?)(?:\s+format\s+(\w+))?\s*;?\s*$")
SETTINGS = ("async_insert", "insert_deduplicate", "insert_deduplication_token", "distributed_foreground_insert")
"""What of the settings in an address counts here, for inserts."""
DATA = re.compile(rb"(?i)^\s*insert\s")


class Engine:
    """Runs statements, one after the other."""

    def __init__(self, directory: Path, ddl: list[str], session: Any) -> None:
        self._directory = directory
        self._session = session
        for statement in ddl:
            session.query(statement)

    def run(self, query: bytes, body: bytes, values: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
        database = values.get("database") or headers.get("X-ClickHouse-Database") or "default"
        self._session.query(f"USE `{database}`")
        for name, value in values.items():
            if name.startswith("param_"):
                self._session.query(f"SET {name} = '{value}'")
        whole = query + b"\n" + body if query and body else query or body
        found = FORMAT.match(whole)
        if found is not None and not re.search(rb"(?i)\bvalues\b", found[1]):
            with tempfile.NamedTemporaryFile(dir=self._directory) as file:
                file.write(whole[found.end() :])
                file.flush()
                settings = ", ".join(f"{name} = '{values[name]}'" for name in SETTINGS if name in values)
                clause = f" SETTINGS {settings}" if settings else ""
                into = f" FROM INFILE '{file.name}' COMPRESSION 'none'{clause} FORMAT {found[2].decode()}"
                self._session.query(found[1].decode() + into)
            return b""
        if DATA.match(whole):
            self._session.query(whole.decode())
            return b""
        read = READ_FORMAT.match(whole.decode())
        assert read is not None
        format = read[2] or values.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated"
        return bytes(self._session.query(read[1], format).bytes())


async def serve(port: int, directory: Path) -> None:
    from aiohttp import web
    from chdb.session import Session
    from events_chdb import ddl

    from monitor.wire.clickhouse.framing import framed, unframed

    threads = ThreadPoolExecutor(1)
    loop = asyncio.get_running_loop()
    engine = await loop.run_in_executor(threads, lambda: Engine(directory, ddl(), Session(str(directory / "data"))))

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        if request.path == "/ping":
            return web.Response(text="Ok.\n")
        values = dict(parse_qsl(request.raw_path.partition("?")[2], keep_blank_values=True))
        if request.headers.get("Content-Encoding") == "lz4":
            import lz4.frame

            body = lz4.frame.decompress(body)
        if values.get("decompress") == "1":
            body = unframed(body, limit=1 << 30)
        query = values.get("query", "").encode()
        status, headers = 200, {}
        try:
            answer = await loop.run_in_executor(threads, engine.run, query, body, values, request.headers)
        except RuntimeError as error:
            code = re.search(r"Code: (\d+)", str(error))
            headers = {"X-ClickHouse-Exception-Code": code[1] if code else "1002"}
            status = 404 if code and code[1] in ("60", "81", "47") else 400 if code else 500
            answer = str(error).encode()
        body = framed(answer) if values.get("compress") == "1" else answer
        return web.Response(status=status, body=body, headers=headers)

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


@contextlib.contextmanager
def clickhouse(directory: Path, port: int, wait: float = 60.0) -> Iterator[subprocess.Popen[bytes]]:
    """Run it while the block runs; it answers when the block begins."""
    directory.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([sys.executable, __file__, str(port), str(directory)], cwd=ROOT)
    try:
        end = time.monotonic() + wait
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
                break
            except urllib.error.URLError:
                if process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
