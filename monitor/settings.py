"""The sections of the configuration that are not of a collector or a handler: one class each, its fields the keys."""

from __future__ import annotations

import ipaddress
import os
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from monitor.options import MISSING, Bytes, Field, Option, Seconds, option, set_options

LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
HOSTNAME = re.compile(rf"(?=.{{1,253}}$){LABEL}(?:\.{LABEL})*\.?")
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


class Role(Settings):
    collectors: list[str] = option([], "collectors that the hosts of this role get")


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


class Common(Settings):
    """A key that every collector's section may have, and that is for the names of its sources alone."""

    path: str | None = option(None, "Diamond's path word, instead of the collector's own")


class Own(Settings):
    """Diamond's place for the name of this host: [collectors] [[default]]; [server] counts more."""

    hostname: str = option("", "name of this host")
    hostname_method: HostnameMethod = option("smart", "how this host finds its name")
