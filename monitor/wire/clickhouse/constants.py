"""What clients ask of the server itself: SELECTs without a table, such as version() or the value of a setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.tokens import Token

SETTINGS: Mapping[str, tuple[str, str]] = {
    "allow_experimental_lightweight_delete": ("-1", "Bool"),
    "date_time_input_format": ("basic", "DateTimeInputFormat"),
    "implicit_transaction": ("-1", "Bool"),
    "max_insert_block_size": ("1048449", "UInt64"),
    "max_query_size": ("65536", "UInt64"),
    "readonly": ("0", "UInt64"),
    "throw_on_unsupported_query_inside_transaction": ("-1", "Bool"),
    "wait_changes_become_visible_after_commit_mode": ("", "TransactionsWaitCSNMode"),
    "wait_end_of_query": ("1", "Bool"),
}
"""What system.settings holds: what clients look for, as a server without transactions has it."""
INTEGERS = {
    f"{sign}int{bits}": (f"{'U' if sign else ''}Int{bits}", bits, not sign)
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}
TIMES = ("timezone", "servertimezone")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is said of the server and of who asks."""

    user: str = "default"
    database: str = "default"
    version: str = "0"
    timezone: str = "UTC"
    host: str = "localhost"
    settings: Mapping[str, tuple[str, str]] = field(default_factory=lambda: SETTINGS)


@dataclass(frozen=True, slots=True)
class Value:
    type: str
    value: Any


class NoConstantError(Exception):
    """What is asked is not known here; the database may know it."""


def select(text: str, items: Sequence[Token], facts: Facts) -> tuple[list[tuple[str, str]], list[Any]]:
    """Return the columns, (name, type), and the values of a list of constant expressions.

    NoConstantError where an expression is none of those that clients ask of a server.
    """
    reader = Reader(text, items, facts)
    columns: list[tuple[str, str]] = []
    row: list[Any] = []
    while True:
        begin = reader.here.begin
        found = reader.expression()
        name = text[begin : reader.last].strip()
        if reader.take("AS") or reader.here.kind in ("word", "name"):
            name = reader.next().value
        columns.append((name, found.type))
        row.append(found.value)
        if not reader.take(","):
            break
    if reader.take("LIMIT"):
        reader.expression()
    if reader.here.kind != "end":
        raise NoConstantError
    return columns, row


class Reader:
    """Reads expressions from tokens, the last of which says where they end."""

    def __init__(self, text: str, items: Sequence[Token], facts: Facts) -> None:
        self.text = text
        self.items = items
        self.facts = facts
        self.at = 0
        self.depth = 0

    @property
    def here(self) -> Token:
        return self.items[self.at]

    @property
    def last(self) -> int:
        """Where the token before this one ends."""
        return self.items[self.at - 1].end

    def next(self) -> Token:
        found = self.items[self.at]
        self.at += found.kind != "end"
        return found

    def take(self, *words: str) -> bool:
        """Step over one of these words or signs, if it is next."""
        return self.here.says(*words) and self.next().kind != "end"

    def need(self, *words: str) -> None:
        if not self.take(*words):
            raise NoConstantError

    def expression(self) -> Value:
        self.depth += 1
        if self.depth > 8:
            raise NoConstantError
        found = self._expression()
        self.depth -= 1
        return found

    def _expression(self) -> Value:
        token = self.next()
        if token.kind == "text":
            return Value("String", token.value)
        if token.kind == "number" or token.says("-"):
            minus = token.kind == "sign"
            return self._number(("-" if minus else "") + (self.next() if minus else token).text)
        if token.says("("):
            found = self._setting() if self.here.says("SELECT") else self.expression()
            self.need(")")
            return found
        if token.kind == "word" and self.take("("):
            arguments: list[Value] = []
            while not self.take(")"):
                arguments.append(self.expression())
                if not self.here.says(")"):
                    self.need(",")
            return self._call(token.text.lower(), arguments)
        raise NoConstantError

    @staticmethod
    def _number(text: str) -> Value:
        digits = text.removeprefix("-")
        if not digits.isascii() or not digits.isdigit() or len(digits) > 19:
            raise NoConstantError
        number = int(text)
        unsigned = "" if number < 0 else "U"
        for bits in (8, 16, 32, 64):
            if (number if number >= 0 else 2 * -number - 1) < 1 << bits:
                return Value(f"{unsigned}Int{bits}", number)
        raise NoConstantError

    def _setting(self) -> Value:
        """Read `SELECT value FROM system.settings WHERE name = '…'`; None where there is no such setting."""
        for word in ("SELECT", "VALUE", "FROM", "SYSTEM", ".", "SETTINGS", "WHERE", "NAME", "="):
            self.need(word)
        name = self.next()
        if name.kind != "text":
            raise NoConstantError
        found = self.facts.settings.get(name.value)
        return Value("Nullable(String)", found[0] if found else None)

    def _call(self, name: str, given: Sequence[Value]) -> Value:
        facts = self.facts
        plain = {
            "currentuser": facts.user, "user": facts.user, "currentdatabase": facts.database,
            "database": facts.database, "version": facts.version, "hostname": facts.host,
            **dict.fromkeys(TIMES, facts.timezone),
        }  # fmt: skip
        if name in plain and not given:
            return Value("String", plain[name])
        if name == "ifnull" and len(given) == 2:
            return given[1] if given[0].value is None else Value(given[1].type, given[0].value)
        if name in ("lower", "upper") and len(given) == 1 and isinstance(given[0].value, str):
            return Value("String", given[0].value.lower() if name == "lower" else given[0].value.upper())
        if name == "tostring" and len(given) == 1 and given[0].value is not None:
            return Value("String", str(given[0].value))
        if name.startswith("to") and name[2:] in INTEGERS and len(given) == 1:
            type, bits, signed = INTEGERS[name[2:]]
            try:
                number = int(given[0].value) % (1 << bits)
            except (TypeError, ValueError):
                raise ClickHouseError(
                    6, "CANNOT_PARSE_TEXT", f"Cannot parse string {str(given[0].value)[:40]!r} as {type}"
                ) from None
            return Value(type, number - (1 << bits) if signed and number >> (bits - 1) else number)
        raise NoConstantError
