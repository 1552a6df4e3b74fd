"""Several targets in one section: a handler for each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from monitor.handler import Block, Cursor, DeliveryError, Handler, Part, Refused, option, options_of

PLACE = re.compile(r"([^\[\]:]+|\[[^\[\]]+\]):(\d{1,5})", re.ASCII)


class Targets(Handler):
    """A section that stands for a handler of class `each` per host; itself it is used only where there is none."""

    host: list[str] = option(["localhost"], "where carbons listen, as HOST or HOST:PORT")

    each: ClassVar[type[Handler]]

    @classmethod
    def parts(cls, name: str, options: Mapping[str, Any]) -> Sequence[Part]:
        known = {**{key: field.option.default for key, field in options_of(cls).items()}, **options}
        places = dict.fromkeys(place(host, known["port"]) for host in known["host"])
        return [
            Part(f"{name} {shown(host, port)}", cls.each, {**options, "host": host, "port": port})
            for host, port in places
        ] or [Part(name, cls, options)]

    async def open(self) -> None:
        raise DeliveryError("host: expected at least one", 60)

    async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
        raise DeliveryError("host: expected at least one", 60)


def place(host: str, port: int) -> tuple[str, int]:
    """Read HOST, HOST:PORT or [IPV6]:PORT, the port being `port` where there is none."""
    found = PLACE.fullmatch(host.strip())
    if found is None or not 1 <= int(found[2]) <= 65535:
        return host.strip().strip("[]"), port
    return found[1].strip("[]"), int(found[2])


def shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
