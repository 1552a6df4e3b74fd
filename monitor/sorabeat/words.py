"""Options of a section, and what modules and outputs of Sorabeat's have in common: addresses, users, TLS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from monitor.ini import quote
from monitor.settings import is_address
from monitor.sorabeat.settings import Settings

SECRETS = "/etc/monitor/secrets"


@dataclass
class Words:
    """Options of a section, and the comments about what has to be added by hand."""

    options: dict[str, str] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)
    """Files of secrets, by option."""

    def lines(self) -> Iterator[str]:
        yield from (f"{name} = {text}" for name, text in self.options.items())
        yield from (f"#{name} = {path}" for name, path in self.hints.items())


def user(settings: Settings, words: Words, whose: str, prefix: str = "") -> None:
    if name := settings.text(f"{prefix}username"):
        words.options["username"] = quote(name)
    if settings.node(f"{prefix}password") is not None:
        words.hints["password_file"] = f"{SECRETS}/{whose}-password"
        settings.notes.warn(settings.at(f"{prefix}password"), f"{prefix}password", hint("password", whose))


def user_of(url: SplitResult, words: Words, whose: str) -> None:
    if url.username:
        words.options.setdefault("username", quote(unquote(url.username)))
        words.hints.setdefault("password_file", f"{SECRETS}/{whose}-password")


def hint(what: str, whose: str) -> str:
    return f"not printed: put it into {SECRETS}/{whose}-{what}, and take the # from {what}_file"


def tls(settings: Settings, words: Words, prefix: str = "") -> None:
    if not settings.on(f"{prefix}ssl.enabled"):
        settings.below(f"{prefix}ssl")
        return
    mode = settings.text(f"{prefix}ssl.verification_mode", "full")
    if mode == "none":
        words.options["tls_verify"] = "False"
    elif mode != "full":
        settings.notes.problem(settings.at(f"{prefix}ssl.verification_mode"), f"{prefix}ssl.verification_mode",
                               f"expected full or none, got {mode[:40]!r}")  # fmt: skip
    authorities = settings.texts(f"{prefix}ssl.certificate_authorities")
    if len(authorities) > 1:
        name = f"{prefix}ssl.certificate_authorities"
        settings.notes.warn(settings.at(name), name, "only the first is taken over; put all of them into one file")
    for option, key, text in (
        ("tls_ca", "certificate_authorities", authorities[0] if authorities else ""),
        ("tls_cert", "certificate", settings.text(f"{prefix}ssl.certificate")),
        ("tls_key", "key", settings.text(f"{prefix}ssl.key")),
    ):
        if text and (path := settings.path(f"{prefix}ssl.{key}", text)):
            words.options[option] = quote(path)


def url_of(
    settings: Settings, name: str, text: str, port: int, scheme: str = "http", path: str = ""
) -> SplitResult | None:
    """Return an address with all its parts; what is none is a problem."""
    whole = text if "://" in text else f"{scheme}://{text}"
    try:
        url = urlsplit(whole)
        good = url.scheme in ("http", "https") and bool(url.hostname) and is_address(url.hostname or "")
        number = url.port or port
    except ValueError:
        good = False
    if not good:
        shown = re.sub(r"//[^/]*@", "//", whole)[:80]
        settings.notes.problem(settings.at(name), name, f"expected HOST, HOST:PORT or a URL, got {shown!r}")
        return None
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
    user = url.netloc.rpartition("@")[0]
    netloc = f"{user}@{host}:{number}" if user else f"{host}:{number}"
    return url._replace(netloc=netloc, path=url.path or (f"/{path.strip('/')}" if path.strip("/") else "/"))


def bare(url: SplitResult) -> SplitResult:
    return url._replace(netloc=url.netloc.rpartition("@")[2])
