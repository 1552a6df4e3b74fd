"""Says a Kurado inventory in the words of our own: [roles] and [hosts], with what its plugins become.

A plugin that a collector stands in for (it has `plugin_arguments`) becomes that collector, its section called by the
arguments, so that a source keeps the identifier that Kurado gives it: `nginx:80` is NginxCollector 80. One that nothing
here asks for, but whose metrics or graphs are declared, is expected from the host's agent. Others are unknown: Kurado
refuses those, which here would keep a site out whose plugins are not all written yet, so they are a warning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from monitor.collector import Collector
from monitor.ini import Entry, Place, Problem, Section, quote, scalar
from monitor.registry import Registry
from monitor.servers_yaml import Line, Plugin, Roll, Servers, read
from monitor.settings import canonical

BASE = "base"
"""What every agent pushes by itself."""
FOLDER = re.compile(r"[\w-]{1,100}")


def include(root: Section, path: Path, place: Place, registry: Registry, graphs_path: Sequence[str]) -> Servers:
    """Add an inventory, which is named at a place, to a configuration; it holds what is wrong with it and odd."""
    if not path.is_file():
        missing = Problem(*place, "[hosts]", "kurado_config", f"there is no file {path}")
        return Servers(str(path), problems=[missing])
    servers = read(path)
    merge(root, sections(servers, registry, graphs_path), servers)
    if servers.unserved:
        text = f"Kurado's settings that have no effect here: {', '.join(servers.unserved)}"
        servers.warnings.append(Problem(servers.file, 0, "config", "", text))
    return servers


def sections(servers: Servers, registry: Registry, graphs_path: Sequence[str] = ()) -> Section:
    """Return [roles] and [hosts] as a tree; what cannot be said is added to the inventory's problems."""
    root = Section((), Place(servers.file))
    roles, hosts = root.section("roles"), root.section("hosts")
    for roll in servers.rolls.values():
        roles.sections[roll.name] = _role(servers, roll, registry, [Path(name) for name in graphs_path])
    for line in servers.hosts:
        hosts.sections[line.address] = _host(line, line.role if line.role in servers.rolls else "")
    return root


def merge(root: Section, made: Section, servers: Servers) -> None:
    """Add what `sections` made to a configuration, whose own [roles] count more; a host of both is a problem."""
    roles, hosts = root.section("roles"), root.section("hosts")
    places = {canonical(line.address): line.place for line in servers.hosts}
    for name, section in hosts.sections.items():
        for key, address in _addresses(name, section):
            if (first := places.get(canonical(address))) is not None:
                servers.problems.append(section.problem(f"duplicate address: {address} stands in {first} already", key))
    for name, role in made.sections["roles"].sections.items():
        if name in roles.sections:
            role.merge(roles.sections[name])
        roles.sections[name] = role
    hosts.sections = {**made.sections["hosts"].sections, **hosts.sections}


def lines(tree: Section, servers: Servers) -> Iterator[str]:
    """Yield the lines of an INI file that gives the same tree; what cannot be written is added to the problems."""
    for name, section in tree.sections.items():
        if "'" in name and '"' in name:
            servers.problems.append(section.problem("a section's name cannot hold both kinds of quotes"))
        depth = len(section.path)
        yield from ("", f"{'[' * depth}{_name(name)}{']' * depth}")
        for key, entry in section.entries.items():
            yield f"{key} = {quote(entry.text) if entry.literal else entry.text}"
        yield from lines(section, servers)


def _name(name: str) -> str:
    if set(name) & set("[]#'\""):
        return f"'{name}'" if '"' in name else f'"{name}"'
    return name


def _addresses(name: str, section: Section) -> Iterator[tuple[str, str]]:
    yield "", name
    if (entry := section.entries.get("address")) is not None:
        try:
            address = entry.text if entry.literal else scalar(entry.text)
        except ValueError:
            # What is wrong with the value is said when it is read.
            return
        if address and address != name:
            yield "address", address


def _host(line: Line, role: str) -> Section:
    found = Section(("hosts", line.address), line.place)
    values = {
        "hostname": line.hostname if line.hostname != line.address else "", "service": line.service,
        "label": line.label, "role": role, "comment": line.comment,
    }  # fmt: skip
    found.entries |= {key: Entry(text, line.place, literal=True) for key, text in values.items() if text}
    return found


def _role(servers: Servers, roll: Roll, registry: Registry, graphs: Sequence[Path]) -> Section:
    section = Section(("roles", roll.name), roll.place)
    collectors: dict[str, Plugin] = {}
    pushed: dict[str, Plugin] = {}
    for plugin in roll.plugins:
        cls = registry.by_path(plugin.name)
        if cls is not None and cls.plugin_arguments is not None:
            second = plugin.identifier.partition(":")[2]
            name = f"{cls.__name__} {second}".strip()
            collectors[name] = plugin
            section.sections[name] = Section(("roles", roll.name, name), plugin.place, _options(servers, cls, plugin))
        elif plugin.name == BASE or _is_shown(cls) or any(_is_folder(folder, plugin.name) for folder in graphs):
            pushed[plugin.identifier] = plugin
        else:
            servers.warnings.append(Problem(*plugin.place, "", "metrics", _unknown(plugin)))
    for key, found in (("collectors", collectors), ("pushed", pushed)):
        if found:
            text = ", ".join(quote(name, item=True) for name in found)
            section.entries[key] = Entry(text, next(iter(found.values())).place)
    if roll.metrics_config:
        text = json.dumps(roll.metrics_config, ensure_ascii=False).replace("'", "''")
        section.entries["metrics_config"] = Entry(f"'{text}'", roll.place)
    return section


def _is_shown(cls: type[Collector] | None) -> bool:
    """Tell whether a collector declares what is pushed under its word; of one that asks others the names may differ."""
    return cls is not None and (cls.pushed or cls.local)


def _is_folder(directory: Path, name: str) -> bool:
    """Tell whether there are graph files for what is pushed under this name."""
    return FOLDER.fullmatch(name) is not None and (directory / name).is_dir()


def _unknown(plugin: Plugin) -> str:
    return (
        f"unknown plugin {plugin.name!r}: no collector stands in for it and [server] graphs_path has no graphs of it;"
        f" {plugin.identifier} is neither fetched nor expected from agents, but kept when they push it"
    )


def _options(servers: Servers, cls: type[Collector], plugin: Plugin) -> dict[str, Entry]:
    """Return the options that a plugin's arguments stand for; one left out has Kurado's default."""
    known = cls.plugin_arguments or {}
    given = plugin.arguments
    if len(given) > len(known):
        message = (
            f"{plugin.identifier}: {plugin.name} takes {', '.join(known) or 'no arguments'}; the rest has no effect"
        )
        servers.warnings.append(Problem(*plugin.place, "", "metrics", message))
    texts = {
        option: (given[number] if number < len(given) else "") or default
        for number, (option, default) in enumerate(known.items())
    }
    return {option: Entry(text, plugin.place, literal=True) for option, text in texts.items() if text}
