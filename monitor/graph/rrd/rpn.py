"""Reverse Polish notation: the text of a CDEF becomes steps, each of which names those that it needs.

The operators of the stack (DUP, EXC, ROLL …) are done while reading, so that no stack is left when values are computed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from monitor.graph.expr import Scalar
from monitor.graph.rrd.operators import FUNCTIONS

LONGEST = 1000
DEEPEST = 256
MOST_SHIFTS = 400
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?")
PREVIOUS = re.compile(r"PREV\(([-\w]+)\)", re.ASCII)
VALUES = {"UNKN": float("nan"), "INF": float("inf"), "NEGINF": float("-inf")}
TIMES = frozenset({"TIME", "LTIME", "COUNT", "NEWDAY", "NEWWEEK", "NEWMONTH", "NEWYEAR"})
MOMENTS = frozenset({"NOW", "STEPWIDTH"})
WINDOWS = {"TREND": 2, "TRENDNAN": 2, "PREDICT": 3, "PREDICTSIGMA": 3, "PREDICTPERC": 4}
STACK = frozenset({"DUP", "POP", "EXC", "DEPTH", "COPY", "INDEX", "ROLL", "REV"})
OPERATORS = frozenset({*FUNCTIONS, *VALUES, *TIMES, *MOMENTS, *WINDOWS, *STACK, "PREV"})


@dataclass(frozen=True, slots=True)
class Step:
    """What one step computes from those before it.

    `varies`: not the same in every row. `recurs`: it needs the result of the row before.
    """

    name: str
    needs: tuple[int, ...] = ()
    number: float = 0.0
    place: int = 0
    varies: bool = False
    recurs: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """Steps, of which the one called `result` is the outcome; the variables and figures that steps name by place."""

    steps: tuple[Step, ...]
    result: int
    variables: tuple[object, ...]
    figures: tuple[Scalar, ...]


@dataclass(slots=True)
class _Compiler:
    known: Mapping[str, object]
    steps: list[Step] = field(default_factory=list)
    stack: list[int] = field(default_factory=list)
    variables: dict[object, int] = field(default_factory=dict)
    figures: dict[Scalar, int] = field(default_factory=dict)

    def push(self, step: Step) -> None:
        self.steps.append(step)
        self.place(len(self.steps) - 1)

    def place(self, number: int) -> None:
        if len(self.stack) >= DEEPEST:
            raise ValueError(f"expected at most {DEEPEST} values on the stack")
        self.stack.append(number)

    def pop(self, name: str, count: int = 1) -> list[int]:
        if count > len(self.stack):
            raise ValueError(f"stack underflow: {name!r} expected {count} values, got {len(self.stack)}")
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def count(self, name: str, least: int) -> int:
        """Take the number of values that an operator is for; it is written as a number."""
        step = self.steps[self.pop(name)[0]]
        if step.name != "number":
            raise ValueError(f"{name!r} expected a number as its count")
        if not least <= step.number <= DEEPEST:
            raise ValueError(f"{name!r} expected a count from {least} to {DEEPEST}, got {step.number:g}")
        return int(step.number)

    def apply(self, name: str, needs: Sequence[int]) -> None:
        """Push a function's value; one of numbers alone is a number."""
        given = [self.steps[number] for number in needs]
        if given and all(step.name == "number" for step in given) and name != "SORT":
            self.push(Step("number", number=FUNCTIONS[name].row(*(step.number for step in given))))
            return
        self.push(
            Step(
                name,
                tuple(needs),
                varies=any(step.varies for step in given),
                recurs=any(step.recurs for step in given),
            )
        )

    def read(self, token: str) -> None:
        if NUMBER.fullmatch(token):
            self.push(Step("number", number=float(token)))
        elif found := PREVIOUS.fullmatch(token):
            self.variable(found[1], "previous")
        elif token in VALUES:
            self.push(Step("number", number=VALUES[token]))
        elif token == "PREV":  # noqa: S105
            self.push(Step("own", varies=True, recurs=True))
        elif token in TIMES or token in MOMENTS:
            self.push(Step(token, varies=token in TIMES))
        elif token in FUNCTIONS:
            self.function(token)
        elif token in WINDOWS:
            self.window(token)
        elif token in STACK:
            self.move(token)
        else:
            self.variable(token, "variable")

    def variable(self, name: str, kind: str) -> None:
        if name not in self.known:
            raise ValueError(f"expected a number, an operator or a variable defined before, got {name[:60]!r}")
        found = self.known[name]
        if isinstance(found, Scalar):
            self.push(Step("figure", place=self.figures.setdefault(found, len(self.figures))))
        else:
            self.push(Step(kind, place=self.variables.setdefault(found, len(self.variables)), varies=True))

    def function(self, name: str) -> None:
        count = FUNCTIONS[name].count
        if count:
            self.apply(name, self.pop(name, count))
        elif name == "PERCENT":
            count = self.count(name, 1)
            percent = self.pop(name)
            number = self.steps[percent[0]]
            if number.name == "number" and not 0 <= number.number <= 100:
                raise ValueError(f"{name!r} expected 0 to 100 percent, got {number.number:g}")
            self.apply(name, percent + self.pop(name, count))
        elif name == "SORT":
            count = self.count(name, 0)
            if count:
                self.apply(name, self.pop(name, count))
                (ordered,) = self.pop(name)
                made = self.steps[ordered]
                for place in range(count):
                    self.push(Step("pick", (ordered,), place=place, varies=made.varies, recurs=made.recurs))
        else:
            self.apply(name, self.pop(name, self.count(name, 1)))

    def window(self, name: str) -> None:
        """Read TREND and PREDICT with their kin, which look at other rows of a variable."""
        if name in ("TREND", "TRENDNAN"):
            needs = self.pop(name, 2)
            self._is_variable(name, needs[0])
            if self.steps[needs[1]].recurs:
                raise ValueError(f"{name!r} expected seconds that need no PREV")
            self.push(Step(name, tuple(needs), varies=True))
            return
        variable = self.pop(name)
        self._is_variable(name, variable[0])
        settings = self.pop(name, 2 if name == "PREDICTPERC" else 1)
        if name == "PREDICTPERC":
            percent = self.steps[settings[1]]
            if percent.name == "number" and not -100 <= percent.number <= 100:
                raise ValueError(f"{name!r} expected -100 to 100 percent, got {percent.number:g}")
        step = self.steps[self.pop(name)[0]]
        if step.name != "number" or not -MOST_SHIFTS <= step.number <= DEEPEST:
            raise ValueError(f"{name!r} expected a number of shifts from -{MOST_SHIFTS} to {DEEPEST}")
        shifts = self.pop(name, 1 if step.number < 0 else int(step.number))
        if any(self.steps[number].varies for number in (*shifts, *settings)):
            raise ValueError(f"{name!r} expected shifts and a window that are the same in every row")
        if any(self.steps[number].number < 0 for number in shifts):
            raise ValueError(f"{name!r} expected shifts of 0 or more seconds")
        self.push(Step(name, (*variable, *settings, *shifts), place=int(step.number), varies=True))

    def _is_variable(self, name: str, number: int) -> None:
        if self.steps[number].name != "variable":
            raise ValueError(f"{name!r} expected the name of a DEF or CDEF, not a computed value")

    def move(self, name: str) -> None:
        """Do what an operator of the stack does."""
        if name == "DUP":
            (top,) = self.pop(name)
            self.place(top)
            self.place(top)
        elif name == "POP":
            self.pop(name)
        elif name == "EXC":
            self.stack += reversed(self.pop(name, 2))
        elif name == "DEPTH":
            self.push(Step("number", number=float(len(self.stack))))
        elif name == "COPY":
            count = self.count(name, 0)
            taken = self.pop(name, count)
            for number in taken + taken:
                self.place(number)
        elif name == "INDEX":
            count = self.count(name, 1)
            taken = self.pop(name, count)
            self.stack += taken
            self.place(taken[0])
        elif name == "REV":
            self.stack += reversed(self.pop(name, self.count(name, 0)))
        else:
            self._roll(name)

    def _roll(self, name: str) -> None:
        by = self.steps[self.pop(name)[0]]
        if by.name != "number" or abs(by.number) > DEEPEST:
            raise ValueError(f"{name!r} expected a number to roll by")
        taken = self.pop(name, self.count(name, 1))
        cut = -int(by.number) % len(taken)
        self.stack += taken[cut:] + taken[:cut]


def compile_rpn(text: str, known: Mapping[str, object]) -> Program:
    """Read RPN over the variables (DEF, CDEF) and figures (VDEF) known so far; ValueError names the token."""
    tokens = text.split(",")
    if len(tokens) > 1 and not tokens[-1]:
        tokens.pop()
    if len(tokens) > LONGEST:
        raise ValueError(f"expected at most {LONGEST} parts of RPN, got {len(tokens)}")
    made = _Compiler(known)
    with np.errstate(all="ignore"):
        for token in tokens:
            made.read(token)
    if len(made.stack) != 1:
        raise ValueError(f"expected one value on the stack at the end, got {len(made.stack)}")
    return Program(*_needed(made.steps, made.stack[0]), tuple(made.variables), tuple(made.figures))


def _needed(steps: Sequence[Step], result: int) -> tuple[tuple[Step, ...], int]:
    """Return the steps that a result needs, and its number among them."""
    wanted = {result}
    for number in range(len(steps) - 1, -1, -1):
        if number in wanted:
            wanted.update(steps[number].needs)
    places: dict[int, int] = {number: place for place, number in enumerate(sorted(wanted))}
    return tuple(_moved(steps[number], places.__getitem__) for number in sorted(wanted)), places[result]


def _moved(step: Step, place: Callable[[int], int]) -> Step:
    needs = tuple(place(number) for number in step.needs)
    return Step(step.name, needs, step.number, step.place, step.varies, step.recurs)
