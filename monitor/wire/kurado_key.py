"""The words of a Kurado line: its key, its number, its time, its text."""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple
from urllib.parse import unquote

from monitor.batch import Kind

LONGEST = 255
"""Characters of a name."""
LONGEST_TEXT = 4096
"""Characters of a meta text or a warning; what is longer is cut."""

KINDS = {kind.value: kind for kind in Kind} | {"device": Kind.DERIVE}
"""By suffix. `.device` is a misprint in old documentation for `.derive`."""
ORDER = {kind: number for number, kind in enumerate((Kind.GAUGE, Kind.COUNTER, Kind.DERIVE, Kind.ABSOLUTE))}
COUNTED = frozenset({Kind.COUNTER, Kind.DERIVE})

PLUGIN = re.compile(r"[^\x00-\x20\x7f-\x9f/:][^\x00-\x1f\x7f-\x9f/:]*(:[^\x00-\x1f\x7f-\x9f]*)?")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
WHOLE = re.compile(rb"[-+]?[0-9]{1,40}")
REAL = re.compile(rb"[-+]?(?:[0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})(?:[eE][-+]?[0-9]{1,4})?")
UNKNOWN = frozenset({b"u", b"nan", b"-nan"})
STAMP = re.compile(rb"[0-9]{1,12}(?:\.[0-9]{1,9})?")


class Key(NamedTuple):
    """What a line is about: a plugin's identifier (`redis:6379`), unescaped, and a name of it."""

    plugin: str
    what: Literal["metrics", "meta", "warn"]
    name: str
    kind: Kind | None

    @property
    def place(self) -> tuple[bool, str, int]:
        """Where it stands among the names of a batch, in whatever order they were sent."""
        return self.kind in COUNTED, self.name, ORDER[self.kind] if self.kind else 0


def read_key(key: bytes) -> Key | str:
    """Read PLUGIN.metrics.NAME.KIND, PLUGIN.meta.NAME or PLUGIN.warn.NAME; a word says what is wrong with it."""
    plugin, _, rest = text_of(key).replace("\r", "").partition(".")
    what, dot, name = rest.partition(".")
    identifier = unquote(plugin)
    if len(identifier) > LONGEST or not PLUGIN.fullmatch(identifier):
        return "plugin"
    kind = None
    if what == "metrics":
        name, dot, suffix = name.rpartition(".")
        kind = KINDS.get(suffix)
        if kind is None:
            return "kind"
    elif what not in ("meta", "warn"):
        return "type"
    if not dot or not name or len(name) > LONGEST - 10 or CONTROL.search(name):
        return "key"
    return Key(identifier, what, name, kind)  # type: ignore[arg-type]


def number(text: bytes, kind: Kind) -> float | None:
    """Read a value as RRDtool does, which takes whole numbers only of what is counted; None when it is none."""
    text = text.strip()
    if text.lower() in UNKNOWN:
        return math.nan
    found = int(text) if WHOLE.fullmatch(text) else None
    if kind in COUNTED:
        return None if found is None or (kind is Kind.COUNTER and found < 0) else found
    if found is not None and -(2**63) <= found < 2**64:
        return found
    return float(text) if REAL.fullmatch(text) else None


def stamp(text: bytes) -> float | None:
    """Read seconds since 1970; None when it is none."""
    text = text.strip()
    return float(text) if STAMP.fullmatch(text) else None


def text_of(data: bytes) -> str:
    """Return UTF-8 as text, also that which the agent has encoded twice."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def meta_of(data: bytes) -> str:
    """Return a text for people: without control characters, and of a length that can be shown."""
    text = text_of(data)
    return text if text.isprintable() and len(text) <= LONGEST_TEXT else CONTROL.sub(" ", text).strip()[:LONGEST_TEXT]
