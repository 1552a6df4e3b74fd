"""What every handler of the product does in an outage, with an item that is refused, at a restart and at the end.

The targets are described in handler_targets.py; each is gone through by all its handlers at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import handler_targets
import pytest
from handler_targets import SERVERS, Rows, Server, Way, at, value
from memory_journal import MemoryJournal

from monitor.handler import Handler
from monitor.outlet import Outlet
from monitor.registry import Registry
from monitor.retry import Pauses

QUICK = Pauses(first=0.02, longest=0.2)
Check = Callable[["Delivery"], Awaitable[None]]


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = SERVERS[request.param](tmp_path_factory.mktemp(request.param))
    yield one
    one.close()


class Delivery:
    """A journal, and the outlets of a handler that read it."""

    def __init__(self, way: Way, host: str) -> None:
        self.way, self.host = way, host
        self.journal = MemoryJournal()
        self.expected: Rows = []
        self.outlets: list[Outlet] = []
        self._number = 0

    async def start(self, **options: Any) -> None:
        self.outlets = [Outlet(one, self.journal, pauses=QUICK) for one in self.way.handlers(**options)]
        for outlet in self.outlets:
            await outlet.start()

    async def collect(self, count: int) -> None:
        for _ in range(count):
            self._number += 1
            self.expected.append((at(self._number), float(self._number)))
            await self.journal.append([value(self._number, self.host)])

    async def level(self) -> None:
        """Wait until all is delivered."""
        await until(lambda: all(one.cursor == self.journal.end for one in self.outlets), self.told)

    async def drain(self) -> None:
        await asyncio.gather(*(one.drain(5) for one in self.outlets))

    async def there(self, expected: Rows | None = None) -> None:
        """Wait until exactly what is expected is there, at each target."""
        wanted = self.expected if expected is None else expected
        if not self.way.keeps:
            return
        found: Any = None
        for _ in range(200):
            found = await self.way.rows(self.host)
            if all(list(rows) == wanted for rows in found):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self.way.label}: {found} instead of {wanted}")

    @property
    def failing(self) -> bool:
        return any(one.stats.failing_since is not None for one in self.outlets)

    def told(self) -> str:
        states = [(one.name, one.cursor, one.lag_batches, one.stats.last_error) for one in self.outlets]
        return f"{self.way.label}: {states}"


async def until(true: Callable[[], bool], told: Callable[[], str]) -> None:
    try:
        async with asyncio.timeout(20):
            while not true():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(told()) from None


async def each(ways: list[Way], test: str, check: Check) -> list[Delivery]:
    """Check all handlers of a server at once."""
    found = [Delivery(way, f"{test}{number}") for number, way in enumerate(ways)]
    await asyncio.gather(*map(check, found))
    return found


async def test_an_outage_leaves_nothing_out_and_doubles_nothing(server: Server) -> None:
    async def before(one: Delivery) -> None:
        await one.start()
        await one.collect(3)
        await one.level()
        await one.there()

    async def during(one: Delivery) -> None:
        await one.collect(3)
        if one.way.keeps:
            await until(lambda: one.failing, one.told)
            away = [outlet for outlet in one.outlets if outlet.stats.failing_since is not None]
            assert all(outlet.stats.last_error for outlet in away)
            # Of several targets only one is down, and holds up no other.
            others = [outlet for outlet in one.outlets if outlet not in away]
            await until(lambda: all(outlet.cursor == one.journal.end for outlet in others), one.told)
            assert len(away) == 1, one.told()

    async def after(one: Delivery) -> None:
        await one.collect(3)
        await one.level()
        await one.there()
        assert all(outlet.stats.lost == outlet.stats.refused == 0 for outlet in one.outlets), one.told()
        await one.drain()

    async with server.running() as ways:
        found = await each(ways, "outage", before)
        await server.down()
        await asyncio.gather(*map(during, found))
        await server.up()
        await asyncio.gather(*map(after, found))


async def test_an_item_that_is_refused_holds_up_no_other(server: Server) -> None:
    async def check(one: Delivery) -> None:
        if one.way.strange is None:
            return
        await one.start(flush_interval=0.05)
        await one.collect(1)
        await one.journal.append([one.way.strange(one.host)])
        await one.collect(2)
        await one.level()
        await one.there()
        for outlet in one.outlets:
            assert outlet.stats.refused >= 1, one.told()
            assert outlet.stats.lost == 0
        await one.drain()

    async with server.running() as ways:
        await each(ways, "refusal", check)


async def test_a_restarted_handler_goes_on_where_it_was(server: Server) -> None:
    async def check(one: Delivery) -> None:
        await one.start()
        await one.collect(3)
        await one.level()
        await one.drain()
        await one.collect(2)
        await one.start()
        await one.level()
        await one.there()
        await one.drain()

    async with server.running() as ways:
        await each(ways, "restart", check)


async def test_what_a_crash_repeats_is_there_once_or_the_documentation_says_otherwise(server: Server) -> None:
    async def check(one: Delivery) -> None:
        await one.start()
        await one.collect(2)
        await one.level()
        before = dict(one.journal.cursors)
        await one.collect(1)
        await one.level()
        await one.drain()
        one.journal.cursors = before
        await one.start()
        await one.collect(1)
        await one.level()
        repeated = one.expected[:3] + one.expected[2:] if one.way.repeats else one.expected
        await one.there(repeated)
        await one.drain()

    async with server.running() as ways:
        await each(ways, "crash", check)


async def test_the_end_delivers_what_waits_for_more(server: Server) -> None:
    async def check(one: Delivery) -> None:
        await one.start(flush_interval=600.0)
        await one.collect(3)
        async with asyncio.timeout(10):
            await one.drain()
        await one.there()
        if one.journal.cursors:
            assert set(one.journal.cursors.values()) == {one.journal.end}

    async with server.running() as ways:
        await each(ways, "end", check)


def test_the_contract_is_tried_on_every_handler() -> None:
    tried = {one for one in vars(handler_targets).values() if isinstance(one, type) and issubclass(one, Handler)}
    missing = set(Registry().handlers.values()) - tried
    assert not missing, "describe what these deliver to in handler_targets.py"
