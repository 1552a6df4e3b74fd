"""Graphite's receiver as its clients see it: TCP, UDP and pickles, and what happens to what is no good."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import pickle
import socket
import struct
import time
from pathlib import Path

import pytest
from graphite_parts import HERE, connected, receiving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.pipeline import Busy

NOW = 1795234980.0


def line(path: str, value: object = 1, at: float = NOW) -> bytes:
    return f"servers.{path} {value} {at:.0f}\n".encode()


def frame(points: object) -> bytes:
    body = points if isinstance(points, bytes) else pickle.dumps(points, protocol=2)
    return struct.pack(">I", len(body)) + body


async def test_lines_that_come_in_pieces_are_one_batch(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=lambda: NOW) as one, connected(one.port) as writer:
        data = line("a.cpu.user", 1.5) + line("a.cpu.idle", 98)
        for at in range(0, len(data), 7):
            writer.write(data[at : at + 7])
            await asyncio.sleep(0)
        await one.until(lambda: one.stats.batches > 0)
        assert await one.samples() == {
            ("a", "cpu", "", "user"): [(NOW, 1.5)],
            ("a", "cpu", "", "idle"): [(NOW, 98)],
        }
        assert one.stats.batches == 1 and one.stats.lines == 2 and not one.stats.bad


async def test_bad_lines_end_no_connection_and_cost_no_other_line(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=lambda: NOW) as one, connected(one.port) as writer:
        bad = [
            b"GET / HTTP/1.1\r\n", b"servers.a.x.y\n", b"servers.a.x.y one 1795234980\n", b"servers.a.x.y 1 nan\n",
            b"servers.a.x.y 1 -60\n", b"servers.\xff\xfe.x.y 1 1795234980\n", 65536 * b"y" + b" 1 1\n",
            b"other 1 1795234980\n",
        ]  # fmt: skip
        for number, each in enumerate(bad):
            writer.write(each + line(f"a.x.n{number}"))
            await one.until(lambda: one.stats.lines + one.stats.bad["line"] >= 2 * (number + 1))  # noqa: B023
        await one.idle()
        assert {series[3] for series in await one.samples()} == {f"n{number}" for number in range(len(bad))}
        assert one.stats.bad == {"columns": 1, "value": 1, "time": 2, "utf8": 1, "line": 1, "pattern": 2}
        assert one.stats.connections == 1


async def test_a_line_without_end_is_dropped_and_the_next_one_kept(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=lambda: NOW) as one, connected(one.port) as writer:
        for _ in range(200):
            writer.write(10_000 * b"x")
            await writer.drain()
        writer.write(b" 1 2\n" + line("a.x.y"))
        await one.until(lambda: one.stats.batches == 1)
        assert one.stats.bad == {"line": 1} and list(await one.samples()) == [("a", "x", "", "y")]


async def test_a_line_that_the_end_of_the_connection_cuts_is_counted(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=lambda: NOW) as one:
        await one.send(line("a.x.y") + b"servers.a.x.z 1 17952349")
        assert one.stats.bad == {"unended": 1} and list(await one.samples()) == [("a", "x", "", "y")]


async def test_datagrams_are_taken_whole_even_without_a_newline(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=lambda: NOW) as one:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for data in (line("a.x.y") + line("a.x.z", 2).rstrip(), b"bad", b"", line("b.x.y", 3)):
                sender.sendto(data, (HERE, one.udp))
        await one.until(lambda: one.stats.batches >= 2 and not one.intake.held)
        assert {series: points[0][1] for series, points in (await one.samples()).items()} == {
            ("a", "x", "", "y"): 1, ("a", "x", "", "z"): 2, ("b", "x", "", "y"): 3,
        }  # fmt: skip
        assert one.stats.bad == {"columns": 1}


async def test_pickles_are_taken_and_a_bad_one_does_not_end_the_connection(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=lambda: NOW) as one, connected(one.pickle) as writer:
        many = [(f"servers.b.x.n{number}", (NOW, number)) for number in range(2000)]
        data = frame([("servers.a.x.y", (NOW, 1.5)), "no point", ("servers.a.x.z", (NOW, "2"))])
        data += frame(b"cos\nsystem\n(S'touch executed'\ntR.") + frame(many) + frame({"a": 1}) + frame([])
        for at in range(0, len(data), 5000):
            writer.write(data[at : at + 5000])
            await writer.drain()
        await one.until(lambda: one.stats.lines >= 2002 and one.stats.bad["pickle"] == 2 and not one.intake.held)
        found = await one.samples()
        assert found["a", "x", "", "y"] == [(NOW, 1.5)] and found["a", "x", "", "z"] == [(NOW, 2)]
        assert len(found) == 2002 and one.stats.bad == {"point": 1, "pickle": 2} and one.stats.connections == 1
        writer.write(struct.pack(">I", 1 << 30) + b"x")
        await one.until(lambda: not one.stats.connections)
        assert one.stats.bad["frame"] == 1 and one.stats.turned_away == {"frame": 1}


async def test_a_peer_that_is_not_allowed_is_turned_away(tmp_path: Path) -> None:
    async with receiving(tmp_path, "allow = 10.0.0.0/8\n", clock=lambda: NOW) as one:
        reader, writer = await asyncio.open_connection(HERE, one.port)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(line("a.x.y"), (HERE, one.udp))
        await one.until(lambda: one.stats.turned_away["allow"] == 2)
        assert not one.stats.lines
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_more_connections_than_allowed_are_turned_away(tmp_path: Path) -> None:
    async with receiving(tmp_path, "connections = 2\n", clock=lambda: NOW) as one:
        writers = [(await asyncio.open_connection(HERE, one.port))[1] for _ in range(3)]
        await one.until(lambda: one.stats.turned_away["connections"] == 1)
        assert one.stats.connections == 2
        for writer in writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def test_when_the_journal_cannot_take_it_senders_wait_and_nothing_is_lost(tmp_path: Path) -> None:
    async with receiving(tmp_path, "max_waiting = 1M\n", clock=lambda: NOW) as one:
        accept, refusing = one.pipeline.accept, True

        async def busy(batches):  # type: ignore[no-untyped-def]
            if refusing:
                raise Busy("the disk is full")
            return await accept(batches)

        one.intake._accept = busy
        data = b"".join(line(f"h{host}.app.n{name}", name) for host in range(1000) for name in range(60))
        async with connected(one.port) as writer:
            writer.write(data)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                await one.until(lambda: one.intake.full and one.stats.busy > 0)
                sender.sendto(line("u.x.y"), (HERE, one.udp))
            await one.until(lambda: one.stats.lost["udp"] > 0)
            held = one.intake.held
            assert held < 1.5 * (1 << 20) < len(data)
            refusing = False
            await one.until(lambda: one.stats.lines == 60_000 and not one.intake.held)
            found = await one.samples()
            assert len(found) == 60_000 and all(len(points) == 1 for points in found.values())


async def test_a_new_pattern_counts_after_a_reload(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=lambda: NOW) as one:
        await one.send(b"app.web.a.x 1 1795234980\n")
        changed = type(one.intake.settings)({"pattern": ["app.{collector}.{host}.{name}"], "window": 0.02})
        one.intake._settings = lambda: changed
        await one.send(b"app.web.a.x 1 1795234980\n")
        assert one.stats.bad == {"pattern": 1} and list(await one.samples()) == [("a", "web", "", "x")]


async def test_what_waits_at_the_end_reaches_the_journal(tmp_path: Path) -> None:
    async with receiving(tmp_path, "window = 5\n", clock=lambda: NOW) as one:
        one.intake.put(line("a.x.y"), HERE)
        await one.intake.close(2)
        assert list(await one.samples()) == [("a", "x", "", "y")] and not one.stats.lost
        one.intake.put(line("a.x.z"), HERE)
        assert one.stats.lost["stopping"] == len(line("a.x.z"))


async def test_100000_new_names_in_a_minute_are_bounded_and_known_sources_are_kept(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=lambda: NOW, new_sources=1000) as one:
        await one.send(line("good.app.n", 1))
        of_one = b"".join(line(f"bad.app.n{number}") for number in range(50_000))
        of_many = b"".join(line(f"bad{number}.app.n") for number in range(50_000))
        await one.send(of_one + of_many + line("good.app.n", 2, NOW + 60))
        found = await one.samples()
        assert found["good", "app", "", "n"] == [(NOW, 1), (NOW + 60, 2)]
        assert sum(series[0] == "bad" for series in found) == 4096
        assert len({series[0] for series in found}) == 1000
        assert one.stats.bad == {"names": 50_000 - 4096}
        assert one.stats.refused["sources"] > 48_000
        assert len(one.pipeline.rates) == 1000


async def test_a_burst_of_50000_lines_does_not_hold_the_loop(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=time.time) as one:
        at = time.time() // 60 * 60

        def burst(at: float) -> bytes:
            return b"".join(
                line(f"h{host:04d}.app.n{name:02d}", 1.5 * name, at) for host in range(1000) for name in range(50)
            )

        await one.send(burst(at - 60))
        data = burst(at)
        async with connected(one.port) as writer:
            steps: list[float] = []
            # As the appliance has it: what was there before is not walked again.
            gc.collect()
            gc.freeze()
            ended = asyncio.Event()

            def step(before: float) -> None:
                # CPU seconds of this thread between two turns of the loop: other processes do not count.
                steps.append(time.thread_time() - before)
                if not ended.is_set():
                    loop.call_soon(step, time.thread_time())

            loop = asyncio.get_running_loop()
            loop.call_soon(step, time.thread_time())
            writer.write(data)
            await one.until(lambda: one.stats.lines == 100_000 and not one.intake.held)
            ended.set()
            gc.unfreeze()
            worst = sorted(steps)[-3:]
            assert worst[0] < 0.005, [f"{1000 * each:.1f} ms" for each in worst]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=200) | st.text("servx. ay1\n\t9", max_size=60).map(str.encode), max_size=10))
async def test_no_bytes_end_the_receiver(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    async with receiving(tmp_path_factory.mktemp("noise"), "window = 0\n", clock=lambda: NOW) as one:
        for port in (one.port, one.pickle):
            async with connected(port) as writer:
                for part in parts:
                    writer.write(part)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for part in parts:
                sender.sendto(part, (HERE, one.udp))
        await one.until(lambda: one.stats.opened == 2 and not one.stats.connections)
        before = one.stats.lines
        await one.send(b"\n" + line("a.x.y", 7))
        assert one.stats.lines > before
        assert (NOW, 7) in (await one.samples())["a", "x", "", "y"]
