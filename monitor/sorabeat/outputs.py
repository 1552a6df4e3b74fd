"""Where Sorabeat sends: Elasticsearch and Logstash, as sections of their handlers."""

from __future__ import annotations

import re
from base64 import b64decode

from monitor.ini import quote
from monitor.sorabeat.settings import Settings
from monitor.sorabeat.words import SECRETS, Words, bare, hint, tls, url_of, user, user_of

ELASTICSEARCH, LOGSTASH = "ElasticsearchHandler", "LogstashHandler"
VERSION = "6.0.0"
"""Of the Beats library that Sorabeat is made of, which is what its default index is called by."""
DATE = re.compile(r"%\{\+([^}]+)\}")
EVENT = re.compile(r"%\{(?!\+)([^}]+)\}")
DAYS = {
    "yyyy": "%Y",
    "YYYY": "%Y",
    "xxxx": "%G",
    "yy": "%y",
    "MM": "%m",
    "dd": "%d",
    "DDD": "%j",
    "ww": "%V",
    "HH": "%H",
}
EVENTS = {"beat.version": VERSION, "metricset.module": "{module}", "metricset.name": "{metricset}"}
NEEDLESS = {
    "worker": "one request is under way at a time", "loadbalance": "the first host that answers is used",
    "max_retries": "what is not taken is sent again for as long as the journal reaches back",
    "pipelining": "one window is under way at a time", "slow_start": "requests have a size of their own", "ttl": "",
    "ssl.supported_protocols": "TLS 1.2 and later", "ssl.cipher_suites": "", "ssl.curve_types": "",
    "ssl.key_passphrase": "store the key without one", "parameters": "", "headers": "", "proxy_url": "set HTTPS_PROXY",
    "indices": "one index pattern, with {module} and {metricset}", "pipelines": "one pipeline",
}  # fmt: skip


def elasticsearch(settings: Settings) -> tuple[str, Words] | None:
    top = "output.elasticsearch"
    cloud, auth = settings.text("cloud.id"), settings.text("cloud.auth")
    if not (settings.has(top) or cloud) or not settings.on(f"{top}.enabled"):
        settings.below(top)
        return None
    words = Words()
    scheme, path = settings.text(f"{top}.protocol", "http"), settings.text(f"{top}.path")
    urls = [_cloud(settings, cloud)] if cloud else []
    for text in settings.texts(f"{top}.hosts") if not cloud else ():
        if (url := url_of(settings, f"{top}.hosts", text, 9200, scheme, path)) is not None:
            user_of(url, words, "elasticsearch")
            urls.append(bare(url).geturl())
    if urls := list(filter(None, urls)):
        words.options["urls"] = ", ".join(quote(url, item=True) for url in urls)
    words.options["index"] = quote(_index(settings, f"{top}.index", f"sorabeat-{VERSION}-%Y.%m.%d"))
    if pipeline := settings.text(f"{top}.pipeline"):
        words.options["pipeline"] = quote(pipeline)
    if auth:
        name, _, _ = auth.partition(":")
        words.options["username"] = quote(name)
        words.hints["password_file"] = f"{SECRETS}/elasticsearch-password"
        settings.notes.warn(settings.at("cloud.auth"), "cloud.auth", hint("password", "elasticsearch"))
    else:
        user(settings, words, "elasticsearch", f"{top}.")
    if (size := settings.number(f"{top}.bulk_max_size", 0)) > 0:
        words.options["documents"] = str(min(size, 100_000))
    _timeout(settings, f"{top}.timeout", words)
    if settings.has(f"{top}.compression_level"):
        words.options["gzip"] = str(settings.number(f"{top}.compression_level", 0) > 0)
    tls(settings, words, f"{top}.")
    _needless(settings, top)
    return ELASTICSEARCH, words


def logstash(settings: Settings) -> tuple[str, Words] | None:
    top = "output.logstash"
    if not settings.has(top) or not settings.on(f"{top}.enabled"):
        settings.below(top)
        return None
    words = Words({"protocol": "beats"})
    if hosts := settings.texts(f"{top}.hosts"):
        words.options["hosts"] = ", ".join(quote(host, item=True) for host in hosts)
    if beat := settings.text(f"{top}.index"):
        words.options["beat"] = quote(beat)
    if (size := settings.number(f"{top}.bulk_max_size", 0)) > 0:
        words.options["documents"] = str(min(size, 100_000))
    if settings.has(f"{top}.compression_level"):
        words.options["compression_level"] = str(min(settings.number(f"{top}.compression_level", 3), 9))
    _timeout(settings, f"{top}.timeout", words)
    if settings.has(f"{top}.ssl") and settings.on(f"{top}.ssl.enabled"):
        words.options["tls"] = "True"
    tls(settings, words, f"{top}.")
    _needless(settings, top)
    return LOGSTASH, words


def _index(settings: Settings, name: str, default: str) -> str:
    text = settings.text(name, default)
    found = DATE.sub(lambda match: "%%".join(_day(part) for part in match[1].split("%")), text)
    found = EVENT.sub(lambda match: EVENTS.get(match[1].strip("[]").replace("][", "."), match[0]), found)
    if "%{" in found or re.search(r"%[^A-Za-z%]", found):
        settings.notes.warn(settings.at(name), name, f"not taken over: {text[:80]!r} says what has no word here")
        return default
    return found


def _day(text: str) -> str:
    """Return a date of Joda's words in strftime's."""
    return re.sub("|".join(DAYS), lambda match: DAYS[match[0]], text)


def _cloud(settings: Settings, text: str) -> str:
    """Return the address that a cloud.id stands for: NAME:BASE64(DOMAIN$ELASTICSEARCH$KIBANA)."""
    try:
        domain, cluster, *_ = b64decode(text.rpartition(":")[2], validate=True).decode().split("$")
    except ValueError:
        settings.notes.problem(settings.at("cloud.id"), "cloud.id", f"expected NAME:BASE64, got {text[:40]!r}")
        return ""
    host, _, port = domain.partition(":")
    return f"https://{cluster}.{host}:{port or 443}"


def _timeout(settings: Settings, name: str, words: Words) -> None:
    if seconds := settings.seconds(name, 0.0):
        words.options["timeout"] = f"{min(max(seconds, 0.1), 600.0):g}"


def _needless(settings: Settings, top: str) -> None:
    for key, why in NEEDLESS.items():
        if settings.has(f"{top}.{key}"):
            place = settings.at(next(name for name in settings.nodes if f"{name}.".startswith(f"{top}.{key}.")))
            settings.notes.warn(place, f"{top}.{key}", f"without effect here{f': {why}' if why else ''}")
            settings.used.update(name for name in settings.nodes if f"{name}.".startswith(f"{top}.{key}."))
