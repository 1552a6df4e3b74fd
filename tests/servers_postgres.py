"""PostgreSQL for tests: an external server by TCP, of Debian's programs or the wheel's, in a directory of its own."""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.store import programs as store


def programs() -> Path:
    """Return the directory of PostgreSQL's programs: Debian's, else a copy of the wheel's that every user can reach."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return debian[-1].parent if debian else wheel()


@functools.cache
def wheel() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="programs-"))
    directory.chmod(0o755)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return store.copied(store.programs(None), directory / "copy")


class PostgresServer:
    """A server on a free loopback port that is stopped by its process id; `url` leads to a database."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.user: str | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            self.user = next(name for name in ("postgres", "nobody") if name in {one.pw_name for one in pwd.getpwall()})
            shutil.chown(directory, self.user)
        self._run(
            "initdb", "-D", str(self.data), "-U", "monitor", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"
        )

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://monitor:secret@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        command = [
            str(programs() / "postgres"), "-D", str(self.data), "-c", f"port={self.port}", "-c", "fsync=off",
            "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.directory}",
        ]  # fmt: skip
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, user=self.user, group=self._group(), extra_groups=[] if self.user else None,
                cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + 30
        while not self._ready():
            assert self.process.poll() is None and time.monotonic() < end, (self.directory / "log").read_text()
            time.sleep(0.02)

    def _ready(self) -> bool:
        """Whether it says so itself; a port that is open may still refuse."""
        try:
            return (self.data / "postmaster.pid").read_text().rstrip().endswith("ready")
        except FileNotFoundError:
            return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def _group(self) -> int | None:
        return pwd.getpwnam(self.user).pw_gid if self.user else None

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(programs() / program), *arguments], user=self.user, group=self._group(),
            extra_groups=[] if self.user else None, cwd=self.directory, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))
    directory.chmod(0o755)
    server = PostgresServer(directory)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(directory)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory that the user of the embedded server can reach: pytest's own are closed to him."""
    directory = Path(tempfile.mkdtemp(prefix="data-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)
