"""PNG files from pixels: a palette when few colours occur, the fastest deflate there is."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

try:
    from isal import isal_zlib
except ImportError:  # no wheel for this machine: the standard library compresses as well, only slower
    _deflate: Callable[[bytes, int], bytes] = zlib.compress
else:
    _deflate = isal_zlib.compress

LEVEL = 1
PALETTE, RGB = 3, 2
FLAT = 6  # pixels: so long a run is a surface, whose colour is kept exactly


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """Return the PNG of an RGBA array (height, width, 4); opacity is ignored.

    Colours that share their upper five bits become one when that gives at most 256 of them: the edges of lines and
    letters may change by up to 7 of 255, surfaces do not.
    """
    height, width = pixels.shape[:2]
    words = np.ascontiguousarray(pixels).view("<u4").reshape(-1)
    starts = np.flatnonzero(words[1:] != words[:-1])
    starts += 1
    starts = np.concatenate(([0], starts))
    lengths = np.diff(starts, append=len(words))
    runs = words[starts]
    keys = ((runs >> 3) & 0x1F) | ((runs >> 6) & 0x3E0) | ((runs >> 9) & 0x7C00)
    colours = np.full(1 << 15, 0xFFFFFFFF, dtype=np.uint32)
    colours[keys] = runs & 0xFFFFFF
    surfaces = lengths >= FLAT
    colours[keys[surfaces]] = runs[surfaces] & 0xFFFFFF
    used = np.flatnonzero(colours != 0xFFFFFFFF)
    if len(used) > 256:
        rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)
        rows[:, 1:] = pixels[:, :, :3].reshape(height, -1)
        return _file(width, height, RGB, rows)
    index = np.zeros(1 << 15, dtype=np.uint8)
    index[used] = np.arange(len(used))
    rows = np.zeros((height, 1 + width), dtype=np.uint8)
    rows[:, 1:] = np.repeat(index[keys], lengths).reshape(height, width)
    table = colours[used].astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3]
    return _file(width, height, PALETTE, rows, _chunk(b"PLTE", table.tobytes()))


def _file(width: int, height: int, kind: int, rows: NDArray[np.uint8], palette: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    parts = _chunk(b"IHDR", header) + palette + _chunk(b"IDAT", _deflate(rows.tobytes(), LEVEL)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
