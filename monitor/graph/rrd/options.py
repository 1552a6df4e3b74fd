"""rrdtool's own options in a definition: the few that say something of a graph, and those that do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.graph.rrd.lines import Word

# The field of `Graph` that an option sets.
FIELDS = {
    "--title": "title", "-t": "title", "--vertical-label": "unit", "-v": "unit", "--lower-limit": "lower",
    "-l": "lower", "--upper-limit": "upper", "-u": "upper", "--base": "base", "-b": "base", "--rigid": "rigid",
    "-r": "rigid",
}  # fmt: skip
# Options without a value, of no effect.
FLAGS = frozenset({
    "-A", "-D", "-E", "-F", "-J", "-M", "-N", "-P", "-Y", "-Z", "-g", "-i", "-j", "-o", "-z", "--allow-shrink",
    "--alt-autoscale", "--alt-autoscale-max", "--alt-autoscale-min", "--alt-y-grid", "--disable-rrdtool-tag",
    "--dynamic-labels", "--force-rules-legend", "--full-size-mode", "--interlaced", "--lazy", "--logarithmic",
    "--no-gridfit", "--no-legend", "--no-minor", "--only-graph", "--pango-markup", "--slope-mode",
    "--use-nan-for-all-missing-data", "--utc",
})  # fmt: skip
# Options with a value, of no effect.
VALUED = frozenset({
    "-G", "-L", "-R", "-S", "-T", "-W", "-X", "-a", "-c", "-d", "-e", "-f", "-h", "-m", "-n", "-s", "-w", "-x", "-y",
    "--add-jsontime", "--border", "--color", "--daemon", "--end", "--font", "--font-render-mode",
    "--font-smoothing-threshold", "--graph-render-mode", "--graph-type", "--grid-dash", "--height", "--imgformat",
    "--imginfo", "--left-axis-format", "--left-axis-formatter", "--legend-direction", "--legend-position",
    "--right-axis", "--right-axis-format", "--right-axis-formatter", "--right-axis-label", "--start", "--step",
    "--tabwidth", "--units", "--units-exponent", "--units-length", "--watermark", "--week-fmt", "--width", "--x-grid",
    "--y-grid", "--zoom",
})  # fmt: skip
TEXTS = frozenset({"title", "unit"})
LONGEST = 200


@dataclass(slots=True)
class Options:
    """What options say of a graph, by the names of `Graph`'s fields."""

    fields: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def read(self, words: Sequence[Word]) -> int:
        """Read the option that stands first and its value; return how many words they are."""
        first = words[0]
        name, equals, value = first.text.partition("=")
        if not name.startswith("--"):
            name, value, equals = first.text[:2], first.text[2:], first.text[2:3]
        if name in FLAGS or FIELDS.get(name) == "rigid":
            if equals:
                raise ValueError(f"{name!r} expected no value, got {value[:40]!r}")
            self._set(first.line, name, "")
            return 1
        if name not in FIELDS and name not in VALUED:
            raise ValueError(f"expected an option of rrdtool graph, got {name[:40]!r}")
        if equals:
            self._set(first.line, name, value)
            return 1
        if len(words) < 2:
            raise ValueError(f"{name!r} expected a value")
        taken = 2
        if FIELDS.get(name) in TEXTS and not words[1].quoted:
            while taken < len(words) and not (words[taken].is_option or words[taken].is_instruction):
                taken += 1
        self._set(first.line, name, " ".join(word.text for word in words[1:taken]))
        return taken

    def _set(self, line: int, name: str, value: str) -> None:
        place = FIELDS.get(name)
        if place is None:
            self.warnings.append(f"line {line}: {name} has no effect here")
        elif place == "rigid":
            self.fields[place] = True
        elif place in TEXTS:
            if len(value) > LONGEST:
                raise ValueError(f"{name!r} expected at most {LONGEST} characters, got {len(value)}")
            self.fields[place] = value
        elif place == "base":
            if value not in ("1000", "1024"):
                raise ValueError(f"{name!r} expected 1000 or 1024, got {value[:20]!r}")
            self.fields[place] = int(value)
        else:
            self.fields[place] = read_number(value)


def read_number(text: str) -> float:
    """Read a finite decimal number."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not abs(number) < float("inf") or "_" in text:
        raise ValueError(f"expected a number, got {text[:40]!r}")
    return number
