"""A file of lines, `path value time` as Graphite takes them, that is put aside at midnight and kept for some days.

    [server]
    handlers = ArchiveHandler
    [handlers]
    [[ArchiveHandler]]
    log_file = /var/log/monitor/archive.log
    days = 7

What is over lies beside it as archive.log.2026-11-21. A write is delivered when it is on the disk; one that fails, of
which the disk has room for a part only, leaves no line of itself. After a crash the last lines may stand there twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

from handlers._archive.file import ArchiveFile
from handlers._archive.periods import Periods
from monitor.handler import Block, Cursor, DeliveryError, Handler, Refused, Seconds, option
from monitor.wire.graphite import GraphiteEncoder

CONFIGURATION = 60.0
LONGEST_PATH = 60_000


class ArchiveHandler(Handler):
    batch: int = option(50_000, "write at most about this many values at once", min=1, max=1_000_000)
    timeout: Seconds = option(Seconds(60), "give up a write after this long, and try again", min=0.1, max=600)
    log_file: Path = option(help="file that lines are added to")
    when: Literal["midnight", "S", "M", "H", "D", "W0", "W1", "W2", "W3", "W4", "W5", "W6"] = option(
        "midnight", "when the file is put aside: at midnight (D too), each second, minute or hour, or after a weekday"
    )
    rollover_interval: int = option(1, "put it aside each so many seconds, minutes, hours, days or weeks", min=1)
    days: int = option(7, "files to keep that were put aside; 0 keeps all", min=0, max=100_000)
    encoding: str = option("utf-8", "encoding of the file; what it has no character for is written as \\xNN")

    _file: ArchiveFile | None = None
    _thread: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        try:
            plain = "\n".encode(self.encoding) == b"\n"
        except LookupError:
            plain = False
        if not plain:
            text = f"expected an encoding such as utf-8 or ascii, got {self.encoding[:80]!r}"
            raise DeliveryError(f"encoding: {text}", CONFIGURATION)
        self._encoder = GraphiteEncoder(self.naming.path, max_path=LONGEST_PATH)
        self._file = ArchiveFile(self.log_file.absolute(), Periods(self.when, self.rollover_interval), self.days)
        # One thread: a write that was given up has ended before the next begins.
        self._thread = self._thread or ThreadPoolExecutor(1, "archive")
        await self._in_thread(self._file.open)

    async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
        assert self._file is not None, "open comes before write"
        refused: list[Refused] = []
        pieces: list[bytes] = []
        for block in blocks:
            for lines in self._encoder.encode(block):
                refused += (Refused(path[:200], "the path is too long for a line") for path in lines.too_long)
                pieces.append(lines.text.encode(self.encoding, "backslashreplace"))
                await asyncio.sleep(0)
        if body := b"".join(pieces):
            await self._in_thread(partial(self._file.append, body))
            self._file.keep()
        return refused

    async def close(self) -> None:
        if self._thread is not None and self._file is not None:
            await self._in_thread(self._file.cut)
            await self._in_thread(self._file.close)
            self._thread.shutdown(wait=False)
            self._thread = None

    async def _in_thread(self, work: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except OSError as error:
            raise DeliveryError(f"cannot write {self.log_file}: {error.strerror or error}") from error
