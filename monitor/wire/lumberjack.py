"""Lumberjack, version 2: what Logstash's `beats` input takes on port 5044.

A window `2W` says how many events follow, each a `2J` with its number from 1; they may stand in one `2C`, compressed.
The other end answers `2A` with the number of the last event that it has taken, and with a lower one, or 0, while it is
busy. All numbers are 32 bits, big-endian.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

ACK = struct.Struct(">2sI")


def window(events: Sequence[bytes], level: int) -> bytes:
    """Return a window of events, each one a JSON object; `level` 0 is without compression."""
    frames = b"".join([b"2J%b%b" % (struct.pack(">II", i, len(event)), event) for i, event in enumerate(events, 1)])
    if level:
        packed = zlib.compress(frames, level)
        frames = b"2C%b%b" % (struct.pack(">I", len(packed)), packed)
    return b"2W%b%b" % (struct.pack(">I", len(events)), frames)


def acknowledged(frame: bytes, count: int) -> int:
    """Return the number of events that a frame of ACK's size says are taken; ValueError when it is none."""
    kind, number = ACK.unpack(frame)
    if kind != b"2A" or number > count:
        raise ValueError(f"expected an acknowledgement of at most {count} events, got {frame.hex()}")
    return int(number)
