"""Reads Kurado's inventory as it is: the main file with its services, and the role files that they name.

config: {rolls_dir: rolls, …}
metrics_config: {MySQL: {user: …}}
---
service: shop
servers:
  - roll: web.yml
    label: front
    hosts: [10.0.0.1 www1 first rack]
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from monitor import yaml_file
from monitor.ini import Place, Problem
from monitor.settings import canonical, is_address
from monitor.shape import suggestion
from monitor.yaml_file import Node

ROLLS_DIR = "sample_rolls"
MOST_HOSTS = 100_000
CONFIG = ("redis", "data_dir", "rolls_dir", "metrics_plugin_dir", "web_worker", "update_worker", "fetch_worker")
WORKERS = CONFIG[4:]
SERVICE = ("service", "servers")
GROUP = ("roll", "label", "hosts")
ROLE = ("metrics_config", "metrics")


class Plugin(NamedTuple):
    """A line of a role's metrics, such as `nginx:80`: its name, its arguments, and where it stands."""

    identifier: str
    place: Place

    @property
    def name(self) -> str:
        return self.identifier.partition(":")[0]

    @property
    def arguments(self) -> Sequence[str]:
        return self.identifier.split(":")[1:]


class Line(NamedTuple):
    """A host, and what it stands under."""

    address: str
    hostname: str
    comment: str
    service: str
    label: str
    role: str
    place: Place


@dataclass
class Roll:
    """A role: what is read of its hosts, and the settings that plugins get (its own laid over those for all)."""

    name: str
    place: Place
    plugins: list[Plugin] = field(default_factory=list)
    metrics_config: Mapping[str, object] = field(default_factory=dict)


@dataclass
class Servers:
    """An inventory, as far as it could be understood, and what is wrong with it."""

    file: str
    hosts: list[Line] = field(default_factory=list)
    rolls: dict[str, Roll] = field(default_factory=dict)
    """Those that hosts have."""
    unserved: list[str] = field(default_factory=list)
    """Keys of its config that have no effect here."""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def read(path: Path) -> Servers:
    """Read an inventory; it holds all that is wrong with it."""
    reader = _Reader(path)
    documents, problems = yaml_file.read(path)
    reader.found.problems += problems
    reader.take(documents, whole=not problems)
    return reader.found


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.found = Servers(str(path))
        self.rolls_dir = path.parent / ROLLS_DIR
        self.metrics_config: Mapping[str, Node] = {}
        self.services: dict[str, Place] = {}
        self.addresses: dict[str, Place] = {}
        self.rolls: dict[str, Roll | None] = {}

    def take(self, documents: Sequence[Node], *, whole: bool) -> None:
        if documents:
            self._main(documents[0])
        elif whole:
            self._problem(Place(str(self.path), 1), "", "config", "needs a document with config, then one per service")
        for document in documents[1:]:
            self._service(document)

    def _problem(self, place: Place, where: str, key: str, message: str) -> None:
        self.found.problems.append(Problem(place.file, place.line, where, key, message))

    def _mapping(self, node: Node, where: str, key: str, known: Collection[str] = ()) -> Mapping[str, Node]:
        """Return a mapping, empty for nothing; a key that is not among the known ones is worth a warning."""
        if node.value is None and key:
            return {}
        if not isinstance(node.value, dict):
            self._problem(node.place, where, key, f"expected a mapping, got {node.kind}")
            return {}
        for name, child in node.value.items() if known else ():
            if name not in known:
                message = f"unknown key, without effect{suggestion(name, known)} Known: {', '.join(known)}"
                self.found.warnings.append(Problem(*child.place, where, name[:80], message))
        return node.value

    def _list(self, node: Node | None, where: str, key: str) -> Sequence[Node]:
        if node is None or node.value is None:
            return ()
        if isinstance(node.value, list):
            return node.value
        self._problem(node.place, where, key, f"expected a list, got {node.kind}")
        return ()

    def _text(self, node: Node | None, where: str, key: str, what: str = "a text") -> str:
        """Return a text of one line; '' for nothing and for what is none."""
        if node is None or node.value is None:
            return ""
        if not isinstance(node.value, str):
            self._problem(node.place, where, key, f"expected {what}, got {node.kind}")
            return ""
        text = " ".join(node.value.splitlines()).replace("\t", " ").strip()
        if wrong := next((char for char in text if unicodedata.category(char) in ("Cc", "Cs")), ""):
            self._problem(node.place, where, key, f"expected {what}, got one with the character U+{ord(wrong):04X}")
            return ""
        return text

    def _main(self, document: Node) -> None:
        main = self._mapping(document, "", "", ("config", "metrics_config"))
        if "config" not in main and isinstance(document.value, dict):
            self._problem(document.place, "", "config", "the first document needs config; services follow after it")
        if "metrics_config" in main:
            self.metrics_config = self._mapping(main["metrics_config"], "", "metrics_config")
        node = main.get("config")
        settings = self._mapping(node, "", "config", CONFIG) if node else {}
        for key, each in settings.items():
            if key in WORKERS:
                text = self._text(each, "config", key, "a whole number from 1")
                if each.value is not None and isinstance(each.value, str) and not (text.isdecimal() and int(text[:9])):
                    self._problem(each.place, "config", key, f"expected a whole number from 1, got {each.kind}")
            elif key == "metrics_plugin_dir":
                for name in self._list(each, "config", key):
                    self._text(name, "config", key)
            elif key == "rolls_dir":
                self.rolls_dir = self.path.parent / (self._text(each, "config", key) or ROLLS_DIR)
            elif key in CONFIG:
                self._text(each, "config", key)
        self.found.unserved = [key for key in settings if key in CONFIG and key != "rolls_dir"]

    def _service(self, document: Node) -> None:
        known = self._mapping(document, "", "", SERVICE)
        if not isinstance(document.value, dict):
            return
        before = len(self.found.problems)
        name = self._text(known.get("service"), "", "service")
        where = f"service {name}"
        if not name:
            if len(self.found.problems) == before:
                message = "every document after the first needs the name of its service"
                self._problem(document.place, "", "service", message)
        elif (first := self.services.get(name)) is not None:
            self._problem(known["service"].place, "", "service", f"duplicate service: {name} stands in {first} already")
        else:
            self.services[name] = known["service"].place
        labels: dict[str, Place] = {}
        label = ""
        for number, node in enumerate(self._list(known.get("servers"), where, "servers")):
            group = self._mapping(node, where, "", GROUP)
            own = self._text(group.get("label"), where, "label")
            # A group without a label belongs to the section before it, whatever that one's label.
            if own and own in labels:
                self._problem(group["label"].place, where, "label", f"duplicate label: {own} stands in {labels[own]}"
                              " already; leave it out below that group to go on with it")  # fmt: skip
            label = own if own or not number else label
            if own:
                labels.setdefault(own, group["label"].place)
            self._hosts(node, group, where, name, label)

    def _hosts(self, node: Node, group: Mapping[str, Node], where: str, service: str, label: str) -> None:
        roll = self._text(group.get("roll"), where, "roll")
        if not roll and isinstance(node.value, dict):
            self._problem(node.place, where, "roll", "a group of hosts needs the file name of its role")
        hosts = self._list(group.get("hosts"), where, "hosts")
        if hosts and roll:
            self._roll(roll, group["roll"].place, where)
        for each in hosts:
            if isinstance(each.value, str) or each.value is None:
                self._host(each, where, service, label, roll)
            else:
                self._problem(each.place, where, "hosts", f"expected ADDRESS HOSTNAME COMMENTS, got {each.kind}")

    def _host(self, node: Node, where: str, service: str, label: str, roll: str) -> None:
        before = len(self.found.problems)
        words = self._text(node, where, "hosts").split(None, 2)
        if not words:
            if len(self.found.problems) == before:
                self._problem(node.place, where, "hosts", "expected ADDRESS HOSTNAME COMMENTS, got no address")
            return
        address, hostname, comment = (*words, "", "")[:3]
        if (first := self.addresses.get(canonical(address))) is not None:
            self._problem(node.place, where, "hosts", f"duplicate address: {address} stands in {first} already")
            return
        self.addresses[canonical(address)] = node.place
        if not is_address(address):
            message = f"expected an IP address or a host name, got {address[:80]!r}"
            self._problem(node.place, where, "hosts", message)
        elif len(self.addresses) > MOST_HOSTS:
            self._problem(node.place, where, "hosts", f"expected at most {MOST_HOSTS} hosts")
        else:
            line = Line(address, hostname or address, comment, service, label, roll, node.place)
            self.found.hosts.append(line)

    def _roll(self, name: str, place: Place, where: str) -> None:
        """Read a role's file when the first host has that role, as Kurado does."""
        path = self.rolls_dir / name
        if name not in self.rolls:
            self.rolls[name] = None
            if ".." in Path(name).parts or Path(name).is_absolute():
                self._problem(place, where, "roll", f"expected the name of a file in {self.rolls_dir}, got {name!r}")
                return
            if path.is_file():
                self.rolls[name] = self.found.rolls[name] = self._read_roll(name, path)
        if self.rolls[name] is None:
            self._problem(place, where, "roll", f"no role file {path}")

    def _read_roll(self, name: str, path: Path) -> Roll:
        documents, problems = yaml_file.read(path)
        self.found.problems += problems
        roll = Roll(name, Place(str(path), 1))
        if len(documents) != 1:
            if not problems:
                message = f"expected one document with metrics, got {len(documents) or 'none'}"
                self._problem(documents[1].place if documents else roll.place, "", "", message)
            return roll
        known = self._mapping(documents[0], "", "", ROLE)
        roll.place = documents[0].place
        own = self._mapping(known["metrics_config"], "", "metrics_config") if "metrics_config" in known else {}
        roll.metrics_config = {key: node.plain() for key, node in {**self.metrics_config, **own}.items()}
        for node in self._list(known.get("metrics"), "", "metrics"):
            before = len(self.found.problems)
            plugin = Plugin(self._text(node, "", "metrics", "PLUGIN or PLUGIN:ARGUMENT"), node.place)
            if plugin.name:
                roll.plugins.append(plugin)
            elif len(self.found.problems) == before:
                self._problem(node.place, "", "metrics", f"expected PLUGIN or PLUGIN:ARGUMENT, got {node.kind}")
        return roll
