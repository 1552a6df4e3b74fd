"""A ClickHouse as one reaches it: addresses, users, and what its answers mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from urllib.parse import unquote, urlsplit

from handlers._elastic.urls import Answer
from monitor.handler import DeliveryError

PORTS = {"http": 8123, "https": 8443}
NAME = re.compile(r"(?!(query|database|user|password|compress|decompress)$)[a-z][a-z0-9_]{0,99}")
CODE = re.compile(r"Code: (\d{1,5})\b")
ROWS = frozenset(
    (6, 20, 25, 26, 27, 32, 33, 38, 41, 43, 44, 53, 69, 70, 72, 117, 131, 321, 349, 407, 441, 467, 469, 675, 676)
)
"""Codes about what is in the rows: of values that do not fit their type, of cells that are no values."""
TABLE = frozenset((8, 10, 15, 16, 47, 60, 81))
"""Codes of a table that is not as it was, or not there."""
OURS = frozenset((48, 62, 73, 115, 192, 193, 194, 195, 291, 497, 516))
"""Codes of a user who may not, or of a server that does not know what it is asked: somebody has to change a setting."""
PARTS = 252
PARTITIONS = "too many partitions"
"""What its text says where it is not about all that is there, but about the days in these rows."""


class Meaning(Enum):
    TAKEN = auto()
    ROWS = auto()
    """Something in the rows will never be taken."""
    LARGE = auto()
    """There is too much in one request."""
    TABLE = auto()
    """The table is another than it was taken for."""
    PARTS = auto()
    """The table cannot take more now."""
    SETTING = auto()
    LATER = auto()


def judged(answer: Answer) -> tuple[Meaning, str]:
    """Return what an answer to an insert means, and its words in one line."""
    said = " ".join(answer.body[:1000].decode("utf-8", "replace").split())
    found = CODE.search(said)
    code = int(found[1]) if found else 0
    text = f"ClickHouse answered {answer.status}: {said[:400] or 'without a reason'}"
    if answer.status == 200 and not said:
        return Meaning.TAKEN, ""
    if code == PARTS:
        return (Meaning.ROWS if PARTITIONS in said.lower() else Meaning.PARTS), text
    for codes, meaning in ((ROWS, Meaning.ROWS), (TABLE, Meaning.TABLE), (OURS, Meaning.SETTING)):
        if code in codes:
            return meaning, text
    if answer.status == 413:
        return Meaning.LARGE, text
    if answer.status in (408, 425, 429) or answer.status >= 500 or (answer.status == 200 and code):
        return Meaning.LATER, text
    if 400 <= answer.status < 500 and code:
        return Meaning.ROWS, text
    # What says no code is no ClickHouse, but something on the way, or in its place.
    return Meaning.SETTING, text


def addresses(urls: Sequence[str], username: str, password: str) -> tuple[list[str], dict[str, str]]:
    """Return the addresses, with their ports and without a user, and the headers that name the user.

    DeliveryError where one is no address; a user who is given counts more than one in an address.
    """
    if not urls:
        raise DeliveryError("expected at least one URL")
    found = []
    for url in urls:
        try:
            place = urlsplit(url if "://" in url else f"http://{url}")
            whole = place.scheme in PORTS and bool(place.hostname) and place.port != 0
        except ValueError:
            whole = False
        if not whole:
            raise DeliveryError("urls: expected addresses of the form http://HOST:8123, got one that is not")
        if place.username and not username:
            username, password = unquote(place.username), unquote(place.password or "")
        bare = place.netloc.rpartition("@")[2]
        port = "" if place.port else f":{PORTS[place.scheme]}"
        found.append(place._replace(netloc=bare.rstrip(":") + port, query="", fragment="").geturl().rstrip("/"))
    return found, user_headers(username, password)


def user_headers(username: str, password: str) -> dict[str, str]:
    if any(ord(one) < 32 for one in username + password):
        raise DeliveryError("username, password: expected text of one line")
    if not username:
        return {}
    return {"X-ClickHouse-User": username} | ({"X-ClickHouse-Key": password} if password else {})


def quoted(name: str) -> str:
    """Return the name of a table or a column as it stands in a statement."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def literal(text: str) -> str:
    """Return a text as it stands in a statement."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def settings_of(given: Sequence[str]) -> Mapping[str, str]:
    """Return the settings NAME=VALUE; ValueError names one that is none."""
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        name = name.strip()
        if not equals or NAME.fullmatch(name) is None:
            raise ValueError(f"expected NAME=VALUE of a setting, got {one[:80]!r}")
        found[name] = value.strip()
    return found
