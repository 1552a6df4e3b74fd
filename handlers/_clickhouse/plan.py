"""Which records went into which insert, on the disk: so that after a crash the same inserts are made again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import orjson

LARGEST = 32 << 20

Keys = list[list[str]]


class Plan:
    """Kept in one small file; without a file it is kept for as long as the process runs."""

    def __init__(self, path: Path | None) -> None:
        self.pieces: Keys = []
        self._path = path

    def load(self) -> None:
        """Read what was under way; a file that cannot be used is as good as none. OSError where it cannot be read."""
        if self._path is None:
            return
        try:
            with self._path.open("rb") as file:
                found = orjson.loads(file.read(LARGEST))
            self.pieces = [[str(key) for key in keys] for keys in found["inserts"]]
        except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError):
            self.pieces = []

    def keep(self, pieces: Sequence[Sequence[str]]) -> None:
        """Have these on the disk before anything of them is sent."""
        wanted = [list(keys) for keys in pieces]
        if wanted == self.pieces:
            return
        if self._path is not None:
            new = self._path.with_suffix(".new")
            with new.open("wb") as file:
                file.write(orjson.dumps({"inserts": wanted}))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        self.pieces = wanted
