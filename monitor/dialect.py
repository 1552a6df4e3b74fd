"""Rewrites what a collector of Diamond has in a form of its own into sections and lists, as they are written here.

[process]              [[ProcessResourcesCollector postgres]]
[[postgres]]     ->    name = ^postgres
name = ^postgres

target_1 = a           hosts = a, b
target_2 = b     ->
"""

from __future__ import annotations

from monitor.collector import Collector
from monitor.ini import Entry, Section, quote, scalar
from monitor.registry import Registry


def rewrite(parent: Section, registry: Registry) -> None:
    """Rewrite the sections of collectors below this one; a collector's class says which forms it has."""
    for name, child in list(parent.sections.items()):
        cls = registry.collector(name.split()[0]) if name.strip() else None
        if cls is None:
            continue
        _lists(child, cls)
        groups = child.sections.get(cls.nested) if cls.nested else None
        if groups is not None and groups.sections:
            del parent.sections[name]
            for word, group in groups.sections.items():
                called = f"{name} {word}"
                entries = {**child.entries, **groups.entries, **group.entries}
                others = {key: each for key, each in child.sections.items() if key != cls.nested}
                sections = {**others, **group.sections}
                parent.sections[called] = Section((*parent.path, called), group.place, entries, sections)


def _lists(section: Section, cls: type[Collector]) -> None:
    for beginning, key in cls.listed.items():
        if key in section.entries:
            continue
        found = [name for name in section.entries if name.startswith(beginning)]
        entries = [section.entries.pop(name) for name in found]
        try:
            items = [entry.text if entry.literal else scalar(entry.text) for entry in entries]
        except ValueError:
            # What cannot be read stays, so that it is named with its place.
            section.entries.update(zip(found, entries, strict=True))
        else:
            if items:
                section.entries[key] = Entry(", ".join(quote(item, item=True) for item in items), entries[0].place)
