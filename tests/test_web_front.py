"""Requests that cannot be read as HTTP: answered, counted, and logged once."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from web_parts import Parts, configured

from monitor.web import make_app
from monitor.web.front import QUIET, Front


class Serving:
    def __init__(self, front: Front, port: int) -> None:
        self.front, self.port = front, port
        self.now = 0.0

    async def send(self, data: bytes) -> tuple[bytes, bytes]:
        """Send bytes; return head and body of what comes until the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        async with asyncio.timeout(10):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        return head, body


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[Serving]:
    parts = Parts(configured(tmp_path), tmp_path)
    await parts.journal.open()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    one: Serving
    front = Front(make_app(parts.services), grace=1, longest_line=20_000, clock=lambda: one.now)
    one = Serving(front, listening.getsockname()[1])
    await front.start(listening)
    yield one
    await front.close()
    await parts.journal.close()


CLOSE = b"Host: localhost\r\nConnection: close\r\n\r\n"
UNREADABLE = {
    "a line of rubbish": b"this is no request\r\n\r\n",
    "a greeting of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "an unknown version": b"GET / HTTP/9.9\r\n" + CLOSE,
    "a first line that is too long": b"GET /?" + b"x" * 30_000 + b" HTTP/1.1\r\n" + CLOSE,
    "a header that is too long": b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n" + CLOSE,
    "a header without its name": b"GET / HTTP/1.1\r\n: x\r\n" + CLOSE,
    "two lengths": b"POST /api/v1/push HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + CLOSE,
    "a length that is no number": b"POST /api/v1/push HTTP/1.1\r\nContent-Length: a\r\n" + CLOSE,
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_is_no_request_is_a_400_and_no_traceback(
    serving: Serving, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    head, body = await serving.send(data)
    assert head.split(b" ", 2)[1] == b"400", head  # as HTTP/1.0, which ends the connection
    assert b"\r\nContent-Type: application/problem+json" in head
    found = json.loads(body)
    assert found["detail"].startswith("expected a request of HTTP/1.1: ")
    assert len(body) < 400
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_thousand_of_them_are_one_line_in_the_log_and_a_number_in_the_metrics(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(100):
        await asyncio.gather(*(serving.send(b"rubbish\r\n\r\n") for _ in range(10)))
    said = [record.getMessage() for record in caplog.records if record.name != "asyncio"]
    assert said == ["web.unreadable"]
    head, body = await serving.send(b"GET /metrics HTTP/1.1\r\n" + CLOSE)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b'monitor_http_answers_total{route="unreadable",status="400"} 1000' in body


async def test_they_are_logged_again_when_they_begin_again(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    for now in (0.0, QUIET - 1, 2 * QUIET - 2, 3 * QUIET):
        serving.now = now
        await serving.send(b"rubbish\r\n\r\n")
    assert [record.getMessage() for record in caplog.records] == ["web.unreadable"] * 2


async def test_requests_on_the_same_port_are_served_as_before(serving: Serving) -> None:
    await serving.send(b"rubbish\r\n\r\n")
    head, body = await serving.send(b"GET /version HTTP/1.1\r\n" + CLOSE)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert "version" in json.loads(body)
    head, _ = await serving.send(b"GET /?" + b"x" * 15_000 + b" HTTP/1.1\r\n" + CLOSE)
    assert head.startswith(b"HTTP/1.1 200 ")
