"""What an instruction draws: the parts after its keyword as value, colours, legend and style."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from monitor.graph.colour import colour
from monitor.graph.rrd.options import read_number

NAMED = {
    "legend": "legend", "label": "legend", "color": "color", "colour": "color", "color2": "color2",
    "colour2": "color2", "dashes": "dashes", "dash-offset": "dash-offset", "fraction": "fraction",
    "gradheight": "gradheight", "xaxis": "xaxis", "yaxis": "yaxis", "stack": "STACK", "skipscale": "skipscale",
}  # fmt: skip
WORDS = frozenset({"STACK", "skipscale", "dashes"})
MOST_DASHES = 20
LONGEST_DASH = 10_000.0


@dataclass(slots=True)
class Drawing:
    """An instruction's value (a name or a number), its texts in order, and its options."""

    value: str
    colour: str | None
    texts: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def dashes(self) -> tuple[float, ...]:
        """Return the lengths of pixels on and off, of an even number."""
        if "dashes" not in self.options:
            return ()
        made = tuple(map(read_number, (self.options["dashes"] or "5,5").split(",")))
        if len(made) > MOST_DASHES or not all(0 <= dash <= LONGEST_DASH for dash in made) or not any(made):
            raise ValueError(f"expected at most {MOST_DASHES} lengths of dashes, got {self.options['dashes'][:40]!r}")
        return made * 2 if len(made) % 2 else made

    @property
    def dash_offset(self) -> float:
        offset = read_number(self.options.get("dash-offset", "0"))
        if abs(offset) > LONGEST_DASH:
            raise ValueError(f"expected a dash-offset of at most {LONGEST_DASH:g}, got {offset:g}")
        return offset

    def text(self) -> str:
        """Return the legend; more texts than that are too many."""
        legend = self.options.get("legend", "")
        texts = self.texts if legend else self.texts[1:]
        if texts:
            raise ValueError(rf"expected '\:' for a colon in a text, or nothing behind it, got {texts[0][:40]!r}")
        return legend or (self.texts[0] if self.texts else "")


def read_drawing(parts: Sequence[str], allowed: Iterable[str]) -> Drawing:
    """Read `value#colour#colour2` and what follows it; options other than those `allowed` are warned of."""
    if not parts or not parts[0].strip():
        raise ValueError("expected a variable or a number")
    value, *colours = parts[0].strip().split("#")
    made = Drawing(value, colours[0] if colours else None)
    for part in parts[1:]:
        name, equals, given = part.partition("=")
        if part.strip() in WORDS:
            made.options[part.strip()] = ""
        elif equals and name in NAMED:
            made.options[NAMED[name]] = given if NAMED[name] == "legend" else given.strip()
        else:
            made.texts.append(part)
    if made.colour is None and "color" in made.options:
        made.colour = made.options["color"]
    if made.colour is not None:
        made.colour = _long(made.colour)
        colour(made.colour)
    if len(colours) > 1 or "color2" in made.options:
        made.warnings.append("a gradient is drawn in its first colour")
    allowed = {"legend", "color", "color2", *allowed}
    made.warnings += [f"{name} has no effect here" for name in made.options if name not in allowed]
    return made


def _long(text: str) -> str:
    """Return a colour of one digit per part with two."""
    return "".join(digit * 2 for digit in text) if re.fullmatch("[0-9a-fA-F]{3,4}", text) else text
