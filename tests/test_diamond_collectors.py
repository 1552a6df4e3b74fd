"""Diamond's collectors against the real thing: odd programs, web servers, sockets, an NTP server, processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from collectors import files, http, ntpd, ping, processresources, userscripts, websitemonitor
from monitor.batch import Source
from monitor.collector import CollectError, Collector, Target
from monitor.config import load
from monitor.http import HttpClient
from monitor.naming import Paths

OWN = Target("own", "127.0.0.1", "own", local=True)
ROOT = Path(__file__).resolve().parent.parent


def program(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def running(word: str) -> list[str]:
    """Return the processes that have this word in their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if word.encode() in line:
                found.append(folder.name)
    return found


async def gone(word: str) -> None:
    """Wait until what was killed is no more, which takes the kernel a moment."""
    async with asyncio.timeout(5):
        while running(word):
            await asyncio.sleep(0.01)


def scripts(folder: Path, **options: Any) -> userscripts.UserScriptsCollector:
    return userscripts.UserScriptsCollector(OWN, None, scripts_path=folder, **options)  # type: ignore[arg-type]


async def test_programs_that_hang_flood_and_fork_are_killed_and_the_others_count(tmp_path: Path) -> None:
    word = f"7{os.getpid()}"
    program(tmp_path, "a-hang", f"sleep {word} & sleep {word}")
    program(tmp_path, "b-flood", "yes name 1")
    program(tmp_path, "c-fork", f"(sleep {word} & sleep {word} & sleep {word}) >/dev/null & echo forked 1")
    program(tmp_path, "d-pipe", f"sleep {word} & echo kept_open 1")
    program(tmp_path, "e-good", "echo shop.orders 7")
    (tmp_path / "f-broken").write_bytes(b"\x7fELF broken")
    (tmp_path / "f-broken").chmod(0o755)
    (batch,) = await scripts(tmp_path, script_timeout=0.5, at_once=10).run(0)
    assert batch.values == {"forked": 1.0, "shop.orders": 7.0}
    failed = dict(line.split(": ", 1) for line in batch.meta["failed"].split("; ") if ": " in line)
    assert set(failed) == {"a-hang", "b-flood", "d-pipe", "f-broken"}
    assert failed["f-broken"] == "Exec format error"
    assert failed["a-hang"] == "expected its end within 0.5 s"
    assert failed["b-flood"] == "expected at most 65536 bytes of output"
    await gone(word)


async def test_hanging_programs_leave_time_for_the_others(tmp_path: Path) -> None:
    for number in range(6):
        program(tmp_path, f"b{number}", "exec sleep 60")
    program(tmp_path, "a", "echo good 1")
    (batch,) = await scripts(tmp_path, timeout=0.6, at_once=2).run(0)
    assert batch.values == {"good": 1.0}
    assert "not run: the others took too long" in batch.meta["failed"]


async def test_a_collection_that_is_cancelled_leaves_no_program_behind(tmp_path: Path) -> None:
    word = f"8{os.getpid()}"
    program(tmp_path, "hang", f"sleep {word} & sleep {word}")
    task = asyncio.create_task(scripts(tmp_path).run(0))
    while not running(word):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(word)


async def test_a_program_gets_no_shell_no_arguments_and_no_input(tmp_path: Path) -> None:
    program(tmp_path, "$(touch x);a b", 'read line; echo "arguments $#"')
    (batch,) = await scripts(tmp_path).run(0)
    assert batch.values == {"arguments": 0.0}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["$(touch x);a b"]


async def test_pipes_and_links_in_the_directory_of_files_hold_up_nothing_and_read_ones_go_when_asked(
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00 5\n")
    (tmp_path / "numbers").write_text("jobs 3\n")
    one = files.FilesCollector(OWN, None, dir=tmp_path, delete=True)  # type: ignore[arg-type]
    (batch,) = await one.run(0)
    assert batch.values == {"jobs": 3.0}
    assert [line.partition(":")[0] for line in batch.meta["not read"].split("; ")] == ["folder", "gone", "pipe"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bytes", "folder", "gone", "pipe"]
    with pytest.raises(FileNotFoundError):
        await files.FilesCollector(OWN, None, dir=tmp_path / "nothing").run(0)  # type: ignore[arg-type]


def test_files_and_programs_have_no_word_of_their_own_in_metric_paths(tmp_path: Path) -> None:
    file = tmp_path / "monitor.conf"
    sections = "".join(f"[[{name}]]\nenabled = True\n" for name in ("FilesCollector", "UserScriptsCollector"))
    postgres = "[[ProcessResourcesCollector postgres]]\nenabled = True\nname = ^postgres\n"
    file.write_text(
        f"[server]\nhostname = web1\n[collectors]\n{sections}[[FilestatCollector]]\nenabled = True\n{postgres}"
    )
    inventory = load([file], {}).inventory
    paths = Paths(inventory)
    host = inventory.own.host
    made = {word: paths.path(Source(host, word, section)) for word, section in WORDS}
    assert made == {
        "textfiles": "servers.web1",
        "userscripts": "servers.web1",
        "files": "servers.web1.files",
        "process": "servers.web1.process.postgres",
    }


WORDS = (("textfiles", ""), ("userscripts", ""), ("files", ""), ("process", "postgres"))


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """A web server: a page, one that is slow, one that moved, one that moves for ever, one that is gone."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=request.headers["Host"].ljust(100, "."))

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.2)
        return web.Response(text="slow")

    async def moved(request: web.Request) -> web.Response:
        raise web.HTTPFound("/slow")

    async def circle(request: web.Request) -> web.Response:
        raise web.HTTPFound("/circle")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/slow", slow)
    app.router.add_get("/moved", moved)
    app.router.add_get("/circle", circle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


async def collected(cls: type[Collector], **options: Any) -> Any:
    client = HttpClient()
    await client.open()
    try:
        (batch,) = await cls(OWN, client.bound(timeout=5), **options).run(0)
    finally:
        await client.close()
    return batch


async def test_a_page_has_its_time_in_microseconds_and_its_size(site: str) -> None:
    urls = [f"{site}/", f"{site}/slow", f"{site}/moved", f"{site}/circle", f"{site}/gone", "http://127.0.0.1:1/"]
    batch = await collected(http.HttpCollector, req_url=urls, req_vhost="www.example.org")
    name = site.replace("://", "__").replace(".", "_").replace(":", "")
    assert batch.values[f"{name}_.size"] == 100
    assert 0 < batch.values[f"{name}_.time"] < 200_000
    assert 200_000 <= batch.values[f"{name}_slow.time"] < 2_000_000
    assert 200_000 <= batch.values[f"{name}_moved.time"] < 2_000_000
    assert batch.values[f"{name}_gone.time"] != batch.values[f"{name}_gone.time"]
    assert "expected at most 5 redirections" in batch.meta["failed"]
    assert "got 404" in batch.meta["failed"]
    assert "connection refused" in batch.meta["failed"]


async def test_a_password_in_an_address_is_neither_in_names_nor_in_what_is_told(site: str) -> None:
    with_password = site.replace("://", "://user:secret@")
    batch = await collected(http.HttpCollector, req_url=[f"{with_password}/", f"{with_password}/gone?token=secret"])
    assert "secret" not in batch.meta["failed"]
    assert not [name for name in batch.values if "user" in name]


async def test_a_site_has_its_status_in_the_name_and_its_time_in_milliseconds(site: str) -> None:
    batch = await collected(websitemonitor.WebsiteMonitorCollector, URL=f"{site}/slow")
    ((name, value),) = batch.values.items()
    assert name == "response_time.200"
    assert 200 <= value < 2000
    assert set((await collected(websitemonitor.WebsiteMonitorCollector, URL=f"{site}/gone")).values) == {
        "response_time.404"
    }


async def test_a_host_that_refuses_a_connection_has_answered() -> None:
    one = ping.PingCollector(OWN, None, hosts=["127.0.0.1", "no.such.host.invalid"], tcp_port=1, method="tcp")  # type: ignore[arg-type]
    (batch,) = await one.run(0)
    assert 0 < batch.values["127_0_0_1"] < 1000
    assert batch.meta["no answer"] == "no.such.host.invalid"


PINGED = """
import asyncio
from collectors.ping import PingCollector
from monitor.collector import Target
one = PingCollector(Target("own", "127.0.0.1", "own", local=True), None, hosts=["127.0.0.1", "::1"], method="icmp")
(batch,) = asyncio.run(one.run(0))
print(sorted(batch.values), all(0 < value < 1000 for value in batch.values.values()))
"""


def test_a_host_is_pinged_by_icmp_where_that_is_allowed() -> None:
    """In a network of its own, where the range of groups that may do so can be set."""
    if shutil.which("unshare") is None or os.getuid():
        pytest.skip("needs root and unshare")
    steps = 'ip link set lo up && echo "0 2147483647" > /proc/sys/net/ipv4/ping_group_range && exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", steps, sys.executable, PINGED], cwd=ROOT, capture_output=True, text=True
    )
    if "unshare failed" in done.stderr:
        pytest.skip("no network of its own is allowed here")
    assert (done.stdout, done.stderr) == ("['127_0_0_1', '::1'] True\n", "")


class Clock(asyncio.DatagramProtocol):
    """A strict stand-in for an NTP server: it answers proper requests only, and its clock is 250 ms ahead."""

    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if len(data) == 48 and data[0] & 7 == 3 and 1 <= data[0] >> 3 & 7 <= 4:
            now = time.time() + 0.25 + 2_208_988_800
            stamp = struct.pack("!II", int(now) % 2**32, int(now % 1 * 2**32))
            self.transport.sendto(
                struct.pack("!BBbb4s4s4s", 0x24, 1, 6, -20, bytes(4), bytes(4), b"GPS\0")
                + struct.pack("!II", int(now) - 16, 0)
                + data[40:48]
                + stamp
                + stamp,
                address,
            )


async def test_an_ntp_server_is_asked_by_udp() -> None:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Clock, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    one = ntpd.NtpdCollector(Target("ntp1", "127.0.0.1", "ntp1"), None, port=port)  # type: ignore[arg-type]
    try:
        for _ in range(3):
            (batch,) = await one.run(0)
    finally:
        transport.close()
    assert batch.values["offset"] == pytest.approx(0.25, abs=0.05)
    assert 0 <= batch.values["delay"] < 100
    assert (batch.values["stratum"], batch.values["poll"], batch.values["reach"]) == (1, 64, 7)
    assert batch.values["when"] == pytest.approx(16, abs=1.5)


async def test_no_ntp_server_is_an_error_that_names_it() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        one = ntpd.NtpdCollector(OWN, None, server="127.0.0.1", port=port, patience=0.05)  # type: ignore[arg-type]
        with pytest.raises(CollectError, match=f"127.0.0.1:{port}: expected an answer within 0.05 s"):
            await one.run(0)
    with pytest.raises(CollectError, match=f"127.0.0.1:{port}: connection refused"):
        await one.run(0)


def test_the_kernel_tells_how_it_keeps_its_clock() -> None:
    found = ntpd.kernel()
    assert abs(found.offset) < 1
    assert abs(found.frequency) <= 500
    assert 0 <= found.est_error <= found.max_error <= 17


async def test_a_busy_process_uses_what_it_uses() -> None:
    word = f"busy{os.getpid()}"
    code = f"import sys, time\nprint('{word}', flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None
        busy.stdout.readline()
        try:
            one = processresources.ProcessResourcesCollector(OWN, None, cmdline=[word], count_workers=True)  # type: ignore[arg-type]
            await one.run(0)
            await asyncio.sleep(0.5)
            (batch,) = await one.run(0)
            resident = int(Path(f"/proc/{busy.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        finally:
            busy.kill()
    assert batch.values["workers_count"] == 1
    assert 5 < batch.values["cpu_percent"] < 130
    assert batch.values["memory_info_ex.rss"] == pytest.approx(resident, rel=0.2)
    assert batch.values["num_threads"] == 1
    assert batch.values["uptime"] < 60
