"""What a graph reads, from the store: its own series, and tracks of other functions, steps, spans and sources."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from monitor.attime import TimeError, resolve
from monitor.batch import Floats, Series, Source
from monitor.consolidate import CF, buckets, of_pdps
from monitor.graph.data import Read, Track
from monitor.graph.model import Graph
from monitor.handler import SourceInfo
from monitor.levels import COLLECTED
from monitor.query import Answer
from monitor.web.problem import bad
from monitor.web.services import Services

MOST_POINTS = 9_000
"""A track has no more buckets than that: its step is raised."""
OWN_START = re.compile(r"s(?:tart)?(?![a-z])", re.IGNORECASE)
OWN_END = re.compile(r"e(?:nd)?(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of a graph: `series` in even buckets, and what its expressions want read otherwise."""

    start: int
    end: int
    step: int
    series: Mapping[str, Floats]
    tracks: Mapping[Read, Track] = field(default_factory=dict)
    peaks: Mapping[str, Floats] | None = None
    tier: str = COLLECTED


class Span(NamedTuple):
    start: int
    end: int
    step: int


class Way(NamedTuple):
    """How series are read; what is read in the same way is one question."""

    cf: str
    step: int
    start: str
    end: str
    reduce: str
    source: Source | None


PLAIN = Way("AVERAGE", 0, "", "", "", None)


def way(read: Read) -> Way:
    return Way(read.cf, read.step, read.start, read.end, "" if read.reduce == read.cf else read.reduce, read.source)


async def read_graph(services: Services, source: Source, kinds: Collection[str], graph: Graph, span: Span) -> Reading:
    """Read all that a graph draws of a source whose series are `kinds`."""
    query = services.parts.query
    groups: dict[Way, list[Read]] = {PLAIN: []}
    for read in graph.reads():
        groups.setdefault(way(read), []).append(read)
    own = {read: _named(read, kinds) for read in groups.pop(PLAIN)}
    wanted = [Series(source, name) for name in dict.fromkeys(own.values())]
    found = await query.fetch_graph(wanted, span.start, span.end, step=span.step, cf="AVERAGE")
    values = _values(found)
    tracks = {
        read: Track(found.start, found.step, values[name])
        for read, name in own.items()
        if not read.plain and name in values
    }
    for one, reads in groups.items():
        tracks |= await _tracks(services, source, kinds, one, reads, found)
    return Reading(found.start, found.end, found.step, values, tracks, None, found.tier)


async def read_sum(
    services: Services, infos: Sequence[SourceInfo], graph: Graph, span: Span, *, mean: bool = False
) -> Reading:
    """Read the series of a graph, each added up over the sources, or with `mean` averaged over them."""
    found = await services.parts.query.fetch_sum(
        infos, list(graph.names()), span.start, span.end, step=span.step, cf="AVERAGE", fresh=True, mean=mean
    )
    return Reading(found.start, found.end, found.step, found.values, tier=found.tier)


async def _tracks(
    services: Services, own: Source, kinds: Collection[str], one: Way, reads: Sequence[Read], found: Answer
) -> dict[Read, Track]:
    """Read what is read in one way."""
    source = own if one.source is None else one.source
    if one.source is not None:
        infos = await services.store.sources(host=source.host, collector=source.collector, instance=source.instance)
        kinds = [name for info in infos for name in info.kinds]
    start, end = _ends(services, one, found)
    step = max(one.step or found.step, -(-(end - start) // MOST_POINTS))
    names = {read: _named(read, kinds) for read in reads}
    wanted = [Series(source, name) for name in dict.fromkeys(names.values())]
    answer = await services.parts.query.fetch(wanted, start, end, step=None if one.reduce else step, cf=one.cf)
    values = _values(answer)
    if one.reduce and answer.step < step:
        step = -(-step // answer.step) * answer.step
        start, end = answer.start // step * step, -(-answer.end // step) * step
        ends = np.arange(answer.start + answer.step, answer.end + 1, answer.step, dtype=np.int64)
        values = {
            name: buckets(of_pdps(ends, fine, answer.step), step=step, start=start, end=end, cf=CF(one.reduce))
            for name, fine in values.items()
        }
    else:
        start, step = answer.start, answer.step
    return {read: Track(start, step, values[name]) for read, name in names.items() if name in values}


def _ends(services: Services, one: Way, found: Answer) -> tuple[int, int]:
    """Return the ends of a track: time expressions around each other, or around the graph's ends."""
    start = OWN_START.sub(str(found.start), one.start, count=1) if OWN_START.match(one.start) else one.start
    end = OWN_END.sub(str(found.end), one.end, count=1) if OWN_END.match(one.end) else one.end
    try:
        since, until = resolve(
            start or str(found.start), end or str(found.end), now=services.clock(), tz=services.timezone
        )
    except TimeError as error:
        raise bad("graph", f"the {error.parameter} of a series it reads: {error}") from None
    if until <= since:
        raise bad("graph", f"expected the series it reads to end after their start {since}, got {until}")
    return since, until


def _named(read: Read, kinds: Collection[str]) -> str:
    """Return the name of the series: with its kind where there is one of that name."""
    full = f"{read.name}.{read.kind}"
    return full if read.kind and full in kinds else read.name


def _values(answer: Answer) -> dict[str, Floats]:
    return {one.series.name: one.values for one in answer.series}
