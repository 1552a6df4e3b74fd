"""Reads carbon's pickles, lists of (path, (timestamp, value)), without pickle: nothing in one can be executed.

Of pickle's opcodes there are those of lists, tuples, texts and numbers; all others are refused.
https://graphite.readthedocs.io/en/latest/feeding-carbon.html#the-pickle-protocol
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

from monitor.wire.graphite_lines import Point

LENGTH = struct.Struct(">I")
LONGEST = 1 << 20
"""Bytes of a frame, as carbon has it."""
SHORT, INT, LONG, DOUBLE = struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<I"), struct.Struct(">d")
LONGEST_INTEGER = 16
LONGEST_TEXT = 4096
MARK = object()


class PickleError(ValueError):
    """It is no pickle of points."""


class Stack:
    """What the opcodes work on."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.values: list[Any] = []
        self.memo: dict[int, Any] = {}

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        taken = self.data[self.at : self.at + size]
        if len(taken) < size:
            raise PickleError(f"expected {size} more bytes, got {len(taken)}")
        self.at += size
        return taken

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.at, self.at + LONGEST_TEXT)
        if end < 0:
            raise PickleError("expected the end of a line")
        taken = self.data[self.at : end]
        self.at = end + 1
        return taken

    def text(self, size: int) -> None:
        if size > LONGEST_TEXT:
            raise PickleError(f"expected a text of at most {LONGEST_TEXT} bytes, got {size}")
        self.values.append(self.take(size))

    def since_mark(self) -> list[Any]:
        """Return what was put since the last mark, and take it away."""
        values = self.values
        for place in range(len(values) - 1, -1, -1):
            if values[place] is MARK:
                taken = values[place + 1 :]
                del values[place:]
                return taken
        raise PickleError("expected a mark")

    def last(self, count: int) -> list[Any]:
        if len(self.values) < count:
            raise PickleError(f"expected {count} values, got {len(self.values)}")
        taken = self.values[-count:]
        del self.values[-count:]
        return taken

    def append(self, values: list[Any]) -> None:
        if not self.values or type(self.values[-1]) is not list:
            raise PickleError("expected a list to append to")
        self.values[-1].extend(values)

    def put(self, place: int) -> None:
        self.memo[place] = self.values[-1]

    def get(self, place: int) -> None:
        self.values.append(self.memo[place])


def _integer(text: bytes) -> int | bool:
    if text in (b"00", b"01"):
        return text == b"01"
    text = text.removesuffix(b"L")
    if len(text) > 2 * LONGEST_INTEGER:
        raise PickleError("expected a shorter number")
    return int(text)


def _quoted(text: bytes) -> bytes:
    if len(text) < 2 or text[:1] not in (b"'", b'"') or text[-1:] != text[:1] or b"\\" in text:
        raise PickleError("expected a plain text in quotes")
    return text[1:-1]


def _long(stack: Stack) -> None:
    size = stack.take(1)[0]
    if size > LONGEST_INTEGER:
        raise PickleError("expected a shorter number")
    stack.values.append(int.from_bytes(stack.take(size), "little", signed=True))


OPCODES: dict[int, Callable[[Stack], Any]] = {
    ord("("): lambda stack: stack.values.append(MARK),
    ord("]"): lambda stack: stack.values.append([]),
    ord(")"): lambda stack: stack.values.append(()),
    ord("l"): lambda stack: stack.values.append(stack.since_mark()),
    ord("t"): lambda stack: stack.values.append(tuple(stack.since_mark())),
    0x85: lambda stack: stack.values.append(tuple(stack.last(1))),
    0x86: lambda stack: stack.values.append(tuple(stack.last(2))),
    0x87: lambda stack: stack.values.append(tuple(stack.last(3))),
    ord("a"): lambda stack: stack.append(stack.last(1)),
    ord("e"): lambda stack: stack.append(stack.since_mark()),
    ord("X"): lambda stack: stack.text(LONG.unpack(stack.take(4))[0]),
    ord("T"): lambda stack: stack.text(LONG.unpack(stack.take(4))[0]),
    0x8C: lambda stack: stack.text(stack.take(1)[0]),
    ord("U"): lambda stack: stack.text(stack.take(1)[0]),
    ord("V"): lambda stack: stack.values.append(stack.line()),
    ord("S"): lambda stack: stack.values.append(_quoted(stack.line())),
    ord("B"): lambda stack: stack.text(LONG.unpack(stack.take(4))[0]),
    ord("C"): lambda stack: stack.text(stack.take(1)[0]),
    ord("K"): lambda stack: stack.values.append(stack.take(1)[0]),
    ord("M"): lambda stack: stack.values.append(SHORT.unpack(stack.take(2))[0]),
    ord("J"): lambda stack: stack.values.append(INT.unpack(stack.take(4))[0]),
    ord("G"): lambda stack: stack.values.append(DOUBLE.unpack(stack.take(8))[0]),
    ord("I"): lambda stack: stack.values.append(_integer(stack.line())),
    ord("L"): lambda stack: stack.values.append(_integer(stack.line())),
    ord("F"): lambda stack: stack.values.append(float(stack.line())),
    0x8A: _long,
    ord("N"): lambda stack: stack.values.append(None),
    0x88: lambda stack: stack.values.append(True),
    0x89: lambda stack: stack.values.append(False),
    0x80: lambda stack: stack.take(1),
    0x95: lambda stack: stack.take(8),
    0x94: lambda stack: stack.put(len(stack.memo)),
    ord("q"): lambda stack: stack.put(stack.take(1)[0]),
    ord("r"): lambda stack: stack.put(LONG.unpack(stack.take(4))[0]),
    ord("p"): lambda stack: stack.put(int(stack.line()[:20])),
    ord("h"): lambda stack: stack.get(stack.take(1)[0]),
    ord("j"): lambda stack: stack.get(LONG.unpack(stack.take(4))[0]),
    ord("g"): lambda stack: stack.get(int(stack.line()[:20])),
}
STOP = ord(".")


def points(data: bytes) -> Iterator[Point | None]:
    """Yield the points of a pickle, None for what is none among them; PickleError where it is no list at all.

    Texts are bytes.
    """
    stack = Stack(data)
    try:
        while (opcode := stack.take(1)[0]) != STOP:
            OPCODES[opcode](stack)
        found = stack.values[-1]
    except KeyError:
        raise PickleError(
            f"opcode or place {data[stack.at - 1 : stack.at]!r} at byte {stack.at} is none that is taken"
        ) from None
    except (ValueError, IndexError) as error:
        raise PickleError(f"{str(error)[:80]} at byte {stack.at}") from None
    if type(found) is not list:
        raise PickleError("expected a list of (path, (timestamp, value))")
    return (_point(one) for one in found)


def _point(one: object) -> Point | None:
    match one:
        case [path, [stamp, value]]:
            return path, stamp, value
    return None
