"""The file of a DEF: which series of ours it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from monitor.attime import resolve
from monitor.batch import Kind, Series, Source
from monitor.graph.data import Read

LONGEST = 500
FUNCTIONS = ("AVERAGE", "MIN", "MAX", "LAST")
TEMPLATE = re.compile(r"<%=?\s*(.*?)\s*%>", re.DOTALL)
OWN = frozenset({"RRD", "RRD_FOR"})
OTHER = frozenset({"RRD_EX", "RRD_EXTEND"})
SOMETIME = 1_700_000_000


def read_series(text: str) -> Read:
    """Return what a path means: a template, a series key, or a name of the graph's own source."""
    if not text or len(text) > LONGEST:
        raise ValueError(f"expected the name of a series of at most {LONGEST} characters, got {text[:40]!r}")
    template = TEMPLATE.fullmatch(text)
    if template:
        return _template(template[1].split())
    if "<%" in text:
        raise ValueError(f"expected nothing beside a template, got {text[:80]!r}")
    if ":" in text:
        series = Series.parse(text)
        return _named(series.name)._replace(source=series.source)
    return _named(text)


def _template(words: list[str]) -> Read:
    name, count = (words[0], len(words) - 1) if words else ("", 0)
    if name in OWN and count == 1:
        return _named(words[1])
    if name in OTHER and count == 3:
        collector, _, instance = unquote(words[1]).partition(":")
        if not collector:
            raise ValueError(f"expected the name of a plugin, got {words[1][:40]!r}")
        return _named(words[3])._replace(source=Source(words[2], collector, instance))
    raise ValueError(
        f"expected <%RRD_FOR key.kind %> or <%RRD_EX plugin address key.kind %>, got {' '.join(words)[:60]!r}"
    )


def _named(text: str) -> Read:
    """Return a series by its name, which may end with its kind."""
    name, dot, kind = text.rpartition(".")
    if name and dot and kind in list(Kind):
        return Read(name, kind=kind)
    return Read(text)


def read_function(text: str) -> str:
    if text not in FUNCTIONS:
        raise ValueError(f"expected one of {' '.join(FUNCTIONS)}, got {text[:40]!r}")
    return text


def with_options(read: Read, options: Mapping[str, str]) -> Read:
    """Return the read with a DEF's step, start, end and reduce."""
    if "step" in options:
        step = options["step"]
        if not re.fullmatch("[0-9]{1,9}", step) or int(step) < 1:
            raise ValueError(f"expected a step of whole seconds, got {step[:40]!r}")
        read = read._replace(step=int(step))
    if "reduce" in options:
        reduce = read_function(options["reduce"])
        read = read._replace(reduce="" if reduce == read.cf else reduce)
    start, end = options.get("start", ""), options.get("end", "")
    if start or end:
        resolve(start or str(SOMETIME), end or str(SOMETIME), now=SOMETIME, tz="UTC")
    return read._replace(start=start, end=end)
