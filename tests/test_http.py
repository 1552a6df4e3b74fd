from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator

import pytest
from appliance import free_port

from monitor.collector import CollectError
from monitor.http import HttpClient

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


class Server:
    """Answers each request with the bytes that a test sets, piece by piece."""

    def __init__(self) -> None:
        self.answer: list[bytes] = [OK + b"Content-Length: 5\r\n\r\nhello"]
        self.pause = 0.0
        self.close = False
        self.requests: list[str] = []
        self.connections = 0
        self.sent = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
                for piece in self.answer:
                    writer.write(piece)
                    await writer.drain()
                    self.sent += len(piece)
                    await asyncio.sleep(self.pause)
                if self.close:
                    break
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()
            self._writers.discard(writer)

    async def start(self) -> None:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/"

    async def stop(self) -> None:
        self.server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    one = Server()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    one = HttpClient()
    await one.open()
    yield one
    await one.close()


async def reason(client: HttpClient, url: str, **bounds: float) -> str:
    with pytest.raises(CollectError) as error:
        await client.bound(**{"timeout": 5.0, **bounds}).text(url)  # type: ignore[arg-type]
    assert str(error.value).startswith(f"{url}: ")
    return str(error.value).removeprefix(f"{url}: ")


async def test_an_answer_comes_with_status_headers_and_body(server: Server, client: HttpClient) -> None:
    server.answer = [b"HTTP/1.1 418 Teapot\r\nX-Kind: green\r\nContent-Length: 4\r\n\r\n\xc3\xa9\xff!"]
    answer = await client.bound().get(server.url, headers={"Host": "status.example.com", "X-Ask": "1"})
    assert (answer.status, answer.body) == (418, b"\xc3\xa9\xff!")
    assert answer.headers["x-kind"] == "green"
    assert answer.text() == "é\ufffd!"
    assert "\r\nHost: status.example.com\r\n" in server.requests[0]
    assert "\r\nX-Ask: 1\r\n" in server.requests[0]


async def test_requests_share_one_connection(server: Server, client: HttpClient) -> None:
    for _ in range(5):
        assert await client.bound().text(server.url) == "hello"
    assert server.connections == 1


async def test_an_address_is_taken_apart_once_and_only_so_many_are_remembered(
    server: Server, client: HttpClient
) -> None:
    url = server.url.replace("http://", "http://user:hunter2@") + "a%20b?c=d#e"
    for _ in range(3):
        assert await client.bound().text(url) == "hello"
    assert len({*server.requests}) == 1
    assert server.requests[0].startswith("GET /a%20b?c=d HTTP/1.1\r\n")
    assert "\r\nAuthorization: Basic dXNlcjpodW50ZXIy\r\n" in server.requests[0]
    known = client.parsed.cache_info()
    assert (known.misses, known.hits, known.maxsize) == (1, 2, 20_000)


async def test_a_kept_connection_that_the_server_closed_is_opened_again(server: Server, client: HttpClient) -> None:
    bound = client.bound()
    assert await bound.text(server.url) == "hello"
    for writer in list(server._writers):
        writer.transport.abort()
    assert await bound.text(server.url) == "hello"
    assert server.connections == 2


async def test_cookies_proxies_and_redirects_are_not_followed(
    server: Server, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.answer = [
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    ]
    # Cookies are kept for names, never for addresses.
    url = server.url.replace("127.0.0.1", "localhost")
    assert (await client.bound().get(url)).status == 302
    assert await reason(client, url) == "status 302 instead of 200"
    assert "Cookie" not in server.requests[1]


async def test_a_refused_connection_says_so(client: HttpClient) -> None:
    assert await reason(client, f"http://127.0.0.1:{free_port()}/") == "connection refused"
    assert await reason(client, f"http://localhost:{free_port()}/") == "connection refused"


async def test_a_host_name_that_does_not_exist_says_so(client: HttpClient) -> None:
    assert await reason(client, "http://nowhere.invalid/") == "the host name is not known"


@pytest.mark.parametrize("url", ["http://", "no url", "http://host:port/", "http://[::1/"])
async def test_what_is_no_url_says_so(url: str, client: HttpClient) -> None:
    assert await reason(client, url) == "not a URL"


async def test_an_error_never_shows_a_password(client: HttpClient) -> None:
    port = free_port()
    with pytest.raises(CollectError) as error:
        await client.bound().text(f"http://user:hunter2@127.0.0.1:{port}/")
    assert "hunter2" not in str(error.value)
    assert f"@127.0.0.1:{port}/: connection refused" in str(error.value)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([b""], "the server closed the connection without an answer"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], "Bad"),
        ([OK + b"Content-Length: 100\r\n\r\nonly this"], "payload is not completed"),
        ([OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"], ""),
        ([OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"], "Can not decode"),
        ([OK + b"X: " + b"x" * 100_000 + b"\r\n\r\n"], ""),
    ],
    ids=["nothing", "not http", "cut off", "bad chunk", "bad gzip", "long header"],
)
async def test_a_broken_answer_is_a_failure(answer: list[bytes], said: str, server: Server, client: HttpClient) -> None:
    server.answer, server.close = answer, True
    text = await reason(client, server.url)
    assert said in text
    assert 0 < len(text) <= 300
    assert "\n" not in text


async def test_an_answer_that_does_not_come_is_given_up(server: Server, client: HttpClient) -> None:
    server.answer, server.pause = [OK], 60
    began = time.monotonic()
    assert await reason(client, server.url, timeout=0.1) == "no answer within 0.1 s"
    assert time.monotonic() - began < 2


async def test_an_answer_that_drips_is_given_up_too(server: Server, client: HttpClient) -> None:
    server.answer = [OK + b"Content-Length: 1000\r\n\r\n", *[b"x"] * 1000]
    server.pause = 0.02
    assert await reason(client, server.url, timeout=0.2) == "no answer within 0.2 s"


async def test_a_body_is_read_no_further_than_allowed(server: Server, client: HttpClient) -> None:
    server.answer = [OK + b"Transfer-Encoding: chunked\r\n\r\n", *[b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 1000]
    assert await reason(client, server.url, max_size=100_000) == "the answer is larger than 100000 bytes"
    assert server.sent < 20_000_000


async def test_a_compressed_body_counts_in_full(server: Server, client: HttpClient) -> None:
    packed = zlib.compressobj(9, wbits=31)
    body = packed.compress(b"\0" * 50_000_000) + packed.flush()
    server.answer = [OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body]
    assert await reason(client, server.url, max_size=1_000_000) == "the answer is larger than 1000000 bytes"
    server.answer = [server.answer[0].replace(body, b"").replace(str(len(body)).encode(), b"25") + zlib_of(b"hello")]
    assert await client.bound().text(server.url) == "hello"


def zlib_of(text: bytes) -> bytes:
    packed = zlib.compressobj(wbits=31)
    return packed.compress(text) + packed.flush()


async def test_a_body_of_exactly_the_allowed_size_is_read(server: Server, client: HttpClient) -> None:
    assert await client.bound(max_size=5).text(server.url) == "hello"
    assert await reason(client, server.url, max_size=4) == "the answer is larger than 4 bytes"


async def test_a_cancelled_request_frees_its_connection(server: Server, client: HttpClient) -> None:
    server.pause = 60
    server.answer = [OK]
    task = asyncio.create_task(client.bound().text(server.url))
    while not server.requests:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.pause, server.answer = 0, [OK + b"Content-Length: 5\r\n\r\nhello"]
    assert await client.bound().text(server.url) == "hello"
