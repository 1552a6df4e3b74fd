"""What is watched: the hosts, and one job for every collector of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from monitor import published
from monitor.collector import Collector, Target
from monitor.ini import Place, Problem, Section
from monitor.options import Field
from monitor.registry import Registry
from monitor.settings import Host, Role, canonical, is_address
from monitor.shape import Value, missing, suggestion

Key = tuple[str, str]
"""A collector's class name and the second word of its section's name ('' for most)."""


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A watched host: its identity, where to reach it, how people call and group it."""

    host: str
    address: str
    hostname: str
    service: str = ""
    label: str = ""
    role: str = ""
    comment: str = ""
    local: bool = False
    pushed: tuple[str, ...] = ()
    """Kurado's plugins that its agent is to push: base, NAME:ARGUMENT."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A collector of a host: its class and options, where each was written, and Diamond's path word if one is set."""

    target: Target
    cls: type[Collector]
    section: str
    options: Mapping[str, Any]
    places: Mapping[str, Place] = field(default_factory=dict)
    path: str | None = None

    @property
    def name(self) -> str:
        """Its section's name: `NginxCollector second`."""
        return f"{self.cls.__name__} {self.section}".strip()


class Inventory:
    """All hosts by identity, the own one first, and their jobs."""

    def __init__(
        self,
        hosts: Mapping[str, HostSpec],
        jobs: Sequence[JobSpec],
        *,
        own: str,
        own_path: str,
        make: Callable[[HostSpec, str], JobSpec],
    ) -> None:
        self.hosts = dict(hosts)
        self.jobs = list(jobs)
        self.own = self.hosts[own]
        self.own_path = own_path
        """The own host's part of Diamond paths; '' leaves it out."""
        self._make = make
        self._names = {canonical(spec.address): spec for spec in reversed(self.hosts.values())}
        for name in ("address", "hostname", "host"):
            # Of several hosts of one hostname the first is found.
            self._names.update((getattr(spec, name).lower(), spec) for spec in reversed(self.hosts.values()))

    def find(self, name: str) -> HostSpec | None:
        """Return the host of this identity, else hostname, else address."""
        return self.hosts.get(name) or self._names.get(name.lower())

    def job(self, name: str, host: str = "") -> JobSpec:
        """Return the job of a collector (`NginxCollector second`) as it would run on a host, whether it does or not.

        A host that is not configured is reached by the name that is given. LookupError says what cannot be.
        """
        spec = self.find(host) if host else self.own
        return self._make(spec or HostSpec(host, host, host), name)


class Layer(NamedTuple):
    """A tree of settings (the files', the environment's) as typed values, level by level."""

    default: Callable[[type[Collector]], Mapping[str, Value]]
    names: Mapping[Key, Sequence[Section]]
    roles: Mapping[str, Mapping[Key, Sequence[Section]]]
    hosts: Mapping[str, Mapping[Key, Sequence[Section]]]


class Shared(NamedTuple):
    """The options that all hosts of a role share, unless one has its own."""

    options: Mapping[str, Any]
    places: Mapping[str, Place]
    path: str | None
    fits: bool


class Builder:
    """Makes the inventory of typed layers; what does not fit becomes a problem."""

    def __init__(
        self,
        registry: Registry,
        layers: Sequence[Layer],
        typed: Callable[[Section, type[Collector]], Mapping[str, Value]],
        fields: Callable[[type[Collector]], Mapping[str, Field]],
        problems: list[Problem],
        odd: list[Problem],
    ) -> None:
        self.registry = registry
        self.layers = layers
        self.typed = typed
        self.fields = fields
        self.problems = problems
        self.odd = odd
        self._shared: dict[tuple[str, Key], Shared] = {}
        self._listed: dict[tuple[str, Key], Place] = {}

    def build(
        self,
        own: str,
        own_path: str,
        roles: Mapping[str, tuple[Section, Role]],
        hosts: Mapping[str, tuple[Section, Host]],
    ) -> Inventory:
        """Make the inventory of the own host and of [roles] and [hosts]."""
        role_keys = {name: list(self._role_keys(section, role)) for name, (section, role) in roles.items()}
        pushed = {name: tuple(dict.fromkeys(role.pushed)) for name, (_, role) in roles.items()}
        specs = {own: HostSpec(own, "127.0.0.1", own, local=True)}
        made: list[JobSpec] = []
        listed: dict[str, list[Key]] = {}
        for name, (section, settings) in hosts.items():
            local = name.lower() == own.lower()
            address = settings.address or ("127.0.0.1" if local else name)
            if not is_address(address):
                key = "address" if settings.address else ""
                self.problems.append(section.problem(f"expected an IP address or a host name, got {address!r}", key))
            if settings.role and settings.role not in roles:
                near = suggestion(settings.role, list(roles))
                known = ", ".join(roles) or "none"
                self.problems.append(
                    section.problem(f"no role {settings.role!r} in [roles]{near} There are: {known}", "role")
                )
            identity = own if local else name
            specs[identity] = HostSpec(
                identity, address, settings.hostname or (own if local else name), settings.service, settings.label,
                settings.role, settings.comment, local, pushed.get(settings.role, ()),
            )  # fmt: skip
            listed[identity] = role_keys.get(settings.role, [])
            self._check_overrides(section, settings, listed[identity])
        self._check_names(specs, hosts)
        sections = {name: section for name, (section, _) in hosts.items()}
        for identity, spec in specs.items():
            keys = list(dict.fromkeys([*(self._own_keys() if spec.local else ()), *listed.get(identity, ())]))
            made += filter(None, (self._job(spec, key, sections) for key in keys if self._on(spec, key)))
        return Inventory(
            specs, made, own=own, own_path=own_path, make=lambda spec, name: self.single(spec, name, sections)
        )

    def single(self, spec: HostSpec, name: str, sections: Mapping[str, Section]) -> JobSpec:
        """Make one job by the name of its section; LookupError says what it lacks."""
        key = key_of(self.registry, name)
        if key is None:
            known = list(self.registry.collectors)
            raise LookupError(f"no collector {name!r}{suggestion(name, known)} There are: {', '.join(known)}")
        before = len(self.problems)
        job = self._job(spec, key, sections)
        if job is None:
            raise LookupError("; ".join(problem.message for problem in self.problems[before:]))
        return job

    def _role_keys(self, section: Section, role: Role) -> Iterator[Key]:
        known = list(self.registry.collectors)
        keys = []
        for name in role.collectors:
            word, _, second = name.strip().partition(" ")
            cls = self.registry.collector(word)
            if cls is None:
                message = f"no collector {word!r}{suggestion(word, known)} There are: {', '.join(known)}"
                self.problems.append(section.problem(message, "collectors"))
            else:
                keys.append((cls.__name__, second.strip()))
                entry = section.entries.get("collectors")
                self._listed[section.name, keys[-1]] = entry.place if entry else section.place
                yield keys[-1]
        for name, child in section.sections.items():
            if (found := key_of(self.registry, name)) is not None and found not in keys:
                message = f"{name} is not among the collectors of this role: {', '.join(role.collectors) or 'none'}"
                self.problems.append(child.problem(message))

    def _check_overrides(self, section: Section, settings: Host, keys: Sequence[Key]) -> None:
        for name, child in section.sections.items():
            if (found := key_of(self.registry, name)) is not None and found not in keys:
                which = f"its role {settings.role!r} has: " if settings.role else "it has no role"
                names = ", ".join(" ".join(key).strip() for key in keys)
                self.problems.append(child.problem(f"this host does not get {name}; {which}{names}"))

    def _check_names(self, specs: Mapping[str, HostSpec], hosts: Mapping[str, tuple[Section, Host]]) -> None:
        """Two hosts of one identity are an error; of two of one hostname only the first is called by it."""
        identities: dict[str, str] = {}
        names: dict[str, str] = {}
        for identity in specs:
            if (first := identities.setdefault(identity.lower(), identity)) != identity:
                message = f"duplicate host: {identity} is {_called(specs[first])}"
                self.problems.append(hosts[identity][0].problem(message))
        for identity, spec in specs.items():
            name = spec.hostname.lower()
            first = identities[name] if name in identities else names.setdefault(name, identity)
            if first != identity:
                message = (
                    f"{spec.hostname} is also the name of {_called(specs[first])}; by this name that one is meant,"
                    f" and in paths this one is called {identity}"
                )
                self.odd.append(hosts[identity][0].problem(message, "hostname"))

    def _own_keys(self) -> Iterator[Key]:
        """Yield the collectors of the own host: its local ones unless disabled, others that are enabled."""
        sections = dict.fromkeys(key for layer in self.layers for key in layer.names)
        for name, cls in self.registry.collectors.items():
            for key in dict.fromkeys([(name, ""), *(key for key in sections if key[0] == name)]):
                enabled = self._values(key, "").get("enabled")
                if cls.local and not key[1]:
                    on = not cls.needs_enabling if enabled is None else enabled.value
                else:
                    on = key in sections and enabled is not None and enabled.value
                if on:
                    yield key

    def _on(self, spec: HostSpec, key: Key) -> bool:
        """Tell whether neither the role nor the host says `enabled = False`."""
        cls = self.registry.collectors[key[0]]
        on = True
        for layer in self.layers:
            for level in (layer.roles.get(spec.role, {}), layer.hosts.get(spec.host, {})):
                for section in level.get(key, ()):
                    enabled = self.typed(section, cls).get("enabled")
                    on = enabled.value if enabled is not None else on
        return on

    def _values(self, key: Key, role: str, host: str = "") -> Mapping[str, Value]:
        """Lay the levels over each other: all of the files first, then all of the environment."""
        cls = self.registry.collectors[key[0]]
        values: dict[str, Value] = {}
        for layer in self.layers:
            values.update(layer.default(cls))
            levels = (layer.names, layer.roles.get(role, {}), layer.hosts.get(host, {}))
            for section in (section for level in levels for section in level.get(key, ())):
                values.update(self.typed(section, cls))
        return values

    def _job(self, spec: HostSpec, key: Key, sections: Mapping[str, Section]) -> JobSpec | None:
        cls = self.registry.collectors[key[0]]
        if cls.local and not spec.local:
            message = (
                f"role {spec.role!r} has {cls.__name__}, which reads only the machine that this program runs on;"
                " watch this host by SNMP or an agent instead"
            )
            self.problems.append(sections.get(spec.host, Section((), Place(""))).problem(message, "role"))
            return None
        name = next((name for name in sections if name.lower() == spec.host.lower()), "") if spec.local else spec.host
        overridden = any(key in layer.hosts.get(name, {}) for layer in self.layers)
        shared = self._shared.get((spec.role, key))
        if shared is None or overridden:
            values = self._values(key, spec.role, name)
            made = {name: value.value for name, value in values.items() if name != "path"}
            path = values["path"].value if "path" in values else None
            shared = Shared(
                made, {name: v.place for name, v in values.items()}, path, self._fits(cls, key, values, spec)
            )
            if not overridden:
                self._shared[spec.role, key] = shared
        if not shared.fits:
            return None
        target = Target(spec.host, spec.address, spec.hostname, spec.local)
        return JobSpec(target, cls, key[1], shared.options, shared.places, shared.path)

    def _fits(self, cls: type[Collector], key: Key, values: Mapping[str, Value], spec: HostSpec) -> bool:
        where = f"{' '.join(key).strip()} of {spec.host}"
        needed = missing(self.fields(cls), values)
        if needed:
            written = [section.place for layer in self.layers for section in layer.names.get(key, ())]
            place = self._listed.get((spec.role, key)) or (written[-1] if written else Place(""))
            self.problems.append(Problem(*place, "", where, f"needs a value for {', '.join(needed)}"))
        interval = values["interval"].value if "interval" in values else self.fields(cls)["interval"].option.default
        timeout = values.get("timeout")
        if timeout is not None and timeout.value is not None and timeout.value >= interval:
            message = f"expected less than the interval, which is {interval:g} s, got {timeout.value:g} s"
            self.problems.append(Problem(timeout.place.file, timeout.place.line, where, "timeout", message))
            return False
        wrong = list(published.wrong({name: value.value for name, value in values.items()}))
        for name, message in wrong:
            self.problems.append(Problem(values[name].place.file, values[name].place.line, where, name, message))
        return not (needed or wrong)


def _called(spec: HostSpec) -> str:
    return "this machine, watched anyway" if spec.local else f"[hosts] [[{spec.host}]]"


def key_of(registry: Registry, name: str) -> Key | None:
    """Return the class name and the second word of a collector's section name; None when there is no such class."""
    word, _, second = name.strip().partition(" ")
    cls = registry.collector(word) if word else None
    return (cls.__name__, second.strip()) if cls else None


def by_key(registry: Registry, section: Section | None) -> dict[Key, list[Section]]:
    """Return a section's sub-sections by the collector that they are for."""
    found: dict[Key, list[Section]] = {}
    for name, child in section.sections.items() if section else ():
        if (key := key_of(registry, name)) is not None:
            found.setdefault(key, []).append(child)
    return found
