"""NginxCollector against a real nginx."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from appliance import free_port
from servers_nginx import Nginx, nginx

from collectors.nginx import NginxCollector, parse
from monitor.batch import Batch, Kind
from monitor.collector import CollectError, Target
from monitor.http import HttpClient
from monitor.runner import Job, Runner


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with nginx(tmp_path_factory.mktemp("nginx")) as one:
        yield one


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    one = HttpClient()
    await one.open()
    yield one
    await one.close()


def collector(client: HttpClient, server: Nginx, **options) -> NginxCollector:
    target = Target("web1", "127.0.0.1", "web1")
    return NginxCollector(target, client.bound(timeout=5), **{"req_port": server.port, **options})


async def read(one: NginxCollector) -> Batch:
    (batch,) = await one.run(1000.0)
    return batch


async def test_the_status_page_gives_diamonds_names_and_the_counts_of_nginx(server: Nginx, client: HttpClient) -> None:
    one = collector(client, server)
    before = await read(one)
    for _ in range(25):
        server.get("/")
    after = await read(one)
    assert before.source == ("web1", "nginx", "")
    assert after.kinds == {
        "active_connections": Kind.GAUGE,
        "act_reads": Kind.GAUGE,
        "act_writes": Kind.GAUGE,
        "act_waits": Kind.GAUGE,
        "req_per_conn": Kind.GAUGE,
        "conn_accepted": Kind.DERIVE,
        "conn_handled": Kind.DERIVE,
        "req_handled": Kind.DERIVE,
    }
    # 25 of the test, each with a connection of its own, and the second poll by the connection of the first.
    assert after.values["req_handled"] - before.values["req_handled"] == 26
    assert after.values["conn_accepted"] - before.values["conn_accepted"] == 25
    assert after.values["conn_handled"] == after.values["conn_accepted"]
    assert after.values["active_connections"] >= 1
    assert after.values["act_writes"] == 1
    assert after.values["req_per_conn"] == after.values["req_handled"] / after.values["conn_handled"]


async def test_the_own_host_is_asked_at_the_address_of_diamonds_default(server: Nginx, client: HttpClient) -> None:
    """The seed's recipe: a status page on 127.0.0.1:8080 and a section that says only `enabled = True`."""
    asked = []

    class Asked:
        async def text(self, url, *, headers=None):
            asked.append((url, headers))
            return server.get("/nginx_status")

    own = NginxCollector(Target("own", "127.0.0.1", "own", local=True), Asked())  # type: ignore[arg-type]
    await read(own)
    await read(NginxCollector(Target("10.0.0.1", "10.0.0.1", "web1"), Asked(), req_port=80))  # type: ignore[arg-type]
    await read(
        NginxCollector(
            Target("v6", "2001:db8::1", "v6"), Asked(), req_ssl=True, req_path="/s", req_host_header="status.x"
        )  # type: ignore[arg-type]
    )
    assert asked == [
        ("http://localhost:8080/nginx_status", None),
        ("http://10.0.0.1:80/nginx_status", None),
        ("https://[2001:db8::1]:8080/s", {"Host": "status.x"}),
    ]
    real = NginxCollector(Target("own", "127.0.0.1", "own", local=True), client.bound(), req_port=server.port)
    assert (await read(real)).values["active_connections"] >= 1


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing", "{url}/missing: status 404 instead of 200"),
        ("/garbage", "expected a stub_status page, got 'hello and goodbye\\n'"),
        ("/empty", "expected a stub_status page, got ''"),
        ("/elsewhere", "{url}/elsewhere: status 301 instead of 200"),
    ],
)
async def test_a_wrong_page_is_a_failure_that_says_what_came(
    path: str, reason: str, server: Nginx, client: HttpClient
) -> None:
    with pytest.raises(CollectError) as error:
        await read(collector(client, server, req_path=path))
    assert str(error.value) == reason.format(url=server.url)


async def test_a_refused_connection_is_a_failure(client: HttpClient) -> None:
    port = free_port()
    target = Target("web1", "127.0.0.1", "web1")
    with pytest.raises(CollectError) as error:
        await NginxCollector(target, client.bound(), req_port=port).run(0)
    assert str(error.value) == f"http://127.0.0.1:{port}/nginx_status: connection refused"


async def test_a_hanging_nginx_is_down_and_comes_back_by_itself(tmp_path: Path, client: HttpClient) -> None:
    batches: list[Batch] = []

    async def accept(found):
        batches.extend(found)
        return [None] * len(found)

    with nginx(tmp_path) as server:
        one = collector(client, server, timeout=0.5)
        job, runner = Job(one.host, one), Runner(accept)
        assert await runner.run(job)
        server.pause()
        assert not await runner.run(job)
        assert (job.up, job.reason, len(batches)) == (False, "no answer within 0.5 s", 1)
        server.resume()
        assert await runner.run(job)
        assert (job.up, job.reason, len(batches)) == (True, "", 2)


async def test_a_restart_between_two_collections_is_no_failure(tmp_path: Path, client: HttpClient) -> None:
    with nginx(tmp_path) as server:
        one = collector(client, server)
        await read(one)
        for _ in range(5):
            server.get("/")
        before = await read(one)
        server.stop()
        server.start()
        after = await read(one)
    assert after.values["req_handled"] < before.values["req_handled"]


async def test_20_collections_at_once_share_the_client(server: Nginx, client: HttpClient) -> None:
    found = await asyncio.gather(*(read(collector(client, server, section=str(i))) for i in range(20)))
    assert {batch.source.instance for batch in found} == {str(i) for i in range(20)}


def test_a_page_before_the_first_connection_leaves_the_ratio_unknown_and_keeps_the_rest() -> None:
    page = "Active connections: 1 \nserver accepts handled requests\n 0 0 0 \nReading: 0 Writing: 1 Waiting: 0 \n"
    one = NginxCollector(Target("web1", "127.0.0.1", "web1"), None)  # type: ignore[arg-type]

    class Page:
        async def text(self, url, *, headers=None):
            return page

    one.http = Page()  # type: ignore[assignment]
    (batch,) = asyncio.run(one.run(0))
    assert math.isnan(batch.values["req_per_conn"])
    assert len(batch.values) == 8


@pytest.mark.parametrize("page", ["", "Active connections: 1", "<html>404</html>", "Active connections: x \n"])
def test_what_is_no_status_page_is_refused(page: str) -> None:
    with pytest.raises(CollectError, match="expected a stub_status page, got"):
        parse(page)
