"""A program is run: over whole arrays, and row by row only where a result needs the one before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from monitor.batch import Floats
from monitor.graph.data import Data, Track
from monitor.graph.rrd import windows
from monitor.graph.rrd.clock import Times, begins, local
from monitor.graph.rrd.operators import FUNCTIONS
from monitor.graph.rrd.rpn import Program, Step

MOST = 500_000


@dataclass(frozen=True)
class Rows:
    """The rows of a result: from the latest start of its variables to their earliest end, in the step that fits all."""

    start: int
    step: int
    count: int
    tracks: tuple[Track, ...]

    @cached_property
    def ends(self) -> Times:
        return self.start + self.step * np.arange(1, self.count + 1, dtype=np.int64)

    def before(self, place: int) -> Times:
        """Return for every row the place of a variable's value in it."""
        track = self.tracks[place]
        return (self.ends - self.step - track.start) // track.step

    def value(self, place: int) -> Floats:
        track = self.tracks[place]
        if track.step == self.step and (self.start - track.start) % track.step == 0:
            begin = (self.start - track.start) // track.step
            return track.values[begin : begin + self.count]
        return _at(track.values, self.before(place))

    def previous(self, place: int) -> Floats:
        """Return for every row the value of a variable before the one in it."""
        found = _at(self.tracks[place].values, self.before(place) - 1)
        found[:1] = math.nan
        return found

    def window(self, place: int) -> windows.Window:
        track = self.tracks[place]
        return windows.Window(track.values, track.step, (self.ends - track.start) // track.step)


def _at(values: Floats, places: Times) -> Floats:
    found = np.full(len(places), math.nan)
    inside = (places >= 0) & (places < len(values))
    found[inside] = values[places[inside]]
    return found


def rows_of(tracks: Sequence[Track], data: Data) -> Rows:
    """Return the rows of what is computed of tracks; without any they are those of the graph."""
    if not tracks:
        return Rows(data.start, data.step, data.count, ())
    start, end = max(track.start for track in tracks), min(track.end for track in tracks)
    step = math.gcd(*(track.step for track in tracks))
    count = max(0, (end - start) // step)
    if count > MOST:
        steps = ", ".join(map(str, sorted({track.step for track in tracks})))
        raise ValueError(f"expected at most {MOST} values of one variable, got {count} by steps of {steps} seconds")
    return Rows(start, step, count, tuple(tracks))


def run(program: Program, tracks: Sequence[Track], figures: Sequence[np.float64], data: Data) -> Track:
    """Return the values of a program over the tracks of its variables."""
    rows = rows_of(tracks, data)
    values: list[Any] = []
    with np.errstate(all="ignore"):
        for step in program.steps:
            values.append(None if step.recurs else _value(step, program, values, rows, figures, data))
        if program.steps[program.result].recurs:
            found: Any = np.array(_recur(program, values, rows.count), dtype=np.float64)
        else:
            found = np.broadcast_to(np.asarray(values[program.result], dtype=np.float64), rows.count)
    return Track(rows.start, rows.step, found)


def _value(
    step: Step, program: Program, values: Sequence[Any], rows: Rows, figures: Sequence[np.float64], data: Data
) -> Any:
    """Return a step's values, or one for all rows."""
    name = step.name
    if name == "number":
        return np.float64(step.number)
    if name == "variable":
        return rows.value(step.place)
    if name == "previous":
        return rows.previous(step.place)
    if name == "figure":
        return figures[step.place]
    needed = [values[number] for number in step.needs]
    if name == "pick":
        return needed[0][step.place]
    if name in FUNCTIONS:
        return FUNCTIONS[name].whole(*needed)
    if step.needs:
        return _windowed(step, rows.window(program.steps[step.needs[0]].place), needed[1:])
    return _time(name, rows, data)


def _time(name: str, rows: Rows, data: Data) -> Any:
    if name == "NOW":
        return np.float64(data.now)
    if name == "STEPWIDTH":
        return np.float64(rows.step)
    if name == "COUNT":
        return np.arange(1.0, rows.count + 1)
    if name == "TIME":
        return rows.ends.astype(np.float64)
    if name == "LTIME":
        return local(rows.ends, data.tz).astype(np.float64)
    return begins(name, rows.ends, rows.step, data.tz)


def _windowed(step: Step, window: windows.Window, needed: Sequence[Any]) -> Floats:
    if step.name in ("TREND", "TRENDNAN"):
        return windows.trend(window, needed[0], known=step.name == "TRENDNAN")
    settings = 2 if step.name == "PREDICTPERC" else 1
    numbers = [float(number) for number in needed]
    if not all(map(math.isfinite, numbers)):
        return np.full(len(window.after), math.nan)
    seconds, shifts = int(numbers[0]), [int(number) for number in numbers[settings:]]
    if step.place < 0:
        shifts = [turn * shifts[0] for turn in range(-step.place)]
    shifts = [shift for shift in shifts if shift >= 0]
    if step.name == "PREDICT":
        return windows.predict(window, shifts, seconds)
    if step.name == "PREDICTSIGMA":
        return windows.sigma(window, shifts, seconds)
    return windows.percentile(window, shifts, seconds, max(-100.0, min(100.0, numbers[1])))


def _recur(program: Program, values: Sequence[Any], count: int) -> list[float]:
    """Return the result of every row, each of which may need the one before it."""
    registers: list[Any] = [0.0] * len(program.steps)
    given = {number for step in program.steps if step.recurs for number in step.needs if values[number] is not None}
    columns: list[list[Any]] = []
    places: list[int] = []
    for number in sorted(given):
        value = np.asarray(values[number])
        if value.ndim:
            columns.append(value.tolist() if value.ndim == 1 else value.T.tolist())
            places.append(number)
        else:
            registers[number] = float(value)
    own = [number for number, step in enumerate(program.steps) if step.name == "own"]
    todo = list(_calls(program))
    result, previous = program.result, math.nan
    found = []
    for row in zip(*columns, strict=True) if columns else [()] * count:
        for place, item in zip(places, row, strict=True):
            registers[place] = item
        for place in own:
            registers[place] = previous
        for place, call, needs in todo:
            registers[place] = call(*[registers[number] for number in needs])
        previous = registers[result]
        found.append(previous)
    return found


def _calls(program: Program) -> Iterator[tuple[int, Callable[..., Any], tuple[int, ...]]]:
    for number, step in enumerate(program.steps):
        if not step.recurs or step.name == "own":
            continue
        if step.name == "pick":
            yield number, _picker(step.place), step.needs
        else:
            yield number, FUNCTIONS[step.name].row, step.needs


def _picker(place: int) -> Callable[[Sequence[float]], float]:
    return lambda ordered: ordered[place]
