"""How the blocks of one commit group lie in the journal: columns side by side, names and sources as numbers.

A body is the header, then block after block: its header, the columns of 8-byte words, the source numbers, the tags and
the meta texts as JSON, filled up to 8 bytes. The numbers stand for entries of the segment's dictionary, whose pieces
lie beside the groups that first used them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence

import numpy as np

from monitor.batch import Block, Kind, Layout, Source

VERSION = 1
HEADER = struct.Struct("<HHI")
BLOCK = struct.Struct("<IIIIII")


class Dictionary:
    """The numbers that layouts and sources have got in a segment."""

    def __init__(self) -> None:
        self.sources: dict[Source, int] = {}
        self.layouts: dict[Layout, int] = {}
        self._kept = (0, 0)

    def number(self, source: Source) -> int:
        return self.sources.setdefault(source, len(self.sources))

    def piece(self) -> bytes | None:
        """Return the entries that are new since `keep`, for `Words.add`; None when there are none."""
        sources, layouts = list(self.sources)[self._kept[0] :], list(self.layouts)[self._kept[1] :]
        if not sources and not layouts:
            return None
        return json.dumps([*self._kept, sources, [(layout.names, layout.kinds) for layout in layouts]]).encode()

    def keep(self) -> None:
        """The pieces taken so far are written."""
        self._kept = (len(self.sources), len(self.layouts))

    def take_back(self) -> None:
        """The pieces taken since `keep` were not written."""
        for entries, kept in ((self.sources, self._kept[0]), (self.layouts, self._kept[1])):
            while len(entries) > kept:
                entries.popitem()


class Words:
    """What the numbers of a segment stand for, as read so far."""

    def __init__(self) -> None:
        self.sources: dict[int, Source] = {}
        self.layouts: dict[int, Layout] = {}

    def add(self, piece: bytes) -> None:
        first_source, first_layout, sources, layouts = json.loads(piece)
        for number, source in enumerate(sources, first_source):
            self.sources[number] = Source(*source)
        for number, (names, kinds) in enumerate(layouts, first_layout):
            self.layouts[number] = Layout(tuple(names), tuple(map(Kind, kinds)))


def encode(blocks: Sequence[Block], dictionary: Dictionary) -> bytes:
    """Return the body that holds the blocks; what it names for the first time goes into the dictionary."""
    parts: list[bytes | memoryview] = [HEADER.pack(VERSION, 0, len(blocks))]
    numbers = dictionary.sources
    for block in blocks:
        layout = dictionary.layouts.setdefault(block.layout, len(dictionary.layouts))
        try:
            sources = np.array([numbers[source] for source in block.sources], dtype="<u4")
        except KeyError:
            sources = np.array([dictionary.number(source) for source in block.sources], dtype="<u4")
        meta = json.dumps(list(block.meta.items())).encode() if block.meta else b""
        tags = np.ascontiguousarray(block.raw_tags, dtype=np.uint8).tobytes()
        parts.append(BLOCK.pack(layout, len(block), len(block.layout.names), block.raw.shape[1], len(meta), 0))
        columns = (block.times, block.since, block.intervals, block.rates)
        parts += (np.ascontiguousarray(column, dtype="<f8").tobytes() for column in columns)
        parts += (np.ascontiguousarray(block.raw, dtype="<u8").tobytes(), sources.tobytes(), tags, meta)
        parts.append(bytes(-(4 * len(sources) + len(tags) + len(meta)) % 8))
    return b"".join(parts)


def decode(body: bytes, words: Words) -> list[Block]:
    """Return the blocks of a body; ValueError when it is not one. Their arrays are views of it."""
    try:
        version, _, count = HEADER.unpack_from(body)
        if version != VERSION:
            raise ValueError(f"expected a group of version {VERSION}, got {version}")
        at = HEADER.size
        blocks = []
        for _ in range(count):
            block, at = _decode_block(body, at, words)
            blocks.append(block)
    except (struct.error, KeyError, TypeError) as error:
        raise ValueError(f"not a group: {error}") from error
    return blocks


def _decode_block(body: bytes, at: int, words: Words) -> tuple[Block, int]:
    layout, rows, names, counted, meta_size, _ = BLOCK.unpack_from(body, at)
    at += BLOCK.size
    arrays = []
    for dtype, size in (("<f8", rows), ("<f8", rows), ("<f8", rows), ("<f8", rows * names), ("<u8", rows * counted)):
        arrays.append(np.frombuffer(body, dtype, size, at))
        at += 8 * size
    numbers = np.frombuffer(body, "<u4", rows, at).tolist()
    tags = np.frombuffer(body, np.uint8, rows * counted, at + 4 * rows).reshape(rows, counted)
    begin = at
    at += 4 * rows + rows * counted
    meta = dict(json.loads(body[at : at + meta_size])) if meta_size else {}
    at += meta_size
    at += -(at - begin) % 8
    sources = words.sources
    times, since, intervals, rates, raw = arrays
    block = Block(
        words.layouts[layout], [sources[number] for number in numbers], times, since, intervals,
        rates.reshape(rows, names), raw.reshape(rows, counted), tags, meta,
    )  # fmt: skip
    return block, at


def pack(blocks: Iterable[Block]) -> tuple[bytes, bytes]:
    """Return (dictionary, body) of blocks that are kept by themselves."""
    dictionary = Dictionary()
    body = encode(list(blocks), dictionary)
    return dictionary.piece() or b"[0,0,[],[]]", body


def unpack(dictionary: bytes, body: bytes) -> list[Block]:
    """Return the blocks that `pack` was given."""
    words = Words()
    words.add(dictionary)
    return decode(body, words)
