"""Time and size of web pages; names and options are those of Diamond's HttpCollector.

A page is called by its address, with `_` for `/` and `.`, and without `:`. One that does not answer, or with a
status from 400, has no time, and is told as meta `failed`.
"""

from __future__ import annotations

import asyncio
import re
import time

from collectors._answer import answer, checked
from monitor.collector import CollectError, Collector, Gauge, Graph, Line, option

USER = re.compile(r"://[^/?#]*@")


def called(url: str) -> str:
    """Return Diamond's name of an address. A user and password in it are left out."""
    url = USER.sub("://", url)
    return url.replace("/", "_").replace(".", "_").replace("\\", "").replace(":", "")


class HttpCollector(Collector):
    path = "http"

    req_url: list[str] = option(["http://localhost/"], "addresses to ask, https:// too")
    req_vhost: str = option("", "Host header to send with every request")
    max_urls: int = option(100, "refuse a list of more addresses", min=1, max=10_000)
    at_once: int = option(4, "how many are asked at the same time", min=1, max=100)

    time = Gauge("microseconds", "until the whole page was there", name="*.time", min=0)
    size = Gauge("bytes", "of the page", name="*.size", min=0)

    graphs = (
        Graph("time", "Time of a page", Line(time, "time", "1f78b4"), unit="microseconds"),
        Graph("size", "Size of a page", Line(size, "size", "33a02c"), unit="bytes"),
    )

    async def collect(self) -> None:
        urls = [checked(url, "req_url") for url in dict.fromkeys(self.req_url)]
        if not 1 <= len(urls) <= self.max_urls:
            raise CollectError(f"expected 1 to {self.max_urls} addresses in req_url, got {len(urls)}")
        slots = asyncio.Semaphore(self.at_once)
        failed = {
            url: why
            for url, why in zip(urls, await asyncio.gather(*(self._ask(url, slots) for url in urls)), strict=True)
            if why
        }
        if len(failed) == len(urls):
            raise CollectError("; ".join(failed.values())[:1000])
        self.meta("failed", "; ".join(failed.values())[:500])

    async def _ask(self, url: str, slots: asyncio.Semaphore) -> str:
        """Publish a page's time and size; return why there are none."""
        async with slots:
            begin = self.clock()
            try:
                found = await answer(self.http, url, {"Host": self.req_vhost} if self.req_vhost else None)
                took = self.clock() - begin
                if found.status >= 400:
                    raise CollectError(
                        f"{USER.sub('://', url).partition('?')[0]}: expected a status below 400, got {found.status}"
                    )
            except CollectError as error:
                self.publish(self.time.of(called(url)), None)
                self.publish(self.size.of(called(url)), None)
                return str(error)
        self.publish(self.time.of(called(url)), round(took * 1e6))
        self.publish(self.size.of(called(url)), len(found.body))
        return ""

    def clock(self) -> float:
        return time.perf_counter()
