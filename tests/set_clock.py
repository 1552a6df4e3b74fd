"""A clock that a test sets, for a process of its own: `time.time` there is the real one plus seconds in a file."""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

MODULE = """
import mmap, os, struct, time

with open(os.environ["SET_CLOCK"], "rb") as file:
    offset = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
real = time.time
time.time = lambda: real() + struct.unpack("d", offset[:8])[0]
"""


class SetClock:
    """`env` is for the process, which reads the clock here from then on."""

    def __init__(self, directory: Path, now: float) -> None:
        directory.mkdir(parents=True)
        (directory / "sitecustomize.py").write_text(MODULE)
        file = directory / "offset"
        file.write_bytes(bytes(8))
        paths = (str(directory), os.environ.get("PYTHONPATH", ""))
        self.env = {"SET_CLOCK": str(file), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        with file.open("r+b") as opened:
            self._offset = mmap.mmap(opened.fileno(), 8)
        self.set(now)

    def now(self) -> float:
        (offset,) = struct.unpack("d", self._offset[:8])
        return time.time() + float(offset)

    def set(self, now: float) -> None:
        self._offset[:8] = struct.pack("d", now - time.time())
