"""The example of a collector in the README works against the real thing."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from appliance import free_port, wait_for
from debian import need

from monitor.collector import Collector, Target
from monitor.registry import Registry
from monitor.runner import Job, Runner

EXAMPLES = Path(__file__).parent / "examples"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    port = free_port()
    user = ["-u", "root"] if os.geteuid() == 0 else []
    server = subprocess.Popen([need("memcached"), "-l", "127.0.0.1", "-p", str(port), *user])
    try:
        wait_for(lambda: socket.create_connection(("127.0.0.1", port), 1).close() or True, 20, 0.02)
        yield port
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="module")
def found() -> type[Collector]:
    """The class, as the directory of [server] collectors_path brings it in."""
    return Registry([EXAMPLES], []).collectors["MemcachedCollector"]


def say(port: int, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(text)
        return connection.recv(1000)


async def test_the_example_reads_a_real_memcached(found: type[Collector], port: int) -> None:
    one = found(Target("cache1", "127.0.0.1", "cache1"), None, port=port)  # type: ignore[arg-type]
    (before,) = await one.run(0)
    assert await asyncio.to_thread(say, port, b"set a 0 0 5\r\nhello\r\n") == b"STORED\r\n"
    assert b"hello" in await asyncio.to_thread(say, port, b"get a\r\nget b\r\n")
    (after,) = await one.run(60)
    assert before.source == ("cache1", "memcached", "")
    assert before.meta["version"]
    assert after.values["cmd_get"] - before.values["cmd_get"] == 2
    assert after.values["get_hits"] - before.values["get_hits"] == 1
    assert after.values["bytes"] > before.values["bytes"]
    assert {name: str(kind) for name, kind in after.kinds.items()} == {
        "curr_connections": "gauge", "bytes": "gauge", "limit_maxbytes": "gauge",
        "cmd_get": "derive", "get_hits": "derive", "evictions": "derive",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"ERROR\r\nEND\r\n", "expected lines 'STAT name value', got 'ERROR\\r\\nEND\\r\\n'"),
        (
            b"STAT pid 1\r\n",
            "expected statistics that end with END: 12 bytes read on a total of undefined expected bytes",
        ),
        (b"x" * 100_000, "expected statistics that end with END: Separator is not found, and chunk exceed the limit"),
    ],
    ids=["no statistics", "cut off", "endless"],
)
async def test_a_wrong_answer_is_a_failure_that_says_what_came(
    answer: bytes, reason: str, found: type[Collector]
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    async def accept(batches):
        return [None] * len(batches)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        target = Target("cache1", "127.0.0.1", "cache1")
        job = Job(target, found(target, None, port=port))  # type: ignore[arg-type]
        assert not await Runner(accept).run(job)
        assert job.reason == reason
        server.close()
        assert not await Runner(accept).run(job)
        assert job.reason == "connection refused"


def test_an_example_is_short() -> None:
    for file in EXAMPLES.glob("*.py"):
        assert len(file.read_text().splitlines()) < 60, file.name
