"""How the own host finds its name: Diamond's hostname_method, method by method."""

from __future__ import annotations

import platform
import socket
import subprocess
from collections.abc import Callable

METHODS: dict[str, Callable[[], str]] = {
    "fqdn_short": lambda: socket.getfqdn().split(".")[0],
    "fqdn": lambda: socket.getfqdn().replace(".", "_"),
    "fqdn_rev": lambda: _reversed(socket.getfqdn()),
    "uname_short": lambda: platform.uname().node.split(".")[0],
    "uname_rev": lambda: _reversed(platform.uname().node),
    "hostname": lambda: socket.gethostname(),
    "hostname_short": lambda: socket.gethostname().split(".")[0],
    "hostname_rev": lambda: _reversed(socket.gethostname()),
}


def _reversed(name: str) -> str:
    return ".".join(reversed(name.split(".")))


def _smart() -> str:
    name = METHODS["fqdn_short"]()
    return METHODS["hostname_short"]() if name == "localhost" else name


def _shell(command: str) -> str:
    try:
        done = subprocess.run(command, shell=True, capture_output=True, timeout=10, check=True)  # noqa: S602
    except (subprocess.SubprocessError, OSError) as error:
        raise ValueError(f"the command that tells the host's name failed: {error}") from None
    return done.stdout.decode("utf-8", "replace").strip()


def hostname(method: str, given: str = "") -> str:
    """Return the own host's name; '' for the method `none`, which leaves it out of paths.

    `given` counts as it stands, whatever the method; for `shell` it is the command. ValueError when no name comes out.
    """
    if method == "shell":
        name = _shell(given)
    elif given:
        name = given
    elif method == "none":
        return ""
    else:
        name = _smart() if method == "smart" else METHODS[method]()
    if not name or not name.isprintable():
        raise ValueError(f"hostname_method {method} gives no usable name: {name[:80]!r}")
    return name
