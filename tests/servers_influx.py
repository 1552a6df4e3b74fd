"""influxd 1.6 of Debian on free ports of the loopback, with its Graphite input, read back over its query API."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance import free_port, wait_for
from debian import need

CONFIG = """reporting-enabled = false
bind-address = "127.0.0.1:{rpc_port}"
[meta]
  dir = "{directory}/meta"
[data]
  dir = "{directory}/data"
  wal-dir = "{directory}/wal"
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
  auth-enabled = {auth}
  max-body-size = {max_body}
[monitor]
  store-enabled = false
[[graphite]]
  enabled = true
  bind-address = "127.0.0.1:{graphite_port}"
  database = "graphite"
  batch-timeout = "100ms"
"""


class Influx:
    """Starts on the same ports again after `stop`."""

    def __init__(self, directory: Path, *, auth: bool = False, max_body: int = 25_000_000) -> None:
        self.directory = directory
        self.port, self.graphite_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        config = CONFIG.format(
            directory=directory, port=self.port, graphite_port=self.graphite_port, rpc_port=free_port(),
            auth=str(auth).lower(), max_body=max_body,
        )  # fmt: skip
        (directory / "influxdb.conf").write_text(config)

    def start(self) -> Influx:
        with (self.directory / "influxd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [need("influxd"), "run", "-config", str(self.directory / "influxdb.conf")],
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

        def answers() -> bool:
            assert self.process is not None and self.process.poll() is None, self.log()
            with urllib.request.urlopen(f"{self.url}/ping", timeout=2) as answer:
                return bool(answer.status == 204)

        wait_for(answers, 20, 0.05)
        return self

    def log(self) -> str:
        return (self.directory / "influxd.log").read_text()[-2000:]

    def stop(self) -> None:
        """SIGTERM, and a second one should it wait for a connection to its Graphite input."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.terminate()
                self.process.wait(20)

    def query(self, statement: str, database: str = "graphite", **more: str) -> list[dict[str, Any]]:
        """Return the rows of the first statement, their tags and measurement included."""
        text = urllib.parse.urlencode({"db": database, "q": statement, "epoch": "ns", **more})
        with urllib.request.urlopen(f"{self.url}/query?{text}", data=b"", timeout=10) as answer:
            result = json.loads(answer.read())["results"][0]
        assert "error" not in result, result
        return [
            {"measurement": series.get("name"), **dict(zip(series["columns"], row, strict=True))}
            for series in result.get("series", [])
            for row in series.get("values", [])
        ]

    def write(self, lines: str, database: str = "graphite") -> None:
        urllib.request.urlopen(f"{self.url}/write?db={database}", data=lines.encode(), timeout=10).close()


@contextlib.contextmanager
def influx(directory: Path, *, auth: bool = False, max_body: int = 25_000_000) -> Iterator[Influx]:
    """An influxd that is stopped at the end."""
    one = Influx(directory, auth=auth, max_body=max_body)
    try:
        yield one.start()
    finally:
        one.stop()
