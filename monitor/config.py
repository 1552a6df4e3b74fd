"""The whole configuration: read from files and environment, checked, every value with its origin.

Precedence, low to high: an option's default, [[default]], [[Name]], Name.conf, role, host, environment, command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from monitor import conffiles, dialect, diamond, environment, graphfiles, ini, servers_ini
from monitor.collector import Collector
from monitor.conffiles import Logs
from monitor.graphfiles import GraphFiles
from monitor.graphite import Graphite
from monitor.handler import Handler, Store
from monitor.hostname import hostname
from monitor.influx import Influx
from monitor.ini import Place, Problem, Section
from monitor.inventory import Builder, Inventory, Key, Layer, by_key
from monitor.options import Field, Seconds
from monitor.registry import Registry
from monitor.rels import Rels, RelsUser
from monitor.retention import Retention
from monitor.settings import (
    Address,
    Auth,
    Common,
    Configs,
    Host,
    Hosts,
    Kurado,
    Logging,
    Own,
    Push,
    RetentionSettings,
    Role,
    Server,
    Settings,
    User,
    default_data_dir,
)
from monitor.shape import Value, check, fields_of, literal, missing, suggestion, typed, whole
from monitor.tiers import ClassSpec, resolve
from monitor.values import render

Found = TypeVar("Found", bound=Settings)


class ConfigError(Exception):
    """The configuration cannot be used; `problems` says all that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class HandlerSpec:
    """A handler to deliver to: its class and options, and where each was written."""

    name: str
    cls: type[Handler]
    options: Mapping[str, Any]
    places: Mapping[str, Place] = field(default_factory=dict)


@dataclass
class Config:
    """A configuration that can be used."""

    files: list[Path]
    registry: Registry
    server: Server
    auth: Auth
    users: dict[str, User]
    retention: RetentionSettings
    classes: list[ClassSpec]
    """The retention classes, as they are written; `retention_classes` is what the store keeps."""
    retention_classes: Retention
    push: Push
    kurado: Kurado
    rels: Rels
    graphite: Graphite
    influx: Influx
    configs: Configs
    logging: Logging
    logs: Logs
    handlers: list[HandlerSpec]
    """Those of [server] handlers, in their order, without the store."""
    store: HandlerSpec
    inventory: Inventory
    roles: dict[str, Role]
    hosts: dict[str, Host]
    """What is written in [hosts]; `inventory.hosts` is what comes of it."""
    graph_files: GraphFiles
    warnings: list[Problem]

    @property
    def data_dir(self) -> Path:
        assert self.server.data_dir is not None
        return self.server.data_dir


def load(
    files: Sequence[Path] | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, str] | None = None,
    *,
    find_hostname: Callable[[str, str], str] = hostname,
    find_plugins: Callable[[Sequence[Path], Sequence[Path]], Registry] = Registry,
) -> Config:
    """Read and check a configuration; ConfigError holds every problem at once.

    Later files count more than earlier ones. None means the default file if there is one. `overrides` are keys of
    [server] from the command line.
    """
    return _Loader(conffiles.given(files), environ, overrides or {}, find_hostname, find_plugins).load()


def load_server(files: Sequence[Path] | None, environ: Mapping[str, str]) -> Server:
    """Return [server] alone, as far as it can be read: quick, and of a configuration that is wrong elsewhere too."""
    return conffiles.early_server(conffiles.tree(conffiles.given(files), environ).root, environ)


class _Loader:
    def __init__(
        self,
        files: Sequence[Path],
        environ: Mapping[str, str],
        overrides: Mapping[str, str],
        find_hostname: Callable[[str, str], str],
        find_plugins: Callable[[Sequence[Path], Sequence[Path]], Registry],
    ) -> None:
        self.files = list(files)
        self.find_hostname = find_hostname
        read = conffiles.tree(self.files, environ)
        self.root, self.extension = read.root, read.configs.extension
        self.problems, self.odd = read.problems, read.odd
        self.environ = environ
        self.overrides = overrides
        # Where more classes lie must be known before the rest can be understood.
        server = conffiles.early_server(self.root, environ)
        self.registry = find_plugins([Path(p) for p in server.collectors_path], [Path(p) for p in server.handlers_path])
        self.problems += self.registry.problems
        self.odd += self.registry.warnings
        if len(self.registry.stores) != 1:
            names = [cls.__name__ for cls in self.registry.stores]
            self.problems.append(Problem("", 0, "", "", f"expected one store among the handlers, found {names}"))
            raise ConfigError(self.problems)
        if "collectors" in self.root.sections:
            dialect.rewrite(self.root.sections["collectors"], self.registry)
        self._servers(server)
        self.shape = whole(self.registry)
        self.env, problems = environment.read(environ, self.root, self.shape)
        self.problems += problems
        for key, text in overrides.items():
            self.env.section("server").entries[key] = literal(text, Place(f"--{key.replace('_', '-')}"))
        self._fields: dict[type, dict[str, Field]] = {}
        self._typed: dict[tuple[int, type], dict[str, Value]] = {}

    def _servers(self, server: Server) -> None:
        """Read Kurado's inventory, if there is one, as if it stood in [roles] and [hosts]."""
        if (
            not (given := conffiles.early(self.root, self.environ, "hosts", Hosts).get("kurado_config"))
            or not given.value
        ):
            return
        beside = Path(given.place.file).parent if given.place.line else Path()
        servers = servers_ini.include(self.root, beside / given.value, given.place, self.registry, server.graphs_path)
        self.problems += servers.problems
        self.odd += servers.warnings

    def load(self) -> Config:
        unserved: list[tuple[str, Place]] = []
        self.problems += check(self.root, self.shape, unserved)
        server = self.settings(Server, "server")
        server.data_dir = (server.data_dir or default_data_dir(self.environ.get("HOME", ""))).absolute()
        auth = self.settings(Auth, "auth")
        users = self.each(User, "auth", "users")
        for name, (_, user) in users.items():
            user.name = name
        self._check_listen(server, auth, bool(users))
        retention = self.settings(RetentionSettings, "retention")
        classes = self._classes(retention)
        push = self.settings(Push, "receivers", "push")
        kurado = self.settings(Kurado, "receivers", "kurado")
        rels = self.settings(Rels, "receivers", "rels")
        rels.others = {name: user for name, (_, user) in self.each(RelsUser, "receivers", "rels", "users").items()}
        graphite = self.settings(Graphite, "receivers", "graphite")
        influx = self.settings(Influx, "receivers", "influx")
        self._check_past("push", push, classes)
        self._check_past("kurado", kurado, classes)
        self._check_past("graphite", graphite, classes)
        self._check_past("influx", influx, classes)
        own, own_path = self._own_name(server)
        handlers = self._handlers(server, unserved)
        inventory = self._inventory(server, own, own_path, unserved)
        logging = self.settings(Logging, "logger_root")
        logs = conffiles.logs((self.root, self.env), logging, self.problems, self.odd)
        config = Config(
            self.files, self.registry, server, auth, {name: user for name, (_, user) in users.items()}, retention,
            classes, Retention([spec.kept for spec in classes]), push, kurado, rels, graphite, influx,
            self.settings(Configs, "configs"), logging, logs,
            [spec for spec in handlers if not issubclass(spec.cls, Store)],
            next(spec for spec in handlers if issubclass(spec.cls, Store)), inventory,
            {name: role for name, (_, role) in self.each(Role, "roles").items()},
            {name: host for name, (_, host) in self.each(Host, "hosts").items()}, self._graph_files(server),
            self._warnings(unserved),
        )  # fmt: skip
        if self.problems:
            order = [str(path) for path in self.files]
            place = {name: number for number, name in enumerate(order)}
            found = dict.fromkeys(self.problems)
            raise ConfigError(sorted(found, key=lambda p: (place.get(p.file, len(order)), p.file, p.line)))
        return config

    def _sections(self, *path: str) -> list[Section]:
        """Return the section at this path of the files, then of the environment, where they are."""
        found = []
        for tree in (self.root, self.env):
            section: Section | None = tree
            for name in path:
                section = section.sections.get(name) if section else None
            if section is not None:
                found.append(section)
        return found

    def _place(self, key: str, *path: str) -> Place:
        """Return where a key was last written."""
        return ([s.entries[key].place for s in self._sections(*path) if key in s.entries] or [Place("")])[-1]

    def _refuse(self, message: str, key: str, problems: list[Problem] | None = None) -> None:
        """Note what is wrong with a key of [server], among the problems unless told otherwise."""
        place = self._place(key, "server")
        (self.problems if problems is None else problems).append(Problem(*place, "[server]", key, message))

    def settings(self, cls: type[Found], *path: str) -> Found:
        """Return the settings of a section; what is wrong with them is noted."""
        values: dict[str, Value] = {}
        sections = self._sections(*path)
        for section in sections:
            values |= self.typed(section, cls)
        made = cls({key: v.value for key, v in values.items()}, {key: str(v.place) for key, v in values.items()})
        for key, message in made.check():
            place = values[key].place if key in values else sections[0].place if sections else Place("")
            self.problems.append(Problem(place.file, place.line, ini.title(path), key, message))
        return made

    def each(self, cls: type[Found], *path: str) -> dict[str, tuple[Section, Found]]:
        """Return the settings of every sub-section, with the section that it was first written in."""
        names = {name: child for parent in reversed(self._sections(*path)) for name, child in parent.sections.items()}
        order = dict.fromkeys(name for parent in self._sections(*path) for name in parent.sections)
        return {name: (names[name], self.settings(cls, *path, name)) for name in order}

    def fields(self, cls: type) -> dict[str, Field]:
        if cls not in self._fields:
            self._fields[cls] = fields_of(cls, Common) if issubclass(cls, Collector) else fields_of(cls)
        return self._fields[cls]

    def typed(self, section: Section, cls: type) -> dict[str, Value]:
        key = (id(section), cls)
        if key not in self._typed:
            self._typed[key] = typed(section, self.fields(cls), self.problems)
        return self._typed[key]

    def _check_listen(self, server: Server, auth: Auth, users: bool) -> None:
        try:
            address = Address.parse(server.listen)
        except ValueError:
            return
        if not (address.loopback or users or auth.allow_anonymous != "none" or auth.first_admin):
            message = (
                f"{address} is open to other machines: add users to [auth] [[users]],"
                " or set [auth] allow_anonymous = read (or first_admin = True)"
            )
            self._refuse(message, "listen")

    def _classes(self, retention: RetentionSettings) -> list[ClassSpec]:
        below = {name: own for name, (_, own) in self.each(RetentionSettings, "retention").items()}
        return resolve(self._sections("retention"), retention, below, self.problems, self.odd)

    def _check_past(self, name: str, push: Push | Kurado | Graphite | Influx, classes: Sequence[ClassSpec]) -> None:
        shortest = min(classes, key=lambda spec: spec.kept.collected).settings
        if push.past > shortest.collected:
            place = self._place("past", "receivers", name)
            message = (
                f"accepts batches that are up to {render(Seconds, push.past)} old, of which the store refuses those"
                f" older than [retention] collected = {render(Seconds, shortest.collected)}"
                f" ({shortest.origins.get('collected', 'default')})"
            )
            self.odd.append(Problem(place.file, place.line, f"[receivers] [[{name}]]", "past", message))

    def _graph_files(self, server: Server) -> GraphFiles:
        directories = [Path(name) for name in server.graphs_path]
        for directory in directories:
            if not directory.is_dir():
                self._refuse(f"{directory} is not a directory that can be read", "graphs_path")
        return graphfiles.read(directories, self.registry, server.max_graph_files)

    def _own_name(self, server: Server) -> tuple[str, str]:
        own = self.settings(Own, "collectors", "default")
        path = ("server",) if "hostname_method" in server.origins else ("collectors", "default")
        for key in own.origins.keys() - server.origins.keys():
            setattr(server, key, getattr(own, key))
            server.origins[key] = own.origins[key]
        name, method = server.hostname, server.hostname_method
        try:
            found = self.find_hostname(method, name)
            identity = found or self.find_hostname("smart", "")
        except ValueError as error:
            place = self._place("hostname_method", *path)
            self.problems.append(Problem(*place, ini.title(path), "hostname_method", str(error)))
            return "localhost", "localhost"
        # Diamond's reversed names are meant to be a path of several parts; in others a dot would make a false one.
        return identity, found if method.endswith("_rev") and not name else found.replace(".", "_")

    def _conf_files(self, directory: Path | None, where: str, unserved: list[tuple[str, Place]]) -> dict[str, Section]:
        """Return the flat NAME.conf files of a directory, each as the section that it stands for."""
        if directory is None:
            return {}
        if not directory.is_dir():
            problems = self.odd if directory in diamond.DIRECTORIES else self.problems
            self._refuse(f"{directory} is not a directory that can be read", f"{where}_config_path", problems)
            return {}
        return conffiles.flat(directory, self.extension, where, self.shape, self.registry, self.problems, unserved)

    def _handlers(self, server: Server, unserved: list[tuple[str, Place]]) -> list[HandlerSpec]:
        classes: list[type[Handler]] = []
        known = list(self.registry.handlers)
        for name in server.handlers:
            cls = self.registry.handler(name)
            word = name.rpartition(".")[2].lower()
            if cls is None and word in self.registry.foreign:
                path = self.registry.foreign[word]
                self._refuse(f"{name!r} of {path} is written for Diamond itself, and not supported yet", "handlers")
            elif cls is None:
                near = suggestion(name.rpartition(".")[2], known)
                self._refuse(f"no handler {name!r}{near} There are: {', '.join(known)}", "handlers")
            elif cls in classes:
                self._refuse(f"{name!r} stands twice", "handlers")
            else:
                classes.append(cls)
        if self.registry.store not in classes:
            classes.append(self.registry.store)
        conf = self._conf_files(server.handlers_config_path, "handlers", unserved)
        return [self._handler(cls, conf) for cls in classes]

    def _handler(self, cls: type[Handler], conf: Mapping[str, Section]) -> HandlerSpec:
        values: dict[str, Value] = {}
        for tree in (self.root, self.env):
            parent = tree.sections.get("handlers", Section((), Place("")))
            default = [parent.sections["default"]] if "default" in parent.sections else []
            named = [child for name, child in parent.sections.items() if self.registry.handler(name) is cls]
            files = [child for name, child in conf.items() if self.registry.handler(name) is cls]
            for section in (*default, *named, *(files if tree is self.root else ())):
                values |= self.typed(section, cls)
        if needed := missing(self.fields(cls), values):
            message = f"needs a value for {', '.join(needed)}"
            self.problems.append(Problem("", 0, "[handlers]", f"[[{cls.__name__}]]", message))
        return HandlerSpec(
            cls.__name__, cls, {key: v.value for key, v in values.items()}, {key: v.place for key, v in values.items()}
        )

    def _inventory(self, server: Server, own: str, own_path: str, unserved: list[tuple[str, Place]]) -> Inventory:
        conf = self._conf_files(server.collectors_config_path, "collectors", unserved)
        layers = []
        for tree in (self.root, self.env):
            parents = {name: tree.sections.get(name) for name in ("collectors", "roles", "hosts")}
            names: dict[Key, list[Section]] = by_key(self.registry, parents["collectors"])
            if tree is self.root:
                for key, found in by_key(self.registry, Section((), Place(""), {}, dict(conf))).items():
                    names.setdefault(key, []).extend(found)
            roles, hosts = (
                {name: by_key(self.registry, child) for name, child in parent.sections.items()} if parent else {}
                for parent in (parents["roles"], parents["hosts"])
            )
            default = parents["collectors"].sections.get("default") if parents["collectors"] else None
            layers.append(Layer(self._default(default), names, roles, hosts))
        builder = Builder(self.registry, layers, self.typed, self.fields, self.problems, self.odd)
        return builder.build(own, own_path, self.each(Role, "roles"), self.each(Host, "hosts"))

    def _default(self, section: Section | None) -> Callable[[type[Collector]], Mapping[str, Value]]:
        return lambda cls: self.typed(section, cls) if section is not None else {}

    def _warnings(self, unserved: Sequence[tuple[str, Place]]) -> list[Problem]:
        found = list(self.odd)
        absent = [each for each in unserved if each[0].startswith("[collectors] ")]
        others = [each for each in unserved if each not in absent]
        for some, text in ((absent, "Diamond's collectors that are not here, so that nothing is collected"),
                           (others, "Diamond's settings that have no effect here")):  # fmt: skip
            if some:
                names = ", ".join(dict.fromkeys(f"{key} ({place})" for key, place in some))
                found.append(Problem(*some[0][1], "", "", f"{text}: {names}"))
        return found
