"""Graphite: carbon's plaintext protocol over TCP, TLS or UDP, under Diamond's metric paths.

    [server]
    handlers = GraphiteHandler
    [handlers]
    [[GraphiteHandler]]
    host = graphite.example.com
    port = 2003

carbon answers nothing, so a write over TCP counts as delivered when the other end's kernel has confirmed every byte
(Linux; elsewhere: when our kernel has taken them). What carbon took and lost by ending is sent again: after a lost
connection the next one begins with the lines of the last `resend` seconds. Repeated points overwrite themselves. An
aggregator or relay that sums what it receives wants `resend = 0`, and may then miss what it was reading when it ended.

Over UDP nothing is confirmed: what nobody takes is lost, unless the other host says so (a closed port does, a machine
that is off does not). Then the last `resend` seconds are sent again once it takes datagrams.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

from handlers._graphite.connection import Connection
from handlers._graphite.datagrams import Datagrams
from handlers._graphite.delivery import CarbonHandler, LineOptions
from monitor.handler import Block
from monitor.wire.graphite import GraphiteEncoder


class GraphiteHandler(LineOptions, CarbonHandler):
    _encoder: GraphiteEncoder

    async def open(self) -> None:
        self._encoder = GraphiteEncoder(self.naming.path)
        await super().open()

    def encoded(self, block: Block) -> Iterator[tuple[bytes, Sequence[str]]]:
        for lines in self._encoder.encode(block):
            yield lines.text.encode(), lines.too_long

    def way(self, family: socket.AddressFamily) -> Connection | Datagrams:
        if self.proto.startswith("udp"):
            return Datagrams(self.host, self.port, family=family, size=self.udp_size, rate=float(self.udp_rate))
        return super().way(family)
