"""The embedded PostgreSQL server: its programs from a wheel, its data below ours, its life tied to ours.

It listens on a Unix socket in a private directory and never on TCP. It must be started from the main thread, since the
kernel ties its death to the thread that started it. Whoever can enter the directory of the socket, the server's user
and root, needs no password: to both the data lie open anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from monitor.handler import StoreDownError, StoreUnusableError
from monitor.store.programs import copied, environment, major_version, programs, user

log = logging.getLogger("monitor.store.embedded")

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "20",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_worker_processes": "4",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
LONGEST_SOCKET = 90
"""Bytes of the socket's directory; with the file's name the kernel allows 107."""
OLD_WAIT = 20.0
FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
STOPPING = ((FAST, 5.0), (IMMEDIATE, 2.0), (signal.SIGKILL, 1.0))


class Embedded:
    """One server. `start` returns when it answers; `connection` tells how to reach it."""

    def __init__(
        self,
        data_dir: Path,
        *,
        postgres_bin: Path | None = None,
        postgres_user: str = "",
        old_wait: float = OLD_WAIT,
    ) -> None:
        self.data_dir = data_dir
        self.home = data_dir / "postgres"
        self.data = self.home / "data"
        # Not below home, which belongs to the server's user: as root we follow no links that he could make.
        self.log = data_dir / "postgres.log"
        self._socket_note = data_dir / "postgres.socket"
        self._configured = postgres_bin
        self._user_name = postgres_user
        self._old_wait = old_wait
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: Path | None = None
        self._lock: int | None = None
        self._started = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def ended(self) -> bool:
        """Whether a server that was started has ended by itself, and was not got going again yet."""
        return self._started and (self._process is None or self._process.poll() is not None)

    @property
    def connection(self) -> dict[str, str | int]:
        """What `asyncpg.connect` needs."""
        return {"host": str(self._socket), "port": 5432, "user": "monitor", "database": "postgres"}

    async def start(self, wait: float) -> None:
        """Start the server and return when it takes connections; StoreDownError when that takes too long."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the server must be started from the main thread, with whose end it ends")
        self.user = user(self._user_name)
        self.bin = programs(self._configured)
        await self._prepare()
        await self._until_old_one_ended()
        version = await asyncio.to_thread(major_version, self.bin, self.user)
        self._check_version(version)
        if not (self.data / "PG_VERSION").exists():
            await self._initialise()
        if self._socket is None:
            self._socket = self._socket_directory()
        settings = dict(SETTINGS, unix_socket_directories=str(self._socket))
        if version >= 18:
            settings["io_method"] = "sync"
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with contextlib.suppress(FileNotFoundError):
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it must be this thread that forks
                self.user.command(str(self.bin / "postgres"), "-D", str(self.data), *options, death=FAST),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", env=environment(),
                start_new_session=True,
            )  # fmt: skip
        await self._until_ready(wait)
        self._started = True

    async def stop(self) -> None:
        """Shut it down: its clients are cut off, what is committed is safe."""
        self._started = False
        await self._end()
        self._remove_socket_directory()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _end(self) -> None:
        process = self._process
        if process is not None:
            for kind, seconds in STOPPING:
                if process.poll() is None:
                    process.send_signal(kind)
                if await _within(seconds, lambda: process.poll() is not None):
                    break
            self._process = None

    async def _prepare(self) -> None:
        """Make the directories, keep others out, and see that the server's user gets in."""
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._lock is None:
                lock = os.open(self.data_dir / "postgres.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(lock)
                    raise StoreDownError(f"another appliance runs on {self.data_dir}") from None
                self._lock = lock
            if self.user.uid >= 0:
                os.chown(self.home, self.user.uid, self.user.gid)
            self.home.chmod(0o700)
        except OSError as error:
            raise StoreUnusableError(f"{self.home} cannot be made: {error.strerror}") from None
        if (shut := self.user.shut_out(self.home)) is not None:
            raise StoreUnusableError(
                f"{shut} shuts out the user {self.user.name} that PostgreSQL runs as, so it cannot reach its data in"
                f" {self.home}: open it (chmod o+x {shut}), or choose another data_dir or postgres_user"
            )
        with contextlib.suppress(FileNotFoundError):
            owner = self.data.stat().st_uid
            if owner != (self.user.uid if self.user.uid >= 0 else os.geteuid()):
                raise StoreUnusableError(
                    f"{self.data} belongs to user {owner}, the server runs as {self.user.name}:"
                    f" set postgres_user, or chown -R {self.user.name} {self.home}"
                )
        if self.user.shut_out(self.bin) is not None:
            self.bin = await asyncio.to_thread(copied, self.bin, self.data_dir / "postgres-programs")

    def _check_version(self, version: int) -> None:
        try:
            kept = int((self.data / "PG_VERSION").read_text())
        except (FileNotFoundError, ValueError):
            return
        if kept != version:
            raise StoreUnusableError(
                f"{self.data} was made by PostgreSQL {kept}, the programs in {self.bin} are version {version}:"
                f" point postgres_bin at version {kept}, or upgrade the directory with pg_upgrade"
            )

    async def _initialise(self) -> None:
        """Make the data directory; one that was left half made is not taken for a whole one."""
        made = self.home / "data.new"
        shutil.rmtree(made, ignore_errors=True)
        command = self.user.command(
            str(self.bin / "initdb"), "-D", str(made), "-U", "monitor", "--auth=trust", "--encoding=UTF8",
            "--locale=C", "--data-checksums", "--no-instructions",
        )  # fmt: skip
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, cwd="/", env=environment()
        )
        if done.returncode:
            raise StoreUnusableError(f"initdb failed: {(done.stderr or done.stdout).strip()[-500:]}")
        made.rename(self.data)

    async def _until_old_one_ended(self) -> None:
        """Wait for a server of a former life: it got its signal when that life ended."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return

        def ended() -> bool:
            try:
                return Path(f"/proc/{pid}/cwd").resolve(strict=True) != self.data.resolve()
            except OSError:
                return True

        if ended():
            return
        log.warning("store.old_server", extra={"fields": {"pid": pid}})
        for kind, seconds in ((FAST, self._old_wait), (IMMEDIATE, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, kind)
            if await _within(seconds, ended):
                return
        raise StoreDownError(f"the PostgreSQL server {pid} of an earlier run does not end")

    async def _until_ready(self, wait: float) -> None:
        process, file = self._process, self.data / "postmaster.pid"
        assert process is not None

        def settled() -> bool:
            if process.poll() is not None:
                return True
            with contextlib.suppress(FileNotFoundError):
                lines = file.read_text().splitlines()
                return lines[:1] == [str(process.pid)] and lines[-1].strip() == "ready"
            return False

        in_time = await _within(wait, settled)
        if process.poll() is not None:
            self._process = None
            raise StoreDownError(f"PostgreSQL ended while it started: {self.last_words()}")
        if not in_time:
            await self._end()
            raise StoreDownError(f"PostgreSQL was not ready within {wait:g} s: {self.last_words()}")

    def last_words(self) -> str:
        """Return the end of the server's log."""
        return " / ".join(self.log.read_text(errors="replace").strip().splitlines()[-3:])[-500:]

    def _socket_directory(self) -> Path:
        """Make a directory of our own for the socket; its path must be short, whatever data_dir is."""
        self._remove_socket_directory()
        for base in (os.environ.get("XDG_RUNTIME_DIR", ""), "/run", tempfile.gettempdir(), "/tmp"):  # noqa: S108
            # Its name cannot be guessed, and mkdtemp keeps others out.
            usable = Path(base).is_dir() and os.access(base, os.W_OK | os.X_OK)
            if not base or len(os.fsencode(base)) > LONGEST_SOCKET - 20 or not usable or self.user.shut_out(Path(base)):
                continue
            with contextlib.suppress(OSError):
                made = Path(tempfile.mkdtemp(prefix="monitor-", dir=base))
                if self.user.uid >= 0:
                    os.chown(made, self.user.uid, self.user.gid)
                self._socket_note.write_text(str(made))
                return made
        raise StoreUnusableError("found no place for PostgreSQL's socket: /tmp must be a directory open to all")

    def _remove_socket_directory(self) -> None:
        self._socket = None
        with contextlib.suppress(FileNotFoundError):
            old = Path(self._socket_note.read_text())
            if old.name.startswith("monitor-"):
                shutil.rmtree(old, ignore_errors=True)
            self._socket_note.unlink()


async def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait for a condition; return whether it came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        await asyncio.sleep(0.02)
    return True
