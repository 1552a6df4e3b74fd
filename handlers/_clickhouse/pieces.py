"""Records of events put together into inserts, in the same way whenever they are sent again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from isal import igzip

from monitor.handler import Records
from monitor.wire.clickhouse.tables import DATABASE, EXTRA

PREFIX = f"{DATABASE}."
LAST = re.compile(rb"\t[^\t\n]*\n")


@dataclass(frozen=True, slots=True)
class Piece:
    """What goes into one insert."""

    table: str
    columns: tuple[str, ...]
    records: tuple[Records, ...]
    keys: tuple[str, ...]

    @property
    def token(self) -> str:
        """What tells ClickHouse that it is the same insert."""
        return _digest("\0".join((self.table, *self.columns, "", *self.keys)))

    @property
    def rows(self) -> int:
        return sum(one.count for one in self.records)

    @property
    def shown(self) -> str:
        first = self.records[0]
        more = f" and {len(self.records) - 1} more" if len(self.records) > 1 else ""
        return f"{self.table}: {self.rows} rows from {first.source.host}{more}"

    def halves(self) -> list[Piece]:
        middle = len(self.records) // 2
        return [
            Piece(self.table, self.columns, self.records[part], self.keys[part])
            for part in (slice(middle), slice(middle, None))
        ]


def pieces(
    records: Sequence[Records], noted: Sequence[Sequence[str]], *, rows: int, size: int
) -> list[Piece]:  # fmt: skip
    """Return the inserts: those noted whose records are all here, then the others, each of bounded size."""
    named = _named(records)
    left = dict(named)
    found = []
    for keys in noted:
        if keys and all(key in left for key in keys):
            some = [left.pop(key) for key in keys]
            if len({_kind(one) for one in some}) == 1:
                found.append(_piece(list(zip(keys, some, strict=True))))
            else:
                left.update(zip(keys, some, strict=True))
    open: dict[tuple[str, tuple[str, ...]], _Open] = {}
    for key, one in left.items():
        same = open.setdefault(_kind(one), _Open())
        if same.named and (same.rows + one.count > rows or same.size + len(one.body) > size):
            found.append(_piece(same.named))
            same = open[_kind(one)] = _Open()
        same.named.append((key, one))
        same.rows += one.count
        same.size += len(one.body)
    return found + [_piece(same.named) for same in open.values()]


@dataclass(slots=True)
class _Open:
    """An insert that may still grow."""

    named: list[tuple[str, Records]] = field(default_factory=list)
    rows: int = 0
    size: int = 0


def _piece(named: Sequence[tuple[str, Records]]) -> Piece:
    table, columns = _kind(named[0][1])
    return Piece(table, columns, tuple(one for _, one in named), tuple(key for key, _ in named))


def _kind(one: Records) -> tuple[str, tuple[str, ...]]:
    return one.table.removeprefix(PREFIX), tuple(map(str, one.head.get("columns", ())))


def _named(records: Sequence[Records]) -> dict[str, Records]:
    """Return records under names that they have again when they are read again."""
    found: dict[str, Records] = {}
    for one in records:
        body = "" if one.id else blake2b(one.body, digest_size=16).hexdigest()
        name = _digest("\0".join((one.table, *one.source, repr(one.time), str(one.count), one.id, body)))
        number, key = 1, name
        while key in found:
            number += 1
            key = f"{name}.{number}"
        found[key] = one
    return found


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def without_extra(body: bytes, columns: Sequence[str]) -> bytes:
    """Return rows without the cells of the column `extra`."""
    if columns[-1] == EXTRA:
        return LAST.sub(b"\n", body)
    place = list(columns).index(EXTRA)
    rows = [row.split(b"\t") for row in body.split(b"\n")[:-1]]
    return b"".join(b"\t".join(row[:place] + row[place + 1 :]) + b"\n" for row in rows)


def packed(piece: Piece, there: Mapping[str, str], *, gzip: bool) -> bytes:
    """Return the body of an insert into a table of these columns; made in a thread, for it may be some MB."""
    body = b"".join([one.body for one in piece.records])
    if EXTRA in piece.columns and not takes_extra(there):
        body = without_extra(body, piece.columns)
    return igzip.compress(body, compresslevel=1) if gzip else body


def sent_columns(piece: Piece, there: Mapping[str, str]) -> list[str]:
    """Return the columns that are sent to a table of these columns."""
    return [name for name in piece.columns if name != EXTRA or takes_extra(there)]


def lacking(there: Mapping[str, str], piece: Piece) -> str:
    """Return which column a table has not, of what is sent to it; '' where it has all."""
    missing = [name for name in sent_columns(piece, there) if name not in there]
    return f"column {missing[0][:80]!r}" if missing else ""


def takes_extra(there: Mapping[str, str]) -> bool:
    return there.get(EXTRA) in ("String", "Nullable(String)", "LowCardinality(String)")
