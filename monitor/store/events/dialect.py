"""Makes a SELECT of ClickHouse's dialect one of PostgreSQL's over the tables of events.

Nothing of the text goes through as it came: key words and functions are those that are known here, what else is a word
is an identifier between quotes, with which its case is kept, and texts are written anew. A table becomes a sub-query
that has its columns under ClickHouse's names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from monitor.store.events import others, selected
from monitor.store.events.cells import held
from monitor.store.events.functions import FUNCTIONS, KEYWORDS, words
from monitor.store.events.others import NO_OTHERS, Given
from monitor.store.events.selected import Item
from monitor.wire.clickhouse.errors import ClickHouseError, syntax
from monitor.wire.clickhouse.tables import DATABASE, DICTIONARIES, EXTRA, TYPE_TABLES, known
from monitor.wire.clickhouse.tokens import Scanner, Token

AFTER_TABLE = words("WHERE ON USING JOIN INNER LEFT RIGHT FULL OUTER CROSS GROUP HAVING ORDER LIMIT")
UNITS = words("SECOND MINUTE HOUR DAY WEEK MONTH YEAR")
SIGNS = frozenset("(),;*=.<>!|+%-/")
TABLE = "(SELECT {columns} FROM {table})"
NUMBER = re.compile(r"\d+(\.\d*)?([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|0x[0-9A-Fa-f]{1,16}", re.ASCII)
DEEPEST = 50
OWN = "with "
"""Before names that WITH gives: where they do not hold, there must be no table of PostgreSQL's of that name."""
LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class Translated:
    sql: str
    items: list[Item] | None
    """None where a * stands for some."""
    types: dict[str, str]
    """Of the columns of its tables, as far as all agree."""


@dataclass(slots=True)
class Frame:
    """What is between two parentheses, or outside of all. `source` says that tables are expected."""

    query: bool
    close: str = ")"
    between: tuple[str, ...] = ()
    commas: int = 0
    source: bool = False
    listed: bool = False
    """Whether it is a query whose tables are being listed."""
    derived: bool = False
    """Whether it stands for a table."""


class Translator(Scanner):
    def __init__(self, text: str, database: str = DATABASE, others: Mapping[str, Given] = NO_OTHERS) -> None:
        super().__init__(text)
        self.database = database
        self.others = others
        self.made: list[str] = []
        self.frames = [Frame(query=True)]
        self.items: list[list[Token]] = []
        self.selecting = False
        self.types: dict[str, str] = {}
        self.own: set[str] = set()
        """Names that WITH gives to queries."""
        self.derived = 0
        self.named = False
        """Whether a name stands before what is next."""
        self.begins: list[int] = []
        """Where in what is made each item of the outermost list begins."""
        self.aliases: dict[str, str] = {}
        """What the outermost query's names for expressions stand for."""
        self.naming = False
        """Whether such names may stand for their expressions here."""

    def run(self) -> Translated:
        if not self.here.says("SELECT", "WITH", "("):
            raise self.wrong("SELECT or WITH")
        while self.here.kind != "end":
            self._step()
        if len(self.frames) > 1:
            raise self.wrong("a closing parenthesis")
        return Translated(" ".join(self.made), self._items(), self.types)

    def _step(self) -> None:
        token = self.next()
        frame = self.frames[-1]
        if frame.source and token.kind in ("word", "name") and not self._keyword(token):
            self._note(token)
            self._table(token)
            self._refuse_call()
            self.named = True
            return
        if token.kind == "sign":
            self._note(token)
            self._sign(token)
            self.named = False
            return
        if token.kind == "number":
            if NUMBER.fullmatch(token.text) is None:
                raise syntax(f"failed at position {token.begin + 1}: expected a number, got {token.text[:40]!r}")
            self._put(str(int(token.text, 16)) if token.text[:2].lower() == "0x" else token.text, token)
        elif token.kind == "text":
            if self.named:
                # PostgreSQL would take the name for a type.
                raise syntax(f"failed at position {token.begin + 1}: expected no text behind a name")
            self._put(literal(token.value), token)
        elif self._keyword(token):
            self._word(token)
        elif token.kind == "word" and self.here.says("("):
            self._note(token)
            self._call(token)
        else:
            self._identifier(token)
            self._refuse_call()
            self.named = True
            return
        self.named = False

    def _refuse_call(self) -> None:
        """Refuse what PostgreSQL would take for the call of a function, or for the names of a table's columns."""
        if self.here.says("("):
            raise self.wrong("no parenthesis behind a name")

    def _put(self, text: str, token: Token) -> None:
        self._note(token)
        self.made.append(text)

    def _note(self, token: Token) -> None:
        if self.selecting:
            self.items[-1].append(token)

    def _keyword(self, token: Token) -> bool:
        return token.kind == "word" and token.text.upper() in KEYWORDS

    def _word(self, token: Token) -> None:
        word, frame = token.text.upper(), self.frames[-1]
        outermost = len(self.frames) == 1
        if word == "SELECT" and outermost and not self.items:
            self.selecting = True
            self.items.append([])
            self.made.append(word)
            if self.take("DISTINCT"):
                self.made.append("DISTINCT")
            self.begins.append(len(self.made))
            return
        if word == "FROM":
            if not frame.query:
                raise syntax(f"failed at position {token.begin + 1}: expected an expression, got FROM")
            if outermost and self.selecting:
                self._name_items()
                self.selecting = False
            frame.source = frame.listed = True
        elif word in AFTER_TABLE:
            frame.source = word == "JOIN"
            frame.listed = word in ("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "OUTER", "CROSS", "ON", "USING")
        elif word == "UNION" and not self.here.says("ALL", "DISTINCT"):
            raise self.wrong("ALL or DISTINCT")
        if outermost:
            self.selecting = self.selecting and word not in ("UNION", "LIMIT", "WHERE")
            if word in ("WHERE", "GROUP", "HAVING"):
                self.naming = True
            elif word in ("SELECT", "FROM", "ORDER", "LIMIT", "UNION", "EXCEPT", "INTERSECT"):
                self.naming = False
        if word == "WITH":
            self._with()
        elif word == "INTERVAL":
            self._interval(token)
        elif word == "LIMIT":
            self._limit()
        else:
            self._put(word, token)
            if word == "NULLS":
                self.made.append(self.need("FIRST", "LAST").text.upper())

    def _with(self) -> None:
        """Begin a query with others that have names."""
        self.made.append("WITH")
        self._named()

    def _named(self) -> None:
        name = self.identifier()
        self.need("AS")
        if not self.here.says("("):
            raise self.wrong("( and a query")
        self.own.add(name)
        self.made += [quoted(f"{OWN}{name}"), "AS"]
        self._open(self.next(), Frame(query=True, close=") --named"))

    def _interval(self, token: Token) -> None:
        number, unit = self.next(), self.next()
        if not number.text.isdigit() or unit.text.upper() not in UNITS:
            raise syntax(f"failed at position {number.begin + 1}: expected a number and a unit such as HOUR")
        self._put(f"interval '{int(number.text)} {unit.text.lower()}'", token)

    def _limit(self) -> None:
        first = self._count()
        if self.take(","):
            self.made += ["LIMIT", self._count(), "OFFSET", first]
        else:
            self.made += ["LIMIT", first]
            if self.here.says("BY"):
                raise ClickHouseError(48, "NOT_IMPLEMENTED", "LIMIT BY is not supported here")

    def _count(self) -> str:
        if not self.here.text.isdigit() or self.here.kind != "number":
            raise self.wrong("a number of rows")
        return self.next().text

    def _table(self, token: Token) -> None:
        """Put the sub-query of a table, and its alias."""
        name, database = token.value, self.database
        qualified = self.take(".")
        if qualified:
            database, name = name, self.identifier()
        self.frames[-1].source = False
        if not qualified and name in self.own:
            self.made += [quoted(f"{OWN}{name}"), *self._alias(name)]
            return
        if database not in (DATABASE, "default"):
            raise ClickHouseError(81, "UNKNOWN_DATABASE", f"Database {database[:80]} does not exist")
        table = known(name)
        if table is not None:
            real, columns = table.name, table.columns
        elif one := TYPE_TABLES.get(name) or DICTIONARIES.get(name):
            real, columns = one.table, one.columns
        elif name in self.others:
            real, columns = "", (*self.others[name], (EXTRA, "String"))
        else:
            raise ClickHouseError(60, "UNKNOWN_TABLE", f"Table {database[:80]}.{name[:80]} does not exist")
        for column, type in columns:
            self.types[column] = type if self.types.get(column, type) == type else ""
        listed = ", ".join(f"{column.lower()} AS {quoted(column)}" for column, _ in columns)
        made = TABLE.format(columns=listed, table=f"{DATABASE}.{real.lower()}")
        self.made.append(made if real else others.source(name, columns))
        self.made += self._alias(name)

    def _alias(self, name: str) -> list[str]:
        if self.take("AS") or (self.here.kind in ("word", "name") and not self._keyword(self.here)):
            if self.here.says("FINAL", "SAMPLE", "PREWHERE", "ARRAY", "ANY", "ASOF", "SEMI", "ANTI", "GLOBAL"):
                raise ClickHouseError(48, "NOT_IMPLEMENTED", f"{self.here.text.upper()} is not supported here")
            name = self.identifier()
        return ["AS", quoted(name)]

    def _identifier(self, token: Token) -> None:
        """Put a column, with its table or without, or an alias."""
        name = token.value
        if self.naming and name in self.aliases and not self._inside() and not self._qualified():
            self.made.append(self.aliases[name])
            return
        if name == DATABASE and self.here.says("."):
            self._note(token)
            self._note(self.next())
            token = self.here
            name = self.identifier()
        self._put(quoted(name), token)

    def _inside(self) -> bool:
        """Tell whether this is a query within the outermost one, which has names of its own."""
        return any(frame.query for frame in self.frames[1:])

    def _qualified(self) -> bool:
        return self.made[-1:] == ["."] or self.here.says(".")

    def _name_items(self) -> None:
        """Note what the names of expressions stand for: in WHERE, GROUP BY and HAVING they count more than columns."""
        ends = [*(begin - 1 for begin in self.begins[1:]), len(self.made)]
        for tokens, begin, end in zip(self.items, self.begins, ends, strict=True):
            expression = self.made[begin:end]
            if (alias := selected.alias(tokens)) and expression[-1:] == [quoted(alias)]:
                del expression[-2 if expression[-2:-1] == ["AS"] else -1 :]
                self.aliases[alias] = " ".join(["(", *expression, ")"])

    def _call(self, token: Token) -> None:
        name = token.value
        function = FUNCTIONS.get(name.lower())
        if function is None:
            raise ClickHouseError(46, "UNKNOWN_FUNCTION", f"Function with name {name[:80]!r} does not exist")
        self._note(self.next())
        if function.empty and self.here.says(")"):
            self._note(self.next())
            self.made.append(function.empty)
            return
        if not function.open:
            raise ClickHouseError(42, "NUMBER_OF_ARGUMENTS_DOESNT_MATCH", f"Function {name} takes no arguments")
        if function.open.startswith("wcs.dictgetstring") and self.here.kind == "text":
            self._check_dictionary(self.here.value)
        self._push(Frame(query=False, close=function.close, between=function.between))
        self.made.append(function.open)

    @staticmethod
    def _check_dictionary(name: str) -> None:
        if name.removeprefix(f"{DATABASE}.") not in DICTIONARIES:
            raise ClickHouseError(36, "BAD_ARGUMENTS", f"Dictionary (`{name[:80]}`) not found")

    def _open(self, token: Token, frame: Frame) -> None:
        self._push(frame)
        self.made.append(token.text)

    def _push(self, frame: Frame) -> None:
        if len(self.frames) == DEEPEST:
            raise syntax(f"expected at most {DEEPEST} parentheses in each other")
        self.frames.append(frame)

    def _sign(self, token: Token) -> None:
        text, frame = token.text, self.frames[-1]
        if text not in SIGNS or text == ";":
            raise syntax(f"failed at position {token.begin + 1}: {text!r} is not supported here")
        if text == "(":
            derived = frame.source
            frame.source = False
            query = self.here.says("SELECT", "WITH")
            # A join between parentheses begins with a table, too.
            self._open(token, Frame(query=query, source=derived and not query, derived=derived and query))
        elif text == ")":
            self._close(token)
        elif text == ",":
            if frame.listed and frame.query:
                frame.source = True
            if len(self.frames) == 1 and self.selecting:
                self.items[-1].pop()
                self.items.append([])
                self.begins.append(len(self.made) + 1)
            self.made.append(frame.between[min(frame.commas, len(frame.between) - 1)] if frame.between else ",")
            frame.commas += 1
        elif text in "=<>!|" and self.here.kind == "sign" and self.here.begin == token.end:
            self._compound(token)
        else:
            self.made.append(text)

    def _close(self, token: Token) -> None:
        if len(self.frames) == 1:
            raise syntax(f"failed at position {token.begin + 1}: there is nothing to close")
        frame = self.frames.pop()
        if frame.close == ") --named":
            self.made.append(")")
            if self.take(","):
                self.made.append(",")
                self._named()
            return
        self.made.append(frame.close)
        if frame.derived:
            self.derived += 1
            self.made += self._alias(f"_{self.derived}")

    def _compound(self, token: Token) -> None:
        both = token.text + self.here.text
        if both not in ("==", "!=", "<>", "<=", ">=", "||"):
            self.made.append(token.text)
            return
        self._note(self.next())
        self.made.append("=" if both == "==" else both)

    def _items(self) -> list[Item] | None:
        if any(selected.is_star(one) for one in self.items):
            return None
        return [selected.item(self.text, one, self.types) for one in self.items]


def quoted(name: str) -> str:
    if len(name.encode()) > LONGEST_NAME or "\0" in name:
        raise syntax(f"expected a name of at most {LONGEST_NAME} bytes, got {name[:40]!r}")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as PostgreSQL reads it, whatever is in it."""
    escaped = held(text.encode("utf-8", "surrogateescape")).replace("\\", "\\\\").replace("'", "\\'")
    return f"E'{escaped}'" if "\\" in escaped else f"'{escaped}'"


def translate(sql: str, database: str = DATABASE, others: Mapping[str, Given] = NO_OTHERS) -> Translated:
    """Return the statement for PostgreSQL; ClickHouseError where it is none that is understood here."""
    return Translator(sql, database, others).run()


def statements(text: str) -> Iterator[str]:
    """Yield the statements of a script, without the semicolons between them; what is none ends it as one."""
    scanner = Scanner(text)
    begin: int | None = None
    end = 0
    while scanner.here.kind != "end":
        token = scanner.next()
        if token.says(";"):
            if begin is not None:
                yield text[begin:end]
            begin = None
            continue
        begin = token.begin if begin is None else begin
        end = token.end
    if begin is not None:
        yield text[begin:end]
