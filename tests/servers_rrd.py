"""rrdcached of Debian on a socket of its own, with a journal, as a site runs it; and rrdtool to read what it wrote."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from appliance import wait_for
from debian import need


class RrdCached:
    """Starts on the same socket again after `stop` or `kill`."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        # A socket's path may have 107 bytes.
        self.short = Path(tempfile.mkdtemp(prefix="rrd-"))
        self.socket = self.short / "s"
        self.base = directory / "db"
        self.options = options or ("-B", "-R")
        self.process: subprocess.Popen[bytes] | None = None
        for one in (self.base, directory / "journal"):
            one.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        command = [
            need("rrdcached"), "-g", "-l", f"unix:{self.socket}", "-b", str(self.base), "-j",
            str(self.directory / "journal"), "-p", str(self.directory / "pid"), "-w", "300", "-F", *self.options,
        ]  # fmt: skip
        (self.directory / "pid").unlink(missing_ok=True)
        self.socket.unlink(missing_ok=True)
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

        def answers() -> bool:
            assert self.process is not None and self.process.poll() is None, (self.directory / "log").read_text()
            with socket.socket(socket.AF_UNIX) as one:
                one.connect(str(self.socket))
                return True

        wait_for(answers, 10, 0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        self.process = None

    def flush(self) -> None:
        """Have all of it written to the files."""
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(str(self.socket))
            answers = one.makefile("rb")
            for path in self.base.rglob("*.rrd"):
                one.sendall(f"FLUSH {path.relative_to(self.base)}\n".encode())
                answers.readline()


@contextlib.contextmanager
def rrdcached(directory: Path, *options: str) -> Iterator[RrdCached]:
    one = RrdCached(directory, *options)
    one.start()
    try:
        yield one
    finally:
        one.kill()
        shutil.rmtree(one.short)


def fetch(path: Path, start: int, end: int, function: str = "AVERAGE") -> dict[int, float]:
    """Return the known buckets of a minute by the time that they end at."""
    command = [need("rrdtool"), "fetch", str(path), function, "-r", "60", "-s", str(start - 60), "-e", str(end)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {}
    for line in done.stdout.splitlines():
        time, colon, value = line.partition(":")
        if colon and "nan" not in value:
            found[int(time)] = float(value)
    return found


def info(path: Path) -> dict[str, str]:
    """Return what rrdtool says of a file."""
    done = subprocess.run([need("rrdtool"), "info", str(path)], capture_output=True, text=True, check=True)
    lines = (line.partition(" = ") for line in done.stdout.splitlines())
    return {name: value.strip('"') for name, _, value in lines}
