"""Parameters of a query: `{name:Type}` in a statement becomes the value that the request gives for it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from monitor.wire.clickhouse.errors import ClickHouseError, syntax
from monitor.wire.clickhouse.tokens import quoted, tokens, unescaped

PARAMETER = re.compile(r"\{\s*+(\w++)\s*+:\s*+([\w(), ]{1,100}?)\s*+\}")
INTEGER = re.compile(r"[+-]?\d{1,78}", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d++(\.\d*+)?|\.\d++)([eE][+-]?\d++)?", re.ASCII)


def substituted(text: str, parameters: Mapping[str, str]) -> str:
    """Return the statement with `{name:Type}` replaced by the values given, as literals of these types."""
    if "{" not in text:
        return text
    pieces: list[str] = []
    done = 0
    for token in tokens(text):
        if token.says("{") and token.begin >= done:
            found = PARAMETER.match(text, token.begin)
            if found is None:
                raise syntax(f"expected {{name:Type}}, got {text[token.begin : token.begin + 40]!r}")
            if found[1] not in parameters:
                raise ClickHouseError(456, "UNKNOWN_QUERY_PARAMETER", f"Substitution `{found[1]}` is not set")
            pieces += [text[done : token.begin], _literal(found[1], found[2], parameters[found[1]])]
            done = found.end()
    return "".join([*pieces, text[done:]])


def _literal(name: str, type: str, text: str) -> str:
    inner = type
    while (found := re.fullmatch(r"(?:Nullable|LowCardinality)\((.*)\)", inner)) is not None:
        inner = found[1].strip()
    if inner != type and text == "\\N":
        return "NULL"
    numeric = INTEGER if re.fullmatch(r"U?Int\d+", inner) else NUMBER if re.match("Float|Decimal", inner) else None
    if inner == "Bool" and text.lower() in ("true", "false", "1", "0"):
        return "true" if text.lower() in ("true", "1") else "false"
    if inner == "Bool" or (numeric and not numeric.fullmatch(text)):
        raise ClickHouseError(
            457,
            "BAD_QUERY_PARAMETER",
            f"Value {text[:40]!r} cannot be parsed as {type[:40]} for query parameter {name!r}",
        )
    if numeric:
        return text
    if inner == "Identifier":
        return quoted(unescaped(text), "`")
    if inner in ("String", "IPv4", "IPv6", "UUID", "Date", "DateTime"):
        return quoted(unescaped(text))
    raise ClickHouseError(48, "NOT_IMPLEMENTED", f"query parameters of type {type[:40]} are not supported here")
