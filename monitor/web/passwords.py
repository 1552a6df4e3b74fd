"""Passwords and tokens: hashes of scrypt, and the admin password of the first start."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from monitor.config import Config
from monitor.settings import User

FIRST_ADMIN = "first_admin"
ADMIN = "admin"
N, R, P = 1 << 14, 8, 1
MOST_MEMORY = 256 << 20


class Scrypt(NamedTuple):
    """A hashed password."""

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> Scrypt:
        """Read scrypt$N$R$P$SALT$HASH; ValueError says what is wrong with it."""
        try:
            name, n, r, p, salt, digest = text.split("$")
            found = cls(int(n), int(r), int(p), _base64(salt), _base64(digest))
        except (ValueError, binascii.Error):
            raise ValueError("expected scrypt$N$R$P$SALT$HASH with SALT and HASH in base64") from None
        if name != "scrypt" or found.n < 2 or found.n & (found.n - 1) or not 128 * found.n * found.r < MOST_MEMORY:
            raise ValueError("expected scrypt with N a power of two and less than 256 MB of memory")
        return found

    def matches(self, password: str) -> bool:
        """Tell whether this is the password's hash; takes some 50 ms without the interpreter's lock."""
        made = hashlib.scrypt(
            password.encode(), salt=self.salt, n=self.n, r=self.r, p=self.p, maxmem=MOST_MEMORY, dklen=len(self.digest)
        )
        return hmac.compare_digest(made, self.digest)

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt${self.n}${self.r}${self.p}${salt}${digest}"


def hashed(password: str) -> Scrypt:
    """Hash a password with a salt of its own."""
    salt = secrets.token_bytes(16)
    return Scrypt(N, R, P, salt, hashlib.scrypt(password.encode(), salt=salt, n=N, r=R, p=P, maxmem=MOST_MEMORY))


def nobody() -> Scrypt:
    """Return what takes as long to check as a hash and is no password's; it is made without that work."""
    return Scrypt(N, R, P, secrets.token_bytes(16), secrets.token_bytes(64))


def _base64(text: str) -> bytes:
    padded = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)


def first_admin(config: Config) -> str:
    """Make the admin password of the first start; return what to print once, '' when there is nothing to print.

    It is made when `[auth] first_admin` asks for it and no user is an admin, and is kept in data_dir, mode 0600.
    """
    if not _wanted(config):
        return ""
    path = config.data_dir / FIRST_ADMIN
    password = secrets.token_urlsafe(18)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return ""
    with os.fdopen(file, "w") as kept:
        kept.write(password + "\n")
        kept.flush()
        os.fsync(kept.fileno())
    return f"Made at this first start: user {ADMIN}, password {password} (also kept in {path})"


def users(config: Config) -> Mapping[str, User]:
    """Return the users: the configured ones, and the admin of the first start."""
    if not _wanted(config):
        return config.users
    try:
        password = (config.data_dir / FIRST_ADMIN).read_text().strip()
    except FileNotFoundError:
        return config.users
    admin = User({"password": password, "role": "admin"})
    admin.name = ADMIN
    return {**config.users, ADMIN: admin} if password else config.users


def _wanted(config: Config) -> bool:
    return config.auth.first_admin and not any(user.role == "admin" for user in config.users.values())
