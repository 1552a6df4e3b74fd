"""A graph by RRDtool's graph language."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from monitor.graph.expr import Constant, Expr, Scalar
from monitor.graph.model import (
    Align,
    Area,
    Comment,
    Element,
    Graph,
    HorizontalRule,
    Item,
    Line,
    Print,
    Side,
    Stack,
    Tick,
    VerticalRule,
)
from monitor.graph.printing import Duration, Moment, check_duration, check_number, check_time
from monitor.graph.rrd.drawn import Drawing, read_drawing
from monitor.graph.rrd.figures import OLD, Figure, read_vdef
from monitor.graph.rrd.lines import INSTRUCTION, KEYWORDS, MISSPELT, Word, lines, parts
from monitor.graph.rrd.options import Options, read_number
from monitor.graph.rrd.rpn import compile_rpn
from monitor.graph.rrd.source import read_function, read_series, with_options
from monitor.graph.rrd.text import read_text
from monitor.graph.rrd.variables import Computed, Series, Shifted, Variable

NAME = re.compile(r"[-A-Za-z0-9_]{1,255}")
SIDES: dict[str, Side] = {"left": "left", "right": "right", "center": "centre", "justified": "justified"}
STYLE = ("dashes", "dash-offset")
PLAIN = ("DEF", "CDEF", "VDEF", "SHIFT", "TEXTALIGN")  # they have no texts, in which blanks at the end would count
SHOWN = 60  # characters of an instruction in an error
MOST_WIDTH = 100.0
Made = TypeVar("Made", bound=Item)


def parse(text: str) -> Graph:
    """Return the graph that a definition describes; ValueError says line, token and what was expected.

    `name` is empty, for the caller to fill. A first line that is no instruction is the vertical label.
    """
    made = _Definition()
    first = True
    for words in lines(text):
        word = words[0]
        if first and not (word.is_option or word.is_instruction or MISSPELT.match(word.text)):
            made.options.fields["unit"] = " ".join(word.text for word in words).strip()[:SHOWN]
        else:
            made.line(words)
        first = False
    if not made.items:
        raise ValueError("expected at least one instruction that draws or writes something")
    fields = {"title": "", "lower": None, **made.options.fields}
    title = fields.pop("title")
    return Graph("", title, *made.items, legend=(), warnings=tuple(made.options.warnings), **fields)


class _Definition:
    """What was read so far."""

    def __init__(self) -> None:
        self.known: dict[str, Variable | Scalar] = {}
        self.items: list[Element] = []
        self.options = Options()
        self.last: type[Area] | type[Line] | None = None
        self.width = 1.0
        self.at = 0
        self.instructions: dict[str, Callable[[Sequence[str]], None]] = {
            "DEF": self.define, "CDEF": self.compute, "VDEF": self.figure, "SHIFT": self.shift, "AREA": self.area,
            "STACK": self.stack, "TICK": self.tick, "HRULE": self.horizontal, "VRULE": self.vertical,
            "COMMENT": self.comment, "PRINT": self.printed, "GPRINT": self.print, "TEXTALIGN": self.align,
            "XPORT": self.export,
        }  # fmt: skip

    def line(self, words: Sequence[Word]) -> None:
        """Read the options and instructions of a line."""
        place = 0
        while place < len(words):
            word = words[place]
            self.at = word.line
            try:
                if word.is_option:
                    place += self.options.read(words[place:])
                else:
                    self.instruction(word.text)
                    place += 1
            except ValueError as error:
                shown = word.text if len(word.text) <= SHOWN else word.text[: SHOWN - 1] + "…"
                raise ValueError(f"line {word.line}: {shown!r}: {error}") from None

    def instruction(self, text: str) -> None:
        if not INSTRUCTION.match(text):
            name = text.partition(":")[0]
            raise ValueError(f"expected one of {' '.join(KEYWORDS)} and a colon, got {name[:40]!r}")
        name, *rest = parts(text.rstrip() if text.startswith(PLAIN) else text)
        if name.startswith("LINE"):
            self.draw_line(name.removeprefix("LINE"), rest)
        elif name in self.instructions:
            self.instructions[name](rest)
        else:
            raise ValueError(f"expected a number only after LINE, got {name[:40]!r}")

    def warn(self, text: str) -> None:
        self.options.warnings.append(f"line {self.at}: {text}")

    # definitions

    def new(self, rest: Sequence[str]) -> tuple[str, str]:
        """Return the name that is defined and what follows its equals sign."""
        name, equals, value = (rest[0] if rest else "").partition("=")
        if not NAME.fullmatch(name) or not equals or not value:
            raise ValueError(f"expected NAME=… with a name of letters, digits, - and _, got {name[:40]!r}")
        if name in self.known:
            raise ValueError(f"expected a new name, but {name[:40]!r} is defined already")
        return name, value

    def define(self, rest: Sequence[str]) -> None:
        options = {}
        while rest and (found := re.fullmatch("(step|start|end|reduce|daemon)=(.*)", rest[-1], re.DOTALL)):
            options[found[1]] = found[2]
            rest = rest[:-1]
        name, path = self.new(rest)
        if len(rest) != 3:
            raise ValueError(f"expected DEF:NAME=SERIES:DS:FUNCTION, got {len(rest)} parts after DEF")
        if "daemon" in options:
            self.warn("daemon has no effect here")
        read = read_series(path)._replace(cf=read_function(rest[2]))
        self.known[name] = Series(with_options(read, options))

    def compute(self, rest: Sequence[str]) -> None:
        name, text = self.new(rest)
        self.only(rest, 1)
        program = compile_rpn(text, self.known)
        variables = tuple(one for one in program.variables if isinstance(one, Variable))
        self.known[name] = Computed(program, variables, program.figures)

    def figure(self, rest: Sequence[str]) -> None:
        name, text = self.new(rest)
        self.only(rest, 1)
        variable, comma, function = text.partition(",")
        if not comma:
            raise ValueError("expected VDEF:NAME=VARIABLE,FUNCTION")
        self.known[name] = read_vdef(function, self.variable(variable))

    def shift(self, rest: Sequence[str]) -> None:
        self.only(rest, 2)
        variable = self.variable(rest[0])
        by = self.known.get(rest[1])
        if isinstance(by, Variable):
            raise ValueError(f"expected a VDEF or a number, got {rest[1][:40]!r}")
        self.known[rest[0]] = Shifted(variable, by if isinstance(by, Scalar) else read_number(rest[1]))

    def only(self, rest: Sequence[str], count: int) -> None:
        if len(rest) != count:
            raise ValueError(f"expected {count} parts after the first colon, got {len(rest)}")

    def variable(self, name: str) -> Variable:
        found = self.known.get(name)
        if not isinstance(found, Variable):
            raise ValueError(f"expected the name of a DEF or CDEF, got {name[:40]!r}")
        return found

    def value(self, name: str) -> Expr:
        """Return a variable, a figure or a constant."""
        found = self.known.get(name)
        if found is not None:
            return found
        try:
            return Constant(read_number(name))
        except ValueError:
            raise ValueError(f"expected a variable defined before or a number, got {name[:40]!r}") from None

    def fixed(self, name: str) -> Expr:
        """Return a figure or a constant."""
        found = self.value(name)
        if isinstance(found, Variable):
            raise ValueError(f"expected a VDEF or a number, got {name[:40]!r}")
        return found

    # what is drawn

    def drawing(self, rest: Sequence[str], allowed: Sequence[str]) -> Drawing:
        made = read_drawing(rest, allowed)
        for text in made.warnings:
            self.warn(text)
        return made

    def add(self, item: Made, legend: str) -> Made:
        written = read_text(legend)
        item.legend, item.ending = written.text, written.ending
        self.items.append(item)
        return item

    def draw_line(self, number: str, rest: Sequence[str]) -> None:
        drawing = self.drawing(rest, ("STACK", *STYLE))
        self.width = read_number(number) if number else 1.0
        if self.width > MOST_WIDTH:
            raise ValueError(f"expected a line of at most {MOST_WIDTH:g} pixels, got {number[:20]}")
        self._line(drawing, stacked="STACK" in drawing.options)

    def _line(self, drawing: Drawing, *, stacked: bool) -> None:
        self.last = Line
        self.add(
            Line(
                self.value(drawing.value),
                colour=drawing.colour,
                width=self.width,
                dashes=drawing.dashes,
                dash_offset=drawing.dash_offset,
                stacked=stacked,
                visible=drawing.colour is not None,
            ),
            drawing.text(),
        )

    def area(self, rest: Sequence[str]) -> None:
        drawing = self.drawing(rest, ("STACK",))
        self._area(drawing, Stack if "STACK" in drawing.options else Area)

    def _area(self, drawing: Drawing, kind: type[Area]) -> None:
        self.last = Area
        item = kind(self.value(drawing.value), colour=drawing.colour, visible=drawing.colour is not None)
        self.add(item, drawing.text())

    def stack(self, rest: Sequence[str]) -> None:
        drawing = self.drawing(rest, STYLE)
        if self.last is None:
            raise ValueError("expected a LINE or an AREA before STACK")
        if self.last is Line:
            self._line(drawing, stacked=True)
        else:
            self._area(drawing, Stack)

    def tick(self, rest: Sequence[str]) -> None:
        drawing = self.drawing(rest, ("fraction",))
        fraction = drawing.options.get("fraction", "")
        if not fraction and drawing.texts:
            fraction = drawing.texts.pop(0)
        share = read_number(fraction) if fraction else 0.1
        self.add(Tick(self.value(drawing.value), colour=self.coloured(drawing), fraction=share), drawing.text())

    def horizontal(self, rest: Sequence[str]) -> None:
        self._rule(HorizontalRule, rest)

    def vertical(self, rest: Sequence[str]) -> None:
        self._rule(VerticalRule, rest)

    def _rule(self, kind: type[HorizontalRule] | type[VerticalRule], rest: Sequence[str]) -> None:
        drawing = self.drawing(rest, STYLE)
        self.add(
            kind(
                self.fixed(drawing.value),
                colour=self.coloured(drawing),
                dashes=drawing.dashes,
                dash_offset=drawing.dash_offset,
            ),
            drawing.text(),
        )

    def coloured(self, drawing: Drawing) -> str:
        if drawing.colour is None:
            raise ValueError(f"expected a colour, as in {drawing.value[:40]}#RRGGBB")
        return drawing.colour

    def export(self, rest: Sequence[str]) -> None:
        self.warn("XPORT has no effect here")

    # words

    def comment(self, rest: Sequence[str]) -> None:
        if len(rest) != 1:
            raise ValueError(rf"expected '\:' for a colon in a text, got {len(rest)} parts after COMMENT")
        written = read_text(rest[0])
        self.items.append(Comment(written.text, ending=written.ending))

    def align(self, rest: Sequence[str]) -> None:
        if len(rest) != 1 or rest[0] not in SIDES:
            raise ValueError(f"expected one of {' '.join(SIDES)}, got {':'.join(rest)[:40]!r}")
        self.items.append(Align(SIDES[rest[0]]))

    def printed(self, rest: Sequence[str]) -> None:
        self.warn("what PRINT writes stands in the legend")
        self.print(rest)

    def print(self, rest: Sequence[str]) -> None:
        rest = list(rest)
        ways = [rest.pop(i).rstrip() for i in range(len(rest) - 1, 1, -1) if rest[i].rstrip() in WAYS]
        value = self.known.get(rest[0]) if rest else None
        if isinstance(value, Variable):
            if len(rest) != 3:
                raise ValueError("expected NAME:FUNCTION:FORMAT of a DEF or CDEF")
            if ways:
                raise ValueError(f"expected the name of a VDEF for {ways[0]}, got {rest[0][:40]!r}")
            value = Figure(value, OLD[read_function(rest[1])], finite=True)
        elif isinstance(value, Scalar):
            if len(rest) != 2:
                raise ValueError(rf"expected NAME:FORMAT of a VDEF, with '\:' for colons, got {len(rest)} parts")
        else:
            raise ValueError(f"expected the name of a DEF, CDEF or VDEF, got {rest[0][:40] if rest else ''!r}")
        if len(ways) > 1:
            raise ValueError(f"expected one of {' '.join(WAYS)}, got {len(ways)} of them")
        written = read_text(rest[-1])
        kind, check = WAYS[ways[0]] if ways else (Print, check_number)
        check(written.text)
        self.items.append(kind(value, written.text, when="strftime" in ways, ending=written.ending))


WAYS: dict[str, tuple[type[Print], Callable[[str], None]]] = {
    "strftime": (Print, check_time),
    "valstrftime": (Moment, check_time),
    "valstrfduration": (Duration, check_duration),
}
