"""A real nginx on a free port of the loopback, with its status page at /nginx_status."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from appliance import free_port, wait_for
from debian import need

CONFIG = """{user}
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port};
        server_name localhost;
        location /nginx_status {{
            stub_status on;
            allow 127.0.0.1;
            deny all;
        }}
        location = / {{ return 200 "hello\\n"; }}
        location = /garbage {{ return 200 "hello and goodbye\\n"; }}
        location = /empty {{ return 200 ""; }}
        location = /elsewhere {{ return 301 /nginx_status; }}
    }}
}}
"""


class Nginx:
    """Starts on the same port again after `stop`."""

    def __init__(self, directory: Path, port: int | None = None) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        user = "user root;" if os.geteuid() == 0 else ""
        (directory / "nginx.conf").write_text(CONFIG.format(port=self.port, user=user))

    def start(self) -> Nginx:
        with (self.directory / "out.log").open("ab") as log:
            self.process = subprocess.Popen(
                [need("nginx"), "-p", str(self.directory), "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"],
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

        def answers() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, (self.directory / "out.log").read_text()[-2000:]
            return self.get("/") == "hello\n"

        wait_for(answers, 20, 0.02)
        return self

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)

    def pause(self) -> None:
        """Accept connections and answer nothing, as a service that hangs."""
        for pid in self._workers():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self._workers():
            os.kill(pid, signal.SIGCONT)

    def _workers(self) -> list[int]:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return str(answer.read().decode())


@contextlib.contextmanager
def nginx(directory: Path, port: int | None = None) -> Iterator[Nginx]:
    """An nginx that is stopped at the end."""
    one = Nginx(directory, port)
    try:
        yield one.start()
    finally:
        if one.process is not None and one.process.poll() is None:
            one.resume()
        one.stop()
