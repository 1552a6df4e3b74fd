"""RRD files in Kurado's layout, so that scripts which read those go on: ADDRESS/PLUGIN/KEY.rrd, a series in each.

    [server]
    handlers = RrdHandler
    [handlers]
    [[RrdHandler]]
    daemon = unix:/var/run/rrdcached.sock      # rrdcached -b DIRECTORY -B -R, better with -j DIRECTORY

Without `daemon` the program rrdtool writes the files below `basedir`. Counters go as they stand, RRDtool makes the
rates. What lies before a file's last value RRDtool cannot take: a repeat is dropped, anything else is refused. A file
takes some 190 kB.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from handlers._rrd.files import ARCHIVE, ARCHIVES, LONGEST_LINE, Shape, directory, file
from handlers._rrd.links import Daemon, Link, Tool
from monitor.handler import Block, Cursor, DeliveryError, Handler, Kind, Layout, Refused, Seconds, Source, option

LATER = (
    "No space left", "Permission denied", "Read-only file system", "Too many open files", "Disk quota",
    "No such file", "No permission", "Not a directory", "Input/output error", "Cannot allocate", "Unknown command",
)  # fmt: skip
"""Failures that are not about the value."""
REPEATED = "minimum one second step"
CONFIGURATION = 60.0
REMEMBERED = 1_000_000
"""Files that are remembered as there."""
LAYOUTS = 10_000
TOGETHER = 500
"""Values that are written together, before others get their turn."""


class Update(NamedTuple):
    """A value for a file; `start` is when the file begins that has yet to be made."""

    time: int
    name: str
    text: str
    kind: str
    start: int
    real: bool


class RrdHandler(Handler):
    aliases = ("RRDHandler",)

    batch: int = option(20_000, "write at most about this many values at once", min=1, max=200_000)
    timeout: Seconds = option(Seconds(120), "give up a write after this long, and try again", min=0.1, max=600)
    daemon: str = option("", "rrdcached's address, unix:/PATH or HOST:PORT; empty: rrdtool writes the files")
    basedir: Path = option(Path("/var/lib/monitor/rrd"), "where rrdtool writes; rrdcached has a directory of its own")
    rrdtool: str = option("rrdtool", "the program, where there is no daemon")
    step: int = option(60, "seconds of a PDP of new files", min=1, max=86400)
    archives: list[str] = option(list(ARCHIVES), "archives of new files, as PDPs a row : rows")
    derive_min: Literal["U", "0"] = option(
        "U", "minimum of what is derived in new files; with 0 a counter that begins anew is unknown there"
    )

    _link: Link | None = None

    async def open(self) -> None:
        if not self.archives or not all(map(ARCHIVE.fullmatch, self.archives)):
            raise DeliveryError("archives: expected some of PDPS:ROWS, such as 5:2880", CONFIGURATION)
        self._shape = Shape(self.step, self.archives, self.derive_min)
        self._files: dict[str, str] = {}
        self._done: set[object] = set()
        self._refused: list[Refused] = []
        self._names: dict[Layout, list[str | None]] = {}
        self._directories: dict[Source, str | None] = {}
        link = Daemon(self.daemon) if self.daemon else Tool(self.rrdtool, self.basedir.absolute())
        self._link = link
        await link.open()

    async def close(self) -> None:
        if self._link is not None:
            await self._link.close()

    async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
        """Write row by row in the order of time; those that were written before an earlier try failed are left out."""
        # Rows of one layout came together, but each file wants its own by time.
        rows = sorted(
            ((time, number, at) for number, block in enumerate(blocks) for at, time in enumerate(block.times.tolist())),
        )
        updates: list[Update] = []
        keys: list[object] = []
        refused: list[Refused] = []
        try:
            for time, number, at in rows:
                key = (blocks[number].sources[at], time, blocks[number].layout)
                if key in self._done:
                    continue
                updates += self._updates(blocks[number], at, refused)
                keys.append(key)
                if len(updates) >= TOGETHER:
                    await self._write(updates, refused)
                    self._settle(keys, refused)
                    await asyncio.sleep(0)
                    updates, keys, refused = [], [], []
            await self._write(updates, refused)
        except BaseException:
            assert self._link is not None
            self._link.abort()
            raise
        found, self._refused = [*self._refused, *refused], []
        self._done.clear()
        return found

    def _settle(self, keys: Sequence[object], refused: Sequence[Refused]) -> None:
        self._done.update(keys)
        self._refused += refused

    def _updates(self, block: Block, at: int, refused: list[Refused]) -> Iterator[Update]:
        source, time, span = block.sources[at], int(block.times[at]), float(block.times[at] - block.since[at])
        where = self._directory(source)
        exact = dict(zip(block.layout.counted.tolist(), block.exact(at), strict=True))
        span = span if math.isfinite(span) else 0.0
        start = time - max(1, min(int(span), 2 * self.step))
        layout, rates = block.layout, block.rates[at].tolist()
        for column, (last, kind, rate) in enumerate(zip(self._last(layout), layout.kinds, rates, strict=True)):
            value = exact.get(column, whole(rate * span) if kind is Kind.ABSOLUTE else rate)
            if where is None or last is None or len(where) + len(last) > LONGEST_LINE // 2:
                why = "the name is too long for a file"
            elif kind is Kind.COUNTER and value < 0:
                why = "a counter cannot be below 0"
            else:
                real = isinstance(value, float)
                text = str(value) if not real else repr(value).removesuffix(".0") if math.isfinite(value) else "U"
                word = f"D{kind.upper()}" if column in exact and real else kind.upper()
                yield Update(time, f"{where}/{last}", text, word, start, word.startswith("DD") or word == "DCOUNTER")
                continue
            refused.append(Refused(f"{':'.join(source)}:{layout.names[column]}"[:200], why))

    def _directory(self, source: Source) -> str | None:
        if source not in self._directories:
            if len(self._directories) > REMEMBERED:
                self._directories.clear()
            self._directories[source] = directory(source)
        return self._directories[source]

    def _last(self, layout: Layout) -> list[str | None]:
        if layout not in self._names:
            if len(self._names) > LAYOUTS:
                self._names.clear()
            self._names[layout] = [file(name, kind) for name, kind in zip(layout.names, layout.kinds, strict=True)]
        return self._names[layout]

    async def _write(self, updates: Sequence[Update], refused: list[Refused]) -> None:
        """Make the files that are missing, then update; what is refused is added to the list."""
        assert self._link is not None
        await self._create(updates)
        some: list[Update] = []
        for one in updates:
            if one.name not in self._files:
                continue
            if one.real and one.text != "U" and not await self._takes_reals(one.name):
                refused.append(Refused(one.name, "the file takes whole numbers only"))
            else:
                some.append(one)
        failures = await self._link.run([f"update {one.name} {one.time}:{one.text}" for one in some])
        later: list[str] = []
        for one, failure in zip(some, failures, strict=True):
            if not failure or (REPEATED in failure and f"last update time is {one.time}" in failure):
                continue
            if any(word in failure for word in LATER):
                self._files.pop(one.name, None)
                later.append(failure)
            else:
                refused.append(Refused(one.name, failure[:200]))
        if later:
            raise DeliveryError(f"{len(later)} of {len(some)} values cannot be written: {later[0]}")

    async def _create(self, updates: Sequence[Update]) -> None:
        """Make the files that are missing; one is made by its first value that is known."""
        assert self._link is not None
        if len(self._files) > REMEMBERED:
            self._files.clear()
        new: dict[str, Update] = {}
        for one in updates:
            if one.text != "U" and one.name not in self._files:
                new.setdefault(one.name, one)
        if not new:
            return
        await self._link.make(list(dict.fromkeys(name.rpartition("/")[0] for name in new)))
        failures = await self._link.run(
            [self._link.create(one.name, one.start, self.step, self._shape.words(one.kind)) for one in new.values()]
        )
        later: list[str] = []
        for one, failure in zip(new.values(), failures, strict=True):
            if not failure:
                self._files[one.name] = one.kind
            elif "File exists" in failure or not any(word in failure for word in LATER):
                # Whatever is wrong with it, the update says it.
                self._files[one.name] = ""
            else:
                later.append(failure)
        if later:
            raise DeliveryError(f"{len(later)} of {len(new)} files cannot be made: {later[0]}")

    async def _takes_reals(self, name: str) -> bool:
        assert self._link is not None
        if not self._files[name]:
            self._files[name] = (await self._link.info(name)).get("type", "unknown")
        return self._files[name] not in ("DERIVE", "COUNTER")


def whole(value: float) -> float:
    """Return the whole number that only a division and a multiplication have kept from being whole."""
    return round(value) if math.isfinite(value) and abs(value - round(value)) <= 1e-6 else value
