"""Blocks of ClickHouse's compression: whole ones are read, damaged ones refused, none trusted about its size."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.framing import BLOCK, HEADER, SUM, Method, framed, unframed, unframing
from monitor.wire.clickhouse.framing import _sum as sum_of

DATA = b"INSERT INTO t FORMAT TabSeparated\n" + bytes(range(256)) * 9000
METHODS: tuple[Method, ...] = ("lz4", "zstd", "none")


def code(body: bytes, limit: int = 1 << 24) -> int:
    with pytest.raises(ClickHouseError) as caught:
        unframed(body, limit=limit)
    return caught.value.code


def resealed(block: bytes) -> bytes:
    return SUM.pack(*sum_of(block)) + block


@pytest.mark.parametrize("method", METHODS)
def test_data_comes_back_from_its_blocks(method: Method) -> None:
    body = framed(DATA, method)
    assert unframed(body, limit=len(DATA)) == DATA
    assert len(list(unframing(body, limit=len(DATA)))) == -(-len(DATA) // BLOCK)


def test_nothing_is_no_block() -> None:
    assert framed(b"") == b""
    assert unframed(b"", limit=0) == b""


@pytest.mark.parametrize("method", METHODS)
def test_every_byte_that_changes_is_noticed(method: Method) -> None:
    body = framed(DATA[:500], method)
    for at in range(len(body)):
        assert code(body[:at] + bytes([body[at] ^ 0x41]) + body[at + 1 :]) in (33, 40, 271, 307)


@pytest.mark.parametrize("method", METHODS)
def test_a_block_that_ends_too_early_is_refused(method: Method) -> None:
    body = framed(DATA[:500], method)
    assert {code(body[:end]) for end in range(1, len(body))} == {33}


def test_more_data_than_allowed_is_refused_before_it_is_unpacked() -> None:
    body = framed(bytes(3 << 20))
    assert len(body) < 20_000
    assert code(body, limit=2 << 20) == 307


def test_a_wrong_size_in_a_block_with_a_right_sum_is_refused() -> None:
    packed = framed(b"x" * 1000)[SUM.size :]
    method, size, _ = HEADER.unpack_from(packed)
    for length in (0, 999, 1001, 1 << 20, 0xFFFF_FFFF):
        assert code(resealed(HEADER.pack(method, size, length) + packed[HEADER.size :])) in (271, 307)


def test_an_unknown_method_is_refused() -> None:
    assert code(resealed(HEADER.pack(0x91, HEADER.size + 1, 1) + b"x")) == 89


def test_a_block_of_less_than_its_header_is_refused() -> None:
    assert code(bytes(16) + struct.pack("<BII", 0x82, 3, 0)) == 33


@given(st.binary(max_size=200))
def test_bytes_that_are_no_blocks_are_refused(body: bytes) -> None:
    if body:
        assert code(body) in (33, 40, 89, 271, 307)


def test_what_other_clients_packed_is_read() -> None:
    captures = json.loads((Path(__file__).parent / "cases" / "clickhouse" / "blocks.json").read_text())
    assert captures
    for one in captures:
        data = unframed(base64.b64decode(one["body"]), limit=1 << 20)
        assert zlib.crc32(data) == one["crc32"]
        assert one["begins"].encode() in data
