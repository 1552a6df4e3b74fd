"""Numbers that programs leave in files of a directory, a line `name value` each, as for Diamond's FilesCollector.

Between name and value stands a blank, `=` or `:`. A file that cannot be read is told as meta `not read`.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from monitor.collector import Bytes, CollectError, Collector, Gauge, Graph, Line, option

LINE = re.compile(r"([A-Za-z0-9._-]{1,200})[\s=:]\s*([+-]?[0-9]+(?:\.[0-9]*)?)\s*")


def parse(text: str) -> Iterator[tuple[str, float]]:
    """Yield the names and values of the lines that have both; other lines mean nothing."""
    for line in text.splitlines():
        found = LINE.fullmatch(line)
        if found is not None:
            yield found[1], float(found[2])


class FilesCollector(Collector):
    path = "textfiles"
    metric_path = ""
    local = True
    needs_enabling = True

    dir: Path = option(Path("/tmp/diamond"), "directory of the files")  # noqa: S108
    delete: bool = option(False, "remove a file after its numbers are read")
    max_files: int = option(1000, "refuse a directory of more files", min=1, max=100_000)
    max_values: int = option(10_000, "refuse more numbers", min=1, max=1_000_000)
    max_file: Bytes = option(Bytes(1 << 20), "leave out a file larger than this")

    value = Gauge("value", "as the file says", name="*")

    graphs = (Graph("value", "Numbers from files", Line(value, "value", "1f78b4"), unit=""),)

    async def collect(self) -> None:
        found, read, refused = await asyncio.to_thread(self._read)
        for key, value in found.items():
            self.publish(self.value.of(key), value)
        self.meta("not read", "; ".join(refused)[:500])
        if self.delete:
            for name in read:
                (self.dir / name).unlink(missing_ok=True)

    def _read(self) -> tuple[dict[str, float], list[str], list[str]]:
        """Return the numbers, the files that they are from, and those that could not be read, with the reason."""
        names = sorted(entry.name for entry in self.dir.iterdir())
        if len(names) > self.max_files:
            raise CollectError(f"expected at most {self.max_files} files in {self.dir}, got {len(names)}")
        found: dict[str, float] = {}
        read, refused = [], []
        for name in names:
            try:
                values = dict(parse(self._text(self.dir / name)))
            except (OSError, CollectError) as error:
                refused.append(f"{name}: {getattr(error, 'strerror', None) or error}")
                continue
            found.update(values)
            if values:
                read.append(name)
        if len(found) > self.max_values:
            raise CollectError(f"expected at most {self.max_values} numbers in {self.dir}, got {len(found)}")
        if not found:
            raise CollectError(f"expected lines 'name value' in {self.dir}, got none in {len(names)} files")
        return found, read, refused

    def _text(self, file: Path) -> str:
        """Return what a file holds; without waiting for anyone where it is a pipe."""
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as opened:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise CollectError("expected a regular file")
            data = opened.read(self.max_file + 1)
        if len(data) > self.max_file:
            raise CollectError(f"expected at most {self.max_file} bytes")
        return data.decode("utf-8", "replace")
