"""Blocks of ClickHouse's own compression, as `compress=1` and `decompress=1` ask for them.

    16 bytes  CityHash128 (1.0.2) of the rest of the block
     1 byte   method: 0x82 LZ4, 0x90 ZSTD, 0x02 none
     4 bytes  bytes of the block from the method on
     4 bytes  bytes of the data
              the data, compressed

The `lz4` of Content-Encoding is another thing: frames of LZ4.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Literal

import lz4.block
import zstandard
from clickhouse_cityhash.cityhash import CityHash128

from monitor.wire.clickhouse.cells import refusal

Method = Literal["lz4", "zstd", "none"]

LZ4, ZSTD, NONE = 0x82, 0x90, 0x02
CODES: dict[Method, int] = {"lz4": LZ4, "zstd": ZSTD, "none": NONE}
SUM = struct.Struct("<QQ")
HEADER = struct.Struct("<BII")
SMALLEST = SUM.size + HEADER.size
BLOCK = 1 << 20
"""Bytes of data in a block that is written."""
LARGEST = 64 << 20
"""Bytes of data in a block that is read."""


def unframed(body: bytes, *, limit: int) -> bytes:
    """Return the data of the blocks, at most `limit` bytes; ClickHouseError where a block is damaged."""
    work = unframing(body, limit=limit)
    while True:
        try:
            next(work)
        except StopIteration as done:
            data: bytes = done.value
            return data


def unframing(body: bytes, *, limit: int) -> Generator[None, None, bytes]:
    """Do as `unframed` does, block by block; the data is the generator's return value."""
    found = []
    at = total = 0
    while at < len(body):
        if len(body) - at < SMALLEST:
            raise refusal(33, f"Cannot read all data: {len(body) - at} bytes where a compressed block begins")
        method, size, length = HEADER.unpack_from(body, at + SUM.size)
        begin = at + SUM.size
        if size < HEADER.size or begin + size > len(body):
            raise refusal(33, f"Cannot read all data: a compressed block of {size} bytes, got {len(body) - begin}")
        if length > LARGEST:
            raise refusal(271, f"Cannot decompress: expected blocks of at most {LARGEST} bytes, got {length}")
        total += length
        if total > limit:
            raise refusal(307, f"Limit for bytes to read exceeded: expected at most {limit} bytes, got {total}")
        block = body[begin : begin + size]
        if SUM.unpack_from(body, at) != _sum(block):
            raise refusal(40, "Checksum doesn't match: corrupted data in a compressed block")
        found.append(_data(method, block[HEADER.size :], length))
        at = begin + size
        yield
    return found[0] if len(found) == 1 else b"".join(found)


def _sum(block: bytes) -> tuple[int, int]:
    whole = CityHash128(block)
    return whole >> 64, whole & 0xFFFF_FFFF_FFFF_FFFF


def _data(method: int, packed: bytes, length: int) -> bytes:
    try:
        if method == LZ4:
            data: bytes = lz4.block.decompress(packed, uncompressed_size=length)
        elif method == ZSTD:
            with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
                data = stream.read(length + 1)
        elif method == NONE:
            data = packed
        else:
            raise refusal(89, f"Unknown codec family code: {method}")
    except (lz4.block.LZ4BlockError, zstandard.ZstdError) as error:
        raise refusal(271, f"Cannot decompress: {error}") from None
    if len(data) != length:
        raise refusal(271, f"Cannot decompress: expected {length} bytes, got {len(data)}")
    return data


def framed(data: bytes, method: Method = "lz4") -> bytes:
    """Return the data as blocks; nothing for no data."""
    blocks = []
    for at in range(0, len(data), BLOCK):
        piece = data[at : at + BLOCK]
        if method == "lz4":
            packed = lz4.block.compress(piece, store_size=False)
        elif method == "zstd":
            packed = zstandard.ZstdCompressor(level=1).compress(piece)
        else:
            packed = piece
        block = HEADER.pack(CODES[method], len(packed) + HEADER.size, len(piece)) + packed
        blocks += [SUM.pack(*_sum(block)), block]
    return b"".join(blocks)
