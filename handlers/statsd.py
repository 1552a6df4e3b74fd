"""statsd: gauges as gauges, and of what is counted what came since the report before, over UDP.

    [server]
    handlers = StatsdHandler
    [handlers]
    [[StatsdHandler]]
    host = statsd.example.com
    port = 8125

statsd confirms nothing and knows no times. What nobody takes is lost, unless the other host says so (a closed port
does, a machine that is off does not): then it is sent again, and so is what waited meanwhile, so that counters are
whole and gauges end at the newest value. After a crash, and when statsd
ends in the middle of a write, the last increments may be counted twice.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from handlers._graphite.datagrams import Datagrams
from monitor.handler import Block, Bytes, Cursor, Handler, Refused, option
from monitor.wire.statsd import StatsdEncoder


class StatsdHandler(Handler):
    host: str = option("localhost", "where statsd listens")
    port: int = option(8125, "its port for UDP", min=1, max=65535)
    udp_size: int = option(1400, "bytes of lines in one datagram", min=100, max=65_000)
    udp_rate: Bytes = option(
        Bytes(1 << 20), "send at most this much in a second, lest the receiver's buffer overflow", min=1024
    )

    _way: Datagrams

    async def open(self) -> None:
        self._encoder = StatsdEncoder(self.naming.path)
        self._way = Datagrams(
            self.host, self.port, family=socket.AF_UNSPEC, size=self.udp_size, rate=float(self.udp_rate)
        )
        await self._way.open()

    async def close(self) -> None:
        await self._way.close()

    async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
        refused: list[Refused] = []
        try:
            if not self._way.opened:
                await self._way.open()
            for block in blocks:
                for lines in self._encoder.encode(block):
                    refused += (Refused(path, "the path is too long for statsd") for path in lines.too_long)
                    await self._way.send(lines.text.encode())
                    await asyncio.sleep(0)
            await self._way.confirmed()
        except BaseException:
            self._way.abort()
            raise
        return refused
