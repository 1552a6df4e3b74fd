"""Redis' protocol: commands come whole out of pieces of any size, and nothing is held without bound."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.wire.resp import Commands, ProtocolError, array, bulk, command, error, integer

PUSH = b"*3\r\n$5\r\nRPUSH\r\n$13\r\nkurado-update\r\n$11\r\na\tb\r\n\t1\t2\r\n\r\n"


def all_of(commands: Commands) -> list[list[bytes]]:
    found = []
    while (words := commands.next()) is not None:
        found.append(words)
    return found


@pytest.mark.parametrize("cut", range(len(PUSH) + 1))
def test_a_push_split_at_any_byte_is_the_same_command(cut: int) -> None:
    commands = Commands()
    found = []
    for piece in (PUSH[:cut], PUSH[cut:] + PUSH[:cut], PUSH[cut:]):
        commands.feed(piece)
        found += all_of(commands)
    assert found == [[b"RPUSH", b"kurado-update", b"a\tb\r\n\t1\t2\r\n"]] * 2
    assert len(commands) == 0


def test_a_push_in_single_bytes_is_the_same_command() -> None:
    commands = Commands()
    found = []
    for byte in PUSH * 3:
        commands.feed(bytes([byte]))
        found += all_of(commands)
    assert found == [[b"RPUSH", b"kurado-update", b"a\tb\r\n\t1\t2\r\n"]] * 3


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=4), max_size=6), st.integers(1, 50))
def test_what_is_written_as_commands_is_read_again(given_commands: list[list[bytes]], size: int) -> None:
    data = b"".join(command(*words) for words in given_commands)
    commands = Commands()
    found = []
    for at in range(0, len(data), size):
        commands.feed(data[at : at + size])
        found += all_of(commands)
    assert found == given_commands


@settings(max_examples=100, deadline=None)
@given(st.text("*$-+:0123456789\r\nAx \0é", max_size=60))
def test_any_bytes_are_commands_or_a_protocol_error(text: str) -> None:
    commands = Commands(longest=20, most=3)
    commands.feed(text.encode())
    try:
        for words in all_of(commands):
            assert words
    except ProtocolError as problem:
        assert str(problem)


def test_words_typed_in_a_line_are_a_command_and_empty_ones_are_none() -> None:
    commands = Commands()
    commands.feed(b"PING\r\n\r\n  \n*0\r\n*-1\r\nclient  list \nQUI")
    assert all_of(commands) == [[b"PING"], [b"client", b"list"]]
    assert len(commands) == 3


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"*2000\r\n", "invalid multibulk length: expected at most 10"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1_0\r\n", "invalid multibulk length"),
        (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$101\r\n", "invalid bulk length: expected at most 100, got 101"),
        (b"*2\r\n$60\r\n" + b"x" * 60 + b"\r\n$41\r\n", "expected at most 40, got 41"),
        (b"*1\r\n$4\r\nPINGPONG", "expected the end of a line after a bulk string"),
        (b"x" * 1025, "too big inline request"),
        (b"*1\r\n$" + b"1" * 2000, "too big inline request"),
    ],
)
def test_what_is_no_command_or_too_large_says_what_was_expected(data: bytes, said: str) -> None:
    commands = Commands(longest=100, most=10)
    with pytest.raises(ProtocolError) as caught:
        commands.feed(data)
        all_of(commands)
    assert said in str(caught.value)


def test_bytes_that_were_read_are_let_go() -> None:
    commands = Commands()
    for _ in range(200):
        commands.feed(command("RPUSH", "kurado-update", "x" * 2000) + b"*1\r\n")
        assert len(all_of(commands)) == 1
        assert len(commands) < 100
        commands.feed(b"$4\r\nPING\r\n")
        assert all_of(commands) == [[b"PING"]]


def test_replies_are_those_of_the_protocol() -> None:
    assert error("ERR busy:\r\n later") == b"-ERR busy: later\r\n"
    assert array([bulk("é"), integer(-1), array([])]) == b"*3\r\n$2\r\n\xc3\xa9\r\n:-1\r\n*0\r\n"
