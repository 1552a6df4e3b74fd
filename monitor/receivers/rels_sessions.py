"""What sessions tell of themselves again and again: by how much their counts rose, and their newest numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Floats
from monitor.wire.clickhouse.grid import Places, Words

MERGED = 100_000
"""Rows that wait for being merged, at most."""
MOST = 500_000
"""Sessions whose last numbers are remembered."""
FORGOTTEN = 10
"""Turns after which a session that tells nothing is forgotten."""


class Sessions:
    """Those of a table. A count that falls began anew; of the first that is heard of one nothing is known yet."""

    def __init__(self, rises: int, newest: int) -> None:
        self._rises = rises
        self._columns = rises + newest
        self._turn = 0
        self._waiting: list[tuple[Words, Places, Floats]] = []
        self._rows = 0
        self._keys = np.empty(0, np.uint64)
        self._servers = np.empty(0, np.int64)
        self._values = np.empty((0, self._columns))
        self._turns = np.empty(0, np.int64)
        self._risen: dict[int, Floats] = {}

    def add(self, keys: Words, servers: Places, values: Floats) -> None:
        """Take rows in their order: whose, of which server, and a row of numbers for each."""
        self._waiting.append((keys, servers, values))
        self._rows += len(keys)
        if self._rows > MERGED:
            self._merge()

    def _merge(self) -> None:
        if not self._waiting:
            return
        keys = np.concatenate([self._keys, *(one[0] for one in self._waiting)])
        servers = np.concatenate([self._servers, *(one[1] for one in self._waiting)])
        values = np.concatenate([self._values, *(one[2] for one in self._waiting)])
        turns = np.concatenate([self._turns, np.full(self._rows, self._turn)])
        self._waiting, self._rows = [], 0
        order = np.argsort(keys, kind="stable")
        keys, servers, values, turns = keys[order], servers[order], values[order], turns[order]
        same = keys[1:] == keys[:-1]
        counts = values[:, : self._rises]
        rise = counts[1:] - counts[:-1]
        rise = np.where(rise < 0, counts[1:], rise)[same]
        whose, place = np.unique(servers[1:][same], return_inverse=True)
        sums = np.stack([np.bincount(place, rise[:, i], len(whose)) for i in range(self._rises)], axis=1)
        for server, more in zip(whose.tolist(), sums, strict=True):
            self._risen[server] = self._risen[server] + more if server in self._risen else more
        last = np.flatnonzero(np.append(~same, True))
        if len(last) > MOST:
            last = np.sort(last[np.argsort(-turns[last], kind="stable")[:MOST]])
        self._keys, self._servers, self._values = keys[last], servers[last], values[last]
        self._turns = turns[last]

    def take(self, servers: int) -> tuple[Floats, Floats]:
        """Return by server the rises, and the sums of what is newest; NaN where nothing was told. A new turn begins."""
        self._merge()
        risen = np.zeros((servers, self._rises))
        for server, sums in self._risen.items():
            risen[server] = sums
        self._risen = {}
        now = self._turns == self._turn
        told = np.bincount(self._servers[now], minlength=servers)
        newest = np.full((servers, self._columns - self._rises), np.nan)
        for column in range(newest.shape[1]):
            numbers = np.bincount(self._servers[now], self._values[now, self._rises + column], servers)
            newest[:, column] = np.where(told > 0, numbers, np.nan)
        self._turn += 1
        self._only(self._turns > self._turn - FORGOTTEN)
        return risen, newest

    def renumber(self, numbers: Places) -> None:
        """Give servers other numbers; what has a negative one is forgotten. Only after `take`."""
        self._servers = numbers[self._servers]
        self._only(self._servers >= 0)

    def _only(self, kept: NDArray[np.bool_]) -> None:
        self._keys, self._servers, self._values = self._keys[kept], self._servers[kept], self._values[kept]
        self._turns = self._turns[kept]
