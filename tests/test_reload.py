"""SIGHUP: the configuration is read again while everything runs."""

from __future__ import annotations

import signal
from pathlib import Path

from appliance import appliance, wait_for


def test_a_reload_takes_new_hosts_and_names_what_needs_a_new_start(tmp_path: Path) -> None:
    with appliance(tmp_path / "one") as one:

        def reload(config: str, event: str) -> str:
            one.configure(config)
            assert one.process is not None
            one.process.send_signal(signal.SIGHUP)
            return wait_for(lambda: next((s for s in one.log.read_text().splitlines() if f"event={event}" in s), ""))

        reload("concurrency = 7\n[retention]\ncollected = 3d\n[hosts]\n[[10.0.0.9]]\n", "reloaded")
        (told,) = (line for line in one.log.read_text().splitlines() if "event=reload.needs_restart" in line)
        assert 'keys="[server] concurrency"' in told
        assert "10.0.0.9" in [host["host"] for host in one.json("/api/v1/hosts")["hosts"]]

        assert "nonsense" in reload("nonsense = 1\n", "reload.refused")
        assert "10.0.0.9" in [host["host"] for host in one.json("/api/v1/hosts")["hosts"]]
