"""The formats in which rows come and go: what each name stands for.

    read(format, body, columns)  ->  Rows
    reading(…)                       the same in slices: `yield` where others may work

Every reader raises ClickHouseError with the code that ClickHouse has for what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from monitor.wire.clickhouse import tsv
from monitor.wire.clickhouse.cells import refusal
from monitor.wire.clickhouse.rows import Pieces, Rows
from monitor.wire.clickhouse.tables import EXTRA
from monitor.wire.clickhouse.types import Column


def read(format: str, body: bytes, columns: Sequence[Column], *, unknown: bool = False) -> Rows:
    """Return the rows of a body, canonical.

    `columns` are those that the rows are of, in the order of formats without names. `unknown` keeps what has a name of
    its own but no column as JSON in EXTRA; otherwise it is left out, as ClickHouse does.
    """
    work = reading(format, body, columns, unknown=unknown)
    while True:
        try:
            next(work)
        except StopIteration as done:
            rows: Rows = done.value
            return rows


def reading(
    format: str, body: bytes, columns: Sequence[Column], *, unknown: bool = False
) -> Generator[None, None, Rows]:
    """Do as `read` does, in slices of about a millisecond; the rows are the generator's return value."""
    reader = READERS.get(format)
    if reader is None:
        raise refusal(73, f"Unknown format {format[:80]}")
    names, pieces = reader(body, columns, unknown)
    found = []
    for piece in pieces:
        found.append(piece)
        yield
    count = sum(piece.count for piece in found)
    if not any(piece.extra for piece in found):
        bodies = [piece.body for piece in found]
        return Rows(names, count, bodies[0] if len(bodies) == 1 else b"".join(bodies))
    # A raw newline is always the end of a row.
    bodies = [piece.body if piece.extra else piece.body.replace(b"\n", b"\t\n") for piece in found]
    return Rows([*names, EXTRA], count, b"".join(bodies))


Reader = Callable[[bytes, Sequence[Column], bool], tuple[list[str], Pieces]]


def _tab_separated(body: bytes, columns: Sequence[Column], unknown: bool) -> tuple[list[str], Pieces]:
    return [column.name for column in columns], tsv.read(body, columns)


READERS: dict[str, Reader] = {
    "TabSeparated": _tab_separated,
    "TSV": _tab_separated,
}
