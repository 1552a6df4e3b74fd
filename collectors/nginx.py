"""nginx, from the page of ngx_http_stub_status_module (Tengine's extra column is accepted).

    server {
        listen 127.0.0.1:8080;
        location /nginx_status { stub_status; allow 127.0.0.1; deny all; }
    }

The status page of NGINX Plus (ngx_http_status_module, JSON) is read as well. Names and options are those of Diamond's
NginxCollector.
"""

from __future__ import annotations

import asyncio
import re

from collectors._nginxplus import Plus
from collectors._nginxplus import parse as parse_plus
from monitor.collector import CollectError, Collector, Counter, Gauge, Graph, Line, Stack, option

STUB_STATUS = re.compile(
    r"Active connections: (?P<active>\d+) *\r?\n"
    r"server accepts handled requests(?: request_time)? *\r?\n"
    r" *(?P<accepts>\d+) +(?P<handled>\d+) +(?P<requests>\d+)(?: +\d+)? *\r?\n"
    r"Reading: (?P<reading>\d+) +Writing: (?P<writing>\d+) +Waiting: (?P<waiting>\d+)"
)


def parse(page: str) -> dict[str, int]:
    """Return the seven numbers of a stub_status page by nginx's names; CollectError for any other page."""
    found = STUB_STATUS.search(page)
    if found is None:
        raise CollectError(f"expected a stub_status page, got {page[:80]!r}")
    return {name: int(text) for name, text in found.groupdict().items()}


class NginxCollector(Collector, Plus):
    path = "nginx"
    plugin_arguments = {"req_port": "80", "req_path": "/nginx_status", "req_host_header": ""}

    req_host: str = option("", "host to ask; by default the watched host's address")
    req_port: int = option(8080, "port of the status page", min=1, max=65535)
    req_path: str = option("/nginx_status", "path of the status page")
    req_ssl: bool = option(False, "ask over https")
    req_host_header: str = option("", "Host header to send, for a status page in a named server")

    active = Gauge("connections", "open client connections, the waiting ones included", name="active_connections")
    reading = Gauge("connections", "nginx is reading the request header", name="act_reads")
    writing = Gauge("connections", "nginx is writing the response", name="act_writes")
    waiting = Gauge("connections", "idle, waiting for a request", name="act_waits")
    per_connection = Gauge("requests", "requests per connection since nginx started", name="req_per_conn")
    accepts = Counter("connections/s", "accepted client connections", name="conn_accepted")
    handled = Counter("connections/s", "handled client connections; less than accepted: a limit", name="conn_handled")
    requests = Counter("requests/s", "client requests", name="req_handled")

    graphs = (
        Graph(
            "connections",
            "Connections",
            Stack(waiting, "waiting", "a6cee3"),
            Stack(writing, "writing", "1f78b4"),
            Stack(reading, "reading", "33a02c"),
            Line(active, "active", "000000"),
            unit="connections",
        ),
        Graph("requests", "Requests", Line(requests, "requests", "1f78b4"), unit="requests/s"),
        Graph(
            "accepted",
            "Accepted and handled connections",
            Line(accepts, "accepted", "ff7f00"),
            Line(handled, "handled", "1f78b4"),
            unit="connections/s",
        ),
        Graph("reuse", "Requests per connection", Line(per_connection, "requests", "6a3d9a"), unit="requests"),
        *Plus.plus_graphs,
    )

    async def collect(self) -> None:
        host = self.req_host or ("localhost" if self.host.local else self.host.address)
        url = f"{'https' if self.req_ssl else 'http'}://{f'[{host}]' if ':' in host else host}:{self.req_port}"
        headers = {"Host": self.req_host_header} if self.req_host_header else None
        text = await self.http.text(url + self.req_path, headers=headers)
        if text.lstrip()[:1] == "{":
            await self._publish_plus(text)
            return
        page = parse(text)
        self.publish(self.active, page["active"])
        self.publish(self.reading, page["reading"])
        self.publish(self.writing, page["writing"])
        self.publish(self.waiting, page["waiting"])
        self.publish(self.accepts, page["accepts"])
        self.publish(self.handled, page["handled"])
        self.publish(self.requests, page["requests"])
        self.publish(self.per_connection, page["requests"] / page["handled"] if page["handled"] else None)

    async def _publish_plus(self, text: str) -> None:
        for count, (metric, value) in enumerate(parse_plus(text)):
            self.publish(metric, value)
            if count % 500 == 499:
                await asyncio.sleep(0)
