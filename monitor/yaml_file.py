"""Reads YAML files as plain trees: every node with its line, every scalar as it was written, size and depth bounded.

Nothing is constructed, so no tag has a meaning; `0123`, `yes` and `1.10` stay the texts that they are. An alias stands
for its node again, and counts again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

from monitor.ini import Place, Problem

MOST_BYTES = 16 << 20
MOST_NODES = 1_000_000
"""Nodes of a file after its aliases are written out."""
MOST_DEPTH = 32
NULL = ("", "~", "null", "Null", "NULL")
Found: TypeAlias = "str | list[Node] | dict[str, Node] | None"


@dataclass(slots=True)
class Node:
    """A scalar, list or mapping, where it begins, and how many nodes it is."""

    place: Place
    value: Found
    size: int = 1

    @property
    def kind(self) -> str:
        """What it is, in words."""
        if isinstance(self.value, str):
            return repr(self.value[:80])
        return "nothing" if self.value is None else "a list" if isinstance(self.value, list) else "a mapping"

    def plain(self) -> object:
        """Return it as dicts, lists, texts and None."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value


def read(path: Path) -> tuple[list[Node], list[Problem]]:
    """Return the documents of a file, up to the first place where it is not YAML, and what is wrong with it."""
    problems: list[Problem] = []
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        return [], [Problem(str(path), 0, "", "", f"cannot be read: {error.strerror or error}")]
    if len(data) > MOST_BYTES:
        return [], [Problem(str(path), 0, "", "", f"expected at most {MOST_BYTES >> 20} MiB")]
    documents: list[Node] = []
    try:
        documents += _Composer(str(path), problems).documents(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problems.append(Problem(str(path), line, "", "", f"not UTF-8 text: byte 0x{data[error.start]:02x}"))
    return documents, problems


class _Composer:
    """Makes nodes of events: libyaml's own composer calls itself, and a file of a few kB can end the process in it."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file = file
        self.problems = problems
        self.open: list[tuple[Node, str | None]] = []
        self.keys: list[Node | None] = []
        self.anchors: dict[str, Node] = {}

    def documents(self, text: str) -> Iterator[Node]:
        """Yield the document's nodes; the first thing that cannot be understood ends it."""
        line = 0
        try:
            for event in yaml.parse(text, Loader=yaml.CSafeLoader):
                line = event.start_mark.line + 1 if event.start_mark is not None else line
                if isinstance(event, yaml.DocumentStartEvent):
                    self.anchors.clear()
                elif (whole := self._take(event, Place(self.file, line))) is not None:
                    yield whole
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            at = mark.line + 1 if mark is not None else line
            self._problem(at, ", ".join(filter(None, (error.context, error.problem))))
        except yaml.reader.ReaderError as error:
            at = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else line
            self._problem(at, f"not YAML: {error.reason}")
        except ValueError as error:
            self._problem(line, str(error))

    def _problem(self, line: int, message: str) -> None:
        self.problems.append(Problem(self.file, line, "", "", message))

    def _take(self, event: yaml.Event, place: Place) -> Node | None:
        """Take an event; return the node that is whole with it where nothing is open around it."""
        if isinstance(event, yaml.ScalarEvent):
            empty = not event.style and event.value in NULL
            return self._whole(Node(place, None if empty else event.value), event.anchor)
        if isinstance(event, yaml.AliasEvent):
            name = str(event.anchor)
            node = self.anchors.get(name)
            if node is None:
                raise ValueError(f"expected an anchor above it, got *{name[:80]}")
            return self._whole(Node(place, node.value, node.size), None)
        if isinstance(event, yaml.CollectionStartEvent):
            if len(self.open) == MOST_DEPTH:
                raise ValueError(f"expected lists and mappings at most {MOST_DEPTH} deep")
            self.open.append((Node(place, [] if isinstance(event, yaml.SequenceStartEvent) else {}), event.anchor))
            self.keys.append(None)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.keys.pop()
            return self._whole(*self.open.pop())
        return None

    def _whole(self, node: Node, anchor: str | None) -> Node | None:
        if anchor:
            self.anchors[anchor] = node
        if not self.open:
            return node
        above, _ = self.open[-1]
        above.size += node.size
        if above.size > MOST_NODES:
            raise ValueError(f"expected at most {MOST_NODES} values, those that aliases repeat included")
        if isinstance(above.value, list):
            above.value.append(node)
        elif isinstance(above.value, dict):
            key = self.keys[-1]
            if key is None:
                self.keys[-1] = node
            else:
                self.keys[-1] = None
                self._put(above.value, key, node)
        return None

    def _put(self, mapping: dict[str, Node], key: Node, node: Node) -> None:
        if not isinstance(key.value, str):
            self._problem(key.place.line, f"expected a text as key, got {key.kind}")
        elif key.value in mapping:
            first = mapping[key.value].place.line
            self._problem(key.place.line, f"{key.value[:80]!r} is given twice; first in line {first}")
        else:
            mapping[key.value] = node
