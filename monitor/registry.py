"""Finds the collectors and handlers: the built-in packages, and the files of more directories.

A file of a directory counts more than a built-in class of the same name. One that cannot be imported is a problem of
the configuration; the others are there.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from monitor import diamond
from monitor.collector import Collector
from monitor.handler import Handler, Store
from monitor.ini import Problem
from monitor.options import options_of

Plugin = TypeVar("Plugin", Collector, Handler)


class Registry:
    """The classes that a configuration may name."""

    def __init__(
        self, collectors_path: Sequence[Path] = (), handlers_path: Sequence[Path] = (), *, built_in: bool = True
    ) -> None:
        self.built_in = built_in
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.foreign: dict[str, Path] = {}
        """Classes, in lower case, of files that are written for Diamond itself, which are not loaded."""
        self.collectors: Mapping[str, type[Collector]] = self._load("collectors", collectors_path, Collector)
        self.handlers: Mapping[str, type[Handler]] = self._load("handlers", handlers_path, Handler)
        self._paths = {cls.path.lower(): cls for cls in self.collectors.values()}
        self.quiet = frozenset(cls.path for cls in self.collectors.values() if cls.may_be_silent)
        """Words of the collectors whose silence is no failure."""

    @property
    def stores(self) -> list[type[Store]]:
        return [cls for cls in self.handlers.values() if issubclass(cls, Store)]

    @property
    def store(self) -> type[Store]:
        """The one handler class that is read back."""
        (store,) = self.stores
        return store

    def by_path(self, word: str) -> type[Collector] | None:
        """Return the collector of this path word (`iostat`)."""
        return self._paths.get(word.lower())

    def collector(self, name: str) -> type[Collector] | None:
        return find(self.collectors, name)

    def handler(self, name: str) -> type[Handler] | None:
        return find(self.handlers, name)

    def _load(self, package: str, directories: Sequence[Path], kind: type[Plugin]) -> dict[str, type[Plugin]]:
        found: dict[str, type[Plugin]] = {}
        for module in self._modules(package, directories):
            for cls in classes(module, kind):
                try:
                    options_of(cls)
                    if issubclass(cls, Collector) and not isinstance(getattr(cls, "path", None), str):
                        raise TypeError("a collector needs its path word: path = 'nginx'")
                except (NameError, TypeError) as error:
                    self.problems.append(Problem(str(module.__file__), 0, "", cls.__name__, str(error)))
                else:
                    found[cls.__name__] = cls
        return found

    def _modules(self, package: str, directories: Sequence[Path]) -> Iterator[ModuleType]:
        folder = Path(importlib.import_module(package).__path__[0])
        for path in sorted(folder.glob("*.py")) if self.built_in else ():
            if path.stem != "__init__":
                yield from self._imported(path, lambda path: importlib.import_module(f"{package}.{path.stem}"))
        for directory in directories:
            if not directory.is_dir():
                lacking = self.warnings if directory in diamond.DIRECTORIES else self.problems
                lacking.append(Problem(str(directory), 0, "", "", "is not a directory that can be read"))
            paths = sorted(directory.rglob("*.py"))
            paths = [path for path in paths if path.name[0] not in "._" and not path.name.startswith("test")]
            foreign = diamond.classes(paths)
            for path in paths:
                if path in foreign:
                    self.foreign.update(dict.fromkeys(foreign[path], path))
                else:
                    yield from self._imported(path, load)
            if foreign:
                names = [str(path.relative_to(directory)) for path in foreign]
                shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
                text = f"not loaded, since written for Diamond itself (that is not supported yet): {shown}"
                self.warnings.append(Problem(str(directory), 0, "", "", f"{len(foreign)} files are {text}"))

    def _imported(self, path: Path, how: Callable[[Path], ModuleType]) -> Iterator[ModuleType]:
        try:
            module = how(path)
        except Exception as error:
            # Whatever a file raises while it is imported, the operator reads it beside the file's name.
            text = f"cannot be imported: {type(error).__name__}: {error}"
            self.problems.append(Problem(str(path), _line(error, path), "", "", text))
        else:
            yield module


def load(path: Path) -> ModuleType:
    """Import a file under a name of its own; the same, unchanged file is imported once."""
    state = path.stat()
    mark = hashlib.sha256(f"{path.resolve()}:{state.st_mtime_ns}:{state.st_size}".encode()).hexdigest()[:12]
    name = f"_monitor_{path.stem}_{mark}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _line(error: BaseException, path: Path) -> int:
    if isinstance(error, SyntaxError):
        return error.lineno or 0
    line, trace = 0, error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == str(path) else line
        trace = trace.tb_next
    return line


def classes(module: ModuleType, kind: type[Plugin]) -> Iterator[type[Plugin]]:
    """Yield the classes of this kind that a module defines itself."""
    for name, cls in vars(module).items():
        own = inspect.isclass(cls) and cls.__module__ == module.__name__ and not name.startswith("_")
        if own and issubclass(cls, kind):
            yield cls


def find(known: Mapping[str, type[Plugin]], name: str) -> type[Plugin] | None:
    """Return the class of this name in any case; of a dotted path the last word counts."""
    word = name.rpartition(".")[2].lower()
    for cls in known.values():
        aliases: Collection[str] = getattr(cls, "aliases", ())
        if word == cls.__name__.lower() or word in {alias.lower() for alias in aliases}:
            return cls
    return None
