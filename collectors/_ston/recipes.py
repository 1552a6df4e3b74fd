"""Of which fields each series consists, in a tree of a given shape: the collector's tables applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from collectors._ston.columns import Path, Recipe, Term, Tree, at, has
from collectors._ston.field import PROTOCOLS, Field, How

WINDOW = 300.0
"""The seconds that a Sum is of."""
Found = dict[str, list[Term]]


@dataclass(frozen=True)
class Tables:
    """The tables of the collector, each of which is read in its own way."""

    server: Sequence[Field]
    instance: Sequence[Field]
    sessions: Sequence[Field]
    traffic: Sequence[Field]
    hits: Sequence[Field]
    calls: Sequence[Field]

    def scaled(self, scales: Mapping[str, float], time: float) -> Tables:
        """Return tables with other scales of the server's series that begin so, and of times."""

        def changed(row: Field) -> Field:
            return row._replace(over=next((scales[begin] for begin in scales if row.name.startswith(begin)), row.over))

        return replace(
            self,
            server=tuple(map(changed, self.server)),
            traffic=tuple(row._replace(over=time) if row.how is How.TIME else row for row in self.traffic),
            calls=tuple(row._replace(over=time) for row in self.calls),
        )

    def limits(self) -> dict[str, tuple[float, float]]:
        rows = (*self.server, *self.instance, *self.sessions, *self.traffic, *self.hits, *self.calls)
        return {row.name: (row.min, row.max) for row in rows}


class Recipes:
    """What can be made of a tree. With `summed` a Sum counts more than the mean that stands beside it."""

    def __init__(self, tables: Tables, *, summed: bool) -> None:
        self._tables = tables
        self._summed = summed
        self._limits = tables.limits()

    def of_server(self, host: Tree) -> Iterator[Recipe]:
        """Yield the series of Host and its System."""
        found = {row.name: _value(host, f"System.{row.path}", row.over) for row in self._tables.server}
        yield from self._recipes(found | self._plain(host))

    def of_instance(self, tree: Tree) -> Iterator[Recipe]:
        """Yield the series of a virtual host or channel."""
        found = self._plain(tree) | self._traffic(tree) | self._hits(tree)
        for row in self._tables.calls:
            found[row.name] = [term for term, _ in self._calls(tree, row)]
        yield from self._recipes(found)

    def _recipes(self, found: Mapping[str, Sequence[Term]]) -> Iterator[Recipe]:
        for name, terms in found.items():
            low, high = self._limits[name if name in self._limits else f"*.{name.partition('.')[2]}"]
            yield Recipe(name, terms, low, high)

    def _plain(self, tree: Tree) -> Found:
        """Return what is told as it stands. Of 'all' that is what STON tells, or else the sum."""
        found = {row.name: _value(tree, row.path, row.over) for row in self._tables.instance}
        for row in self._tables.sessions:
            each = {name: _value(tree, row.path.replace("{X}", word), row.over) for name, word in PROTOCOLS.items()}
            told = _value(tree, row.path.replace("{X}", "All"), row.over)
            found[row.of_protocol("all")] = told or list(chain(*each.values()))
            found |= {row.of_protocol(name): terms for name, terms in each.items()}
        return found

    def _traffic(self, tree: Tree) -> Found:
        found: Found = {}
        for row in self._tables.traffic:
            if "*" not in row.name:
                continue
            each = {name: self._terms(tree, row, word) for name, word in PROTOCOLS.items()}
            side = row.name.split(".")[1]
            if row.name.endswith((".responses", ".response_seconds")):
                timed = row.how is How.TIME
                calls = [self._calls(tree, call) for call in self._tables.calls if call.name.split(".")[1] == side]
                each["rtmp"] = [term for pairs in calls for pair in pairs if (term := pair[timed]) is not None]
            elif row.name.endswith(".requests"):
                web = [term for name, terms in each.items() if name != "rtmp" for term in terms]
                found[f"all.{side}.web_requests"] = web
            found[row.of_protocol("all")] = list(chain(*each.values()))
            found |= {row.of_protocol(name): terms for name, terms in each.items()}
        return found

    def _terms(self, tree: Tree, row: Field, word: str) -> list[Term]:
        path = _path(row.path.replace("{X}", word))
        if row.how is How.RATE:
            return self._counted(tree, path)
        if not has(tree, path):
            return []
        counts = self._counted(tree, _path(row.of.replace("{X}", word)))
        return [Term(path, row.over * count.over, count.path) for count in counts]

    def _calls(self, tree: Tree, row: Field) -> list[tuple[Term, Term | None]]:
        """Return the calls of a method as terms, and the time that they took."""
        path = _path(row.path)
        time = (*path, "TimeRes")
        counts = [term for end in ("Success", "Fail") for term in self._counted(tree, (*path, end))]
        if not has(tree, time):
            return [(count, None) for count in counts]
        return [(count, Term(time, row.over * count.over, count.path)) for count in counts]

    def _hits(self, tree: Tree) -> Found:
        """Return the series of hit codes; of all codes, known here or not, `hits` and `lookups`."""
        found: Found = {}
        for name, word in PROTOCOLS.items():
            path = ("ClientTraffics", word, "RequestHit")
            group = at(tree, (*path[:-1], "RequestHitSum")) if self._summed else None
            codes = group if isinstance(group, dict) else at(tree, path)
            hits: list[Term] = []
            every: list[Term] = []
            for code in codes if isinstance(codes, dict) else ():
                terms = self._counted(tree, (*path, code))
                every += terms
                hits += terms if code.endswith("HIT") else ()
                if f"*.client.hit.{code.removeprefix('TCP_').lower()}" in self._limits:
                    found[f"{name}.client.hit.{code.removeprefix('TCP_').lower()}"] = terms
            found |= {f"{name}.client.hits": hits, f"{name}.client.lookups": every}
        for name, terms in list(found.items()):
            found.setdefault(f"all.{name.partition('.')[2]}", []).extend(terms)
        return found

    def _counted(self, tree: Tree, path: Path) -> list[Term]:
        """Return a count per second: of its Sum, which hit codes have as a group, or of the mean."""
        *group, name = path
        in_group = group[-1] == "RequestHit"
        total = (*group[:-1], "RequestHitSum", name) if in_group else (*group, f"{name}Sum")
        if self._summed and has(tree, total):
            return [Term(total, WINDOW)]
        return [Term(path, 1.0)] if has(tree, path) else []


def _value(tree: Tree, path: str, over: float) -> list[Term]:
    return [Term(_path(path), over)] if has(tree, _path(path)) else []


def _path(text: str) -> Path:
    return tuple(text.split("."))
