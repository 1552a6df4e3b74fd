"""What a definition names: series that are read (DEF) and values computed of them (CDEF)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from monitor.batch import Floats
from monitor.graph.data import Data, Read, Track
from monitor.graph.expr import Expr, Scalar
from monitor.graph.rrd.rows import run
from monitor.graph.rrd.rpn import Program


class Variable(Expr):
    """Values over time, in a span and a step of their own."""

    def track(self, data: Data) -> Track:
        """Return the values; they are made once per data and device."""
        return data.once(self, self.make)

    def make(self, data: Data) -> Track:
        raise NotImplementedError(type(self).__name__)

    def names(self) -> Iterator[str]:
        for read in self.reads():
            if read.source is None:
                yield read.name

    def evaluate(self, data: Data) -> Floats:
        """Return the values in the graph's steps: each is the one in which the step begins."""
        track = self.track(data)
        if (track.start, track.step, len(track.values)) == (data.start, data.step, data.count):
            return track.values
        begins = data.start + data.step * np.arange(data.count, dtype=np.int64)
        places = (begins - track.start) // track.step
        inside = (places >= 0) & (places < len(track.values))
        found = np.full(data.count, math.nan)
        found[inside] = track.values[places[inside]]
        return found


@dataclass(frozen=True, eq=False)
class Series(Variable):
    """A DEF: a series as it is read."""

    read: Read

    def reads(self) -> Iterator[Read]:
        yield self.read

    def make(self, data: Data) -> Track:
        return data.track(self.read)


@dataclass(frozen=True, eq=False)
class Computed(Variable):
    """A CDEF."""

    program: Program
    variables: tuple[Variable, ...]
    figures: tuple[Scalar, ...]

    def reads(self) -> Iterator[Read]:
        yield from self._reads

    @cached_property
    def _reads(self) -> tuple[Read, ...]:
        """Each once: what is computed of the same over and over would have them without number."""
        return tuple(dict.fromkeys(read for one in (*self.variables, *self.figures) for read in one.reads()))

    def make(self, data: Data) -> Track:
        tracks = [one.track(data) for one in self.variables]
        return run(self.program, tracks, [one.evaluate(data) for one in self.figures], data)


@dataclass(frozen=True, eq=False)
class Shifted(Variable):
    """A variable later by some seconds, which are cut to a multiple of its step."""

    variable: Variable
    seconds: float | Scalar

    def reads(self) -> Iterator[Read]:
        yield from self.variable.reads()
        if isinstance(self.seconds, Scalar):
            yield from self.seconds.reads()

    def make(self, data: Data) -> Track:
        track = self.variable.track(data)
        by = float(self.seconds.evaluate(data)) if isinstance(self.seconds, Scalar) else self.seconds
        if not math.isfinite(by) or abs(by) > 1e12:
            return track
        return Track(track.start + int(int(by) / track.step) * track.step, track.step, track.values)
