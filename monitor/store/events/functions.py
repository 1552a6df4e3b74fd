"""The key words of a SELECT, and ClickHouse's functions as PostgreSQL has them; there are no others for who reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


KEYWORDS = words(
    "SELECT FROM WHERE AND OR NOT IN BETWEEN LIKE ILIKE IS NULL TRUE FALSE AS ON USING JOIN INNER LEFT RIGHT FULL OUTER"
    " CROSS GROUP BY HAVING ORDER ASC DESC NULLS LIMIT OFFSET DISTINCT UNION ALL EXCEPT INTERSECT CASE WHEN THEN ELSE"
    " END WITH EXISTS INTERVAL"
)


class Function(NamedTuple):
    """What stands in the place of `name(`, of the commas between the arguments, and of `)`. `type` is ClickHouse's
    type of the result, '' where PostgreSQL's tells."""

    open: str
    close: str = ")"
    type: str = ""
    between: tuple[str, ...] = ()
    """For each comma, the last one for all that follow; by default a comma."""
    empty: str = ""
    """What stands for a call without arguments, where there may be one."""


def _ours(name: str, type: str = "") -> Function:
    return Function(f"wcs.{name}(", type=type)


INTEGERS = {
    f"{sign}int{bits}": f"{'U' if sign else ''}Int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}  # fmt: skip

FUNCTIONS: dict[str, Function] = {
    # of many rows
    "count": Function("count(", type="UInt64", empty="count(*)"),
    "countif": Function("count(*) FILTER (WHERE ", type="UInt64"),
    "sum": Function("coalesce(sum(", "), 0)", "+"),
    "avg": Function("avg(", ")::float8", "Float64"),
    "min": Function("min(", type="="),
    "max": Function("max(", type="="),
    "any": Function("min(", type="="),
    "anylast": Function("max(", type="="),
    "uniq": Function("count(DISTINCT ", type="UInt64"),
    "uniqexact": Function("count(DISTINCT ", type="UInt64"),
    # of events
    "dictgetstring": _ours("dictgetstring", "String"),
    "dictget": _ours("dictgetstring", "String"),
    # of times
    "now": Function("", empty="date_trunc('second', now())", type="DateTime"),
    "today": Function("", empty="current_date", type="Date"),
    "yesterday": Function("", empty="(current_date - 1)", type="Date"),
    "todatetime": _ours("todatetime", "DateTime"),
    "todate": _ours("todate", "Date"),
    "fromunixtimestamp": _ours("todatetime", "DateTime"),
    "tounixtimestamp": _ours("tounixtimestamp", "UInt32"),
    "tostartofminute": Function("date_trunc('minute', ", type="DateTime"),
    "tostartoffiveminutes": Function("date_bin('5 minutes', ", ", timestamptz 'epoch')", "DateTime"),
    "tostartoffifteenminutes": Function("date_bin('15 minutes', ", ", timestamptz 'epoch')", "DateTime"),
    "tostartofhour": Function("date_trunc('hour', ", type="DateTime"),
    "tostartofday": Function("date_trunc('day', ", type="DateTime"),
    # of numbers
    "intdiv": _ours("intdiv"),
    "modulo": Function("mod("),
    "abs": Function("abs("),
    "round": Function("round("),
    "floor": Function("floor("),
    "ceil": Function("ceil("),
    "sqrt": Function("sqrt(", type="Float64"),
    "greatest": Function("greatest("),
    "least": Function("least("),
    **{f"to{name}": Function("wcs.towhole(", type=type) for name, type in INTEGERS.items()},
    "tofloat64": Function("CAST(", " AS float8)", "Float64"),
    "tofloat32": Function("CAST(", " AS float4)", "Float32"),
    # of texts
    "tostring": _ours("tostring", "String"),
    "toipv4": Function("CAST(", " AS inet)", "IPv4"),
    "ipv4numtostring": _ours("ipv4numtostring", "String"),
    "ipv4stringtonum": _ours("ipv4stringtonum", "UInt32"),
    "lower": Function("lower(", type="String"),
    "upper": Function("upper(", type="String"),
    "length": Function("octet_length(", type="UInt64"),
    "empty": Function("('' = ", type="UInt8"),
    "notempty": Function("('' <> ", type="UInt8"),
    "concat": Function("concat(", type="String"),
    "substring": Function("substr(", type="String"),
    "position": Function("strpos(", type="UInt64"),
    "startswith": Function("starts_with(", type="UInt8"),
    "replaceall": Function("replace(", type="String"),
    "trim": Function("btrim(", type="String"),
    # of anything
    "if": Function("(CASE WHEN ", " END)", between=(" THEN ", " ELSE ")),
    "ifnull": Function("coalesce("),
    "coalesce": Function("coalesce("),
    "nullif": Function("nullif("),
}
"""By their names in lower case."""


def _summed(type: str) -> str:
    return "UInt64" if type.startswith("UInt") else "Int64" if type.startswith("Int") else type and "Float64"


ARGUMENT: dict[str, Callable[[str], str]] = {"=": lambda type: type, "+": _summed}
"""Of functions whose type is that of their argument, or that of its sum."""
