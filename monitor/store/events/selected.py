"""What a SELECT selects: the names that ClickHouse gives it, and the types as far as the text tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from monitor.store.events.functions import ARGUMENT, FUNCTIONS, KEYWORDS
from monitor.wire.clickhouse.errors import syntax
from monitor.wire.clickhouse.tokens import Token


class Item(NamedTuple):
    """One of what is selected: its name, and ClickHouse's type, '' where that is not known."""

    name: str
    type: str


def item(text: str, found: Sequence[Token], types: Mapping[str, str]) -> Item:
    """Return what these tokens of a text select; `types` are those of the columns."""
    if not found:
        raise syntax("expected something to select")
    given, expression = _parted(found)
    if not expression:
        raise syntax(f"expected something to select before AS {found[-1].text[:40]}")
    shown = expression[-1].value if _is_column(expression) else text[expression[0].begin : expression[-1].end]
    return Item(shown if given is None else given, _type(expression, types))


def alias(found: Sequence[Token]) -> str | None:
    """Return the name that is given to an expression."""
    return _parted(found)[0] if found else None


def _type(expression: Sequence[Token], types: Mapping[str, str]) -> str:
    if not expression:
        return ""
    if _is_column(expression):
        return types.get(expression[-1].value, "")
    if len(expression) > 2 and expression[1].says("(") and _closes(expression[1:]):
        function = FUNCTIONS.get(expression[0].value.lower())
        if function is not None and function.type in ARGUMENT:
            return ARGUMENT[function.type](_type(expression[2:-1], types))
        return function.type if function else ""
    return ""


def is_star(found: Sequence[Token]) -> bool:
    """Tell whether an item is a * that stands for columns."""
    return bool(found) and found[-1].says("*") and (len(found) == 1 or found[-2].says("."))


def _parted(found: Sequence[Token]) -> tuple[str | None, Sequence[Token]]:
    """Return the alias of an item and its expression."""
    last = found[-1]
    if len(found) < 2 or last.kind not in ("word", "name"):
        return None, found
    before = found[-2]
    if before.says("AS"):
        return last.value, found[:-2]
    if last.kind == "word" and last.text.upper() in KEYWORDS:
        return None, found
    implicit = before.says(")", "END") or before.kind in ("name", "number", "text")
    if before.kind == "word" and before.text.upper() not in KEYWORDS:
        implicit = True
    return (last.value, found[:-1]) if implicit else (None, found)


def _is_column(expression: Sequence[Token]) -> bool:
    names, dots = expression[::2], expression[1::2]
    return all(one.kind in ("word", "name") for one in names) and all(one.says(".") for one in dots)


def _closes(found: Sequence[Token]) -> bool:
    """Tell whether the first parenthesis is closed by the last."""
    depth = 0
    for place, token in enumerate(found):
        depth += token.says("(") - token.says(")")
        if depth == 0:
            return place == len(found) - 1
    return False
