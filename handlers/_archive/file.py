"""A file that lines are added to: whole or not at all, on the disk when `append` returns, put aside when it is over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from handlers._archive.periods import SUFFIX, Periods

TAIL = 1 << 20
"""Bytes at the end of a file that are searched for the last whole line."""


class ArchiveFile:
    """All calls come from one thread at a time."""

    def __init__(self, path: Path, periods: Periods, keep: int, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._periods = periods
        self._keep = keep
        self._clock = clock
        self._file: int | None = None
        self._torn: int | None = None
        """Where what was appended last begins, as long as nobody has taken it for good."""
        self._period: datetime | None = None

    def open(self) -> None:
        """Open or make the file; half a line at its end, which a crash left, is cut off: it comes again."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        made = not self.path.exists()
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            if made:
                self._sync_directory()
            state = os.fstat(self._file)
            if (whole := self._whole(state.st_size)) < state.st_size:
                os.ftruncate(self._file, whole)
        except OSError:
            self.close()
            raise
        self._torn = None
        self._period = self._periods.start(state.st_mtime if whole else self._clock())

    def append(self, lines: bytes) -> None:
        """Add whole lines; what an earlier call added that nobody has taken for good is cut off first."""
        if self._file is None or not self._same():
            self.close()
            self.open()
        self.cut()
        if self._periods.start(self._clock()) != self._period:
            self._rotate()
        assert self._file is not None
        self._torn = os.fstat(self._file).st_size
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)

    def keep(self) -> None:
        """Take what was appended last for good."""
        self._torn = None

    def cut(self) -> None:
        """Cut off what was appended last and is not for good."""
        if self._file is not None and self._torn is not None:
            os.ftruncate(self._file, self._torn)
            self._torn = None

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _same(self) -> bool:
        """Whether the file is still the one at its path; others may have put it aside."""
        assert self._file is not None
        try:
            return os.path.samestat(os.fstat(self._file), self.path.stat())
        except FileNotFoundError:
            return False

    def _whole(self, size: int) -> int:
        assert self._file is not None
        tail = os.pread(self._file, min(size, TAIL), max(0, size - TAIL))
        return size - len(tail) + tail.rfind(b"\n") + 1

    def _rotate(self) -> None:
        """Put the file aside under the name of its period, never over another one, and drop the oldest."""
        assert self._period is not None and self._file is not None
        if os.fstat(self._file).st_size:
            self.path.rename(self._aside(self._periods.name(self._period)))
        self.close()
        self.open()
        self._period = self._periods.start(self._clock())
        self._sync_directory()
        if self._keep:
            for path in self._old()[: -self._keep]:
                path.unlink(missing_ok=True)

    def _aside(self, name: str) -> Path:
        number, path = 1, self.path.with_name(f"{self.path.name}.{name}")
        while path.exists():
            number += 1
            path = self.path.with_name(f"{self.path.name}.{name}.{number}")
        return path

    def _old(self) -> list[Path]:
        """Return the files that were put aside, the oldest first."""
        start = f"{self.path.name}."
        found = [
            path
            for path in self.path.parent.iterdir()
            if path.name.startswith(start) and SUFFIX.fullmatch(path.name[len(start) :])
        ]
        return sorted(found, key=lambda path: _order(path.name[len(start) :]))

    def _sync_directory(self) -> None:
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _order(suffix: str) -> tuple[str, int]:
    name, _, number = suffix.partition(".")
    return name, int(number or 1)
