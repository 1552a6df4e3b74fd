"""CREATE TABLE, as far as it says which columns a table has."""

from __future__ import annotations

import re
from dataclasses import dataclass

from monitor.wire.clickhouse.errors import ClickHouseError, syntax
from monitor.wire.clickhouse.tokens import Scanner
from monitor.wire.clickhouse.types import Type

NAME = re.compile(r"[A-Za-z_]\w{0,59}", re.ASCII)
NO_COLUMN = ("INDEX", "PROJECTION", "CONSTRAINT")
KINDS = ("integer", "float", "bool", "string", "ipv4")


@dataclass(frozen=True, slots=True)
class Create:
    """A table that is to be made. `columns` are pairs of a name and a type."""

    table: str
    columns: tuple[tuple[str, str], ...]


def create(scanner: Scanner, table: str) -> Create:
    """Read the columns of a table; what stands behind them, the engine and the order, is passed over."""
    must_be_name("table", table)
    if not scanner.take("("):
        raise scanner.wrong("( and the columns of the table")
    found: dict[str, str] = {}
    while True:
        index = scanner.here.says(*NO_COLUMN)
        name = scanner.identifier()
        if not index:
            must_be_name("column", name)
            if name in found:
                raise ClickHouseError(15, "DUPLICATE_COLUMN", f"Column {name} specified more than once")
            found[name] = kept_type(_type(scanner))
        _skip_column(scanner)
        if scanner.take(")"):
            return Create(table, tuple(found.items()))
        scanner.need(",", ")")


def must_be_name(what: str, name: str) -> None:
    """ClickHouseError for a name that nothing is made under."""
    if NAME.fullmatch(name) is None:
        raise syntax(
            f"expected the name of a {what}: a letter, then at most 59 letters, digits and _, got {name[:80]!r}"
        )


def kept_type(text: str) -> str:
    """Return the type as which values are kept: a text, for what is no number, truth, text or address."""
    try:
        type = Type.parse(text)
    except ClickHouseError:
        return "String"
    return type.name if type.kind in KINDS and not type.nullable and type.size <= 8 else "String"


def _type(scanner: Scanner) -> str:
    begin = scanner.here.begin
    scanner.identifier()
    end = _skip_parentheses(scanner, scanner.here.begin)
    return scanner.text[begin:end]


def _skip_column(scanner: Scanner) -> None:
    while not scanner.here.says(",", ")"):
        if scanner.here.kind == "end":
            raise scanner.wrong(", or )")
        if not scanner.here.says("("):
            scanner.next()
        _skip_parentheses(scanner, 0)


def _skip_parentheses(scanner: Scanner, end: int) -> int:
    """Step over what stands in parentheses, if they are next; return where that ends."""
    depth = 0
    while scanner.here.says("(") or depth:
        if scanner.here.kind == "end":
            raise scanner.wrong(")")
        token = scanner.next()
        depth += token.says("(") - token.says(")")
        end = token.end
    return end
