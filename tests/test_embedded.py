# ruff: noqa: F811 - fixtures are asked for by the names that they are imported under
"""The embedded server: whom it runs as, where it listens, and that it never outlives the appliance."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from blocks import DiamondNaming, block
from servers_postgres import data_dir  # noqa: F401

from handlers.postgresql import PostgreSQLHandler
from monitor.batch import Source
from monitor.handler import Seconds, StoreDownError, StoreUnusableError
from monitor.journal import Journal
from monitor.outlet import Outlet
from monitor.store.embedded import Embedded
from monitor.store.programs import programs as wheel_programs
from monitor.store.programs import user

ROOT = Path(__file__).resolve().parent.parent
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who drops to another user")
PROGRAM = """
    import asyncio, sys
    from pathlib import Path
    from monitor.store.embedded import Embedded

    async def main():
        server = Embedded(Path(sys.argv[1]))
        await server.start(30)
        print(server.pid, server.connection["host"], flush=True)
        await asyncio.sleep(600)

    asyncio.run(main())
"""


def wait_for(done: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether a process has ended; its adoptive parent may not have taken note yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextlib.contextmanager
def process(directory: Path, **more: object) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that runs a server, and the server's pid."""
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(directory)]
    one = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, **more
    )  # type: ignore[call-overload]
    try:
        assert one.stdout is not None
        words = one.stdout.readline().split()
        assert words, "it did not start"
        yield one, int(words[0])
    finally:
        one.kill()
        one.wait()
        one.stdout.close()


async def answer(server: Embedded, question: str) -> object:
    connection = await asyncpg.connect(**server.connection)
    found = await connection.fetchval(question)
    await connection.close()
    return found


async def test_it_starts_listens_on_a_private_socket_only_and_stops(data_dir: Path) -> None:
    server = Embedded(data_dir)
    await server.start(30)
    assert server.pid is not None
    running = psutil.Process(server.pid)
    assert await answer(server, "SHOW data_checksums") == "on"
    assert await answer(server, "SHOW server_encoding") == "UTF8"
    assert not [one for one in running.net_connections("inet") if one.status == psutil.CONN_LISTEN]
    socket = Path(str(server.connection["host"]))
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    began = time.monotonic()
    idle = await asyncpg.connect(**server.connection)
    await server.stop()
    assert time.monotonic() - began < 5
    idle.terminate()
    assert not psutil.pid_exists(running.pid)
    assert not socket.exists()
    await server.start(30)
    assert await answer(server, "SELECT 1") == 1
    await server.stop()


async def test_a_long_data_directory_works(data_dir: Path) -> None:
    long = data_dir / ("x" * 90) / ("y" * 90)
    long.mkdir(parents=True)
    server = Embedded(long)
    await server.start(30)
    assert await answer(server, "SELECT 1") == 1
    await server.stop()


@as_root
async def test_as_root_it_drops_to_an_ordinary_user_for_good(data_dir: Path) -> None:
    server = Embedded(data_dir, postgres_user="nobody")
    await server.start(30)
    nobody = pwd.getpwnam("nobody")
    running = psutil.Process(server.pid)
    assert set(running.uids()) == {nobody.pw_uid}
    assert set(running.gids()) == {nobody.pw_gid}
    assert "Groups:\t \n" in Path(f"/proc/{server.pid}/status").read_text()
    await server.stop()
    assert user("").name in ("postgres", "nobody")
    for wrong in ("root", "no such user"):
        with pytest.raises(StoreUnusableError, match=wrong):
            await Embedded(data_dir, postgres_user=wrong).start(1)


@as_root
async def test_a_directory_that_shuts_the_server_out_is_named(data_dir: Path) -> None:
    closed = data_dir / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(StoreUnusableError, match=f"{closed} shuts out the user"):
        await Embedded(closed / "data").start(10)


@as_root
async def test_programs_that_the_server_cannot_reach_are_copied(data_dir: Path) -> None:
    private = Path(tempfile.mkdtemp(prefix="private-"))
    package = wheel_programs(None).parent.parent
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, private / part.name, symlinks=True, ignore=shutil.ignore_patterns("include"))
    server = Embedded(data_dir, postgres_bin=private / package.name / "pginstall" / "bin")
    await server.start(30)
    assert data_dir in server.bin.parents
    assert await answer(server, "SELECT 1") == 1
    await server.stop()
    shutil.rmtree(private)


async def test_a_data_directory_of_another_version_is_refused(data_dir: Path) -> None:
    server = Embedded(data_dir)
    await server.start(30)
    await server.stop()
    (server.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(StoreUnusableError, match="was made by PostgreSQL 9"):
        await server.start(30)
    await server.stop()


async def test_a_half_made_data_directory_is_made_anew(data_dir: Path) -> None:
    server = Embedded(data_dir)
    (data_dir / "postgres" / "data.new").mkdir(parents=True)
    (data_dir / "postgres" / "data.new" / "PG_VERSION").write_text("18\n")
    await server.start(30)
    assert await answer(server, "SELECT 1") == 1
    await server.stop()


async def test_programs_that_are_not_there_are_an_error(data_dir: Path) -> None:
    with pytest.raises(StoreUnusableError, match="postgres_bin = /nowhere"):
        await Embedded(data_dir, postgres_bin=Path("/nowhere")).start(1)


async def test_it_dies_with_a_killed_appliance_and_the_next_start_waits_for_its_end(data_dir: Path) -> None:
    with process(data_dir) as (one, pid):
        one.kill()
        one.wait()
        wait_for(lambda: gone(pid))
    with process(data_dir) as (one, pid):
        # Held still, it cannot end by itself: the next start finds it and must wait.
        os.kill(pid, signal.SIGSTOP)
        one.kill()
        one.wait()
        server = Embedded(data_dir)
        start = asyncio.create_task(server.start(30))
        await asyncio.sleep(0.5)
        assert not start.done()
        os.kill(pid, signal.SIGCONT)
        await start
        assert gone(pid)
        assert await answer(server, "SELECT 1") == 1
        await server.stop()


async def test_one_data_directory_serves_one_appliance(data_dir: Path) -> None:
    with process(data_dir) as (_, pid):
        with pytest.raises(StoreDownError, match="another appliance"):
            await Embedded(data_dir).start(5)
        assert not gone(pid)


@as_root
async def test_an_ordinary_user_runs_it_as_himself(data_dir: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(data_dir, nobody.pw_uid, nobody.pw_gid)
    try:
        subprocess.run([sys.executable, "-c", ""], user="nobody", group=nobody.pw_gid, extra_groups=[], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this Python lies where only root reaches it")
    with process(data_dir, user="nobody", group=nobody.pw_gid, extra_groups=[]) as (one, pid):
        assert psutil.Process(pid).uids().real == nobody.pw_uid
        one.kill()
        one.wait()
        wait_for(lambda: gone(pid))


async def eventually(done: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "not in time"
        await asyncio.sleep(0.02)


async def test_a_server_that_is_killed_comes_back_and_no_row_is_missing(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows are accepted all the time; readers are told that the store is away, and the log says it once."""
    store = PostgreSQLHandler("PostgreSQLHandler", DiamondNaming(), database="embedded", data_dir=data_dir)
    store.flush_interval = Seconds(0)
    journal = Journal(data_dir / "journal")
    await journal.open()
    await store.open()
    outlet = Outlet(store, journal, opened=True)
    await outlet.start()
    source, start, accepted = Source("web1", "nginx"), time.time() // 60 * 60 - 36000, [0]
    told: set[type[Exception]] = set()
    server = store.server
    assert server is not None

    async def collect() -> None:
        while True:
            await journal.append([block((source, start + accepted[0], [accepted[0]]))])
            accepted[0] += 1
            await asyncio.sleep(0.02)

    async def read() -> list[float]:
        return (await store.read(source, ["a"], start - 60, time.time()))["a"].value.tolist()

    collecting = asyncio.create_task(collect())
    try:
        for _ in range(2):
            await eventually(lambda: accepted[0] > 5 and outlet.cursor == journal.end)
            pid, killed, before = server.pid, time.monotonic(), accepted[0]
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            stored: list[float] = []
            while server.pid == pid or len(stored) <= before + 10:
                assert time.monotonic() < killed + 15, "not back in time"
                try:
                    stored = await read()
                except StoreDownError as error:
                    told.add(type(error))
                await asyncio.sleep(0.02)
            assert await store.healthy() is None
        collecting.cancel()
        await asyncio.wait({collecting})
        await eventually(lambda: outlet.cursor == journal.end)
        stored = await read()
        assert len(stored) - accepted[0] in (0, 1)
        assert stored == list(map(float, range(len(stored))))
    finally:
        collecting.cancel()
        await outlet.drain(5)
        await store.close()
        await journal.close()
    assert told == {StoreDownError}
    events = [record.getMessage() for record in caplog.records]
    assert events.count("store.server_ended") == 2
    assert not [record for record in caplog.records if record.name.startswith("asyncpg")]


async def test_a_restart_that_fails_is_tried_again(data_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "monitor.store")

    def logged(event: str) -> int:
        return [record.getMessage() for record in caplog.records].count(event)

    store = PostgreSQLHandler("PostgreSQLHandler", DiamondNaming(), database="embedded", data_dir=data_dir)
    await store.open()
    try:
        server = store.server
        assert server is not None and server.pid is not None
        configuration = server.data / "postgresql.conf"
        kept = configuration.read_bytes()
        configuration.write_text("no_such_setting = 1\n")
        os.kill(server.pid, signal.SIGKILL)
        await eventually(lambda: bool(logged("store.maintenance_failed")))
        configuration.write_bytes(kept)
        await eventually(lambda: bool(logged("store.maintenance_recovered")))
        assert await store.healthy() is None
        assert [logged(event) for event in ("store.server_ended", "store.server_started")] == [1, 1]
    finally:
        await store.close()
    assert not server.ended
