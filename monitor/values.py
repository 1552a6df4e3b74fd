"""Turns the text of a setting into a value of its field's type, and back."""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from monitor.ini import items, quote, scalar
from monitor.options import MISSING, Bytes, Field, Seconds, masked

TRUE = ("true", "t", "yes", "y", "on", "1")
FALSE = ("false", "f", "no", "n", "off", "0")
SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
NUMBER = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)\s*([a-z]*)", re.IGNORECASE | re.ASCII)
MASK = "********"


def parse(field: Field, text: str, *, literal: bool = False) -> Any:
    """Return the value; ValueError says what is allowed. A literal text (environment) holds no quotes or comments."""
    kind, optional = _plain(field.type)
    if kind == list[str]:
        found = items(text.replace("#", "\0") if literal else text)
        return [item.replace("\0", "#") for item in found] if literal else found
    word = text if literal else scalar(text)
    if optional and word.strip().lower() in ("", "none"):
        return None
    value = _convert(kind, word if kind is str else word.strip())
    if value is MISSING or not _within(field, value):
        raise ValueError(f"expected {describe(field)}, got {shown(field, word)!r}")
    return value


def _plain(kind: Any) -> tuple[Any, bool]:
    """Return the type without `| None`, and whether that was there."""
    if get_origin(kind) in (Union, UnionType):
        kinds = [each for each in get_args(kind) if each is not NoneType]
        return kinds[0], len(kinds) < len(get_args(kind))
    return kind, False


def _convert(kind: Any, word: str) -> Any:
    if kind is str:
        return word
    if kind is bool:
        lower = word.lower()
        return True if lower in TRUE else False if lower in FALSE else MISSING
    if kind is int:
        return int(word) if re.fullmatch(r"[+-]?\d{1,18}", word, re.ASCII) else MISSING
    if kind is Path:
        return Path(word).expanduser() if word and "\0" not in word else MISSING
    if get_origin(kind) is Literal:
        return next((choice for choice in get_args(kind) if str(choice).lower() == word.lower()), MISSING)
    match = NUMBER.fullmatch(word)
    if match is None:
        return MISSING
    number, unit = float(match[1]), match[2].lower()
    if not math.isfinite(number):
        return MISSING
    if kind is float:
        return MISSING if unit else number
    if kind is Seconds:
        return Seconds(number * SECONDS[unit]) if unit in SECONDS else MISSING
    if kind is Bytes:
        unit = unit.removesuffix("b").removesuffix("i")
        return Bytes(round(number * BYTES[unit])) if unit in BYTES and number >= 0 else MISSING
    raise TypeError(f"an option cannot be of type {kind!r}")


def _within(field: Field, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    least, most = field.option.min, field.option.max
    return (least is None or value >= least) and (most is None or value <= most)


def describe(field: Field) -> str:
    """Return in words what the field takes: `a whole number from 1 to 65535`."""
    kind, optional = _plain(field.type)
    if get_origin(kind) is Literal:
        words = " or ".join(map(str, get_args(kind)))
    elif kind == list[str]:
        words = "a list with commas"
    else:
        words = {
            str: "a text", bool: "True or False", int: "a whole number", float: "a number", Path: "a path",
            Seconds: "a time such as 90, 5m, 2d", Bytes: "a size such as 4096, 64k, 8G",
        }[kind]  # fmt: skip
    least, most = (None if bound is None else render(kind, bound) for bound in (field.option.min, field.option.max))
    if least is not None and most is not None:
        words += f" from {least} to {most}"
    elif least is not None:
        words += f", at least {least}"
    elif most is not None:
        words += f", at most {most}"
    return f"{words}, or none" if optional else words


def render(kind: Any, value: Any, *, written: bool = False) -> str:
    """Return a value as text; `written` for a file, so that `parse` gives the same value back."""
    kind, _ = _plain(kind)
    if isinstance(value, list | tuple):
        return ", ".join(quote(str(item), item=True) for item in value)
    if value is None:
        return "none"
    text = str(value)
    if kind is Seconds:
        unit = next((unit for unit in "dhm" if value and value % SECONDS[unit] == 0), "")
        text = f"{value / SECONDS[unit]:.15g}{unit}"
    elif kind is Bytes:
        unit = next((unit for unit in "tgmk" if value and value % BYTES[unit] == 0), "")
        text = f"{int(value) // BYTES[unit]}{unit}"
    return quote(text) if written else text


def shown(field: Field, value: Any) -> str:
    """Return a value as text that may be shown: shortened, secrets masked."""
    if field.option.secret:
        return MASK if value not in (None, "") else ""
    return masked(value if isinstance(value, str) else render(field.type, value))[:200]
