"""Kurado's receiver as agents and redis-cli meet it, on a real socket with a real journal behind."""

from __future__ import annotations

import asyncio
import math
import subprocess
import time
from pathlib import Path

import pytest
from debian import need
from kurado_parts import HERE, HOSTS, Kurado, agent, payload, receiving

from monitor.batch import Batch
from monitor.journal import Busy
from monitor.wire.resp import command

NOW = 1795234980.0
CASES = Path(__file__).resolve().parent / "cases/kurado"
PUSH = (CASES / "agent_of_today/push.txt").read_bytes()


def clock() -> float:
    return NOW


def cli(one: Kurado, *words: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(
        [need("redis-cli"), "-h", HERE, "-p", str(one.port), *words], input=stdin, capture_output=True, timeout=20
    )
    return done.stdout.decode().strip()


async def in_thread(one: Kurado, *words: str, stdin: bytes | None = None) -> str:
    return await asyncio.to_thread(cli, one, *words, stdin=stdin)


async def test_redis_cli_pushes_what_the_agent_dumps(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=clock) as one:
        assert await in_thread(one, "PING") == "PONG"
        assert await in_thread(one, "-x", "RPUSH", "kurado-update", stdin=PUSH) == "1"
        found = await one.samples()
        assert found["10.0.0.1", "base", "", "loadavg-1"] == [2.26]
        assert len(found) == 30
        assert one.liveness.meta("10.0.0.1", "base")["uptime"] == "837"
        assert one.liveness.last("10.0.0.1", "base") == NOW
        assert (one.intake.stats.pushes, one.intake.stats.lines, one.intake.stats.bad.total()) == (1, 36, 0)


async def test_the_captured_push_split_at_every_byte_gives_the_same_every_time(tmp_path: Path) -> None:
    """At each cut the series, meta and warnings are those of the whole; a minute passes between two pushes."""
    base = (
        b"10.0.0.1\tbase.metrics.cpu-user.derive\t%d\t%d\n"
        b"10.0.0.1\tbase.metrics.loadavg-1.gauge\t%d.25\t%d\n"
        b"10.0.0.1\tbase.meta.uptime\t%d\t%d\n"
        b"10.0.0.1\tbase.warn.swaps\tmessage %d\t%d\n"
    )
    cuts = len(command("RPUSH", "kurado-update", base % ((1000000, NOW) * 4)))
    now = NOW
    async with receiving(tmp_path, "past = 30d\n", clock=lambda: now) as one, agent(one.port) as client:
        for cut in range(cuts):
            now = NOW + 60 * cut
            words = (1000000 + 6 * cut, now, 1000000 + cut, now, 1000000 + cut, now, 1000000 + cut, now)
            data = command("RPUSH", "kurado-update", base % words)
            assert len(data) == cuts
            await client.send(data[:cut])
            await asyncio.sleep(0)
            await client.send(data[cut:])
            assert await client.line() == b":1\r\n"
            assert one.liveness.meta("10.0.0.1", "base") == {"uptime": str(1000000 + cut)}
            assert [(w.key, w.text) for w in one.liveness.warnings("10.0.0.1")] == [
                ("swaps", f"message {1000000 + cut}")
            ]
        found = await one.samples()
        users = found["10.0.0.1", "base", "", "cpu-user"]
        assert math.isnan(users[0])
        assert users[1:] == [0.1] * (cuts - 1)
        assert found["10.0.0.1", "base", "", "loadavg-1"] == [1000000.25 + cut for cut in range(cuts)]


async def test_a_push_in_single_bytes_with_pings_between_is_answered_in_order(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=clock) as one, agent(one.port) as client:
        data = command("PING") + command("RPUSH", "kurado-update", PUSH) + command("PING")
        for byte in data:
            client.writer.write(bytes([byte]))
            if byte == 10:
                await asyncio.sleep(0)
        assert [await client.line() for _ in range(3)] == [b"+PONG\r\n", b":1\r\n", b"+PONG\r\n"]


async def test_many_commands_at_once_are_answered_one_by_one_in_their_order(tmp_path: Path) -> None:
    async with receiving(tmp_path, "commands = 3\n", clock=clock) as one, agent(one.port) as client:
        pushes = [payload("10.0.0.1", NOW - 6000 + 60 * i, cpu_user=60 * i) for i in range(100)]
        await client.send(b"".join(command("RPUSH", "kurado-update", push) + command("PING") for push in pushes))
        assert [await client.line() for _ in range(200)] == [b":1\r\n", b"+PONG\r\n"] * 100
        users = (await one.samples())["10.0.0.1", "base", "", "cpu-user"]
        assert users[1:] == [1.0] * 99


async def test_the_answer_comes_after_the_commit(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=clock) as one, agent(one.port) as client:
        gate = asyncio.Event()
        accept = one.pipeline.accept

        async def slow(batches: list[Batch]) -> list[str | None]:
            reasons = await accept(batches)
            await gate.wait()
            return reasons

        one.intake._accept = slow  # type: ignore[assignment]
        await client.send(command("RPUSH", "kurado-update", PUSH))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await client.reader.readline()
        assert one.liveness.last("10.0.0.1", "base") is None
        gate.set()
        assert await client.line() == b":1\r\n"
        assert one.journal.stats.commits == 1


async def test_what_the_journal_cannot_take_is_busy_and_taken_when_sent_again(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=clock) as one, agent(one.port) as client:
        accept = one.pipeline.accept

        async def full(batches: list[Batch]) -> list[str | None]:
            raise Busy("the disk is full")

        one.intake._accept = full  # type: ignore[assignment]
        assert await client.push(PUSH) == b"-ERR busy: the disk is full\r\n"
        assert (one.intake.stats.busy, one.intake.stats.pushes) == (1, 0)
        assert one.liveness.last("10.0.0.1", "base") is None
        one.intake._accept = accept
        assert await client.push(PUSH) == b":1\r\n"


async def test_too_much_that_waits_is_busy_and_what_waits_is_kept(tmp_path: Path) -> None:
    async with receiving(tmp_path, "max_waiting = 64k\nmax_payload = 60k\n", clock=clock) as one:
        big = PUSH * 25
        assert 50_000 < len(big) < 60_000
        async with agent(one.port) as first, agent(one.port) as second:
            await first.send(command("RPUSH", "kurado-update", big))
            await asyncio.sleep(0.005)
            assert (await second.push(big)).startswith(b"-ERR busy: too many payloads wait")
            assert await first.line() == b":1\r\n"
            assert await second.push(PUSH) == b":1\r\n"


async def test_bad_lines_are_counted_and_the_push_is_taken(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=clock) as one, agent(one.port) as client:
        assert await client.push((CASES / "bad_lines_among_good_ones/push.txt").read_bytes()) == b":1\r\n"
        assert one.intake.stats.bad == {"address": 3, "columns": 3, "host": 1, "type": 1, "key": 1}
        assert await client.push(b"") == b":1\r\n"
        assert await client.push(b"\xff\0" * 50) == b":1\r\n"
        assert one.intake.stats.bad["columns"] == 4


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        (("SELECT", "3"), b"+OK\r\n"),
        (("CLIENT", "SETNAME", "x"), b"+OK\r\n"),
        (("COMMAND", "DOCS"), b"*0\r\n"),
        (("ping", "hello"), b"$5\r\n"),
        (("AUTH", "x"), b"-ERR AUTH called without any password configured"),
        (("HELLO", "3"), b"-NOPROTO"),
        (("HELLO", "2"), b"*14\r\n"),
        (("SET", "a", "b"), b"-ERR unknown command 'SET'\r\n"),
        (("LRANGE", "kurado-update", "0", "1"), b"-ERR unknown command 'LRANGE'\r\n"),
        (("RPUSH", "kurado-update"), b"-ERR wrong number of arguments"),
        (("RPUSH", "other", "x"), b"-ERR only the list kurado-update"),
        (("INFO",), b"$"),
        (("QUIT",), b"+OK\r\n"),
    ],
)
async def test_clients_get_polite_answers(tmp_path: Path, words: tuple[str, ...], reply: bytes) -> None:
    async with receiving(tmp_path, clock=clock) as one, agent(one.port) as client:
        assert (await client.ask(*words)).startswith(reply)


async def test_quit_ends_the_connection_and_what_is_no_command_too(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=clock) as one:
        for data in (command("QUIT"), b"*1\r\nGET / HTTP/1.1\r\n", b"*99999\r\n", b"x" * 5000):
            async with agent(one.port) as client:
                await client.send(data)
                async with asyncio.timeout(5):
                    assert (await client.reader.read()).startswith((b"+OK", b"-ERR Protocol error"))
        assert one.intake.stats.turned_away == {"protocol": 3}
        assert one.intake.stats.connections == 0


@pytest.mark.parametrize("last", [command("QUIT"), b"*nonsense\r\n"])
async def test_what_came_before_the_end_is_answered_and_nothing_after_it(tmp_path: Path, last: bytes) -> None:
    async with receiving(tmp_path, "window = 0.1\n", clock=clock) as one, agent(one.port) as client:
        await client.send(command("RPUSH", "kurado-update", PUSH) + last + command("PING"))
        await asyncio.sleep(0.02)
        await client.send(command("PING"))
        lines = (await client.reader.read()).splitlines()
        assert lines[0] == b":1"
        assert len(lines) == 2
        assert lines[1].startswith((b"+OK", b"-ERR Protocol error"))


async def test_a_failure_answers_who_waits_and_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with receiving(tmp_path, clock=clock) as one, agent(one.port) as first, agent(one.port) as second:
        accept, gate = one.pipeline.accept, asyncio.Event()

        async def failing(batches: list[Batch]) -> list[str | None]:
            one.intake._accept = accept
            await gate.wait()
            raise OSError("broken")

        one.intake._accept = failing  # type: ignore[assignment]
        await first.send(command("RPUSH", "kurado-update", PUSH))
        while one.intake._accept is not accept:
            await asyncio.sleep(0.01)
        await second.send(command("RPUSH", "kurado-update", PUSH))
        await asyncio.sleep(0.05)
        gate.set()
        assert (await first.line()).startswith(b"-ERR busy: failed")
        assert await second.line() == b":1\r\n"
    assert [record.message for record in caplog.records] == ["task.ended"]


async def test_a_payload_that_is_announced_too_large_is_refused_before_it_comes(tmp_path: Path) -> None:
    async with receiving(tmp_path, "max_payload = 4k\n", clock=clock) as one, agent(one.port) as client:
        await client.send(b"*3\r\n$5\r\nRPUSH\r\n$13\r\nkurado-update\r\n$1000000\r\n")
        assert (await client.line()).startswith(b"-ERR Protocol error: invalid bulk length")
        assert await client.reader.read() == b""


async def test_a_password_is_asked_for_where_one_is_set(tmp_path: Path) -> None:
    async with receiving(tmp_path, "password = s3cret\n", clock=clock) as one:
        async with agent(one.port) as client:
            assert await client.push(PUSH) == b"-NOAUTH Authentication required.\r\n"
            assert await client.ask("PING") == b"-NOAUTH Authentication required.\r\n"
            assert (await client.ask("AUTH", "wrong")).startswith(b"-WRONGPASS")
            assert (await client.ask("AUTH", "other", "s3cret")).startswith(b"-WRONGPASS")
            assert await client.ask("AUTH", "s3cret") == b"+OK\r\n"
            assert await client.push(PUSH) == b":1\r\n"
        assert await in_thread(one, "--no-auth-warning", "-a", "s3cret", "PING") == "PONG"
        async with agent(one.port) as client:
            assert (await client.ask("HELLO", "2", "AUTH", "default", "s3cret")).startswith(b"*14")
        assert "s3cret" not in repr(one.intake.stats)


async def test_who_is_not_allowed_is_told_so_and_counted(tmp_path: Path) -> None:
    async with receiving(tmp_path, "allow = 10.0.0.0/8, 127.0.0.9/32\n", clock=clock) as one:
        async with agent(one.port) as client:
            assert await client.line() == b"-ERR 127.0.0.1 is not in [[kurado]] allow\r\n"
            assert await client.reader.read() == b""
        assert one.intake.stats.turned_away == {"allow": 1}
        assert one.intake.stats.opened == 0


async def test_more_connections_than_allowed_are_turned_away(tmp_path: Path) -> None:
    async with receiving(tmp_path, "connections = 2\n", clock=clock) as one:
        async with agent(one.port) as first, agent(one.port) as second:
            assert [await client.ask("PING") for client in (first, second)] == [b"+PONG\r\n"] * 2
            async with agent(one.port) as third:
                assert await third.line() == b"-ERR too many connections\r\n"
        async with asyncio.timeout(5):
            while one.intake.stats.connections:
                await asyncio.sleep(0.01)
        async with agent(one.port) as client:
            assert await client.ask("PING") == b"+PONG\r\n"


async def test_incomplete_commands_of_all_connections_together_are_bounded(tmp_path: Path) -> None:
    async with receiving(tmp_path, "max_waiting = 64k\n", clock=clock) as one:
        async with agent(one.port) as first, agent(one.port) as second:
            begin = b"*3\r\n$5\r\nRPUSH\r\n$13\r\nkurado-update\r\n$50000\r\n"
            await first.send(begin + b"x" * 40_000)
            await asyncio.sleep(0.05)
            await second.send(begin + b"x" * 40_000)
            assert (await second.line()).startswith(b"-ERR busy")
            await first.send(b"x" * 10_000 + b"\r\n")
            assert await first.line() == b":1\r\n"
        assert one.receiver.held == 0


async def test_silent_connections_are_ended_and_pings_keep_them(tmp_path: Path) -> None:
    async with (
        receiving(tmp_path, "idle = 900\n", clock=clock) as one,
        agent(one.port) as silent,
        agent(one.port) as living,
    ):
        assert [await client.ask("PING") for client in (silent, living)] == [b"+PONG\r\n"] * 2
        for connection in one.receiver.connections:
            connection.heard = time.monotonic() - 901
        assert await living.ask("PING") == b"+PONG\r\n"
        one.receiver._sweep()
        assert await silent.reader.read() == b""
        assert await living.ask("PING") == b"+PONG\r\n"


@pytest.mark.parametrize(
    ("policy", "taken", "bad"),
    [
        ("known", {"10.0.0.1", "own"}, {"host": 2, "address": 2}),
        ("any", {"10.0.0.1", "10.9.9.9", "2001:db8::7", "own"}, {"address": 2}),
        ("peer", {"own"}, {"peer": 3, "address": 2}),
    ],
)
async def test_whose_numbers_are_taken_is_a_setting(
    tmp_path: Path, policy: str, taken: set[str], bad: dict[str, int]
) -> None:
    async with receiving(tmp_path, f"hosts = {policy}\n", clock=clock) as one, agent(one.port) as client:
        for host in ("10.0.0.1", "10.9.9.9", "2001:db8::7"):
            assert await client.push(payload(host, NOW, load=1)) == b":1\r\n"
        assert await client.push(payload("../x", NOW, load=1) + payload("www1", NOW, load=1)) == b":1\r\n"
        assert await client.push(payload(HERE, NOW, load=1)) == b":1\r\n"
        assert {source for source, *_ in await one.samples()} == taken
        assert one.intake.stats.bad == bad


async def test_hosts_that_nobody_configured_are_bounded(tmp_path: Path) -> None:
    async with receiving(tmp_path, "hosts = any\nmax_hosts = 3\n", clock=clock) as one, agent(one.port) as client:
        for number in range(5):
            await client.push(payload(f"10.1.0.{number}", NOW, load=1))
        assert one.intake.stats.bad == {"hosts": 2}
        assert await client.push(payload("10.0.0.2", NOW, load=1)) == b":1\r\n"
        assert {host for host, *_ in await one.samples()} == {"10.1.0.0", "10.1.0.1", "10.1.0.2", "10.0.0.2"}


async def test_a_host_is_known_by_its_address_under_its_own_name(tmp_path: Path) -> None:
    hosts = HOSTS + "[[db1]]\naddress = 10.7.0.1\n[[2001:db8::5]]\n"
    async with receiving(tmp_path, hosts=hosts, clock=clock) as one, agent(one.port) as client:
        await client.push(payload("10.7.0.1", NOW, load=1))
        await client.push(payload("2001:DB8:0:0::5", NOW, load=1))
        assert {host for host, *_ in await one.samples()} == {"db1", "2001:db8::5"}


async def test_limits_of_a_key_make_values_beyond_them_unknown(tmp_path: Path) -> None:
    settings = "limits = base.cpu-*.derive U 10, base.load.gauge 0 100\n"
    async with receiving(tmp_path, settings, clock=clock) as one, agent(one.port) as client:
        for minute, (user, load) in enumerate([(600, 5), (0, 101), (6000, 99)]):
            await client.push(payload("10.0.0.1", NOW - 120 + 60 * minute, cpu_user=user, load=load))
        found = await one.samples()
        assert str(found["10.0.0.1", "base", "", "cpu-user"]) == str([math.nan, -10.0, math.nan])
        assert str(found["10.0.0.1", "base", "", "load"]) == str([5.0, math.nan, 99.0])


async def test_counters_wrap_and_derives_that_fall_are_unknown(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=clock) as one, agent(one.port) as client:
        for minute, value in enumerate([2**32 - 60, 0, 60]):
            at = NOW - 120 + 60 * minute
            lines = [f"10.0.0.1\tp.metrics.{key}\t{value}\t{at:.0f}\n" for key in ("c.counter", "d.derive")]
            await client.push("".join(lines).encode())
        found = await one.samples()
        assert found["10.0.0.1", "p", "", "c"][1:] == [1.0, 1.0]
        assert str(found["10.0.0.1", "p", "", "d"]) == str([math.nan, math.nan, 1.0])


@pytest.mark.parametrize(("interval", "known"), [("5m", True), ("60", False)])
async def test_agents_that_push_less_often_are_no_gaps_where_it_is_set(
    tmp_path: Path, interval: str, known: bool
) -> None:
    async with receiving(tmp_path, f"interval = {interval}\n", clock=clock) as one, agent(one.port) as client:
        for at in (NOW - 300, NOW):
            await client.push(payload("10.0.0.1", at, cpu_user=int(at)))
        (block,) = [block for block in await one.blocks() if block.times[0] == NOW]
        assert (block.intervals[0], block.rates[0, 0]) == (300.0 if known else 60.0, 1.0)


async def test_a_burst_of_agents_is_all_taken_in_few_commits(tmp_path: Path) -> None:
    async with receiving(tmp_path, "hosts = any\nwindow = 0.1\n", clock=clock) as one:

        async def push(number: int) -> bytes:
            async with agent(one.port) as client:
                return await client.push(PUSH.replace(b"10.0.0.1", b"10.3.%d.%d" % divmod(number, 250)))

        answers = await asyncio.gather(*(push(number) for number in range(300)))
        assert set(answers) == {b":1\r\n"}
        assert one.pipeline.stats.batches == 300
        assert one.journal.stats.commits < 60


async def test_what_was_answered_before_the_end_is_kept_and_later_pushes_are_busy(tmp_path: Path) -> None:
    async with receiving(tmp_path, "window = 0.2\n", clock=clock) as one, agent(one.port) as client:
        await client.send(command("RPUSH", "kurado-update", PUSH))
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(one.intake.close(2))
        await asyncio.sleep(0)
        await client.send(command("RPUSH", "kurado-update", PUSH))
        assert await client.line() == b":1\r\n"
        assert (await client.line()).startswith(b"-ERR busy: stopping")
        await closing
