"""The configuration as it is in effect: every value with where it came from, secrets masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monitor.config import Config
from monitor.ini import Place, quote
from monitor.inventory import JobSpec
from monitor.options import MISSING, Field, masked, options_of
from monitor.settings import Settings
from monitor.tiers import ClassSpec, label, written
from monitor.values import MASK, render


def lines(config: Config) -> Iterator[str]:
    """Yield the lines of an INI file; of a watched host those options that are not their defaults."""
    yield from _settings("[server]", config.server)
    yield from ("", "[configs]", *_options(config.configs))
    yield from ("", "[logger_root]", *_options(config.logging))
    for name, section in config.logs.sections.items():
        yield from ("", f"[{_name(name)}]")
        for key, entry in section.items():
            yield f"{key} = {quote(entry.text) if entry.literal else entry.text}  # {entry.place}"
    yield from ("", "[handlers]")
    for handler in (config.store, *config.handlers):
        yield from ("", f"[[{handler.name}]]", *_plugin(options_of(handler.cls), handler.options, handler.places))
    yield from ("", "[collectors]")
    for job in config.inventory.jobs:
        if job.target.local:
            yield from ("", f"[[{job.name}]]", *_plugin(options_of(job.cls), job.options, job.places, enabled=True))
            yield from _path(job)
    on = {job.cls for job in config.inventory.jobs if job.target.local and not job.section}
    for cls in config.registry.collectors.values():
        if cls.local and not cls.needs_enabling and cls not in on:
            yield from ("", f"[[{cls.__name__}]]", "enabled = False")
    yield from ("", "[roles]")
    for name, role in config.roles.items():
        yield from _settings(f"[[{name}]]", role)
    yield from ("", "[hosts]")
    for name, host in config.hosts.items():
        yield from _settings(f"[[{name}]]", host)
        for job in config.inventory.jobs:
            if job.target.host == name and not job.target.local:
                given = {key: field for key, field in options_of(job.cls).items() if key in job.options}
                yield from (f"[[[{job.name}]]]", *_plugin(given, job.options, job.places), *_path(job))
    yield from ("", "[receivers]")
    yield from _settings("[[push]]", config.push)
    yield from _settings("[[graphite]]", config.graphite)
    yield from _settings("[[influx]]", config.influx)
    yield from _settings("[[rels]]", config.rels)
    yield from ("", "[[[users]]]")
    for name, rels_user in config.rels.others.items():
        yield from _settings(f"[[[[{name}]]]]", rels_user)
    *below, default = config.classes
    yield from ("", "[retention]", *_class(default))
    for spec in below:
        yield from ("", f"[[{_name(spec.kept.name)}]]", *_class(spec, below=True))
    yield from _settings("[auth]", config.auth)
    yield "[[users]]"
    for name, user in config.users.items():
        yield from _settings(f"[[[{name}]]]", user)


def _settings(header: str, settings: Settings) -> Iterator[str]:
    yield ""
    yield header
    yield from _options(settings)


def _options(settings: Settings) -> Iterator[str]:
    for name, field in options_of(type(settings)).items():
        yield _line(field, getattr(settings, name), settings.origins.get(name, "default"))


def _name(name: str) -> str:
    """Return a section's name as it is to be written."""
    if not set(name) & set("[]#'\""):
        return name
    return f"'{name}'" if '"' in name else f'"{name}"'


def _class(spec: ClassSpec, *, below: bool = False) -> Iterator[str]:
    for line in _options(spec.settings):
        # Without a preset of its own a sub-section begins with the tiers of [retention].
        if not (below and line.startswith("preset = ") and "preset" not in spec.settings.origins):
            yield line
    for step, (tier, origin) in spec.lines.items():
        note = "" if tier is None or tier in spec.kept.stored else "; not stored: the collected rows reach as far"
        yield f"{label(step)} = {written(tier)}  # {origin}{note}"


def _plugin(
    fields: Mapping[str, Field], values: Mapping[str, Any], places: Mapping[str, Place], **known: Any
) -> Iterator[str]:
    for name, field in fields.items():
        if name in values or field.option.default is not MISSING:
            value = values.get(name, known.get(name, field.option.default))
            yield _line(field, value, str(places[name]) if name in places else "default")


def _path(job: JobSpec) -> Iterator[str]:
    if job.path is not None:
        yield f"path = {job.path}  # {job.places['path']}"


def _line(field: Field, value: Any, origin: str) -> str:
    if field.option.secret and value:
        text = MASK
    elif isinstance(value, str):
        text = render(field.type, masked(value), written=True)
    elif isinstance(value, list):
        text = render(field.type, [masked(item) for item in value], written=True)
    else:
        text = render(field.type, value, written=True)
    return f"{field.name} = {text}  # {origin}"
