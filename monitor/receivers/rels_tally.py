"""Counts what the events of WCS servers say, by server, until it is taken: the numbers that become series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitor.batch import Floats
from monitor.receivers.rels_plan import NAMES, PLANS, Kinds, Measure, Plan
from monitor.receivers.rels_sessions import Sessions
from monitor.wire.clickhouse.grid import MIX, Grid, Places, Words, distinct, mixed
from monitor.wire.clickhouse.tables import TABLES

MOST_SERVERS = 10_000
MOST_DISTINCT = 4_000_000
"""Streams, sessions and so on that are told from each other until they are taken, of all servers together."""
COMPACTED = 500_000
FRESH, KEPT = 5, 60
"""Turns for which a silent server has zeros, and for which it is known."""
BELIEVABLE = 1e12
VERSION = 2
"""What CDNEvent calls VERSION."""
LATEST = 100
"""Of the versions that many rows tell so many are read, and so many letters of each."""
NOBODY = 0
"""The number of all servers that are too many."""

COLUMN = {name: number for number, name in enumerate(NAMES)}
MEASURES = tuple(one for plan in PLANS.values() for one in plan.measures)
DISTINCT = tuple(dict.fromkeys(name for plan in PLANS.values() for name in plan.marks.values()))
PARTLY = tuple(COLUMN[one.name] for one in MEASURES)
"""The series that are unknown where no row told them."""


@dataclass(frozen=True, slots=True)
class ServerNumbers:
    """What a server told since the last time."""

    server: str
    rows: int
    values: dict[str, float]
    version: str


class Tally:
    """Not for several threads at the same time."""

    def __init__(self) -> None:
        self.uncounted = 0
        """Rows of servers beyond the most that are known."""
        self._servers: dict[str, int] = {"": NOBODY}
        self._addresses = [""]
        self._versions: dict[str, str] = {}
        self._counts = np.zeros((1, len(NAMES)))
        """By server and series: how many there are, or the sum of a measure."""
        self._measured = np.zeros((1, len(NAMES)))
        """How many rows a measure's sum is of."""
        self._idle = np.zeros(1, np.int64)
        self._named = np.zeros((1, len(NAMES)), np.bool_)
        """Series that a server has, once it had them."""
        self._marks: dict[str, list[tuple[Words, Places]]] = {}
        self._waiting, self._most_waiting = 0, COMPACTED
        self._sessions = {
            table: Sessions(len(plan.told.rises), len(plan.told.newest))
            for table, plan in PLANS.items()
            if plan.told is not None
        }

    def __len__(self) -> int:
        """Return how many servers are known."""
        return len(self._servers) - 1

    def add(self, table: str, columns: Sequence[str], peer: str, body: bytes) -> set[str]:
        """Count the rows of a table, in their canonical form; those without a server's address are the peer's.

        Return the servers whose they are. ValueError where they are of another form.
        """
        plan = PLANS[table]
        grid = Grid(body, columns)
        mine, places = self._whose(grid, TABLES[table].server, peer)
        rows = np.bincount(places, minlength=len(mine))
        self.uncounted += int(rows[mine == NOBODY].sum())
        for name in ("events", f"events.{table}"):
            self._counts[mine, COLUMN[name]] += rows
        for kinds in plan.kinds:
            if kinds.column in grid:
                self._add_kinds(grid, kinds, mine, places)
        for flag in plan.flags:
            if flag.column in grid:
                true = grid.true(flag.column)
                self._counts[mine, COLUMN[flag.name]] += np.bincount(places[true], minlength=len(mine))
        numbers: dict[str, Floats] = {}
        for measure in plan.measures:
            self._add_measure(grid, measure, mine, places, numbers)
        self._add_marks(grid, plan, mine[places])
        if table == "CDNEvent":
            self._add_versions(grid)
        return {self._addresses[number] for number in mine.tolist() if number != NOBODY}

    def _whose(self, grid: Grid, column: str, peer: str) -> tuple[Places, Places]:
        """Return the numbers of the servers that there are, and for each row the place of its server among them."""
        if column not in grid:
            return np.array([self._number(peer)]), np.zeros(len(grid), np.int64)
        marks = grid.marks(column)
        # Rows of a server stand together, most often all of them.
        begins = np.flatnonzero(np.append(True, marks[1:] != marks[:-1]))
        _, first, runs = np.unique(marks[begins], return_index=True, return_inverse=True)
        mine = np.array([self._number(grid.text(column, row)) for row in begins[first].tolist()])
        return mine, np.repeat(runs, np.diff(np.append(begins, len(grid))))

    def _number(self, server: str) -> int:
        number = self._servers.get(server)
        if number is None:
            if len(self._servers) > MOST_SERVERS:
                return NOBODY
            number = self._servers[server] = len(self._servers)
            self._addresses.append(server)
            if number >= len(self._counts):
                self._grow(2 * number)
        return number

    def _grow(self, size: int) -> None:
        more = ((0, size - len(self._counts)), (0, 0))
        self._counts, self._measured = np.pad(self._counts, more), np.pad(self._measured, more)
        self._named, self._idle = np.pad(self._named, more), np.pad(self._idle, more[0])

    def _add_kinds(self, grid: Grid, kinds: Kinds, mine: Places, places: Places) -> None:
        most = len(kinds.words)
        found = np.minimum(grid.numbers(kinds.column) // kinds.over, most).astype(np.int64)
        counts = np.bincount(places * (most + 1) + found, minlength=len(mine) * (most + 1))
        first = COLUMN[kinds.names[0]]
        self._counts[mine, first : first + most + 1] += counts.reshape(-1, most + 1)

    def _add_measure(
        self, grid: Grid, measure: Measure, mine: Places, places: Places, numbers: dict[str, Floats]
    ) -> None:
        if not all(name in grid for name in (measure.column, measure.per or measure.column)):
            return
        for name in filter(None, (measure.column, measure.per)):
            if name not in numbers:
                numbers[name] = grid.numbers(name)
        values = numbers[measure.column]
        good = (values >= 0) & (values < BELIEVABLE)
        if measure.per:
            spans = numbers[measure.per]
            good &= (spans > 0) & (spans < BELIEVABLE)
            values = values * 1000 / np.where(good, spans, 1.0)
        if measure.unless and measure.unless in grid:
            good &= ~grid.true(measure.unless)
        values, whose = values[good], places[good]
        column = COLUMN[measure.name]
        counts = np.bincount(whose, minlength=len(mine))
        if measure.how == "mean":
            made = self._counts[mine, column] + np.bincount(whose, values, len(mine))
        else:
            made = np.where(self._measured[mine, column] > 0, self._counts[mine, column], np.nan)
            pick = np.fmax if measure.how == "max" else np.fmin
            pick.at(made, whose, values)
        self._counts[mine, column] = made
        self._measured[mine, column] += counts

    def _add_marks(self, grid: Grid, plan: Plan, servers: Places) -> None:
        own = servers.astype(np.uint64) * MIX
        marks = {column: grid.marks(column) for column in plan.marks if column in grid}
        for column, found in marks.items():
            filled = grid.filled(column)
            keys, whose = mixed(found ^ own), servers
            if not filled.all():
                keys, whose = keys[filled], whose[filled]
            some = distinct(keys)
            self._marks.setdefault(plan.marks[column], []).append((keys[some], whose[some]))
            self._waiting += len(some)
        if self._waiting > self._most_waiting:
            self._compact()
        told = plan.told
        if told is None or not all(name in grid for name in (*told.keys, *told.rises.values(), *told.newest.values())):
            return
        keys = own
        for name in told.keys:
            keys = mixed(keys ^ (marks[name] if name in marks else grid.marks(name)))
        values = [grid.numbers(name) for name in (*told.rises.values(), *told.newest.values())]
        values = [np.where(one < BELIEVABLE, np.maximum(one, 0.0), 0.0) for one in values]
        table = next(name for name, one in PLANS.items() if one is plan)
        self._sessions[table].add(keys, servers, np.stack(values, axis=1))

    def _compact(self) -> None:
        """Leave out marks that are there twice; beyond the most that may be there are no more until they are taken."""
        self._waiting = 0
        for name, parts in self._marks.items():
            keys, servers = _once(parts)
            room = MOST_DISTINCT - self._waiting
            self._marks[name] = [(keys[:room], servers[:room])]
            self._waiting += len(keys[:room])
        self._most_waiting = max(COMPACTED, 2 * self._waiting)

    def _add_versions(self, grid: Grid) -> None:
        if not all(column in grid for column in ("eventType", "nodeId", "eventPayload")):
            return
        for row in np.flatnonzero(grid.numbers("eventType") == VERSION)[-LATEST:].tolist():
            node, text = grid.text("nodeId", row), grid.text("eventPayload", row).strip()
            if text.isprintable() and (node in self._versions or len(self._versions) < MOST_SERVERS):
                self._versions[node] = text[:LATEST]

    def take(self, per: float = 1.0) -> list[ServerNumbers]:
        """Return what there is of each server and begin anew; counts of rows are divided by `per`."""
        size = len(self._counts)
        heard = self._counts[:, COLUMN["events"]] > 0
        rows = self._counts[:, COLUMN["events"]].astype(np.int64)
        made = self._counts / per
        means = [COLUMN[one.name] for one in MEASURES if one.how == "mean"]
        with np.errstate(invalid="ignore"):
            made[:, PARTLY] = np.where(self._measured[:, PARTLY] > 0, self._counts[:, PARTLY], np.nan)
            made[:, means] /= self._measured[:, means]
        for name, parts in self._marks.items():
            made[:, COLUMN[name]] = np.bincount(_once(parts)[1], minlength=size)
        for table, sessions in self._sessions.items():
            told = PLANS[table].told
            assert told is not None
            rises, newest = sessions.take(size)
            at = [COLUMN[name] for name in told.rises]
            made[:, at] = rises / per
            self._named[:, at] |= self._counts[:, [COLUMN[f"events.{table}"]]] > 0
            at = [COLUMN[name] for name in told.newest]
            made[:, at] = newest
            self._named[:, at] |= ~np.isnan(newest)
        self._named |= ~np.isnan(made) & (made != 0)
        self._named[:, PARTLY] |= ~np.isnan(made[:, PARTLY])
        self._idle = np.where(heard, 0, self._idle + 1)
        found = [
            ServerNumbers(server, int(rows[number]), self._values(number, made[number]), self._versions.get(server, ""))
            for server, number in self._servers.items()
            if number != NOBODY and self._idle[number] <= FRESH
        ]
        self._marks, self._waiting, self._most_waiting = {}, 0, COMPACTED
        self._counts[:], self._measured[:] = 0, 0
        if (self._idle[1 : len(self._servers)] > KEPT).any():
            self._forget()
        return found

    def _values(self, number: int, made: Floats) -> dict[str, float]:
        at = np.flatnonzero(self._named[number])
        return {NAMES[i]: value for i, value in zip(at.tolist(), made[at].tolist(), strict=True)}

    def _forget(self) -> None:
        """Forget servers that are silent for long, and give the others their numbers."""
        kept = [number for number in self._servers.values() if number == NOBODY or self._idle[number] <= KEPT]
        numbers = np.full(len(self._counts), -1)
        numbers[kept] = np.arange(len(kept))
        self._servers = {
            server: int(numbers[number]) for server, number in self._servers.items() if numbers[number] >= 0
        }
        self._addresses = list(self._servers)
        self._counts, self._measured = self._counts[kept], self._measured[kept]
        self._named, self._idle = self._named[kept], self._idle[kept]
        for sessions in self._sessions.values():
            sessions.renumber(numbers)


def _once(parts: Sequence[tuple[Words, Places]]) -> tuple[Words, Places]:
    keys, first = np.unique(np.concatenate([one[0] for one in parts]), return_index=True)
    return keys, np.concatenate([one[1] for one in parts])[first]
