"""What a graph reads: other functions, steps, spans, kinds and sources, and the peaks of what it draws."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from web_parts import OWN, Parts, configured

from monitor.batch import Floats, Kind, Source
from monitor.graph.data import Data, Read
from monitor.graph.expr import Expr, expr
from monitor.graph.model import Area, Comment, Graph, Line
from monitor.handler import SourceInfo
from monitor.web.peaks import with_peaks
from monitor.web.problem import ProblemError
from monitor.web.reading import Reading, Span, read_graph

NOW = 1_795_230_000
START = NOW - 7200
SOURCE, OTHER = Source(OWN, "app"), Source("db1", "app", "x")


class Track(Expr):
    """A series read in its own way."""

    def __init__(self, read: Read) -> None:
        self.read = read

    def reads(self):
        yield self.read

    def evaluate(self, data: Data) -> Floats:
        return data.track(self.read).values


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    made = Parts(configured(tmp_path), tmp_path, lambda: NOW)
    made.fill(SOURCE, {"a": lambda i: i, "k.derive": lambda i: 7.0, "k": lambda i: 9.0}, 240, NOW)
    made.fill(OTHER, {"a": lambda i: 1000.0 + i, "k": lambda i: 3.0}, 240, NOW)
    return made


async def read(parts: Parts, *reads: Read, step: int = 600) -> Reading:
    graph = Graph("g", "", *(Line(Track(one), "l") for one in reads))
    return await read_graph(parts.services, SOURCE, ("a", "k", "k.derive"), graph, Span(START, NOW, step))


def known(source: Source) -> SourceInfo:
    return SourceInfo(source, 60.0, NOW - 14400, NOW, dict.fromkeys(("a", "k", "k.derive"), Kind.GAUGE), {})


async def test_series_of_the_graph_are_read_at_its_step(parts: Parts) -> None:
    found = await read(parts, Read("a"))
    assert (found.start, found.end, found.step) == (START, NOW, 600)
    # the bucket ends with minute 129 of 0..239: the mean of its ten minutes
    assert found.series["a"][0] == pytest.approx(np.mean(range(120, 130)))
    assert not found.tracks
    assert found.peaks is None


async def test_a_function_of_its_own_is_read_with_it(parts: Parts) -> None:
    most, least = Read("a", "MAX"), Read("a", "MIN")
    found = await read(parts, Read("a"), most, least)
    assert found.tracks[most].values[0] == 129
    assert found.tracks[least].values[0] == 120
    assert found.tracks[most].step == 600


async def test_a_step_of_its_own_is_kept(parts: Parts) -> None:
    one = Read("a", step=1800)
    found = await read(parts, one)
    assert found.tracks[one].step == 1800
    assert found.tracks[one].values[0] == pytest.approx(np.mean(range(120, 150)))


async def test_what_is_reduced_is_made_of_the_finest_values(parts: Parts) -> None:
    one = Read("a", "AVERAGE", step=1200, reduce="MAX")
    found = await read(parts, one)
    assert found.tracks[one].step == 1200
    assert found.tracks[one].values[0] == 139


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("end-1h", "", NOW - 3600, NOW),
        ("start-1h", "", START - 3600, NOW),
        ("start-1h", "end-1h", START - 3600, NOW - 3600),
        ("", "start+1h", START, START + 3600),
        ("end-30min", "now-1h", NOW - 5400, NOW - 3600),
        (str(START + 600), "", START + 600, NOW),
    ],
)
async def test_ends_of_its_own_are_relative_to_those_of_the_graph(
    parts: Parts, start: str, end: str, first: int, last: int
) -> None:
    one = Read("a", start=start, end=end)
    found = await read(parts, one)
    assert (found.tracks[one].start, found.tracks[one].end) == (first, last)
    assert math.isfinite(found.tracks[one].values[0])


@pytest.mark.parametrize(("start", "end"), [("nonsense", ""), ("end-1h", "start-1d"), ("end+1h", "")])
async def test_ends_that_cannot_be_are_the_graphs_fault(parts: Parts, start: str, end: str) -> None:
    with pytest.raises(ProblemError) as caught:
        await read(parts, Read("a", start=start, end=end))
    assert (caught.value.status, caught.value.parameter) == (400, "graph")


async def test_a_name_with_its_kind_is_that_series_or_else_the_plain_one(parts: Parts) -> None:
    both, plain, other = Read("k", kind="derive"), Read("a", kind="gauge"), Read("k", kind="derive", source=OTHER)
    found = await read(parts, both, plain, other)
    assert found.tracks[both].values[0] == 7
    assert found.tracks[plain].values[0] == pytest.approx(124.5)
    assert found.tracks[other].values[0] == 3


async def test_another_source_is_read_beside_the_own_one(parts: Parts) -> None:
    one = Read("a", source=OTHER)
    found = await read(parts, Read("a"), one, Read("a", source=Source("gone", "app")))
    assert found.series["a"][0] == pytest.approx(124.5)
    assert found.tracks[one].values[0] == pytest.approx(1124.5)
    assert len(found.tracks) == 1


async def test_what_is_read_in_one_way_is_one_question(parts: Parts) -> None:
    before = parts.query.stats.queries
    await read(parts, Read("a"), Read("k"), Read("a", "MAX"), Read("k", "MAX"), Read("k", "MAX", kind="derive"))
    assert parts.query.stats.queries == before + 2


async def test_a_track_over_years_has_a_bounded_number_of_buckets(parts: Parts) -> None:
    one = Read("a", step=60, start="end-3years")
    found = await read(parts, one)
    assert 1_000 < len(found.tracks[one].values) <= 9_002


async def peaked(parts: Parts, graph: Graph, step: int = 600) -> tuple[Graph, Reading]:
    info = known(SOURCE)
    found = await read_graph(parts.services, SOURCE, info.kinds, graph, Span(START, NOW, step))
    return await with_peaks(parts.query, [info], graph, found, mean=False)


async def test_peaks_are_the_largest_values_of_the_same_buckets(parts: Parts) -> None:
    _, found = await peaked(parts, Graph("g", "", Area("a")))
    assert found.peaks is not None
    assert found.peaks["0"][0] == 129
    assert found.series["0"][0] == pytest.approx(124.5)


async def test_a_ratio_peaks_where_it_is_largest_itself_and_a_difference_too(parts: Parts) -> None:
    one = Source("h", "c", "ratio")
    parts.fill(one, {"up": lambda i: 100.0 * (i % 10), "down": lambda i: 100.0 * (9 - i % 10) + 1}, 240, NOW)
    up, down = expr("up"), expr("down")
    graph = Graph("g", "", Area(up / down), Line(up - down), Line(up + down), Line(2 * up))
    info = SourceInfo(one, 60.0, NOW - 14400, NOW, dict.fromkeys(("up", "down"), Kind.GAUGE), {})
    found = await read_graph(parts.services, one, info.kinds, graph, Span(START, NOW, 600))
    made, found = await with_peaks(parts.query, [info], graph, found, mean=False)
    assert [item.legend for item in made.items] == [item.legend for item in graph.items]
    assert found.peaks is not None
    assert [found.peaks[str(i)][0] for i in range(4)] == [900.0, 899.0, 901.0, 1800.0]


async def test_a_graph_that_says_how_it_reads_has_no_further_peaks(parts: Parts) -> None:
    for items in ((Line(Track(Read("a", "MAX")), "l"),), (Area("a"), Comment("all there is"))):
        graph = Graph("g", "", *items)
        made, found = await peaked(parts, graph)
        assert made is graph
        assert found.peaks is None
