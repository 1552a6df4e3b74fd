"""The push body, `{"batches": [{…}, …]}`, as batches: pure, and in slices that never hold the event loop for long.

What can be said of a batch without knowing its source is said here; names and values are checked by the pipeline.
A body is cut between its elements before it is parsed: one call on 15 MB of JSON would block the loop for 72 ms.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

import orjson

from monitor.batch import Batch, Kind, Limits, Source

PIECE = 64 << 10
"""About this much JSON is parsed at once."""
TRIES = 4
"""How many places between two elements are tried before the text is read token by token."""

SHAPE = 'an object {"batches": [{"host": …, "collector": …, "time": …, "values": {…}}, …]}'
SPACE = rb"[ \t\n\r]*"
HEAD = re.compile(rb"%b\{%b\"batches\"%b:%b\[%b" % ((SPACE,) * 5))
TAIL = re.compile(rb"\]%b\}%b\Z" % ((SPACE,) * 2))
CUT = re.compile(rb"\}%b,%b\{" % ((SPACE,) * 2))
BLANK = re.compile(SPACE)
NUMBERS = re.compile(
    rb"""(?ix) ("[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)) (?=(%b:)?)
    | (?<![\w.+-]) ( [-+]?(?:nan|inf(?:inity)?) | -?\d+(?:\.\d+)?(?:e[+-]?\d+)? ) (?![\w.+-])"""
    % SPACE
)
"""Texts, which are passed over, and numbers, those that JSON does not have included."""
STRUCTURE, QUOTE = re.compile(rb'["\[\]{},]'), re.compile(rb'["\\]')
LONGEST_TAIL = 4096
"""Blanks around the elements, at most."""

KINDS: Final = {kind.value: kind for kind in Kind}
KEYS: Final = {"host", "collector", "instance", "time", "interval", "values", "kinds", "meta", "min", "max"}
NUMBER: Final = (int, float)
NOWHERE: Final[dict[str, Any]] = {}


class BodyError(ValueError):
    """The body as a whole is not what is expected."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a batch may be: its age, how far ahead of now it may lie, and the bytes of its JSON."""

    past: float = 2 * 86400.0
    ahead: float = 600.0
    largest: int = 256 << 10


def parse(body: bytes, *, now: float, bounds: Bounds = Bounds()) -> Iterator[list[Batch | str]]:
    """Yield the body's batches in order, slice by slice; a text in a batch's place says why it is refused.

    Each step takes some milliseconds at most. BodyError, perhaps after some slices, says that nothing of it counts.
    """
    reader = Reader(now, bounds)
    for elements in _elements(body, bounds.largest):
        yield [reader.batch(element) for element in elements]


@dataclass(frozen=True, slots=True)
class _Refused:
    """An element that is not parsed."""

    reason: str


class Reader:
    """Makes a batch of one element."""

    def __init__(self, now: float, bounds: Bounds) -> None:
        self.now = now
        self.bounds = bounds
        self.oldest = now - bounds.past
        self.newest = now + bounds.ahead
        # Most batches of a push have the same kinds, and share them.
        self._kinds: dict[str, str] = {}
        self._typed: dict[str, Kind] = {}

    def batch(self, element: Any) -> Batch | str:
        """Return the batch, or why there is none."""
        if type(element) is not dict:
            return element.reason if type(element) is _Refused else f"batch: expected an object, got {word(element)}"
        if not element.keys() <= KEYS:
            return _unknown(element)
        get: Any = element.get
        host, collector, instance = get("host"), get("collector"), get("instance", "")
        if type(host) is not str or type(collector) is not str or type(instance) is not str:
            return _not_text(element)
        time, values, interval = get("time"), get("values"), get("interval", 0.0)
        if type(time) not in NUMBER:
            return f"time: expected seconds since 1970, got {word(time)}"
        if not self.oldest <= time <= self.newest:
            return self._out_of_range(time)
        if type(values) is not dict:
            return f"values: expected an object of numbers by name, got {word(values)}"
        if interval != 0.0 or type(interval) is bool or "interval" in element:
            if interval is None:
                interval = 0.0
            elif type(interval) not in NUMBER or not interval > 0:
                return f"interval: expected seconds above 0, got {word(interval)}"
        kinds, meta = get("kinds") or NOWHERE, get("meta") or NOWHERE
        if type(kinds) is not dict or type(meta) is not dict:
            key, given = ("kinds", kinds) if type(kinds) is not dict else ("meta", meta)
            return f"{key}: expected an object of texts by name, got {word(given)}"
        if kinds != self._kinds:
            try:
                self._typed = {name: KINDS[kind] for name, kind in kinds.items()}
            except (KeyError, TypeError):
                return _unknown_kind(kinds)
            self._kinds = kinds
        batch = Batch(Source(host, collector, instance), time, values, self._typed, dict(meta), interval)
        if "min" in element or "max" in element:
            return _limited(batch, get("min") or {}, get("max") or {})
        return batch

    def _out_of_range(self, time: float) -> str:
        if time < self.oldest:
            return f"time: expected at most {self.bounds.past:g} s ago, got {self.now - time:.0f} s ago"
        return f"time: expected at most {self.bounds.ahead:g} s ahead, got {time - self.now:.0f} s ahead"


def _limited(batch: Batch, least: Any, greatest: Any) -> Batch | str:
    """Set the limits that a batch gives by name: a number, or U for none."""
    for key, given in (("min", least), ("max", greatest)):
        if type(given) is not dict:
            return f'{key}: expected an object of numbers or "U" by name, got {word(given)}'
        for name, limit in given.items():
            if type(limit) not in NUMBER and limit != "U":
                return f'{key}: expected a number or "U" for {name[:80]!r}, got {word(limit)}'
    for name in dict.fromkeys([*least, *greatest]):
        low = least.get(name, 0.0 if batch.kinds.get(name) is Kind.DERIVE else "U")
        high = greatest.get(name, "U")
        unlimited = Limits()
        batch.limits[name] = Limits(
            unlimited.min if low == "U" else float(low), unlimited.max if high == "U" else float(high)
        )
    return batch


def word(value: Any) -> str:
    """Return a JSON value in few words."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    return orjson.dumps(value).decode()[:80]


def _unknown(element: dict[str, Any]) -> str:
    key = next(key for key in element if key not in KEYS)
    near = get_close_matches(key[:40], KEYS, 1)
    hint = f"did you mean {near[0]}?" if near else f"allowed are {', '.join(sorted(KEYS))}"
    return f"batch: unknown key {key[:80]!r}; {hint}"


def _not_text(element: dict[str, Any]) -> str:
    for key in ("host", "collector", "instance"):
        given = element.get(key, "" if key == "instance" else None)
        if type(given) is not str:
            return f"{key}: expected a text, got {word(given)}"
    raise AssertionError("all three are texts")


def _unknown_kind(kinds: dict[str, Any]) -> str:
    name, given = next(
        (name, given) for name, given in kinds.items() if type(given) is not str or given not in KINDS
    )  # fmt: skip
    return f"kinds: expected one of {', '.join(KINDS)} for {name[:80]!r}, got {word(given)}"


def _elements(body: bytes, largest: int) -> Iterator[list[Any]]:
    """Yield the parsed elements of `batches`, some at a time; at times none, to let others work."""
    if len(body) <= PIECE:
        try:
            yield _whole(body)
            return
        except orjson.JSONDecodeError as error:
            if not _no_numbers(body)[1]:
                raise BodyError(f"expected JSON: {error}") from None
    head = HEAD.match(body, 0, LONGEST_TAIL)
    tail = TAIL.search(body, max(0, len(body) - LONGEST_TAIL))
    if head is None or tail is None:
        raise BodyError(f"expected {SHAPE}")
    at, stop = head.end(), tail.start()
    if BLANK.fullmatch(body, at, min(stop, at + LONGEST_TAIL)) and stop - at <= LONGEST_TAIL:
        return
    by_token_until = 0
    while at < stop:
        if at >= by_token_until:
            found = _cut(body, at, stop, largest)
            if found is not None:
                elements, at = found
                yield elements
                continue
            by_token_until = at + PIECE
            yield []
        end = yield from _end_of_element(body, at, stop)
        yield [_one(body, at, end, largest)]
        at = _next(body, end, stop)


def _whole(body: bytes) -> list[Any]:
    found = orjson.loads(body)
    if type(found) is not dict:
        raise BodyError(f"expected {SHAPE}, got {word(found)}")
    if "batches" not in found:
        raise BodyError(f"expected {SHAPE}, got {_keys(found)}")
    if type(found["batches"]) is not list:
        raise BodyError(f"batches: expected an array of batches, {SHAPE}, got {word(found['batches'])}")
    if len(found) > 1:
        raise BodyError(f"expected {SHAPE} and nothing beside it, got {_keys(found)}")
    elements: list[Any] = found["batches"]
    return elements


def _keys(found: dict[str, Any]) -> str:
    if not found:
        return "an empty object"
    return f"an object with the key{'s' if len(found) > 1 else ''} {', '.join(found)[:80]}"


def _no_numbers(text: bytes) -> tuple[bytes, str]:
    """Return the text with null for what is no number in JSON, such as NaN or 1e400, and the first that was."""
    first, name = "", ""

    def valid(found: re.Match[bytes]) -> bytes:
        nonlocal first, name
        if found[3] is None:
            name = name if first else found[1].decode(errors="replace") if found[2] else name
            return found[0]
        if math.isfinite(float(found[3])):
            return found[0]
        if not first:
            first = f"{name[1:-1][:80]!r}: expected a number or null, got {found[3][:40].decode()}"
        return b"null"

    return NUMBERS.sub(valid, text), first


def _cut(body: bytes, at: int, stop: int, largest: int) -> tuple[list[Any], int] | None:
    """Parse from `at` to some end of an element; return the elements and the next one's place.

    A slice that begins with an element and is a valid list ends where an element ends: inside a text or an object
    it would not be valid.
    """
    if stop - at <= PIECE:
        ends = [(stop, stop)]
    else:
        cuts = CUT.finditer(body, at + PIECE // 2, min(stop, at + largest))
        ends = [(cut.start() + 1, cut.end() - 1) for cut, _ in zip(cuts, range(TRIES), strict=False)]
    for end, following in ends:
        try:
            elements: list[Any] = orjson.loads(b"[" + body[at:end] + b"]")
        except orjson.JSONDecodeError:
            continue
        return elements, following
    return None


def _end_of_element(body: bytes, at: int, stop: int) -> Generator[list[Any], None, int]:
    """Read token by token; return where the element that begins at `at` ends."""
    depth, inside, tokens = 0, False, 0
    while at < stop:
        tokens += 1
        window = min(stop, at + PIECE)
        found = (QUOTE if inside else STRUCTURE).search(body, at, window)
        if found is None or tokens % 5000 == 0:
            yield []
        if found is None:
            at = window
            continue
        at, token = found.end(), found[0]
        if inside:
            at += token == b"\\"
            inside = token == b"\\"
        elif token == b'"':
            inside = True
        elif token in b"[{":
            depth += 1
        elif token != b",":
            depth -= 1
        if depth < 0 or (depth == 0 and token == b"," and not inside):
            return found.start()
    return stop


def _one(body: bytes, at: int, end: int, largest: int) -> Any:
    if end - at > largest:
        return _Refused(f"batch: expected at most {largest} bytes, got {end - at}")
    try:
        return orjson.loads(body[at:end])
    except orjson.JSONDecodeError as error:
        text, what = _no_numbers(body[at:end])
        if what and _is_json(text):
            return _Refused(what)
        raise BodyError(f"expected JSON: {error.msg} at byte {at + error.pos}") from None


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _next(body: bytes, end: int, stop: int) -> int:
    """Return where the element after the one that ends at `end` begins."""
    if end >= stop:
        return stop
    following = BLANK.match(body, end + 1, min(stop, end + PIECE))
    at = following.end() if following else stop
    if body[end : end + 1] != b"," or at >= stop:
        raise BodyError(f"expected JSON: one more element at byte {end}")
    return at
