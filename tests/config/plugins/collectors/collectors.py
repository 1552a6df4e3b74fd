"""Collectors for the tests of the configuration."""

from __future__ import annotations

from monitor.collector import Collector, Seconds, option


class NginxCollector(Collector):
    path = "nginx"

    req_port: int = option(8080, "port of the status page", min=1, max=65535)
    req_path: str = option("/nginx_status", "path of the status page")
    wait: Seconds | None = None

    async def collect(self) -> None:
        self.publish_counter("req_handled", 2**63)
        self.publish("active_connections", 1.5)
        self.publish("act_reads", None)
        self.meta("version", "1.22")


class CPUCollector(Collector):
    path = "cpu"
    local = True


class SNMPCollector(Collector):
    path = "snmp"

    community: str = option(help="the community", secret=True)
