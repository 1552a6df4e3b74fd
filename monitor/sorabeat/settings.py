"""Reads Sorabeat's configuration as it is: sorabeat.yml, with the module files that it names or that are given.

Nested and dotted keys mean the same (`output.elasticsearch:` above `hosts:`, `output.elasticsearch.hosts:`), and a
later file counts more than an earlier one. `${path.config}` is the directory of the file; no other variable is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monitor import yaml_file
from monitor.ini import Place, Problem
from monitor.yaml_file import Node

MODULES = "sorabeat.modules"
FOLDER = "sorabeat.config.modules.path"
MOST_FILES = 1000
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
VARIABLE = re.compile(r"\$\{([^}]{0,200})\}")


@dataclass
class Notes:
    """What is wrong, and what is odd."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def problem(self, place: Place, name: str, message: str) -> None:
        self.problems.append(Problem(place.file, place.line, "", name, message))

    def warn(self, place: Place, name: str, message: str) -> None:
        self.warnings.append(Problem(place.file, place.line, "", name, message))


@dataclass
class Settings:
    """Settings by their dotted names; what is asked for counts as used, the rest is without effect."""

    nodes: dict[str, Node]
    place: Place
    notes: Notes
    used: set[str] = field(default_factory=set)

    def node(self, name: str) -> Node | None:
        self.used.add(name)
        return self.nodes.get(name)

    def text(self, name: str, default: str = "") -> str:
        """Return a text; a variable in it that nobody knows leaves the default, and is told."""
        node = self.node(name)
        if node is None or node.value is None:
            return default
        if not isinstance(node.value, str):
            self.notes.problem(node.place, name, f"expected a text, got {node.kind}")
            return default
        return self._expanded(name, node, node.value) or default

    def texts(self, name: str) -> list[str]:
        """Return a list of texts; a single text is a list of one."""
        node = self.node(name)
        if node is None or node.value is None:
            return []
        if isinstance(node.value, str):
            return list(filter(None, [self._expanded(name, node, part.strip()) for part in node.value.split(",")]))
        found = []
        for each in node.value if isinstance(node.value, list) else [node]:
            if isinstance(each.value, str):
                found.append(self._expanded(name, each, each.value))
            else:
                self.notes.problem(each.place, name, f"expected a text, got {each.kind}")
        return list(filter(None, found))

    def on(self, name: str, default: bool = True) -> bool:
        word = self.text(name, str(default)).lower()
        if word not in ("true", "false"):
            self.notes.problem(self.at(name), name, f"expected true or false, got {word[:40]!r}")
            return default
        return word == "true"

    def seconds(self, name: str, default: float) -> float:
        """Return a duration: Go's, such as 1m30s, or a number of seconds."""
        word = self.text(name)
        parts = DURATION.findall(word)
        if word and "".join(map("".join, parts)) == word:
            return sum(float(number) * SECONDS[unit] for number, unit in parts)
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", word):
            return float(word)
        if word:
            self.notes.problem(self.at(name), name, f"expected a duration such as 10s, got {word[:40]!r}")
        return default

    def number(self, name: str, default: int) -> int:
        word = self.text(name)
        if word and not re.fullmatch(r"\d{1,9}", word):
            self.notes.problem(self.at(name), name, f"expected a whole number, got {word[:40]!r}")
            return default
        return int(word) if word else default

    def path(self, name: str, text: str) -> str:
        """Return a file that is named there, beside the configuration where it has no directory."""
        if text.startswith("-----BEGIN"):
            self.notes.warn(self.at(name), name, "a certificate itself is not taken over; put it into a file")
            return ""
        return str(Path(self.at(name).file).absolute().parent / text)

    def below(self, name: str) -> dict[str, Node]:
        """Return the settings below a name, by what follows it."""
        found = {key[len(name) + 1 :]: node for key, node in self.nodes.items() if key.startswith(f"{name}.")}
        self.used.update(f"{name}.{key}" for key in found)
        return found

    def at(self, name: str) -> Place:
        return self.nodes[name].place if name in self.nodes else self.place

    def has(self, name: str) -> bool:
        """Tell whether there is a setting of this name, or below it."""
        return any(key == name or key.startswith(f"{name}.") for key in self.nodes)

    def rest(self) -> Iterator[tuple[str, Node]]:
        """Yield what nobody asked for."""
        yield from ((name, node) for name, node in self.nodes.items() if name not in self.used)

    def _expanded(self, name: str, node: Node, text: str) -> str:
        unknown = []

        def value(match: re.Match[str]) -> str:
            if match[1] == "path.config":
                return str(Path(node.place.file).absolute().parent)
            word, colon, default = match[1].partition(":")
            if not colon:
                unknown.append(word)
            return default

        found = VARIABLE.sub(value, text)
        if unknown:
            message = f"not taken over: ${{{unknown[0][:80]}}} is a variable of Sorabeat's environment or keystore"
            self.notes.warn(node.place, name, message)
            return ""
        return found


@dataclass
class Beat:
    """What the files say, as far as it could be understood."""

    settings: Settings
    modules: list[Settings] = field(default_factory=list)

    @property
    def notes(self) -> Notes:
        return self.settings.notes


def read(files: Sequence[Path]) -> Beat:
    """Read the files; where none of them has modules, those that the main file names."""
    found = Beat(Settings({}, Place(str(files[0])), Notes()))
    for path in files:
        _take(found, path)
    _listed(found, found.settings.node(MODULES))
    folder = found.settings.text(FOLDER)
    if folder and not found.modules:
        place = found.settings.at(FOLDER)
        pattern = Path(place.file).absolute().parent / folder
        beside = sorted(pattern.parent.glob(pattern.name)) if "*" not in str(pattern.parent) else []
        for path in beside[:MOST_FILES]:
            _take(found, path, modules=True)
        if not beside:
            found.notes.warn(place, FOLDER, f"there is no file {pattern}")
    return found


def _take(found: Beat, path: Path, *, modules: bool = False) -> None:
    documents, problems = yaml_file.read(path)
    found.notes.problems += problems
    for document in documents:
        if isinstance(document.value, list):
            _listed(found, document)
        elif modules and document.value is not None:
            found.notes.problem(document.place, "", f"expected a list of modules, got {document.kind}")
        elif isinstance(document.value, dict):
            for name, node in flat(document.value):
                found.settings.nodes[name] = node
        elif document.value is not None:
            found.notes.problem(document.place, "", f"expected settings or a list of modules, got {document.kind}")


def _listed(found: Beat, node: Node | None) -> None:
    if node is None or node.value is None:
        return
    for each in node.value if isinstance(node.value, list) else [node]:
        if isinstance(each.value, dict):
            found.modules.append(Settings(dict(flat(each.value)), each.place, found.notes))
        else:
            found.notes.problem(each.place, MODULES, f"expected a module's settings, got {each.kind}")


def flat(tree: Mapping[str, Node], prefix: str = "") -> Iterator[tuple[str, Node]]:
    """Yield settings by their dotted names; lists stay whole."""
    for key, node in tree.items():
        if isinstance(node.value, dict) and node.value:
            yield from flat(node.value, f"{prefix}{key}.")
        else:
            yield prefix + key, node
