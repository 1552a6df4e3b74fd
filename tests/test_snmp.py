from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvloop
from appliance import free_port
from debian import need
from snmp_agent import GAUGE, GET, GET_BULK, GET_NEXT, Agent

from monitor.collector import CollectError, SnmpAgent, SnmpValue
from monitor.snmp import SnmpClient

SYSTEM = "1.3.6.1.2.1.1"
TABLE = {
    f"{SYSTEM}.1.0": "a small agent",
    f"{SYSTEM}.3.0": (0x43, b"\1\0"),
    "1.3.6.1.4.1.40001.2.1.1": "WineSOFT Inc.",
    "1.3.6.1.4.1.40001.2.2.9": (GAUGE, b"\x01\xf4\0\0"),
    "1.3.6.1.4.1.40001.2.2.10.5": -5,
}


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    one = await Agent(TABLE).start()
    yield one
    await one.stop()


def place(agent: Agent, *, community: str = "public", version: str = "2c", wait: float = 0.5) -> SnmpAgent:
    return SnmpAgent("127.0.0.1", agent.port, community, version, wait, 2)  # type: ignore[arg-type]


async def reason(agent: SnmpAgent, oids: list[str], **bounds: float) -> str:
    with pytest.raises(CollectError) as error:
        await SnmpClient(**bounds).get(agent, oids)  # type: ignore[arg-type]
    return str(error.value).replace(f"snmp://127.0.0.1:{agent.port}", "AGENT")


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_values_come_by_their_oids_and_none_is_what_the_agent_lacks(version: str, agent: Agent) -> None:
    asked = [f".{SYSTEM}.1.0", "1.3.6.1.9.9", "1.3.6.1.4.1.40001.2.2.10.5", f"{SYSTEM}.3.0"]
    found = await SnmpClient().get(place(agent, version=version), asked)
    assert list(found.items()) == [(asked[0], b"a small agent"), (asked[1], None), (asked[2], -5), (asked[3], 256)]
    assert agent.versions == {0 if version == "1" else 1}


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_a_walk_returns_what_lies_below_in_order(version: str, agent: Agent) -> None:
    client, at = SnmpClient(), place(agent, version=version)
    expected: list[tuple[str, SnmpValue]] = [
        ("1.3.6.1.4.1.40001.2.2.9", 32768000), ("1.3.6.1.4.1.40001.2.2.10.5", -5),
    ]  # fmt: skip
    assert list((await client.walk(at, "1.3.6.1.4.1.40001.2.2")).items()) == expected
    assert len(await client.walk(at, ".1.3.6.1")) == len(TABLE)
    assert await client.walk(at, "1.3.6.1.4.1.40001.2.22") == {}
    assert await client.walk(at, "1.3.7") == {}
    # Something of this name is an OID itself, and a walk is what lies below.
    assert await client.walk(at, "1.3.6.1.4.1.40001.2.2.9") == {}
    assert set(agent.requests) == {GET_NEXT if version == "1" else GET_BULK}


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_next_tells_what_comes_after_an_oid(version: str, agent: Agent) -> None:
    client, at = SnmpClient(), place(agent, version=version)
    assert await client.next(at, f"{SYSTEM}.1.0") == (f"{SYSTEM}.3.0", 256)
    assert await client.next(at, "1.3.6.1.4.1.40001.2.2.10.5") is None


async def test_many_values_are_asked_for_in_parts(agent: Agent) -> None:
    agent.serve({f"1.3.6.1.4.1.9.{i}.0": i for i in range(1000)})
    found = await SnmpClient().get(place(agent), [f"1.3.6.1.4.1.9.{i}.0" for i in range(0, 1000, 2)])
    assert list(found.values()) == list(range(0, 1000, 2))
    assert agent.requests == [GET] * 16
    agent.requests.clear()
    assert list((await SnmpClient().walk(place(agent), "1.3.6.1.4.1.9")).values()) == list(range(1000))
    assert len(agent.requests) <= 1000 / 32 + 2


async def test_values_too_big_for_a_datagram_are_asked_for_one_by_one(agent: Agent) -> None:
    agent.serve({f"1.3.6.1.4.1.9.{i}.0": "x" * 1000 for i in range(20)})
    found = await SnmpClient().get(place(agent), [f"1.3.6.1.4.1.9.{i}.0" for i in range(20)])
    assert set(found.values()) == {b"x" * 1000}
    assert len(agent.requests) < 30
    assert len(await SnmpClient().walk(place(agent), "1.3.6.1.4.1.9")) == 20


async def test_one_value_that_is_too_big_is_a_failure(agent: Agent) -> None:
    agent.serve({"1.3.6.1.4.1.9.0": "x" * 2000})
    assert await reason(place(agent), ["1.3.6.1.4.1.9.0"]) == "AGENT: too big for 1.3.6.1.4.1.9.0"


@pytest.mark.parametrize("lost", [1, 2])
async def test_a_lost_request_is_made_again(lost: int, agent: Agent) -> None:
    agent.lose = lost
    assert await SnmpClient().get(place(agent, wait=0.1), [f"{SYSTEM}.3.0"]) == {f"{SYSTEM}.3.0": 256}
    assert len(agent.requests) == lost + 1


async def test_answers_that_come_twice_are_taken_once(agent: Agent) -> None:
    agent.twice = True
    agent.serve({f"1.3.6.1.4.1.9.{i}.0": i for i in range(200)})
    assert list((await SnmpClient().walk(place(agent), "1.3.6.1.4.1.9")).values()) == list(range(200))


async def test_no_answer_says_from_where_and_why_that_may_be(agent: Agent) -> None:
    began = time.monotonic()
    text = await reason(place(agent, community="wrong secret", wait=0.1), [f"{SYSTEM}.1.0"])
    assert text == (
        "no answer from AGENT to 3 requests in 0.3 s"
        " (an agent gives none to a manager or a community that it does not know)"
    )
    assert time.monotonic() - began < 2
    assert len(agent.requests) == 3


async def test_a_timeout_below_the_waits_shortens_them(agent: Agent) -> None:
    agent.community = "other"
    began = time.monotonic()
    text = await reason(place(agent, wait=60), [f"{SYSTEM}.1.0"], timeout=0.2)
    assert text.startswith("no answer from AGENT to 3 requests in 0.18 s")
    assert time.monotonic() - began < 2


async def test_an_agent_that_answers_slowly_for_ever_is_given_up(agent: Agent) -> None:
    agent.serve({f"1.3.6.1.4.1.9.{i}.0": "x" * 1000 for i in range(1000)})
    loop = asyncio.get_running_loop()
    answer = agent.datagram_received
    agent.datagram_received = lambda data, addr: loop.call_later(0.05, answer, data, addr) and None  # type: ignore[method-assign,func-returns-value]
    with pytest.raises(CollectError, match=r"^no answer from snmp://127.0.0.1:\d+ within 0.3 s$"):
        await SnmpClient(timeout=0.3).walk(place(agent), "1.3.6.1.4.1.9")


async def test_a_port_where_nothing_listens_is_known_at_once() -> None:
    began = time.monotonic()
    at = SnmpAgent("127.0.0.1", free_port(), wait=5)
    assert await reason(at, [f"{SYSTEM}.1.0"]) == "AGENT: connection refused"
    assert time.monotonic() - began < 2


async def test_a_host_name_that_does_not_exist_says_so() -> None:
    with pytest.raises(CollectError, match=r"^snmp://nowhere\.invalid:161: the host name is not known$"):
        await SnmpClient().get(SnmpAgent("nowhere.invalid"), [f"{SYSTEM}.1.0"])


async def test_an_ipv6_agent_is_asked(agent: Agent) -> None:
    six = await Agent(TABLE).start("::1")
    try:
        found = await SnmpClient().get(SnmpAgent("::1", six.port), [f"{SYSTEM}.3.0"])
    finally:
        await six.stop()
    assert found == {f"{SYSTEM}.3.0": 256}
    with pytest.raises(CollectError, match=rf"^snmp://\[::1\]:{six.port}: connection refused$"):
        await SnmpClient().get(SnmpAgent("::1", six.port), [f"{SYSTEM}.3.0"])


@pytest.mark.parametrize(("status", "said"), [(5, "general error"), (16, "authorization error"), (99, "error 99")])
async def test_an_error_status_is_a_failure_with_its_words(status: int, said: str, agent: Agent) -> None:
    agent.fail = status
    assert await reason(place(agent), [f"{SYSTEM}.1.0"]) == f"AGENT: {said} for {SYSTEM}.1.0"
    for version in "1", "2c":
        with pytest.raises(CollectError, match=f"{said} for {SYSTEM}"):
            await SnmpClient().walk(place(agent, version=version), SYSTEM)


async def test_a_walk_in_a_circle_ends(agent: Agent) -> None:
    agent.circle = True
    with pytest.raises(CollectError, match=f"the walk of 1.3 comes to {SYSTEM}.1.0 again"):
        await SnmpClient().walk(place(agent), "1.3")


async def test_no_more_values_are_taken_than_allowed(agent: Agent) -> None:
    at = place(agent)
    assert len(await SnmpClient(max_values=5).walk(at, "1.3")) == 5
    with pytest.raises(CollectError, match=r"more than 4 values below 1\.3$"):
        await SnmpClient(max_values=4).walk(at, "1.3")
    with pytest.raises(CollectError, match="more than 3 values below"):
        await SnmpClient().walk(at, "1.3", limit=3)
    assert await reason(at, [SYSTEM] * 5, max_values=4) == "AGENT: 5 values are more than the 4 allowed"


async def test_what_is_no_oid_says_so(agent: Agent) -> None:
    assert await reason(place(agent), ["sysDescr.0"]) == (
        "AGENT: 'sysDescr.0' is no object identifier, such as 1.3.6.1.2.1.1.3.0"
    )


async def test_a_broken_answer_is_a_failure_that_says_what_came(agent: Agent) -> None:
    agent.mangle = lambda answer: answer.replace(b"\x43\x02\1\0", b"\x99\x02\1\0")
    assert await reason(place(agent), [f"{SYSTEM}.3.0"]) == "AGENT: a value of the unknown type 0x99"
    agent.mangle = lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n"
    assert await reason(place(agent, wait=0.05), [f"{SYSTEM}.3.0"]) == "AGENT: what it answered is no SNMP v1 or v2c"
    agent.mangle = None
    assert await SnmpClient().get(place(agent), [f"{SYSTEM}.3.0"]) == {f"{SYSTEM}.3.0": 256}


async def test_a_community_is_never_shown(agent: Agent) -> None:
    at = place(agent, community="s3cret", wait=0.02)
    assert "s3cret" not in repr(at)
    assert "s3cret" not in await reason(at, [f"{SYSTEM}.1.0"])


async def test_a_cancelled_call_closes_its_socket(agent: Agent, recwarn: pytest.WarningsRecorder) -> None:
    agent.lose = 100
    task = asyncio.create_task(SnmpClient().get(place(agent, wait=60), [f"{SYSTEM}.1.0"]))
    while not agent.requests:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]


def test_the_appliances_own_loop_serves_too() -> None:
    async def ask() -> dict[str, SnmpValue]:
        agent = await Agent(TABLE).start()
        try:
            await reason(SnmpAgent("127.0.0.1", free_port()), [f"{SYSTEM}.1.0"])
            return await SnmpClient().walk(place(agent), SYSTEM)
        finally:
            await agent.stop()

    assert uvloop.run(ask()) == {f"{SYSTEM}.1.0": b"a small agent", f"{SYSTEM}.3.0": 256}


@pytest.fixture(scope="module")
def snmpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnmpAgent]:
    """The agent that most machines have."""
    program, port = need("snmpd"), free_port()
    home: Path = tmp_path_factory.mktemp("snmpd")
    (home / "snmpd.conf").write_text("rocommunity monitor-test\nsysLocation machine room\n")
    command = [program, "-f", "-C", "-c", str(home / "snmpd.conf"), "-Lf", str(home / "log"), "-p", str(home / "pid")]
    process = subprocess.Popen([*command, f"udp:127.0.0.1:{port}"], env={"SNMP_PERSISTENT_DIR": str(home), "MIBS": ""})
    agent = SnmpAgent("127.0.0.1", port, "monitor-test", wait=1)

    async def wait() -> None:
        for _ in range(100):
            try:
                await SnmpClient().get(agent, [f"{SYSTEM}.1.0"])
            except CollectError:
                assert process.poll() is None, (home / "log").read_text()
                await asyncio.sleep(0.1)
            else:
                return

    try:
        asyncio.run(wait())
        yield agent
    finally:
        process.terminate()
        process.wait()


async def test_a_real_agent_is_read_as_its_own_tools_read_it(snmpd: SnmpAgent) -> None:
    tool = need("snmpget").replace("snmpget", "snmpbulkwalk")
    command = [tool, "-v2c", "-c", snmpd.community, "-OnUet", f"127.0.0.1:{snmpd.port}", "1.3.6.1.2.1.2"]
    text = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    told = dict(line.split(" = ", 1) for line in text.stdout.splitlines())
    found = await SnmpClient().walk(snmpd, "1.3.6.1.2.1.2")
    assert [f".{name}" for name in found] == list(told)
    for name, value in found.items():
        kind, _, rest = told[f".{name}"].partition(": ")
        if kind in ("INTEGER", "Gauge32"):
            assert value == int(rest)
        elif kind == "STRING":
            assert value == rest.strip('"').encode() or (isinstance(value, bytes) and len(value) == 6)


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_a_real_agent_tells_what_it_has_not(version: str, snmpd: SnmpAgent) -> None:
    at = SnmpAgent(snmpd.host, snmpd.port, snmpd.community, version)  # type: ignore[arg-type]
    location, nothing = f"{SYSTEM}.6.0", "1.3.6.1.4.1.40001.2.2.10.5"
    assert await SnmpClient().get(at, [nothing, location, f"{SYSTEM}.99.0"]) == {
        nothing: None, location: b"machine room", f"{SYSTEM}.99.0": None,
    }  # fmt: skip
    found = await SnmpClient().walk(at, "1.3.6.1.2.1")
    assert found[f"{SYSTEM}.6.0"] == b"machine room"
    assert len(found) > 50
    assert await SnmpClient().walk(at, "1.3.6.1.4.1.40001") == {}


async def test_a_real_agent_gives_no_answer_to_an_unknown_community(snmpd: SnmpAgent) -> None:
    at = SnmpAgent(snmpd.host, snmpd.port, "public", wait=0.1)
    assert "no answer from AGENT to 3 requests" in await reason(at, [f"{SYSTEM}.1.0"])
