"""Streams of a made-up media server."""

from monitor.collector import Collector, option


class WowzaCollector(Collector):
    path = "wowza"

    streams: list[str] = option([], "streams that are counted")

    async def collect(self) -> None:
        for number, stream in enumerate(self.streams, 1):
            self.instance(stream)
            self.publish_gauge("viewers", number)
        self.instance("")
        self.publish_gauge("streams", len(self.streams))
