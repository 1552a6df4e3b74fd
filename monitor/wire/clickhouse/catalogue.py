"""The tables as statements name them: which there are, under which names, with which columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.tables import ALIASES, DATABASE, DICTIONARIES, TABLES, TYPE_TABLES

Columns = Sequence[tuple[str, str]]
"""Pairs of a name and a type."""
Known = Callable[[str], Columns | None]
"""Gives the columns of a table, or None where there is none of this name."""
DATABASES = ("default", DATABASE)
LATER: Mapping[str, Columns] = {
    "MediaSessionEvents": (("audioPlaybackSpeed", "Float32"), ("videoPlaybackSpeed", "Float32")),
}
"""Columns that later versions of WCS send behind the others, without saying so."""
OF_A_SESSION = (*DATABASES, "system", "information_schema", "INFORMATION_SCHEMA")
"""What a request may name as its database."""


def known(name: str) -> Columns | None:
    name = ALIASES.get(name, name)
    if name in TABLES:
        return TABLES[name].columns
    if name in TYPE_TABLES:
        return TYPE_TABLES[name].columns
    return DICTIONARIES[name].columns if name in DICTIONARIES else None


def names() -> list[str]:
    """Return the names of all tables and dictionaries."""
    return sorted([*TABLES, *TYPE_TABLES, *DICTIONARIES])


def database_of(name: str, databases: Sequence[str] = DATABASES) -> str:
    """Return the one database that there is, which is also the default one; ClickHouseError for others."""
    if name not in databases:
        raise ClickHouseError(81, "UNKNOWN_DATABASE", f"Database {name[:80]} does not exist")
    return DATABASE


def unknown_table(database: str, name: str) -> ClickHouseError:
    return ClickHouseError(60, "UNKNOWN_TABLE", f"Table {database[:80]}.{name[:80]} does not exist")
