"""The files of a configuration: those that are given, those of [configs], the flat NAME.conf of a directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monitor import dialect, diamond, environment, ini, logfiles
from monitor.ini import Entry, Place, Problem, Section
from monitor.log import LogFile
from monitor.registry import Registry
from monitor.settings import Configs, Logging, Server, Settings
from monitor.shape import Shape, Value, check, fields_of, typed

DEFAULT_FILE = Path("/etc/monitor/monitor.conf")


@dataclass(frozen=True)
class Tree:
    """What the files hold together; what is wrong with them, and what is merely odd."""

    root: Section
    configs: Configs
    problems: list[Problem]
    odd: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Logs:
    """The files that the log goes to, and the levels of parts of the program ('' is all of it)."""

    files: Sequence[LogFile] = ()
    levels: Mapping[str, str] = field(default_factory=dict)
    sections: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)
    """As they are written."""


def given(files: Sequence[Path] | None) -> Sequence[Path]:
    """Return the files to read: those given, else the default one if it is there."""
    if files is not None:
        return files
    return [DEFAULT_FILE] if DEFAULT_FILE.exists() else []


def tree(files: Sequence[Path], environ: Mapping[str, str]) -> Tree:
    """Read files, each laid over those before it, and over all of them those of the directory of [configs]."""
    root = Section((), Place(""))
    problems = list(_lay(root, files))
    said = early(root, environ, "configs", Configs)
    found = Tree(root, Configs({key: value.value for key, value in said.items()}), problems)
    directory = found.configs.path
    if directory is not None and not any(found.configs.check()):
        if directory.is_dir():
            problems += _lay(root, sorted(listed(directory, found.configs.extension)))
        else:
            place = said["path"].place
            lacking = found.odd if directory in diamond.DIRECTORIES else problems
            lacking.append(Problem(*place, "[configs]", "path", f"{directory} is not a directory that can be read"))
    return found


def _lay(root: Section, files: Sequence[Path]) -> Iterator[Problem]:
    for path in files:
        found, problems = ini.read(path)
        root.merge(found)
        yield from problems


def listed(directory: Path, extension: str) -> Iterator[Path]:
    for path in directory.iterdir():
        if path.name.endswith(extension) and not path.name.startswith(".") and path.is_file():
            yield path


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
    directory: Path,
    extension: str,
    where: str,
    shape: Shape,
    registry: Registry,
    problems: list[Problem],
    unserved: list[tuple[str, Place]],
) -> dict[str, Section]:
    """Return the flat NAME.conf files of a directory, each as the section of `where` that it stands for."""
    found: dict[str, Section] = {}
    for path in sorted(listed(directory, extension)):
        name = path.name.removesuffix(extension)
        section, wrong = ini.read(path, (where, name))
        problems += wrong
        parent = Section((where,), section.place, {}, {name: section})
        dialect.rewrite(parent, registry)
        problems += check(Section((), section.place, {}, {where: parent}), shape, unserved)
        found |= parent.sections
    return found


def logs(trees: Sequence[Section], wanted: Logging, problems: list[Problem], odd: list[Problem]) -> Logs:
    """Return what [handler_NAME] and [logger_NAME] say; a file that cannot be written to is odd and no problem."""
    files, levels, written = list[LogFile](), dict[str, str](), dict[str, dict[str, Entry]]()
    for tree in trees:
        for name, section in tree.sections.items():
            if name.startswith(("handler_", "logger_")) and name != "logger_root":
                known = logfiles.FILE_FIELDS if name.startswith("handler_") else logfiles.LOGGER_FIELDS
                found = {key: entry for key, entry in section.entries.items() if key in known}
                written.setdefault(name, {}).update(found)
    for name in wanted.handlers:
        sections = [tree.sections[f"handler_{name}"] for tree in trees if f"handler_{name}" in tree.sections]
        if not sections:
            message = f"there is no section [handler_{name}], so that the log goes to stdout alone"
            odd.append(Problem(wanted.origins.get("handlers", ""), 0, "[logger_root]", "handlers", message))
            continue
        values = {key: value for each in sections for key, value in typed(each, logfiles.FILE_FIELDS, []).items()}
        try:
            file = logfiles.file({key: value.value for key, value in values.items()})
        except LookupError as error:
            odd.append(sections[-1].problem(str(error), "class"))
        except ValueError as error:
            problems.append(sections[-1].problem(str(error), "args"))
        else:
            if file is not None and (reason := logfiles.unwritable(file.path)):
                message = f"{file.path} {reason}, so that the log goes to stdout alone"
                odd.append(sections[-1].problem(message.replace(" the directory", ": the directory"), "args"))
            elif file is not None:
                files.append(file)
    for tree in trees:
        for name, section in tree.sections.items():
            if not name.startswith("logger_") or name == "logger_root":
                continue
            said = typed(section, logfiles.LOGGER_FIELDS, [])
            part = str(said["qualname"].value) if "qualname" in said else name.removeprefix("logger_")
            if "level" in said:
                levels[logfiles.part(part)] = str(said["level"].value)
    return Logs(files, levels, written)
