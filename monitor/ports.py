"""The ports that the appliance takes, before anything else is opened, and why it may be that it cannot start."""

from __future__ import annotations

import socket

from monitor.settings import Address

OK, FAILURE, UNAVAILABLE, BAD_CONFIG = 0, 1, 69, 78
"""Exit codes."""


class StartError(Exception):
    """The appliance cannot start, or cannot go on; `code` is the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def take(address: Address, section: str = "[server]", key: str = "listen", *, datagrams: bool = False) -> socket.socket:
    """Take a port, of TCP or for datagrams of UDP: when it is taken nothing else was touched."""
    wanted = socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM
    try:
        kind, _, _, _, where = socket.getaddrinfo(address.host, address.port, type=wanted)[0]
        taken = socket.socket(kind, wanted)
    except OSError as error:
        raise StartError(BAD_CONFIG, f"{section} {key} = {address}: {error.strerror or error}") from None
    try:
        if not datagrams:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(where)
        if not datagrams:
            taken.listen(1024)
        taken.setblocking(False)
    except OSError as error:
        taken.close()
        raise StartError(UNAVAILABLE, f"cannot listen on {address}: {(error.strerror or str(error)).lower()}") from None
    return taken
