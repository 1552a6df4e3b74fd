"""Who asks, and what they may: ClickHouse's three ways of giving a name and a password."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from monitor.rels import Rels, RelsUser
from monitor.wire.clickhouse.errors import ClickHouseError

LONGEST = 1000
"""Characters of a name or a password."""
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class User:
    name: str
    rights: RelsUser

    def must_insert(self, table: str) -> None:
        """ClickHouseError where the user may not write to a table."""
        if not self.rights.may_insert(table):
            raise denied(self.name, f"INSERT ON wcs.{table[:80]}")

    def must_read(self) -> None:
        if not self.rights.read:
            raise denied(self.name, "SELECT ON wcs.*")


def denied(name: str, grant: str) -> ClickHouseError:
    text = f"{name}: Not enough privileges. To execute this query, it's necessary to have the grant {grant}"
    return ClickHouseError(497, "ACCESS_DENIED", text)


class Users:
    """The users of one configuration."""

    def __init__(self, settings: Rels) -> None:
        self.settings = settings
        self._key = secrets.token_bytes(32)
        self._known = {name: (self._digest(user.password), user) for name, user in settings.users.items()}

    def _digest(self, password: str) -> bytes:
        # Of a few bytes this does not let go of the interpreter's lock, which costs more than the work.
        return hashlib.blake2b(password.encode("utf-8", "surrogatepass"), key=self._key, digest_size=32).digest()

    def admit(self, headers: Mapping[str, str], parameters: Mapping[str, str]) -> User:
        """Return who asks; ClickHouseError where the password is not right or the user not known.

        The first way that is used counts: X-ClickHouse-User and -Key, HTTP Basic, user and password of the URL. Who
        uses none is the user called default, if there is one.
        """
        name, password, given = credentials(headers, parameters)
        expected, user = self._known.get(name, (b"", None))
        right = hmac.compare_digest(expected or self._digest(secrets.token_hex()), self._digest(password))
        if right and user is not None:
            return User(name, user)
        if not given:
            raise ClickHouseError(194, "REQUIRED_PASSWORD", "a user and a password are needed")
        text = "Authentication failed: password is incorrect, or there is no user with such name"
        raise ClickHouseError(516, "AUTHENTICATION_FAILED", f"{name[:80]}: {text}")


def credentials(headers: Mapping[str, str], parameters: Mapping[str, str]) -> tuple[str, str, bool]:
    """Return name and password, and whether any were given."""
    name, password = headers.get("X-ClickHouse-User"), headers.get("X-ClickHouse-Key")
    basic = headers.get("Authorization", "")
    if name is None and password is None and basic:
        name, password = _basic(basic)
    elif name is None and password is None:
        name, password = parameters.get("user"), parameters.get("password")
    given = name is not None or password is not None
    return (name or DEFAULT)[:LONGEST], (password or "")[: LONGEST + 1], given


def _basic(header: str) -> tuple[str, str]:
    scheme, _, rest = header[: 8 * LONGEST].partition(" ")
    if scheme.lower() != "basic":
        raise ClickHouseError(516, "AUTHENTICATION_FAILED", "expected HTTP Basic in the header Authorization")
    try:
        name, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise ClickHouseError(
            516, "AUTHENTICATION_FAILED", "HTTP Basic could not be read: not base64 of UTF-8"
        ) from None
    return name, password
