"""PNG files from pixels: a palette when few colours occur, the fastest deflate there is."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Deflate(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


try:
    from isal import isal_zlib
except ImportError:  # no wheel for this machine: the standard library compresses as well, only slower
    _deflate: Callable[[int], Deflate] = zlib.compressobj
else:
    _deflate = isal_zlib.compressobj

LEVEL = 1
PALETTE, RGB = 3, 2
MOST = 256
FLAT = 6  # pixels: so long a run is a surface
KEYS = 1 << 15  # colours by the upper five bits of their parts
COARSE = 0b11110_11110_11110
UNUSED = 0xFFFFFFFF
BAND = 1 << 18  # pixels of a band
Ints = NDArray[np.integer[Any]]


class Runs(NamedTuple):
    """Runs of equal pixels: the key of each one's colour, its length; and keys and colours of those of surfaces."""

    keys: Ints
    lengths: Ints
    surfaces: Ints
    colours: Ints


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """Return the PNG of an RGBA array (height, width, 4); opacity is ignored.

    The colours of edges, where lines and letters blend with what is below, are merged until at most 256 remain: they
    change by up to 7 of 255, or 15 where there are very many. Surfaces keep their exact colours. A large picture is
    taken in bands, so that other threads get their turn.
    """
    height, width = pixels.shape[:2]
    each = max(1, BAND // width)
    bands = [pixels[i : i + each] for i in range(0, height, each)]
    colours = np.full(KEYS, UNUSED, dtype=np.uint32)
    runs = [_runs(band, colours) for band in bands]
    for one in runs:
        colours[one.surfaces] = one.colours
    surfaces = np.concatenate([one.surfaces for one in runs])
    used = np.flatnonzero(colours != UNUSED)
    groups = _groups(used, surfaces)
    deflate = _deflate(LEVEL)
    if groups is None:
        parts = [deflate.compress(_true(band)) for band in bands]
        return _file(width, height, RGB, b"".join((*parts, deflate.flush())))
    count = int(groups.max()) + 1
    table = np.zeros(count, dtype="<u4")
    table[groups] = colours[used]
    index = np.zeros(KEYS, dtype=np.uint8)
    index[used] = groups
    parts = [deflate.compress(_indexed(index[one.keys], one.lengths, width)) for one in runs]
    palette = table.view(np.uint8).reshape(-1, 4)[:, :3]
    return _file(width, height, PALETTE, b"".join((*parts, deflate.flush())), _chunk(b"PLTE", palette.tobytes()))


def _runs(band: NDArray[np.uint8], colours: NDArray[np.uint32]) -> Runs:
    """Return the runs of equal pixels of a band, and note the colours that occur."""
    words = np.ascontiguousarray(band).view("<u4").reshape(-1)
    starts = np.flatnonzero(words[1:] != words[:-1])
    starts += 1
    starts = np.concatenate(([0], starts))
    lengths = np.diff(starts, append=len(words))
    runs = words[starts] & 0xFFFFFF
    keys = ((runs >> 3) & 0x1F) | ((runs >> 6) & 0x3E0) | ((runs >> 9) & 0x7C00)
    colours[keys] = runs
    flat = lengths >= FLAT
    return Runs(keys, lengths, keys[flat], runs[flat])


def _indexed(entries: NDArray[np.uint8], lengths: Ints, width: int) -> bytes:
    found = np.repeat(entries, lengths).reshape(-1, width)
    rows = np.zeros((len(found), 1 + width), dtype=np.uint8)
    rows[:, 1:] = found
    return rows.tobytes()


def _true(band: NDArray[np.uint8]) -> bytes:
    height, width = band.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)
    rows[:, 1:] = band[:, :, :3].reshape(height, -1)
    return rows.tobytes()


def _groups(used: Ints, surfaces: Ints) -> NDArray[np.intp] | None:
    """Return which entry of the palette each used key gets; None if there is no room for all."""
    if len(used) <= MOST:
        return np.arange(len(used))
    own = np.zeros(KEYS, dtype=bool)
    own[surfaces] = True
    # those of no surface share an entry when they differ in the last bit of a part only
    coarse = np.where(own[used], used + KEYS, used & COARSE)
    different, groups = np.unique(coarse, return_inverse=True)
    return groups if len(different) <= MOST else None


def _file(width: int, height: int, kind: int, content: bytes, palette: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    parts = _chunk(b"IHDR", header) + palette + _chunk(b"IDAT", content) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
