"""The sections of the configuration that are not of a collector or a handler: one class each, its fields the keys."""

from __future__ import annotations

import ipaddress
import json
import math
import os
import re
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from monitor.batch import Limits
from monitor.options import MISSING, Bytes, Field, Option, Seconds, option, set_options

LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
HOSTNAME = re.compile(rf"(?=.{{1,253}}$){LABEL}(?:\.{LABEL})*\.?")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
DATA_DIR = Path("/var/lib/monitor")

HostnameMethod = Literal[
    "smart", "fqdn_short", "fqdn", "fqdn_rev", "uname_short", "uname_rev", "hostname", "hostname_short", "hostname_rev",
    "shell", "none",
]  # fmt: skip


class Address(NamedTuple):
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ADDRESS:PORT; an IPv6 address stands in brackets."""
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if not colon or not re.fullmatch(r"\d{1,5}", port, re.ASCII) or int(port) > 65535:
            raise ValueError(f"expected ADDRESS:PORT such as 127.0.0.1:5434 or [::1]:5434, got {text[:80]!r}")
        if bracketed or ":" in host:
            host = str(ipaddress.IPv6Address(host[1:-1])) if bracketed else ""
        if not is_address(host):
            raise ValueError(f"expected an IP address, [IPv6 address] or host name before the port, got {text[:80]!r}")
        return cls(host, int(port))

    @property
    def loopback(self) -> bool:
        if self.host.lower().rstrip(".") == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address or could be a host's name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(HOSTNAME.fullmatch(text)) and not re.fullmatch(r"[\d.]+", text)
    return True


def canonical(address: str) -> str:
    """Return an address as it is compared: an IP address in its one short form, a name in lower case."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.lower().rstrip(".")


class Settings:
    """A section's values, set as attributes, and where each came from."""

    def __init__(self, values: Mapping[str, Any], origins: Mapping[str, str] | None = None) -> None:
        set_options(self, values)
        self.origins = dict(origins or {})

    def check(self) -> Iterator[tuple[str, str]]:
        """Yield (key, what is wrong with it), as far as the type of the field alone does not say it."""
        yield from ()


class Server(Settings):
    listen: str = option("127.0.0.1:5434", "address and port of the pages and the API")
    data_dir: Path | None = option(
        None, f"where everything is kept; {DATA_DIR} as root or where writable, else ~/.local/state/monitor"
    )
    database: str = option("embedded", "embedded, or postgresql://user:password@host/db")
    handlers: list[str] = option([], "handlers to deliver to; of a dotted Diamond path the last word counts")
    collectors_path: list[str] = option([], "more directories of collector files, beside the built-in ones")
    collectors_config_path: Path | None = option(None, "directory of flat NAME.conf files, one per collector")
    graphs_path: list[str] = option([], "directories of graph files: COLLECTOR/NAME.graph, in RRDtool's graph language")
    handlers_path: list[str] = option([], "more directories of handler files, beside the built-in ones")
    handlers_config_path: Path | None = option(None, "directory of flat NAME.conf files, one per handler")
    hostname: str = option("", "name of this host; with hostname_method = shell the command that prints it")
    hostname_method: HostnameMethod = option("smart", "how this host finds its name, as in Diamond")
    timezone: str = option("", "time zone of the graphs, such as Europe/Berlin; empty is this machine's")
    postgres_bin: Path | None = option(None, "directory of the embedded PostgreSQL's programs; empty is the wheel's")
    postgres_user: str = option("", "user that the embedded PostgreSQL runs as when started as root")
    start_wait: Seconds = option(Seconds(30), "wait this long for the database at the start", min=1, max=3600)
    journal_max_bytes: Bytes = option(Bytes(8 << 30), "size at which a lagging handler is moved on", min=64 << 20)
    journal_max_age: Seconds = option(Seconds(86400), "age at which a lagging handler is moved on", min=600)
    journal_max_wait: Seconds = option(Seconds(2), "refuse pushes when a commit takes longer", min=0.1, max=60)
    concurrency: int = option(500, "collections that run at the same time", min=1, max=10_000)
    max_points: int = option(10_000, "points of one series that a query may ask for", min=10, max=1_000_000)
    max_graph_files: int = option(500, "graph files that are read", min=1, max=10_000)
    metrics_collected: bool = option(False, "tell the newest values of all hosts at /metrics/collected, for Prometheus")
    max_series: int = option(1_000, "series that a query may ask for", min=1, max=100_000)

    def check(self) -> Iterator[tuple[str, str]]:
        try:
            Address.parse(self.listen)
        except ValueError as error:
            yield "listen", str(error)
        if self.database != "embedded" and not re.match(r"postgres(ql)?://.", self.database):
            yield "database", "expected embedded or postgresql://user:password@host/db"
        if self.timezone:
            try:
                zoneinfo.ZoneInfo(self.timezone)
            except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
                yield "timezone", f"expected a time zone such as Europe/Berlin, got {self.timezone[:80]!r}"
        if self.hostname_method == "shell" and not self.hostname:
            yield "hostname_method", "shell needs the command in hostname"

    @property
    def address(self) -> Address:
        return Address.parse(self.listen)


def default_data_dir(home: str) -> Path:
    """Return where data are kept when the configuration does not say."""
    above = next(path for path in (DATA_DIR, *DATA_DIR.parents) if path.exists())
    if os.geteuid() == 0 or os.access(above, os.W_OK):
        return DATA_DIR
    return Path(home or "~").expanduser() / ".local/state/monitor"


class Auth(Settings):
    allow_anonymous: Literal["none", "read", "push"] = option("none", "what those may who give no password or token")
    first_admin: bool = option(False, "at the first start make an admin password, print it once and keep it")


class User(Settings):
    name = ""
    password: str = option("", "password in plain text", secret=True)
    password_hash: str = option("", "scrypt$N$R$P$SALT$HASH, the last two in base64", secret=True)
    token: str = option("", "token for the header Authorization: Bearer TOKEN", secret=True)
    role: Literal["read", "push", "admin"] = option("read", "what the user may")

    def check(self) -> Iterator[tuple[str, str]]:
        if not (self.password or self.password_hash or self.token):
            yield "", "a user needs password, password_file, password_hash, token or token_file"
        if self.password and self.password_hash:
            yield "password_hash", "give password or password_hash, not both"
        if self.password_hash and not re.fullmatch(
            r"scrypt\$\d{1,8}\$\d{1,3}\$\d{1,3}\$[\w+/=-]{8,200}\$[\w+/=-]{20,200}", self.password_hash, re.ASCII
        ):
            yield "password_hash", "expected scrypt$N$R$P$SALT$HASH with SALT and HASH in base64"


class RetentionSettings(Settings):
    """[retention], or one of its sub-sections, which is for the sources that its name matches."""

    preset: Literal["default", "ston", "kurado", "none"] = option(
        "default", "tiers to begin with; lines of one's own replace those of the same step or add some"
    )
    collected: Seconds = option(
        Seconds(2 * 86400), "keep what was collected, as it is, for this long", min=3600, max=36500 * 86400
    )
    pack: bool = option(True, "pack the collected rows of days that are over; False keeps all of them readable by SQL")


TIER = re.compile(r"\d+\s*(s|m|min|h|d|w)?", re.IGNORECASE | re.ASCII)
TIER_FIELD = Field("tier", list[str], Option(MISSING, "RETENTION, then some of AVERAGE, MIN, MAX, LAST; or off"))


class Push(Settings):
    interval: Seconds = option(Seconds(60), "interval of batches that do not give their own", min=1, max=86400)
    past: Seconds = option(Seconds(2 * 86400), "refuse batches that are older", min=1)
    ahead: Seconds = option(Seconds(600), "refuse batches that are further in the future", min=0)
    max_body: Bytes = option(Bytes(16 << 20), "refuse larger requests", min=1024)
    new_sources_per_minute: int = option(10_000, "refuse more sources than this that were never seen", min=1)
    names: int = option(4096, "refuse batches of more names", min=1, max=100_000)


class Kurado(Settings):
    """[receivers] [[kurado]]: what Kurado's agents push, to us or into a Redis that we drain."""

    listen: str = option("", "address and port where agents push, such as 0.0.0.0:6379; empty: nowhere")
    allow: list[str] = option(["127.0.0.0/8", "::1/128"], "networks that may connect")
    password: str = option("", "what AUTH must give; Kurado's own agents give none", secret=True)
    redis: str = option("", "redis://[:PASSWORD@]HOST:PORT[/DB] to drain; rediss:// is over TLS", secret=True)
    redis_meta: str = option("", "URL of a Redis that gets meta and warnings under Kurado's own keys", secret=True)
    queue: str = option("kurado-update", "the list that agents push to")
    hosts: Literal["known", "any", "peer"] = option(
        "known", "whose numbers are taken: of configured hosts, of any, or only of the address that connects"
    )
    max_hosts: int = option(10_000, "hosts that are not configured, with hosts = any or peer", min=0, max=1_000_000)
    interval: Seconds = option(Seconds(60), "how often agents push", min=1, max=86400)
    past: Seconds = option(Seconds(86400), "refuse lines that are older", min=1)
    ahead: Seconds = option(Seconds(600), "refuse lines that are further in the future", min=0)
    limits: list[str] = option([], "PATTERN MIN MAX of believable values, U is none: base.traffic-*.derive U 1.25e9")
    max_payload: Bytes = option(Bytes(1 << 20), "refuse larger pushes", min=1024, max=64 << 20)
    max_lines: int = option(10_000, "lines of a push", min=1, max=1_000_000)
    max_line: Bytes = option(Bytes(8192), "refuse longer lines", min=64, max=1 << 20)
    max_names: int = option(1000, "metrics of one plugin in a push", min=1, max=4096)
    connections: int = option(10_000, "connections at the same time", min=1, max=100_000)
    commands: int = option(16, "commands of a connection that wait for their answer", min=1, max=1000)
    max_waiting: Bytes = option(Bytes(64 << 20), "refuse pushes as busy when more than this waits", min=64 << 10)
    idle: Seconds = option(Seconds(900), "end connections that are silent for longer", min=10)
    window: Seconds = option(Seconds(0.25), "pushes that come within this time are one commit", min=0, max=5)

    def check(self) -> Iterator[tuple[str, str]]:
        try:
            if self.listen:
                Address.parse(self.listen)
        except ValueError as error:
            yield "listen", str(error)
        for key, read in (("allow", self._networks), ("limits", self._rules)):
            try:
                read()
            except ValueError as error:
                yield key, str(error)
        for key in ("redis", "redis_meta"):
            if (url := getattr(self, key)) and not re.fullmatch(r"(rediss?|unix)://\S+", url):
                yield key, "expected redis://[:PASSWORD@]HOST:PORT[/DB], rediss:// or unix://"
        if self.hosts == "peer" and self.redis:
            yield "hosts", "peer is of no use with redis =, where it cannot be seen who pushed"

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        return self._networks()

    @cached_property
    def rules(self) -> tuple[tuple[str, Limits], ...]:
        return self._rules()

    def _networks(self) -> tuple[Network, ...]:
        return networks_of(self.allow)

    def _rules(self) -> tuple[tuple[str, Limits], ...]:
        return limits_of(self.limits)


def networks_of(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks that `allow` names; ValueError says what is wrong with one."""
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as error:
        raise ValueError(f"expected networks such as 10.0.0.0/8: {error}") from None


def limits_of(texts: Sequence[str]) -> tuple[tuple[str, Limits], ...]:
    """Return what lines of PATTERN MIN MAX say; ValueError says what is wrong with one."""
    rules = []
    for text in texts:
        words = text.split()
        try:
            pattern, low, high = words
            limits = Limits(-math.inf if low == "U" else float(low), math.inf if high == "U" else float(high))
        except ValueError:
            raise ValueError(f"expected PATTERN MIN MAX with numbers or U, got {text[:80]!r}") from None
        if not limits.min <= limits.max:
            raise ValueError(f"expected MIN below MAX, got {text[:80]!r}")
        rules.append((pattern, limits))
    return tuple(rules)


class Role(Settings):
    collectors: list[str] = option([], "collectors that the hosts of this role get")
    pushed: list[str] = option([], "Kurado's plugins that the agents of these hosts push: base, NAME:ARGUMENT")
    metrics_config: str = option("", "Kurado's metrics_config of this role, as JSON", secret=True)

    def check(self) -> Iterator[tuple[str, str]]:
        if wrong := [name for name in self.pushed if not name.partition(":")[0]]:
            yield "pushed", f"expected PLUGIN or PLUGIN:ARGUMENT, got {wrong[0][:80]!r}"
        try:
            found = json.loads(self.metrics_config or "{}")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            yield "metrics_config", "expected a JSON object"


class Hosts(Settings):
    kurado_config: Path | None = option(None, "Kurado's inventory (YAML), beside the hosts that are written here")


class Host(Settings):
    address: str = option("", "where to reach it; by default the section's name")
    hostname: str = option("", "name on pages and in paths; by default the section's name")
    service: str = option("", "first level of grouping")
    label: str = option("", "second level of grouping")
    role: str = option("", "section of [roles] that says which collectors it gets")
    comment: str = option("", "shown beside the name")


class Logging(Settings):
    level: Literal["DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", "NOTSET"] = option(
        "INFO", "log what is at least this grave"
    )
    handlers: list[str] = option([], "sections [handler_NAME] of files that the log goes to, beside stdout")


class Configs(Settings):
    path: Path | None = option(None, "directory of more files of sections, laid over this one in the order of names")
    extension: str = option(".conf", "how names of files end that are read, here and in the directories of NAME.conf")

    def check(self) -> Iterator[tuple[str, str]]:
        if not re.fullmatch(r"[\w.~-]{1,40}", self.extension):
            yield "extension", f"expected an end of file names such as .conf, got {self.extension[:80]!r}"


class Common(Settings):
    """A key that every collector's section may have, and that is for the names of its sources alone."""

    path: str | None = option(None, "Diamond's path word, instead of the collector's own")


class Own(Settings):
    """Diamond's place for the name of this host: [collectors] [[default]]; [server] counts more."""

    hostname: str = option("", "name of this host")
    hostname_method: HostnameMethod = option("smart", "how this host finds its name")
