"""The words of a graph: numbers in RRDtool's formats (`%6.2lf %s`), times in strftime's, durations."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from monitor.graph.data import Data
from monitor.graph.model import Comment, Graph, Print, Words

LONGEST = 1000
WIDEST = 200
PLAIN = r"(?:[^%]|%%)*"
NUMBER = re.compile(
    rf"(?P<before>{PLAIN})%(?P<flag>[-+ 0#]?)(?P<width>[0-9]*)(?P<precision>(?:[.][0-9]+)?)l(?P<kind>[eEfFgG])"
    rf"(?P<between>{PLAIN})(?P<unit>(?:%[sS])?)(?P<after>{PLAIN})"
)
TIME = re.compile(r"%(?P<modifier>[EO]?)(?P<kind>[aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%])")
DURATION = re.compile(r"%(?P<zero>0?)(?P<width>[0-9]*)(?:[.](?P<precision>[0-9]*))?(?P<kind>[WdDhHmMsSf%])")
PREFIXES = ("a", "f", "p", "n", "u", "m", " ", "k", "M", "G", "T", "P", "E")
DASHES = {
    **dict.fromkeys("CdgHImMSUVWy", "--"), "j": "---", "G": "----", "Y": "----", "R": "--:--", "T": "--:--:--",
    "F": "----------", "D": "--/--/--", "n": "\n", "t": "\t", "%": "%",
}  # fmt: skip


class Moment(Print):
    """A value as a time in UTC."""


class Duration(Print):
    """A value as a duration, which it is in milliseconds."""


class Scaler:
    """The prefixes of numbers in one graph: `%S` keeps that of the number before it."""

    def __init__(self, base: int) -> None:
        self.base = base
        self.factor = -1.0
        self.prefix = ""

    def scale(self, value: float) -> float:
        """Return the value in its own prefix."""
        power = 0
        self.factor, self.prefix = 1.0, " "
        if math.isinf(value):
            self.factor, self.prefix = 0.0, "?"
            return value
        if value and not math.isnan(value):
            power = math.floor(math.log(abs(value)) / math.log(self.base))
            self.factor = _power(self.base, power)
            self.prefix = PREFIXES[power + 6] if -6 <= power <= 6 else "?"
        return value / self.factor if self.factor else math.copysign(math.inf, value)

    def keep(self, value: float) -> float:
        """Return the value in the prefix that was chosen last, or in its own where none was."""
        if self.factor < 0:
            value = self.scale(value)
            if value == 0:
                self.factor = -1.0
            return value
        if self.factor == 0:
            return math.nan if value == 0 or math.isnan(value) else math.copysign(math.inf, value)
        return value / self.factor


def _power(base: int, power: int) -> float:
    try:
        return float(base) ** power
    except OverflowError:
        return math.inf


def words(graph: Graph, data: Data) -> list[str]:
    """Return the text of everything of the graph that is words, in order; '' for an alignment."""
    scaler = Scaler(graph.base)
    return [_text(one, scaler, data) for one in graph.items if isinstance(one, Words)]


def _text(one: Words, scaler: Scaler, data: Data) -> str:
    if isinstance(one, Comment):
        return one.text
    if not isinstance(one, Print):
        return ""
    if one.when:
        return time_text(one.form, one.value.when(data), ZoneInfo(data.tz))
    value = float(one.value.evaluate(data))
    if isinstance(one, Moment):
        return time_text(one.form or "%Y-%m-%d %H:%M:%S", value, UTC) if _is_time(value) else _printf(".0", "f", value)
    if isinstance(one, Duration):
        return duration_text(one.form or "%H:%02m:%02s", value) if math.isfinite(value) else _printf("", "f", value)
    return number_text(one.form, value, scaler)


def check_number(form: str) -> None:
    """Raise ValueError unless a format holds one number, and at most a %s or %S after it."""
    found = NUMBER.fullmatch(form) if len(form) <= LONGEST else None
    if not found:
        raise ValueError(f"expected text with one %lf, %le or %lg and perhaps %s or %S after it, got {form[:80]!r}")
    for name in ("width", "precision"):
        if int(found[name].lstrip(".")[:9] or 0) > WIDEST:
            raise ValueError(f"expected a {name} of at most {WIDEST}, got {form[:80]!r}")


def check_time(form: str) -> None:
    """Raise ValueError unless all conversions of a format are strftime's."""
    if len(form) > LONGEST or "%" in TIME.sub("", form):
        raise ValueError(f"expected a format as that of strftime, got {form[:80]!r}")


def check_duration(form: str) -> None:
    """Raise ValueError unless all conversions of a format are those of durations."""
    if len(form) > LONGEST or "%" in DURATION.sub("", form):
        raise ValueError(f"expected a format of %W %d %D %h %H %m %M %s %S %f, got {form[:80]!r}")
    for found in DURATION.finditer(form):
        if int(found["width"][:9] or 0) > WIDEST or int((found["precision"] or "0")[:9]) > WIDEST:
            raise ValueError(f"expected a width and a precision of at most {WIDEST}, got {form[:80]!r}")


def number_text(form: str, value: float, scaler: Scaler) -> str:
    """Return a number in RRDtool's format; `Scaler` is that of the whole graph."""
    found = NUMBER.fullmatch(form)
    if not found:
        raise ValueError(f"expected a format with one number, got {form[:80]!r}")
    if "%S" in form:
        value = scaler.keep(value)
        form = form.replace("%S", "%s", 1)
    elif "%s" in form:
        value = scaler.scale(value)
    signs = {"%%": "%", "%s": scaler.prefix, "%S": scaler.prefix}
    head, tail = (
        re.sub("%[%sS]", lambda sign: signs[sign[0]], part)
        for part in (form[: found.end("before")], form[found.end("kind") :])
    )
    spec = found["flag"] + found["width"] + found["precision"]
    return head + _printf(spec, found["kind"], value) + tail


def _printf(spec: str, kind: str, value: float) -> str:
    """Return a number as C's printf writes it; an unknown one is -nan, as rrdtool's are."""
    if math.isfinite(value):
        return f"%{spec}{kind}" % value
    text = "-nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    width = re.fullmatch(r"([-+ 0#]*)([0-9]*).*", spec)
    assert width
    if text == "inf" and width[1][:1] in ("+", " "):
        text = width[1][:1] + text
    size = int(width[2] or 0)
    text = text.ljust(size) if "-" in width[1] else text.rjust(size)
    return text.upper() if kind.isupper() else text


def _is_time(value: float) -> bool:
    return math.isfinite(value) and -62_000_000_000 < value < 253_000_000_000


def time_text(form: str, time: float, zone: tzinfo) -> str:
    """Return a time in strftime's format; of no time the digits are dashes."""
    if not _is_time(time):
        return TIME.sub(lambda found: "-" if found["modifier"] else DASHES.get(found["kind"], "-"), form)
    moment = datetime.fromtimestamp(int(time), zone)

    def part(found: re.Match[str]) -> str:
        if found["kind"] == "s":
            return str(int(time))
        return moment.strftime(found[0])

    return TIME.sub(part, form)


def _durations(milliseconds: float) -> Iterator[tuple[str, float]]:
    seconds = abs(milliseconds) / 1000.0
    minutes, hours, days, weeks = seconds / 60.0, seconds / 3600.0, seconds / 86400.0, seconds / 604800.0
    yield from (("W", weeks), ("D", days), ("H", hours), ("M", minutes), ("S", seconds))
    yield "d", days - math.trunc(weeks) * 7.0
    yield "h", hours - math.trunc(days) * 24.0
    yield "m", minutes - math.trunc(hours) * 60.0
    yield "s", seconds - math.trunc(minutes) * 60.0
    yield "f", abs(milliseconds) - math.trunc(seconds) * 1000.0


def duration_text(form: str, milliseconds: float) -> str:
    """Return a duration in RRDtool's format; parts are cut, not rounded."""
    values = dict(_durations(milliseconds))

    def part(found: re.Match[str]) -> str:
        if found["kind"] == "%":
            return "%"
        digits = int(found["precision"] or 0)
        value = values[found["kind"]]
        if value < 1e300 / 10**digits:
            value = math.trunc(value * 10**digits) / 10**digits
        return f"%{found['zero']}{found['width']}.{digits}f" % value

    return ("-" if milliseconds < 0 else "") + DURATION.sub(part, form)
