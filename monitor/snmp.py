"""The SNMP client that all collectors share: v1 and v2c over UDP, time and size are bounded, lost requests repeated.

Each call has a socket of its own, connected to the agent: the system then drops what others send, and tells at once
when nothing listens there.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from monitor.collector import CollectError, SnmpAgent, SnmpValue
from monitor.wire import snmp as wire

LONGEST = 30.0
MOST_OIDS = 32
"""OIDs asked for in one request: with their values they fit into one datagram of the usual 1,472 bytes."""
ROUNDS = 32
"""Values asked for in one request of a walk; agents leave out what does not fit."""


class SnmpClient:
    """The client of one collector (`collector.Snmp`). Nothing is open between two calls."""

    __slots__ = ("_max_values", "_timeout")

    def __init__(self, *, timeout: float = LONGEST, max_values: int = 100_000) -> None:
        """Let a call take at most `timeout` seconds and return at most `max_values` values."""
        self._timeout = timeout
        self._max_values = max_values

    async def get(self, agent: SnmpAgent, oids: Sequence[str]) -> dict[str, SnmpValue]:
        """Return the values by OID, as asked; None is what the agent does not have."""
        if len(oids) > self._max_values:
            raise CollectError(f"{_place(agent)}: {len(oids)} values are more than the {self._max_values} allowed")
        async with _talk(agent, self._timeout) as talk:
            return await talk.get(oids)

    async def next(self, agent: SnmpAgent, oid: str) -> tuple[str, SnmpValue] | None:
        """Return the first OID after this one, and its value; None at the end of all."""
        async with _talk(agent, self._timeout) as talk:
            return await talk.next(oid)

    async def walk(self, agent: SnmpAgent, root: str, *, limit: int | None = None) -> dict[str, SnmpValue]:
        """Return all values below an OID, in the agent's order; CollectError when there are more than `limit`."""
        async with _talk(agent, self._timeout) as talk:
            return await talk.walk(root.removeprefix("."), self._max_values if limit is None else limit)


@asynccontextmanager
async def _talk(agent: SnmpAgent, timeout: float) -> AsyncIterator[_Talk]:
    """Open a socket to an agent; whatever goes wrong becomes a CollectError."""
    try:
        async with asyncio.timeout(timeout):
            talk = await _Talk.open(agent, timeout)
            try:
                yield talk
            finally:
                talk.close()
    except TimeoutError:
        raise CollectError(f"no answer from {_place(agent)} within {timeout:g} s") from None
    except socket.gaierror:
        raise CollectError(f"{_place(agent)}: the host name is not known") from None
    except OSError as error:
        raise CollectError(f"{_place(agent)}: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise CollectError(f"{_place(agent)}: {error}") from None


class _Answers(asyncio.DatagramProtocol):
    """Waits for the answer to the newest request; late ones to others are left out."""

    def __init__(self) -> None:
        self.number = 0
        self.waiting: asyncio.Future[bytes] | None = None
        self.odd = 0
        """Datagrams that were no SNMP."""

    def datagram_received(self, data: bytes, addr: object) -> None:
        number = wire.number_of(data)
        self.odd += number is None
        if number == self.number and self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(exc)


class _Talk:
    """Questions to one agent and its answers."""

    def __init__(
        self, agent: SnmpAgent, timeout: float, transport: asyncio.DatagramTransport, answers: _Answers
    ) -> None:
        self._agent = agent
        self._version = wire.V1 if agent.version == "1" else wire.V2C
        self._community = agent.community.encode()
        self._tries = agent.retries + 1
        # The last try too ends before the limit does, so that its words are the reason.
        self._wait = min(float(agent.wait), timeout * 0.9 / self._tries)
        self._transport = transport
        self._answers = answers

    @classmethod
    async def open(cls, agent: SnmpAgent, timeout: float) -> _Talk:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(agent.host, agent.port, type=socket.SOCK_DGRAM)
        # Of a name with addresses of both kinds: few agents listen on IPv6.
        family, *_, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        transport, answers = await loop.create_datagram_endpoint(
            _Answers, remote_addr=(str(address[0]), agent.port), family=family
        )
        return cls(agent, timeout, transport, answers)

    def close(self) -> None:
        self._transport.close()

    async def get(self, oids: Sequence[str]) -> dict[str, SnmpValue]:
        found: dict[str, SnmpValue] = dict.fromkeys(oids)
        left, most = list(oids), MOST_OIDS
        while left:
            some = left[:most]
            answer = await self._ask(wire.GET, some)
            if answer.status == wire.TOO_BIG and len(some) > 1:
                most = len(some) // 2
                continue
            if answer.status == wire.NO_SUCH_NAME and 0 < answer.where <= len(some):
                # How v1 says it, for the whole request: the others are asked for again.
                left.remove(some[answer.where - 1])
                continue
            self._check(answer, some)
            values = dict(answer.varbinds)
            found.update({oid: values.get(oid.removeprefix(".")) for oid in some})
            left = left[most:]
        return found

    async def next(self, oid: str) -> tuple[str, SnmpValue] | None:
        answer = await self._ask(wire.GET_NEXT, [oid])
        if answer.status == wire.NO_SUCH_NAME:
            return None
        self._check(answer, [oid])
        if len(answer.varbinds) != 1:
            raise ValueError(f"{len(answer.varbinds)} values instead of one")
        return None if answer.varbinds[0][1] is None else answer.varbinds[0]

    async def walk(self, root: str, limit: int) -> dict[str, SnmpValue]:
        found: dict[str, SnmpValue] = {}
        below, last, rounds = f"{root}.", root, ROUNDS
        while True:
            answer = await self._more(last, rounds)
            if answer.status == wire.TOO_BIG and rounds > 1:
                rounds //= 2
                continue
            if answer.status == wire.NO_SUCH_NAME or not answer.varbinds:
                return found
            self._check(answer, [last])
            for name, value in answer.varbinds:
                if value is None or not name.startswith(below):
                    return found
                if name in found:
                    raise ValueError(f"the walk of {root} comes to {name} again")
                found[name] = value
                if len(found) > limit:
                    raise ValueError(f"more than {limit} values below {root}")
                last = name

    async def _more(self, last: str, rounds: int) -> wire.Answer:
        if self._version == wire.V1:
            return await self._ask(wire.GET_NEXT, [last])
        return await self._ask(wire.GET_BULK, [last], rounds)

    async def _ask(self, kind: int, oids: Sequence[str], rounds: int = 0) -> wire.Answer:
        answers = self._answers
        answers.number = random.randrange(1, 1 << 31)  # noqa: S311
        data = wire.request(
            kind, answers.number, oids, version=self._version, community=self._community, rounds=rounds
        )  # fmt: skip
        known = {wire.content(oid): oid.removeprefix(".") for oid in oids}
        answers.waiting = asyncio.get_running_loop().create_future()
        for _ in range(self._tries):
            self._transport.sendto(data)
            done, _ = await asyncio.wait({answers.waiting}, timeout=self._wait)
            if done:
                return wire.answer(answers.waiting.result(), most=max(len(oids), rounds), known=known)
        if answers.odd:
            raise ValueError("what it answered is no SNMP v1 or v2c")
        raise CollectError(
            f"no answer from {_place(self._agent)} to {self._tries} requests in {self._tries * self._wait:.3g} s"
            " (an agent gives none to a manager or a community that it does not know)"
        )

    def _check(self, answer: wire.Answer, oids: Sequence[str]) -> None:
        if answer.status:
            words = wire.STATUS[answer.status] if answer.status < len(wire.STATUS) else f"error {answer.status}"
            oid = oids[answer.where - 1] if 0 < answer.where <= len(oids) else oids[0]
            raise ValueError(f"{words} for {oid}")


def _place(agent: SnmpAgent) -> str:
    return f"snmp://{f'[{agent.host}]' if ':' in agent.host else agent.host}:{agent.port}"
