"""Rules about the code itself: it is typed, clean, layered as drawn, and no module grows without bound."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("monitor", "collectors", "handlers")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# Who may import what of ours; what is not named may import nothing of ours but its own package.
DATA = {"monitor.batch", "monitor.options", "monitor.metric", "monitor.graph", "monitor.setup", "monitor.published",
        "monitor.exported"}  # fmt: skip
ALLOWED = {
    "monitor.batch": set(),
    "monitor.options": set(),
    "monitor.published": {"monitor.batch"},
    "monitor.setup": {"monitor.options"},
    "monitor.exported": set(),
    "monitor.metric": {"monitor.batch", "monitor.graph.data", "monitor.graph.expr"},
    "monitor.graph": {"monitor.batch", "monitor.metric", "monitor.attime", "monitor.consolidate"},
    "monitor.wire": {"monitor.batch"},
    "monitor.collector": DATA,
    "monitor.handler": {*DATA, "monitor.consolidate", "monitor.retention"},
    "monitor.pdp": {"monitor.batch"},
    "monitor.consolidate": {"monitor.batch", "monitor.pdp"},
    "monitor.attime": set(),
    "monitor.retention": {"monitor.batch", "monitor.consolidate"},
    "monitor.rates": {"monitor.batch"},
    "collectors": {"monitor.collector"},
    "handlers": {"monitor.handler", "monitor.wire"},
    "handlers.postgresql": {"monitor.handler", "monitor.wire", "monitor.store"},
    "monitor.store": {
        "monitor.batch",
        "monitor.consolidate",
        "monitor.handler",
        "monitor.pdp",
        "monitor.rates",
        "monitor.resources",
        "monitor.retention",
        "monitor.wire",
    },
}
# The layers above the data, lowest first: a module imports only from layers below it and from its own.
LAYERS = [
    {"monitor", "monitor.resources", "monitor.log", "monitor.lag", "monitor.garbage", "monitor.task", "monitor.attime",
     "monitor.pdp", "monitor.consolidate", "monitor.retention", *DATA},
    {"monitor.collector", "monitor.handler", "monitor.rates", "monitor.wire", "monitor.http", "monitor.snmp"},
    {"monitor.cursors", "monitor.merge", "monitor.retry", "monitor.journal", "monitor.segment", "monitor.group",
     "monitor.records",
     "monitor.store", "monitor.facts", "monitor.liveness", "monitor.redis_meta", "monitor.pause", "collectors",
     "handlers"},
    {"monitor.prime", "monitor.pipeline", "monitor.outlet", "monitor.levels", "monitor.window", "monitor.query",
     "monitor.scheduler", "monitor.runner", "monitor.gather"},
    {"monitor.values", "monitor.ini", "monitor.settings", "monitor.registry", "monitor.hostname", "monitor.config",
     "monitor.inventory", "monitor.rels", "monitor.graphite", "monitor.influx", "monitor.naming", "monitor.sample",
     "monitor.shape", "monitor.environment",
     "monitor.diamond", "monitor.tiers", "monitor.effective", "monitor.forecast", "monitor.graphfiles",
     "monitor.yaml_file", "monitor.conffiles", "monitor.servers_yaml", "monitor.servers_ini", "monitor.census",
     "monitor.logfiles", "monitor.dialect",
     "monitor.live", "monitor.setups", "monitor.sql", "monitor.sorabeat"},
    {"monitor.receivers", "monitor.metrics", "monitor.received", "monitor.ports"},
    {"monitor.web"},
    {"monitor.app"},
    {"monitor.cli", "monitor.__main__"},
]  # fmt: skip


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Yield the full names of our modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            base = node.module or ""
            names = [f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else base for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in PACKAGES)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def known_as(name: str, names: object) -> str | None:
    """Return the longest of `names` that is the module or a package that holds it."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if (found := ".".join(parts[:length])) in names:  # type: ignore[operator]
            return found
    return None


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_its_place_allows(path: Path) -> None:
    name = name_of(path)
    rule = known_as(name, ALLOWED)
    if rule is None:
        return
    for other in imported(path):
        if known_as(other, ALLOWED[rule]) is None and not other.startswith(rule):
            pytest.fail(f"{name} imports {other}; allowed are {sorted(ALLOWED[rule]) or 'none of ours'}")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_lower_layers_never_import_higher_ones(path: Path) -> None:
    def level(module: str) -> int:
        found = [
            i
            for i, layer in enumerate(LAYERS)
            if (hit := known_as(module, layer)) and (hit != "monitor" or module == "monitor")
        ]
        assert found, f"{module} has no place in the layers"
        return found[0]

    name = name_of(path)
    for other in imported(path):
        assert level(other) <= level(name), f"{name} imports {other}, which lies above it"


def test_nothing_in_monitor_names_a_collector_or_a_handler() -> None:
    for path in MODULES:
        if path.is_relative_to(ROOT / "monitor"):
            outside = [name for name in imported(path) if name.split(".")[0] != "monitor"]
            assert not outside, f"{name_of(path)} imports {outside}"


def test_imports_make_no_loop() -> None:
    graph = {name_of(path): set(imported(path)) for path in MODULES}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " imports ".join((*way[way.index(name) :], name))
        if name not in done:
            for other in graph.get(name, ()):
                visit(other, (*way, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_imports_stand_at_the_top() -> None:
    """One is allowed: the command line loads the application only for `run`, so that `check` is quick."""
    inside = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom) and name_of(path) != "monitor.cli"
    ]
    assert not inside


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_has_at_most_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize(
    "command", [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]], ids=["ruff", "format", "mypy"]
)
def test_the_code_is_clean(command: list[str], tmp_path: Path) -> None:
    options = ["--cache-dir", str(tmp_path)] if command[0] == "mypy" else ["--no-cache"]
    done = subprocess.run([sys.executable, "-m", *command, *options], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
