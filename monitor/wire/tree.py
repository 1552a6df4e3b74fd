"""Dotted names as the nested objects of a JSON document, of which all but the values is written once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

import orjson

DEEPEST = 15
"""Objects within each other at most: Elasticsearch takes 20 by default."""
Tree = dict[str, "int | Tree"]


def text(value: str) -> str:
    """Return a JSON string; what has no UTF-8 form becomes a question mark."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return orjson.dumps(value.encode("utf-8", "replace").decode()).decode()


class Template:
    """A JSON object whose members are slots, each at a path; a slot without a path is left out.

    Where others are within the object of that name, the slot is the member of its own word in there (`value`, say).
    What would stand in the same place as another gets an underscore behind its name.
    """

    def __init__(self, slots: Sequence[tuple[Sequence[str], str]]) -> None:
        tree: Tree = {}
        for path, _ in slots:
            _object(tree, path[:-1])
        for slot, (path, word) in enumerate(slots):
            if not path:
                continue
            above, leaf = _object(tree, path[:-1]), path[-1]
            while isinstance(below := above.get(leaf), dict):
                above, leaf = below, word
            while leaf in above:
                leaf += "_"
            above[leaf] = slot
        self._node = _node(tree)
        pieces: list[str] = []
        order: list[int] = []
        pieces.append(_walk(tree, "", pieces, order))
        self._order = _getter(order)
        self._blank: list[str] = [""] * (2 * len(order) + 1)
        self._blank[::2] = pieces

    def fill(self, values: Sequence[str]) -> str:
        """Return the document with these JSON values, given in the order of the slots."""
        parts = self._blank.copy()
        parts[1::2] = self._order(values)
        return "".join(parts)

    def fill_some(self, values: Sequence[str | None]) -> str:
        """Return the document without the slots whose value is None, and without objects that are empty then."""
        return f"{{{_some(self._node, values)}}}"


class _Node(NamedTuple):
    members: list[tuple[str, int]]
    objects: list[tuple[str, _Node]]


def _node(tree: Tree) -> _Node:
    members = [(f"{text(name)}:", below) for name, below in tree.items() if isinstance(below, int)]
    objects = [(f"{text(name)}:", _node(below)) for name, below in tree.items() if not isinstance(below, int)]
    return _Node(members, objects)


def _some(node: _Node, values: Sequence[str | None]) -> str:
    parts = [name + value for name, slot in node.members if (value := values[slot]) is not None]
    parts += [f"{name}{{{inner}}}" for name, below in node.objects if (inner := _some(below, values))]
    return ",".join(parts)


def path_of(name: str) -> list[str]:
    """Return the path that a dotted name stands for: no word of it is empty, and it has a bound."""
    *words, last = name.split(".", DEEPEST - 1)
    return [word if word.strip() else "_" for word in (*words, last.replace(".", "_"))]


def _object(tree: Tree, path: Sequence[str]) -> Tree:
    """Return the object at a path of objects, made where it is not there."""
    for name in path:
        below = tree.setdefault(name, {})
        assert isinstance(below, dict), "objects are made before members"
        tree = below
    return tree


def _walk(tree: Tree, before: str, pieces: list[str], order: list[int]) -> str:
    """Write an object behind `before`, its values before its objects; return what no slot follows yet."""
    before += "{"
    comma = ""
    for name, below in sorted(tree.items(), key=lambda member: isinstance(member[1], dict)):
        before += f"{comma}{text(name)}:"
        if isinstance(below, int):
            pieces.append(before)
            order.append(below)
            before = ""
        else:
            before = _walk(below, before, pieces, order)
        comma = ","
    return before + "}"


def _getter(order: Sequence[int]) -> Callable[[Sequence[str]], Iterable[str]]:
    if len(order) > 1:
        return itemgetter(*order)
    return lambda values: [values[i] for i in order]
