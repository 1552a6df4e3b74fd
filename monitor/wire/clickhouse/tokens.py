"""ClickHouse's SQL as tokens, without comments and white space: enough to tell statements apart, and no parser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from monitor.wire.clickhouse.errors import ClickHouseError

Kind = Literal["word", "name", "text", "number", "sign", "end"]

TOKEN = re.compile(
    r"""(?xs) (?: \s | \x00 | --[^\n]* | \#[ !][^\n]* | /\*.*?\*/ )*
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
        return chr(int(one[1:], 16)) if len(one) == 3 else ESCAPES.get(one, one)

    return ESCAPED.sub(plain, inner)


def quoted(text: str, quote: str = "'") -> str:
    """Return a text or identifier between quotes."""
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def tokens(text: str, begin: int = 0) -> Iterator[Token]:
    """Yield the tokens, and one that says where the text ends; ClickHouseError where something is none."""
    at = begin
    while True:
        found = TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise ClickHouseError(62, "SYNTAX_ERROR", f"Syntax error: expected SQL, got {text[at : at + 40]!r}")
        kind: Kind = found.lastgroup  # type: ignore[assignment]
        start, at = found.span(kind)
        yield Token(kind, text[start:at], start, at)
        if kind == "end":
            return
