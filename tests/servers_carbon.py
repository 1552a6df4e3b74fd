"""carbon-cache of Debian's graphite-carbon on free ports of the loopback, read back from its whisper files."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import pickle
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance import free_port, wait_for
from debian import need

CONFIG = """[cache]
STORAGE_DIR = {directory}
LOCAL_DATA_DIR = {directory}/whisper/
CONF_DIR = {directory}
LOG_DIR = {directory}/log/
PID_DIR = {directory}
DATABASE = whisper
USER =
MAX_CACHE_SIZE = inf
MAX_UPDATES_PER_SECOND = inf
MAX_CREATES_PER_MINUTE = inf
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {port}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {pickle_port}
ENABLE_UDP_LISTENER = True
UDP_RECEIVER_INTERFACE = 127.0.0.1
UDP_RECEIVER_PORT = {port}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {query_port}
CARBON_METRIC_INTERVAL = 0
ENABLE_LOGROTATION = False
ENABLE_TAGS = False
WHISPER_FALLOCATE_CREATE = False
LOG_UPDATES = False
LOG_CREATES = False
LOG_LISTENER_CONN_SUCCESS = False
"""
SCHEMAS = "[default]\npattern = .*\nretentions = {retentions}\n"


@functools.cache
def whisper() -> Any:
    """Return the library that carbon writes with; it is one of Debian's own Python, and stands for itself."""
    spec = importlib.util.spec_from_file_location("whisper", "/usr/lib/python3/dist-packages/whisper.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Carbon:
    """Starts on the same port again after `stop` or `kill`."""

    def __init__(self, directory: Path, retentions: str = "60s:7d") -> None:
        self.directory = directory
        self.port, self.pickle_port, self.query_port = free_port(), free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        config = CONFIG.format(
            directory=directory, port=self.port, pickle_port=self.pickle_port, query_port=self.query_port
        )  # fmt: skip
        (directory / "carbon.conf").write_text(config)
        (directory / "storage-schemas.conf").write_text(SCHEMAS.format(retentions=retentions))

    def start(self) -> Carbon:
        program = need("carbon-cache")
        (self.directory / "pid").unlink(missing_ok=True)
        with (self.directory / "carbon.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "--nodaemon", f"--config={self.directory}/carbon.conf", f"--pidfile={self.directory}/pid",
                 "start"],
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

        def answers() -> bool:
            assert self.process is not None and self.process.poll() is None, self.log()
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True

        wait_for(answers, 20, 0.05)
        return self

    def log(self) -> str:
        return (self.directory / "carbon.log").read_text()[-2000:]

    def stop(self) -> None:
        """SIGTERM: it writes what it holds in memory and ends."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def paths(self) -> set[str]:
        """Return the paths that have a whisper file."""
        root = self.directory / "whisper"
        return {".".join(path.relative_to(root).with_suffix("").parts) for path in root.rglob("*.wsp")}

    def points(self, path: str, start: float, end: float) -> dict[int, float]:
        """Return the points of a path with start < time <= end."""
        file = (self.directory / "whisper").joinpath(*path.split(".")).with_suffix(".wsp")
        if not file.exists():
            return {}
        (begin, _, step), values = whisper().fetch(str(file), int(start), int(end))
        return {begin + i * step: value for i, value in enumerate(values) if value is not None}

    def held(self, path: str) -> dict[int, float]:
        """Return the points of a path that are not written yet."""
        query = pickle.dumps({"type": "cache-query", "metric": path}, protocol=2)
        with socket.create_connection(("127.0.0.1", self.query_port), 5) as one, one.makefile("rb") as answer:
            one.sendall(struct.pack(">I", len(query)) + query)
            (length,) = struct.unpack(">I", answer.read(4))
            return {int(time): value for time, value in pickle.loads(answer.read(length))["datapoints"]}


@contextlib.contextmanager
def carbon(directory: Path, started: bool = True, retentions: str = "60s:7d") -> Iterator[Carbon]:
    """A carbon-cache that is stopped at the end."""
    one = Carbon(directory, retentions)
    try:
        yield one.start() if started else one
    finally:
        one.stop()


def minute(ago: int = 0) -> float:
    """Return the beginning of a minute, so many minutes ago."""
    return float(time.time() // 60 * 60 - 60 * ago)
