"""Who gets in: HTTP Basic and Bearer, roles, and what keeps other sites and guessers out.

- A user of [auth] with the role `read` may GET, `push` may POST pushes, `admin` may do both and pause storing. /healthz
  and /readyz are open to all. `allow_anonymous` is the role of who gives no password or token.
- On loopback without users nothing is needed. So that no web site can reach the appliance through a visitor's browser
  under a name that it points to 127.0.0.1, the Host header must then be `localhost` or an IP address; behind a reverse
  proxy set up users.
- Ten wrong passwords within a minute from one address make it wait for the rest of the minute.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from aiohttp import web

from monitor.config import Config
from monitor.settings import User
from monitor.web.influx import authorization
from monitor.web.passwords import Scrypt, nobody, users
from monitor.web.problem import ProblemError
from monitor.web.services import Services

log = logging.getLogger("monitor.auth")

Right = Literal["read", "push", "pause"]
RIGHTS: Mapping[str, frozenset[Right]] = {
    "none": frozenset(),
    "read": frozenset({"read"}),
    "push": frozenset({"push"}),
    "admin": frozenset({"read", "push", "pause"}),
}
OPEN = frozenset({"/healthz", "/readyz", "/ping"})
CHALLENGE = {"WWW-Authenticate": 'Basic realm="monitor", charset="UTF-8", Bearer realm="monitor"'}
LONGEST = 2000
"""Characters of an Authorization header."""


class Failures:
    """Counts wrong passwords per peer, a minute long."""

    def __init__(self, most: int = 10, seconds: float = 60.0, peers: int = 10_000) -> None:
        self.most = most
        self.seconds = seconds
        self.peers = peers
        self._found: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait(self, peer: str, now: float) -> float:
        """Return how many seconds a peer has to wait; 0 when it may try."""
        since, count = self._found.get(peer, (now, 0))
        return max(0.0, since + self.seconds - now) if count >= self.most else 0.0

    def add(self, peer: str, now: float) -> int:
        """Count one; return how many there are within the minute."""
        since, count = self._found.pop(peer, (now, 0))
        if now - since >= self.seconds:
            since, count = now, 0
        self._found[peer] = (since, count + 1)
        while len(self._found) > self.peers:
            self._found.popitem(last=False)
        return count + 1


class Users:
    """The users of one configuration. A password that was right is remembered as a keyed digest, not as itself."""

    def __init__(self, config: Config, *, remembered: int = 1000) -> None:
        self.config = config
        self.users = users(config)
        self.remembered = remembered
        self.open = not self.users and config.server.address.loopback
        self.anonymous = RIGHTS["admin"] if self.open else RIGHTS[config.auth.allow_anonymous]
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, User] = OrderedDict()
        self._hashes = {user.name: Scrypt.parse(user.password_hash) for user in self._all() if user.password_hash}
        self._tokens = {self._digest(user.token): user for user in self._all() if user.token}
        self._nobody = nobody() if self._hashes else None

    def _all(self) -> list[User]:
        return list(self.users.values())

    def _digest(self, *words: str) -> bytes:
        return hmac.digest(self._key, "\0".join(words).encode("utf-8", "surrogatepass"), hashlib.sha256)

    def token(self, token: str) -> User | None:
        """Return whose token it is. It is looked up by a keyed digest, so the time taken tells nothing of others."""
        return self._tokens.get(self._digest(token))

    def known(self, name: str, password: str) -> User | None:
        """Return the user if this password was right before."""
        return self._right.get(self._digest(name, password))

    def check(self, name: str, password: str) -> User | None:
        """Return the user if the password is right. Runs in a thread; a name unknown takes as long as a known one."""
        user = self.users.get(name)
        scrypt = self._hashes.get(name) if user else self._nobody
        if scrypt is not None:
            return user if scrypt.matches(password) and user else None
        expected = user.password if user else ""
        same = hmac.compare_digest(self._digest(expected), self._digest(password))
        return user if same and expected else None

    def remember(self, name: str, password: str, user: User) -> None:
        self._right[self._digest(name, password)] = user
        while len(self._right) > self.remembered:
            self._right.popitem(last=False)


class Gate:
    """Lets requests in, by the configuration that is in force."""

    def __init__(self, services: Services, *, clock: Callable[[], float] = time.monotonic, waiting: int = 20) -> None:
        self.services = services
        self.failures = Failures()
        self.waiting = waiting
        self._clock = clock
        self._users = Users(services.config)
        self._threads = ThreadPoolExecutor(1, "passwords")
        self._checks: dict[tuple[str, str], asyncio.Future[User | None]] = {}

    async def close(self, _: web.Application) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def admit(self, request: web.Request, right: Right) -> None:
        """Return if the request may have what it asks for; the problem says why not."""
        if request.path in OPEN:
            return
        if self._users.config is not self.services.config:
            self._users = Users(self.services.config)
        users = self._users
        if users.open and not host_is_local(request.headers.get("Host", "")):
            raise ProblemError(
                403,
                "expected the Host header localhost or an IP address, as there are no users;"
                " behind a proxy or under another name set up users in [auth]",
            )
        given = authorization(request)
        rights = RIGHTS[(await self._user(users, request, given)).role] if given and users.users else users.anonymous
        if right in rights:
            return
        if given and users.users:
            role = f"{right} or admin" if right in RIGHTS else "admin"
            raise ProblemError(403, f"this user may not {right}; it needs the role {role}")
        raise ProblemError(401, f"a user that may {right} is needed: HTTP Basic or Bearer", headers=CHALLENGE)

    async def _user(self, users: Users, request: web.Request, given: str) -> User:
        peer, now = peer_of(request), self._clock()
        scheme, _, rest = given[:LONGEST].partition(" ")
        name, password = "", ""
        found: User | None = None
        if scheme.lower() == "bearer":
            found = users.token(rest.strip())
        elif scheme.lower() == "basic":
            name, password = credentials(rest)
            found = users.known(name, password)
        if found is not None:
            return found
        if (wait := self.failures.wait(peer, now)) > 0:
            headers = {"Retry-After": str(int(wait) + 1)}
            raise ProblemError(429, "too many wrong passwords from this address; try again later", headers=headers)
        if name and (found := await self._check(users, name, password)) is not None:
            users.remember(name, password, found)
            return found
        if self.failures.add(peer, now) == self.failures.most:
            log.warning("auth.guessing", extra={"fields": {"peer": peer, "user": name[:80]}})
        raise ProblemError(401, "the user name, password or token is wrong", headers=CHALLENGE)

    async def _check(self, users: Users, name: str, password: str) -> User | None:
        """Check a password in the one thread for it; requests that carry the same one wait for the same check."""
        key = (name, password)
        running = self._checks.get(key)
        if running is None:
            if len(self._checks) >= self.waiting:
                raise ProblemError(503, "too many passwords are being checked", headers={"Retry-After": "1"})
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._threads, users.check, name, password)
            self._checks[key] = running
            running.add_done_callback(lambda _: self._checks.pop(key, None))
        return await asyncio.shield(running)


def credentials(text: str) -> tuple[str, str]:
    """Return user and password of HTTP Basic; empty ones when they cannot be read."""
    try:
        name, _, password = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password


def peer_of(request: web.Request) -> str:
    return request.remote or "unknown"


def host_is_local(header: str) -> bool:
    """Tell whether a Host header is localhost or an IP address, which no name server can point elsewhere."""
    host, _, port = header.rpartition(":") if not header.endswith("]") else (header, "", "")
    host = host if port.isdigit() and host else header
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
