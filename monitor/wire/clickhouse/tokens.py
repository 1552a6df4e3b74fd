"""ClickHouse's SQL as tokens, without comments and white space: enough to tell statements apart, and no parser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from monitor.wire.clickhouse.errors import ClickHouseError, syntax

Kind = Literal["word", "name", "text", "number", "sign", "end"]

TOKEN = re.compile(
    r"""(?xs) (?: \s | \x00 | --[^\n]* | \#[ !][^\n]* | /\*.*?\*/ )*+
    (?: (?P<word>[^\W\d][\w$]*)
    | (?P<name> ` (?:[^`\\]|\\.|``)* ` | " (?:[^"\\]|\\.|"")* " )
    | (?P<text> ' (?:[^'\\]|\\.|'')* ' )
    | (?P<number> \d\w*(?:\.\w*)? | \.\d\w* )
    | (?P<sign> [(),;*={}:.<>!|+%?@\[\]-] | /(?!\*) )
    | (?P<end> \Z ) )"""
)
ESCAPES = {
    "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0",
}  # fmt: skip
BACKSLASHED = re.compile(r"(?s)\\(x[0-9A-Fa-f]{2}|.)")
ESCAPED = re.compile(r"(?s)\\(x[0-9A-Fa-f]{2}|.)|''|``|\"\"")


class Token(NamedTuple):
    """A piece of a statement. `text` is as it was written, `begin` and `end` where."""

    kind: Kind
    text: str
    begin: int
    end: int

    def says(self, *words: str) -> bool:
        """Tell whether it is one of these key words or signs; upper case is expected."""
        return self.kind in ("word", "sign") and self.text.upper() in words

    @property
    def value(self) -> str:
        """The identifier or text without its quotes."""
        return unquoted(self.text) if self.kind in ("name", "text") else self.text


def unquoted(text: str) -> str:
    """Return what stands between quotes, its escapes undone."""
    inner = text[1:-1]
    if "\\" not in inner and text[0] not in inner:
        return inner

    def plain(found: re.Match[str]) -> str:
        one = found[1]
        if one is None:
            return found[0][0]
        return _meant(one)

    return ESCAPED.sub(plain, inner)


def unescaped(text: str) -> str:
    """Return a text with the escapes of TabSeparated undone: as such the value of a parameter is given."""
    return BACKSLASHED.sub(lambda found: _meant(found[1]), text)


def _meant(one: str) -> str:
    return chr(int(one[1:], 16)) if len(one) == 3 else ESCAPES.get(one, one)


def quoted(text: str, quote: str = "'") -> str:
    """Return a text or identifier between quotes."""
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def tokens(text: str, begin: int = 0) -> Iterator[Token]:
    """Yield the tokens, and one that says where the text ends; ClickHouseError where something is none."""
    at = begin
    while True:
        found = TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise syntax(f"failed at position {at + 1}: expected SQL, got {text[at : at + 40]!r}")
        kind: Kind = found.lastgroup  # type: ignore[assignment]
        start, at = found.span(kind)
        yield Token(kind, text[start:at], start, at)
        if kind == "end":
            return


class Scanner:
    """Steps from token to token. The one that is next is known; nothing behind it is looked at."""

    def __init__(self, text: str, found: Iterator[Token] | None = None) -> None:
        self.text = text
        self._tokens = tokens(text) if found is None else found
        self.here = next(self._tokens)

    def next(self) -> Token:
        found = self.here
        if found.kind != "end":
            self.here = next(self._tokens)
        return found

    def take(self, *words: str) -> bool:
        """Step over one of these words or signs, if it is next."""
        return self.here.says(*words) and bool(self.next())

    def need(self, *words: str) -> Token:
        if not self.here.says(*words):
            raise self.wrong(" or ".join(words))
        return self.next()

    def finish(self) -> None:
        if self.here.kind != "end":
            raise self.wrong("the end of the statement")

    def wrong(self, expected: str) -> ClickHouseError:
        """Return the error that something else was expected here."""
        got = "the end of the statement" if self.here.kind == "end" else repr(self.text[self.here.begin :][:40])
        return syntax(f"failed at position {self.here.begin + 1}: expected {expected}, got {got}")

    def identifier(self) -> str:
        if self.here.kind not in ("word", "name"):
            raise self.wrong("a name")
        return self.next().value

    def table(self, database: str) -> tuple[str, str]:
        """Read a table's name; return its database, the given one where it names none, and the table."""
        name = self.identifier()
        if self.take("."):
            return name, self.identifier()
        return database, name
