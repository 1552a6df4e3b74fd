"""Columns: the numbers of many virtual hosts and channels of one shape, worked out together.

A shape is which fields are there. Its plan is made once: which numbers to take out of the tree, which of them to
multiply (mean times by their counts), and of which sums each series consists. A plan only names fields that are there,
so NaN is a number that could not be read, and makes every sum unknown that it is part of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Path = tuple[str, ...]
Tree = Mapping[str, Any]


class Term(NamedTuple):
    """A field, or one times another, divided by a number."""

    path: Path
    over: float
    by: Path = ()


class Recipe(NamedTuple):
    """A series as a sum of terms, and the least and the greatest believable value of it."""

    name: str
    terms: Sequence[Term]
    min: float
    max: float


Recipes = Callable[[Tree], Iterable[Recipe]]
"""Of which terms series consist where the fields of this tree are there."""


class Plan:
    """What to do with every tree of one shape."""

    def __init__(self, recipes: Iterable[Recipe]) -> None:
        wanted = [recipe for recipe in recipes if recipe.terms]
        self.names = tuple(recipe.name for recipe in wanted)
        self._low = np.array([recipe.min for recipe in wanted])
        self._high = np.array([recipe.max for recipe in wanted])
        paths = dict.fromkeys(path for one in wanted for term in one.terms for path in (term.path, term.by) if path)
        self._steps, order = _steps(paths)
        column = {path: i for i, path in enumerate(order)}
        terms = [term for recipe in wanted for term in recipe.terms]
        one = len(order)  # the column of ones that a term without `by` is multiplied by
        self._left = np.array([column[term.path] for term in terms], dtype=np.intp)
        self._right = np.array([column[term.by] if term.by else one for term in terms], dtype=np.intp)
        self._over = np.array([term.over for term in terms])
        self._starts = np.cumsum([0, *(len(recipe.terms) for recipe in wanted)])[:-1]

    def take(self, tree: Tree) -> list[Any]:
        """Return the numbers of a tree; KeyError or TypeError when it is of another shape."""
        found: list[Any] = []
        groups: list[Any] = [tree]
        for parent, key, numbers in self._steps:
            group = groups[parent][key] if key else tree
            groups.append(group)
            if numbers is not None:
                found += numbers(group)
        return found

    def work_out(self, rows: Sequence[Sequence[Any]]) -> Floats:
        """Return the values of all series, a row per row of numbers."""
        if not self.names:
            return np.empty((len(rows), 0))
        try:
            numbers = np.array(rows, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            numbers = np.array([[number(value) for value in row] for row in rows], dtype=np.float64)
        with np.errstate(all="ignore"):
            numbers = np.concatenate([numbers, np.ones((len(rows), 1))], axis=1)
            numbers[~((numbers >= 0) & (numbers < math.inf))] = math.nan
            terms = numbers[:, self._left] * numbers[:, self._right] / self._over
            values: Floats = np.add.reduceat(terms, self._starts, axis=1)
            values[~((values >= self._low) & (values <= self._high))] = math.nan
        return values


MOST_PLANS = 100
SHALLOW = ("OriginTraffics", "ClientTraffics")


class Plans:
    """The plans of a server, by shape; `recipes` says what a tree can give."""

    def __init__(self, recipes: Recipes) -> None:
        self._recipes = recipes
        self._plans: dict[object, Plan] = {}

    def take(self, tree: Tree) -> tuple[Plan, list[Any]]:
        """Return a tree's plan and its numbers."""
        shape = shape_of(tree)
        plan = self._plans.get(shape)
        if plan is not None:
            try:
                return plan, plan.take(tree)
            except (KeyError, TypeError):
                pass
        if len(self._plans) >= MOST_PLANS:
            self._plans.clear()
        plan = self._plans[shape] = Plan(self._recipes(tree))
        return plan, plan.take(tree)


def shape_of(tree: Tree) -> object:
    """Return what two trees have in common that have the same fields, as far as STON's versions differ in them."""
    shape: list[object] = [tuple(tree)]
    for name in SHALLOW:
        group = tree.get(name)
        if isinstance(group, dict):
            for protocol, traffic in group.items():
                if isinstance(traffic, dict):
                    hits = traffic.get("RequestHitSum")
                    shape += protocol, len(traffic), len(hits) if isinstance(hits, dict) else 0
    return tuple(shape)


def at(tree: Tree, path: Path) -> Any:
    """Return what lies at a path; None when nothing does."""
    found: Any = tree
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    return found


def has(tree: Tree, path: Path) -> bool:
    """Return whether there is a field at a path, be it unknown."""
    group = at(tree, path[:-1])
    return isinstance(group, dict) and path[-1] in group


def number(value: Any) -> float:
    """Return a value as a number; NaN for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _steps(paths: Iterable[Path]) -> tuple[list[tuple[int, str, Callable[[Any], Any] | None]], list[Path]]:
    """Return the groups to go through, each as (the step that holds it, its key, how to take its numbers), and the
    order in which the numbers come."""
    keys: dict[Path, list[str]] = {(): []}
    for path in paths:
        for length in range(1, len(path)):
            keys.setdefault(path[:length], [])
        keys[path[:-1]].append(path[-1])
    place = {group: i + 1 for i, group in enumerate(keys)}
    steps: list[tuple[int, str, Callable[[Any], Any] | None]] = []
    order: list[Path] = []
    for group, names in keys.items():
        parent = place[group[:-1]] if group else 0
        steps.append((parent, group[-1] if group else "", _getter(names)))
        order += [(*group, name) for name in names]
    return steps, order


def _getter(names: Sequence[str]) -> Callable[[Any], Any] | None:
    if len(names) == 1:
        (name,) = names
        return lambda group: (group[name],)
    return itemgetter(*names) if names else None
