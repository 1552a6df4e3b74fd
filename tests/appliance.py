"""The whole appliance as a process of its own: what the end-to-end tests start, ask and kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: Callable[[], T], deadline: float = 60.0, pause: float = 0.1) -> T:
    """Return the first true answer of `what`; connection errors count as not yet."""
    end = time.monotonic() + deadline
    last: object = None
    while time.monotonic() < end:
        try:
            if last := what():
                return last  # type: ignore[return-value]
        except (OSError, urllib.error.URLError) as error:
            last = error
        time.sleep(pause)
    raise AssertionError(f"not within {deadline:.0f} s; the last answer was {last!r}")


class Appliance:
    """Runs `monitor run` on a free port with its data below `directory`; `config` is more INI text."""

    def __init__(self, directory: Path, config: str = "", env: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.file = directory / "monitor.conf"
        self.log = directory / "monitor.log"
        self.env = {**os.environ, **(env or {})}
        self.process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        # Let whatever user the embedded server runs as reach its data below pytest's private directories.
        for parent in [directory, *directory.parents][:6]:
            if parent.stat().st_uid == os.geteuid():
                parent.chmod(parent.stat().st_mode | 0o011)
        self.configure(config)

    def configure(self, config: str) -> None:
        server = f"[server]\nlisten = 127.0.0.1:{self.port}\ndata_dir = {self.directory / 'data'}\n"
        self.file.write_text(server + config)

    def start(self, ready: bool = True) -> Appliance:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "monitor", "run", "-c", str(self.file)],
                stdout=log, stderr=subprocess.STDOUT, env=self.env,
            )  # fmt: skip
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self, deadline: float = 60.0) -> None:
        def answered() -> bool:
            assert self.process is not None
            if (code := self.process.poll()) is not None:
                raise AssertionError(f"it ended with {code}:\n{self.log.read_text()[-3000:]}")
            return self.get("/readyz")[0] == 200

        wait_for(answered, deadline, 0.05)

    def kill(self) -> None:
        """kill -9, as a power cut would end it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM; return the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        request = urllib.request.Request(self.url + path, headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def json(self, path: str, **query: Any) -> Any:
        text = urllib.parse.urlencode(query, doseq=True)
        status, body = self.get(f"{path}?{text}" if text else path)
        assert status == 200, (status, body[:500])
        return json.loads(body)

    def push(self, batches: list[dict[str, Any]]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.url}/api/v1/push",
            data=json.dumps({"batches": batches}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found

    def values(self, series: str, **query: Any) -> list[float | None]:
        found = self.json("/api/v1/query", series=series, **query)["series"]
        return found[0]["values"] if found else []


@contextlib.contextmanager
def appliance(
    directory: Path, config: str = "", env: Mapping[str, str] | None = None, ready: bool = True
) -> Iterator[Appliance]:
    """A running appliance that is stopped at the end, and whose log is shown when the test failed."""
    one = Appliance(directory, config, env)
    try:
        one.start(ready)
        yield one
    except BaseException:
        print(one.log.read_text()[-5000:] if one.log.exists() else "no log")
        raise
    finally:
        if one.process is not None and one.process.poll() is None:
            one.process.terminate()
            try:
                one.process.wait(20)
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait(10)
