"""Every collector: what it makes of the inputs in tests/cases, and the contract that all of them keep."""

from __future__ import annotations

import ast
import fnmatch
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from diamond_cases import FOLDER_OPTIONS, NEEDS, STANDING_IN

import collectors.diskspace
import collectors.diskusage
from monitor.batch import Kind
from monitor.collector import Collector, Counter, Metric, Response, Target
from monitor.graph.data import Data
from monitor.graph.model import Graph
from monitor.options import options_of
from monitor.registry import Registry
from monitor.runner import describe

ROOT = Path(__file__).resolve().parent.parent
CLASSES = {cls.path: cls for cls in Registry().collectors.values() if cls.__module__.startswith("collectors.")}
FOLDERS = [folder for path in sorted(CLASSES) for folder in sorted((ROOT / "tests/cases" / path).glob("*/"))]
AT_RUN_TIME = {"detailed", "all_names", "2017", "2018", "2025", "minimal"}
"""Cases that publish names which are known only at run time."""


class Page:
    """Serves the case's page, and what is beside it: a page named as an address ends (`hwinfo`), or none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def text(self, url: str, *, headers: object = None) -> str:
        return (self._folder / "page").read_text()

    async def get(self, url: str, *, headers: object = None) -> Response:
        name = url.rpartition("/")[2]
        file = self._folder / ("page" if "?" in name else name)
        return Response(200, {}, file.read_bytes()) if file.exists() else Response(404, {}, b"")

    async def post(self, url: str, body: bytes, *, headers: Mapping[str, str], tls: object = None) -> Response:
        return await self.get(f"/{headers['x-sora-target'].rpartition('.')[2]}")


class DiskUsage(collectors.diskusage.DiskUsageCollector):
    """Its readings are 60 seconds apart."""

    seconds = 0.0

    def clock(self) -> float:
        self.seconds += 60
        return self.seconds


class DiskSpace(collectors.diskspace.DiskSpaceCollector):
    """Reads the state of file systems from the case's space.json."""

    def look(self, place: Path) -> collectors.diskspace.State | None:
        state = json.loads((self.root / "space.json").read_text()).get(
            f"/{place.relative_to(self.root)}".removesuffix(".")
        )
        if state is None:
            return None
        size, blocks, free, avail, files, ffree, favail = state["space"]
        space = os.statvfs_result((size, size, blocks, free, avail, files, ffree, favail, 0, 255))
        return collectors.diskspace.State(state["device"], space)


def made(folder: Path) -> Collector:
    standing_in = {"iostat": DiskUsage, "diskspace": DiskSpace, **STANDING_IN}
    cls = standing_in.get(folder.parent.name, CLASSES[folder.parent.name])
    file = folder / "options.json"
    options = json.loads(file.read_text()) if file.exists() else {}
    if cls is DiskSpace:
        options["root"] = folder
    for name in FOLDER_OPTIONS.get(folder.parent.name, ()):
        options[name] = folder / FOLDER_OPTIONS[folder.parent.name][name]
    return cls(Target("web1", "192.0.2.1", "web1"), Page(folder), **options)  # type: ignore[arg-type]


def metrics(cls: type) -> dict[str, Metric]:
    """Return the declared metrics by name."""
    found = {}
    for owner in reversed(cls.__mro__):
        found.update({value.name: value for value in vars(owner).values() if isinstance(value, Metric)})
    return found


def declared(cls: type, name: str) -> Metric | None:
    return next((metric for pattern, metric in metrics(cls).items() if fnmatch.fnmatchcase(name, pattern)), None)


def graphs(cls: type[Collector]) -> list[Graph]:
    of_instances = [graph for by_protocol in cls.instance_targets.values() for graph in by_protocol.values()]
    return [*cls.graphs, *cls.targets.values(), *of_instances]


async def outcome(folder: Path) -> str:
    """Return what the collector makes of the case: `name value kind unit` per line, or its error."""
    one = made(folder)
    batches = []
    for reading in sorted(folder.glob("[0-9]/")) or [folder]:
        one.proc = reading
        try:
            batches = await one.run(0)
        except Exception as error:
            text = describe(error, one.timeout or 0)
            return f"error {text}\n".replace(str(folder), "CASE")
    lines = []
    for batch in batches:
        if batch.source.instance:
            lines.append(f"[{batch.source.instance}]")
        for name, value in batch.values.items():
            metric = declared(type(one), name)
            lines.append(f"{name} {value!r} {batch.kinds.get(name, Kind.GAUGE)} {metric.unit if metric else '-'}")
        lines += [f"meta {name} = {text}" for name, text in batch.meta.items()]
    return "\n".join(lines) + "\n"


def expected(path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the cases of a collector with the words of each value."""
    for file in (ROOT / "tests/cases" / path).glob("*/expected.txt"):
        lines = [line for line in file.read_text().splitlines() if not line.startswith(("error ", "meta ", "["))]
        for line in lines:
            yield file.parent.name, line.split(" ")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
async def test_a_case_gives_what_is_expected(folder: Path, golden: bool) -> None:
    file = folder / "expected.txt"
    text = await outcome(folder)
    if golden:
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("path", CLASSES)
def test_a_collector_has_cases_for_the_good_the_garbled_and_the_empty(path: str) -> None:
    if CLASSES[path].pushed:
        return
    names = {folder.name for folder in FOLDERS if folder.parent.name == path}
    assert {"ok", "garbage", "empty"} <= names
    for bad in ("garbage", "empty"):
        assert (ROOT / "tests/cases" / path / bad / "expected.txt").read_text().startswith("error expected ")


@pytest.mark.parametrize("path", CLASSES)
def test_every_declared_metric_is_published_in_a_case_and_nothing_undeclared_is(path: str) -> None:
    cls = CLASSES[path]
    if cls.pushed:
        return
    seen = set()
    for case, (name, _, kind, unit) in expected(path):
        metric = declared(cls, name)
        if metric is None:
            assert case in AT_RUN_TIME, f"{case}: {name} is not declared"
        else:
            seen.add(metric.name)
            assert (kind, unit) == (metric.kind, metric.unit)
    assert seen == set(metrics(cls)), f"in no case: {set(metrics(cls)) - seen}"


@pytest.mark.parametrize("path", CLASSES)
def test_no_two_declared_metrics_claim_the_same_name(path: str) -> None:
    for case, (name, *_) in expected(path):
        claims = [pattern for pattern in metrics(CLASSES[path]) if fnmatch.fnmatchcase(name, pattern)]
        assert len(claims) <= 1, (case, name, claims)


@pytest.mark.parametrize("path", CLASSES)
def test_every_metric_says_its_unit_and_meaning(path: str) -> None:
    for name, metric in metrics(CLASSES[path]).items():
        assert metric.unit, name
        assert metric.help, name
        if isinstance(metric, Counter):
            assert metric.unit.endswith("/s"), f"{name}: what is stored of a counter is its rate"


@pytest.mark.parametrize("path", CLASSES)
def test_graphs_draw_declared_metrics_and_every_metric_is_drawn(path: str) -> None:
    cls = CLASSES[path]
    names = set(metrics(cls))
    for graph in graphs(cls):
        assert {
            name if name in names else getattr(declared(cls, name), "name", name) for name in graph.names()
        } <= names
        assert graph.title
        assert all(item.legend for item in graph.items)
        devices = {"*" in name for name in graph.names()}
        assert len(devices) == 1, f"{graph.name} mixes devices with what is no device"
    drawn = {name for graph in cls.graphs for name in graph.names()}
    assert drawn == names, f"not drawn: {names - drawn}"
    assert len({graph.name for graph in cls.graphs}) == len(cls.graphs)


def test_the_targets_are_those_of_graph_global_with_its_colours_and_columns() -> None:
    targets = {name: graph for cls in CLASSES.values() if cls.local for name, graph in cls.targets.items()}
    assert set(targets) == {"cpu", "iowait", "memory", "loadavg", "tcpsocket"}
    drawn = {name: [(type(item).__name__, item.colour) for item in graph.items] for name, graph in targets.items()}
    green, blue = ("Area", "00cc00b4"), ("Line", "0000ffb4")
    assert drawn == {
        "cpu": [green, blue],
        "iowait": [green],
        "memory": [green, blue],
        "loadavg": [green],
        "tcpsocket": [
            ("Line", "990099b4"),
            ("Line", "00cc00b4"),
            ("Line", "ff8000b4"),
            ("Line", "ff0000b4"),
            ("Line", "0000ffb4"),
        ],
    }
    assert {graph.legend for graph in targets.values()} == {("Max", "Average", "Current")}
    assert (targets["cpu"].lower, targets["cpu"].upper, targets["cpu"].rigid) == (0, 100, True)
    assert targets["memory"].base == 1024


def test_a_processor_that_is_all_busy_draws_100_percent() -> None:
    cpu = CLASSES["cpu"]
    states = {f"total.{state}": 0.0 for state in ("nice", "idle", "iowait", "irq", "softirq", "steal")}
    states |= {"total.user": 150.0, "total.system": 50.0}
    series = Data({name: np.array([value]) for name, value in states.items()}, start=0, end=1, step=1)
    main, sub = (item.value.evaluate(series) for item in cpu.targets["cpu"].items)
    assert (main.tolist(), sub.tolist()) == ([100.0], [25.0])


@pytest.mark.parametrize("path", CLASSES)
def test_every_option_is_typed_has_a_default_and_a_help(path: str) -> None:
    for name, field in options_of(CLASSES[path]).items():
        assert field.option.help, name
        assert field.option.default is not ..., name


@pytest.mark.parametrize("file", sorted((ROOT / "collectors").glob("[!_]*.py")), ids=lambda file: file.stem)
def test_a_file_holds_one_collector_says_what_it_reads_and_is_short(file: Path) -> None:
    text = file.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.name.endswith("Collector")]
    assert len(classes) == 1
    assert file.stem == classes[0].removesuffix("Collector").lower().replace("loadaverage", "loadavg")
    assert len(text.splitlines()) <= 200


def test_importing_the_collectors_opens_nothing() -> None:
    code = """
import sys
import monitor.collector, monitor.http
before = set(sys.modules)
def hook(event, args):
    if event.startswith(("socket.", "subprocess.", "os.system", "urllib.")):
        raise SystemExit(f"importing did {event}")
    if event == "open" and not str(args[0]).endswith((".py", ".pyc")):
        raise SystemExit(f"importing opened {args[0]}")
sys.addaudithook(hook)
for name in NAMES:
    __import__(f"collectors.{name}")
""".replace("NAMES", repr([file.stem for file in (ROOT / "collectors").glob("[!_]*.py")]))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", [path for path, cls in CLASSES.items() if cls.local and path not in FOLDER_OPTIONS])
async def test_a_local_collector_reads_this_machine(path: str, tmp_path: Path) -> None:
    cls = CLASSES[path]
    one = cls(Target("own", "127.0.0.1", "own", local=True), None, **NEEDS.get(path, {}))  # type: ignore[arg-type]
    for _ in range(2):
        (batch,) = await one.run(0)
    undeclared = [name for name in batch.values if declared(cls, name) is None]
    assert not undeclared
    assert all(isinstance(value, int | float) for value in batch.values.values())
    assert any(math.isfinite(value) for value in batch.values.values())
    one.proc = tmp_path
    with pytest.raises(FileNotFoundError) as error:
        await one.run(0)
    assert describe(error.value, 1).startswith(f"{tmp_path}/")


async def test_a_file_system_that_does_not_answer_holds_up_no_other_and_gets_one_thread() -> None:
    answer = threading.Event()
    asked: list[str] = []

    class Hanging(DiskSpace):
        def look(self, place: Path) -> collectors.diskspace.State | None:
            if place.name == "nfs":
                asked.append(str(place))
                answer.wait(30)
            return super().look(place)

    folder = ROOT / "tests/cases/diskspace/ok"
    one = Hanging(Target("own", "127.0.0.1", "own", local=True), None, root=folder, proc=folder, patience=0.2)  # type: ignore[arg-type]
    try:
        for _ in range(3):
            (batch,) = await one.run(0)
            assert batch.meta == {"no answer": "/mnt/nfs"}
            assert "root.byte_used" in batch.values
            assert "_mnt_nfs.byte_used" not in batch.values
        assert len(asked) == 1
    finally:
        answer.set()
    for _ in range(2):
        (batch,) = await one.run(0)
    assert batch.meta == {}
    assert "_mnt_nfs.byte_used" in batch.values
