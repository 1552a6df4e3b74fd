"""Packed columns give back every bit, whatever it is, and bytes that are none are refused."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.batch import Floats
from monitor.store.column import number
from monitor.store.packing import Packed, pack, pack_times, refers, unpack, unpack_times

NOT_REPORTED = 0x7FF8_0000_0000_DEAD
SPECIAL = [
    0, 1 << 63, 1, (1 << 63) + 1, 0x7FF0 << 48, 0xFFF0 << 48, 0x7FF8 << 48, 0xFFF8 << 48, NOT_REPORTED,
    0x7FF0_0000_0000_0001, (1 << 64) - 1, 0x7FEF_FFFF_FFFF_FFFF, 0x000F_FFFF_FFFF_FFFF, 0x3FF0 << 48, 0x404E << 48,
]  # fmt: skip
WORDS = st.integers(0, (1 << 64) - 1) | st.sampled_from(SPECIAL)
INTEGERS = st.integers(-(1 << 63), (1 << 63) - 1)


def floats(words: list[int]) -> Floats:
    return np.array(words, dtype=np.uint64).view(np.float64)


def column(packed: Packed, place: int) -> bytes:
    data = packed.data[packed.offsets[place] : packed.offsets[place + 1]]
    other = refers(data)
    return data if other is None else column(packed, other)


def there_and_back(values: Floats, seconds: Floats | None = None) -> int:
    packed = pack([values], seconds=seconds)
    again = unpack(packed.data, seconds=seconds)
    assert again.dtype == np.float64
    assert again.tobytes() == values.tobytes()
    return len(packed.data)


@given(st.lists(WORDS, max_size=60))
def test_every_bit_pattern_comes_back(words: list[int]) -> None:
    there_and_back(floats(words))


@given(st.lists(st.tuples(WORDS, WORDS), max_size=60))
def test_every_bit_pattern_comes_back_whatever_the_seconds_are(rows: list[tuple[int, int]]) -> None:
    there_and_back(floats([value for value, _ in rows]), floats([second for _, second in rows]))


@given(
    st.lists(st.sampled_from(SPECIAL[:9]) | st.floats(-1e6, 1e6).map(lambda x: int(np.float64(x).view(np.uint64)))),
    st.integers(0, 99),
)
def test_few_values_that_come_often_come_back(words: list[int], repeat: int) -> None:
    there_and_back(floats(words * repeat))


@given(
    st.lists(st.tuples(st.integers(-(1 << 53), 1 << 53) | st.integers(-99, 99), st.integers(1, 10**9)), max_size=99),
    st.integers(0, 9),
    st.lists(st.tuples(st.integers(0, 98), WORDS), max_size=12),
)
def test_counts_over_seconds_come_back_with_any_exceptions(
    rows: list[tuple[int, int]], power: int, odd: list[tuple[int, int]]
) -> None:
    seconds = np.array([second for _, second in rows]) / 1e6
    values = np.array([count for count, _ in rows], dtype=np.float64) / 10.0**power / seconds
    for place, word in odd:
        if place < len(values):
            values.view(np.uint64)[place] = word
    there_and_back(values, seconds)
    there_and_back(values)


def test_rows_without_any_number_come_back() -> None:
    seconds = np.ones(3)
    for words in ([SPECIAL[6], NOT_REPORTED, SPECIAL[7]], [NOT_REPORTED, SPECIAL[6], SPECIAL[6]]):
        there_and_back(floats(words), seconds)
        there_and_back(floats(words))


@given(st.lists(INTEGERS, max_size=60))
def test_every_integer_comes_back(values: list[int]) -> None:
    times = np.array(values, dtype=np.int64)
    assert unpack_times(pack_times(times)).tolist() == values


@given(st.lists(INTEGERS, max_size=20), st.integers(-(1 << 62), 1 << 62), st.integers(0, 400))
def test_lines_with_jumps_come_back(jumps: list[int], step: int, length: int) -> None:
    with np.errstate(over="ignore"):
        times = np.arange(length, dtype=np.int64) * np.int64(step)
        for place, jump in enumerate(jumps):
            times[place * 20 :] += np.int64(jump)
    assert unpack_times(pack_times(times)).tolist() == times.tolist()


@given(st.binary(max_size=200))
def test_any_bytes_give_values_or_a_value_error(data: bytes) -> None:
    for read in (unpack, unpack_times, refers):
        try:
            read(data)
        except ValueError:
            continue


def samples() -> list[bytes]:
    rng = np.random.default_rng(3)
    seconds = 60 + rng.integers(-999, 999, 300) / 1e6
    odd = np.where(rng.random(300) < 0.05, np.pi, rng.integers(0, 9999, 300) / seconds)
    odd[5:9] = np.nan
    several = [rng.random(300), odd, rng.integers(0, 10**9, 300).astype(float), np.full(300, 7.0), odd]
    packed = pack(several, seconds=seconds)
    columns = [packed.data[a:b] for a, b in zip(packed.offsets, packed.offsets[1:], strict=False)]
    return [*columns, pack_times(np.cumsum(rng.integers(0, 10**8, 300)))]


@pytest.mark.parametrize("data", samples())
def test_damaged_bytes_give_as_many_values_or_a_value_error(data: bytes) -> None:
    rng = np.random.default_rng(1)
    seconds = np.ones(300)
    refused = 0
    for turn in range(2000):
        damaged = bytearray(data[: rng.integers(0, len(data))] if turn % 4 == 0 else data)
        for _ in range(rng.integers(0 if turn % 4 == 0 else 1, 4)):
            if damaged:
                damaged[rng.integers(0, min(len(damaged), 40 if turn % 2 else 1 << 20))] = rng.integers(0, 256)
        try:
            refers(bytes(damaged))
            (unpack_times if data[0] & 7 == 5 else lambda one: unpack(one, seconds=seconds))(bytes(damaged))
        except ValueError:
            refused += 1
    assert refused > 0


def test_a_header_cannot_ask_for_much_memory() -> None:
    tracemalloc.start()
    for mode in range(256):
        for rows in (1 << 17, 1 << 21, 1 << 40, (1 << 64) - 1):
            for tail in (b"", number(9) + number(0) * 5 + b"\xed\xc1\x01"):
                for read in (unpack, unpack_times):
                    try:
                        read(bytes([mode]) + number(rows) + tail)
                    except ValueError:
                        continue
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8 << 20


def test_tokens_that_would_expand_without_end_are_refused() -> None:
    bomb = pack_times(np.concatenate((np.arange(1 << 16), np.arange(1 << 16))))
    rows = number(1 << 17)
    assert bomb[1 : 1 + len(rows)] == rows
    with pytest.raises(ValueError, match="expected 9 tokens"):
        unpack_times(bomb[:1] + number(9) + bomb[1 + len(rows) :])


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="rows"):
        pack([np.zeros((1 << 17) + 1)])
    with pytest.raises(ValueError, match="rows"):
        pack_times(np.zeros((1 << 17) + 1, dtype=np.int64))


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="of one length"):
        pack([np.zeros(3), np.zeros(2)])
    with pytest.raises(ValueError, match="of one length"):
        pack([np.zeros(3)], seconds=np.zeros(2))


def test_a_column_of_counts_needs_the_seconds() -> None:
    seconds = 60 + np.arange(100) / 1e6
    data = pack([np.arange(100) / seconds], seconds=seconds).data
    for wrong in (None, seconds[1:]):
        with pytest.raises(ValueError, match="the seconds of 100 rows"):
            unpack(data, seconds=wrong)


def test_an_equal_column_is_a_reference_to_the_first() -> None:
    values = np.random.default_rng(1).random((500, 2))
    packed = pack([values[:, 0], values[:, 1], values[:, 0], values[:, 0]])
    data = [packed.data[a:b] for a, b in zip(packed.offsets, packed.offsets[1:], strict=False)]
    assert [refers(one) for one in data] == [None, None, 0, 0]
    assert len(data[2]) + len(data[3]) <= 4
    with pytest.raises(ValueError, match="refers to column 0"):
        unpack(data[2])


def test_an_array_is_its_columns() -> None:
    values = np.random.default_rng(1).random((50, 7))
    packed = pack(values)
    assert packed == pack(list(values.T.copy()))
    assert len(packed.offsets) == 8
    assert np.column_stack([unpack(column(packed, i)) for i in range(7)]).tobytes() == values.tobytes()


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 5])
def test_few_rows_or_no_columns_are_packed_too(rows: int) -> None:
    assert pack([]) == Packed(b"", [0])
    assert pack(np.zeros((rows, 0))).offsets == [0]
    for _ in range(20):
        there_and_back(floats(np.random.default_rng(rows).integers(0, 1 << 63, rows).tolist()))
    assert unpack_times(pack_times(np.arange(rows))).tolist() == list(range(rows))


def test_what_is_alike_gets_short() -> None:
    """Bytes of 1,440 rows: a day of minutes."""
    rng = np.random.default_rng(1)
    stamps = np.arange(1440) * 60_000_000 + 1_760_000_000_000_000 + rng.integers(0, 2000, 1440)
    seconds = np.diff(stamps, prepend=stamps[0] - 60_000_000) / 1e6
    rates = rng.integers(0, 200, 1440) / seconds
    rates[:3] = np.nan
    rates.view(np.uint64)[100:200] = NOT_REPORTED
    assert there_and_back(np.full(1440, 25276502016.0)) < 12
    assert there_and_back(np.zeros(1440)) < 5
    assert there_and_back(rates, seconds) < 1600
    assert there_and_back(np.round(rng.random(1440) * 4, 2)) < 2000
    assert there_and_back(np.cumsum(rng.integers(-4, 5, 1440)) * 4096.0) < 900
    assert there_and_back(np.arange(1440.0)) < 60
    assert there_and_back(rng.random(1440)) < 8 * 1440
    assert len(pack_times(stamps)) < 1.6 * 1440
    assert len(pack_times(np.zeros(1440, dtype=np.int64))) < 40


@settings(max_examples=20)
@given(st.integers(1, 1440), st.integers(0, 1 << 32))
def test_rates_of_jittered_stamps_are_counts(rows: int, seed: int) -> None:
    """The stamps are whole microseconds; the rate was divided by the difference of the two floats."""
    rng = np.random.default_rng(seed)
    stamps = 1_760_000_000_000_000 + np.cumsum(rng.integers(59_000_000, 61_000_000, rows + 1))
    times = stamps / 1e6
    seconds = times[1:] - times[:-1]
    assert there_and_back(rng.integers(0, 100, rows) / seconds, seconds) < 1.2 * rows + 40
