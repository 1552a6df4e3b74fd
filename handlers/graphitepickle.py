"""Graphite: carbon's pickle protocol over TCP or TLS, many points in a frame.

    [server]
    handlers = GraphitePickleHandler
    [handlers]
    [[GraphitePickleHandler]]
    host = graphite.example.com
    port = 2004

carbon answers nothing here either: what counts as delivered, and what is sent again after a lost connection, is as with
GraphiteHandler. carbon reads it in less time than lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handlers._graphite.delivery import CarbonHandler, PickleOptions
from monitor.handler import Block
from monitor.wire.graphite_pickle import PickleEncoder


class GraphitePickleHandler(PickleOptions, CarbonHandler):
    _encoder: PickleEncoder

    async def open(self) -> None:
        self._encoder = PickleEncoder(self.naming.path)
        await super().open()

    def encoded(self, block: Block) -> Iterator[tuple[bytes, Sequence[str]]]:
        yield from self._encoder.frames(block)
