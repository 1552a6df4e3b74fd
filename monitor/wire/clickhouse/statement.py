"""What a request over ClickHouse's HTTP interface asks for: rows to keep, a reading, or something known at once.

    parse(query, body, facts)   ->  Insert | Select | Answer | Nothing | Create

`query` is the parameter of the URL, `body` what was sent; the statement stands in either, or begins in one and goes on
in the other. Only the beginning of an INSERT is looked at: its rows are the reader's of the format.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.wire.clickhouse.asked import Answer, Asked, Nothing, Select
from monitor.wire.clickhouse.catalogue import OF_A_SESSION, Known, database_of, known
from monitor.wire.clickhouse.constants import Facts
from monitor.wire.clickhouse.create import Create
from monitor.wire.clickhouse.errors import syntax
from monitor.wire.clickhouse.insert import LONGEST, Insert, insert, is_insert
from monitor.wire.clickhouse.parameters import substituted

__all__ = ["Answer", "Create", "Facts", "Insert", "Nothing", "Select", "Statement", "is_insert", "parse"]

Statement = Insert | Select | Answer | Nothing | Create


def parse(
    query: bytes, body: bytes, facts: Facts, *, parameters: Mapping[str, str] | None = None, known: Known = known
) -> Statement:
    """Return what is asked for; ClickHouseError where it is nothing that can be answered."""
    database_of(facts.database, OF_A_SESSION)
    if is_insert(query, body):
        return insert(query, body, facts.database)
    whole = query + b"\n" + body if query and body else query or body
    if len(whole) > LONGEST:
        raise syntax(f"Max query size exceeded: expected at most {LONGEST} bytes, got {len(whole)}")
    try:
        text = whole.decode()
    except UnicodeDecodeError as error:
        raise syntax(f"expected UTF-8, got {whole[error.start : error.start + 20]!r}") from None
    return Asked(substituted(text, parameters or {}), facts, known).statement()
