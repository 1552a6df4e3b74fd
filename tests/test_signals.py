"""Signals as an operator's impatience sends them."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

from appliance import appliance, wait_for


def test_a_second_sigterm_ends_it_at_once_while_the_first_still_waits(tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(100)
        port = deaf.getsockname()[1]
        # A target that never answers and a collection that hangs: the first signal waits for both.
        config = (
            "handlers = GraphiteHandler, InfluxDBHandler\n[handlers]\n"
            f"[[GraphiteHandler]]\nhost = 127.0.0.1\nport = {port}\n"
            f"[[InfluxDBHandler]]\nurl = http://127.0.0.1:{port}\ndatabase = x\n"
            "[collectors]\n[[default]]\ninterval = 1\n"
            f"[[NginxCollector]]\nenabled = True\nreq_port = {port}\ninterval = 30\n"
        )
        with appliance(tmp_path / "a", config) as one:
            wait_for(lambda: one.json("/api/v1/latest", collector="cpu")["series"])
            assert one.process is not None
            one.process.send_signal(signal.SIGTERM)
            wait_for(lambda: "stopping" in one.log.read_text() or one.process.poll() is not None, 5, 0.01)
            assert one.process.poll() is None
            began = time.monotonic()
            one.process.send_signal(signal.SIGTERM)
            assert one.process.wait(10) == 1
            assert time.monotonic() - began < 1
            log = one.log.read_text()
            assert "event=aborted" in log
            assert "event=stopped" not in log
