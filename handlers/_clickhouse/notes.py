"""What a crash must not make forgotten: which records go into which insert, and which batches were sent already."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import orjson

from handlers._clickhouse.pieces import Piece
from monitor.handler import Records

LARGEST = 64 << 20
WINDOW = 900.0
"""Seconds within which what came again under the same id is the same."""
MOST = 200_000
"""So many ids are known at most, which takes some 50 MB: at 500 batches a second, those of 7 minutes."""
Name = tuple[str, str]


class Notes:
    """Kept in files NAME.inserts, NAME.batches and NAME.batches.old; without a place they last as long as the process.

    A batch is noted before it is sent. It is the same one that is read again after a crash if its time is the same; if
    it is another, the client sent it again, and the first one is enough.
    """

    def __init__(self, place: Path | None, name: str) -> None:
        self.inserts: list[list[str]] = []
        self._place = place
        self._name = name
        self._times: dict[Name, float] = {}
        self._since: float | None = None

    def load(self) -> None:
        """Read what is there; what cannot be understood is as good as nothing. OSError where it cannot be read."""
        if self._place is None:
            return
        try:
            found = orjson.loads(_content(self._place / f"{self._name}.inserts"))
            self.inserts = [[str(key) for key in keys] for keys in found["inserts"]]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            self.inserts = []
        for file in (self._old, self._new):
            for line in _content(file).split(b"\n"):
                try:
                    table, id, time = orjson.loads(line)
                    self._times[str(table), str(id)] = float(time)
                    if file == self._new and self._since is None:
                        self._since = float(time)
                except (ValueError, TypeError):  # the line at which a crash ended the file, too
                    continue

    @property
    def _new(self) -> Path:
        assert self._place is not None
        return self._place / f"{self._name}.batches"

    @property
    def _old(self) -> Path:
        assert self._place is not None
        return self._place / f"{self._name}.batches.old"

    def fresh(self, records: Sequence[Records]) -> list[Records]:
        """Return the records without those that came before, within the window, under the same id."""
        here: dict[Name, float] = {}
        found = []
        for one in records:
            name = (one.table, one.id)
            before = here.get(name, self._times.get(name))
            if one.id and before is not None and before != one.time and abs(one.time - before) <= WINDOW:
                continue
            if one.id:
                here[name] = one.time
            found.append(one)
        return found

    def keep(self, pieces: Sequence[Piece]) -> None:
        """Note inserts and their batches, on the disk before anything of them is sent."""
        new = [
            one
            for piece in pieces
            for one in piece.records
            if one.id and self._times.get((one.table, one.id)) != one.time
        ]
        inserts = [list(piece.keys) for piece in pieces]
        if self._place is not None:
            if new:
                self._append(new)
            if inserts != self.inserts:
                path = self._place / f"{self._name}.inserts"
                made = path.with_suffix(".made")
                with made.open("wb") as file:
                    _written(file, orjson.dumps({"inserts": inserts}))
                made.replace(path)
        self.inserts = inserts
        for one in new:
            self._times.pop((one.table, one.id), None)
            self._times[one.table, one.id] = one.time
        while len(self._times) > MOST:
            del self._times[next(iter(self._times))]

    def _append(self, records: Sequence[Records]) -> None:
        now = max(one.time for one in records)
        if self._since is None or abs(now - self._since) > WINDOW:
            if self._new.exists():
                self._new.replace(self._old)
            oldest = now - 2 * WINDOW
            self._times = {name: time for name, time in self._times.items() if time > oldest}
            self._since = now
        with self._new.open("ab") as file:
            _written(file, b"".join(_lines(records)))


def _lines(records: Sequence[Records]) -> Iterator[bytes]:
    for one in records:
        yield orjson.dumps([one.table, one.id, one.time]) + b"\n"


def _written(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST)
    except FileNotFoundError:
        return b""
