"""How a collector's series are called in /metrics/collected, where other exporters of the same service have names.

    exports = Exports((
        Exported("nginx_http_requests_total", "counter", "Requests.", "req_handled"),
        Exported("nginx_upstream_bytes_total", "counter", "Bytes.", "upstream.*.bytes", label="upstream"),
    ))

What is not named here is called by the collector's word and its own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

NOTHING: Mapping[str, str] = MappingProxyType({})


class Exported(NamedTuple):
    """A series of the service itself or, where `each` names the label for it, of each of its instances.

    In `series` a `*` is a word that becomes the label `label`, by the names in `words` where it has one.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    series: str
    labels: Mapping[str, str] = NOTHING
    label: str = ""
    words: Mapping[str, str] = NOTHING
    facts: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """Labels that texts of the source give, the first that there is; `*` in their names is the word of the series."""
    switch: tuple[str, str, str, str] = ("", "", "", "")
    """A label, the series that is 0 or 1 for it (with a `*`), and the label's value for each."""
    per: float = 1.0
    """What values are divided by."""
    each: str = ""


class Info(NamedTuple):
    """Texts of the service itself, as labels of a gauge that is 1; it is absent where the first text is."""

    name: str
    help: str
    labels: Mapping[str, str]
    """The names of the texts, by label."""


class Up(NamedTuple):
    """Whether the last collection succeeded, and told none of these texts, which say that a part of it did not."""

    name: str
    help: str
    broken: tuple[str, ...] = ()
    needs: str = ""
    """Only where this option of the collector, a list, has this word: OPTION=WORD."""


class Clock(NamedTuple):
    """The time of this machine."""

    name: str
    help: str


@dataclass(frozen=True)
class Exports:
    metrics: tuple[Exported | Info | Up | Clock, ...] = ()
    parts: bool = True
    """Whether instances that are part of another (NAME/PART) are told of as well; of short-lived ones better not."""
