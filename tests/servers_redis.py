"""A real Redis on a free port of the loopback; it keeps nothing on the disk."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance import free_port, wait_for
from debian import need


class RedisServer:
    """Starts on the same port again after `stop`; all that it held is gone then."""

    def __init__(self, directory: Path, password: str = "", *options: str, port: int | None = None) -> None:
        self.program, self.client = need("redis-server"), need("redis-cli")
        self.directory = directory
        self.password = password
        self.options = [*options, *(("--requirepass", password) if password else ())]
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"redis://{':' + self.password + '@' if self.password else ''}127.0.0.1:{self.port}"

    def start(self) -> RedisServer:
        command = [
            self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--dir", str(self.directory), *self.options,
        ]  # fmt: skip
        with (self.directory / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: self.cli("PING") == "PONG", 20, 0.02)
        return self

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    def cli(self, *words: str, stdin: bytes | None = None) -> str:
        """Return what redis-cli prints."""
        command = [
            self.client,
            "-p",
            str(self.port),
            *(("-a", self.password, "--no-auth-warning") if self.password else ()),
        ]
        done = subprocess.run([*command, *words], input=stdin, capture_output=True, timeout=20)
        return done.stdout.decode().rstrip("\n")


@contextmanager
def redis(directory: Path, password: str = "", *options: str) -> Iterator[RedisServer]:
    server = RedisServer(directory, password, *options).start()
    try:
        yield server
    finally:
        server.stop()
