"""Whose number a Graphite path names: `servers.HOST.COLLECTOR.NAME`, other paths by patterns, tagged ones by tags.

https://graphite.readthedocs.io/en/latest/tags.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from monitor.batch import Source

MAX_TEXT = 255
LONGEST = 4 * MAX_TEXT
FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]")
WORD = re.compile(r"\{([a-z_]+)\}")
FIELDS = ("host", "collector", "instance", "name", "_")
COLLECTOR = "graphite"
"""The collector of paths whose pattern names none."""

Place = tuple[Source, str]


class Pattern:
    """`servers.{host}.{collector}.{name}`: a field is a word between dots or a part of one, {name} is all that is left.

    `{_}` stands for any word. Behind the pattern there may be `host=NAME`, `collector=NAME` and `instance=NAME`.
    """

    def __init__(self, text: str) -> None:
        """Read a pattern; ValueError says what is wrong with it."""
        words = text.split()
        if not words:
            raise ValueError("expected a pattern such as servers.{host}.{collector}.{name}")
        self.fixed: dict[str, str] = {}
        for word in words[1:]:
            field, equals, value = word.partition("=")
            if field not in ("host", "collector", "instance") or not equals or not value or field in self.fixed:
                raise ValueError(f"expected host=NAME, collector=NAME or instance=NAME behind a pattern, got {word!r}")
            self.fixed[field] = value
        pieces = WORD.split(words[0])
        named: list[str] = []
        built = ""
        for number, piece in enumerate(pieces):
            if number % 2 == 0:
                if "{" in piece or "}" in piece:
                    raise ValueError(
                        f"expected {{host}}, {{collector}}, {{instance}}, {{name}} or {{_}}, got {piece!r}"
                    )
                built += re.escape(piece)
            elif piece not in FIELDS or (piece != "_" and (piece in named or piece in self.fixed)):
                raise ValueError(
                    f"expected each of {{host}}, {{collector}}, {{instance}}, {{name}} once, got {piece!r}"
                )
            else:
                built += "[^.]+?" if piece == "_" else f"(?P<{piece}>{'.+' if piece == 'name' else '[^.]+?'})"
                named.append(piece)
        if "name" not in named or pieces[-1] or pieces[-2] != "name":
            raise ValueError(f"expected {{name}} at the end, got {words[0][:80]!r}")
        if "host" not in named and "host" not in self.fixed:
            raise ValueError(f"expected {{host}} in it or host=NAME behind it, got {text[:80]!r}")
        self._matches: Callable[[str], re.Match[str] | None] = re.compile(built).fullmatch

    def place(self, path: str) -> Place | None:
        found = self._matches(path)
        if found is None:
            return None
        parts: Mapping[str, str] = {**found.groupdict(), **self.fixed}
        source = Source(parts["host"], parts.get("collector", COLLECTOR), parts.get("instance", ""))
        return source, parts["name"]


class Paths:
    """Reads paths by the first pattern that fits."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Read the patterns; ValueError says what is wrong with one."""
        self._patterns = [Pattern(text) for text in patterns]

    def place(self, path: bytes) -> Place | str:
        """Return the source and the name, or the word why the path has none: `path`, `utf8`, `pattern` or `tags`."""
        if len(path) > LONGEST:
            return "path"
        try:
            text = path.decode()
        except UnicodeDecodeError:
            return "utf8"
        if FORBIDDEN.search(text):
            return "path"
        found = self._tagged(text) if ";" in text else self._plain(text)
        if not isinstance(found, str) and max(map(len, (*found[0], found[1]))) > MAX_TEXT:
            return "path"
        return found

    def _plain(self, text: str) -> Place | str:
        if "" in text.split("."):
            return "path"
        for pattern in self._patterns:
            if (found := pattern.place(text)) is not None:
                return found
        return "pattern"

    @staticmethod
    def _tagged(text: str) -> Place | str:
        """Read `collector.name;host=H;k=v`: of the other tags, sorted, is the instance."""
        path, *words = text.split(";")
        tags = dict(word.partition("=")[::2] for word in words)
        host = tags.pop("host", "")
        collector, _, name = path.partition(".")
        if not host or not all(tags) or not all(tags.values()) or len(tags) + 1 < len(words) or not collector:
            return "tags"
        return Source(host, collector, instance_of(tags)), name or "value"


def instance_of(tags: Mapping[str, str]) -> str:
    """Return the instance that tags stand for: `k=v,k=v`, sorted."""
    return ",".join(f"{key}={tags[key]}" for key in sorted(tags))
