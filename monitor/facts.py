"""A bounded memory of what is said of hosts: by host and plugin the time of the last word, text facts and warnings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

META_EXPIRES = 3600.0
WARNING_EXPIRES = 300.0
KEPT = 365 * 86400.0
"""Seconds for which it is known when a plugin was last heard of."""
KEPT_WHEN_FULL = 86400.0
NEARLY_FULL = 0.9
LONGEST_NAME = 255
SLICE = 200

Fact = tuple[float, str]
"""When a text was reported, and the text."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is remembered at most."""

    hosts: int = 20_000
    plugins: int = 100
    """Of one host."""
    keys: int = 500
    """Facts of one plugin of one host, and as many warnings."""
    text: int = 2_000
    """Characters; longer ones are cut."""
    characters: int = 64 << 20
    """Of all names and texts together."""


@dataclass(slots=True)
class Plugin:
    last: float = 0.0
    meta: dict[str, Fact] = field(default_factory=dict)
    warnings: dict[str, Fact] = field(default_factory=dict)


@dataclass(slots=True)
class Host:
    plugins: dict[str, Plugin] = field(default_factory=dict)
    warned: float = 0.0
    """When anything of it last warned."""


class Facts:
    """`refused` counts hosts, plugins and texts for which there was no room or that have no fit name, `cut` texts that
    were shortened, since the start of the process."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self.hosts: dict[str, Host] = {}
        self.characters = 0
        self.refused = 0
        self.cut = 0

    def find(self, host: str, plugin: str) -> Plugin | None:
        known = self.hosts.get(host)
        return known.plugins.get(plugin) if known else None

    def learn(
        self, host: str, plugin: str, at: float, meta: Mapping[str, str], warnings: Mapping[str, str]
    ) -> Plugin | None:
        """Take what was said at a time; None when there is no room for the host or the plugin."""
        known = self._made(host, plugin)
        if known is None:
            self.refused += 1
            return None
        known.last = max(known.last, at)
        self._take(known.meta, meta, at)
        if warnings:
            self._take(known.warnings, warnings, at)
            self.hosts[host].warned = max(self.hosts[host].warned, at)
        return known

    async def sweep(self, now: float) -> None:
        """Let go of what is over; with little room left also of who was silent for a day."""
        bounds = self.bounds
        full = len(self.hosts) > NEARLY_FULL * bounds.hosts or self.characters > NEARLY_FULL * bounds.characters
        oldest = now - (KEPT_WHEN_FULL if full else KEPT)
        for number, (name, host) in enumerate(list(self.hosts.items())):
            for word, plugin in list(host.plugins.items()):
                gone = plugin.last <= oldest
                self._drop(plugin.meta, now if gone else now - META_EXPIRES)
                self._drop(plugin.warnings, now if gone else now - WARNING_EXPIRES)
                if gone:
                    self.characters -= len(word)
                    del host.plugins[word]
            if not host.plugins:
                self.characters -= len(name)
                del self.hosts[name]
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)

    def _made(self, name: str, word: str) -> Plugin | None:
        host = self.hosts.get(name)
        if host is not None and word in host.plugins:
            return host.plugins[word]
        more = len(word) if host else len(name) + len(word)
        full = len(host.plugins) >= self.bounds.plugins if host else len(self.hosts) >= self.bounds.hosts
        if full or not (_is_name(name) and _is_name(word)) or self.characters + more > self.bounds.characters:
            return None
        self.characters += more
        plugin = self.hosts.setdefault(name, Host()).plugins[word] = Plugin()
        return plugin

    def _take(self, facts: dict[str, Fact], told: Mapping[str, str], at: float) -> None:
        for key, text in told.items():
            before = facts.get(key)
            if before is not None and (at < before[0] or text == before[1]):
                facts[key] = (max(at, before[0]), before[1])
                continue
            clean = self._clean(text)
            more = len(clean) - len(before[1]) if before else len(key) + len(clean)
            unfit = before is None and (len(facts) >= self.bounds.keys or not _is_name(key))
            if unfit or self.characters + more > self.bounds.characters:
                self.refused += 1
                continue
            self.characters += more
            facts[key] = (at, clean)

    def _clean(self, text: str) -> str:
        """Return a text that can be stored, and is not too long."""
        if len(text) > self.bounds.text:
            self.cut += 1
            text = text[: self.bounds.text - 1] + "…"
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode()
        return text.replace("\0", "�")

    def _drop(self, facts: dict[str, Fact], oldest: float) -> None:
        for key in [key for key, (at, _) in facts.items() if at <= oldest]:
            self.characters -= len(key) + len(facts.pop(key)[1])


def _is_name(text: str) -> bool:
    return 0 < len(text) <= LONGEST_NAME and text.isprintable()
