"""Says Sorabeat's configuration in the words of our own: what it asks is SoraCollector, where it sends is a handler.

Passwords are not printed: a comment says where to put them. What has no counterpart here is a warning with its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import SplitResult

from monitor.ini import Place, quote
from monitor.sorabeat.outputs import elasticsearch, logstash
from monitor.sorabeat.settings import Beat, Settings
from monitor.sorabeat.words import SECRETS, Words, bare, hint, tls, url_of, user, user_of

COLLECTOR = "SoraCollector"
METRICSETS = ("stats", "connections")
DEFAULTS = {
    "timeout": "none", "username": '""', "password": '""', "token": '""', "headers": "", "tls_verify": "True",
    "tls_ca": "none", "tls_cert": "none", "tls_key": "none",
}  # fmt: skip
OWN = ("localhost", "127.0.0.1", "::1")
LEVELS = {"critical": "CRITICAL", "error": "ERROR", "warning": "WARNING", "info": "INFO", "debug": "DEBUG"}
ELSEWHERE = {
    "setup.template": "use monitor setup elasticsearch", "setup.kibana": "use monitor setup kibana",
    "setup.dashboards": "use monitor setup kibana", "sorabeat.config": "a reload is asked for by SIGHUP",
    "sorabeat.max_start_delay": "collections are spread over the interval by themselves",
    "queue": "the journal on the disk is the queue", "max_procs": "", "path": "see [server] data_dir", "tags": "",
    "fields": "", "processors": "see include and exclude of SoraCollector", "logging": "the log goes to stdout",
}  # fmt: skip


class Asked(NamedTuple):
    """One Sora: how it is reached, and what is asked."""

    url: SplitResult
    words: Words
    place: Place


def lines(found: Beat) -> list[str]:
    """Return the lines of the INI file; what is wrong, or not taken over, is added to what was found."""
    settings = found.settings
    handlers = [one for one in (elasticsearch(settings), logstash(settings)) if one is not None]
    asked = _merged(found, [one for module in found.modules for one in _module(module)])
    server = {"handlers": ", ".join(name for name, _ in handlers)} if handlers else {}
    if name := settings.text("name"):
        server["hostname"] = quote(name)
    made = ["# made of Sorabeat's configuration by monitor import sorabeat"]
    made += _section("[server]", Words(server))
    if level := settings.text("logging.level"):
        made += _section("[logger_root]", Words({"level": LEVELS.get(level.lower(), "INFO")}))
    if handlers:
        made += ["", "[handlers]"]
        for name, words in handlers:
            made += _section(f"[[{name}]]", words)
    made += _collectors(asked)
    if not asked:
        found.notes.warn(settings.place, "", "no module sora that is enabled; nothing would be collected")
    _tell_rest(found)
    return made


def _section(title: str, words: Words) -> list[str]:
    body = list(words.lines())
    return ["", title, *body] if body else []


def _collectors(asked: Sequence[Asked]) -> list[str]:
    """Return what is collected: of this machine in [collectors], of others by roles of the hosts."""
    made: list[str] = []
    rest = list(asked)
    own = next((one for one in rest if one.url.hostname in OWN), None)
    if own is not None:
        rest.remove(own)
        words = Words({"enabled": "True", "url": quote(own.url.geturl()), **own.words.options}, own.words.hints)
        made += ["", "[collectors]", *_section(f"[[{COLLECTOR}]]", words)]
    roles: dict[str, tuple[str, Words]] = {}
    hosts: dict[str, list[str]] = {}
    for one in rest:
        if own is not None:
            # What stands in [collectors] holds for all hosts that do not say otherwise.
            one.words.options.update(_unset(own.words, one.words))
        key = "\n".join(one.words.lines())
        name = roles.setdefault(key, ("sora" if not roles else f"sora-{len(roles) + 1}", one.words))[0]
        address = one.url.hostname or ""
        identity = address if address not in hosts and address not in OWN else f"{address}-{one.url.port}"
        number = 2
        while identity in hosts:
            identity, number = f"{address}-{one.url.port}-{number}", number + 1
        hosts[identity] = [
            *([f"address = {quote(address)}"] if identity != address else []),
            f"role = {name}", f"[[[{COLLECTOR}]]]", f"url = {quote(one.url.geturl())}",
        ]  # fmt: skip
    if roles:
        made += ["", "[roles]"]
        for name, words in roles.values():
            made += ["", f"[[{name}]]", f"collectors = {COLLECTOR}", f"[[[{COLLECTOR}]]]", *words.lines()]
        made += ["", "[hosts]"]
        for identity, body in hosts.items():
            made += ["", f"[[{identity}]]", *body]
    return made


def _unset(general: Words, own: Words) -> dict[str, str]:
    """Return the defaults of what is set in general and not here."""
    secrets = {name.removesuffix("_file") for name in general.hints.keys() - own.hints.keys()}
    return {name: DEFAULTS[name] for name in [*general.options, *sorted(secrets)] if name not in own.options}


def _module(module: Settings) -> Iterator[Asked]:
    """Yield each Sora that a module asks."""
    name, enabled = module.text("module"), module.on("enabled")
    if name != "sora":
        message = f"module {name[:40] or 'without a name'} is not taken over: only sora is Sorabeat's own"
        module.notes.warn(module.place, "module", message)
        module.used.update(module.nodes)
        return
    if not enabled:
        module.used.update(module.nodes)
        return
    words = Words()
    metricsets = module.texts("metricsets")
    if wrong := [one for one in metricsets if one not in METRICSETS]:
        module.notes.problem(
            module.at("metricsets"), "metricsets", f"expected {' or '.join(METRICSETS)}, got {wrong[0][:40]!r}"
        )
    words.options["metricsets"] = ", ".join(one for one in METRICSETS if one in metricsets or not metricsets)
    period = module.seconds("period", 10.0)
    if not 1 <= period <= 86400:
        kept = min(max(period, 1.0), 86400.0)
        module.notes.warn(module.at("period"), "period", f"expected 1 s to 1 day, got {period:g} s; it is {kept:g} s")
        period = kept
    words.options["interval"] = f"{period:g}"
    timeout = module.seconds("timeout", 0.0)
    if timeout and timeout < period:
        words.options["timeout"] = f"{timeout:g}"
    elif timeout:
        module.notes.warn(module.at("timeout"), "timeout", "not taken over: it has to be below the period")
    _headers(module, words)
    user(module, words, "sora")
    tls(module, words)
    for text in module.texts("hosts"):
        if (url := url_of(module, "hosts", text, 3000)) is not None:
            own = Words(dict(words.options), dict(words.hints))
            user_of(url, own, "sora")
            yield Asked(bare(url), own, module.place)
    if not module.has("hosts"):
        module.notes.problem(module.place, "hosts", "a module needs hosts")


def _merged(found: Beat, asked: Sequence[Asked]) -> list[Asked]:
    """Return one of each Sora: what several modules ask of it is asked together, at the shorter interval."""
    known: dict[str, Asked] = {}
    for one in asked:
        url = one.url.geturl()
        first = known.setdefault(url, one)
        if first is one:
            continue
        mine, others = first.words.options, one.words.options
        both = {word for options in (mine, others) for word in options["metricsets"].split(", ")}
        mine["metricsets"] = ", ".join(word for word in METRICSETS if word in both)
        if float(mine["interval"]) != float(others["interval"]):
            shorter = min(mine["interval"], others["interval"], key=float)
            text = f"{url} is asked for all its metricsets every {shorter} s, which here are one collection"
            found.notes.warn(one.place, "period", text)
            mine["interval"] = shorter
        for key in sorted((mine.keys() | others.keys()) - {"metricsets", "interval"}):
            if mine.get(key) != others.get(key):
                found.notes.warn(one.place, key, f"{url} stands in two modules; this one's {key} is not taken over")
    return list(known.values())


def _headers(module: Settings, words: Words) -> None:
    headers = []
    for name, node in module.below("headers").items():
        value = node.value if isinstance(node.value, str) else ""
        if name.lower() == "authorization" and value.lower().startswith("bearer "):
            words.hints["token_file"] = f"{SECRETS}/sora-token"
            module.notes.warn(node.place, f"headers.{name}", hint("token", "sora"))
        elif name.lower() == "authorization" or not value or not (name + value).isprintable() or "${" in value:
            module.notes.warn(node.place, f"headers.{name}", "not taken over; see headers, username and token")
        else:
            headers.append(f"{name}: {value}")
    if headers:
        words.options["headers"] = ", ".join(quote(header, item=True) for header in headers)


def _tell_rest(found: Beat) -> None:
    for part in (found.settings, *found.modules):
        rest = {name: node for name, node in part.rest() if node.value not in (None, {}, [])}
        for group, name in _groups(rest).items():
            known = next((key for key in ELSEWHERE if f"{name}.".startswith(f"{key}.")), "")
            why = ELSEWHERE.get(known, "")
            found.notes.warn(rest[name].place, known or group, f"not taken over{f': {why}' if why else ''}")


def _groups(names: Iterable[str], depth: int = 2) -> dict[str, str]:
    """Return names by the words that they begin with, each with the first of them."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(".".join(name.split(".")[:depth]), name)
    return found
