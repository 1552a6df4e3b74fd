"""Columns by their names, as formats with names give them."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.wire.clickhouse.cells import refusal
from monitor.wire.clickhouse.types import Column, Type

STRING = Type.parse("String")


class Names:
    """Finds columns by their names; where none is of the same case, one of another case is taken."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = {column.name: column for column in columns}
        self._folded = {column.name.lower(): column for column in reversed(columns)}

    def find(self, name: str) -> Column | None:
        return self._columns.get(name) or self._folded.get(name.lower())

    def header(self, names: Sequence[str], types: Sequence[str] | None, *, binary: bool = False) -> list[Column]:
        """Return the columns that a header names; those that are none of ours are not `known`.

        `types`, where they are given, have to be those of the columns. `binary` says that a value which is none of ours
        has to be read as its type says; elsewhere it is a text.
        """
        if types is not None and len(types) != len(names):
            raise refusal(
                117, f"The number of data types ({len(types)}) differs from the number of column names ({len(names)})"
            )
        found = []
        seen = set()
        for index, name in enumerate(names):
            column = self.find(name)
            if name in seen or (column and column.name in seen):
                raise refusal(117, f"Duplicate field found while parsing format header: {name[:80]}")
            seen.add(column.name if column else name)
            if column is None:
                column = Column(name, Type.parse(types[index]) if types and binary else STRING, known=False)
            elif types is not None and Type.parse(types[index]).name != column.type.name:
                raise refusal(117, f"Type of {name!r} must be {column.type.name}, not {types[index][:80]}")
            found.append(column)
        return found
