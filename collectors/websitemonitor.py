"""Status and response time of a web page; the name is that of Diamond's WebsiteMonitorCollector.

The status is part of the name: `response_time.200`. For more pages there are more sections of this collector.
"""

from __future__ import annotations

import time

from collectors._answer import answer, checked
from monitor.collector import Collector, Gauge, Graph, Line, option


class WebsiteMonitorCollector(Collector):
    path = "websitemonitor"

    URL: str = option("", "address to ask, https:// too")

    response_time = Gauge("ms", "until the whole answer with this status was there", name="response_time.*", min=0)

    graphs = (Graph("response_time", "Response time with status", Line(response_time, "time", "1f78b4"), unit="ms"),)

    async def collect(self) -> None:
        url = checked(self.URL, "URL")
        begin = self.clock()
        found = await answer(self.http, url)
        self.publish(self.response_time.of(str(found.status)), round(1000 * (self.clock() - begin)))

    def clock(self) -> float:
        return time.perf_counter()
