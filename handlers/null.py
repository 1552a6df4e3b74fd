"""Nowhere: takes everything and keeps nothing, as Diamond's handler of this name. For trying out and measuring."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.handler import Block, Cursor, Handler, Refused


class NullHandler(Handler):
    async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
        return ()
