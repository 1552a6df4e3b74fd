"""A commented configuration with every option: its help, what it takes, its default. It can be loaded as it is."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path

from monitor.collector import Collector
from monitor.graphite import Graphite
from monitor.handler import Handler, Store
from monitor.influx import Influx
from monitor.options import MISSING, Field, options_of
from monitor.registry import Registry
from monitor.rels import Rels, RelsUser
from monitor.settings import (
    Auth,
    Common,
    Configs,
    Host,
    Hosts,
    Kurado,
    Logging,
    Push,
    RetentionSettings,
    Role,
    Server,
    User,
)
from monitor.shape import fields_of, suggestion
from monitor.tiers import PRESETS, written
from monitor.values import describe, render


def sample(registry: Registry, name: str = "") -> str:
    """Return the sample of one collector or handler, or of everything; LookupError when there is none of this name."""
    if not name:
        return "\n".join(_whole(registry)) + "\n"
    cls = registry.collector(name) or registry.handler(name) or registry.by_path(name)
    if cls is None:
        names = known(registry)
        raise LookupError(f"no collector or handler {name!r}{suggestion(name, names)} There are: {', '.join(names)}")
    return "\n".join([f"[{_section(cls)}]", *_plugin(cls), *_general(cls)]) + "\n"


def write(registry: Registry, directory: Path) -> Iterator[tuple[Path, bool]]:
    """Write a flat NAME.conf of every collector and handler, for collectors_config_path and handlers_config_path.

    Yield each file, and whether it was written: one that is there already stays as it is. OSError when it cannot be.
    """
    plugins: list[type[Collector] | type[Handler]] = [*registry.collectors.values(), *registry.handlers.values()]
    for cls in plugins:
        path = directory / _section(cls) / f"{cls.__name__}.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [line for line in (*_plugin(cls), *_general(cls)) if not line.startswith("[")]
        try:
            with path.open("x") as file:
                file.write("\n".join(lines) + "\n")
        except FileExistsError:
            yield path, False
        else:
            yield path, True


def _section(cls: type[Collector] | type[Handler]) -> str:
    return "collectors" if issubclass(cls, Collector) else "handlers"


def known(registry: Registry) -> list[str]:
    return [*registry.collectors, *registry.handlers]


def _whole(registry: Registry) -> Iterator[str]:
    yield "# Every option with its default; take the # away to set it."
    yield from ("", "[server]", *_options(fields_of(Server)))
    yield from ("", "[configs]", *_options(fields_of(Configs)))
    yield from ("", "[logger_root]", *_options(fields_of(Logging)))
    yield "# a file of the log: handlers = rotated_file above, and"
    yield from ("#[handler_rotated_file]", "#class = handlers.TimedRotatingFileHandler")
    yield "#args = ('/var/log/monitor/monitor.log', 'midnight', 1, 7)"
    yield from ("", "[handlers]", "# for all handlers", "[[default]]", *_options(options_of(Handler)))
    for handler in registry.handlers.values():
        yield from ("", *_plugin(handler))
    yield from ("", "[collectors]", "# for all collectors, those of [roles] too", "[[default]]")
    yield from _options({name: field for name, field in options_of(Collector).items() if name != "enabled"})
    for collector in registry.collectors.values():
        yield from ("", *_plugin(collector))
    yield from ("", "[roles]", "#[[web]]", *_options(fields_of(Role)))
    yield from ("", "[hosts]", *_options(fields_of(Hosts)), "#[[10.0.0.1]]", *_options(fields_of(Host)))
    yield from ("", "[receivers]", "[[push]]", *_options(fields_of(Push)))
    yield from ("", "[[kurado]]", *_options(fields_of(Kurado)))
    yield from ("", "[[graphite]]", *_options(fields_of(Graphite)))
    yield from ("", "[[influx]]", *_options(fields_of(Influx)))
    yield from ("", "[[rels]]", *_options(fields_of(Rels)), "[[[users]]]", "#[[[[shop]]]]")
    yield from _options(fields_of(RelsUser))
    yield from ("", "[retention]", *_retention())
    yield from ("", "[auth]", *_options(fields_of(Auth)), "[[users]]", "#[[[admin]]]", *_options(fields_of(User)))


def _retention() -> Iterator[str]:
    yield from _options(fields_of(RetentionSettings))
    for name, tiers in PRESETS.items():
        lines = [f"{tier.label} = {written(tier)}" for tier in tiers]
        if name == "default":
            yield "# tiers: STEP = RETENTION, some of AVERAGE, MIN, MAX, LAST; or off. Those of preset = default:"
            yield from (f"#{line}" for line in lines)
        elif lines:
            yield from textwrap.wrap(
                f"preset = {name}: {'; '.join(lines)}", 110, initial_indent="# ", subsequent_indent="#   "
            )
    yield "# for some sources: a pattern of hosts, of collectors, of HOST:COLLECTOR or of HOST:COLLECTOR:INSTANCE."
    yield "# The first that matches counts; what it does not say is as in [retention]."
    yield from ("#[[ston*]]", "#preset = ston")


def _plugin(cls: type[Collector] | type[Handler]) -> Iterator[str]:
    doc = inspect.getdoc(inspect.getmodule(cls)) or ""
    for line in doc.split("\n\n", 1)[0].splitlines():
        yield f"# {line}".rstrip()
    if issubclass(cls, Collector):
        yield (
            "# on unless enabled = False"
            if cls.local and not cls.needs_enabling
            else "# off unless enabled = True"
            if cls.local
            else "# off unless enabled = True, or in a role of a watched host"
        )
    elif issubclass(cls, Store):
        yield "# the store, which is always on"
    else:
        yield "# on when [server] handlers lists it"
    yield f"[[{cls.__name__}]]"
    own = Collector if issubclass(cls, Collector) else Handler
    general = options_of(own)
    yield from _options({name: field for name, field in fields_of(cls).items() if name not in general})
    if issubclass(cls, Collector):
        yield from _options({"enabled": fields_of(cls)["enabled"]}, local=cls.local and not cls.needs_enabling)


def _general(cls: type[Collector] | type[Handler]) -> Iterator[str]:
    """Yield the options that all have, which stand in [[default]] too."""
    own = fields_of(cls)
    shared = fields_of(Collector, Common) if issubclass(cls, Collector) else fields_of(Handler)
    yield f"# those of every {'collector' if issubclass(cls, Collector) else 'handler'}:"
    yield from _options({name: own.get(name, field) for name, field in shared.items() if name != "enabled"})


def _options(fields: dict[str, Field], *, local: bool = False) -> Iterator[str]:
    for name, field in fields.items():
        about = f"{field.option.help}: {describe(field)}" if field.option.help else describe(field)
        yield from (f"# {line}" for line in textwrap.wrap(about, 110))
        if field.option.default is MISSING:
            yield f"#{name} = (required)"
        else:
            default = True if local else field.option.default
            yield f"#{name} = {render(field.type, default, written=True)}".rstrip()
