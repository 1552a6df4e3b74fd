"""Settings from the environment: MONITOR__SECTION__KEY, and …_FILE for what a file holds.

Names are matched without regard to case, every character but letters and digits as `_`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from monitor.ini import Place, Problem, Section, title
from monitor.shape import Shape, literal, read_secret, suggestion

PREFIX = "MONITOR__"


class Match(NamedTuple):
    path: tuple[str, ...]
    key: str
    file: bool

    def __str__(self) -> str:
        return f"{title(self.path)} {self.key}"


def normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", name.lower())


def read(environ: Mapping[str, str], files: Section, shape: Shape) -> tuple[Section, list[Problem]]:
    """Return the settings of the environment as a tree like that of the files, whose names they may use."""
    root, problems = Section((), Place("environment")), list[Problem]()
    taken: dict[tuple[tuple[str, ...], str], str] = {}
    for name in sorted(environ):
        if not name.upper().startswith(PREFIX):
            continue
        place = Place(f"${name}")
        found = list(_matches(normal(name[len(PREFIX) :]), files, shape))
        if not found:
            near = suggestion(name.upper(), list(_names(files, shape, PREFIX)))
            problems.append(Problem(place.file, 0, "", "", f"names no setting{near}".rstrip(".")))
        elif len(found) > 1:
            problems.append(Problem(place.file, 0, "", "", f"is ambiguous: {' or '.join(map(str, found))}"))
        else:
            match = found[0]
            if first := taken.get((match.path, match.key)):
                problems.append(Problem(place.file, 0, "", "", f"sets {match} as ${first} does"))
                continue
            taken[match.path, match.key] = name
            section = root
            for part in match.path:
                section = section.section(part)
            section.place = place
            try:
                text = read_secret(Path(environ[name])) if match.file else environ[name]
            except ValueError as error:
                problems.append(Problem(place.file, 0, title(match.path), match.key, str(error)))
            else:
                section.entries[match.key] = literal(text, place)
    return root, problems


def _sections(files: Section | None, shape: Shape) -> Iterator[tuple[str, Section | None, Shape]]:
    """Yield the sub-sections that may be meant: those of the files, then those that are known anyway."""
    seen = set()
    for name, section in files.sections.items() if files else ():
        inner = shape.section(name)
        if inner is not None and not inner.ignored:
            seen.add(normal(name))
            yield name, section, inner
    for name, inner in shape.sections.items():
        if normal(name) not in seen:
            yield name, None, inner


def _matches(rest: str, files: Section | None, shape: Shape) -> Iterator[Match]:
    exact = [key for key in shape.fields if normal(key) == rest]
    if not exact and shape.pattern and shape.pattern.fullmatch(rest):
        exact = [rest]
    yield from (Match((), key, False) for key in exact)
    if not exact:
        yield from (Match((), key, True) for key in shape.fields if f"{normal(key)}_file" == rest)
    known = False
    for name, section, inner in _sections(files, shape):
        if rest.startswith(f"{normal(name)}__"):
            for match in _matches(rest[len(normal(name)) + 2 :], section, inner):
                known = True
                yield Match((name, *match.path), match.key, match.file)
    if shape.creates and not known and "__" in rest:
        name, _, rest = rest.partition("__")
        if name and (new := shape.find(name)):
            yield from (Match((name, *match.path), match.key, match.file) for match in _matches(rest, None, new))


def _names(files: Section | None, shape: Shape, above: str) -> Iterator[str]:
    """Yield the names of all variables there may be."""
    yield from (above + normal(key).upper() for key in shape.fields)
    for name, section, inner in _sections(files, shape):
        if not (inner.ignored or (section and len(section.path) > 1 and section.path[0] == "hosts")):
            yield from _names(section, inner, f"{above}{normal(name).upper()}__")
