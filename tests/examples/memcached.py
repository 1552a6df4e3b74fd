"""memcached, from its `stats` command.

memcached -l 10.0.0.1 -p 11211
"""

from __future__ import annotations

import asyncio

from monitor.collector import Area, CollectError, Collector, Counter, Gauge, Graph, Line, option


def parse(answer: str) -> dict[str, str]:
    """Return the lines `STAT name value` by name."""
    stats = dict(
        line.split(" ", 2)[1:] for line in answer.splitlines() if line.startswith("STAT ") and line.count(" ") > 1
    )
    if "curr_connections" not in stats:
        raise CollectError(f"expected lines 'STAT name value', got {answer[:80]!r}")
    return stats


class MemcachedCollector(Collector):
    path = "memcached"

    port: int = option(11211, "port of memcached", min=1, max=65535)

    connections = Gauge("connections", "open connections", name="curr_connections")
    used = Gauge("bytes", "memory of the items", name="bytes")
    most = Gauge("bytes", "memory that items may take", name="limit_maxbytes")
    gets = Counter("requests/s", "items asked for", name="cmd_get")
    hits = Counter("requests/s", "items asked for and found", name="get_hits")
    evictions = Counter("items/s", "items thrown out for new ones")

    graphs = (
        Graph(
            "requests", "Requests", Area(gets, "asked for", "a6cee3"), Line(hits, "found", "1f78b4"), unit="requests/s"
        ),
        Graph("hits", "Hit ratio", Line(100 * hits / gets, "hits"), unit="percent", upper=100.0),
        Graph("memory", "Memory", Area(used, "items"), Line(most, "limit"), unit="bytes", base=1024),
        Graph("connections", "Connections", Line(connections), unit="connections"),
        Graph("evictions", "Evictions", Line(evictions), unit="items/s"),
    )

    async def collect(self) -> None:
        reader, writer = await asyncio.open_connection(self.host.address, self.port)
        try:
            writer.write(b"stats\r\n")
            answer = await reader.readuntil(b"END\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise CollectError(f"expected statistics that end with END: {error}") from error
        finally:
            writer.close()
        stats = parse(answer.decode())
        self.meta("version", stats["version"])
        for metric in (self.connections, self.used, self.most, self.gets, self.hits, self.evictions):
            self.publish(metric, int(stats[metric.name]))
