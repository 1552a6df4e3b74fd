"""The files of a configuration: those that are given, those of [configs], and the flat NAME.conf of a directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from monitor import environment, ini
from monitor.ini import Place, Problem, Section
from monitor.settings import Server, Settings
from monitor.shape import Shape, Value, check, fields_of, typed

DEFAULT_FILE = Path("/etc/monitor/monitor.conf")


def given(files: Sequence[Path] | None) -> Sequence[Path]:
    """Return the files to read: those given, else the default one if it is there."""
    if files is not None:
        return files
    return [DEFAULT_FILE] if DEFAULT_FILE.exists() else []


def tree(files: Sequence[Path]) -> tuple[Section, list[Problem]]:
    """Read files, each laid over those before it."""
    root, problems = Section((), Place("")), []
    for path in files:
        found, wrong = ini.read(path)
        root.merge(found)
        problems += wrong
    return root, problems


def early_server(root: Section, environ: Mapping[str, str]) -> Server:
    """Return [server] as far as it can be read before the whole is understood."""
    return Server({key: value.value for key, value in early(root, environ, "server", Server).items()})


def early(root: Section, environ: Mapping[str, str], name: str, cls: type[Settings]) -> dict[str, Value]:
    """Return what a section says, read before the whole is understood."""
    env, _ = environment.read(environ, Section((), Place("")), Shape(sections={name: Shape(fields_of(cls))}))
    values: dict[str, Value] = {}
    for each in (root, env):
        if name in each.sections:
            values |= typed(each.sections[name], fields_of(cls), [])
    return values


def flat(
    directory: Path, where: str, shape: Shape, problems: list[Problem], unserved: list[tuple[str, Place]]
) -> dict[str, Section]:
    """Return the flat NAME.conf files of a directory, each as the section of `where` that it stands for."""
    found: dict[str, Section] = {}
    for path in sorted(directory.glob("*.conf")):
        if path.name.startswith("."):
            continue
        section, wrong = ini.read(path, (where, path.stem))
        problems += wrong
        parent = Section((where,), section.place, {}, {path.stem: section})
        problems += check(Section((), section.place, {}, {where: parent}), shape, unserved)
        found[path.stem] = section
    return found
