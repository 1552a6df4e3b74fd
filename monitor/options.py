"""Options: the annotated fields of a class are its settings, typed and with help.

    class NginxCollector(Collector):
        req_port: int = option(8080, "port of the status page", min=1, max=65535)

A field's default may also stand bare (`req_port: int = 8080`). A field without a default is required.
Allowed annotations: str, int, float, bool, Seconds, Bytes, pathlib.Path, Literal[...], list[str], and any of these
or None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NewType, get_origin, get_type_hints

Seconds = NewType("Seconds", float)
"""A duration; written as a number of seconds or with a unit: 90, 1.5, 5m, 2d."""

Bytes = NewType("Bytes", int)
"""A size; written as a number of bytes or with a unit: 4096, 64k, 8G."""


BEFORE_HOST = re.compile(r"(://[^/\s:@]*):[^\s'\"]{0,500}@")
IN_QUERY = re.compile(r"([?&](?:\w*passw(?:or)?d|token|secret|p)=)[^&\s'\"]+", re.IGNORECASE)


class _Missing:
    def __repr__(self) -> str:
        return "required"


MISSING: Any = _Missing()


@dataclass(frozen=True, slots=True)
class Option:
    """A field's default, its help, and what it allows beyond its type."""

    default: Any
    help: str = ""
    min: float | None = None
    max: float | None = None
    secret: bool = False


def option(
    default: Any = MISSING, help: str = "", *, min: float | None = None, max: float | None = None, secret: bool = False
) -> Any:
    """Declare an option; a secret one is masked wherever it is shown and may be given as NAME_file = PATH."""
    return Option(default, help, min, max, secret)


def set_options(instance: object, values: Mapping[str, Any]) -> None:
    """Set an object's options: the defaults of its class, then `values`, which are already of the right types."""
    for cls in reversed(type(instance).__mro__):
        for name, value in vars(cls).items():
            if isinstance(value, Option):
                setattr(instance, name, value.default)
    for name, value in values.items():
        setattr(instance, name, value)


@dataclass(frozen=True, slots=True)
class Field:
    """An annotated field of a class: its name, its type and its option."""

    name: str
    type: Any
    option: Option


def options_of(cls: type) -> dict[str, Field]:
    """Return the options of a class by name: its parents' first, its own last, in the order they are written in."""
    hints = get_type_hints(cls)
    fields = {}
    for owner in reversed(cls.__mro__):
        for name in vars(owner).get("__annotations__", {}):
            hint = hints[name]
            if name.startswith("_") or hint is ClassVar or get_origin(hint) is ClassVar:
                continue
            default = getattr(cls, name, MISSING)
            option = default if isinstance(default, Option) else Option(default)
            fields[name] = Field(name, hint, option)
    return fields


def masked(text: str) -> str:
    """Return the text without the passwords of the URLs in it, those that are not encoded as they should be too."""
    return IN_QUERY.sub(r"\1********", BEFORE_HOST.sub(r"\1:********@", text))
