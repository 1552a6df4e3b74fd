"""What rrdtool makes of time expressions: its own library in a process of its own, whose clock stands where told.

Run as a program it answers lines of JSON, `[now, zone, start, end]`, with `[start, end]` in epoch seconds or the text
of the error. The clock is faketime's, read from the environment at each look.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from debian import need

Times = tuple[int, int]
LIBRARY = "librrd.so.8"
STRUCT = 256
"""Bytes for a rrd_time_value_t: more than it has."""


class RrdTimes:
    """Asks the real rrdtool."""

    def __init__(self) -> None:
        need("rrdtool")
        self._process = subprocess.Popen(
            [need("faketime"), "-f", "1773844645", sys.executable, str(Path(__file__))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "FAKETIME_FMT": "%s", "FAKETIME_NO_CACHE": "1", "LC_ALL": "C"},
        )  # fmt: skip

    def __enter__(self) -> RrdTimes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate(timeout=10)

    def ask(self, start: str, end: str, *, now: int, tz: str) -> Times | str:
        """Return both times, or the text of the error."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([now, tz, start, end]), file=self._process.stdin, flush=True)
        found = json.loads(self._process.stdout.readline())
        return found if isinstance(found, str) else (found[0], found[1])


def serve() -> None:
    library = ctypes.CDLL(LIBRARY)
    library.rrd_parsetime.restype = library.rrd_get_error.restype = ctypes.c_char_p
    library.rrd_parsetime.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    for line in sys.stdin:
        now, zone, *texts = json.loads(line)
        os.environ.update(TZ=zone, FAKETIME=str(now))
        time.tzset()
        assert time.time() == now
        print(json.dumps(resolved(library, texts)), flush=True)


def resolved(library: ctypes.CDLL, texts: list[str]) -> list[int] | str:
    both = [ctypes.create_string_buffer(STRUCT) for _ in texts]
    for name, text, one in zip(("start", "end"), texts, both, strict=True):
        if error := library.rrd_parsetime(text.encode(), one):
            return f"{name} time: {error.decode(errors='replace')}"
    times = [ctypes.c_long() for _ in both]
    if library.rrd_proc_start_end(*both, *map(ctypes.byref, times)):
        return str(library.rrd_get_error().decode(errors="replace"))
    return [at.value for at in times]


if __name__ == "__main__":
    serve()
