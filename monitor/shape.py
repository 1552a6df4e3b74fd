"""What a configuration may hold: sections, keys and their types; what is unknown gets a suggestion."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from monitor import diamond, logfiles
from monitor.graphite import Graphite
from monitor.influx import Influx
from monitor.ini import Entry, Place, Problem, Section
from monitor.options import MISSING, Field, Option, options_of
from monitor.registry import Registry
from monitor.rels import Rels, RelsUser
from monitor.settings import (
    TIER,
    TIER_FIELD,
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
    User,
)
from monitor.values import TRUE, parse

SECRET_BYTES = 65536
LOGGER = ("handlers", "propagate", "qualname")


class Value(NamedTuple):
    """A typed value and where it was written."""

    value: Any
    place: Place


def nothing(name: str) -> Shape | None:
    """Find no sub-section of any name."""
    return None


@dataclass
class Shape:
    """A section's keys, and its sub-sections: those of fixed names, and what `find` makes of other names."""

    fields: Mapping[str, Field] = field(default_factory=dict)
    sections: Mapping[str, Shape] = field(default_factory=dict)
    find: Callable[[str], Shape | None] = nothing
    names: str = ""
    """What the names are that `find` takes, in words; '' when it takes none."""
    creates: bool = False
    """A variable of the environment may name a sub-section that is in no file."""
    pattern: re.Pattern[str] | None = None
    """Keys of this pattern are retention tiers."""
    unserved: Collection[str] = ()
    """Keys of Diamond that have no effect here."""
    ignored: bool = False
    """Nothing in this section has an effect here."""
    absent: bool = False
    """It is of a collector of Diamond that is not here; where that is not enabled there is nothing to say."""

    def field(self, key: str) -> Field | None:
        return TIER_FIELD if self.pattern and self.pattern.fullmatch(key) else self.fields.get(key)

    def section(self, name: str) -> Shape | None:
        return self.sections.get(name) or self.find(name)


def fields_of(*classes: type) -> dict[str, Field]:
    """Return the options of classes, and beside each secret one the name of the file that may hold it."""
    fields: dict[str, Field] = {}
    for cls in classes:
        for name, each in options_of(cls).items():
            fields.setdefault(name, each)
            if each.option.secret:
                fields[f"{name}_file"] = Field(f"{name}_file", Path | None, Option(None, f"file that holds the {name}"))
    return fields


def whole(registry: Registry) -> Shape:
    """Return the shape of a whole configuration."""
    collectors = {name: Shape(fields_of(cls, Common), unserved=diamond.COLLECTOR)
                  for name, cls in registry.collectors.items()}  # fmt: skip
    handlers = {name: Shape(fields_of(cls), unserved=diamond.HANDLER) for name, cls in registry.handlers.items()}
    ignored = Shape(ignored=True, find=lambda name: Shape(ignored=True))

    absent = Shape(ignored=True, absent=True)

    def collector(name: str) -> Shape | None:
        word = name.split()[0] if name.strip() else ""
        if (cls := registry.collector(word)) is not None:
            return collectors[cls.__name__]
        return absent if word.lower() in diamond.COLLECTOR_CLASSES or word.lower() in registry.foreign else None

    def handler(name: str) -> Shape | None:
        cls = registry.handler(name)
        known = name.lower() in diamond.HANDLER_CLASSES or name.lower() in registry.foreign
        return handlers[cls.__name__] if cls else ignored if known else None

    def logging(name: str) -> Shape | None:
        if name.startswith("handler_"):
            return Shape(logfiles.FILE_FIELDS, unserved=("formatter",))
        if name.startswith("logger_"):
            return Shape(logfiles.LOGGER_FIELDS, unserved=LOGGER)
        return ignored if name in diamond.LOGGING or name.startswith(diamond.LOGGING_PREFIXES) else None

    any_collector = Shape(fields_of(*registry.collectors.values(), Own), unserved=diamond.COLLECTOR)
    any_handler = Shape(fields_of(*registry.handlers.values()), unserved=diamond.HANDLER)
    role = Shape(fields_of(Role), collectors, collector, "a collector's class")
    host = Shape(fields_of(Host), collectors, collector, "a collector's class")
    rels_user = Shape(fields_of(RelsUser))
    user, tiers = Shape(fields_of(User)), Shape(fields_of(RetentionSettings), pattern=TIER)
    return Shape(
        sections={
            "server": Shape(fields_of(Server), unserved=diamond.SERVER),
            "handlers": Shape(
                {}, {"default": any_handler, **handlers}, handler, "a handler's class", unserved=diamond.HANDLERS
            ),
            "collectors": Shape({}, {"default": any_collector, **collectors}, collector, "a collector's class"),
            "roles": Shape(find=lambda name: role, names="a role"),
            "hosts": Shape(fields_of(Hosts), find=lambda name: host, names="a host's address"),
            "receivers": Shape(sections={"push": Shape(fields_of(Push)), "kurado": Shape(fields_of(Kurado)),
                "graphite": Shape(fields_of(Graphite)), "influx": Shape(fields_of(Influx)),
                "rels": Shape(
                    fields_of(Rels), {"users": Shape(find=lambda name: rels_user, names="a user", creates=True)}
                ),
            }),
            "retention": Shape(
                fields_of(RetentionSettings), find=lambda name: tiers, names="a pattern of hosts or collectors",
                pattern=TIER,
            ),
            "auth": Shape(
                fields_of(Auth), {"users": Shape(find=lambda name: user, names="a user", creates=True)}
            ),
            "logger_root": Shape(fields_of(Logging), unserved=LOGGER),
            "configs": Shape(fields_of(Configs)),
        },
        find=logging,
    )  # fmt: skip


def suggestion(word: str, known: Collection[str]) -> str:
    """Return `; did you mean WORD?` where a known word is near, otherwise the full stop of the sentence."""
    lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), lower, 1, 0.6)
    return f"; did you mean {lower[near[0]]}?" if near else "."


def check(
    section: Section, shape: Shape, unserved: list[tuple[str, Place]], above: tuple[tuple[Section, Shape], ...] = ()
) -> Iterator[Problem]:
    """Yield what is unknown in a section and below it; keys without effect are added to `unserved`."""
    if shape.ignored:
        enabled = section.entries.get("enabled")
        if shape.absent and (enabled is None or enabled.text.split("#")[0].strip(" \t'\"").lower() not in TRUE):
            return
        unserved.append((section.title, section.place))
        return
    for key, entry in section.entries.items():
        if diamond.scheduling(key, entry.text):
            unserved.append((key, entry.place))
        elif shape.field(key) is None:
            message = _unknown_key(key, shape, above)
            if key in shape.unserved and not message.startswith("a key of"):
                unserved.append((key, section.entries[key].place))
            else:
                yield section.problem(message, key)
    # What is not in use (a handler that is not listed) is checked too.
    wrong: list[Problem] = []
    typed(section, shape.fields, wrong)
    yield from wrong
    for name, child in section.sections.items():
        inner = shape.section(name)
        if inner is not None:
            yield from check(child, inner, unserved, (*above, (section, shape)))
        else:
            yield child.problem(_unknown_section(name, shape))


def _unknown_key(key: str, shape: Shape, above: tuple[tuple[Section, Shape], ...]) -> str:
    for number, (section, outer) in reversed(list(enumerate(above))):
        if outer.field(key) is not None:
            first = next(iter(section.sections.values()))
            return f"a key of {section.title}: write it above {'[' * (number + 1)}{first.name}{']' * (number + 1)}"
    if not above:
        return "a key needs a [section] above it"
    for name, inner in shape.sections.items():
        if inner.field(key) is not None:
            depth = len(above) + 1
            return f"unknown key; write it in a section below, such as {'[' * depth}{name}{']' * depth}"
    allowed = ", ".join(shape.fields) or f"only sections, each called by {shape.names}"
    allowed += ", and tiers such as 5m = 90d, AVERAGE, MAX" if shape.pattern else ""
    return f"unknown key{suggestion(key, shape.fields)} Allowed: {allowed}"


def _unknown_section(name: str, shape: Shape) -> str:
    if not (shape.sections or shape.names):
        return "only keys are allowed here, no sections"
    known = [known for known in shape.sections if known != "default"]
    what = f"{shape.names}: " if shape.names else ""
    word = name.split()[0] if shape.names and name.split() else name
    return f"unknown section{suggestion(word, known)} Allowed: {what}{', '.join(shape.sections)}"


def typed(section: Section, fields: Mapping[str, Field], problems: list[Problem]) -> dict[str, Value]:
    """Return the section's values of these fields; a secret that is kept in a file is read."""
    found: dict[str, Value] = {}
    for key, entry in section.entries.items():
        if (each := fields.get(key)) is None or diamond.scheduling(key, entry.text):
            continue
        try:
            value = parse(each, entry.text, literal=entry.literal)
            secret = fields.get(key.removesuffix("_file"))
            if secret is not None and secret is not each and secret.option.secret and value is not None:
                if secret.name in section.entries:
                    raise ValueError(f"give {secret.name} or {key}, not both")
                held = read_secret(value)
                # Of a list, each stands on a line of its own.
                lines = [line.strip() for line in held.splitlines() if line.strip()]
                found[secret.name] = Value(lines if secret.type == list[str] else held, entry.place)
            else:
                found[key] = Value(value, entry.place)
        except ValueError as error:
            problems.append(section.problem(str(error), key))
    return found


def read_secret(path: Path) -> str:
    """Return what a file holds, without the line end; ValueError when it cannot be read or holds nothing."""
    try:
        with path.open("rb") as file:
            text = file.read(SECRET_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not text.strip() or len(text) > SECRET_BYTES:
        raise ValueError(f"{path} holds {'nothing' if not text.strip() else 'too much'}")
    return text.rstrip("\r\n")


def missing(fields: Mapping[str, Field], given: Collection[str]) -> list[str]:
    """Return the names of the options that must be given and are not."""
    return [name for name, each in fields.items() if each.option.default is MISSING and name not in given]


def literal(text: str, place: Place) -> Entry:
    return Entry(text, place, literal=True)
