"""What is asked that is no INSERT: readings for the database, and what can be answered, or passed over, at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monitor.wire.clickhouse.catalogue import (
    DATABASES,
    OF_A_SESSION,
    Columns,
    Known,
    database_of,
    known,
    names,
    unknown_table,
)
from monitor.wire.clickhouse.constants import Facts, NoConstantError, select
from monitor.wire.clickhouse.create import Create, create
from monitor.wire.clickhouse.errors import ClickHouseError, syntax
from monitor.wire.clickhouse.tables import DATABASE, DICTIONARIES
from monitor.wire.clickhouse.tokens import Scanner, Token, tokens

TEXT = ("name", "type", "default_type", "default_expression", "comment", "codec_expression", "ttl_expression")
SETTINGS = {
    "name": "String", "value": "String", "changed": "UInt8", "description": "String", "readonly": "UInt8",
    "type": "String", "default": "String",
}  # fmt: skip
REFUSED = (
    "ALTER", "ATTACH", "BACKUP", "CALL", "CHECK", "COPY", "DELETE", "DETACH", "EXCHANGE", "EXECUTE", "EXPLAIN", "KILL",
    "MERGE", "MOVE", "OPTIMIZE", "RENAME", "RESTORE", "SYSTEM", "TRUNCATE", "UNDROP", "UPDATE", "VACUUM", "WATCH",
)  # fmt: skip
KEPT = ("USE", "SET", "GRANT", "REVOKE")
"""Statements that are accepted and change nothing."""
MADE = ("DATABASE", "TABLE", "DICTIONARY", "USER", "ROLE")
"""What CREATE and DROP are accepted of; nothing is made or dropped."""


@dataclass(frozen=True, slots=True)
class Select:
    """A reading, for the database to answer. The statement is without FORMAT; `format` is '' where it had none."""

    sql: str
    format: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known at once."""

    columns: Columns
    rows: Sequence[Sequence[Any]]
    format: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """A statement that is accepted and changes nothing."""

    what: str


class Asked(Scanner):
    """Reads what is no INSERT."""

    def __init__(self, text: str, facts: Facts, known: Known) -> None:
        self.facts = facts
        self.known = known
        self.text = text
        self._all, self.format = _without_format(_one(text, list(tokens(text))))
        super().__init__(text, iter(self._all))

    @property
    def sql(self) -> str:
        """The statement without what was cut off."""
        return self.text[self._all[0].begin : self._all[-1].begin].strip()

    def statement(self) -> Select | Answer | Nothing | Create:
        word = self.here.text.upper() if self.here.kind == "word" else ""
        if word in ("SELECT", "WITH", "(") or self.here.says("("):
            return self._select()
        if word in ("DESCRIBE", "DESC"):
            return self._describe()
        if word == "SHOW":
            return self._show()
        if word == "EXISTS":
            return self._exists()
        if word in KEPT:
            return self._kept(word)
        if word in ("CREATE", "DROP"):
            return self._made(word)
        if word in REFUSED:
            raise ClickHouseError(48, "NOT_IMPLEMENTED", f"{word} is not supported here")
        if self.here.kind == "end":
            raise syntax("Empty query")
        raise self.wrong("one of INSERT, SELECT, WITH, DESCRIBE, SHOW, EXISTS, CREATE, DROP, GRANT, SET, USE")

    def answer(self, columns: Columns, rows: Sequence[Sequence[Any]]) -> Answer:
        return Answer(columns, rows, self.format)

    def _select(self) -> Select | Answer:
        depth = place = 0
        for number, token in enumerate(self._all):
            depth += token.says("(") - token.says(")")
            if depth == 0 and token.says("FROM"):
                place = number
                break
        if not place or [each.text.lower() for each in self._all[place + 1 : -1]] == ["system", ".", "one"]:
            items = self._all[1 : place or None]
            if not items or items[0].kind == "end":
                raise syntax("expected what to select behind SELECT")
            if place:
                items.append(Token("end", "", items[-1].end, items[-1].end))
            try:
                columns, row = select(self.text, items, self.facts)
            except NoConstantError:
                return Select(self.sql, self.format)
            return self.answer(columns, [row])
        behind = self._all[place + 1 :]
        if [each.text.lower() for each in behind[:3]] == ["system", ".", "settings"]:
            return self._settings(self._all[1:place], behind[3:])
        return self._header(self._all[1:place], behind) or Select(self.sql, self.format)

    def _settings(self, listed: Sequence[Token], behind: Sequence[Token]) -> Answer:
        wanted = [each.value for each in listed if not each.says(",")]
        if wanted == ["*"]:
            wanted = list(SETTINGS)
        for name in wanted:
            if name not in SETTINGS:
                raise ClickHouseError(47, "UNKNOWN_IDENTIFIER", f"Unknown identifier {name[:80]!r} in system.settings")
        words = [each.text.upper() for each in behind]
        only = behind[3].value if words[:3] == ["WHERE", "NAME", "="] and behind[3].kind == "text" else None
        rest = words[4:] if only is not None else words
        if rest[:1] not in (["LIMIT"], [""]):
            raise ClickHouseError(48, "NOT_IMPLEMENTED", "system.settings is only filtered by name = '…' here")
        rows = [
            [{"name": name, "value": value, "default": value, "type": type, "changed": 0, "readonly": 0}.get(each, "")
             for each in wanted]
            for name, (value, type) in self.facts.settings.items()
            if only in (None, name)
        ]  # fmt: skip
        if rest[:1] == ["LIMIT"] and rest[1].isdigit():
            rows = rows[: int(rest[1])]
        return self.answer([(name, SETTINGS[name]) for name in wanted], rows)

    def _header(self, listed: Sequence[Token], behind: Sequence[Token]) -> Answer | None:
        """Return the columns of `SELECT … FROM table WHERE 0`, by which drivers learn the types; None for others."""
        named = len(behind) > 2 and behind[1].says(".")
        table = behind[2 if named else 0]
        rest = [each.text.upper() for each in behind[3 if named else 1 :]]
        if table.kind not in ("word", "name") or rest not in (["WHERE", "0", ""], ["WHERE", "FALSE", ""]):
            return None
        database = behind[0].value if named else self.facts.database
        commas = listed[1::2]
        wanted = [each.value for each in listed[::2] if each.kind in ("word", "name")]
        everything = [each.text for each in listed] == ["*"]
        plain = len(wanted) == len(commas) + 1 and len(listed) % 2 and all(each.says(",") for each in commas)
        if not (everything or plain) or database in set(OF_A_SESSION).difference(DATABASES):
            return None
        columns = self._columns(database, table.value)
        if everything:
            return self.answer(columns, [])
        types = dict(columns)
        for name in wanted:
            if name not in types:
                problem = f"Unknown identifier {name[:80]!r} in table {table.value}"
                raise ClickHouseError(47, "UNKNOWN_IDENTIFIER", problem)
        return self.answer([(name, types[name]) for name in wanted], [])

    def _columns(self, database: str, table: str) -> Columns:
        """Return the columns of a table; ClickHouseError where there is none of this name."""
        columns = self.known(table) if database_of(database) else None
        if columns is None:
            raise unknown_table(database, table)
        return columns

    def _describe(self) -> Answer:
        self.next()
        self.take("TABLE")
        if self.here.says("("):
            raise ClickHouseError(48, "NOT_IMPLEMENTED", "DESCRIBE of a query is not supported here")
        database, table = self.table(self.facts.database)
        self.finish()
        rows = [[name, type, "", "", "", "", ""] for name, type in self._columns(database, table)]
        return self.answer([(name, "String") for name in TEXT], rows)

    def _show(self) -> Answer:
        self.next()
        self.take("FULL")
        what = self.need("TABLES", "DATABASES", "DICTIONARIES", "USERS").text.upper()
        database = self.identifier() if what != "DATABASES" and self.take("FROM", "IN") else self.facts.database
        pattern = "%"
        if self.take("LIKE"):
            if self.here.kind != "text":
                raise self.wrong("a pattern between single quotes")
            pattern = self.next().value
        self.finish()
        if what == "DATABASES":
            found = sorted(DATABASES)
        elif what == "USERS":
            found = [self.facts.user]
        else:
            database_of(database)
            found = sorted(DICTIONARIES) if what == "DICTIONARIES" else names()
        return self.answer([("name", "String")], [[name] for name in found if like(pattern, name)])

    def _exists(self) -> Answer:
        self.next()
        if self.take("DATABASE"):
            there = self.identifier() in DATABASES
        else:
            self.take("TEMPORARY")
            self.take("TABLE", "DICTIONARY", "VIEW")
            database, table = self.table(self.facts.database)
            there = database in DATABASES and self.known(table) is not None
        self.finish()
        return self.answer([("result", "UInt8")], [[int(there)]])

    def _kept(self, word: str) -> Nothing:
        self.next()
        if word == "USE":
            database_of(self.identifier())
            self.finish()
        elif self.here.kind == "end":
            raise self.wrong("more")
        return Nothing(word)

    def _made(self, word: str) -> Nothing | Create:
        """Accept CREATE and DROP of what is there anyway, as the documents of WCS have them; return other tables."""
        self.next()
        if word == "CREATE" and self.take("OR"):
            self.need("REPLACE")
        self.take("TEMPORARY")
        if not self.here.says(*MADE):
            raise ClickHouseError(48, "NOT_IMPLEMENTED", f"{word} {self.here.text[:20].upper()} is not supported here")
        what = self.next().text.upper()
        optional = self.take("IF")
        if optional:
            self.take("NOT")
            self.need("EXISTS")
        if what in ("USER", "ROLE"):
            self.identifier()
        elif what == "DATABASE":
            name = self.identifier()
            if name not in DATABASES and not (optional and word == "DROP"):
                raise ClickHouseError(48, "NOT_IMPLEMENTED", f"expected the database {DATABASE}, got {name[:80]}")
        else:
            database, table = self.table(self.facts.database)
            there = database in DATABASES and self.known(table) is not None
            if word == "CREATE" and what == "TABLE" and database in DATABASES and known(table) is None:
                return create(self, table)
            if not there and not (optional and word == "DROP"):
                if word == "DROP":
                    raise unknown_table(database, table)
                raise ClickHouseError(
                    48, "NOT_IMPLEMENTED", f"no tables are made here but those of WCS: {database[:80]}.{table[:80]}"
                )
        return Nothing(f"{word} {what}")


def _settings_at(found: Sequence[Token]) -> int | None:
    """Return where `SETTINGS name = value, …` begins that the statement ends with, or None."""
    at = len(found)
    while at >= 4 and found[at - 2].says("=") and found[at - 3].kind == "word":
        if found[at - 4].says("SETTINGS"):
            return at - 4 or None
        if not found[at - 4].says(","):
            return None
        at -= 4
    return None


def _one(text: str, found: list[Token]) -> list[Token]:
    """Return the tokens of a single statement, with the one that says where it ends."""
    for number, token in enumerate(found):
        if token.says(";"):
            rest = next(each for each in found[number:] if not each.says(";"))
            if rest.kind != "end":
                what = text[rest.begin : rest.begin + 40]
                raise syntax(f"failed at position {rest.begin + 1}: Multi-statements are not allowed, got {what!r}")
            return [*found[:number], Token("end", "", token.begin, token.begin)]
    return found


def _without_format(found: list[Token]) -> tuple[list[Token], str]:
    """Cut `SETTINGS a = b, …` and `FORMAT name` off the end, in either order; return the format."""
    format = ""
    while True:
        body = found[:-1]
        if not format and len(body) > 2 and body[-2].says("FORMAT") and body[-1].kind == "word":
            format, cut = body[-1].text, len(body) - 2
        elif (place := _settings_at(body)) is not None:
            cut = place
        else:
            return found, format
        found = [*body[:cut], Token("end", "", body[cut].begin, body[cut].begin)]


def like(pattern: str, text: str) -> bool:
    """Tell whether a text is like a pattern, in which % is any text and _ any character."""
    at = place = 0
    star, back = -1, 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == "%":
            star, back = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in ("_", text[at]):
            at += 1
            place += 1
        elif star >= 0:
            back += 1
            place, at = star + 1, back
        else:
            return False
    return not pattern[place:].strip("%")
