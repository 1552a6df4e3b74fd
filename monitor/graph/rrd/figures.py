"""Figures of a whole variable (VDEF), and the time at which each stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Floats
from monitor.graph.data import ANY, Data, Read, Track
from monitor.graph.expr import Scalar
from monitor.graph.rrd.operators import half_away
from monitor.graph.rrd.variables import Variable

NAN = math.nan


class Found(NamedTuple):
    """A value, and the place of the bucket at whose end it stands; -1 is the end of none."""

    value: float
    place: float = NAN


NOTHING = Found(NAN)


def _places(values: Floats) -> NDArray[np.int64]:
    return np.flatnonzero(~np.isnan(values)).astype(np.int64)


def _extreme(values: Floats, sign: float) -> Found:
    """Return the largest of the finite values and the first known one, which may be infinite."""
    known = _places(values)
    if not len(known):
        return NOTHING
    part = sign * values
    part[~np.isfinite(values)] = -math.inf
    part[known[0]] = sign * values[known[0]]
    place = int(known[0]) if part[known[0]] == part.max() else int(part.argmax())
    return Found(float(values[place]), place)


def _first(values: Floats) -> Found:
    known = _places(values)
    return Found(float(values[known[0]]), known[0] - 1) if len(known) else NOTHING


def _last(values: Floats) -> Found:
    known = _places(values)
    return Found(float(values[known[-1]]), known[-1]) if len(known) else NOTHING


def _mean(values: Floats) -> Found:
    finite = values[np.isfinite(values)]
    return Found(float(finite.mean())) if len(finite) else NOTHING


def _deviation(values: Floats) -> Found:
    finite = values[np.isfinite(values)]
    return Found(float(finite.std())) if len(finite) else NOTHING


def _sum(values: Floats) -> Found:
    finite = values[np.isfinite(values)]
    return Found(float(finite.sum())) if len(finite) else NOTHING


class Fit(NamedTuple):
    """The line of least squares through values by their places, and how well they lie on it."""

    slope: float
    intercept: float
    correlation: float


def fit(values: Floats) -> Fit:
    x = np.flatnonzero(np.isfinite(values)).astype(np.float64)
    if not len(x):
        return Fit(NAN, NAN, NAN)
    y = values[np.isfinite(values)]
    across, up = x - x.mean(), y - y.mean()
    both, squares = np.float64((across * up).sum()), np.float64((across * across).sum())
    slope = both / squares
    correlation = both / np.sqrt(squares * (up * up).sum())
    return Fit(float(slope), float(y.mean() - slope * x.mean()), float(correlation))


def _percent(values: Floats, percent: float) -> Found:
    """Return the value below which a percentage lies; unknown ones are the lowest."""
    if not len(values):
        return NOTHING
    place = int(half_away(percent * (len(values) - 1) / 100.0))
    unknown = int(np.isnan(values).sum())
    return Found(NAN if place < unknown else float(np.sort(values)[place - unknown]))


def _percent_known(values: Floats, percent: float) -> Found:
    return _percent(values[~np.isnan(values)], percent)


PLAIN: Mapping[str, Callable[[Floats], Found]] = {
    "MAXIMUM": lambda values: _extreme(values, 1.0),
    "MINIMUM": lambda values: _extreme(values, -1.0),
    "AVERAGE": _mean,
    "STDEV": _deviation,
    "FIRST": _first,
    "LAST": _last,
    "TOTAL": _sum,
    "LSLSLOPE": lambda values: Found(fit(values).slope),
    "LSLINT": lambda values: Found(fit(values).intercept),
    "LSLCORREL": lambda values: Found(fit(values).correlation),
}
RANKED: Mapping[str, Callable[[Floats, float], Found]] = {"PERCENT": _percent, "PERCENTNAN": _percent_known}
# The functions of `GPRINT:name:CF:format`, the older form.
OLD = {"AVERAGE": "AVERAGE", "MIN": "MINIMUM", "MAX": "MAXIMUM", "LAST": "LAST"}


@dataclass(frozen=True, eq=False)
class Figure(Scalar):
    """A function of a whole variable; `finite` leaves out infinite values, as the older form does."""

    variable: Variable
    function: str
    percent: float = NAN
    finite: bool = False

    def reads(self) -> Iterator[Read]:
        yield from self.variable.reads()

    def names(self) -> Iterator[str]:
        yield from self.variable.names()

    def evaluate(self, data: Data) -> np.float64:
        track = self.variable.track(data)
        found = self._found(track)
        return np.float64(found.value * track.step if self.function == "TOTAL" else found.value)

    def when(self, data: Data) -> float:
        track = self.variable.track(data)
        return track.start + (self._found(track).place + 1) * track.step

    def of_device(self, device: str) -> Scalar:
        return DeviceFigure(self, device)

    def _found(self, track: Track) -> Found:
        values = np.where(np.isfinite(track.values), track.values, NAN) if self.finite else track.values
        with np.errstate(all="ignore"):
            if self.function in RANKED:
                return RANKED[self.function](values, self.percent)
            return PLAIN[self.function](values)


@dataclass(frozen=True, eq=False)
class DeviceFigure(Scalar):
    """A figure in which `*` stands for a device."""

    inner: Scalar
    device: str

    def reads(self) -> Iterator[Read]:
        for read in self.inner.reads():
            yield read._replace(name=read.name.replace(ANY, self.device))

    def names(self) -> Iterator[str]:
        for name in self.inner.names():
            yield name.replace(ANY, self.device)

    def evaluate(self, data: Data) -> np.float64:
        return self.inner.evaluate(data.of_device(self.device))

    def when(self, data: Data) -> float:
        return self.inner.when(data.of_device(self.device))

    def of_device(self, device: str) -> Scalar:
        return self


def read_vdef(text: str, variable: Variable) -> Figure:
    """Read what follows the variable's name in a VDEF: `MAXIMUM`, or `95,PERCENT`."""
    number, comma, name = text.rpartition(",")
    if name in RANKED:
        try:
            percent = float(number) if comma else NAN
        except ValueError:
            percent = NAN
        if not 0 <= percent <= 100:
            raise ValueError(f"{name!r} expected 0 to 100 percent, got {number[:20]!r}")
        return Figure(variable, name, percent)
    if name not in PLAIN:
        allowed = " ".join(sorted({*PLAIN, *RANKED}))
        raise ValueError(f"expected one of {allowed}, got {text[:40]!r}")
    if comma:
        raise ValueError(f"{name!r} expected no number, got {number[:20]!r}")
    return Figure(variable, name)
