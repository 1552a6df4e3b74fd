from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snmp_agent import GAUGE, RESPONSE, SEQUENCE, Value, arcs, arcs_of, integer, oid, parts, tlv, value_of

from monitor.wire import snmp as wire

OIDS = st.lists(st.integers(0, (1 << 32) - 1), max_size=20).flatmap(
    lambda rest: st.one_of(
        st.tuples(st.integers(0, 1), st.integers(0, 39)), st.tuples(st.just(2), st.integers(0, 999))
    ).map(lambda first: ".".join(map(str, (*first, *rest))))
)


def message(*varbinds: tuple[str, Value], number: int = 7, status: int = 0, where: int = 0, version: int = 1) -> bytes:
    pairs = b"".join(tlv(SEQUENCE, oid(arcs(name)) + value_of(value)) for name, value in varbinds)
    pdu = integer(number) + integer(status) + integer(where) + tlv(SEQUENCE, pairs)
    return tlv(SEQUENCE, integer(version) + tlv(4, b"public") + tlv(RESPONSE, pdu))


def test_a_request_holds_what_was_asked() -> None:
    data = wire.request(wire.GET_BULK, 1 << 30, ["1.3.6.1", ".1.3.6.4294967295"], version=1, community=b"x", rounds=25)
    ((tag, inside),) = parts(data)
    (_, version), (_, community), (kind, pdu) = parts(inside)
    (_, number), (_, first), (_, rounds), (_, varbinds) = parts(pdu)
    assert (tag, version, community, kind) == (SEQUENCE, b"\1", b"x", wire.GET_BULK)
    assert (int.from_bytes(number, "big"), first, rounds) == (1 << 30, b"\0", b"\x19")
    asked = [parts(varbind) for _, varbind in parts(varbinds)]
    assert [arcs_of(name) for (_, name), _ in asked] == [(1, 3, 6, 1), (1, 3, 6, 4294967295)]
    assert [value for _, value in asked] == [(5, b"")] * 2


@given(OIDS)
def test_an_oid_comes_back_as_it_was_asked(name: str) -> None:
    data = wire.request(wire.RESPONSE, 7, [name], version=1, community=b"public")
    assert wire.answer(data) == (7, 0, 0, [(name, None)])


@pytest.mark.parametrize(
    "text", ["", "1", "1.3.", "1..3", "iso.3", "1.3.x", "3.1", "1.40.1", "1.3.4294967296", "1.-3", "1.3.²", " 1.3"]
)
def test_what_is_no_oid_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="is no object identifier"):
        wire.request(wire.GET, 1, [text], version=1, community=b"public")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (0, 0), (-1, -1), (127, 127), (128, 128), (-129, -129), (2147483647, 2147483647), (-2147483648, -2147483648),
        ("STON", b"STON"), ("", b""), (b"\xe9\xff", b"\xe9\xff"), ("x" * 300, b"x" * 300),
        ((0x42, b"\0\xff\xff\xff\xff"), 4294967295), ((0x42, b"\xff\xff\xff\xff"), 4294967295),
        ((0x41, b"\x05"), 5), ((0x43, b"\1\0"), 256), ((0x46, b"\0" + b"\xff" * 8), 18446744073709551615),
        ((0x40, b"\x0a\0\0\1"), "10.0.0.1"), ((0x06, b"\x2b\x06\x01"), "1.3.6.1"), ((0x06, b"\x88\x37\x03"), "2.999.3"),
        ((0x44, bytes.fromhex("9f780442f60000")), 123.0), ((0x44, bytes.fromhex("9f7908405ec00000000000")), 123.0),
        ((0x44, b"\x9f\x78"), b"\x9f\x78"), ((0x44, b"\x9f\x78\x04\0"), b"\x9f\x78\x04\0"),
        ((0x05, b""), None), ((0x80, b""), None), ((0x81, b""), None), ((0x82, b""), None),
    ],
)  # fmt: skip
def test_every_type_of_value_is_read(value: Value, read: wire.Value) -> None:
    assert wire.answer(message(("1.3.6.1.4.1", value))).varbinds == [("1.3.6.1.4.1", read)]


def test_an_error_says_what_and_where() -> None:
    found = wire.answer(message(("1.3", 1), number=-5, status=2, where=1, version=0))
    assert (found.number, found.status, found.where) == (-5, 2, 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "ends too early"),
        (b"HTTP/1.1 400 Bad Request", "tag 0x48 instead of 0x30 at byte 0"),
        (message(("1.3", 1))[:-1], "an element of "),
        (message(("1.3", 1), version=3), "version 3 instead of 0 or 1"),
        (message(("1.3", (0x99, b""))), "unknown type 0x99"),
        (message(("1.3", (0x02, b""))), "a number of 0 bytes"),
        (message(("1.3", (0x46, b"\1" * 10))), "a number of 10 bytes"),
        (message(("1.3", (0x06, b"\x2b\xff"))), "an object identifier that is none: 2bff"),
        (message(("1.3", (0x06, b"\xff" * 60_000 + b"\1"))), "an object identifier that is none"),
        (message(*[("1.3", 1)] * 4), "more than the 3 values asked for"),
        (b"\x30\x80", "a length in 0 bytes"),
        (b"\x30\x8f" + b"\1" * 20, "a length in 15 bytes"),
    ],
)
def test_a_broken_answer_says_what_is_wrong(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wire.answer(data, most=3)


def test_whatever_comes_is_an_answer_or_a_value_error() -> None:
    """A datagram of anyone on the network must not end the program, as it does with a Rust library's panic."""
    chance = random.Random(4)
    good = message(
        ("1.3.6.1.2.1.1.1.0", "text"), ("1.3.6.1.4.1.40001.2.1", -5), ("1.3.6.1.4.1.5", (0x40, b"\x0a\0\0\1")),
        ("1.3.6.1.4.1.6", (GAUGE, b"\0\xff\xff\xff\xff")), ("1.3.6.1.4.1.7", (0x44, bytes.fromhex("9f780442f60000"))),
    )  # fmt: skip
    outcomes = {True: 0, False: 0}
    for _ in range(20_000):
        data = bytearray(good)
        if chance.random() < 0.2:
            data = data[: chance.randrange(len(data))]
        for _ in range(chance.randrange(1, 4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            wire.answer(bytes(data))
        except ValueError:
            outcomes[False] += 1
        else:
            outcomes[True] += 1
        wire.number_of(bytes(data))
    assert min(outcomes.values()) > 1000
