"""Graphs of the operator's own: files DIR/COLLECTOR/NAME.graph in RRDtool's graph language.

A file is for every source of that collector, a built-in one or any word under which something is pushed. One that is
wrong makes no graph; what is wrong with it is kept, and the others are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from monitor.graph.layout import layout
from monitor.graph.model import Graph
from monitor.graph.rrd import parse
from monitor.ini import Problem
from monitor.registry import Registry
from monitor.shape import suggestion

SUFFIX = ".graph"
MOST_BYTES = 64 * 1024
NAME = re.compile(r"[\w-]{1,100}")
LINE = re.compile(r"line (\d+): (.*)", re.DOTALL)


class GraphFile(NamedTuple):
    """A file, and the graph that it defines; where there is none `problem` says why."""

    path: Path
    graph: Graph | None
    problem: Problem | None = None
    warnings: tuple[Problem, ...] = ()


class GraphFiles:
    """The files by collector, and what is wrong with them."""

    def __init__(
        self,
        files: Mapping[str, Sequence[GraphFile]],
        problems: Sequence[Problem] = (),
        warnings: Sequence[Problem] = (),
    ) -> None:
        self._files = files
        self._graphs = {word: [one.graph for one in found if one.graph] for word, found in files.items()}
        every = [one for found in files.values() for one in found]
        self.problems = [*problems, *(one.problem for one in every if one.problem)]
        self.warnings = [*warnings, *(warning for one in every for warning in one.warnings)]

    def of(self, collector: str) -> Sequence[GraphFile]:
        return self._files.get(collector.lower(), ())

    def graphs(self, collector: str) -> Sequence[Graph]:
        """Return the graphs for the sources of a collector."""
        return self._graphs.get(collector.lower(), ())


def read(directories: Sequence[Path], registry: Registry, most: int) -> GraphFiles:
    """Read all files, at most so many, in the order of their names."""
    found: dict[str, list[GraphFile]] = {}
    problems: list[Problem] = []
    warnings: dict[Path, Problem] = {}
    for number, path in enumerate(path for directory in directories for path in _files(directory, problems)):
        if number == most:
            problems.append(_problem(path, f"is not read, nor any after it: max_graph_files = {most}"))
            break
        folder = path.parent
        if registry.by_path(folder.name) is None:
            near = suggestion(folder.name, [cls.path for cls in registry.collectors.values()])
            if near != ".":
                warnings[folder] = _problem(folder, f"there is no collector of this name{near}")
        mine = found.setdefault(folder.name.lower(), [])
        mine.append(_read(path, registry, mine))
    return GraphFiles(found, problems, list(warnings.values()))


def _files(directory: Path, problems: list[Problem]) -> Iterator[Path]:
    for folder in _entries(directory, problems):
        if _is_graph(folder):
            problems.append(_problem(folder, f"expected a folder named after its collector: COLLECTOR/{folder.name}"))
        elif folder.is_dir():
            yield from filter(_is_graph, _entries(folder, problems))


def _entries(directory: Path, problems: list[Problem]) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    except OSError as error:
        problems.append(_problem(directory, f"cannot be read: {error.strerror or error}"))
        return []


def _is_graph(path: Path) -> bool:
    return path.suffix == SUFFIX and path.is_file()


def _read(path: Path, registry: Registry, before: Sequence[GraphFile]) -> GraphFile:
    word, name = path.parent.name, path.stem
    cls = registry.by_path(word)
    other = next((str(one.path) for one in before if one.path.stem == name), "")
    if cls is not None and name in {graph.name for graph in cls.graphs}:
        other = cls.__name__
    try:
        if not NAME.fullmatch(name):
            raise ValueError(f"expected a name of at most 100 letters, digits, - and _, got {name[:120]!r}")
        if other:
            raise ValueError(f"a graph of {word} is called {name!r} already, by {other}; rename the file")
        made = parse(_text(path))
        made = made.changed(name=name, title=made.title or name)
        # What only drawing shows, such as definitions nested too deeply, is better said now.
        layout(made, {}, start=0, end=3600, step=60, width=580, height=203)
    except OSError as error:
        return GraphFile(path, None, _problem(path, f"cannot be read: {error.strerror or error}"))
    except RecursionError:
        return GraphFile(path, None, _problem(path, "expected definitions nested less deeply"))
    except ValueError as error:
        return GraphFile(path, None, _problem(path, str(error)))
    return GraphFile(path, made, None, tuple(_problem(path, text) for text in made.warnings))


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"expected at most {MOST_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line}: expected UTF-8, got the byte 0x{data[error.start]:02x}") from None


def _problem(path: Path, text: str) -> Problem:
    """Return a problem in a line of a file, of which the text speaks first."""
    found = LINE.fullmatch(text)
    return Problem(str(path), int(found[1]), "", "", found[2]) if found else Problem(str(path), 0, "", "", text)
