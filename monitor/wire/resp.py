"""Redis' protocol, RESP2, as a server speaks it: commands are read from pieces of any size, replies are written.

https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

from collections.abc import Iterable

OK = b"+OK\r\n"
PONG = b"+PONG\r\n"
NIL = b"$-1\r\n"
LINE = 1024
"""Bytes of a length, or of a command that is typed in one line, at most."""
DIGITS = frozenset(b"0123456789")
SHORTEST = 64 << 10
"""Read bytes are let go when they are this many, or all."""


class ProtocolError(ValueError):
    """What came is no command within the bounds; nothing after it can be understood."""


class Commands:
    """Takes bytes as they come, and gives the commands that they hold, one by one."""

    def __init__(self, *, longest: int = 1 << 20, most: int = 1024) -> None:
        """Set the bounds: bytes of all words of a command together, and the number of its words."""
        self.longest = longest
        self.most = most
        self._bytes = bytearray()
        self._at = 0
        self._searched = 0
        self._words: list[bytes] = []
        self._missing = 0
        self._length = -1
        self._room = longest

    def __len__(self) -> int:
        """Return how many bytes wait for the rest of their command, or for their turn."""
        return len(self._bytes) - self._at + self.longest - self._room

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def next(self) -> list[bytes] | None:
        """Return the words of the next command; None when it is not complete yet."""
        while True:
            if not self._missing:
                line = self._line()
                if line is None:
                    return None
                if not line:
                    continue
                if not line.startswith(b"*"):
                    if words := line.split():
                        return words
                    continue
                count = self._number(line, "multibulk", self.most)
                self._missing, self._words, self._room = max(0, count), [], self.longest
            elif self._length < 0:
                line = self._line()
                if line is None:
                    return None
                if not line.startswith(b"$"):
                    raise ProtocolError(f"expected '$', got {_shown(line[:1])}")
                self._length = self._number(line, "bulk", self._room)
                if self._length < 0:
                    raise ProtocolError("invalid bulk length")
            else:
                end = self._at + self._length
                if len(self._bytes) < end + 2:
                    return None
                if self._bytes[end : end + 2] != b"\r\n":
                    raise ProtocolError("expected the end of a line after a bulk string")
                self._words.append(bytes(memoryview(self._bytes)[self._at : end]))
                self._room -= self._length
                self._length = -1
                self._missing -= 1
                self._go_on(end + 2)
                if not self._missing:
                    words, self._words, self._room = self._words, [], self.longest
                    return words

    def _line(self) -> bytes | None:
        """Return the next line without its end."""
        end = self._bytes.find(b"\n", max(self._at, self._searched))
        if end < 0:
            self._searched = len(self._bytes)
            if len(self._bytes) - self._at > LINE:
                raise ProtocolError("too big inline request")
            return None
        if end - self._at > LINE:
            raise ProtocolError("too big inline request")
        line = bytes(memoryview(self._bytes)[self._at : end])
        self._go_on(end + 1)
        return line.removesuffix(b"\r")

    def _go_on(self, at: int) -> None:
        self._at = at
        if at == len(self._bytes) or at > SHORTEST:
            del self._bytes[:at]
            self._at = 0
        self._searched = self._at

    @staticmethod
    def _number(line: bytes, what: str, most: int) -> int:
        digits = line[2:] if line[1:2] == b"-" else line[1:]
        if not digits or len(digits) > 10 or not DIGITS.issuperset(digits):
            raise ProtocolError(f"invalid {what} length")
        number = int(line[1:])
        if number > most:
            raise ProtocolError(f"invalid {what} length: expected at most {most}, got {number}")
        return number


def _shown(data: bytes) -> str:
    return repr(data.decode("latin-1"))


def error(text: str) -> bytes:
    """Return an error reply; its first word is its kind (ERR, NOAUTH, …)."""
    return b"-%b\r\n" % " ".join(text.split()).encode()


def integer(number: int) -> bytes:
    return b":%d\r\n" % number


def bulk(text: bytes | str) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return b"$%d\r\n%b\r\n" % (len(data), data)


def array(replies: Iterable[bytes]) -> bytes:
    """Return an array of replies that are encoded already."""
    found = list(replies)
    return b"*%d\r\n%b" % (len(found), b"".join(found))


def command(*words: bytes | str) -> bytes:
    """Return a command, as clients send it."""
    return array(map(bulk, words))
